"""The shipped proxy configurations, in the real nginx and Caddy, in front of the bridge's door.

What runs is the shipped file; only its ports, certificate and log paths are put in place, and one patience is
shortened. Each 127.x.y.z is a caller of its own.
"""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from smsbridge.bridge.shelves import Found
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Capabilities
from smsbridge.sim.ports import free_port
from smsbridge.web.app import Web, WebSettings
from smsbridge.web.media import Find
from smsbridge.web.webhooks import Bounds
from tests.fakes.waiting import PATIENCE, until
from tests.web.station import KEY, Carrier, Station, Taker, Ticks, Wire, is_ready, request

CONTRIB = Path(__file__).parents[2] / "contrib"
NAME = "sms.example.com"
TARGET = f"/voipms?key={KEY}"
HIDDEN = f"GET /hidden?key={KEY} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()  # the proxies pass on other paths only


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A running proxy. `files` is where it writes."""

    name: str
    port: int
    directory: Path
    trust: ssl.SSLContext

    async def connect(self, source: str = "127.0.0.9") -> Wire:
        async with asyncio.timeout(PATIENCE):
            streams = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.trust, server_hostname=NAME, local_addr=(source, 0)
            )
        return Wire(*streams)

    async def status(self, raw: bytes, source: str = "127.0.0.9") -> int:
        wire = await self.connect(source)
        try:
            wire.send(raw)
            return (await wire.reply()).status
        finally:
            wire.writer.transport.abort()

    def written(self) -> str:
        """All that is in any file of its own."""
        return "\n".join(
            path.read_text(errors="replace") for path in self.directory.rglob("*") if path.suffix in (".log", ".err")
        )


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"the shipped file has no {old!r} any more"
    return text.replace(old, new)


def nginx(directory: Path, port: int, upstream: int) -> list[str]:
    shipped = (CONTRIB / "nginx" / "smsbridge.conf").read_text()
    shipped = replaced(shipped, "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    shipped = replaced(shipped, "listen [::]:443 ssl;", "")
    shipped = replaced(shipped, f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(directory / "cert.pem"))
    shipped = replaced(shipped, f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(directory / "key.pem"))
    shipped = replaced(shipped, "/var/log/nginx/", f"{directory}/")
    shipped = replaced(shipped, "http://127.0.0.1:8080;", f"http://127.0.0.1:{upstream};")
    (directory / "smsbridge.conf").write_text(shipped)
    temporary = "".join(
        f"  {kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"{'user root root;' if os.geteuid() == 0 else ''}\n"
        f"daemon off;\nworker_processes 1;\npid {directory}/nginx.pid;\nerror_log {directory}/main.err error;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{\n{temporary}  access_log off;\n  include {directory}/smsbridge.conf;\n}}\n"
    )
    return ["nginx", "-p", str(directory), "-c", "nginx.conf", "-e", str(directory / "main.err")]


def caddy(directory: Path, port: int, upstream: int, patience: str = "2s") -> list[str]:
    shipped = (CONTRIB / "caddy" / "Caddyfile").read_text()
    options = f"\tadmin off\n\tskip_install_trust\n\thttps_port {port}\n"
    shipped = replaced(shipped, "\tauto_https", f"{options}\tauto_https")
    shipped = replaced(shipped, "lb_try_duration 10s", f"lb_try_duration {patience}")
    own = f"\tbind 127.0.0.1\n\ttls {directory}/cert.pem {directory}/key.pem\n"
    shipped = replaced(shipped, f"\n{NAME} {{\n", f"\n{NAME} {{\n{own}")
    shipped = replaced(shipped, "reverse_proxy 127.0.0.1:8080", f"reverse_proxy 127.0.0.1:{upstream}")
    (directory / "Caddyfile").write_text(shipped)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]


COMMANDS: dict[str, Callable[[Path, int, int], list[str]]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=directory, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return directory


@asynccontextmanager
async def running(name: str, directory: Path, certificate: Path, upstream: int) -> AsyncIterator[Front]:
    """The proxy, as it is told to run in front of `upstream`."""
    for file in ("cert.pem", "key.pem"):
        (directory / file).write_bytes((certificate / file).read_bytes())
    port = free_port()
    command = COMMANDS[name](directory, port, upstream)
    environment = os.environ | {
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
    }
    with (directory / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output, env=environment)
        try:
            await until(lambda: process.returncode is not None or answers(port))
            assert process.returncode is None, (directory / "output.log").read_text()
            trust = ssl.create_default_context(cafile=certificate / "cert.pem")
            yield Front(name=name, port=port, directory=directory, trust=trust)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=list(COMMANDS))
async def house(request, tmp_path, certificate) -> AsyncIterator[tuple[Front, Station, Carrier]]:
    """A proxy, the door behind it, and a carrier that is known there at a path the proxy does not pass on, too."""
    carrier = Carrier(paths=("/voipms", "/hidden"), capabilities=Capabilities(sms=()))
    async with AsyncExitStack() as stack:
        station = await open_door(stack, carrier)
        front = await stack.enter_async_context(running(request.param, tmp_path, certificate, station.web.public_port))
        yield front, station, carrier


async def nothing(_: str) -> None:
    return None


async def open_door(stack: AsyncExitStack, carrier: Carrier, port: int = 0, find: Find = nothing) -> Station:
    take, metrics, ticks = Taker(), Metrics(), Ticks()
    web = Web(
        WebSettings(listen=("127.0.0.1", port), bounds=Bounds(failures_a_minute=1)),
        providers=(carrier,),
        take=take,
        readiness=is_ready,
        metrics=metrics,
        clock=ticks.clock(),
        find=find,
    )
    await web.start()
    stack.push_async_callback(web.stop)
    return Station(web=web, take=take, metrics=metrics, ticks=ticks, stack=stack)


async def test_a_callback_passes_and_comes_back_with_the_bridges_answer(house):
    front, station, carrier = house
    wire = await front.connect()
    wire.send(request(TARGET, "hello é🙂".encode()))
    reply = await wire.reply()
    await wire.close()
    assert (reply.status, reply.body) == (200, b"ok")
    assert station.take.texts == ["hello é🙂"]
    long = f"{TARGET}&message=" + "%F0%9F%99%82" * 2000
    assert await front.status(request(long, b"", method="GET")) == 200
    assert ("message", "🙂" * 2000) in carrier.parsed[-1].query


async def test_what_is_not_for_the_public_ends_at_the_proxy(house):
    front, station, carrier = house
    ways = ("/voipms/..", "/media/..", "/media/%2e%2e", "/media/..%2f..", "/media%2f..", "//media/..")
    around = [f"{way}/hidden?key={KEY}" for way in ways]
    for target in ("/metrics", "/healthz", "/", f"/hidden?key={KEY}", *around):
        assert await front.status(request(target, b"", method="GET")) in (400, 404)
    assert carrier.asked == []
    assert await front.status(request("/hook/nobody", b"")) == 404
    assert station.counted("unknown", 404) == 1


async def test_the_bridge_counts_failures_by_the_address_of_the_caller_whatever_he_claims(house):
    front, _, _ = house
    wrong = request("/voipms?key=magpie-key")
    assert [await front.status(wrong, "127.0.0.5") for _ in range(2)] == [403, 429]
    claims = [
        request("/voipms?key=magpie-key", headers=[f"X-Forwarded-For: 203.0.113.{n}", "Forwarded: for=203.0.113.9"])
        for n in (1, 2)
    ]
    assert [await front.status(claim, "127.0.0.6") for claim in claims] == [403, 429]
    assert await front.status(wrong, "127.0.0.7") == 403
    assert await front.status(request(TARGET), "127.0.0.6") == 200


async def test_a_large_body_is_refused_and_one_that_just_fits_is_not(house):
    front, station, _ = house
    assert await front.status(request(TARGET, b"x" * 65_536)) == 200
    for size in (65_537, 99_999, 200_000):
        assert await front.status(request(TARGET, b"x" * size)) == 413
        chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
        assert await front.status(f"POST {TARGET} HTTP/1.1\r\nHost: {NAME}\r\n".encode() + chunks) in (400, 413)
    assert [len(text) for text in station.take.texts] == [65_536]
    if front.name == "nginx":
        assert station.counted("fake", 413) == 0  # it ended before the bridge


async def test_slow_callers_keep_the_proxy_waiting_and_not_the_bridge(house):
    front, station, carrier = house
    slow = [await front.connect(f"127.0.0.{n}") for n in range(20, 50)]
    for n, wire in enumerate(slow):
        whole = request(TARGET, b"x" * 5000)
        wire.send(whole[:40] if n % 2 else whole[:-1000])
    assert await front.status(request(TARGET)) == 200
    for wire in slow:
        wire.send(b"x")
    assert await front.status(request(TARGET)) == 200
    await until(lambda: len(station.web._public.places) == 0)
    assert len(carrier.asked) == 2  # of the others the bridge knows nothing
    for wire in slow:
        wire.writer.transport.abort()


async def test_the_key_and_the_text_are_in_no_file_of_the_proxy(house):
    front, station, _ = house
    secret = f"{TARGET}&message=magpie%20nest"
    assert await front.status(request(secret, b"", method="GET")) == 200
    assert await front.status(request(f"/nowhere?key={KEY}", b"", method="GET")) == 404
    assert await front.status(request(secret, b"x" * 70_000)) == 413
    garbled = await front.connect()
    garbled.send(f"GET {secret} HTTP/1.1\r\nkingfisher-key\r\n\r\n".encode())
    await garbled.end()
    await station.web.stop()
    assert await front.status(request(secret, b"")) == 502  # nobody is there: an error that a proxy tells of
    if front.name == "nginx":
        assert "/voipms" in front.written()  # the journal is not empty, only discreet
    else:
        assert "dial tcp" in front.written()
    assert KEY not in front.written()
    assert "magpie" not in front.written()


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_picture_comes_through_whole_and_in_parts_and_its_link_is_in_no_file_of_the_proxy(
    name, tmp_path, certificate
):
    token, data = "kingfisher_kingfisher-kingfisher", bytes(range(256)) * 4096
    picture = tmp_path / "picture"
    picture.write_bytes(data)

    async def find(asked: str) -> Found | None:
        return Found(path=picture, name="image.jpg", kind="image/jpeg") if asked == token else None

    async with AsyncExitStack() as stack:
        station = await open_door(stack, Carrier(), find=find)
        front = await stack.enter_async_context(running(name, tmp_path, certificate, station.web.public_port))

        def get(token: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
            return request(f"/media/{token}/image.jpg", body, method=method, headers=headers)

        wire = await front.connect()
        for part, headers in ((data, ()), (data[1000:5000], ("Range: bytes=1000-4999",))):
            wire.send(get(token, *headers))
            reply = await wire.reply()
            assert (reply.status, reply.body) == (206 if headers else 200, part)
            assert reply.headers["content-type"] == "image/jpeg"
            assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
        await wire.close()
        assert await front.status(get(token[::-1]), "127.0.0.5") == 404
        assert await front.status(get(token[::-1]), "127.0.0.5") == 429
        assert await front.status(get(token), "127.0.0.6") == 200
        assert await front.status(get(token, method="POST", body=b"x" * 10), "127.0.0.7") in (405, 413)
        await station.web.stop()
        assert await front.status(get(token)) == 502
        assert front.written()
        assert "kingfisher" not in front.written()


async def test_a_request_whose_answer_is_missing_is_not_repeated(request, tmp_path, certificate):
    for name in COMMANDS:
        heard: list[bytes] = []

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard=heard) -> None:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()

        deaf = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        directory = tmp_path / name
        directory.mkdir()
        async with deaf, running(name, directory, certificate, deaf.sockets[0].getsockname()[1]) as front:
            for method in ("POST", "GET"):
                raw = f"{method} {TARGET} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n".encode()
                assert await front.status(raw) == 502
            assert [line.split()[0] for line in heard] == [b"POST", b"GET"]


async def test_caddy_holds_a_callback_while_the_bridge_restarts(tmp_path, certificate, monkeypatch):
    monkeypatch.setitem(COMMANDS, "caddy", partial(caddy, patience="10s"))  # all of it
    carrier = Carrier(paths=("/voipms",))
    port = free_port()
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(running("caddy", tmp_path, certificate, port))
        wire = await front.connect()
        wire.send(request(TARGET))
        reply = asyncio.create_task(wire.reply())
        await asyncio.wait([reply], timeout=0.5)
        assert not reply.done()
        station = await open_door(stack, carrier, port)
        assert (await reply).body == b"ok"
        assert station.take.texts == ["hello"]
        await wire.close()


def smuggling() -> dict[str, bytes]:
    """A request for /hidden inside the body of another, for every way in which two readers may disagree."""
    post = f"POST {TARGET} HTTP/1.1\r\nHost: {NAME}\r\n".encode()
    ended, chunk = b"0\r\n\r\n" + HIDDEN, b"%x\r\n" % len(HIDDEN)
    shapes = {}
    codings = {
        "plain": b"Transfer-Encoding: chunked",
        "unknown": b"Transfer-Encoding: xchunked",
        "capitals": b"tRANSFER-eNCODING: CHUNKED",
        "blank": b"Transfer-Encoding : chunked",
        "leading blank": b" Transfer-Encoding: chunked",
        "tab": b"Transfer-Encoding:\tchunked",
        "vertical tab": b"Transfer-Encoding: \x0bchunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "quoted": b'Transfer-Encoding: "chunked"',
        "identity too": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "listed": b"Transfer-Encoding: identity, chunked",
        "compressed": b"Transfer-Encoding: gzip, chunked",
        "hidden behind a line feed": b"X-A: b\nTransfer-Encoding: chunked",
        "hidden behind a carriage return": b"X-A: b\rTransfer-Encoding: chunked",
        "underlined": b"Transfer_Encoding: chunked",
        "NUL": b"Transfer-Encoding: chunked\x00",
    }
    for name, coding in codings.items():
        shapes[f"length over chunks, {name}"] = (
            post + b"Content-Length: %d\r\n" % len(ended) + coding + b"\r\n\r\n" + ended
        )
        shapes[f"chunks over length, {name}"] = (
            post + coding + b"\r\nContent-Length: %d\r\n\r\n" % len(chunk) + chunk + HIDDEN + b"\r\n0\r\n\r\n"
        )
        shapes[f"HTTP/1.0, {name}"] = shapes[f"length over chunks, {name}"].replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    lengths = (b"0", b"+0", b"-1", b"0x0", b"00", b"0 ", b"0, %d" % len(HIDDEN), b"%d" % (2**64))
    for length in lengths:
        first = b"Content-Length: " + length + b"\r\n"
        second = b"Content-Length: %d\r\n" % len(HIDDEN)
        shapes[f"two lengths, {length!r} first"] = post + first + second + b"\r\n" + HIDDEN
        shapes[f"two lengths, {length!r} last"] = post + second + first + b"\r\n" + HIDDEN
    body = b"Transfer-Encoding: chunked\r\n\r\n"
    shapes["a chunk's extension with a line feed"] = (
        post + body + b"2;\nxx\r\n" + b"%x\r\n0\r\n\r\n" % (len(HIDDEN) + 5) + HIDDEN + b"\r\n0\r\n\r\n"
    )
    shapes["a chunk that ends in a line feed"] = post + body + b"5\r\nAAAAA\n" + chunk + HIDDEN + b"\r\n0\r\n\r\n"
    shapes["a chunk of 2^64 bytes"] = post + body + b"10000000000000000\r\n" + HIDDEN + b"\r\n0\r\n\r\n"
    shapes["a trailer"] = post + body + b"0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    return shapes


async def test_no_request_reaches_the_bridge_inside_another(house):
    front, station, carrier = house
    for shape, raw in smuggling().items():
        wire = await front.connect(f"127.0.3.{len(carrier.asked) % 200 + 1}")
        wire.send(raw)
        wire.writer.write(request(TARGET, b"behind", headers=["Connection: close"]))
        try:
            await asyncio.wait_for(wire.reader.read(1), PATIENCE)
        except OSError:
            pass
        finally:
            wire.writer.transport.abort()
        assert [callback.path for callback in carrier.asked if callback.path != "/voipms"] == [], shape
    assert await front.status(request(TARGET)) == 200
    assert {callback.path for callback in carrier.asked} == {"/voipms"}
    await station.ask(HIDDEN)
    assert carrier.asked[-1].path == "/hidden"  # it would have been seen
