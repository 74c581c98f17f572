"""What asks every half second whether the bridge is ready, as a monitor does; each answer is a commit of its lease."""

import asyncio
import contextlib

import aiohttp

from smsbridge.sim.xmpp_server import LOOPBACK

GAP_SECONDS = 0.5


async def probe(port: int) -> None:
    """Until cancelled; a bridge that is dead or stands still is asked again."""
    timeout = aiohttp.ClientTimeout(total=2.0)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"http://{LOOPBACK}:{port}/readyz") as answer:
                    await answer.read()
            await asyncio.sleep(GAP_SECONDS)
