"""Builds what moves files, in and out, and runs it: a part of the composition root."""

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from smsbridge.bridge.attachments import Attachments
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.enclosures import Enclosures
from smsbridge.bridge.room import Room, free_beside
from smsbridge.bridge.shelves import MOST_SERVED, OwnShelf, Shelves, TriedShelf
from smsbridge.config import Config
from smsbridge.core.message import ProviderName
from smsbridge.media.convert import Converter
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Courier, Fault, File, NotMoved, open_courier, origin_of
from smsbridge.providers.contract import Capabilities
from smsbridge.xmpp.component import Component
from smsbridge.xmpp.upload import UploadService

TRY_SECONDS: Final = 20.0


def build_own_shelf(config: Config, desk: Desk) -> OwnShelf:
    """Our own door's files, beside the database."""
    directory = config.store.served_directory
    room = Room(partial(free_beside, directory), config.store.min_free, desk.clock)
    return OwnShelf(desk, Drawer(directory, MOST_SERVED), room.is_there)


class MediaRoom:
    """What others need of it is there from the start; `run` needs the rest of the house."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._in, self._out = Bell(), Bell()
        self._outgoing = Drawer(config.store.outgoing_directory)
        self._service: UploadService | None = None

    def ring(self) -> None:
        """There may be something to move."""
        self._in.ring()
        self._out.ring()

    def uploads(self) -> frozenset[str]:
        """From where users' own uploads are had, as far as is known."""
        return frozenset() if self._service is None else self._service.known()

    async def load(self, file_id: str) -> File | None:
        """The bytes of a file that goes out."""
        return await self._outgoing.get(file_id)

    async def run(
        self, desk: Desk, component: Component, own: OwnShelf,
        capabilities: Callable[[], Mapping[ProviderName, Capabilities]],
    ) -> None:  # fmt: skip
        """Until it is cancelled."""
        config = self._config
        async with open_courier(config.media.near) as courier, asyncio.TaskGroup() as group:
            self._service = UploadService(
                asking=component.asking,
                is_up=lambda: component.is_up,
                jid=desk.domain,
                server=config.xmpp.ping,
                courier=courier,
                clock=desk.clock,
            )
            service = self._service
            shelves = Shelves(
                lambda: desk.rules().publishing.how,
                upload=lambda _, file, name: service.leave(file, name),
                own=TriedShelf(desk, own, partial(_fetch, courier)).leave,
            )
            incoming = Drawer(config.store.media_directory)
            attachments = Attachments(desk, self._in, courier, shelves, incoming, roll=random.random)
            enclosures = Enclosures(
                desk, self._out, courier, service, self._outgoing, Converter(), capabilities, roll=random.random
            )
            group.create_task(attachments.run())
            group.create_task(enclosures.run())
            # a message that is nothing but a link may come at once, and the server can be asked from now on
            await component.opened()
            self._out.ring()


async def _fetch(courier: Courier, link: str) -> File:
    """A link of ours, as somebody else would."""
    try:
        place = origin_of(link)
    except ValueError:
        raise NotMoved(Fault.URL) from None
    return await courier.get(link, {place}, seconds=TRY_SECONDS)
