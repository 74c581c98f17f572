"""Names that owners give to numbers, by a command, each for himself; and who is called what, for whoever shows it.

A name is committed first and known then: `Faces` keeps all of them in memory (they are few) and reads them anew after
each commit that changed one, before its writer is answered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Address, Peer, parse_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.faces import Book, Face, Shelf, face_in
from smsbridge.core.text import clean_name
from smsbridge.core.words.say import Say, Words
from smsbridge.store import names
from smsbridge.store.database import Transaction
from smsbridge.store.names import Named

NAME: Final = "name"
MOST_NAMES: Final = 1000  # of one owner


def call(desk: Desk, owner: str, number: str, wanted: str) -> Transaction[Words]:
    """Let a number have this name for this owner, or none (""). What is said; raises `Refused`."""
    peer = _peer_of(number)
    if not wanted.strip():
        yield from names.drop(owner, peer)
        return Say.NAME_DROPPED(peer=peer)
    name = clean_name(wanted)
    if not name:
        raise Refused(Reason.BAD_ADDRESS, Say.NO_NAME())
    if not (yield from names.name_of(owner, peer)) and (yield from names.count(owner)) >= MOST_NAMES:
        raise Refused(Reason.OVER_CAP, Say.TOO_MANY_NAMES(most=MOST_NAMES))
    yield from names.put(desk.now(), Named(owner=owner, peer=peer, name=name))
    return Say.NAMED(peer=peer, name=name)


class Faces:
    """Who is called what, for whom. `shelf` has the books after an owner's own word."""

    def __init__(self, desk: Desk, shelf: Callable[[], Shelf]) -> None:
        self._desk = desk
        self._shelf = shelf
        self._own: Mapping[str, Book] = {}

    async def refresh(self) -> None:
        """Read the owners' own names anew. Raises `StoreUnavailable`."""
        own: dict[str, dict[Peer, Face]] = {}
        for named in await self._desk.database.run(names.all_names):
            own.setdefault(named.owner, {})[named.peer] = Face(name=named.name)
        self._own = {owner: Book(faces, [owner]) for owner, faces in own.items()}

    def face(self, owner: str, peer: Peer) -> Face:
        """How this owner sees the number."""
        shelf = self._shelf()
        face = face_in((*self._own_of(owner), *shelf.books), owner, peer)
        return replace(face, is_whole=False) if any(book.is_for(owner) for book in shelf.missing) else face

    def named_by(self, owner: str) -> Iterable[Peer]:
        """The numbers that he has named himself."""
        return (peer for book in self._own_of(owner) for peer in book.peers())

    def _own_of(self, owner: str) -> Sequence[Book]:
        return (self._own[owner],) if owner in self._own else ()


def _peer_of(number: str) -> Peer:
    try:
        address = _address_of(number)
    except Refused:
        raise Refused(Reason.BAD_ADDRESS, Say.NO_NUMBER_TO_NAME()) from None
    if address.is_group:
        raise Refused(Reason.BAD_ADDRESS, Say.NO_NUMBER_TO_NAME())
    return address.peers[0]


def _address_of(number: str) -> Address:
    try:
        return parse_localpart(number.partition("@")[0])
    except Refused as refused:
        if not refused.instead:
            raise
        return parse_localpart(refused.instead)
