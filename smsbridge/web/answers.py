"""Answers that are written by themselves, and how long anybody waits for one.

`Plain` is the answer that nearly all requests get: success, in a few bytes that are the same each time. aiohttp takes
a third of a request's time to make and write its own.
"""

import asyncio
from collections import deque
from functools import lru_cache
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web

from smsbridge.providers.contract import Answer

_KEPT: Final = 64  # bodies of answers: a carrier has a word or two


class Plain(web.StreamResponse):
    """200 with a body, on a connection of HTTP/1.1 that stays open."""

    def __init__(self, written: bytes) -> None:
        super().__init__()
        self._written = written

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is to be prepared."""
        self._keep_alive = True
        self._transport = request.transport
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:
        """All of it, once. Who asks and does not read is not served further until he has, or his time is over."""
        if self._transport is not None and not self._eof_sent:
            self._transport.write(self._written)
            if self._request.protocol.writing_paused:
                await self._request.writer.drain()
        self._eof_sent = True


def answer_with(answer: Answer, request: web.BaseRequest) -> web.StreamResponse:
    """The carrier's own words."""
    if answer.status == 200 and request.version == HttpVersion11 and request.keep_alive:
        return Plain(_written(answer.content_type, answer.body))
    response = web.Response(status=answer.status, body=answer.body or None)
    if answer.body:
        response.headers[hdrs.CONTENT_TYPE] = answer.content_type
    return response


@lru_cache(_KEPT)
def _written(content_type: str, body: bytes) -> bytes:
    if not content_type.isprintable():
        raise ValueError("a content type is one line")
    typed = f"Content-Type: {content_type}\r\n" if body else ""
    return f"HTTP/1.1 200 OK\r\n{typed}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Patience:
    """The same short time for many: `asyncio.timeout` with one timer for all of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turns: deque[tuple[float, asyncio.Future[Any]]] = deque()  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, work: asyncio.Future[Any]) -> None:
        """Cancel the work if it takes longer."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._seconds
        while self._turns and self._turns[0][1].done():
            self._turns.popleft()  # so few are kept, however many come in that time
        self._turns.append((ends_at, work))
        if self._timer is None:
            self._timer = loop.call_at(ends_at, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer, now = None, loop.time()
        while self._turns and (self._turns[0][1].done() or self._turns[0][0] <= now):
            self._turns.popleft()[1].cancel()  # which does nothing to what is done
        if self._turns:
            self._timer = loop.call_at(self._turns[0][0], self._look)
