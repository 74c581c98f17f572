"""The listeners: what a hostile or broken client can hold open, and how they start and stop."""

import asyncio
import socket

import pytest
import uvloop
from structlog.testing import capture_logs

from smsbridge.clock import system_clock
from smsbridge.core.message import ProviderName
from smsbridge.log import Event as Logged
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Answer
from smsbridge.sim.ports import free_port
from smsbridge.web.app import CannotListen, Web, WebSettings
from tests.fakes.waiting import until

from .station import KEY, PATIENCE, Carrier, Start, Station, Taker, Wire, is_ready, request

HALF_HEADER = f"POST /hook?key={KEY} HTTP/1.1\r\nHost: sms.exa".encode()
QUICK = {"header_seconds": 1.5, "body_seconds": 1.5, "idle_seconds": 1.5}  # longer than a busy machine stands still


async def serves(station: Station) -> bool:
    return (await station.ask(request())).body == b"ok"


async def until_it_serves(station: Station) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await serves(station):
                    return
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)


async def test_silent_half_header_and_half_body_connections_end_while_others_are_served(start: Start):
    station = await start(**QUICK | {"idle_seconds": 60})
    openings = [b"", b"G", HALF_HEADER, request(body=b"hel", length=500)]
    wires = [await station.connect() for _ in openings for _ in range(5)]
    for n, wire in enumerate(wires):
        wire.send(openings[n % len(openings)])
    ends = asyncio.gather(*(wire.end() for wire in wires))
    served = 0
    while not ends.done():
        assert await serves(station)
        served += 1
    assert served
    for n, came in enumerate(await ends):
        assert came.startswith(b"HTTP/1.1 408 ") if n % len(openings) == 3 else came == b""
    assert len(station.take.texts) == served


async def test_a_header_that_trickles_in_does_not_move_its_deadline(start: Start):
    station = await start(**QUICK | {"idle_seconds": 60})
    fresh, used = await station.connect(), await station.connect()
    used.send(request())
    assert (await used.reply()).body == b"ok"
    for wire in (fresh, used):
        ended = asyncio.create_task(wire.end())
        wire.send(HALF_HEADER)
        while not ended.done():
            wire.send(b"x")
            await asyncio.wait([ended], timeout=0.05)
        assert await ended == b""


async def test_a_connection_is_kept_for_the_next_request_and_ends_when_none_comes(start: Start):
    station = await start(**QUICK)
    wire = await station.connect()
    for _ in range(2):
        wire.send(request())
        assert (await wire.reply()).body == b"ok"
    assert await wire.end() == b""


async def test_half_a_second_request_ends_the_connection(start: Start):
    station = await start(**QUICK | {"idle_seconds": 60})
    wire = await station.connect()
    wire.send(request())
    assert (await wire.reply()).body == b"ok"
    wire.send(HALF_HEADER)
    assert await wire.end() == b""


async def test_half_a_request_behind_a_whole_one_ends_the_connection(start: Start):
    station = await start(**QUICK)
    wire = await station.connect()
    wire.send(request() + HALF_HEADER)
    assert (await wire.end()).endswith(b"\r\n\r\nok")


async def test_a_request_that_takes_longer_than_every_deadline_is_still_answered(start: Start):
    station = await start(**QUICK)
    station.take.is_open.clear()
    wire = await station.connect()
    wire.send(request())
    reply = asyncio.create_task(wire.reply())
    await asyncio.wait([reply], timeout=2)
    assert not reply.done()
    station.take.is_open.set()
    assert (await reply).body == b"ok"


async def test_a_client_that_does_not_read_its_answers_cannot_stay(start: Start):
    station = await start(Carrier(answer_with=Answer(body=b"ok" * 4_000_000)), connections=1, **QUICK)
    with socket.socket() as deaf:
        deaf.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", station.web.public_port))
            await loop.sock_sendall(deaf, request() * 3)
            await station.take.is_called.wait()
            while True:
                try:
                    if (await station.ask(request())).status == 200:
                        break
                except (ConnectionError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.05)


async def test_when_every_place_is_taken_the_oldest_that_has_shown_nothing_makes_room(start: Start):
    station = await start(connections=3)
    oldest, *others = [await station.connect() for _ in range(3)]
    newcomer = await station.connect()
    assert await oldest.end() == b""
    for wire in (newcomer, *others):
        wire.send(request())
        assert (await wire.reply()).body == b"ok"
    assert station.ended("displaced") == 1


