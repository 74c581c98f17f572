"""What Prosody and ejabberd show of themselves, set up well and set up badly."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from smsbridge.clock import system_clock
from smsbridge.metrics import Metrics
from smsbridge.sim import ejabberd as ejabberd_module
from smsbridge.sim import prosody as prosody_module
from smsbridge.sim.client import Client
from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig
from smsbridge.sim.prosody import Prosody
from smsbridge.xmpp import compat, oracles
from smsbridge.xmpp import promises as promises_module
from smsbridge.xmpp.asking import Asking, uptime
from smsbridge.xmpp.findings import Promise, Verdict
from smsbridge.xmpp.promises import Promises
from smsbridge.xmpp.proving import UPTIME_ERROR
from smsbridge.xmpp.server_config import look_into
from tests.fakes.waiting import PATIENCE, until

KEPT, BROKEN, UNSEEN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNSEEN
NUMBER = "+15559870002@sms.example.com"
ALICE = "alice@example.com"


@asynccontextmanager
async def session(server, take=lambda _stanza: False):
    """A component's stream; `take` sees what comes in, and may keep it."""
    stream = compat.make_stream(server.component_jid, server.component_secret, "127.0.0.1", server.component_port)
    up = asyncio.Event()
    stream.add_filter("in", lambda stanza: None if take(stanza.xml) else stanza)
    stream.add_event_handler("session_start", lambda _: up.set())
    stream.connect("127.0.0.1", server.component_port)
    try:
        async with asyncio.timeout(PATIENCE):
            await up.wait()
        yield stream
    finally:
        gone = stream.disconnected
        if compat.hang_up(stream):
            async with asyncio.timeout(PATIENCE):
                await gone
        compat.retire(stream)


@asynccontextmanager
async def connected(server, **options):
    """The promises of a server, and a stream to ask over."""

    def write(xml):
        stream.send_raw(xml)

    asking = Asking(jid=server.component_jid, prefix=f"ask-{secrets.token_hex(12)}-", write=write)
    promises = Promises(
        jid=server.component_jid,
        server=server.domain,
        owners=lambda: [ALICE],
        asking=asking,
        write=write,
        metrics=Metrics(),
        clock=system_clock(),
        **options,
    )
    async with session(server, lambda xml: asking.take(xml) or promises.take(xml)) as stream:
        yield promises, asking, write


@asynccontextmanager
async def connected_with_file(server):
    """The promises of an ejabberd whose configuration we may read."""
    async with connected(server, server_config=server.directory / "ejabberd.yml") as (promises, _, _):
        yield promises


async def verdicts(promises):
    await promises.ask()
    return {finding.promise: finding.verdict for finding in promises.findings}


@pytest.fixture
def without(monkeypatch):
    """`without("mod_mam")`: servers that are started from now on lack these modules."""

    def leave_out(*names):
        tree_of, text_of = ejabberd_module.config_tree, prosody_module.config_text

        def tree(*arguments):
            made = tree_of(*arguments)
            return made | {"modules": {name: value for name, value in made["modules"].items() if name not in names}}

        def text(*arguments):
            made = text_of(*arguments)
            for name in names:
                word = f'"{name.removeprefix("mod_")}",'
                assert made.count(word) == 1
                made = made.replace(word, "")
            return made

        monkeypatch.setattr(ejabberd_module, "config_tree", tree)
        monkeypatch.setattr(prosody_module, "config_text", text)

    return leave_out


async def befriend(server, write):
    """alice has the number among her contacts."""
    async with await Client.login(server.add_account("alice", "pw"), "pw", port=server.c2s_port) as alice:
        await alice.subscribe(NUMBER)
        write(f'<presence type="subscribed" from="{NUMBER}" to="{ALICE}"/>'.encode())
        write(f'<presence type="subscribe" from="{NUMBER}" to="{ALICE}"/>'.encode())
        await alice.next_presence(lambda presence: presence.kind == "subscribe")
        await alice.accept(NUMBER)
        await alice.ping()


@pytest.mark.parametrize(("missing", "verdict"), [((), KEPT), (("mod_mam",), BROKEN)])
async def test_prosody_shows_its_archive_to_a_contact_of_an_owner(without, missing, verdict):
    without(*missing)
    async with Prosody() as server, connected(server) as (promises, _, write):
        server.add_account("alice", "pw")
        promises.see(ALICE, NUMBER)
        assert (await verdicts(promises))[Promise.ARCHIVE] is UNSEEN
        await befriend(server, write)
        found = await verdicts(promises)
        assert found[Promise.ARCHIVE] is verdict
        assert found[Promise.CONNECTION] is found[Promise.UPTIME] is found[Promise.STORAGE] is KEPT
        assert promises.software.name == "Prosody"
        assert promises.software.numbers


