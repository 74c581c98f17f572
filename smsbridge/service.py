"""The composition root: build everything with plain constructors, run it under one task group, stop it in order.

Stopping: nothing more is claimed; the stream goes first, so that what users write bounces visibly instead of vanishing
in a buffer; then the callbacks; the calls in flight are finished and settled; the store last.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from smsbridge.bridge import restoring
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.carriers import Carriers
from smsbridge.bridge.checkup import Checkup
from smsbridge.bridge.commands import Commands
from smsbridge.bridge.completing import Completing
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.dispatcher import Dispatcher, Dispatchers
from smsbridge.bridge.handover import HandOver
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.lately import Lately
from smsbridge.bridge.lookout import Lookout, Views
from smsbridge.bridge.outbound import Outbound
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.progress import Progress
from smsbridge.bridge.pulse import Pulse
from smsbridge.bridge.reconciler import Reconciler
from smsbridge.bridge.room import Room, free_beside
from smsbridge.clock import Clock, system_clock, system_ms
from smsbridge.config import Config, Loaded
from smsbridge.config_rules import caps_in_words
from smsbridge.contacts_room import ContactsRoom, open_contacts
from smsbridge.core.address import Address, Did, Peer, to_localpart
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import AddressStyle
from smsbridge.core.message import DeliveryKind, ProviderName
from smsbridge.failpoints import failpoint
from smsbridge.lists_room import build_looking, build_readers
from smsbridge.log import Event, Log
from smsbridge.media_room import MediaRoom, build_own_shelf
from smsbridge.metrics import Metrics
from smsbridge.notify import notify
from smsbridge.presence_room import PresenceRoom, open_presence
from smsbridge.providers.contract import Checked, Provider, ProviderKind, Sends, abilities
from smsbridge.providers.http import open_session
from smsbridge.rules_book import Changed, Reloader, RulesBook
from smsbridge.store import bindings, deliveries, holds
from smsbridge.store.ids import Ids
from smsbridge.tenure import Place, Tenure, settle_in
from smsbridge.watch import Watch
from smsbridge.web.app import Web
from smsbridge.web_room import build_web
from smsbridge.xmpp.asking import Asking, uptime
from smsbridge.xmpp.component import Component, StreamSettings
from smsbridge.xmpp.handlers import Handlers
from smsbridge.xmpp.privileges import Privileges
from smsbridge.xmpp.promises import Promises
from smsbridge.xmpp.rosters import Rosters
from smsbridge.xmpp.stanzas import render
from smsbridge.xmpp.vcards import VCards

RECALLED_CONTACTS: Final = 50  # of those who know a number of ours one will tell what its server keeps

_log = Log("service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running bridge, as the command line and the demo see it."""

    book: RulesBook
    metrics: Metrics
    web: Web
    component: Component
    dispatchers: Dispatchers
    reload: Callable[[], None]


async def serve(
    config: Config,
    kinds: Mapping[str, ProviderKind],
    stop: asyncio.Event,
    on_start: Callable[[Service], None] = lambda _: None,
    reread: Callable[[], Loaded] | None = None,
) -> None:
    """Run until `stop` is set, then drain. Raises `AlreadyRunning`, `StoreUnavailable` or `CannotListen`.

    `reread` is what a reload reads; it raises `ConfigError`.
    """
    metrics, clock = Metrics(), system_clock()
    metrics.start_at_zero(config.providers, DeliveryKind)
    async with AsyncExitStack() as stack:
        holder = f"{config.xmpp.jid}/{uuid.uuid4().hex}"
        place = _place(config, holder, clock, metrics)
        tenure = await stack.enter_async_context(settle_in(place, stop))
        if tenure is None:
            return
        ids = Ids(system_ms)
        ids.start_after(await tenure.database.run(deliveries.newest_id))
        session = await stack.enter_async_context(open_session())
        providers = {
            account.name: kinds[account.kind].build(account.name, account.settings, session)
            for account in config.providers.values()
        }
        bells = _Bells(stream=Bell(), reconciler=Bell(), senders={name: Bell() for name in providers})
        book, privileges, media = RulesBook(config, providers), Privileges(), MediaRoom(config)
        room = Room(partial(free_beside, config.store.path), config.store.min_free, clock)
        desk = Desk(
            database=tenure.database,
            ids=ids,
            clock=clock,
            metrics=metrics,
            domain=config.xmpp.jid,
            holder=holder,
            rules=book.rules,
            wake_stream=bells.stream.ring,
            wake_senders=bells.ring_senders,
            wake_media=media.ring,
            uploads=media.uploads,
            load_file=media.load,
            pulse=Pulse(clock),
            carriers=Carriers(clock),
            speaks_for=privileges.speaks_for,
            has_room=room.is_there,
        )
        if tenure.is_old_copy:
            _log.error(Event.OLD_COPY_FOUND)
            await desk.database.run(restoring.hold_back, desk, providers)
            tenure.accept_copy()
        again = reread or (lambda: Loaded(config=config, warnings=()))
        await _run(config, desk, book, again, providers, bells, tenure, privileges, room, media, stop, on_start)


