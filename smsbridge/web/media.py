"""Files that came with texts, for whoever has their link: GET or HEAD /media/<token>/<name>.

- Never given out, over, or thrown away: the same 404. The name has to be right as well; there is no list of anything.
- A browser that opens a link meets a file and nothing that acts: its type is what its own bytes said, nothing else is
  to be guessed, and only what cannot act is shown in place.
- The file is written from its place on the disk, in pieces. Who reads more slowly than `SLOWEST` is left.
- Who fetches a file is a guest like any other: its place goes to a carrier that needs one.
- Neither token nor path is in the log.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from smsbridge.bridge.shelves import PREFIX, Found
from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.log import Event, Log
from smsbridge.media.kinds import is_harmless
from smsbridge.metrics import Metrics
from smsbridge.web.refusals import WINDOW_SECONDS, Tally
from smsbridge.web.sources import Proxies, source_key, source_of

Find = Callable[[str], Awaitable[Found | None]]  # what is given out for a token

GRACE_SECONDS: Final = 15.0
SLOWEST: Final = 16 * 1024  # bytes a second
RETRY_SECONDS: Final = 30

_TARGET: Final = re.compile(re.escape(PREFIX) + r"([A-Za-z0-9_-]{32})/([a-z]+\.[a-z0-9]+)")
_METHODS: Final = (hdrs.METH_GET, hdrs.METH_HEAD)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    hdrs.CACHE_CONTROL: "private",
    "Referrer-Policy": "no-referrer",
}

_log = Log("web")


class Files:
    """The part of the public listener that is for owners' clients. The limits are per minute and source."""

    def __init__(
        self, find: Find, *, metrics: Metrics, clock: Clock, failures: int, requests: int, proxies: Proxies
    ) -> None:
        self._find = find
        self._metrics = metrics
        self._failures = Tally(failures, clock)
        self._requests = Tally(requests, clock)
        self._proxies = proxies

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, to its last byte."""
        try:
            response = await self._answer(request)
        except StoreUnavailable:
            response = _refusal(503, RETRY_SECONDS)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, its text goes nowhere
            _log.crash(Event.FILE_FAILED, error)
            response = _refusal(500)
        self._metrics.files_asked.labels(response.status).inc()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in _METHODS:
            return _refusal(405)
        if request.body_exists:
            return _refusal(400)
        source = source_of(request, self._proxies)
        # a proxy that does not tell for whom it asks is everybody
        key = "" if source in self._proxies else source_key(source)
        # who guesses costs no look into the store any more
        if key and (self._failures.is_over(key) or not self._requests.count(key)):
            return _refusal(429, WINDOW_SECONDS)
        if (asked := _TARGET.fullmatch(request.raw_path.partition("?")[0])) is not None:
            found = await self._find(asked[1])
            if found is not None and found.name == asked[2]:
                size = await asyncio.to_thread(_size_of, found.path)
                if size is not None:
                    return await _write(request, found, size)
        if key:
            self._failures.count(key)
        return _refusal(404)


async def _write(request: web.BaseRequest, found: Found, size: int) -> web.StreamResponse:
    kind = f"{found.kind}; charset=utf-8" if found.kind.startswith("text/") else found.kind
    place = "inline" if is_harmless(found.kind) else "attachment"
    response = _Once(
        found.path,
        headers={
            **_HEADERS,
            hdrs.CONTENT_TYPE: kind,
            hdrs.CONTENT_DISPOSITION: f'{place}; filename="{found.name}"',
        },
    )
    try:
        async with asyncio.timeout(GRACE_SECONDS + size / SLOWEST):
            await response.prepare(request)
            await response.write_eof()
    except (TimeoutError, ConnectionError):  # too slow, or gone: what was begun cannot be ended otherwise
        if request.transport is not None:
            request.transport.abort()
    return response


class _Once(web.FileResponse):
    """A file that is written when it is prepared, and not again when aiohttp prepares what a handler returns."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None if self.prepared else await super().prepare(request)


def _refusal(status: int, seconds: int | None = None) -> web.Response:
    response = web.Response(status=status)
    if seconds is not None:
        response.headers[hdrs.RETRY_AFTER] = str(seconds)
    if status == 405:
        response.headers[hdrs.ALLOW] = ", ".join(_METHODS)
    response.force_close()
    return response


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
