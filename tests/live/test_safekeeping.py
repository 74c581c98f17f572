"""Bridge and Prosody with mod_smsbridge, as processes that are killed: what users write leaves once."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from smsbridge.failpoints import VARIABLE
from smsbridge.log import Event
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.stage import API_PASSWORD, DID, PEER, bridge_yaml
from tests.canaries import demand_silence, metrics_of
from tests.fakes.contrib import FILES, JID, MODULE, secret_in, server_of
from tests.fakes.waiting import PATIENCE, until

NUMBER = f"{PEER}@{JID}"
KILLS = int(os.environ.get("SMSBRIDGE_KILLS", "20"))  # a life takes most of a second


@dataclass
class Bridge:
    """`smsbridge run`, whose lives share a directory, a database and a log."""

    directory: Path
    process: asyncio.subprocess.Process | None = None
    born_at: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self):
        path = self.directory / "bridge.log"
        return path.read_text() if path.exists() else ""

    def has_said(self, event):
        """In this life."""
        return f'"{event.value}"' in self.log[self.born_at :]

    async def start(self, failpoints=""):
        self.born_at = len(self.log)
        with (self.directory / "bridge.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "smsbridge", "run", "-c", str(self.directory / "config.yaml")),
                stderr=log,
                env=os.environ | {VARIABLE: failpoints},
            )

    async def up(self):
        await until(
            lambda: (
                self.process.returncode
                or self.has_said(Event.SAFEKEEPING_FOUND)
                or self.has_said(Event.SAFEKEEPING_MISSED)
            ),
            30,
        )
        assert self.process.returncode is None, self.log[self.born_at :]

    async def end(self, number=signal.SIGKILL):
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def died(self):
        async with asyncio.timeout(PATIENCE):
            assert await self.process.wait() == -signal.SIGKILL

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(self.directory / "bridge.db")) as database:
            return database.execute(query).fetchall()

    def accepted(self):
        """How often each text was accepted."""
        return Counter(text for (text,) in self.rows("SELECT text FROM outbox"))


@contextlib.asynccontextmanager
async def playing(server, tmp_path):
    """A carrier, and the bridge that is not started yet."""
    number = DidSettings(did=DID.removeprefix("+1"))
    carrier = await Carrier.start(CarrierConfig(dids=(number,), password=API_PASSWORD, daily_quota=None))
    bridge = Bridge(tmp_path)
    yaml = bridge_yaml(
        component_jid=server.component_jid,
        component_port=server.component_port,
        secret=server.component_secret,
        api_url=carrier.api_url,
        public_port=0,
        database=tmp_path / "bridge.db",
        owners={"alice": (DID,)},
        account="    settle_seconds: 0.4\n",
        extra="log: {format: json}\n",
    )
    (tmp_path / "config.yaml").write_text(yaml)
    try:
        yield bridge, carrier
        if bridge.process is not None and bridge.process.returncode is None:
            demand_silence(await metrics_of(bridge.log[bridge.born_at :]), bridge.accepted())
        demand_silence(bridge.log, bridge.accepted())
    finally:
        await bridge.end()
        await carrier.stop()


@contextlib.asynccontextmanager
async def online(server):
    async with await Client.login(server.add_account("alice", "pw"), "pw", port=server.c2s_port) as client:
        yield client


def left(carrier):
    """What the telephone has got."""
    return Counter(row.message for row in carrier.handset(PEER))


async def send_known(bridge, alice):
    """A text that certainly leaves: a list that shows it is believed in what became of others."""
    await bridge.start()
    await bridge.up()
    known = await alice.send_text(NUMBER, "known")
    await alice.next(lambda message: message.receipt_for == known)
    await bridge.end(signal.SIGTERM)


def is_quiet(bridge, texts):
    """Every text is in the store, and none waits for the carrier."""
    waiting = "SELECT count(*) FROM outbox WHERE state IN ('queued', 'held', 'sending', 'unknown')"
    return sum(bridge.accepted().values()) >= texts and bridge.rows(waiting) == [(0,)]


@pytest.fixture
async def server():
    async with server_of("prosody") as server:
        yield server


async def test_kills_between_the_commit_and_the_acknowledgement_send_no_text_twice(server, tmp_path):
    async with playing(server, tmp_path) as (bridge, carrier), online(server) as alice:
        await send_known(bridge, alice)
        texts = [f"text {n}" for n in range(KILLS)]
        for n, text in enumerate(texts):
            await bridge.start(f"outbound.accepted=kill@{2 if n else 1}")  # the one before comes again first
            await bridge.up()
            if n % 2:
                await alice.send_text(NUMBER, text)
            else:  # as some clients write, without an id
                alice.send_raw(f'<message type="chat" to="{NUMBER}"><body>{text}</body></message>')
            await bridge.died()
        await bridge.start()
        await until(lambda: is_quiet(bridge, 1 + KILLS), 60 + KILLS)
        await bridge.end(signal.SIGTERM)
        assert bridge.accepted() == left(carrier) == Counter(["known", *texts])
        assert [message for message in alice.received if message.error] == []


@pytest.mark.parametrize("has_module", [True, False])
async def test_what_is_in_our_socket_when_we_die_leaves_with_the_module_and_is_lost_without(has_module, tmp_path):
    async with (
        server_of("prosody", has_module=has_module) as server,
        playing(server, tmp_path) as (bridge, carrier),
        online(server) as alice,
    ):
        await bridge.start()
        await bridge.up()
        os.kill(bridge.process.pid, signal.SIGSTOP)
        texts = [f"text {n}" for n in range(12)]
        for text in texts:
            await alice.send_text(NUMBER, text)
        await alice.ping()  # the server has written them all to a bridge that does not read
        await bridge.end()
        await bridge.start()
        await bridge.up()
        last = await alice.send_text(NUMBER, "last")
        await alice.next(lambda message: message.receipt_for == last)
        expected = [*texts, "last"] if has_module else ["last"]
        assert left(carrier) == Counter(expected)
        assert [message for message in alice.received if message.error] == []


async def test_random_kills_of_both_lose_no_text_and_send_none_twice(server, tmp_path):
    rng = random.Random(4)  # noqa: S311  # a run can be played again
    async with playing(server, tmp_path) as (bridge, carrier):
        async with online(server) as alice:
            await send_known(bridge, alice)
        texts = []
        for n in range(12):
            await bridge.start()
            async with online(server) as alice:
                if n % 4 != 3:  # else it may die before it has asked for what is kept
                    await bridge.up()
                for _ in range(rng.randrange(5, 40)):
                    texts.append(f"text {len(texts)}")
                    await alice.send_text(NUMBER, texts[-1])
                    await asyncio.sleep(rng.uniform(0, 0.01))
                await alice.ping()  # the server has them all: from now on it is its duty and ours
                if n % 3 == 2:
                    await server.kill()
                    await server.restart()
                    await asyncio.sleep(rng.uniform(0, 1))
                await bridge.end()
        await bridge.start()
        await until(lambda: bridge.accepted().total() > len(texts))
        await bridge.end(signal.SIGTERM)
        assert bridge.accepted() == Counter(["known", *texts])
        assert max(left(carrier).values()) == 1


async def test_a_text_to_a_bridge_that_is_down_leaves_when_it_is_up(server, tmp_path):
    async with playing(server, tmp_path) as (bridge, carrier), online(server) as alice:
        await bridge.start()
        await bridge.up()
        await bridge.end(signal.SIGTERM)
        sent = await alice.send_text(NUMBER, "hello")
        await alice.ping()
        await bridge.start()
        await alice.next(lambda message: message.receipt_for == sent)
        assert left(carrier) == {"hello": 1}


async def test_what_is_refused_is_told_once_and_not_given_again(server, tmp_path):
    async with playing(server, tmp_path) as (bridge, _), online(server) as alice:
        await bridge.start()
        await bridge.up()
        sent = await alice.send_text(f"911@{JID}", "help")
        assert (await alice.next(lambda message: message.error is not None)).stanza_id == sent
        for _ in range(2):
            await bridge.end(signal.SIGTERM)
            await bridge.start()
            await bridge.up()
        last = await alice.send_text(NUMBER, "last")
        await alice.next(lambda message: message.receipt_for == last)
        assert [message.stanza_id for message in alice.received if message.error] == [sent]


async def test_what_was_refused_stays_refused_when_its_writer_may_text_by_the_time_that_it_is_given_again(
    server, tmp_path
):
    async with playing(server, tmp_path) as (bridge, carrier), online(server) as alice:
        config = bridge.directory / "config.yaml"
        hers = config.read_text()
        config.write_text(hers.replace("alice@", "bob@"))
        await bridge.start("safekeeping.acknowledging=kill")
        await bridge.up()
        sent = await alice.send_text(NUMBER, "hello")
        await bridge.died()
        config.write_text(hers)
        await bridge.start()
        await bridge.up()
        last = await alice.send_text(NUMBER, "last")
        await alice.next(lambda message: message.receipt_for == last)
        assert left(carrier) == {"last": 1}
        errors = [message for message in alice.received if message.error]
        assert {message.stanza_id for message in errors} == {sent}
        assert len({message.error.text for message in errors}) == 1


async def test_the_module_may_be_taken_out_and_put_in_again(tmp_path):
    directory = tmp_path / "prosody"
    directory.mkdir()
    secret = secret_in("prosody")
    ports = {"c2s_port": 0, "component_port": 0}
    texts = []

    def prosody(module):
        return Prosody(
            ProsodyConfig(
                directory=directory, include=FILES["prosody"], component_jid=JID, component_secret=secret,
                module=module, **ports,
            )
        )  # fmt: skip

    async def send(alice, body):
        texts.append(body)
        await alice.send_text(NUMBER, body)
        await alice.ping()

    async with prosody(MODULE) as server:
        ports = {"c2s_port": server.c2s_port, "component_port": server.component_port}
        async with playing(server, tmp_path) as (bridge, carrier):
            async with online(server) as alice:
                await bridge.start()
                await bridge.up()
                await send(alice, "with it")
                await until(lambda: is_quiet(bridge, 1))
                os.kill(bridge.process.pid, signal.SIGSTOP)
                await send(alice, "written, not acknowledged")
                await bridge.end()
                await send(alice, "waiting")
            await server.stop()
            async with prosody(None) as bare, online(bare) as alice:
                await bridge.start()
                await bridge.up()
                await send(alice, "without it")
                await until(lambda: is_quiet(bridge, 2))
                assert left(carrier) == {"with it": 1, "without it": 1}
            async with prosody(MODULE):
                await until(lambda: is_quiet(bridge, 4))
                assert left(carrier) == Counter(texts)
