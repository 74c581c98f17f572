"""One listening address, with the deadlines and caps that aiohttp lacks.

A connection's life, each deadline ending it without a word:

    accepted ─header_seconds─▶ request ─▶ answered ─idle_seconds─▶ (closed)
                                  ▲          │ a first byte
                                  └─header_seconds─┘

While a request is served its body has a deadline of its own (`webhooks`). The answer is written within
idle_seconds: a client that does not read cannot stay either. A deadline is an instant, and one sweep looks at all of
them ten times in the shortest: timers would have to be set and cleared twice for each request.

Connections over a cap push out those that have shown nothing yet (`places`); the cap per source leaves out our own
reverse proxies, behind which everybody has one address. The kernel's queue of connections that are not accepted yet is
long: it is emptied at once whatever happens, and a client that it has no room for comes again only after a second.
"""

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

from aiohttp import hdrs, web

from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.web.places import Places
from smsbridge.web.sources import LOCAL_PROXIES, Network, Proxies, source_key
from smsbridge.web.webhooks import Bounds

_log = Log("web")

_LINGER_SECONDS: Final = 1.0  # how long a refused body is still drained, so that the refusal can be read
_SWEEPS: Final = 10  # in the shortest time that a connection may stay
_NEVER: Final = math.inf
_SERVING: Final = web.RequestHandler._handle_request.__code__  # noqa: SLF001 - what serves one request
_BACKLOG: Final = 4096  # the kernel takes the smaller of this and net.core.somaxconn
_PARSER: Final[dict[str, Any]] = {
    "max_line_size": 32 * 1024,  # a long text of emoji in a GET callback is twelve bytes a character
    "max_field_size": 4 * 1024,
    "max_headers": 64,
    "read_bufsize": 16 * 1024,
    "auto_decompress": False,
    "access_log": None,
}

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Garbled = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where to listen, and what one client may cost. `proxies`: whose X-Forwarded-For is believed."""

    listen: tuple[str, int]
    internal: tuple[str, int] | None = None
    header_seconds: float = 5
    idle_seconds: float = 15
    finish_seconds: float = 10
    connections: int = 256
    per_source: int = 16
    proxies: tuple[Network, ...] = LOCAL_PROXIES
    bounds: Bounds = field(default_factory=Bounds)


class CannotListen(Exception):
    """The address is taken or not ours."""


def seat(request: web.BaseRequest) -> None:
    """The request is a carrier's: until it is answered, its connection is not given up for another."""
    cast("_Connection", request.protocol).seat()


