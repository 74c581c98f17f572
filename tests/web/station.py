"""A small carrier, a `take` that can block and fail, and HTTP by hand, because the library's client is too polite."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smsbridge.clock import Clock
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Malformed, Unauthentic
from smsbridge.core.message import Event, InboundMessage, Kind, ProviderName, Source
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Answer, Callback, Capabilities, Parsed
from smsbridge.web.app import Web
from smsbridge.web.health import Readiness
from tests.fakes.waiting import PATIENCE

NOW = datetime(2026, 10, 5, 18, 3, 11, tzinfo=UTC)
KEY = "kingfisher-key"
FAKE = ProviderName("fake")
DID = Did("+15551230001")
PEER = Peer("+15559870002")


@dataclass(kw_only=True)
class Carrier:
    """Its callback is `?key=…` with the text as the body; with `signs_body` the body begins with the key instead."""

    name: ProviderName = FAKE
    key: str = KEY
    paths: tuple[str, ...] = ("/hook",)
    signs_body: bool = False
    answer_with: Answer = field(default_factory=lambda: Answer(body=b"ok"))
    kind: str = "fake"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(sms=(), callback_bytes=1000))
    asked: list[Callback] = field(default_factory=list)
    parsed: list[Callback] = field(default_factory=list)

    def authenticate(self, callback: Callback) -> None:
        self.asked.append(callback)
        if not self.signs_body and ("key", self.key) not in callback.query:
            raise Unauthentic

    def parse(self, callback: Callback) -> Parsed:
        self.parsed.append(callback)
        if self.signs_body and not callback.body.startswith(self.key.encode()):
            raise Unauthentic
        if callback.body == b"nonsense":
            raise Malformed("no text")
        if callback.body == b"silence":
            return Parsed()
        return Parsed(events=(text(self.name, callback.body.decode()),))

    def answer(self, parsed: Parsed, parts: Sequence[Any]) -> Answer:
        assert not parts
        return self.answer_with


def text(provider: ProviderName, words: str) -> InboundMessage:
    return InboundMessage(
        provider=provider,
        source=Source.WEBHOOK,
        kind=Kind.SMS,
        did=DID,
        peer=PEER,
        provider_id=None,
        text=words,
    )


class Taker:
    """Takes events when `is_open`, and raises `error` if there is one."""

    def __init__(self) -> None:
        self.taken: list[tuple[ProviderName, tuple[Event, ...]]] = []
        self.calls = 0
        self.is_called = asyncio.Event()
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.error: Exception | None = None

    async def __call__(self, provider: ProviderName, events: Sequence[Event]) -> None:
        self.calls += 1
        self.is_called.set()
        await self.is_open.wait()
        if self.error is not None:
            raise self.error
        self.taken.append((provider, tuple(events)))

    @property
    def texts(self) -> list[str]:
        return [event.text for _, events in self.taken for event in events if isinstance(event, InboundMessage)]


class Ticks:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def clock(self) -> Clock:
        return Clock(now=lambda: NOW, monotonic=lambda: self.seconds)


@dataclass(kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def reply(self) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(status=int(head[0].split()[1]), headers=headers, body=body)

    async def end(self) -> bytes:
        """What comes until the other side closes."""
        came = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while chunk := await self.reader.read(65536):
                    came += chunk
            except ConnectionError:
                pass
        return came

    async def close(self) -> None:
        self.writer.close()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                await self.writer.wait_closed()


def request(
    target: str = f"/hook?key={KEY}",
    body: bytes = b"hello",
    *,
    method: str = "POST",
    headers: Sequence[str] = (),
    length: int | None = None,
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: sms.example.com", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(kw_only=True)
class Station:
    """A running `Web` with everything around it at hand."""

    web: Web
    take: Taker
    metrics: Metrics
    ticks: Ticks
    stack: AsyncExitStack

    async def connect(self, source: str = "127.0.0.1", port: int | None = None) -> Wire:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port or self.web.public_port, local_addr=(source, 0)
            )
        wire = Wire(reader, writer)
        self.stack.push_async_callback(wire.close)
        return wire

    async def ask(self, raw: bytes, *, source: str = "127.0.0.1", port: int | None = None) -> Reply:
        wire = await self.connect(source, port)
        wire.send(raw)
        reply = await wire.reply()
        await wire.close()
        return reply

    async def page(self, target: str, method: str = "GET") -> Reply:
        return await self.ask(request(target, b"", method=method), port=self.web.internal_port)

    def ended(self, why: str) -> float:
        return self.metrics.registry.get_sample_value("smsbridge_connections_ended_total", {"why": why}) or 0.0

    def counted(self, provider: str, status: int) -> float:
        labels = {"provider": provider, "status": str(status)}
        return self.metrics.registry.get_sample_value("smsbridge_callbacks_total", labels) or 0.0


async def is_ready() -> Readiness:
    return Readiness(is_ready=True, stream_up=True)


Start = Callable[..., Awaitable[Station]]
