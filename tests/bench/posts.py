"""The load on the webhook: prebuilt POSTs over kept connections, no HTTP library, so that little of it is measured.

A closed loop posts the next text when the last is answered. An open loop posts by the clock, whatever is answered,
and its latencies count from the moment that was planned: a stall of the bridge is not forgiven.
"""

import asyncio
import ctypes
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from tests.bench.process import giving_way

LENGTH = 137  # characters of a text
DID = "+15551230001"
PEERS = 1000
MARK = "n"  # a text is MARK, nine digits, and words
FILLER = (
    " The quick brown fox jumps over the lazy dog, packs my box with five dozen jugs,"
    " and texts home about it: all is well out here, really."
)

_YES = b"HTTP/1.1 200"
_END = b"\r\n\r\n"


def text_of(n: int) -> str:
    """137 characters that no other text has."""
    return f"{MARK}{n:09}{FILLER}"[:LENGTH]


def peer_of(n: int, peers: int = PEERS) -> str:
    return f"+1555987{n % peers:04}"


def post_of(n: int, host: str, path: str) -> bytes:
    """VoIP.ms' JSON webhook about text n."""
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    body = (
        f'{{"data": {{"id": {n}, "event_type": "message.received", "record_type": "event", "payload": {{"id": {n}, '
        f'"record_type": "message", "type": "SMS", "from": {{"phone_number": "{peer_of(n)}"}}, "to": [{{"phone_number":'
        f' "{DID}", "status": "webhook_delivered"}}], "text": "{text_of(n)}", "media": [], "received_at": "{at}"}}}}}}'
    )
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: */*\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One load: text to instant (monotonic seconds). `refused` were not answered 200."""

    began: float
    sent_at: dict[int, float]
    answered_at: dict[int, float]
    refused: int

    @property
    def accepted_per_second(self) -> float:
        return len(self.answered_at) / (max(self.answered_at.values()) - self.began)

    def answer_seconds(self) -> list[float]:
        return [at - self.sent_at[n] for n, at in self.answered_at.items()]

    def seconds_until(self, seen_at: dict[int, float]) -> list[float]:
        return [seen_at[n] - self.sent_at[n] for n in self.answered_at]


class _Connection(asyncio.Protocol):
    def __init__(self, answered: Callable[["_Connection", bool], None]) -> None:
        self._answered = answered
        self._transport: asyncio.Transport
        self.n = 0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it
        self.is_open = True

    def post(self, n: int, request: bytes) -> None:
        self.n = n
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if _END in data:
            self._answered(self, data.startswith(_YES))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self.n:
            self._answered(self, False)

    def close(self) -> None:
        self.n = 0
        self._transport.close()


class _Load:
    """The texts of one round, whoever says when the next one goes."""

    def __init__(self, first: int, requests: list[bytes]) -> None:
        self._requests = requests
        self._first = first
        self._next = 0
        self.sent_at: dict[int, float] = {}
        self.answered_at: dict[int, float] = {}
        self.refused = 0
        self.done = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return self._next == len(self._requests)

    def post(self, connection: _Connection, at: float | None = None) -> None:
        index = self._next
        self._next += 1
        self.sent_at[self._first + index] = time.monotonic() if at is None else at
        connection.post(self._first + index, self._requests[index])

    def note(self, connection: _Connection, is_accepted: bool) -> None:
        n, connection.n = connection.n, 0
        if is_accepted:
            self.answered_at[n] = time.monotonic()
        else:
            self.refused += 1
        if len(self.answered_at) + self.refused == len(self._requests):
            self.done.set()


async def closed_loop(port: int, path: str, *, first: int, count: int, connections: int) -> Round:
    """Post `count` texts from number `first` on, `connections` at a time."""
    load = _Load(first, [post_of(n, f"127.0.0.1:{port}", path) for n in range(first, first + count)])

    def answered(connection: _Connection, is_accepted: bool) -> None:
        load.note(connection, is_accepted)
        if not load.is_over:
            load.post(connection)

    opened = await _open(port, connections, answered)
    with giving_way():
        began = time.monotonic()
        for connection in opened:
            if not load.is_over:
                load.post(connection)
        return await _finish(load, began, opened)


async def open_loop(port: int, path: str, *, first: int, count: int, connections: int, per_second: float) -> Round:
    """Post `count` texts at this rate. One that is due while all connections are busy goes with the first free one."""
    load = _Load(first, [post_of(n, f"127.0.0.1:{port}", path) for n in range(first, first + count)])
    idle: list[_Connection] = []
    due: deque[float] = deque()

    def answered(connection: _Connection, is_accepted: bool) -> None:
        load.note(connection, is_accepted)
        if not connection.is_open:
            return
        if due:
            load.post(connection, due.popleft())
        else:
            idle.append(connection)

    opened = await _open(port, connections, answered)
    idle.extend(opened)
    interval = 1 / per_second if per_second < 100 else min(0.001, 0.5 / per_second)
    began, planned = 0.0, 0

    def tick() -> None:
        nonlocal planned
        now = time.monotonic()
        while planned < count and (at := began + planned / per_second) <= now:
            planned += 1
            while idle and not idle[-1].is_open:  # the server has dropped it for saying nothing
                idle.pop()
            if idle:
                load.post(idle.pop(), at)  # the one that was used last
            else:
                due.append(at)

    with _Ticks(interval, tick) as started:
        began = started + interval  # the first tick
        return await _finish(load, began, opened)


async def _open(port: int, count: int, answered: Callable[[_Connection, bool], None]) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(lambda: _Connection(answered), "127.0.0.1", port))[1] for _ in range(count)]


async def _finish(load: _Load, began: float, connections: list[_Connection]) -> Round:
    async with asyncio.timeout(300):
        await load.done.wait()
    for connection in connections:
        connection.close()
    return Round(began=began, sent_at=load.sent_at, answered_at=load.answered_at, refused=load.refused)


class _Ticks:
    """Calls back at an interval, whose start it tells; the loop's own timers have a millisecond's grain, which would be
    measured too."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._seconds = seconds
        self._call = call

    def __enter__(self) -> float:
        # timerfd_create(2): CLOCK_MONOTONIC is 1, TFD_NONBLOCK is O_NONBLOCK
        self._file = self._libc.timerfd_create(1, os.O_NONBLOCK)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        nanoseconds = int(self._seconds * 1e9)
        interval = (ctypes.c_long * 4)(0, nanoseconds, 0, nanoseconds)
        asyncio.get_running_loop().add_reader(self._file, self._tick)
        started = time.monotonic()
        self._libc.timerfd_settime(self._file, 0, ctypes.byref(interval), None)
        return started

    def _tick(self) -> None:
        os.read(self._file, 8)
        self._call()

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