class Listener:
    """One address, what is served there, and who is connected to it."""

    def __init__(
        self,
        settings: WebSettings,
        address: tuple[str, int],
        serve: Serve,
        *,
        metrics: Metrics | None = None,
        garbled: Garbled | None = None,
    ) -> None:
        self.settings = settings
        self.garbled = garbled
        self._proxies = Proxies(settings.proxies)
        self.places: Places[_Connection] = Places(total=settings.connections, per_source=settings.per_source)
        self._address = address
        self._serve = serve
        self._metrics = metrics
        self._connections: set[_Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._server: web.Server | None = None
        self._socket: asyncio.Server | None = None
        self.loop = _as_seen(asyncio.get_running_loop())

    @property
    def port(self) -> int:
        """The bound port, or the one asked for while it is not bound."""
        if self._socket is None or not self._socket.sockets:
            return self._address[1]
        return int(self._socket.sockets[0].getsockname()[1])

    async def open(self) -> None:
        host, port = self._address
        loop = asyncio.get_running_loop()
        server = web.Server(self._handle, request_factory=partial(_Request, loop=loop))
        try:
            self._socket = await loop.create_server(lambda: _Connection(server, self), host, port, backlog=_BACKLOG)
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

    def admit(self, connection: "_Connection", address: str) -> bool:
        """Find it a place, and end the connection that it takes the place of."""
        is_exempt = address in self._proxies
        leaver = self.places.enter(connection, source_key(address), is_exempt=is_exempt)
        if leaver is connection:
            self.count_end("refused")
            return False
        if leaver is not None:
            leaver.abort("displaced")
        self._connections.add(connection)
        self._watch()
        return True

    def forget(self, connection: "_Connection") -> None:
        """It is gone."""
        self._connections.discard(connection)
        self.places.leave(connection)

    def _watch(self) -> None:
        """Sweep as long as anybody is connected."""
        if self._sweeper is None and self._connections:
            shortest = min(self.settings.header_seconds, self.settings.idle_seconds)
            self._sweeper = asyncio.get_running_loop().call_later(shortest / _SWEEPS, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._connections):
            if connection.deadline < now:
                connection.abort("late")
        self._watch()

    def count_end(self, why: str) -> None:
        """A connection that was not ended by its client."""
        if self._metrics is not None:
            self._metrics.connections_ended.labels(why).inc()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("_Connection", request.protocol)
        connection.begin()
        try:
            return await self._serve(request)
        finally:
            connection.end()


class _Request(web.BaseRequest):
    """Its answers do not say what software wrote them, nor by which clock."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)
        response.headers.popall(hdrs.DATE, None)


class _Inline:
    """The loop as a connection sees it, but that a request is served by the connection's own task.

    COMPAT(aiohttp 3.14, Python 3.11): there each request has a task of its own, which is registered, waits for its turn
    on the loop and wakes the connection's. From Python 3.12 on aiohttp starts it eagerly, and this is not used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = loop.time
        self.call_at = loop.call_at
        self.create_future = loop.create_future

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_task(self, work: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
        """What serves a connection is a task; what serves a request is awaited by it as it is."""
        return work if getattr(work, "cr_code", None) is _SERVING else self._loop.create_task(work)


def _as_seen(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    return cast("asyncio.AbstractEventLoop", _Inline(loop)) if sys.version_info < (3, 12) else loop


class _Connection(web.RequestHandler):
    """aiohttp's protocol with a deadline, whenever no request is being served."""

    __slots__ = ("_address", "_clock", "_is_serving", "_listener", "_waits_for_header", "_wire", "deadline")

    def __init__(self, server: web.Server, listener: Listener) -> None:
        settings = listener.settings
        super().__init__(
            server,
            loop=listener.loop,
            keepalive_timeout=settings.idle_seconds,
            lingering_time=min(_LINGER_SECONDS, settings.bounds.body_seconds),
            **_PARSER,
        )
        self._listener = listener
        self._address = ""
        self._wire: asyncio.Transport | None = None
        self._clock = asyncio.get_running_loop().time
        self.deadline = _NEVER  # of the loop's time
        self._is_serving = False
        self._waits_for_header = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast("asyncio.Transport", transport)
        peername = wire.get_extra_info("peername")
        self._address = str(peername[0]) if peername else ""
        if not self._listener.admit(self, self._address):
            wire.abort()
            return
        self._wire = wire
        super().connection_made(transport)
        self.deadline = self._clock() + self._listener.settings.header_seconds

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        self._listener.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_serving and not self._waits_for_header:
            self._waits_for_header = True
            self.deadline = self._clock() + self._listener.settings.header_seconds
        super().data_received(data)

    def begin(self) -> None:
        """A request's headers are complete."""
        self._is_serving = True
        self._waits_for_header = False
        self.deadline = _NEVER

    def seat(self) -> None:
        """The request is a carrier's."""
        self._listener.places.seat(self)

    def end(self) -> None:
        """Its answer is ready to be written."""
        self._is_serving = False
        self._listener.places.wait(self)
        self.deadline = self._clock() + self._listener.settings.idle_seconds

    def abort(self, why: str) -> None:
        """End it without a word."""
        if self._wire is not None:
            self.deadline = _NEVER
            self._listener.count_end(why)
            self._wire.abort()

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
            self._listener.garbled(self._address, type(exc).__name__)
        response = web.Response(status=status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's own traceback would quote the request."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            _log.crash(Event.CALLBACK_FAILED, error)
