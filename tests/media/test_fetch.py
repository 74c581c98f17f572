"""What is fetched from outside, and what never is: no socket is opened to an address that is not public."""

import asyncio
import ipaddress
import socket
import sys
import tracemalloc
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer

from smsbridge.media.addresses import is_number, is_public
from smsbridge.media.fetch import Fault, File, NotMoved, open_courier, origin_of
from smsbridge.sim.pictures import tiny_jpeg
from tests.fakes.words import english
from tests.media.places import CORPUS, INTERNAL_V4, INTERNAL_V6, PUBLIC

CARRIER = {"https://voip.ms"}
_connections = []
_is_watching = False


def _watch(event, args):
    """Python tells of each connection before it is made; none leaves this machine."""
    if _is_watching and event == "socket.connect" and isinstance(args[1], tuple):
        _connections.append(args[1][0])
        raise ConnectionRefusedError("nobody leaves")


sys.addaudithook(_watch)


@pytest.fixture
def connections(monkeypatch):
    """To which addresses sockets were connected."""
    _connections.clear()
    monkeypatch.setattr(sys.modules[__name__], "_is_watching", True)
    return _connections


class Names(AbstractResolver):
    """Answers with the next of what it is told, and with the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_INET):
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": one, "port": port, "family": _family(one), "proto": 0, "flags": 0}
            for one in addresses
        ]

    async def close(self):
        pass


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@asynccontextmanager
async def serving(*handlers):
    """A server on loopback that the administrator has named; `/0` is the first handler's."""
    app = web.Application()
    for n, handler in enumerate(handlers):
        app.router.add_route("*", f"/{n}", handler)
    async with TestServer(app) as server:
        origin = origin_of(str(server.make_url("/")))
        async with open_courier([origin]) as courier:
            yield courier, origin


async def fault_of(awaitable):
    with pytest.raises(NotMoved) as caught:
        await awaitable
    return caught.value.fault


async def _picture(_request):
    return web.Response(body=tiny_jpeg(), content_type="text/html")


def test_the_corpus_is_as_large_as_it_claims():
    assert len(set(CORPUS)) >= 250


async def test_nothing_in_the_corpus_opens_a_socket(connections):
    async with open_courier(resolver=Names(["127.0.0.1"])) as courier:
        faults = {url: await fault_of(courier.get(url, CARRIER)) for url in CORPUS}
    assert connections == []
    assert set(faults.values()) == {Fault.URL, Fault.PLACE}


@pytest.mark.parametrize("address", INTERNAL_V4 + INTERNAL_V6)
async def test_a_name_of_the_carrier_that_leads_inside_opens_no_socket(connections, address):
    assert not is_public(ipaddress.ip_address(address))
    for found in ([address], ["8.8.8.8", address]):
        async with open_courier(resolver=Names(found)) as courier:
            assert await fault_of(courier.get("https://voip.ms/x", CARRIER)) is Fault.ADDRESS
            file = File("image/jpeg", tiny_jpeg())
            assert await fault_of(courier.put("https://voip.ms/x", CARRIER, file, {})) is Fault.ADDRESS
    assert connections == []


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_public_address_is_connected_to_as_it_was_looked_at(connections, address):
    async with open_courier(resolver=Names([address], ["127.0.0.1"])) as courier:
        assert await fault_of(courier.get("https://voip.ms/x", CARRIER)) is Fault.UNREACHABLE
    assert set(connections) == {address}


async def test_a_name_that_answers_differently_the_second_time_gains_nothing(connections):
    async with open_courier(resolver=Names(["8.8.8.8"], ["127.0.0.1"])) as courier:
        await fault_of(courier.get("https://voip.ms/x", CARRIER))
        assert await fault_of(courier.get("https://voip.ms/x", CARRIER)) is Fault.ADDRESS
    assert set(connections) == {"8.8.8.8"}


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "file:///etc/passwd",
        "//127.0.0.1:1/x",
        "gopher://x/",
    ],
)
async def test_a_redirect_leads_nowhere_that_the_first_address_could_not(location):
    async def away(_request):
        return web.Response(status=302, headers={"Location": location})

    async with serving(away) as (courier, origin):
        assert await fault_of(courier.get(f"{origin}/0", {origin})) in {Fault.URL, Fault.PLACE, Fault.REDIRECTED}


async def test_a_redirect_within_the_place_is_followed_and_a_ring_is_left():
    async def on(_request):
        return web.Response(status=301, headers={"Location": "/1"})

    async def ring(_request):
        return web.Response(status=302, headers={"Location": "/2"})

    async with serving(on, _picture, ring) as (courier, origin):
        assert (await courier.get(f"{origin}/0", {origin})).data == tiny_jpeg()
        assert await fault_of(courier.get(f"{origin}/2", {origin})) is Fault.REDIRECTED


