"""Waiting for what nobody tells us about: another process, or the inside of an object."""

import asyncio

# Seconds. It ends what hangs and says nothing of speed: what a busy machine takes is its own affair.
PATIENCE = 60.0


async def until(holds, seconds=PATIENCE):
    """Return when `holds()` is true; `TimeoutError` if that takes too long."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
