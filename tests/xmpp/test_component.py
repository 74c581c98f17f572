"""The life of the stream, against a scripted server on loopback."""

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import system_clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.pacing import Backoff
from smsbridge.metrics import Metrics
from smsbridge.xmpp import component as component_module
from smsbridge.xmpp.component import Component, StreamSettings
from smsbridge.xmpp.proving import UPTIME_ERROR
from tests.fakes.handover import FakeHandOver
from tests.fakes.waiting import PATIENCE, until
from tests.fakes.xmpp_server import FakeServer

QUICK = Backoff(first=0.01, factor=1.5, cap=0.05, jitter=0.5)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Back-offs of a test's length."""
    monkeypatch.setattr(component_module, "RECONNECT_BACKOFF", QUICK)
    monkeypatch.setattr(component_module, "CONFIG_FAULT_BACKOFF", QUICK)


@pytest.fixture
async def server():
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def handover():
    return FakeHandOver()


def render(delivery):
    return (
        f'<message type="chat" id="{delivery.stanza_id}" from="{delivery.sender}@sms.example.com" '
        f'to="{delivery.to_jid}"><body>{delivery.body}</body></message>'
    ).encode()


def settings_for(server, **changes):
    settings = StreamSettings(
        jid="sms.example.com",
        secret="s3cret",
        host="127.0.0.1",
        port=server.port,
        ping="example.com",
        idle_seconds=2 * PATIENCE,  # what is not rung for is not found by and by either
    )
    return replace(settings, **changes)


def make_component(server, handover, *, install=lambda _stream, _send: None, pulse=None, **changes):
    return Component(
        settings_for(server, **changes),
        handover=handover,
        render=render,
        install=install,
        metrics=Metrics(),
        clock=system_clock(),
        pulse=pulse,
    )


@pytest.fixture
async def start(server, handover):
    """`start(…)` runs a component until the end of the test."""
    running = []

    def run(**options):
        made = make_component(server, handover, **options)
        running.append((made, asyncio.create_task(made.run())))
        return made

    yield run
    async with asyncio.timeout(PATIENCE):
        for made, task in running:
            await made.close()
            await task


def events(logs):
    """What is told of the stream."""
    return [entry["event"] for entry in logs if not entry["event"].startswith("safekeeping")]


def metric(component, name):
    return component._metrics.registry.get_sample_value(f"smsbridge_{name}")


def answer_all(server):
    for ping in server.pings():
        server.write(f"<iq type='result' id='{ping.get('id')}' from='example.com' to='sms.example.com'/>")


def names(count):
    return [f"d{n:03}" for n in range(count)]


async def test_deliveries_arrive_in_order_and_are_handed(server, handover, start):
    handover.put(*names(35))
    start()
    await until(lambda: handover.is_empty)
    assert server.bodies() == names(35)
    assert handover.handed == names(35)


async def test_the_stream_is_up_between_handshake_and_loss(server, start):
    component = start()
    assert not component.is_up
    await until(lambda: component.is_up)
    assert metric(component, "stream_up") == 1
    server.is_mute = True
    server.cut()
    await until(lambda: not component.is_up)
    await until(lambda: metric(component, "stream_up") == 0)


@pytest.mark.parametrize("end", ["cut", "shutdown", "footer"])
async def test_a_dropped_stream_is_opened_again_and_goes_on(server, handover, start, end):
    component = start()
    handover.put("before")
    await until(lambda: handover.handed == ["before"])
    match end:
        case "cut":
            server.cut()
        case "shutdown":
            server.fail("system-shutdown")
        case "footer":
            server.write("</stream:stream>")
    await until(lambda: server.sessions == 2)
    handover.put("after")
    await until(lambda: handover.handed == ["before", "after"])
    assert metric(component, "streams_opened_total") == 2


async def test_a_server_that_does_not_listen_yet_is_found_when_it_does(server, handover, start):
    await server.stop()
    with capture_logs() as logs:
        component = start()
        await until(lambda: component._failures >= 4)
        await server.start()
        await until(lambda: component.is_up)
    assert events(logs) == ["stream_lost", "stream_opened"]


async def test_a_server_that_never_answers_the_handshake_is_left(server, start):
    server.is_mute = True
    component = start(handshake_seconds=0.05)
    await until(lambda: server.connections >= 3)
    server.is_mute = False
    await until(lambda: component.is_up)


