"""Two bridges on one PostgreSQL: one works, the other stands by, and nobody notices who it is."""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from smsbridge.sim.client import Client
from smsbridge.sim.postgres import Postgres
from smsbridge.sim.prosody import Prosody
from smsbridge.sim.stage import DID, PEER, QUERY_KEY, bridge_yaml
from tests.fakes.waiting import PATIENCE
from tests.scenarios.running import Running

LOOPBACK = "127.0.0.1"
# What is written to by standing by and by holding on, and by nothing else.
WITHOUT_LEASES = "SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM inbox), (SELECT max(id) FROM delivery)"

# Whoever did not let go of it has it for ten seconds more.
LET_GO = "SELECT until = 0 OR epoch > 1 FROM lease"

UNHANDED = "SELECT count(*) FROM delivery WHERE state <> 'handed'"


class Nodes:
    """The bridges of a test, and those who talk to them."""

    def __init__(self, postgres: Postgres, prosody: Prosody, stack: AsyncExitStack, config: Path) -> None:
        self.postgres = postgres
        self.prosody = prosody
        self._stack = stack
        self._config = config

    async def start(self) -> Running:
        return await self._stack.enter_async_context(await Running.start(self._config))

    async def start_both(self) -> tuple[Running, Running, int]:
        """The one that works, the one that stands by, and the port of the first."""
        first = await self.start()
        port = await working(first)
        second = await self.start()
        assert (await second.said("standing_by"))["name"] == "sms.example.com"
        return first, second, port

    async def text(self, port: int, words: str) -> int:
        """The carrier's callback: the status."""
        query = {"key": QUERY_KEY, "from": PEER, "to": DID, "message": words, "id": str(abs(hash(words)))}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
            session.get(f"http://{LOOPBACK}:{port}/voipms?{urlencode(query)}") as answer,
        ):
            return answer.status

    async def told(self) -> str:
        return await self.postgres.execute(WITHOUT_LEASES, database="copied")

    async def settled(self) -> str:
        """What is told once all that was taken is handed: then nobody has anything to write."""
        async with asyncio.timeout(PATIENCE):
            while await self.postgres.execute(UNHANDED, database="copied") != "0":
                pass
        return await self.told()


async def working(bridge: Running) -> int:
    """Its port, once its stream is open."""
    port = (await bridge.said("service_started"))["public_port"]
    await bridge.said("stream_opened")
    return int(port)


@pytest.fixture
async def nodes(postgres, copied_postgres, tmp_path):
    async with AsyncExitStack() as stack:
        prosody = await stack.enter_async_context(Prosody())
        prosody.add_account("alice", "alice-pw")
        config = tmp_path / "config.yaml"
        text = bridge_yaml(
            component_jid=prosody.component_jid,
            component_port=prosody.component_port,
            secret=prosody.component_secret,
            api_url=f"http://{LOOPBACK}:9/",
            public_port=0,
            database=tmp_path / "none.db",
            owners={"alice": (DID,)},
            extra="log: {format: json}\n",
        )
        config.write_text(text.replace(f"sqlite:///{tmp_path}/none.db", copied_postgres))
        yield Nodes(postgres, prosody, stack, config)


@pytest.fixture
async def alice(nodes):
    async with await Client.login("alice@example.com", "alice-pw", port=nodes.prosody.c2s_port) as client:
        yield client


async def test_when_one_is_killed_the_other_takes_over_and_delivers_what_the_first_had_accepted(nodes):
    first, second, port = await nodes.start_both()
    await nodes.prosody.kill()
    await first.said("stream_lost")
    assert await nodes.text(port, "accepted by the first") == 200
    first.signal(signal.SIGKILL)
    await nodes.prosody.restart()
    assert (await second.said("lease_taken"))["epoch"] == 2
    port = await working(second)
    async with await Client.login("alice@example.com", "alice-pw", port=nodes.prosody.c2s_port) as alice:
        assert (await alice.next(lambda stanza: bool(stanza.body))).body == "accepted by the first"
        assert await nodes.text(port, "accepted by the second") == 200
        assert (await alice.next(lambda stanza: bool(stanza.body))).body == "accepted by the second"


async def test_one_that_was_paused_past_its_lease_writes_nothing_more_and_ends(nodes, alice):
    first, second, port = await nodes.start_both()
    first.signal(signal.SIGSTOP)
    await second.said("lease_taken")
    second_port = await working(second)
    assert await nodes.text(second_port, "from the second") == 200
    assert (await alice.next(lambda stanza: bool(stanza.body))).body == "from the second"
    before = await nodes.settled()
    first.signal(signal.SIGCONT)
    with suppress(aiohttp.ClientError):  # or it has ended before it could refuse
        assert await nodes.text(port, "too late") >= 500
    assert await first.ended() == 1
    assert any('"lease_lost"' in line for line in first.journal)
    assert await nodes.told() == before
    assert second.is_alive
    assert await nodes.text(second_port, "still here") == 200
    assert (await alice.next(lambda stanza: bool(stanza.body))).body == "still here"


async def test_one_that_stops_in_order_hands_over_at_once(nodes, alice):
    first, second, _ = await nodes.start_both()
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    assert await nodes.postgres.execute(LET_GO, database="copied") == "t"
    await second.said("lease_taken")
    assert await nodes.text(await working(second), "hello") == 200
    assert (await alice.next(lambda stanza: bool(stanza.body))).body == "hello"


async def test_one_that_stands_by_ends_when_it_is_told_to(nodes):
    first, second, _ = await nodes.start_both()
    second.signal(signal.SIGTERM)
    assert await second.ended() == 0
    assert first.is_alive
    assert not any('"service_started"' in line for line in second.journal)
