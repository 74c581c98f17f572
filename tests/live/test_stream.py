"""The stream against real servers: what reaches people, whatever becomes of the server."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from smsbridge.clock import system_clock
from smsbridge.core.pacing import Backoff
from smsbridge.metrics import Metrics
from smsbridge.sim.client import Client
from smsbridge.xmpp import component as component_module
from smsbridge.xmpp.component import Component, StreamSettings
from tests.fakes.contrib import SERVERS, server_of
from tests.fakes.handover import FakeHandOver
from tests.fakes.waiting import PATIENCE, until

SENDER = "+15559870002@sms.example.com"
WINDOW = 50


def render(delivery):
    return (
        f'<message type="chat" id="{delivery.stanza_id}" from="{delivery.sender}@sms.example.com" '
        f'to="{delivery.to_jid}"><body>{delivery.body}</body></message>'
    ).encode()


def settings_for(server, **changes):
    settings = StreamSettings(
        jid=server.component_jid,
        secret=server.component_secret,
        host="127.0.0.1",
        port=server.component_port,
        ping=server.domain,
        window=WINDOW,
        idle_seconds=2 * PATIENCE,  # what is not rung for is not found by and by either
    )
    return replace(settings, **changes)


@asynccontextmanager
async def running(server, handover, *, install=lambda _stream, _send: None, **changes):
    """A component that runs for as long as the block."""
    component = Component(
        settings_for(server, **changes),
        handover=handover,
        render=render,
        install=install,
        metrics=Metrics(),
        clock=system_clock(),
    )
    task = asyncio.create_task(component.run())
    try:
        yield component
    finally:
        async with asyncio.timeout(PATIENCE):
            await component.close()
            await task


@pytest.fixture
async def handover():
    return FakeHandOver()


@pytest.fixture
async def client(server):
    """Somebody who is online, on the server that all tests share."""
    jid = server.add_account(f"alice-{uuid.uuid4().hex[:12]}", "pw")
    async with await Client.login(jid, "pw", port=server.c2s_port) as alice:
        yield alice


@pytest.fixture
def impatient(monkeypatch):
    """Configuration faults are tried again soon."""
    monkeypatch.setattr(component_module, "CONFIG_FAULT_BACKOFF", Backoff(first=0.05, factor=1, cap=0.05, jitter=0))


def events(logs):
    return [entry["event"] for entry in logs]


def names(count, start=0):
    return [f"d{n:03}" for n in range(start, start + count)]


async def texts(client, count):
    """The ids of so many texts, in the order in which they came."""
    return [(await client.next(lambda message: message.body)).stanza_id for _ in range(count)]


async def archived_ids(server, jid):
    async with await Client.login(jid, "pw", port=server.c2s_port) as reader:
        return [message.stanza_id for message in await reader.archive()]


async def test_texts_arrive_in_order_and_are_handed(server, client, handover):
    handover.put(*names(120), to=client.bare_jid)
    async with running(server, handover):
        assert await texts(client, 120) == names(120)
        await until(lambda: handover.handed == names(120))


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_the_component_comes_back_after_the_server_was_gone(fresh_server, handover, end):
    jid = fresh_server.add_account("alice", "pw")
    async with running(fresh_server, handover) as component:
        handover.put("before", to=jid)
        await until(lambda: handover.handed == ["before"])
        if end == "kill":
            await fresh_server.kill()
        else:
            await fresh_server.stop(keep=True)
        await until(lambda: not component.is_up)
        handover.put("meanwhile", to=jid)
        await fresh_server.restart()
        await until(lambda: handover.handed == ["before", "meanwhile"])
    assert await archived_ids(fresh_server, jid) == ["before", "meanwhile"]


async def test_kills_in_the_middle_of_a_backlog_lose_nothing_and_repeat_at_most_a_window_each(fresh_server, handover):
    jid = fresh_server.add_account("alice", "pw")
    everything = names(400)
    handover.put(*everything, to=jid)
    kills = 3
    async with running(fresh_server, handover):
        for kill in range(1, kills + 1):
            await until(lambda so_far=kill * 100: len(handover.handed) >= so_far)
            await fresh_server.kill()
            await fresh_server.restart()
        await until(lambda: handover.is_empty)
    assert handover.handed == everything
    seen = Counter(await archived_ids(fresh_server, jid))
    assert sorted(seen) == everything
    assert seen.total() - len(everything) <= kills * WINDOW


async def test_a_frozen_server_is_left_and_found_again(fresh_server, handover):
    jid = fresh_server.add_account("alice", "pw")
    with capture_logs() as logs:
        async with running(fresh_server, handover) as component:
            await until(lambda: component.is_up and not component._fence.is_waiting)
            os.kill(fresh_server.pid, signal.SIGSTOP)
            wait_for_the_server(component, 0.3)
            try:
                handover.put("a", to=jid)
                await until(lambda: "fence_timed_out" in events(logs))
                await until(lambda: component._failures >= 2)
            finally:
                os.kill(fresh_server.pid, signal.SIGCONT)
            wait_for_the_server(component, PATIENCE)
            await until(lambda: handover.handed == ["a"])
    assert set(await archived_ids(fresh_server, jid)) == {"a"}


def wait_for_the_server(component, seconds):
    """From now on, for each of its answers."""
    component._fence._seconds = seconds
    component._settings = replace(component._settings, fence_seconds=seconds, handshake_seconds=seconds)


async def test_a_wrong_secret_is_told_once(server, handover, impatient):
    with capture_logs() as logs:
        async with running(server, handover, secret="not it") as component:
            await until(lambda: component._failures >= 3)
    assert events(logs) == ["stream_refused"]
    assert logs[0]["condition"] == "not-authorized"
    assert "not it" not in str(logs)


async def test_a_component_that_the_server_does_not_know_is_told_once(server, handover, impatient):
    with capture_logs() as logs:
        async with running(server, handover, jid="nobody.example.com") as component:
            await until(lambda: component._failures >= 3)
    condition = {"prosody": "host-unknown", "ejabberd": "not-authorized"}[server.name]
    assert [(entry["event"], entry["condition"]) for entry in logs] == [("stream_refused", condition)]


@pytest.mark.parametrize("server_name", ["prosody"])  # ejabberd keeps both, and says nothing
async def test_a_second_connection_is_told_to_the_first_as_a_conflict(server, handover, monkeypatch):
    monkeypatch.setattr(component_module, "CONFIG_FAULT_BACKOFF", Backoff(first=60, factor=1, cap=60, jitter=0))
    async with running(server, handover) as first:
        await until(lambda: first.is_up)
        with capture_logs() as logs:
            async with running(server, handover) as second:
                await until(lambda: "stream_refused" in events(logs) and second.is_up)
                assert not first.is_up
    assert [entry["condition"] for entry in logs if entry["event"] == "stream_refused"] == ["conflict"]


async def test_a_stanza_that_closes_the_stream_is_quarantined_while_thirty_others_arrive(server, client, handover):
    good = names(30)
    handover.put(*good[:15], to=client.bare_jid)
    poison = f'<message type="chat" id="poison" from="{SENDER}" to="{client.bare_jid}"><body>\x01</body></message>'
    handover.put("poison", xml=poison.encode())
    handover.put(*good[15:], to=client.bare_jid)
    async with running(server, handover):
        await until(lambda: handover.is_empty)
    assert handover.quarantined == ["poison"]
    assert handover.handed == good
    assert list(dict.fromkeys(await archived_ids(server, client.bare_jid))) == good


UNBEARABLE = {
    "of another domain": '<message from="x@elsewhere.example.com" to="{to}"><body>a</body></message>',
    "not well-formed": '<message from="{sender}" to="{to}"><body>a</message>',
    "too large": '<message from="{sender}" to="{to}"><body>' + 600_000 * "a" + "</body></message>",
    "restricted": '<message from="{sender}" to="{to}"><!-- no --><body>a</body></message>',
}


@pytest.mark.parametrize(
    ("server_name", "name"),
    [(server, name) for server in SERVERS for name in UNBEARABLE if (server, name) != ("ejabberd", "restricted")],
)
async def test_whatever_the_server_cannot_stand_is_quarantined(server, client, handover, name):
    xml = UNBEARABLE[name]
    handover.put("first", to=client.bare_jid)
    handover.put(name, xml=xml.format(sender=SENDER, to=client.bare_jid).encode())
    handover.put("last", to=client.bare_jid)
    async with running(server, handover):
        await until(lambda: handover.is_empty)
    assert handover.quarantined == [name]
    assert handover.handed == ["first", "last"]


async def test_a_stanza_of_the_library_without_from_does_not_end_the_stream(server, client, handover):
    streams = []
    async with running(server, handover, install=lambda stream, _send: streams.append(stream)) as component:
        await until(lambda: component.is_up)
        streams[0].make_message(mto=client.bare_jid, mbody="hello").send()
        got = await client.next(lambda message: message.body)
    assert got.sender == server.component_jid


async def test_a_bounce_is_read_with_its_condition(server, handover):
    conditions = []

    def install(stream, _send):
        stream.add_event_handler("message_error", lambda message: conditions.append(message["error"]["condition"]))

    handover.put("a", to="nobody-at-all@example.com")
    async with running(server, handover, install=install):
        await until(lambda: handover.handed == ["a"])
        # The fence came after it, so the bounce is here already.
        assert conditions == ["service-unavailable"]


async def test_after_closing_what_users_write_comes_back_to_them(server_name, handover):
    async with server_of(server_name, has_module=False) as server, running(server, handover) as component:
        jid = server.add_account("alice", "pw")
        async with await Client.login(jid, "pw", port=server.c2s_port) as client:
            await until(lambda: component.is_up)
            await component.close()
            sent = await client.send_text(SENDER, "are you there?")
            bounce = await client.next(lambda message: message.error is not None)
    assert bounce.stanza_id == sent


async def test_closing_leaves_nothing_in_flight(server, client, handover):
    handover.put(*names(200), to=client.bare_jid)
    async with running(server, handover):
        await until(lambda: len(handover.handed) >= 20)
    assert handover.in_state("handing") == []
    assert await texts(client, len(handover.handed)) == handover.handed
