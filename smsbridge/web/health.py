"""For the operator's machines, on the internal listener: is it alive, is it getting on with its work, how much of it.

    /healthz /health   200 while the process runs its loop
    /readyz            200 or 503, and why, as JSON
    /metrics           for Prometheus

Readiness is progress: how long the oldest row has waited. A stream that is down for a moment, with nothing
waiting for it, keeps nobody waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import hdrs, web

from smsbridge.core.errors import StoreUnavailable
from smsbridge.log import Event, Log
from smsbridge.metrics import CONTENT_TYPE, Metrics
from smsbridge.store.backlog import Backlog

ASK_SECONDS: Final = 5.0
NO_STORE: Final = "the store does not answer"

_log = Log("web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From which age on, in seconds, a waiting row or a stream that is down means that we are not ready."""

    delivery_seconds: float = 300
    part_seconds: float = 300
    stream_seconds: float = 300


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`words` for the operator; `oldest_seconds` by table, only where a row waits."""

    is_ready: bool
    words: tuple[str, ...] = ()
    stream_up: bool = False
    oldest_seconds: Mapping[str, float] = field(default_factory=dict)


def judge_readiness(
    backlog: Backlog | None,
    *,
    stream_up: bool,
    now: datetime,
    limits: Limits = LIMITS,
    down_since: datetime | None = None,
) -> Readiness:
    """Judge by what waits; `backlog` is None when the store could not be asked, `down_since` if it is known."""
    words: list[str] = []
    if backlog is None:
        return Readiness(is_ready=False, words=(NO_STORE,), stream_up=stream_up)
    waiting = {
        "delivery": (backlog.oldest_delivery, limits.delivery_seconds),
        "outbox": (backlog.oldest_part, limits.part_seconds),
    }
    oldest = {table: _age(since, now) for table, (since, _) in waiting.items() if since is not None}
    for table, age in oldest.items():
        limit = waiting[table][1]
        if age > limit:
            words.append(f"{table}: the oldest row has waited {age:.0f} s, the limit is {limit:.0f} s")
    if not stream_up and down_since is not None and (age := _age(down_since, now)) > limits.stream_seconds:
        words.append(f"the stream has been down for {age:.0f} s, the limit is {limits.stream_seconds:.0f} s")
    is_ready = not words
    if not stream_up and is_ready:
        words.append("the stream is down, and nothing has waited too long for it yet")
    return Readiness(is_ready=is_ready, words=tuple(words), stream_up=stream_up, oldest_seconds=oldest)


class Health:
    """The internal listener's pages."""

    def __init__(self, readiness: Callable[[], Awaitable[Readiness]], metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        pages = {
            "/healthz": self._alive,
            "/health": self._alive,
            "/readyz": self._ready,
            "/metrics": self._count,
        }
        page = pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        if request.method != hdrs.METH_GET:
            return web.Response(status=405, headers={hdrs.ALLOW: hdrs.METH_GET})
        return await page()

    async def _alive(self) -> web.Response:
        return web.Response(text="ok")

    async def _ready(self) -> web.Response:
        found = await self._ask() or Readiness(is_ready=False, words=(NO_STORE,))
        page = {
            "ready": found.is_ready,
            "words": found.words,
            "stream_up": found.stream_up,
            "oldest_seconds": {table: round(age, 3) for table, age in found.oldest_seconds.items()},
        }
        return web.json_response(page, status=200 if found.is_ready else 503)

    async def _count(self) -> web.Response:
        await self._ask()  # to ask is to count anew: the backlog's gauges are as fresh as the scrape
        return web.Response(body=self._metrics.render(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    async def _ask(self) -> Readiness | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._readiness()
        except (TimeoutError, StoreUnavailable):
            return None
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, its text goes nowhere
            _log.crash(Event.CALLBACK_FAILED, error, path="/readyz")
            return None


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
