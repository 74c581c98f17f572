"""Which presence is answered by what: numbers look online to who owns a line, and to nobody else.

A roster entry stays `both` as long as probes are answered: an owner's probe is never told `unsubscribed`, and there
is no roster here to forget. A stranger's request gets one error, the same for every address; the rest of what
strangers send gets nothing. Each presence has at most one `available` as its answer, and an `available` is answered
by one that no client answers, so two sides never wake each other in turn.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.core.address import parse_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Directory
from smsbridge.core.outlook import FINE, Outlook, Show
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.caps import ProfileOf, add_caps
from smsbridge.xmpp.errors import Envelope, error_reply

RESOURCE: Final = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A presence of ours; `type` "" is available, with an `outlook`. With `refused` it is an error that echoes `id`."""

    sender: str
    to: str
    type: str = ""
    id: str = ""
    refused: Refused | None = None
    outlook: Outlook = FINE

    @property
    def is_available(self) -> bool:
        return not self.type


def answer_presence(envelope: Envelope, *, directory: Directory, domain: str) -> list[Answer]:
    """The answers to a presence, in order. Total: what cannot be understood is not answered."""
    try:
        owner, number = jids.bare(envelope.sender), jids.bare(envelope.addressed)
        localpart = jids.localpart_of(envelope.addressed)
    except ValueError:
        return []
    if number.rpartition("@")[2] != domain or owner.rpartition("@")[2] == domain:
        return []
    refused = _refusal(owner, localpart, directory)
    resource = resource_of(number)
    match envelope.type:
        case "" | "probe" if refused is None:
            return [Answer(sender=resource, to=envelope.sender)]
        case "subscribe" if refused is None:
            return [
                Answer(sender=number, to=owner, type="subscribed"),
                Answer(sender=resource, to=owner),
                Answer(sender=number, to=owner, type="subscribe"),
            ]
        case "subscribe":
            return [
                Answer(sender=envelope.addressed, to=envelope.sender, type="error", id=envelope.id, refused=refused)
            ]
        case "unsubscribe" if refused is None:
            return [Answer(sender=number, to=owner, type="unsubscribed")]
        case _:
            return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a presence has beside its type. `dress` adds to any that is no error."""

    domain: str
    profile: ProfileOf
    language_of: Callable[[str], Language]
    dress: Callable[[ET.Element], None] = lambda _: None


def render_answers(answers: Iterable[Answer], look: Look) -> list[bytes]:
    """The stanzas, in order; raises `Unrenderable`."""
    return [_render(answer, look) for answer in answers]


def resource_of(number: str) -> str:
    """From where a number is available: clients look for what it can do at a full JID. The gateway has none."""
    return f"{number}/{RESOURCE}" if "@" in number else number


def _refusal(owner: str, localpart: str, directory: Directory) -> Refused | None:
    """Why this account has no business with this address. Ownership first: a stranger learns nothing else."""
    if not directory.lines_of(owner):
        return Refused(Reason.NOT_OWNER)
    if not localpart:
        return None
    try:
        address = parse_localpart(localpart)
    except Refused as refused:
        return refused
    if address.did is not None and not directory.is_owner(owner, address.did):
        return Refused(Reason.NOT_OWNER)
    return None


def _render(answer: Answer, look: Look) -> bytes:
    language = look.language_of(answer.to)
    if answer.refused is not None:
        envelope = Envelope(name="presence", sender=answer.to, addressed=answer.sender, id=answer.id, type=answer.type)
        return error_reply(envelope, answer.refused, domain=look.domain, language=language)
    element = wire.stanza("presence", sender=answer.sender, to=answer.to, stanza_type=answer.type)
    if answer.is_available:
        if answer.outlook.show is not Show.AVAILABLE:
            wire.add(element, "show", text=answer.outlook.show)
        if answer.outlook.words:
            wire.add(element, "status", text=worded(answer.outlook.words, language))
        add_caps(element, look.profile(jids.localpart_of(answer.sender), jids.bare(answer.to)))
    look.dress(element)
    return wire.serialise(element, domain=look.domain)
