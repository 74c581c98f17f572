"""Builds what knows names and shows them, and runs it: a part of the composition root."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from smsbridge.bridge import naming
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.introducing import ContactList, Introducing
from smsbridge.bridge.naming import Faces
from smsbridge.config import Config
from smsbridge.contacts.carddav import Account, open_session
from smsbridge.contacts.cards import picture_of
from smsbridge.contacts.kept import Keeper, Source
from smsbridge.contacts.library import Library
from smsbridge.core.address import region_of
from smsbridge.core.faces import LARGEST_PICTURE, PICTURES, Picture, Shelf
from smsbridge.media.convert import Converter, Limit, Unconvertible, can_convert

LOOK_AGAIN: Final = 3600.0  # seconds between looks into address books
TURN: Final = 7200.0
PIXELS: Final = 320 * 320


async def open_contacts(desk: Desk, config: Callable[[], Config]) -> "ContactsRoom":
    """The room, with what is known already: names that owners gave, and books as they were read last.

    Raises `StoreUnavailable`.
    """
    room = ContactsRoom(desk, config)
    await room.recall()
    return room


class ContactsRoom:
    """Names and faces of one bridge."""

    def __init__(self, desk: Desk, config: Callable[[], Config]) -> None:
        self._desk = desk
        self._changed, self._reread = Bell(), Bell()
        self._library = Library(
            lambda: _sources(config()), Keeper(config().store.contacts_directory), shrink=shrinking()
        )
        self._books = Shelf()
        self.faces = Faces(desk, self._shelf)

    async def recall(self) -> None:
        """What is known before anything is looked at. Raises `StoreUnavailable`."""
        await self._library.recall()
        self._put_up()
        await self.faces.refresh()

    async def follow(self, command: str) -> None:
        """After a command: what it has named is known at once, and shown soon. Raises `StoreUnavailable`."""
        if command == naming.NAME:
            await self.faces.refresh()
            self._changed.ring()

    def reload(self) -> None:
        """The configuration may be another."""
        self._reread.ring()

    async def run(self, lists: ContactList) -> None:
        """Until it is cancelled."""
        introducing = Introducing(self._desk, self._changed, self.faces, self._shelf, lists)
        async with open_session() as session, asyncio.TaskGroup() as group:
            group.create_task(introducing.run())
            while True:
                self._desk.pulse.beat("contacts", TURN)
                await self._library.look(session)
                self._put_up()
                self._changed.ring()
                await self._reread.wait(LOOK_AGAIN)

    def _put_up(self) -> None:
        self._books = Shelf(address_books=self._library.books(), missing=self._library.missing())

    def _shelf(self) -> Shelf:
        return replace(self._books, named=self._desk.rules().named)


def shrinking() -> Callable[[bytes], Awaitable[Picture | None]]:
    """What makes a picture fit for a card, in the child process that does it for texts as well."""
    converter, can = Converter(), can_convert()
    limit = Limit(bytes=LARGEST_PICTURE, kinds=PICTURES, pixels=PIXELS)

    async def shrink(large: bytes) -> Picture | None:
        if not can:
            return None
        try:
            small = await converter.fit(large, limit=limit)
        except Unconvertible:
            return None
        return picture_of(small.content)

    return shrink


def _sources(config: Config) -> Mapping[str, Source]:
    numbers = [did for dids in config.jids.values() for did in dids]
    usual = region_of(numbers[0]) if numbers else "US"
    return {
        name: Source(
            file=book.file,
            account=Account(
                url=book.url,
                username=book.username or "",
                password=book.password.get_secret_value() if book.password else "",
            )
            if book.url
            else None,
            owners=book.owners,
            region=book.region or usual,
        )
        for name, book in config.address_books.items()
    }
