"""The composition of what shows how numbers are: a part of the composition root."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from smsbridge.bridge.desk import Desk
from smsbridge.bridge.outlooks import Outlooks
from smsbridge.rules_book import RulesBook
from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.blocking import Blocking
from smsbridge.xmpp.caps import Profile, ProfileOf
from smsbridge.xmpp.disco import profile_of
from smsbridge.xmpp.presence import Look
from smsbridge.xmpp.showing import Showing


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceRoom:
    """`profile`: what a localpart can do, as it is configured at the moment."""

    outlooks: Outlooks
    showing: Showing
    blocking: Blocking
    profile: ProfileOf

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outlooks.run())
            group.create_task(self.showing.run())


async def open_presence(
    desk: Desk, book: RulesBook, asking: Asking, send: Callable[[bytes], None], dress: Callable[[ET.Element], None]
) -> PresenceRoom:
    """The room, with how things stand: whoever is there already is shown that first, and not that all is well.

    `send` writes a stanza, or drops it while the stream is down; `dress` adds what a number is called. Raises
    `StoreUnavailable`.
    """

    def profile(localpart: str, jid: str) -> Profile:
        return profile_of(localpart, book.config.contact, desk.language_of(jid))

    outlooks = Outlooks(desk)
    await outlooks.look()
    showing = Showing(
        outlooks=outlooks,
        directory=lambda: book.rules().directory,
        look=Look(
            domain=desk.domain,
            profile=profile,
            language_of=desk.language_of,
            dress=dress,
        ),
        send=send,
    )
    blocking = Blocking(asking, showing.clients_of)
    return PresenceRoom(outlooks=outlooks, showing=showing, blocking=blocking, profile=profile)
