"""Builds what knows names and shows them, and runs it: a part of the composition root."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from smsbridge.bridge import naming
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.introducing import ContactList, Introducing
from smsbridge.bridge.naming import Faces
from smsbridge.config import Config
from smsbridge.contacts.carddav import Account, open_session
from smsbridge.contacts.library import Library, Source
from smsbridge.core.address import region_of
from smsbridge.core.faces import Shelf

LOOK_AGAIN: Final = 3600.0  # seconds between looks into address books
TURN: Final = 7200.0


async def open_contacts(desk: Desk, config: Callable[[], Config]) -> "ContactsRoom":
    """The room, with the names that owners have given. Raises `StoreUnavailable`."""
    room = ContactsRoom(desk, config)
    await room.faces.refresh()
    return room


class ContactsRoom:
    """Names and faces of one bridge."""

    def __init__(self, desk: Desk, config: Callable[[], Config]) -> None:
        self._desk = desk
        self._config = config
        self._books = Shelf()
        self._changed, self._reread = Bell(), Bell()
        self.faces = Faces(desk, lambda: self._shelf().books)

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
            library = Library(lambda: _sources(self._config()), session)
            self._books = Shelf(missing=library.missing())
            group.create_task(introducing.run())
            while True:
                self._desk.pulse.beat("contacts", TURN)
                await library.look()
                self._books = Shelf(address_books=library.books(), missing=library.missing())
                self._changed.ring()
                await self._reread.wait(LOOK_AGAIN)

    def _shelf(self) -> Shelf:
        return replace(self._books, named=self._desk.rules().named)


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