async def test_a_callback_that_is_being_recorded_keeps_its_place(start: Start):
    station = await start(connections=2)
    station.take.is_open.clear()
    wires = [await station.connect() for _ in range(2)]
    for n, wire in enumerate(wires, 1):
        wire.send(request())
        await until(lambda n=n: station.take.calls == n)
    newcomer = await station.connect()
    assert await newcomer.end() == b""
    assert station.ended("refused") == 1
    station.take.is_open.set()
    for wire in wires:
        assert (await wire.reply()).body == b"ok"
    assert (await station.ask(request())).body == b"ok"  # and then it makes room


async def test_every_place_is_given_back_however_a_client_leaves(start: Start):
    station = await start()
    station.take.is_open.clear()
    openings = (b"", HALF_HEADER, request(body=b"hel", length=500), request(), request("/hook?key=magpie-key"))
    wires = [await station.connect(f"127.0.0.{n}") for n in range(2, 6) for _ in openings]
    for n, wire in enumerate(wires):
        wire.send(openings[n % len(openings)])
    await until(lambda: station.take.calls == 4 and station.counted("fake", 403) == 4)
    for wire in wires:
        wire.writer.transport.abort()
    await until(lambda: len(station.web._public.places) == 0)
    station.take.is_open.set()
    assert (await station.ask(request())).body == b"ok"
    await until(lambda: len(station.web._public.places) == 0)


@pytest.mark.parametrize("opening", [b"", HALF_HEADER, request(body=b"hel", length=500)])
async def test_a_crowd_of_slow_clients_does_not_keep_a_carrier_out(start: Start, opening: bytes):
    station = await start(connections=8, per_source=100)
    crowd = [await station.connect(f"127.0.0.{n}") for n in (2, 3, 4, 5) for _ in range(20)]
    for wire in crowd:
        wire.send(opening)
    carrier = await station.connect("127.0.0.9")
    for _ in range(3):
        crowd += [await station.connect(f"127.0.0.{n}") for n in (2, 3, 4, 5) for _ in range(5)]
        carrier.send(request())
        assert (await carrier.reply()).body == b"ok"


async def test_who_asks_without_reading_is_not_served_further_and_goes(start):
    station = await start(Carrier(answer_with=Answer(body=b"x" * 20_000)), idle_seconds=0.3)
    wire = await station.connect()
    for _ in range(2000):  # 40 MB of answers: more than the kernel keeps
        wire.send(request())
    await until(lambda: station.ended("late") == 1)
    assert 0 < station.take.calls < 2000


async def test_who_asks_many_at_once_and_reads_is_answered_each(start):
    station = await start(Carrier(answer_with=Answer(body=b"x" * 20_000)))
    wire = await station.connect()
    for _ in range(500):
        wire.send(request())
    for _ in range(500):
        assert (await wire.reply()).status == 200


async def test_one_source_cannot_take_every_place(start: Start):
    station = await start(per_source=2)
    wires = [await station.connect("127.0.0.2") for _ in range(5)]
    assert [await wire.end() for wire in wires[:3]] == [b""] * 3
    assert (await station.ask(request(), source="127.0.0.3")).body == b"ok"
    for wire in wires[3:]:
        wire.send(request())
        assert (await wire.reply()).body == b"ok"


async def test_our_own_proxy_is_held_by_the_cap_on_all_connections_only(start: Start):
    station = await start(per_source=1)
    wires = [await station.connect() for _ in range(5)]
    for wire in wires:
        wire.send(request())
        assert (await wire.reply()).body == b"ok"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /hook?key=kingfisher-key HTTP/9.9\r\n\r\n",
        b"BREW /hook?key=kingfisher-key HTTP/1.1\r\n\r\n",
        b"GET /hook?key=kingfisher-key&x=" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: sms.example.com\r\n\r\n",
        b"GET /hook?key=kingfisher-key HTTP/1.1\r\nkingfisher-key\r\n\r\n",
        b"GET /hook?key=kingfisher-key HTTP/1.1\r\n" + b"X-Bird: kingfisher\r\n" * 200 + b"\r\n",
        b"POST /hook?key=kingfisher-key HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /hook?key=kingfisher-key HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_400_and_quoted_nowhere(start: Start, raw: bytes, caplog):
    station = await start()
    wire = await station.connect()
    with capture_logs() as logs:
        wire.send(raw)
        reply = await wire.reply()
        assert await wire.end() == b""
        again = await station.ask(raw)
        await station.web.stop()
    assert (reply.status, reply.body) == (again.status, again.body) == (400, b"")
    assert "server" not in reply.headers
    assert [(entry["event"], entry["status"]) for entry in logs] == [(Logged.CALLBACK_REFUSED, 400)] * 2
    assert station.counted("unknown", 400) == 2
    assert "kingfisher" not in str(logs) + caplog.text
    assert caplog.text == ""
    assert station.take.taken == []


