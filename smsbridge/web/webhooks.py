"""The carriers' callbacks: bound, authenticate, read, parse, record, answer, in this order.

- The bounds (method, length, encoding) come before the secret, the secret before the body.
- The carrier reads its "yes" only after `take` has returned, which is after the commit.
- Accounts may share a path; every one of them is asked for its secret, whoever holds it gets the callback.
- Refusals have an empty body and end the connection: 403 wrong secret, 400 not understood, as mod_voipms had them; 404,
  405, 408, 413, 415 out of bounds; 429 refused too often; 503 no commit or too many, come again; 500 our own fault.
- What a source did wrong never stands in the way of what it does right: the secret is asked first, always, and the
  limit on refusals changes nothing but the refusals. So nobody who shares a carrier's address can lock it out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion10, hdrs, web

from smsbridge.clock import Clock
from smsbridge.core.errors import Malformed, NoRoom, StoreUnavailable, Unauthentic
from smsbridge.core.message import Event, ProviderName
from smsbridge.core.text import decode
from smsbridge.log import Event as Logged
from smsbridge.log import Log
from smsbridge.metrics import UNKNOWN, Metrics
from smsbridge.providers.contract import Callback, Parsed, Provider, Webhooked
from smsbridge.web.answers import Patience, answer_with
from smsbridge.web.refusals import WINDOW_SECONDS, Journal, Tally
from smsbridge.web.sources import Network, Proxies, mask_source, source_key, source_of

Take = Callable[[ProviderName, Sequence[Event]], Awaitable[object]]

UNTOLD: Final = ProviderName(UNKNOWN)  # the log word as well
RETRY_SECONDS: Final = 30
SMALL_BODY: Final = 64 * 1024
_METHODS: Final = (hdrs.METH_GET, hdrs.METH_POST)

_log = Log("web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What callers may cost, in seconds, per minute and source, and in bytes.

    `take_seconds`: less than any carrier waits; who is told to come again then finds it taken, or is the first.
    `large_bytes`: what all bodies that are longer than `SMALL_BODY` may hold in memory together.
    """

    body_seconds: float = 10
    take_seconds: float = 4.5
    failures_a_minute: int = 100
    callbacks_a_minute: int = 600
    files_a_minute: int = 600
    large_bytes: int = 32 * 1024 * 1024


class Caller(Provider, Webhooked, Protocol):
    """A provider that calls us."""