async def test_prosody_without_the_modules_that_tell_is_told_so(without):
    without("mod_version", "mod_uptime", "mod_lastactivity")
    async with Prosody() as server, connected(server) as (promises, asking, _):
        found = await verdicts(promises)
        assert found[Promise.UPTIME] is BROKEN
        assert found[Promise.PATCHES] is found[Promise.ARCHIVE] is UNSEEN
        assert await uptime(asking, server.domain) is None


@pytest.mark.parametrize(("missing", "verdict"), [((), KEPT), (("mod_mam",), BROKEN)])
async def test_ejabberd_shows_its_archive_by_how_it_refuses(without, missing, verdict):
    without(*missing)
    async with Ejabberd() as server, connected(server) as (promises, _, _):
        found = await verdicts(promises)
        assert found[Promise.ARCHIVE] is verdict
        assert found[Promise.CONNECTION] is found[Promise.UPTIME] is KEPT
        assert found[Promise.STORAGE] is UNSEEN
        assert promises.software.name == "ejabberd"
        assert promises.software.numbers


async def test_ejabberd_without_the_modules_that_tell_still_shows_its_archive(without):
    without("mod_version", "mod_last")
    async with Ejabberd() as server, connected(server) as (promises, _, _):
        found = await verdicts(promises)
        assert found[Promise.UPTIME] is BROKEN
        assert found[Promise.ARCHIVE] is KEPT


@pytest.mark.parametrize(("storage", "verdict"), [("sql", KEPT), ("mnesia", BROKEN)])
async def test_the_file_of_a_running_ejabberd_tells_where_it_keeps_texts(storage, verdict):
    async with Ejabberd(EjabberdConfig(storage=storage)) as server, connected_with_file(server) as promises:
        found = await verdicts(promises)
        assert found[Promise.STORAGE] is verdict
        assert found[Promise.ARCHIVE] is found[Promise.LISTENER] is KEPT


async def test_the_file_tells_of_a_listener_that_is_shared(monkeypatch):
    monkeypatch.setattr(ejabberd_module, "config_tree", _shared(ejabberd_module.config_tree))
    config = EjabberdConfig(echo_jid="echo.example.com")
    async with Ejabberd(config) as server, connected_with_file(server) as promises:
        assert (await verdicts(promises))[Promise.LISTENER] is BROKEN


def _shared(tree_of):
    def tree(*arguments):
        made = tree_of(*arguments)
        for listener in made["listen"]:
            listener.pop("global_routes", None)
        return made

    return tree


@pytest.fixture
def quick(monkeypatch):
    """The questions come again at once."""
    monkeypatch.setattr(promises_module, "DOUBT_SECONDS", 0.05)
    monkeypatch.setattr(promises_module, "REPEAT_SECONDS", 0.05)
    monkeypatch.setattr(oracles, "ANSWER_SECONDS", 0.5)


def on_connection(promises):
    return next((f.verdict for f in promises.findings if f.promise is Promise.CONNECTION), None)


async def test_ejabberd_gives_our_stanzas_to_a_second_connection_and_that_is_seen_and_its_end_too(quick, ejabberd):
    async with connected(ejabberd, probe_seconds=0.5) as (promises, _, _):
        task = asyncio.create_task(promises.run())
        await until(lambda: on_connection(promises) is KEPT)
        async with session(ejabberd):
            await until(lambda: on_connection(promises) is BROKEN)
        await until(lambda: on_connection(promises) is KEPT)
        task.cancel()


async def test_two_bridges_on_one_ejabberd_see_each_other(quick, ejabberd):
    async with (
        connected(ejabberd, probe_seconds=0.5) as (first, _, _),
        connected(ejabberd, probe_seconds=0.5) as (second, _, _),
    ):
        tasks = [asyncio.create_task(promises.run()) for promises in (first, second)]
        await until(lambda: on_connection(first) is on_connection(second) is BROKEN)
        for task in tasks:
            task.cancel()


async def test_the_file_that_administrators_are_told_to_include_keeps_the_promises(ejabberd):
    found = look_into(ejabberd.directory / "ejabberd.yml", host=ejabberd.domain, component=ejabberd.component_jid)
    assert [finding.verdict for finding in found] == [KEPT] * 3


async def test_the_uptime_tells_that_a_server_has_died(server_name):
    async with Prosody() if server_name == "prosody" else Ejabberd() as server:
        async with connected(server) as (_, asking, _):
            async with asyncio.timeout(PATIENCE):
                while await _started_at(asking, server) > monotonic() - 1:
                    pass
        died_at = monotonic()
        await server.kill()
        await server.restart()
        async with connected(server) as (_, asking, _):
            assert await _started_at(asking, server) >= died_at


async def _started_at(asking, server):
    """By our clock, at the earliest: Prosody may tell a second too much."""
    up = await uptime(asking, server.domain)
    return monotonic() - max(0.0, up - UPTIME_ERROR.total_seconds())
