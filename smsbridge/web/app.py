"""The two HTTP listeners: one for the carriers, and owners who fetch a file, one for the operator."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from aiohttp import web

from smsbridge.bridge.shelves import PREFIX, Found
from smsbridge.clock import Clock
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Provider
from smsbridge.web.health import Health, Readiness
from smsbridge.web.listener import CannotListen, Listener, WebSettings, seat
from smsbridge.web.media import Files, Find
from smsbridge.web.sources import Proxies
from smsbridge.web.webhooks import Take, Webhooks

__all__ = ["CannotListen", "Web", "WebSettings"]


async def _nothing(_: str) -> Found | None:
    """No file is given out."""
    return None


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
        find: Find = _nothing,
    ) -> None:
        self._webhooks = Webhooks(
            providers,
            take,
            metrics=metrics,
            clock=clock,
            bounds=settings.bounds,
            proxies=settings.proxies,
            seat=seat,
        )
        self._files = Files(
            find,
            metrics=metrics,
            clock=clock,
            failures=settings.bounds.failures_a_minute,
            requests=settings.bounds.files_a_minute,
            proxies=Proxies(settings.proxies),
        )
        self._public = Listener(
            settings, settings.listen, self._serve, metrics=metrics, garbled=self._webhooks.refuse_garbled
        )
        self._internal = None
        if settings.internal is not None:
            self._internal = Listener(settings, settings.internal, Health(readiness, metrics).serve)

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
        self._webhooks.close()

    def _serve(self, request: web.BaseRequest) -> Coroutine[Any, Any, web.StreamResponse]:
        return (self._files if request.raw_path.startswith(PREFIX) else self._webhooks).serve(request)

    @property
    def public_port(self) -> int:
        return self._public.port

    @property
    def internal_port(self) -> int | None:
        return self._internal.port if self._internal is not None else None