@pytest.mark.parametrize("condition", ["not-authorized", "host-unknown", "conflict"])
async def test_a_refusal_is_told_once_and_loudly_with_what_to_look_at(server, start, condition):
    server.refuses_with = condition
    with capture_logs() as logs:
        start()
        await until(lambda: server.connections >= 4)
    assert events(logs) == ["stream_refused"]
    assert logs[0]["log_level"] == "error"
    assert logs[0]["condition"] == condition
    assert logs[0]["look_at"] == component_module.CONFIG_FAULTS[condition]


async def test_a_wrong_secret_is_told_and_appears_nowhere(server, start):
    with capture_logs() as logs:
        component = start(secret="quite-wrong")
        await until(lambda: server.connections >= 3)
    assert events(logs) == ["stream_refused"]
    assert "quite-wrong" not in str(logs)
    assert "quite-wrong" not in repr(component._settings)


async def test_a_refusal_is_told_again_when_it_changes_and_after_the_stream_was_up(server, start):
    with capture_logs() as logs:
        server.refuses_with = "not-authorized"
        component = start()
        await until(lambda: server.connections >= 2)
        server.refuses_with = "host-unknown"
        await until(lambda: server.connections >= 5)
        server.refuses_with = ""
        await until(lambda: component.is_up)
        server.refuses_with = "host-unknown"
        server.cut()
        await until(lambda: server.connections >= 9)
    told = [entry.get("condition", entry["event"]) for entry in logs if entry["event"].startswith("stream")]
    assert told == ["not-authorized", "host-unknown", "stream_opened", "stream_lost", "host-unknown"]


async def test_a_refusal_waits_longer_than_a_loss(server, start, monkeypatch):
    monkeypatch.setattr(component_module, "CONFIG_FAULT_BACKOFF", Backoff(first=60, factor=1, cap=60, jitter=0))
    server.refuses_with = "not-authorized"
    component = start()
    await until(lambda: component._failures == 1)
    assert server.connections == 1


async def test_the_back_off_starts_again_only_after_a_session_that_lasted(server, start, monkeypatch):
    component = start()
    await until(lambda: component.is_up)
    server.cut()
    await until(lambda: component._failures == 1 and component.is_up)
    server.cut()
    await until(lambda: component._failures == 2 and component.is_up)
    monkeypatch.setattr(component_module, "STEADY_SECONDS", 0.0)
    server.cut()
    await until(lambda: component._failures == 1 and component.is_up)


async def test_the_first_fence_is_sent_at_once_and_the_next_when_it_was_quiet(server, start):
    start(idle_seconds=0.05)
    await server.until(lambda: len(server.pings()) >= 3)
    assert len({ping.get("id") for ping in server.pings()}) == len(server.pings())


