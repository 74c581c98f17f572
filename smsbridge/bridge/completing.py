"""Ask a carrier for the files of an MMS that was told without any: its callback may have been ahead of them.

    told without files ─▶ 5, 30 and 120 seconds later: has the carrier files of it? ─▶ the same door, as a repeat

Only this life remembers it, and not without limit: the poller asks as well, when it sees the text in the list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from smsbridge.bridge.pacer import Pacer, Rank
from smsbridge.core.errors import Outcome as Refusal
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Event as Told
from smsbridge.core.message import InboundMessage, Kind, ProviderName, Source
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Polled, Provider

PAUSES: Final = (5.0, 25.0, 90.0)  # seconds
MOST: Final = 200  # texts at once

Door = Callable[[Sequence[Told]], Awaitable[object]]

_log = Log("completing")


class Completing:
    """`expect` says what lacks files, `run` looks for them."""

    def __init__(
        self,
        providers: Mapping[ProviderName, Provider],
        pacers: Mapping[ProviderName, Pacer],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._asked = {name: provider for name, provider in providers.items() if isinstance(provider, Polled)}
        self._pacers = pacers
        self._pause = pause
        self._expected = asyncio.Queue[InboundMessage](MOST)
        self._open: set[asyncio.Task[None]] = set()

    def expect(self, message: InboundMessage) -> None:
        """There may be files of this text, if it is an MMS that came without any."""
        is_bare = message.kind is Kind.MMS and not message.media and message.source is not Source.POLL
        if is_bare and message.provider_id and message.provider in self._asked and not self._expected.full():
            self._expected.put_nowait(message)

    async def run(self, take: Door) -> None:
        """Until it is cancelled; `take` is the door for what comes in."""
        async with asyncio.TaskGroup() as group:
            while True:
                message = await self._expected.get()
                if len(self._open) < MOST:
                    task = group.create_task(self.complete(message, take))
                    self._open.add(task)
                    task.add_done_callback(self._open.discard)

    async def complete(self, message: InboundMessage, take: Door) -> None:
        """Until its files are found, or it was asked often enough. Raises nothing."""
        for pause in PAUSES:
            await self._pause(pause)
            try:
                async with self._pacers[message.provider].listing(Rank.POLL):
                    found = await self._asked[message.provider].media_of(message)
                if found:
                    await take([message._replace(media=tuple(found))])
                    return
            except (Refusal, StoreUnavailable) as error:
                _log.warning(Event.POLL_FAILED, provider=message.provider, code=getattr(error, "code", "store"))
            except Exception as error:  # noqa: BLE001 - an answer that we cannot read must not end the others
                _log.crash(Event.POLL_FAILED, error, provider=message.provider)
