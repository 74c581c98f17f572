"""The composition root: build everything with plain constructors, run it under one task group, stop it in order.

Stopping: nothing more is claimed; the stream goes first, so that what users write bounces visibly instead of vanishing
in a buffer; then the callbacks; the calls in flight are finished and settled; the store last.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk, Rules
from smsbridge.bridge.dispatcher import Dispatcher, Dispatchers
from smsbridge.bridge.handover import HandOver
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.outbound import Outbound
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.progress import Progress
from smsbridge.bridge.reconciler import Reconciler
from smsbridge.clock import system_clock, to_ms
from smsbridge.config import Config
from smsbridge.config_rules import directory, policy
from smsbridge.core.address import Did
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import ProviderName
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.notify import notify, watchdog_seconds
from smsbridge.providers.contract import ENTRY_POINTS, Capabilities, Checked, Provider, ProviderKind, Sends
from smsbridge.providers.http import open_session
from smsbridge.store import deliveries, leases
from smsbridge.store.ids import Ids
from smsbridge.store.leases import Lease
from smsbridge.tenure import keep_lease, open_store, renew, take_lease
from smsbridge.web.app import Web, WebSettings
from smsbridge.web.health import Readiness, judge_readiness
from smsbridge.xmpp.component import Component, StreamSettings
from smsbridge.xmpp.errors import ERRORS
from smsbridge.xmpp.handlers import Handlers
from smsbridge.xmpp.stanzas import render

_log = Log("service")


class NotReloadable(Exception):
    """The new configuration changes what only a restart can change."""


class RulesBook:
    """The rules in force; a reload replaces them whole."""

    def __init__(self, config: Config, capabilities: Mapping[ProviderName, Capabilities]) -> None:
        self._config = config
        self._capabilities = capabilities
        self._rules = _rules(config, capabilities)

    def rules(self) -> Rules:
        return self._rules

    def replace(self, config: Config) -> None:
        """All or nothing; raises `NotReloadable` if more changed than who may do what."""
        for section in ("xmpp", "http", "store", "providers", "log"):
            if getattr(config, section) != getattr(self._config, section):
                raise NotReloadable(f"{section} changed: that takes a restart")
        self._rules = _rules(config, self._capabilities)
        self._config = config


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running bridge, as the command line and the demo see it."""

    book: RulesBook
    metrics: Metrics
    web: Web
    component: Component
    dispatchers: Dispatchers


def discover_kinds() -> dict[str, ProviderKind]:
    """Every kind of provider that is installed, ours and third parties'."""
    found: dict[str, ProviderKind] = {}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        kind = point.load()
        if isinstance(kind, ProviderKind):
            found[kind.kind] = kind
    return found


