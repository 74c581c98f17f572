"""Who is called what, and by whom: names and pictures that an owner sees, and nobody else of the same number.

    an owner's own word ─▶ what the configuration says for him ─▶ for all ─▶ address books, in their order

The name and the picture are looked for each by itself: a name of one's own does not hide the picture of a book.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from smsbridge.core.address import Peer

LARGEST_PICTURE = 40 * 1024  # bytes; in base64, and with what stands around it, it is to fit into one stanza
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


class Roster(StrEnum):
    """Which numbers are put into contact lists.

    `auto`: those that their owner or the configuration has named, and of address books those with a conversation;
    `all`: whoever has a name.
    """

    AUTO = "auto"
    ALL = "all"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`kind` is a media type of `PICTURES`."""

    kind: str
    data: bytes = field(repr=False)
    sha1: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha1", sha1_of(self.data))


def sha1_of(data: bytes) -> str:
    """As XEP-0153, 4.1 and XEP-0084, 4 have it: it tells one picture from another, no more."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How somebody is shown; "" and None are unknown. Not `is_whole`: a book that may say more was never read."""

    name: str = field(default="", repr=False)
    picture: Picture | None = None
    is_whole: bool = True

    @property
    def sha1(self) -> str:
        """Of the picture; "" without one."""
        return self.picture.sha1 if self.picture else ""


NOBODY = Face()


class Book:
    """Faces for one, for some, or (`owners` None) for all owners. Immutable."""

    def __init__(self, faces: Mapping[Peer, Face], owners: Iterable[str] | None = None) -> None:
        self._faces = dict(faces)
        self._owners = None if owners is None else frozenset(owners)

    def is_for(self, owner: str) -> bool:
        return self._owners is None or owner in self._owners

    def face(self, peer: Peer) -> Face:
        return self._faces.get(peer, NOBODY)

    def peers(self) -> Iterable[Peer]:
        return self._faces.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The books: `named` by the configuration, and address books. `missing` stand for those that were never read."""

    named: tuple[Book, ...] = ()
    address_books: tuple[Book, ...] = ()
    missing: tuple[Book, ...] = ()

    @property
    def books(self) -> tuple[Book, ...]:
        """Those that can be asked, in their order."""
        return (*self.named, *self.address_books)


def face_in(books: Iterable[Book], owner: str, peer: Peer) -> Face:
    """What the first book that knows it says of the name, and the first that has one of the picture."""
    name, picture = "", None
    for book in books:
        if book.is_for(owner):
            face = book.face(peer)
            name, picture = name or face.name, picture or face.picture
    return Face(name=name, picture=picture)