async def test_a_long_text_of_emoji_fits_into_a_get(start: Start):
    station = await start()
    target = f"/hook?key={KEY}&message=" + "%F0%9F%99%82" * 2000
    assert (await station.ask(request(target, b"", method="GET"))).body == b"ok"


async def test_an_upgrade_is_not_taken_up(start: Start):
    station = await start()
    headers = ["Connection: upgrade", "Upgrade: websocket"]
    assert (await station.ask(request(headers=headers, method="GET", body=b""))).body == b"ok"


async def test_a_bug_below_the_handlers_is_logged_without_its_text(start: Start):
    class Unprintable(Carrier):
        def answer(self, parsed, parts):
            return Answer(status=200, content_type="text/plain\r\nX-Text: hello", body=b"ok")

    station = await start(Unprintable())
    with capture_logs() as logs:
        wire = await station.connect()
        wire.send(request())
        assert b"hello" not in await wire.end()
    assert [entry["event"] for entry in logs] == [Logged.CALLBACK_FAILED]
    assert "hello" not in str(logs)


async def test_a_bug_in_a_page_is_answered_500_without_a_word(start: Start, monkeypatch):
    station = await start()

    def fail() -> bytes:
        raise ValueError("hello")

    monkeypatch.setattr(station.metrics, "render", fail)
    with capture_logs() as logs:
        reply = await station.page("/metrics")
    assert (reply.status, reply.body) == (500, b"")
    assert [(entry["event"], entry["error"]) for entry in logs] == [(Logged.CALLBACK_FAILED, "ValueError")]
    assert "hello" not in str(logs)


async def test_what_is_no_http_on_the_internal_listener_is_answered_400(start: Start):
    station = await start()
    assert (await station.ask(b"kingfisher\r\n\r\n", port=station.web.internal_port)).status == 400
    assert station.counted("unknown", 400) == 0


async def test_a_taken_port_is_named(start: Start):
    station = await start()
    port = station.web.public_port
    web = Web(
        WebSettings(listen=("127.0.0.1", port)),
        providers=(),
        take=Taker(),
        readiness=is_ready,
        metrics=Metrics(),
        clock=system_clock(),
    )
    with pytest.raises(CannotListen, match=f"127.0.0.1 port {port}: "):
        await web.start()
    await web.stop()


async def test_both_listeners_start_or_none(start: Start):
    station = await start()
    taken = station.web.public_port
    free = free_port()
    with pytest.raises(CannotListen, match=str(taken)):
        await start(listen=("127.0.0.1", free), internal=("127.0.0.1", taken))
    again = await start(listen=("127.0.0.1", free), internal=None)
    assert again.web.public_port == free
    assert again.web.internal_port is None


async def test_stopping_lets_the_running_request_finish_and_accepts_no_more(start: Start):
    station = await start()
    port = station.web.public_port
    station.take.is_open.clear()
    idle, running = await station.connect(), await station.connect()
    running.send(request())
    await station.take.is_called.wait()
    stopping = asyncio.create_task(station.web.stop())
    assert await idle.end() == b""
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    assert not stopping.done()
    station.take.is_open.set()
    assert (await running.reply()).body == b"ok"
    async with asyncio.timeout(PATIENCE):
        await stopping
    assert station.take.texts == ["hello"]


async def test_stopping_does_not_wait_for_ever(start: Start):
    station = await start(finish_seconds=0.2)
    station.take.is_open.clear()
    wire = await station.connect()
    wire.send(request())
    await station.take.is_called.wait()
    async with asyncio.timeout(PATIENCE):
        await station.web.stop()
    assert await wire.end() == b""
    assert station.take.taken == []


def test_the_deadlines_hold_on_uvloop_too():
    async def play() -> None:
        web = Web(
            WebSettings(listen=("127.0.0.1", 0), header_seconds=1, idle_seconds=1, per_source=1),
            providers=(Carrier(name=ProviderName("fake")),),
            take=Taker(),
            readiness=is_ready,
            metrics=Metrics(),
            clock=system_clock(),
        )
        await web.start()
        for opening, came in ((b"", b""), (HALF_HEADER, b""), (request(), b"ok")):
            wire = Wire(*await asyncio.open_connection("127.0.0.1", web.public_port))
            wire.send(opening)
            assert (await wire.end()).endswith(came)
            await wire.close()
        await web.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
