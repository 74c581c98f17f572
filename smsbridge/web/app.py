"""The two HTTP listeners, and the deadlines and caps that aiohttp lacks.

A connection's life, each deadline ending it without a word:

    accepted ─header_seconds─▶ request ─▶ answered ─idle_seconds─▶ (closed)
                                  ▲          │ a first byte
                                  └─header_seconds─┘

While a request is served its body has a deadline of its own (`webhooks`). The answer is written within
idle_seconds: a client that does not read cannot stay either. Connections over a cap are closed at once; per source the
cap leaves out our own reverse proxies, behind which everybody has one address.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import hdrs, web

from smsbridge.clock import Clock
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Provider
from smsbridge.web.health import Health, Readiness
from smsbridge.web.webhooks import Take, Webhooks, source_key

_log = Log("web")

LOCAL_PROXIES: Final = frozenset({"127.0.0.1", "::1"})
_LINGER_SECONDS: Final = 1.0  # how long a refused body is still drained, so that the refusal can be read
_PARSER: Final[dict[str, Any]] = {
    "max_line_size": 32 * 1024,  # a long text of emoji in a GET callback is twelve bytes a character
    "max_field_size": 4 * 1024,
    "max_headers": 64,
    "read_bufsize": 16 * 1024,
    "auto_decompress": False,
    "access_log": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where to listen, and what one client may cost. `proxies`: whose X-Forwarded-For is believed."""

    listen: tuple[str, int]
    internal: tuple[str, int] | None = None
    header_seconds: float = 5
    body_seconds: float = 10
    idle_seconds: float = 15
    finish_seconds: float = 10
    connections: int = 256
    per_source: int = 16
    failures_a_minute: int = 100
    proxies: frozenset[str] = LOCAL_PROXIES


class CannotListen(Exception):
    """The address is taken or not ours."""


class Web:
    """Serves the carriers on one listener and the operator on the other."""

    def __init__(
        self,
        settings: WebSettings,
        *,
        providers: Sequence[Provider],
        take: Take,
        readiness: Callable[[], Awaitable[Readiness]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        webhooks = Webhooks(
            providers,
            take,
            metrics=metrics,
            clock=clock,
            body_seconds=settings.body_seconds,
            failures_a_minute=settings.failures_a_minute,
            proxies=settings.proxies,
        )
        self._public = _Listener(settings, settings.listen, webhooks.serve, webhooks.refuse_garbled)
        self._internal = None
        if settings.internal is not None:
            self._internal = _Listener(settings, settings.internal, Health(readiness, metrics).serve)

    async def start(self) -> None:
        """Bind both listeners, or none; raises `CannotListen`."""
        await self._public.open()
        if self._internal is not None:
            try:
                await self._internal.open()
            except CannotListen:
                await self._public.close()
                raise

    async def stop(self) -> None:
        """Accept nothing more and let the running requests finish, for `finish_seconds` at most."""
        listeners = [listener for listener in (self._public, self._internal) if listener is not None]
        await asyncio.gather(*(listener.close() for listener in listeners))

    @property
    def public_port(self) -> int:
        return self._public.port

    @property
    def internal_port(self) -> int | None:
        return self._internal.port if self._internal is not None else None


Serve = Callable[[web.BaseRequest], Awaitable[web.Response]]
Garbled = Callable[[str, str], None]


class _Listener:
    """One address, what is served there, and who is connected to it."""

    def __init__(
        self, settings: WebSettings, address: tuple[str, int], serve: Serve, garbled: Garbled | None = None
    ) -> None:
        self.settings = settings
        self.garbled = garbled
        self._address = address
        self._serve = serve
        self._server: web.Server | None = None
        self._socket: asyncio.Server | None = None
        self._sources: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The bound port, or the one asked for while it is not bound."""
        if self._socket is None or not self._socket.sockets:
            return self._address[1]
        return int(self._socket.sockets[0].getsockname()[1])

    async def open(self) -> None:
        host, port = self._address
        server = web.Server(self._handle, request_factory=_nameless_request)
        try:
            self._socket = await asyncio.get_running_loop().create_server(
                lambda: _Connection(server, self), host, port, backlog=self.settings.connections
            )
        except OSError as error:
            raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        self._server = server

    async def close(self) -> None:
        if self._socket is None or self._server is None:
            return
        self._socket.close()
        self._server.pre_shutdown()
        # aiohttp waits twice: for the handler, then for what it left behind
        await self._server.shutdown(self.settings.finish_seconds / 2)
        self._socket = self._server = None

    def admit(self, address: str) -> bool:
        """Count a connection in, if the caps allow it; `dismiss` counts it out."""
        source = source_key(address)
        if self._sources.total() >= self.settings.connections:
            return False
        if self._sources[source] >= self.settings.per_source and address not in self.settings.proxies:
            return False
        self._sources[source] += 1
        return True

    def dismiss(self, address: str) -> None:
        source = source_key(address)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        connection = cast("_Connection", request.protocol)
        connection.begin()
        try:
            return await self._serve(request)
        finally:
            connection.end()


class _Request(web.BaseRequest):
    """Its answers do not say what software wrote them."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)


def _nameless_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return _Request(message, payload, protocol, writer, task, asyncio.get_running_loop())


class _Connection(web.RequestHandler):
    """aiohttp's protocol with one timer: it runs whenever no request is being served."""

    __slots__ = ("_address", "_is_serving", "_listener", "_timer", "_waits_for_header", "_wire")

    def __init__(self, server: web.Server, listener: _Listener) -> None:
        settings = listener.settings
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.idle_seconds,
            lingering_time=min(_LINGER_SECONDS, settings.body_seconds),
            **_PARSER,
        )
        self._listener = listener
        self._address: str | None = None
        self._wire: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_serving = False
        self._waits_for_header = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast("asyncio.Transport", transport)
        peername = wire.get_extra_info("peername")
        address = str(peername[0]) if peername else ""
        if not self._listener.admit(address):
            wire.abort()
            return
        self._address = address
        self._wire = wire
        super().connection_made(transport)
        self._arm(self._listener.settings.header_seconds)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._disarm()
        self._wire = None
        if self._address is not None:
            self._listener.dismiss(self._address)
            self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_serving and not self._waits_for_header:
            self._waits_for_header = True
            self._arm(self._listener.settings.header_seconds)
        super().data_received(data)

    def begin(self) -> None:
        """A request's headers are complete."""
        self._is_serving = True
        self._waits_for_header = False
        self._disarm()

    def end(self) -> None:
        """Its answer is ready to be written."""
        self._is_serving = False
        self._arm(self._listener.settings.idle_seconds)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp could not parse: its own answer and log line would quote the request."""
        if exc is not None and status >= 500:
            _log.crash(Event.CALLBACK_FAILED, exc)
        elif exc is not None and self._listener.garbled is not None:
            self._listener.garbled(self._address or "", type(exc).__name__)
        response = web.Response(status=status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's own traceback would quote the request."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            _log.crash(Event.CALLBACK_FAILED, error)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        if self._wire is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self._wire is not None:
            self._wire.abort()
