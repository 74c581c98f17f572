"""The address books in force: read at the start, after a reload, and every hour.

A book that cannot be read any more stays as it was read last, over restarts as well (`kept`). Of one that never could
be, nothing is known, and what its owners were told stands. The journal hears of a failure when it begins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from smsbridge.contacts import carddav, cards
from smsbridge.contacts.carddav import Unread
from smsbridge.contacts.cards import Card
from smsbridge.contacts.kept import Keeper, Kept, Source
from smsbridge.core.faces import Book, Picture, sha1_of
from smsbridge.log import Event, Log

LARGEST_FILE: Final = carddav.LARGEST

_log = Log("contacts")


Shrink = Callable[[bytes], Awaitable[Picture | None]]


class Library:
    """The books, by the names that the administrator gave them. `sources` are those of now, in their order.

    `shrink` makes a picture smaller, if it can.
    """

    def __init__(
        self,
        sources: Callable[[], Mapping[str, Source]],
        keeper: Keeper,
        shrink: Shrink,
    ) -> None:
        self._sources = sources
        self._keeper = keeper
        self._shrink = shrink
        self._read: dict[str, Kept] = {}
        self._failing: dict[str, str] = {}

    async def recall(self) -> None:
        """What was read before this process began."""
        for name, source in self._sources().items():
            if kept := await asyncio.to_thread(self._keeper.load, name, source):
                self._read[name] = kept

    def books(self) -> tuple[Book, ...]:
        """Those that were read, as far as they are in force still."""
        return tuple(one.book for one in self._in_force().values())

    def missing(self) -> tuple[Book, ...]:
        """One without faces for each that was never read."""
        there = self._in_force()
        return tuple(Book({}, source.owners) for name, source in self._sources().items() if name not in there)

    async def look(self, session: aiohttp.ClientSession) -> None:
        """Read what has changed."""
        sources = self._sources()
        self._read = self._in_force()
        await asyncio.to_thread(self._keeper.drop_others, frozenset(sources))
        for name, source in sources.items():
            try:
                await self._look(name, source, session)
            except Unread as unread:
                if self._failing.get(name) != str(unread):
                    _log.warning(Event.BOOK_FAILED, book=name, why=str(unread))
                self._failing[name] = str(unread)
            else:
                self._failing.pop(name, None)

    def _in_force(self) -> dict[str, Kept]:
        """A book of another place, or for others, is another book."""
        sources = self._sources()
        return {name: self._read[name] for name, source in sources.items()
                if name in self._read and self._read[name].source == source}  # fmt: skip

    async def _look(self, name: str, source: Source, session: aiohttp.ClientSession) -> None:
        known = self._read[name].tag if name in self._read else ""
        if source.account is not None:
            fetched = await carddav.fetch(session, source.account, known)
            data, tag = (fetched.cards, fetched.tag) if fetched else (None, known)
        else:
            data, tag = await asyncio.to_thread(_read_file, source.file or Path(), known)
        if data is None:
            return
        found = await asyncio.to_thread(lambda: list(cards.read(data)))
        before = self._read[name].made if name in self._read else {}
        made: dict[str, Picture] = {}
        found = [await self._with_picture(card, before, made) if card.large else card for card in found]
        faces = await asyncio.to_thread(cards.faces, found, source.region)
        kept = self._read[name] = Kept(source=source, tag=tag, faces=faces, made=made)
        await asyncio.to_thread(self._keeper.save, name, kept)
        _log.info(Event.BOOK_READ, book=name, numbers=len(faces))

    async def _with_picture(self, card: Card, before: Mapping[str, Picture], made: dict[str, Picture]) -> Card:
        """The card with its picture made small, now or when it was read last."""
        sha1 = sha1_of(card.large)
        picture = made.get(sha1) or before.get(sha1) or await self._shrink(card.large)
        if picture is None:
            return card
        made[sha1] = picture
        return replace(card, picture=picture)


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