async def serve(
    config: Config,
    kinds: Mapping[str, ProviderKind],
    stop: asyncio.Event,
    on_start: Callable[[Service], None] = lambda _: None,
) -> None:
    """Run until `stop` is set, then drain. Raises `AlreadyRunning`, `StoreUnavailable` or `CannotListen`."""
    metrics, clock = Metrics(), system_clock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_store(Path(config.store.path), metrics))
        ids = Ids(lambda: to_ms(clock.now()))
        ids.start_after(await database.run(deliveries.newest_id))
        session = await stack.enter_async_context(open_session())
        providers = {
            account.name: kinds[account.kind].build(account.name, account.settings, session)
            for account in config.providers.values()
        }
        holder = f"{config.xmpp.jid}/{uuid.uuid4().hex}"
        lease = await take_lease(database, clock, config.xmpp.jid, holder)
        bells = _Bells(stream=Bell(), reconciler=Bell(), senders={name: Bell() for name in providers})
        book = RulesBook(config, {name: provider.capabilities for name, provider in providers.items()})
        desk = Desk(
            database=database,
            ids=ids,
            clock=clock,
            metrics=metrics,
            domain=config.xmpp.jid,
            holder=holder,
            rules=book.rules,
            words=lambda reason: ERRORS[reason].words,
            wake_stream=bells.stream.ring,
            wake_senders=bells.ring_senders,
        )
        await _run(config, desk, book, providers, bells, lease, stop, on_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bells:
    stream: Bell
    reconciler: Bell
    senders: Mapping[ProviderName, Bell]

    def ring_senders(self) -> None:
        for bell in self.senders.values():
            bell.ring()


async def _run(
    config: Config, desk: Desk, book: RulesBook, providers: Mapping[ProviderName, Provider], bells: _Bells,
    lease: Lease, stop: asyncio.Event, on_start: Callable[[Service], None],
) -> None:  # fmt: skip
    pacers = {name: Pacer(provider.capabilities, desk.clock) for name, provider in providers.items()}
    dispatchers = _build_dispatchers(desk, providers, pacers, bells)
    handlers, component = _build_xmpp(config, desk, book, providers, bells)
    web = _build_web(config, desk, providers, component, lease)
    await web.start()
    async with asyncio.TaskGroup() as group:
        dispatching = group.create_task(dispatchers.run())
        streaming = group.create_task(component.run())
        others = [
            group.create_task(Reconciler(desk, bells.reconciler).run()),
            group.create_task(Janitor(desk).run()),
            group.create_task(keep_lease(desk, lease, Path(config.store.path))),
            group.create_task(_feed_watchdog()),
            *(
                group.create_task(_check(provider, pacers[name], _dids_over(name, book)))
                for name, provider in providers.items()
            ),
        ]
        _log.info(Event.SERVICE_STARTED, public_port=web.public_port, internal_port=web.internal_port)
        on_start(Service(book=book, metrics=desk.metrics, web=web, component=component, dispatchers=dispatchers))
        notify("READY=1")
        await stop.wait()
        _log.info(Event.SERVICE_STOPPING)
        notify("STOPPING=1")
        dispatchers.drain()  # the calls in flight may take a minute: let them run meanwhile
        await handlers.drain()
        await component.close()
        await handlers.drain()
        await web.stop()
        await dispatching
        for task in (streaming, *others):
            task.cancel()
    try:
        await desk.database.run(leases.release, lease)
    except StoreUnavailable as error:  # it runs out by itself
        _log.warning(Event.STORE_FAILED, error=str(error))
    _log.info(Event.SERVICE_STOPPED)


def _build_dispatchers(
    desk: Desk, providers: Mapping[ProviderName, Provider], pacers: Mapping[ProviderName, Pacer], bells: _Bells
) -> Dispatchers:
    return Dispatchers({
        name: (
            Dispatcher(
                desk, provider, provider, pacers[name], bells.senders[name],
                on_unknown=bells.reconciler.ring, roll=random.random,
            ),
            bells.senders[name],
        )
        for name, provider in providers.items()
        if isinstance(provider, Sends)
    })  # fmt: skip


def _build_xmpp(
    config: Config, desk: Desk, book: RulesBook, providers: Mapping[ProviderName, Provider], bells: _Bells
) -> tuple[Handlers, Component]:
    handover = HandOver(desk, bells.stream)
    outbound = Outbound(desk, lambda: {name: provider.capabilities for name, provider in providers.items()})
    component = Component(
        StreamSettings(
            jid=config.xmpp.jid,
            secret=config.xmpp.secret.get_secret_value(),
            host=config.xmpp.server.host,
            port=config.xmpp.server.port,
            ping=config.xmpp.ping,
        ),
        handover=handover,
        render=lambda delivery: render(delivery, now=desk.now()),
        install=lambda stream, _: handlers.install(stream),
        metrics=desk.metrics,
        clock=desk.clock,
    )
    handlers = Handlers(
        outbound=outbound,
        handover=handover,
        directory=lambda: book.rules().directory,
        domain=config.xmpp.jid,
        send=component.send,
        metrics=desk.metrics,
        clock=desk.clock,
    )
    return handlers, component


def _build_web(
    config: Config, desk: Desk, providers: Mapping[ProviderName, Provider], component: Component, lease: Lease
) -> Web:
    inbound, progress = Inbound(desk), Progress(desk)

    async def readiness() -> Readiness:
        try:
            backlog = await progress.backlog() if await renew(desk, lease) else None
        except StoreUnavailable:
            backlog = None
        return judge_readiness(backlog, stream_up=component.is_up, now=desk.now(), down_since=component.down_since)

    http = config.http
    settings = WebSettings(
        listen=(http.listen.host, http.listen.port),
        internal=(http.internal.host, http.internal.port) if http.internal else None,
    )
    return Web(
        settings,
        providers=tuple(providers.values()),
        take=inbound.take,
        readiness=readiness,
        metrics=desk.metrics,
        clock=desk.clock,
    )


async def _feed_watchdog() -> None:
    """As long as the event loop turns; systemd starts us anew when it does not."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)


def _dids_over(name: ProviderName, book: RulesBook) -> tuple[Did, ...]:
    return tuple(line.did for line in book.rules().directory if line.provider == name)


async def _check(provider: Provider, pacer: Pacer, dids: Collection[Did]) -> None:
    """Tell the operator at start what would otherwise be found out with the first text."""
    if not isinstance(provider, Checked):
        return
    async with pacer.slot():
        try:
            findings = await provider.check(dids)
        except Exception as error:  # noqa: BLE001  # a bug in a check must not end what works
            _log.crash(Event.PROVIDER_CHECK_FAILED, error, provider=provider.name)
            return
        for finding in findings:
            if finding.is_good:
                _log.info(Event.PROVIDER_CHECKED, provider=provider.name, words=finding.words)
            else:
                _log.error(Event.PROVIDER_CHECK_FAILED, provider=provider.name, words=finding.words)


def _rules(config: Config, capabilities: Mapping[ProviderName, Capabilities]) -> Rules:
    return Rules(
        directory=directory(config, capabilities),
        policy=policy(config),
        address_style=config.address_style,
        admins=config.admins,
    )
