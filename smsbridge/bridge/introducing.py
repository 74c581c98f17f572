"""Put named numbers into their owners' contact lists, and show them anew when a name or a picture has changed.

    something changed ─bell─▶ a moment ─▶ each owner: what he sees ≠ what he was told last? ─▶ his list ─▶ told (commit)

A number has an entry under the address that its texts come from; what an owner has put into his list himself, over
another line of his, is shown under the same name.

What an owner does in his list himself stands: an entry that he has given a name keeps it, one that he has removed does
not come back, and none is ever removed. Where his server does not let us keep the list, the names are offered to his
clients instead (once, and again when they change), and his numbers ask for his presence under their names.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.naming import Faces
from smsbridge.core.address import Address, Did, Peer, parse_localpart, to_localpart
from smsbridge.core.errors import Refused, StoreUnavailable
from smsbridge.core.faces import Book, Face, Roster, Shelf
from smsbridge.core.line import AddressStyle
from smsbridge.log import Event, Log
from smsbridge.store import names, watchers
from smsbridge.store.names import Introduced

GROUP: Final = "SMS"
LOOK_AGAIN: Final = 60.0  # seconds between looks when nothing rings: a conversation may have begun
A_MOMENT: Final = 1.0  # what changes together is told together
AFTER_FAULT: Final = 60.0
AT_ONCE: Final = 200
TURN: Final = 3600.0  # a list of a thousand entries, each answered for by itself

_log = Log("introducing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A contact as the list has it."""

    contact: str
    name: str = field(default="", repr=False)
    groups: tuple[str, ...] = ()