async def test_the_kind_is_what_the_bytes_say_and_not_what_the_server_says():
    async with serving(_picture) as (courier, origin):
        assert (await courier.get(f"{origin}/0", {origin})).kind == "image/jpeg"


@pytest.mark.parametrize(
    ("body", "fault"), [(b"<html><script>", Fault.KIND), (b"\x7fELF\x02\x01\x01\0", Fault.KIND), (b"", Fault.EMPTY)]
)
async def test_what_is_no_attachment_is_refused_whatever_it_is_called(body, fault):
    async def liar(_request):
        return web.Response(body=body, content_type="image/jpeg")

    async with serving(liar) as (courier, origin):
        assert await fault_of(courier.get(f"{origin}/0", {origin})) is fault


async def test_a_stream_without_end_is_left_when_it_is_too_large():
    sent = 0

    async def endless(request):
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while sent < 100 * 1024 * 1024:
            await answer.write(b"\xff\xd8\xff" + bytes(65533))
            sent += 65536
        return answer

    async with serving(endless) as (courier, origin):
        tracemalloc.start()
        try:
            assert await fault_of(courier.get(f"{origin}/0", {origin}, most=1024 * 1024)) is Fault.LARGE
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
        finally:
            tracemalloc.stop()
    assert sent < 20 * 1024 * 1024


async def test_what_says_that_it_is_too_large_is_not_read():
    async def large(_request):
        return web.Response(body=bytes(2048))

    async with serving(large) as (courier, origin):
        assert await fault_of(courier.get(f"{origin}/0", {origin}, most=2047)) is Fault.LARGE


async def test_a_slow_stream_is_left_in_time():
    async def slow(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"\xff")
        await asyncio.Event().wait()

    async with serving(slow) as (courier, origin):
        assert await fault_of(courier.get(f"{origin}/0", {origin}, seconds=0.2)) is Fault.SLOW


async def test_nothing_is_unpacked_and_no_cookie_is_kept():
    seen = []

    async def packed(request):
        seen.append((request.headers.get("Cookie"), request.headers["Accept-Encoding"]))
        answer = web.Response(body=bytes(100), headers={"Content-Encoding": "gzip"})
        answer.set_cookie("session", "1")
        return answer

    async with serving(packed) as (courier, origin):
        for _ in range(2):
            assert await fault_of(courier.get(f"{origin}/0", {origin})) is Fault.PACKED
    assert seen == [(None, "identity")] * 2


@pytest.mark.parametrize(
    ("status", "fault"), [(404, Fault.GONE), (410, Fault.GONE), (403, Fault.REFUSED), (500, Fault.REFUSED)]
)
async def test_a_server_that_does_not_give_it_out_is_told_apart_from_one_that_has_it_no_more(status, fault):
    async def refusing(_request):
        return web.Response(status=status)

    async with serving(refusing) as (courier, origin):
        assert await fault_of(courier.get(f"{origin}/0", {origin})) is fault


async def test_a_file_is_left_with_its_kind_and_the_headers_that_a_slot_may_name():
    seen = []

    async def take(request):
        headers = request.headers
        seen.append(
            (await request.read(), headers["Content-Type"], headers.get("Authorization"), headers.get("X-Evil"))
        )
        return web.Response(status=201)

    async with serving(take) as (courier, origin):
        headers = {"Authorization": "Bearer 1", "X-Evil": "1"}
        await courier.put(f"{origin}/0", {origin}, File("image/jpeg", tiny_jpeg()), headers)
        broken = courier.put(f"{origin}/0", {origin}, File("image/jpeg", b"x"), {"Cookie": "a\r\nX-Evil: 1"})
        assert await fault_of(broken) is Fault.URL
    assert seen == [(tiny_jpeg(), "image/jpeg", "Bearer 1", None)]


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(_picture) as (courier, origin):
        assert (await courier.get(f"{origin}/0", {origin})).kind == "image/jpeg"


def test_every_fault_has_its_words():
    assert all(english(fault.words) for fault in Fault)


@pytest.mark.parametrize("host", ["1", "0x", "a.0x7f", "::1", "127.1", "127.0.0.1."])
def test_an_address_is_known_in_every_form(host):
    assert is_number(host)


@pytest.mark.parametrize("host", ["voip.ms", "1.example.com", "0xcafe.example.com", "a1"])
def test_a_name_with_digits_is_a_name(host):
    assert not is_number(host)
