"""The two HTTP listeners: one for the carriers, one for the operator."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from smsbridge.clock import Clock
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import Provider
from smsbridge.web.health import Health, Readiness
from smsbridge.web.listener import CannotListen, Listener, WebSettings, seat
from smsbridge.web.webhooks import Take, Webhooks

__all__ = ["CannotListen", "Web", "WebSettings"]


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
        self._webhooks = Webhooks(
            providers,
            take,
            metrics=metrics,
            clock=clock,
            bounds=settings.bounds,
            proxies=settings.proxies,
            seat=seat,
        )
        self._public = Listener(
            settings, settings.listen, self._webhooks.serve, metrics=metrics, garbled=self._webhooks.refuse_garbled
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

    @property
    def public_port(self) -> int:
        return self._public.port

    @property
    def internal_port(self) -> int | None:
        return self._internal.port if self._internal is not None else None
