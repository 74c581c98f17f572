"""Builds what moves attachments, and runs it: a part of the composition root."""

import random
from functools import partial

from smsbridge.bridge.attachments import Attachments
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.room import Room, free_beside
from smsbridge.bridge.shelves import MOST_SERVED, OwnShelf, Shelves
from smsbridge.config import Config
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import open_courier
from smsbridge.xmpp.component import Component
from smsbridge.xmpp.upload import UploadService


def build_own_shelf(config: Config, desk: Desk) -> OwnShelf:
    """Our own door's files, beside the database."""
    directory = config.store.served_directory
    room = Room(partial(free_beside, directory), config.store.min_free, desk.clock)
    return OwnShelf(desk, Drawer(directory, MOST_SERVED), room.is_there)


async def move_attachments(config: Config, desk: Desk, bell: Bell, component: Component, own: OwnShelf) -> None:
    """Until it is cancelled."""
    async with open_courier(config.media.near) as courier:
        service = UploadService(
            asking=component.asking,
            is_up=lambda: component.is_up,
            jid=desk.domain,
            server=config.xmpp.ping,
            courier=courier,
            clock=desk.clock,
        )
        shelves = Shelves(
            lambda: desk.rules().publishing.how,
            upload=lambda _, file, name: service.leave(file, name),
            own=own.leave,
        )
        await Attachments(desk, bell, courier, shelves, Drawer(config.store.media_directory), roll=random.random).run()