class ContactList(Protocol):
    """The owners' contact lists, and what their clients are shown. A contact is a localpart of ours."""

    async def ready(self) -> None:
        """Return when the server can be reached."""
        ...

    def may_keep(self, owner: str) -> bool | None:
        """Whether we may read and change it; None if nobody knows yet."""
        ...

    async def read(self, owner: str) -> Mapping[str, Entry] | None:
        """Its entries that are ours; None if it cannot be had."""
        ...

    async def write(self, owner: str, entry: Entry, *, is_new: bool) -> bool:
        """Put it there; whether it was done."""
        ...

    def offer(self, owner: str, entries: Sequence[Entry], *, is_new: bool) -> None:
        """Tell the owner's clients of them (XEP-0144)."""
        ...

    def ask(self, owner: str, contact: str) -> None:
        """Ask for the owner's presence, under the contact's name."""
        ...

    async def appear(self, owner: str, contact: str) -> None:
        """Show the contact anew. Raises `StoreUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """A contact that is not as its owner was told last.

    `asks`: somebody has named it for this owner himself. `is_added`: he has put it into his list, and we did not.
    """

    contact: str
    face: Face
    told: Introduced | None
    asks: bool
    is_added: bool

    @property
    def is_renamed(self) -> bool:
        return bool(self.face.name) and (self.told is None or self.told.name != self.face.name)

    @property
    def is_new(self) -> bool:
        """Whether he has not heard of this contact yet."""
        return self.told is None and not self.is_added

    @property
    def entry(self) -> Entry:
        return Entry(contact=self.contact, name=self.face.name, groups=(GROUP,))


class Introducing:
    """The one loop that does it."""

    def __init__(self, desk: Desk, bell: Bell, faces: Faces, shelf: Callable[[], Shelf], lists: ContactList) -> None:
        self._desk = desk
        self._bell = bell
        self._faces = faces
        self._shelf = shelf
        self._lists = lists
        self._wait = LOOK_AGAIN

    async def run(self) -> None:
        while True:
            self._desk.pulse.rest("introducing")
            await self._lists.ready()
            self._desk.pulse.beat("introducing", TURN)
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
                self._wait = AFTER_FAULT
            await self._bell.wait(self._wait)
            await asyncio.sleep(A_MOMENT)

    async def look(self) -> None:
        """Tell each owner what has changed for him. Raises `StoreUnavailable`."""
        self._wait = LOOK_AGAIN
        owners = {owner for line in self._desk.rules().directory for owner in line.owners}
        for owner in sorted(owners):
            if news := await self._news_for(owner):
                told = await self._tell(owner, news)
                await self._desk.database.run(names.introduce, self._desk.now(), told)

    async def _news_for(self, owner: str) -> list[_News]:
        rules = self._desk.rules()
        told = {one.contact: one for one in await self._desk.database.run(names.introduced_to, owner)}
        texted = await self._desk.database.run(names.conversations_of, owner)
        added = self._contacts_in(await self._desk.database.run(watchers.seen_by, owner))
        shelf, named = self._shelf(), set(self._faces.named_by(owner))
        # Who is not in a book any more, and whose book could not be read, look alike: only one's own word counts then.
        is_whole = not any(book.is_for(owner) for book in shelf.missing)
        listed = set(_peers(shelf.address_books, owner)) if is_whole else set()
        named |= set(_peers(shelf.named, owner)) if is_whole else set()
        ours = named | (listed if rules.roster is Roster.ALL else listed & texted.keys())
        news = []
        for n, peer in enumerate(sorted(ours | (listed & added.keys()))):
            if n % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # others have their turn: a book may have thousands
            face, own = self._faces.face(owner, peer), self._contact(owner, peer, texted.get(peer))
            for contact in dict.fromkeys([*([own] if peer in ours else []), *added.get(peer, ())]):
                asks, is_added = contact == own and peer in named, contact != own or peer not in ours
                one = _News(contact=contact, face=face, told=told.get(contact), asks=asks, is_added=is_added)
                known = one.told.photo if one.told else ""
                if one.is_renamed or (face.sha1 != known and (face.is_whole or face.sha1)):
                    news.append(one)
        return news

    def _contact(self, owner: str, peer: Peer, bound: Did | None) -> str:
        """From where its texts come; one that has not begun yet goes over the owner's first line."""
        rules, did = self._desk.rules(), None
        if rules.address_style is AddressStyle.WITH_DID:
            lines = [line.did for line in rules.directory.lines_of(owner)]
            did = bound if bound in lines else lines[0]
        return to_localpart(Address(peers=(peer,), did=did))

    def _contacts_in(self, numbers: Iterable[str]) -> Mapping[Peer, Sequence[str]]:
        """By whom they reach, the contacts of ours among these JIDs."""
        found: dict[Peer, list[str]] = {}
        for localpart, _, domain in (number.rpartition("@") for number in numbers):
            with contextlib.suppress(Refused):
                address = parse_localpart(localpart) if localpart and domain == self._desk.domain else None
                if address is not None and not address.is_group:
                    found.setdefault(address.peers[0], []).append(localpart)
        return found

    async def _tell(self, owner: str, news: Sequence[_News]) -> list[Introduced]:
        """What the owner knows now."""
        renamed = [one for one in news if one.is_renamed]
        done: Collection[str] = [one.contact for one in renamed]
        if renamed and self._desk.rules().roster is not Roster.OFF:
            done = await self._list(owner, renamed)
        told = []
        for one in news:
            before = one.told.name if one.told else ""
            if one.is_renamed and one.contact not in done:
                continue
            await self._lists.appear(owner, one.contact)
            name = one.face.name or before
            told.append(Introduced(owner=owner, contact=one.contact, name=name, photo=one.face.sha1))
        return told

    async def _list(self, owner: str, renamed: Sequence[_News]) -> list[str]:
        """The contacts that the list has now, or need not have."""
        may_keep = self._lists.may_keep(owner)
        if may_keep is None:
            self._wait = min(self._wait, A_MOMENT)
            return []
        if not may_keep:
            for is_new in (True, False):
                entries = [one.entry for one in renamed if one.is_new is is_new]
                if entries:
                    self._lists.offer(owner, entries, is_new=is_new)
            for one in renamed:
                if one.asks and one.is_new:
                    self._lists.ask(owner, one.contact)
            return [one.contact for one in renamed]
        there = await self._lists.read(owner)
        kept = []
        if there is not None:
            kept = [one.contact for one in renamed if await self._keep(owner, one, there.get(one.contact))]
        if len(kept) < len(renamed):
            self._wait = min(self._wait, AFTER_FAULT)
        return kept

    async def _keep(self, owner: str, one: _News, entry: Entry | None) -> bool:
        if entry is None:
            return not one.is_new or await self._lists.write(owner, one.entry, is_new=True)
        if entry.name == one.face.name or entry.name not in {"", one.told.name if one.told else ""}:
            return True
        kept = Entry(contact=one.contact, name=one.face.name, groups=entry.groups)
        return await self._lists.write(owner, kept, is_new=False)


def _peers(books: Iterable[Book], owner: str) -> Iterable[Peer]:
    return (peer for book in books if book.is_for(owner) for peer in book.peers())
