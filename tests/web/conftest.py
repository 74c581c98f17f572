"""Start a `Web` between a pretended carrier and a pretended bridge."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from typing import Any

import pytest

from smsbridge.metrics import Metrics
from smsbridge.web.app import Web, WebSettings, _nothing
from smsbridge.web.health import Readiness
from smsbridge.web.media import Find
from smsbridge.web.webhooks import Bounds

from .station import Carrier, Start, Station, Taker, Ticks, is_ready


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a `Web` on free ports of the loopback; keyword arguments change its settings and bounds."""
    async with AsyncExitStack() as stack:

        async def begin(
            *carriers: object,
            readiness: Callable[[], Awaitable[Readiness]] = is_ready,
            find: Find = _nothing,
            **settings: Any,
        ) -> Station:
            take, metrics, ticks = Taker(), Metrics(), Ticks()
            bounds = {field.name: settings.pop(field.name) for field in fields(Bounds) if field.name in settings}
            loopback = WebSettings(listen=("127.0.0.1", 0), internal=("127.0.0.1", 0), bounds=Bounds(**bounds))
            web = Web(
                replace(loopback, **settings),
                providers=carriers or (Carrier(),),
                take=take,
                readiness=readiness,
                metrics=metrics,
                clock=ticks.clock(),
                find=find,
            )
            await web.start()
            stack.push_async_callback(web.stop)
            return Station(web=web, take=take, metrics=metrics, ticks=ticks, stack=stack)

        yield begin