def _place(config: Config, holder: str, clock: Clock, metrics: Metrics) -> Place:
    password = config.store.password
    return Place(
        url=config.store.url,
        password=password.get_secret_value() if password else None,
        name=config.xmpp.jid,
        holder=holder,
        clock=clock,
        observe_commit=metrics.commit_seconds.observe,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bells:
    stream: Bell
    reconciler: Bell
    senders: Mapping[ProviderName, Bell]

    def ring_senders(self) -> None:
        for bell in self.senders.values():
            bell.ring()


async def _run(
    config: Config, desk: Desk, book: RulesBook, reread: Callable[[], Loaded],
    providers: Mapping[ProviderName, Provider], bells: _Bells, tenure: Tenure, privileges: Privileges,
    room: Room, media: MediaRoom, stop: asyncio.Event, on_start: Callable[[Service], None],
) -> None:  # fmt: skip
    pacers = {name: Pacer(provider.capabilities, desk.clock) for name, provider in providers.items()}
    dispatchers = _build_dispatchers(desk, providers, pacers, bells)
    contacts = await open_contacts(desk, lambda: book.config)
    handlers, component, presence, lists = await _build_xmpp(config, desk, book, providers, bells, privileges, contacts)
    completing = Completing(providers, pacers)
    inbound = Inbound(desk, component.lane, completing.expect)
    own_shelf = build_own_shelf(config, desk)
    web = build_web(config, desk, providers.values(), component, tenure, inbound, room, own_shelf.find)
    await web.start()
    async with asyncio.TaskGroup() as group:
        checks = {
            name: Checkup(desk, name, provider, pacers[name], partial(_dids_over, name, book))
            for name, provider in providers.items()
            if isinstance(provider, Checked)
        }
        reloader = Reloader(book, reread, desk.clock, partial(_follow_up, desk, checks, contacts))
        dispatching = group.create_task(dispatchers.run())
        streaming = group.create_task(component.run())
        others = [
            group.create_task(Reconciler(desk, bells.reconciler, build_looking(desk, providers, pacers)).run()),
            group.create_task(Janitor(desk, own_shelf.forget).run()),
            group.create_task(media.run(desk, component, own_shelf, partial(abilities, providers))),
            group.create_task(contacts.run(lists)),
            group.create_task(completing.run(inbound.take_listed)),
            group.create_task(presence.run()),
            group.create_task(tenure.keep()),
            group.create_task(reloader.run()),
            group.create_task(_build_watch(desk, component, reloader, tenure).run()),
            group.create_task(_build_lookout(desk, component, room).run()),
            *(group.create_task(check.run()) for check in checks.values()),
            *(group.create_task(reader.run()) for reader in build_readers(desk, providers, pacers, inbound)),
        ]
        _log.info(Event.CAPS_SET, **caps_in_words(book.config))
        _log.info(Event.SERVICE_STARTED, public_port=web.public_port, internal_port=web.internal_port)
        service = Service(
            book=book, metrics=desk.metrics, web=web, component=component, dispatchers=dispatchers, reload=reloader.ask
        )
        on_start(service)
        notify("READY=1")
        await stop.wait()
        _log.info(Event.SERVICE_STOPPING)
        failpoint("service.stopping")
        notify("STOPPING=1")
        dispatchers.drain()  # the calls in flight may take a minute: let them run meanwhile
        await handlers.drain()
        await component.close(presence.showing.leave)
        await handlers.drain()
        await web.stop()
        await dispatching
        for task in (streaming, *others):
            task.cancel()
    failpoint("service.stopped")
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


async def _build_xmpp(
    config: Config, desk: Desk, book: RulesBook, providers: Mapping[ProviderName, Provider], bells: _Bells,
    privileges: Privileges, contacts: ContactsRoom,
) -> tuple[Handlers, Component, PresenceRoom, Rosters]:  # fmt: skip
    known = await desk.database.run(bindings.newest, RECALLED_CONTACTS)
    handover = HandOver(desk, bells.stream)
    outbound = Outbound(desk, partial(abilities, providers))
    component = Component(
        _stream_settings(config),
        handover=handover,
        render=lambda delivery: render(
            delivery, now=desk.now(), speaks_for=privileges.speaks_for, language_of=desk.language_of
        ),
        install=lambda stream, _: handlers.install(stream),
        metrics=desk.metrics,
        clock=desk.clock,
        pulse=desk.pulse,
        promises=partial(_build_promises, config, desk, known),
        privileges=privileges,
    )
    vcards = VCards(
        face=contacts.faces.face,
        language_of=desk.language_of,
        directory=lambda: book.rules().directory,
        domain=config.xmpp.jid,
    )
    presence = await open_presence(desk, book, component.asking, component.send, vcards.dress)
    handlers = Handlers(
        outbound=outbound,
        handover=handover,
        commands=Commands(desk, contacts.follow),
        safekeeping=component.safekeeping,
        vcards=vcards,
        language_of=desk.language_of,
        showing=presence.showing,
        blocking=presence.blocking,
        memory=Lately(desk),
        profile=presence.profile,
        domain=config.xmpp.jid,
        send=component.send,
        metrics=desk.metrics,
        clock=desk.clock,
    )
    rosters = Rosters(
        privileges=privileges,
        asking=component.asking,
        opened=component.opened,
        age=lambda: uptime(component.asking, config.xmpp.ping),
        send=component.send,
        dress=vcards.dress,
        appear=presence.showing.appear,
        domain=config.xmpp.jid,
    )
    return handlers, component, presence, rosters


def _stream_settings(config: Config) -> StreamSettings:
    return StreamSettings(
        jid=config.xmpp.jid,
        secret=config.xmpp.secret.get_secret_value(),
        host=config.xmpp.server.host,
        port=config.xmpp.server.port,
        ping=config.xmpp.ping,
    )


def _build_promises(
    config: Config,
    desk: Desk,
    known: Sequence[tuple[str, Peer, Did]],
    asking: Asking,
    write: Callable[[bytes], None],
) -> Promises:
    promises = Promises(
        jid=config.xmpp.jid,
        server=config.xmpp.ping,
        owners=lambda: [owner for line in desk.rules().directory for owner in line.owners],
        asking=asking,
        write=write,
        metrics=desk.metrics,
        clock=desk.clock,
        server_config=config.xmpp.server_config,
    )
    for owner, peer, did in known:
        is_plain = config.address_style is AddressStyle.PLAIN
        number = to_localpart(Address(peers=(peer,), did=None if is_plain else did))
        promises.see(owner, f"{number}@{config.xmpp.jid}")
    return promises


async def _follow_up(
    desk: Desk, checks: Mapping[ProviderName, Checkup], contacts: ContactsRoom, changed: Changed
) -> None:
    """After a reload: what waited for a password or for an owner may go now, and the carriers are asked again."""
    accounts = {ProviderName(str(place[1])) for place in changed if place[0] == "providers"}
    try:
        for name in accounts:
            await desk.database.run(holds.probe_soon, desk.now(), name)
    except StoreUnavailable as error:  # it is probed when it was due
        _log.warning(Event.STORE_FAILED, error=str(error))
    desk.wake_senders()
    desk.wake_stream()
    contacts.reload()
    if any(place[0] in {"jids", "lines"} for place in changed):
        accounts |= checks.keys()
    for name in sorted(accounts & checks.keys()):
        await checks[name].look()


def _build_watch(desk: Desk, component: Component, reloader: Reloader, tenure: Tenure) -> Watch:
    return Watch(
        pulse=desk.pulse,
        clock=desk.clock,
        metrics=desk.metrics,
        commit=tenure.renew,
        backlog=Progress(desk).backlog,
        stream_down_since=lambda: None if component.is_up else component.down_since or desk.now(),
        refusal=lambda: reloader.refusal,
    )


def _build_lookout(desk: Desk, component: Component, room: Room) -> Lookout:
    views = Views(
        room=room,
        backlog=Progress(desk).backlog,
        stream_down_since=lambda: None if component.is_up else component.down_since,
    )
    return Lookout(desk, views)


def _dids_over(name: ProviderName, book: RulesBook) -> tuple[Did, ...]:
    return tuple(line.did for line in book.rules().directory if line.provider == name)
