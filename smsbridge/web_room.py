"""Builds what serves HTTP: a part of the composition root."""

from collections.abc import Iterable
from dataclasses import replace

from smsbridge.bridge.desk import Desk
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.progress import Progress
from smsbridge.bridge.room import Room
from smsbridge.config import Config
from smsbridge.core.errors import StoreUnavailable
from smsbridge.providers.contract import Provider
from smsbridge.tenure import Tenure
from smsbridge.web.app import Web, WebSettings
from smsbridge.web.health import Readiness, judge_readiness
from smsbridge.web.media import Find
from smsbridge.web.webhooks import Bounds
from smsbridge.xmpp.component import Component


def build_web(
    config: Config, desk: Desk, providers: Iterable[Provider], component: Component, tenure: Tenure,
    inbound: Inbound, room: Room, find: Find,
) -> Web:  # fmt: skip
    """The two listeners, not open yet."""
    progress = Progress(desk)

    async def readiness() -> Readiness:
        try:
            backlog = await progress.backlog() if await tenure.renew() else None
        except StoreUnavailable:
            backlog = None
        found = judge_readiness(backlog, stream_up=component.is_up, now=desk.now(), down_since=component.down_since)
        if late := desk.pulse.late():
            found = replace(found, is_ready=False, words=(*found.words, f"no progress: {', '.join(late)}"))
        if short := room.words():
            found = replace(found, is_ready=False, words=(*found.words, short))
        return found

    http = config.http
    settings = WebSettings(
        listen=(http.listen.host, http.listen.port),
        internal=(http.internal.host, http.internal.port) if http.internal else None,
        connections=http.connections,
        per_source=http.per_address,
        proxies=http.proxies,
        bounds=Bounds(callbacks_a_minute=http.callbacks_a_minute),
    )
    return Web(
        settings,
        providers=tuple(providers),
        take=inbound.take,
        find=find,
        readiness=readiness,
        metrics=desk.metrics,
        clock=desk.clock,
    )
