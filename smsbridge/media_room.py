"""Builds what moves attachments, and runs it: a part of the composition root."""

import random

from smsbridge.bridge.attachments import Attachments
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.config import Config
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import open_courier
from smsbridge.xmpp.component import Component
from smsbridge.xmpp.upload import UploadService


async def move_attachments(config: Config, desk: Desk, bell: Bell, component: Component) -> None:
    """Until it is cancelled."""
    async with open_courier(config.media.near) as courier:
        shelf = UploadService(
            asking=component.asking,
            is_up=lambda: component.is_up,
            jid=desk.domain,
            server=config.xmpp.ping,
            courier=courier,
            clock=desk.clock,
        )
        await Attachments(desk, bell, courier, shelf, Drawer(config.store.media_directory), roll=random.random).run()
