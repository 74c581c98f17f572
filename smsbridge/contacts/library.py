"""The address books in force: read at the start, after a reload, and every hour.

A book that cannot be read any more stays as it was read last. Of one that never could be, nothing is known, and what
its owners were told stands. The journal hears of a failure when it begins and when it ends.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from smsbridge.contacts import carddav, cards
from smsbridge.contacts.carddav import Account, Unread
from smsbridge.core.address import Peer
from smsbridge.core.faces import Book, Face
from smsbridge.log import Event, Log

LARGEST_FILE: Final = carddav.LARGEST

_log = Log("contacts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a book is (a file, or an account), who sees it (None: every owner), and the country of its numbers."""

    file: Path | None = None
    account: Account | None = None
    owners: tuple[str, ...] | None = None
    region: str = "US"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    source: Source
    faces: Mapping[Peer, Face] = field(repr=False)
    book: Book
    tag: str


class Library:
    """The books, by the names that the administrator gave them. `sources` are those of now, in their order."""

    def __init__(self, sources: Callable[[], Mapping[str, Source]], session: aiohttp.ClientSession) -> None:
        self._sources = sources
        self._session = session
        self._read: dict[str, _Read] = {}
        self._failing: dict[str, str] = {}

    def books(self) -> tuple[Book, ...]:
        """Those that were read, as far as they are in force still."""
        return tuple(one.book for one in self._in_force().values())

    def missing(self) -> tuple[Book, ...]:
        """One without faces for each that was never read."""
        there = self._in_force()
        return tuple(Book({}, source.owners) for name, source in self._sources().items() if name not in there)

    async def look(self) -> None:
        """Read what has changed."""
        sources = self._sources()
        self._read = self._in_force()
        for name, source in sources.items():
            try:
                await self._look(name, source)
            except Unread as unread:
                if self._failing.get(name) != str(unread):
                    _log.warning(Event.BOOK_FAILED, book=name, why=str(unread))
                self._failing[name] = str(unread)
            else:
                self._failing.pop(name, None)

    def _in_force(self) -> dict[str, _Read]:
        """A book of another place, or for others, is another book."""
        sources = self._sources()
        return {name: self._read[name] for name, source in sources.items()
                if name in self._read and self._read[name].source == source}  # fmt: skip

    async def _look(self, name: str, source: Source) -> None:
        known = self._read[name].tag if name in self._read else ""
        if source.account is not None:
            fetched = await carddav.fetch(self._session, source.account, known)
            data, tag = (fetched.cards, fetched.tag) if fetched else (None, known)
        else:
            data, tag = await asyncio.to_thread(_read_file, source.file or Path(), known)
        if data is None:
            return
        faces = await asyncio.to_thread(lambda: cards.faces(cards.read(data), source.region))
        self._read[name] = _Read(source=source, faces=faces, book=Book(faces, source.owners), tag=tag)
        _log.info(Event.BOOK_READ, book=name, numbers=len(faces))


def _read_file(path: Path, known: str) -> tuple[bytes | None, str]:
    """The file and its tag; None if it is as it was. Raises `Unread`."""
    try:
        with path.open("rb") as file:
            status = path.stat()
            tag = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
            if tag == known:
                return None, known
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise Unread(f"the file cannot be read ({type(error).__name__})") from None
    if len(data) > LARGEST_FILE:
        raise Unread(f"the file is larger than {LARGEST_FILE >> 20} MiB")
    return data, tag
