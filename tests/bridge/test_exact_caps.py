"""A cap of ten is ten texts, however often the process is killed in the middle of them."""

import asyncio
import os
import random
import secrets
import signal
import sys
from contextlib import suppress

from smsbridge.core.message import ProviderName
from tests.fakes.waiting import PATIENCE

from .house import JOHN, House, Ticks

CAP, KILLS = 10, 20
LATEST = 0.003  # seconds into a text; it takes about half of that


class Spender:
    """The lives of `tests.bridge.spender`, and what they told."""

    def __init__(self, process):
        self._process = process
        self.told = []

    @classmethod
    async def start(cls, url):
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bridge.spender", url, str(CAP)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )

    async def live(self, name, until=None, delay=0.0):
        """One life; killed a moment after it began with its `until`th text."""
        self._process.stdin.write(f"{name}\n".encode())
        pid, tries = 0, 0
        while (words := (await self._process.stdout.readline()).decode().split())[0] != "dead":
            self.told.append(tuple(words))
            pid = int(words[1]) if words[0] == "born" else pid
            tries += words[0] == "try"
            if words[0] == "try" and tries == until:
                await asyncio.sleep(delay)  # the moment of the kill, not a condition
                os.kill(pid, signal.SIGKILL)

    async def end(self):
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


async def test_a_cap_of_ten_is_exactly_ten_across_twenty_kills(store_url):
    seed = secrets.randbelow(1_000_000)
    chance = random.Random(seed)  # noqa: S311  # to be played again
    spender = await Spender.start(store_url)
    try:
        async with asyncio.timeout(PATIENCE):
            for life in range(KILLS):
                await spender.live(f"life{life}", chance.randint(1, 2), chance.uniform(0, LATEST))
            await spender.live("last")
    finally:
        await spender.end()
    house = await House.open(store_url, Ticks(), "auditor")
    stored = [row["stanza_id"] for row in await house.rows("SELECT stanza_id FROM message")]
    counters = await house.rows("SELECT scope, used FROM cap_counter")
    parts = await house.rows("SELECT id FROM outbox WHERE provider = $1", ProviderName("scripted"))
    await house.store.close()
    assert sum(words[0] == "born" for words in spender.told) == KILLS + 1, seed
    assert len(stored) == len(set(stored)) == len(parts) == CAP, seed
    assert counters == [{"scope": f"per_owner/day/{JOHN}", "used": CAP}], seed
    accepted = {words[1] for words in spender.told if words[0] == "accepted"}
    refused = {words[1] for words in spender.told if words[0] == "refused"}
    assert accepted <= set(stored), seed
    assert not refused & set(stored), seed
    assert sum(words[0] == "refused" and words[1].startswith("last") for words in spender.told) >= 90, seed