class OutOfBounds(Exception):
    """A request that is refused for its form alone."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class TooMany(Exception):
    """More than we take at once, from one who may call: to come again."""

    def __init__(self, seconds: int = RETRY_SECONDS) -> None:
        super().__init__(str(seconds))
        self.seconds = seconds


class Webhooks:
    """The public listener's only business. `seat` is told of a request that is known to be a carrier's."""

    def __init__(
        self,
        providers: Sequence[Provider],
        take: Take,
        *,
        metrics: Metrics,
        clock: Clock,
        bounds: Bounds,
        proxies: tuple[Network, ...],
        seat: Callable[[web.BaseRequest], None],
    ) -> None:
        callers: dict[str, list[Caller]] = {}
        for provider in providers:
            if isinstance(provider, Webhooked):
                for path in provider.paths:
                    callers.setdefault(path, []).append(provider)
        self._doors = {path: _Door.of(behind) for path, behind in callers.items()}
        self._take = take
        self._metrics = metrics
        self._counter = lru_cache(256)(metrics.callbacks.labels)
        self._clock = clock
        self._bounds = bounds
        self._patience = Patience(bounds.take_seconds)
        self._failures = Tally(bounds.failures_a_minute, clock)
        self._served = Tally(bounds.callbacks_a_minute, clock)
        self._journal = Journal()
        self._large = 0
        self._proxies = Proxies(proxies)
        self._seat = seat

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; the secret, the body and their errors never reach the answer or the log."""
        # nearly all name a path as it is, and what comes after it: no URL has to be read for that
        path, _, query = request.raw_path.partition("?")
        if not (door := self._doors.get(path)):
            path, query = request.path, request.rel_url.raw_query_string
            door = self._doors.get(path, _NO_DOOR)
        callers = door.callers
        claimed = callers[0].name if len(callers) == 1 else UNTOLD
        held = 0
        try:
            _check_bounds(request, door)
            whole = _whole_body(request, door)  # nearly always; nobody looks at it before the secret is known
            callback = self._callback_of(request, path, query, whole or b"")
            callers = _authenticated(callers, callback)
            if whole is None:
                body = await self._read(request, _longest(callers))
                held = len(body) if len(body) > SMALL_BODY else 0
                self._large += held  # until it is committed: the store would be told all of them at once
                callback = self._callback_of(request, path, query, body)
            caller, parsed = _parsed(callers, callback)
            claimed = caller.name
            self._seat(request)
            self._check_rate(request, claimed)
            if parsed.events:
                await self._commit(claimed, parsed.events)
            answer = caller.answer(parsed, ())
            self._counter(claimed, answer.status).inc()
            return answer_with(answer, request)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, its text goes nowhere
            return self._refuse(request, claimed, error)
        finally:
            self._large -= held

    def refuse_garbled(self, address: str, error: str) -> None:
        """Tell of what is no HTTP, and was answered 400: it may be a carrier's."""
        self._metrics.callbacks.labels(UNTOLD, 400).inc()
        self._journal.refuse(source_key(address), status=400, why=error, source=mask_source(address))

    def close(self) -> None:
        """Tell the journal what it has not heard yet."""
        self._journal.close()

    async def _commit(self, claimed: ProviderName, events: Sequence[Event]) -> None:
        work = asyncio.ensure_future(self._take(claimed, events))
        self._patience.limit(work)
        try:
            await work
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():  # by somebody else
                raise
            raise StoreUnavailable("the store did not say in time whether it has it") from None

    def _check_rate(self, request: web.BaseRequest, claimed: ProviderName) -> None:
        source = source_of(request, self._proxies)
        # a proxy that does not tell for whom it asks is everybody: no rate of one source can be held against it
        if source in self._proxies:
            return
        # accounts at one carrier are called from the same addresses: what one is called does not count for another
        if not self._served.count(f"{claimed} {source_key(source)}"):
            raise TooMany(self._served.seconds_left)

    def _callback_of(self, request: web.BaseRequest, path: str, query: str, body: bytes) -> Callback:
        return Callback(
            method=request.method,
            path=path,
            query=parse_query(query),
            headers=request.headers,
            body=body,
            received_at=self._clock.now(),
        )

    async def _read(self, request: web.BaseRequest, limit: int) -> bytes:
        content = request.content
        body, large = bytearray(), 0
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request.writer.output_size = 0  # the answer itself has not begun
                async for chunk in content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        raise OutOfBounds(413)
                    if len(body) > SMALL_BODY:
                        self._large += len(body) - large
                        large = len(body)
                        if self._large > self._bounds.large_bytes:
                            raise TooMany
        except TimeoutError:
            raise OutOfBounds(408) from None
        except (web.RequestPayloadError, ConnectionError):
            raise OutOfBounds(400) from None
        finally:
            self._large -= large
        return bytes(body)

    def _refuse(self, request: web.BaseRequest, claimed: ProviderName, error: Exception) -> web.Response:
        source, status, seconds = source_of(request, self._proxies), _status_of(error), RETRY_SECONDS
        key = source_key(source)
        told: dict[str, object] = {"provider": claimed, "path": request.path, "source": mask_source(source)}
        match error:
            case OutOfBounds(status=404):  # no line: the internet is full of scanners
                status, seconds = self._count_failure(key, status)
            case Unauthentic():
                status, seconds = self._count_failure(key, status)
                self._journal.refuse(key, status=status, **told)
            case OutOfBounds():
                self._journal.refuse(key, status=status, **told)
            case Malformed():
                self._journal.refuse(key, status=status, why=str(error), **told)
            case TooMany():
                seconds = error.seconds
                self._journal.refuse(key, status=status, why="too_many", **told)
            case NoRoom():  # many lines would fill it further
                self._journal.refuse(key, status=status, why="no_room", **told)
            case StoreUnavailable():
                _log.error(Logged.CALLBACK_FAILED, why="store_unavailable", status=status, **told)
            case _:
                _log.crash(Logged.CALLBACK_FAILED, error, status=status, **told)
        self._counter(claimed, status).inc()
        response = web.Response(status=status)
        if status in (429, 503):
            response.headers[hdrs.RETRY_AFTER] = str(seconds)
        if status == 405:
            response.headers[hdrs.ALLOW] = ", ".join(_METHODS)
        response.force_close()
        return response

    def _count_failure(self, key: str, status: int) -> tuple[int, int]:
        return (status if self._failures.count(key) else 429), WINDOW_SECONDS


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """A query string with repeats and order kept; bytes that are no UTF-8 are read as carriers mean them."""
    if "%" not in raw and "+" not in raw and raw.isascii():
        plain = (pair.partition("=") for pair in raw.split("&") if pair)
        return tuple((name, value) for name, _, value in plain)
    pairs = raw.encode("utf-8", "surrogateescape").replace(b"+", b" ").split(b"&")
    halves = (pair.partition(b"=") for pair in pairs if pair)
    return tuple((decode(unquote_to_bytes(name)), decode(unquote_to_bytes(value))) for name, _, value in halves)