async def test_an_error_is_a_pong_too(server, handover, start):
    def refuse(server, element):
        if element.tag.endswith("}iq"):
            server.write(
                f"<iq type='error' id='{element.get('id')}' from='example.com' to='sms.example.com'><error type="
                "'cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )
            return True
        return False

    server.on_stanza = refuse
    start()
    handover.put("a")
    await until(lambda: handover.handed == ["a"])


async def test_a_server_that_answers_no_ping_is_fenced_by_messages(server, handover, start):
    server.answers_pings = False
    with capture_logs() as logs:
        component = start(fence_seconds=0.5)
        handover.put("a")
        await until(lambda: "fence_fell_back" in events(logs))
        component._fence._seconds = PATIENCE  # for a fence that is answered
        await until(lambda: handover.handed == ["a"])
        handover.put("b")
        await until(lambda: handover.handed == ["a", "b"])
    assert events(logs) == ["stream_opened", "fence_fell_back"]
    assert server.bodies() == ["a", "b"]


async def test_no_pong_at_all_ends_the_stream_and_the_next_one_resends(server, handover, start):
    is_deaf = True
    server.on_stanza = lambda _server, _element: is_deaf
    with capture_logs() as logs:
        component = start(fence_seconds=0.1)
        handover.put("a")
        await until(lambda: "fence_timed_out" in events(logs))
        assert handover.handed == []
        component._fence._seconds = PATIENCE
        is_deaf = False
        await until(lambda: handover.handed == ["a"])
    assert set(server.bodies()) == {"a"}
    assert handover.quarantined == []


async def test_a_pong_is_seen_by_no_handler(server, handover, start):
    seen = []
    start(install=lambda stream, _send: stream.add_filter("in", lambda stanza: seen.append(stanza.xml.tag) or stanza))
    handover.put("a")
    await until(lambda: handover.handed == ["a"])
    assert seen == ["{jabber:component:accept}handshake"]


async def test_nobody_who_does_not_know_the_prefix_can_forge_a_pong(server, handover, start):
    server.answers_pings = False
    start()
    handover.put("a")
    await until(lambda: server.bodies() == ["a"])
    server.write("<iq type='result' id='fence-1' from='user@example.com' to='sms.example.com'/>")
    server.write("<iq type='result' id='fence-2' from='user@example.com' to='sms.example.com'/>")
    server.write("<iq type='get' id='q1' from='user@example.com' to='sms.example.com'><query xmlns='urn:q'/></iq>")
    await server.until(lambda: any(stanza.get("id") == "q1" for stanza in server.stanzas))
    assert handover.handed == []
    answer_all(server)
    await until(lambda: handover.handed == ["a"])


async def test_an_immediate_answer_is_written_while_up_and_dropped_while_down(server, start):
    component = start()
    component.send(b"<presence id='too early'/>")
    await until(lambda: component.is_up)
    component.send(b"<presence id='now'/>")
    await server.until(lambda: any(stanza.get("id") == "now" for stanza in server.stanzas))
    assert "too early" not in [stanza.get("id") for stanza in server.stanzas]


async def test_nothing_is_claimed_while_the_stream_is_down(server, handover, start):
    server.refuses_with = "conflict"
    handover.put("a")
    start()
    await until(lambda: server.connections >= 2)
    assert handover.claims == 0


async def test_a_stanza_that_the_server_dies_of_is_quarantined_while_thirty_others_arrive(server, handover, start):
    start()
    handover.put(*names(15))
    handover.put("poison", xml=b"<message id='poison'><body>\x01</body></message>")
    handover.put(*[f"e{n:03}" for n in range(15)])
    await until(lambda: handover.is_empty)
    assert handover.quarantined == ["poison"]
    assert len(handover.handed) == 30
    assert set(server.bodies()) == set(handover.handed)


async def test_a_stanza_that_the_server_resets_the_connection_over_is_found_as_well(server, handover, start):
    def cut_it(server, element):
        if element.get("id") == "too big":
            server.cut()
            return True
        return False

    server.on_stanza = cut_it
    start()
    handover.put(*names(5), "too big", "last")
    await until(lambda: handover.is_empty)
    assert handover.quarantined == ["too big"]
    assert handover.handed == [*names(5), "last"]


async def test_a_server_that_restarts_four_times_over_one_text_does_not_cost_it(server, handover, start):
    deaths = 4

    def die_sometimes(server, element):
        nonlocal deaths
        if element.get("id") == "a" and deaths:
            deaths -= 1
            server.cut()
            return True
        return False

    server.on_stanza = die_sometimes
    start()
    handover.put("a")
    await until(lambda: handover.is_empty)
    assert handover.handed == ["a"]


async def test_closing_waits_for_the_pong_and_then_leaves_with_a_footer(server, handover, start):
    server.answers_pings = False
    component = start()
    handover.put("a")
    await until(lambda: server.bodies() == ["a"])
    last = []
    closing = asyncio.create_task(component.close(lambda: last.append((component.is_up, [*handover.handed]))))
    await asyncio.sleep(0)
    handover.put("too late")
    assert (server.footers, last) == (0, [])
    answer_all(server)
    async with asyncio.timeout(PATIENCE):
        await closing
    assert server.footers == 1
    assert last == [(True, ["a"])]
    assert handover.handed == ["a"]
    assert server.bodies() == ["a"]
    assert not component.is_up


@pytest.mark.parametrize("state", ["never run", "waiting to connect again", "in the handshake"])
async def test_closing_a_stream_that_is_not_up_returns_at_once(server, handover, state, monkeypatch):
    monkeypatch.setattr(component_module, "GOODBYE_SECONDS", 60.0)
    component = make_component(server, handover, handshake_seconds=60.0, fence_seconds=60.0)
    task = None
    match state:
        case "waiting to connect again":
            await server.stop()
            task = asyncio.create_task(component.run())
            await until(lambda: component._failures >= 1)
        case "in the handshake":
            server.is_mute = True
            task = asyncio.create_task(component.run())
            await until(lambda: server.connections >= 1)
    async with asyncio.timeout(PATIENCE):
        await component.close(lambda: pytest.fail("nobody hears it"))
        await (task or component.run())


async def test_a_cancelled_component_hangs_up(server, handover):
    component = make_component(server, handover)
    task = asyncio.create_task(component.run())
    await until(lambda: component.is_up)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not component.is_up
    assert metric(component, "stream_up") == 0


async def test_a_plugin_that_must_not_be_loaded_stops_the_start(server, handover):
    component = make_component(server, handover, install=lambda stream, _send: stream.register_plugin("xep_0280"))
    with pytest.raises(RuntimeError, match="xep_0280"):
        await component.run()


async def test_a_free_port_that_is_nobodys_is_told_in_the_systems_words(handover):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = StreamSettings(
            jid="sms.example.com", secret="s3cret", host="127.0.0.1", port=nobody.getsockname()[1], ping="example.com"
        )
        component = Component(
            settings,
            handover=handover,
            render=render,
            install=lambda _stream, _send: None,
            metrics=Metrics(),
            clock=system_clock(),
        )
        with capture_logs() as logs:
            task = asyncio.create_task(component.run())
            await until(lambda: component._failures >= 2)
            await component.close()
            await task
    assert events(logs) == ["stream_lost"]
    assert "Errno" in logs[0]["why"]


class TestAServerThatDies:
    """What it was handed and had not been proved to keep goes again, when it is there again."""

    async def handed(self, server, handover, start):
        handover.put(*names(3))
        component = start()
        await until(lambda: handover.handed == names(3))
        return component

    async def test_it_is_handed_again_with_the_same_bytes_before_what_is_new(self, server, handover, start):
        component = await self.handed(server, handover, start)
        handover.server_dies = True
        server.uptime = 0
        server.stanzas.clear()
        await server.stop()
        await until(lambda: not component.is_up)
        handover.put("new")
        await server.start()
        await until(lambda: handover.is_empty and len(handover.handed) == 4)
        assert server.bodies() == [*names(3), "new"]

    async def test_the_doubt_reaches_until_the_new_server_started(self, server, handover, start):
        await self.handed(server, handover, start)
        server.uptime = 7
        before = system_clock().now()
        server.cut()
        await server.until(lambda: server.sessions == 2)
        await until(lambda: len(handover.doubted) == 2)
        after = system_clock().now()
        assert before <= handover.doubted[1] + timedelta(seconds=7) - UPTIME_ERROR <= after

    async def test_a_client_that_answers_proves_what_it_was_sent(self, server, handover, start):
        pinged = []

        def answer(server, element):
            if element.get("to") == "user@example.com/phone":
                pinged.append(element)
                server.write(
                    f"<iq type='result' id='{element.get('id')}' from='user@example.com/phone' to='sms.example.com'/>"
                )
                return True
            return False

        server.on_stanza = answer
        component = start()
        await until(lambda: handover.doubted)  # whoever was there before the server told its age may be gone
        server.write("<presence from='user@example.com/phone' to='+15559870002@sms.example.com'/>")
        await until(lambda: component._proving._clients)
        handover.put(*names(2))
        await until(lambda: sorted(handover.proved) == names(2))
        assert {ping.get("from") for ping in pinged} == {"+15559870002@sms.example.com"}

    async def test_nothing_is_handed_over_before_the_server_was_asked_for_its_age(self, server, handover, start):
        asked = []
        server.on_stanza = lambda server, element: bool(
            element.find("{jabber:iq:last}query") is not None and not asked.append(element)
        )
        handover.put("a")
        start()
        await server.until(lambda: asked)
        assert server.bodies() == []
        server.write(
            f"<iq type='result' id='{asked[0].get('id')}' from='example.com' to='sms.example.com'>"
            "<query xmlns='jabber:iq:last' seconds='1'/></iq>"
        )
        await until(lambda: handover.handed == ["a"])

    async def test_what_is_settled_only_after_it_died_is_doubted_all_the_same(self, server, handover, start):
        hand, repaired = handover.hand, asyncio.Event()

        async def late(ids, at=None):
            if not repaired.is_set():
                raise StoreUnavailable("the test says so")
            await hand(ids, at)

        handover.hand, handover.server_dies = late, True
        component = start()
        handover.put("a")
        await until(lambda: component._handing._proved)
        server.uptime = 0
        server.cut()
        await server.until(lambda: server.sessions == 2)
        await server.until(lambda: server.pings()[-1] is not server.pings()[0])
        assert handover.doubted[1:] == []
        repaired.set()
        await server.until(lambda: server.bodies() == ["a", "a"])


async def test_the_stream_and_the_pump_promise_to_turn_and_are_released_at_the_end(server, handover):
    pulse = Pulse(system_clock())
    component = make_component(server, handover, pulse=pulse)
    running = asyncio.create_task(component.run())
    await until(lambda: pulse._due.keys() == {"stream", "hand-over"})
    await component.close()
    await running
    assert not pulse._due
