"""Owners' contact lists: kept by us where their server grants it (XEP-0356), else offered to their clients (XEP-0144).

A list is read before it is changed, and one entry is changed at a time: its groups come back as they were, and what is
not of our domain is not looked at. A new entry is `both`, so that the number is online at once; an old one stays what
it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.bridge.introducing import Entry
from smsbridge.core.text import xml_clean
from smsbridge.log import Event, Log
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.asking import Asking, condition_of
from smsbridge.xmpp.privileges import Privileges
from smsbridge.xmpp.proving import YOUNG_SECONDS

ROSTER: Final = "jabber:iq:roster"
EXCHANGE: Final = "http://jabber.org/protocol/rosterx"
SECONDS: Final = 10.0
AT_ONCE: Final = 50  # offers in a stanza

_log = Log("xmpp")


class Rosters:
    """The contact lists of all owners.

    `age` is the server's in seconds, None if it does not tell; `dress` adds what a presence's receiver calls it.
    """

    def __init__(
        self,
        *,
        privileges: Privileges,
        asking: Asking,
        opened: Callable[[], Awaitable[None]],
        age: Callable[[], Awaitable[float | None]],
        send: Callable[[bytes], None],
        dress: Callable[[ET.Element], None],
        appear: Callable[[str, str], Awaitable[None]],
        domain: str,
    ) -> None:
        self._privileges = privileges
        self._asking = asking
        self._opened = opened
        self._age = age
        self._send = send
        self._dress = dress
        self._appear = appear
        self._domain = domain

    async def ready(self) -> None:
        await self._opened()
        age = await self._age()
        if age is not None and age < YOUNG_SECONDS:  # it may drop what comes now, and nothing here is urgent
            await asyncio.sleep(YOUNG_SECONDS - age)

    def may_keep(self, owner: str) -> bool | None:
        return self._privileges.keeps_roster_of(owner)

    async def read(self, owner: str) -> Mapping[str, Entry] | None:
        answer = await self._asking.ask(owner, f'<query xmlns="{ROSTER}"/>', SECONDS)
        if answer is None or self._is_refused(answer):
            return None
        found = (self._entry(item) for item in answer.iterfind(f"{{{ROSTER}}}query/{{{ROSTER}}}item"))
        return {entry.contact: entry for entry in found if entry is not None}

    async def write(self, owner: str, entry: Entry, *, is_new: bool) -> bool:
        groups = "".join(f"<group>{wire.escaped(group)}</group>" for group in entry.groups)
        subscription = ' subscription="both"' if is_new else ""
        jid, name = wire.quoted(self._jid(entry.contact)), wire.quoted(xml_clean(entry.name))
        payload = f'<query xmlns="{ROSTER}"><item jid={jid} name={name}{subscription}>{groups}</item></query>'
        answer = await self._asking.ask(owner, payload, SECONDS, kind="set")
        return answer is not None and not self._is_refused(answer)

    def offer(self, owner: str, entries: Sequence[Entry], *, is_new: bool) -> None:
        for start in range(0, len(entries), AT_ONCE):
            message = wire.stanza("message", sender=self._domain, to=owner)
            exchange = wire.add(message, "x", EXCHANGE)
            for entry in entries[start : start + AT_ONCE]:
                action = "add" if is_new else "modify"
                item = wire.add(exchange, "item", action=action, jid=self._jid(entry.contact), name=entry.name)
                for group in entry.groups:
                    wire.add(item, "group", text=group)
            self._write(message)

    def ask(self, owner: str, contact: str) -> None:
        presence = wire.stanza("presence", sender=self._jid(contact), to=owner, stanza_type="subscribe")
        self._dress(presence)
        self._write(presence)

    async def appear(self, owner: str, contact: str) -> None:
        try:
            await self._appear(owner, self._jid(contact))
        except wire.Unrenderable as error:
            _log.crash(Event.STANZA_FAILED, error)

    def _jid(self, contact: str) -> str:
        return f"{contact}@{self._domain}"

    def _entry(self, item: ET.Element) -> Entry | None:
        try:
            contact, at, domain = jids.bare(item.get("jid", "")).rpartition("@")
        except ValueError:
            return None
        if not at or domain != self._domain:
            return None
        groups = tuple(group.text or "" for group in item.findall(f"{{{ROSTER}}}group"))
        return Entry(contact=contact, name=item.get("name", ""), groups=groups)

    def _is_refused(self, answer: ET.Element) -> bool:
        if condition := condition_of(answer):
            _log.warning(Event.ROSTER_REFUSED, condition=condition)
        return bool(condition)

    def _write(self, element: ET.Element) -> None:
        try:
            self._send(wire.serialise(element, domain=self._domain))
        except wire.Unrenderable as error:  # an owner's JID or a contact's is none any more
            _log.crash(Event.STANZA_FAILED, error)
