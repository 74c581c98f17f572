"""Loopback servers that behave as a test tells them, and a session to call them with."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest

from smsbridge.providers.http import open_session
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from tests.fakes.waiting import PATIENCE

from .boxes import Box, api_of


@dataclass
class Server:
    """`requests` holds each request that was read whole, head and body."""

    behave: Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        self.requests.append(head + await reader.readexactly(length))
        self.asked.set()
        return self.requests[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.behave(self, reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection without a word (RST)."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE):
        yield


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def starter(behave: Callable[..., Awaitable[None]]) -> Server:
            server = Server(behave=behave)
            listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
            server.port = listener.sockets[0].getsockname()[1]
            stack.callback(listener.close)
            stack.callback(server.released.set)
            return server

        yield starter


@pytest.fixture
async def box(session) -> AsyncIterator[Callable[..., object]]:
    boxes: list[Box] = []

    async def build(**options: object) -> Box:
        box = Box()
        dids = (DidSettings(did="5551230001"), DidSettings(did="5551230002"))
        config = CarrierConfig(dids=dids, clock=lambda: box.now, faults=box.faults, daily_quota=None, **options)
        box.carrier = await Carrier.start(config)
        boxes.append(box)
        box.api = api_of(session, box.carrier.api_url, config.password)
        return box

    yield build
    async with asyncio.timeout(PATIENCE):
        for box in boxes:
            await box.carrier.stop()
