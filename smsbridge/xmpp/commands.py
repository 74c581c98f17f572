"""The bridge's commands as ad-hoc commands (XEP-0050), with forms (XEP-0004).

    execute ─▶ a form, if the command has arguments ─complete, with the form─▶ done, and said in a note

Nothing is kept between the two: all that the second step needs comes with its form, so there are no sessions to bound
or to lose. Only the outer `from` counts. A stranger gets one and the same error for whatever he tries.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol
from uuid import uuid4
from xml.etree import ElementTree as ET

from smsbridge.bridge.commands import Command, Field, Said, Shape
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.errors import Envelope
from smsbridge.xmpp.stanzas import HINTS, RECEIPTS, Typed, envelope_of

COMMANDS: Final = "http://jabber.org/protocol/commands"
DATA: Final = "jabber:x:data"
TAG: Final = f"{{{COMMANDS}}}command"
MOST_IN_SESSION_ID: Final = 64


class Commands(Protocol):
    """The table. Raises `Refused` or `StoreUnavailable`; what was done is committed."""

    def offered(self, jid: str) -> Sequence[Command]: ...

    async def form(self, jid: str, name: str) -> Sequence[Field]: ...

    async def run(self, jid: str, name: str, values: Mapping[str, str]) -> Said: ...

    async def typed(self, jid: str, line: str, asked: str = "") -> None: ...


async def take(line: Typed, envelope: Envelope, commands: Commands, domain: str) -> bytes | None:
    """Do what a line of chat says; its answer goes its own way. The receipt (XEP-0184), if it asks for one."""
    await commands.typed(line.owner, line.text, line.lang)
    if not (line.wants_receipt and envelope.id):
        return None
    sender = jids.bare(envelope.addressed)
    tick = wire.stanza("message", sender=sender, to=envelope.sender, stanza_id=str(uuid4()), stanza_type="chat")
    wire.add(tick, "received", RECEIPTS, id=envelope.id)
    wire.add(tick, "store", HINTS)
    try:
        return wire.serialise(tick, domain=domain)
    except wire.Unrenderable:  # an id beyond all measure; what was said is done all the same
        return None


async def answer(
    element: ET.Element, commands: Commands, *, domain: str, language_of: Callable[[str, str], Language]
) -> bytes | None:
    """The answer to an `<iq/>` with a command in it, None if there is to be none. Raises `Refused`."""
    envelope, request = envelope_of(element), element.find(TAG)
    if envelope.type not in {"get", "set"} or request is None:
        return None
    try:
        caller, addressed = jids.bare(envelope.sender), jids.bare(envelope.addressed)
    except ValueError:
        return None
    if caller.rpartition("@")[2] == domain:
        return None
    if envelope.type == "get" or addressed != domain:
        raise Refused(Reason.BAD_ADDRESS, Say.NO_COMMANDS_HERE())
    name, values = request.get("node", ""), _submitted(request)
    language = language_of(caller, envelope.lang)
    reply = partial(_reply, envelope, request, domain=domain, language=language)
    fields = await commands.form(caller, name)
    if request.get("action") == "cancel":
        return reply("canceled")
    if values is None and fields:
        empty = next((field for field in fields if not field.options and not field.argument.shape.is_typed), None)
        if empty is None:
            words = next(each.word for each in commands.offered(caller) if each.name == name)
            return reply("executing", fields=fields, title=worded(words, language))
        return reply("completed", said=Said(empty.argument.none))
    said = await commands.run(caller, name, values or {})
    return reply("completed", said=said)


def _submitted(request: ET.Element) -> Mapping[str, str] | None:
    """The values of the form; None if there is none."""
    form = request.find(f"{{{DATA}}}x")
    if form is None or form.get("type") != "submit":
        return None
    return {
        field.get("var", ""): (field.findtext(f"{{{DATA}}}value") or "").strip()
        for field in form.findall(f"{{{DATA}}}field")
    }


def _reply(
    envelope: Envelope, request: ET.Element, status: str, *, domain: str, language: Language,
    fields: Sequence[Field] = (), title: str = "", said: Said | None = None,
) -> bytes:  # fmt: skip
    reply = wire.stanza(
        "iq", sender=envelope.addressed, to=envelope.sender, stanza_id=envelope.id, stanza_type="result"
    )
    session = request.get("sessionid", "")[:MOST_IN_SESSION_ID] or secrets.token_hex(8)
    node = request.get("node", "")
    command = wire.add(reply, "command", COMMANDS, node=node, sessionid=session, status=status)
    if fields:
        wire.add(wire.add(command, "actions", execute="complete"), "complete")
        form = wire.add(command, "x", DATA, type="form")
        wire.add(form, "title", text=title)
        for field in fields:
            _add_field(form, field, language)
    if said is not None:
        wire.add(command, "note", text=worded(said.words, language), type="info" if said.is_done else "error")
    return wire.serialise(reply, domain=domain)


def _add_field(form: ET.Element, field: Field, language: Language) -> None:
    argument = field.argument
    label = worded(argument.label, language)
    kind = "text-single" if argument.shape.is_typed else "list-single"
    element = wire.add(form, "field", var=argument.name, type=kind, label=label)
    if argument.shape is not Shape.REST:
        wire.add(element, "required")
    for option in field.options:
        wire.add(wire.add(element, "option", label=worded(option.label, language)), "value", text=option.value)