class _Door(NamedTuple):
    """A path: whom it leads to, and how long a body may be for the first and for the last of them."""

    callers: Sequence[Caller]
    shortest: int
    longest: int

    @classmethod
    def of(cls, callers: Sequence[Caller]) -> "_Door":
        lengths = [caller.capabilities.callback_bytes for caller in callers]
        return cls(callers, min(SMALL_BODY, *lengths), max(lengths))


_NO_DOOR: Final = _Door((), 0, 0)


def _whole_body(request: web.BaseRequest, door: _Door) -> bytes | None:
    """The body, if it has come with its head and is small enough for all of them."""
    content = request.content
    if content.is_eof() and content.exception() is None and content.total_bytes <= door.shortest:
        return content.read_nowait()
    return None


def _longest(callers: Sequence[Caller]) -> int:
    return max(caller.capabilities.callback_bytes for caller in callers)


def _check_bounds(request: web.BaseRequest, door: _Door) -> None:
    if not door.callers:
        raise OutOfBounds(404)
    if request.method not in _METHODS:
        raise OutOfBounds(405)
    if request.version < HttpVersion10:
        raise OutOfBounds(400)
    if (request.content_length or 0) > door.longest:
        raise OutOfBounds(413)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise OutOfBounds(415)
    # a proxy in front may read a body in two codings as another than we do
    if request.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower() != "chunked":
        raise OutOfBounds(400)


def _authenticated(callers: Sequence[Caller], callback: Callback) -> list[Caller]:
    """Those whose secret it bears. All are asked, so that the time does not tell how many there are."""
    held = []
    for caller in callers:
        try:
            caller.authenticate(callback)
        except Unauthentic:
            continue
        held.append(caller)
    if not held:
        raise Unauthentic
    return held


def _parsed(callers: Sequence[Caller], callback: Callback) -> tuple[Caller, Parsed]:
    for caller in callers:
        try:
            return caller, caller.parse(callback)
        except Unauthentic:
            continue  # its secret is in the body; another account may hold it
    raise Unauthentic


def _status_of(error: Exception) -> int:
    match error:
        case OutOfBounds():
            return error.status
        case Unauthentic():
            return 403
        case Malformed():
            return 400
        case StoreUnavailable() | TooMany():
            return 503
        case _:
            return 500
