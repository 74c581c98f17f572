"""The carriers' callbacks: bound, authenticate, read, parse, record, answer, in this order.

- The bounds (method, length, encoding) come before the secret, the secret before the body.
- The carrier reads its "yes" only after `take` has returned, which is after the commit.
- Accounts may share a path; every one of them is asked for its secret, whoever holds it gets the callback.
- Refusals have an empty body: 403 wrong secret, 400 not understood, as mod_voipms had them; 405, 408, 413, 415 out of
  bounds; 429 too many wrong secrets, never for a right one; 503 no commit, come again; 500 our own fault.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from aiohttp import hdrs, web

from smsbridge.clock import Clock
from smsbridge.core.errors import Malformed, StoreUnavailable, Unauthentic
from smsbridge.core.message import Event, ProviderName
from smsbridge.core.text import decode
from smsbridge.log import Event as Logged
from smsbridge.log import Log
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Answer, Callback, Parsed, Provider, Webhooked

Take = Callable[[ProviderName, Sequence[Event]], Awaitable[None]]

UNTOLD: Final = ProviderName("unknown")  # the metric label and log word where no account is certain
RETRY_SECONDS: Final = 30
_WINDOW_SECONDS: Final = 60
_MAX_SOURCES: Final = 4096
_METHODS: Final = (hdrs.METH_GET, hdrs.METH_POST)

_log = Log("web")


class Caller(Provider, Webhooked, Protocol):
    """A provider that calls us."""


class OutOfBounds(Exception):
    """A request that is refused for its form alone."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Failures:
    """Refusals by source in the current minute; a full table counts every newcomer as over the limit."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock.monotonic()
        self._counts: dict[str, int] = {}

    def count(self, source: str) -> int:
        """Count one more, and tell how many are over the limit: 0 while it is kept."""
        now = self._clock.monotonic()
        if now - self._since >= _WINDOW_SECONDS:
            self._since = now
            self._counts.clear()
        if source not in self._counts and len(self._counts) >= _MAX_SOURCES:
            return self._limit + 1
        self._counts[source] = self._counts.get(source, 0) + 1
        return max(0, self._counts[source] - self._limit)


class Webhooks:
    """The public listener's only business."""

    def __init__(
        self,
        providers: Sequence[Provider],
        take: Take,
        *,
        metrics: Metrics,
        clock: Clock,
        body_seconds: float,
        failures_a_minute: int,
        proxies: frozenset[str],
    ) -> None:
        self._callers: dict[str, list[Caller]] = {}
        for provider in providers:
            if isinstance(provider, Webhooked):
                for path in provider.paths:
                    self._callers.setdefault(path, []).append(provider)
        self._take = take
        self._metrics = metrics
        self._clock = clock
        self._body_seconds = body_seconds
        self._failures = Failures(failures_a_minute, clock)
        self._garbled = Failures(1, clock)
        self._proxies = proxies

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Answer one request; the secret, the body and their errors never reach the answer or the log."""
        callers = self._callers.get(request.path)
        if callers is None:
            return self._answer(UNTOLD, Answer(status=404))
        claimed = callers[0].name if len(callers) == 1 else UNTOLD
        try:
            _check_bounds(request, _longest(callers))
            callback = self._head_of(request)
            callers = _authenticated(callers, callback)
            body = await self._read(request, _longest(callers))
            caller, parsed = _parsed(callers, replace(callback, body=body))
            claimed = caller.name
            if parsed.events:
                await self._take(claimed, parsed.events)
            return self._answer(claimed, caller.answer(parsed, ()))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, its text goes nowhere
            return self._refuse(request, claimed, error)

    def refuse_garbled(self, address: str, error: str) -> None:
        """Tell once a minute and source of what is no HTTP, and was answered 400: it may be a carrier's."""
        self._metrics.callbacks.labels(UNTOLD, 400).inc()
        if not self._garbled.count(source_key(address)):
            _log.warning(Logged.CALLBACK_REFUSED, why=error, status=400, source=mask_source(address))

    def _head_of(self, request: web.BaseRequest) -> Callback:
        return Callback(
            method=request.method,
            path=request.path,
            query=parse_query(request.rel_url.raw_query_string),
            headers=tuple((name.lower(), value) for name, value in request.headers.items()),
            received_at=self._clock.now(),
        )

    async def _read(self, request: web.BaseRequest, limit: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_seconds):
                if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request.writer.output_size = 0  # the answer itself has not begun
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        raise OutOfBounds(413)
        except TimeoutError:
            raise OutOfBounds(408) from None
        except (web.RequestPayloadError, ConnectionError):
            raise OutOfBounds(400) from None
        return bytes(body)

    def _refuse(self, request: web.BaseRequest, claimed: ProviderName, error: Exception) -> web.Response:
        source = source_of(request, self._proxies)
        over = self._failures.count(source_key(source)) if isinstance(error, Unauthentic) else 0
        status = 429 if over else _status_of(error)
        told = {"provider": claimed, "path": request.path, "status": status, "source": mask_source(source)}
        match error:
            case Malformed():
                _log.warning(Logged.CALLBACK_REFUSED, why=str(error), **told)
            case OutOfBounds() | Unauthentic():
                if over <= 1:  # then silence, lest a flood fills the journal
                    _log.warning(Logged.CALLBACK_REFUSED, **told)
            case StoreUnavailable():
                _log.error(Logged.CALLBACK_FAILED, why="store_unavailable", **told)
            case _:
                _log.crash(Logged.CALLBACK_FAILED, error, **told)
        return self._answer(claimed, Answer(status=status))

    def _answer(self, provider: ProviderName, answer: Answer) -> web.Response:
        self._metrics.callbacks.labels(provider, answer.status).inc()
        response = web.Response(status=answer.status, body=answer.body or None)
        if answer.body:
            response.headers[hdrs.CONTENT_TYPE] = answer.content_type
        match answer.status:
            case 405:
                response.headers[hdrs.ALLOW] = ", ".join(_METHODS)
            case 408:
                response.force_close()
            case 429:
                response.headers[hdrs.RETRY_AFTER] = str(_WINDOW_SECONDS)
            case 503:
                response.headers[hdrs.RETRY_AFTER] = str(RETRY_SECONDS)
        return response


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """A query string with repeats and order kept; bytes that are no UTF-8 are read as carriers mean them."""
    pairs = raw.encode("utf-8", "surrogateescape").replace(b"+", b" ").split(b"&")
    halves = (pair.partition(b"=") for pair in pairs if pair)
    return tuple((decode(unquote_to_bytes(name)), decode(unquote_to_bytes(value))) for name, _, value in halves)


def source_of(request: web.BaseRequest, proxies: frozenset[str]) -> str:
    """The caller's address; behind a reverse proxy of ours, the one that it put last into X-Forwarded-For."""
    remote = request.remote or ""
    if remote in proxies:
        forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, []))
        if address := _address_of(forwarded.rpartition(",")[2].strip()):
            return str(address)
    return remote


def source_key(source: str) -> str:
    """What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which is one household."""
    return _network(source, 32, 64)


def mask_source(source: str) -> str:
    """An address for the journal: its network, not its host."""
    return _network(source, 24, 48)


def _network(source: str, bits4: int, bits6: int) -> str:
    address = _address_of(source)
    if address is None:
        return ""
    return str(ip_network((address, bits4 if address.version == 4 else bits6), strict=False))


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _longest(callers: Sequence[Caller]) -> int:
    return max(caller.capabilities.callback_bytes for caller in callers)


def _check_bounds(request: web.BaseRequest, limit: int) -> None:
    if request.method not in _METHODS:
        raise OutOfBounds(405)
    if (request.content_length or 0) > limit:
        raise OutOfBounds(413)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise OutOfBounds(415)


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
        case StoreUnavailable():
            return 503
        case _:
            return 500
