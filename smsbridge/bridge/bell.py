"""A bell: rung by who made work, waited for by who does it. A ring while nobody listens is kept."""

import asyncio
import contextlib


class Bell:
    """For one listener. Only a hint: who waits looks again when the time is up."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()
