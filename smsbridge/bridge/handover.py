"""Deliveries on their way to the XMPP server, as the stream sees them."""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from smsbridge.bridge import alerts, telling
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind
from smsbridge.core.state import DeliveryState
from smsbridge.core.words.tell import Tell
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import deliveries
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft

DOUBTED_AT_ONCE: Final = 1000  # rows in one transaction
MOST_GUESSES: Final = 4
MOST_DEATHS: Final = 1_000_000
TIRED_ATTEMPTS: Final = 8  # after so many tries, some by an earlier process, a delivery goes alone
BLOCKED: Final = "blocked"  # in the place of a condition: by the recipient himself
_FROM_PHONES: Final = {DeliveryKind.TEXT, DeliveryKind.MEDIA}

_log = Log("handover")


async def _never() -> bool:
    return False


class Rendered(NamedTuple):
    """The bytes of a delivery, fixed for good once they are committed."""

    delivery: Delivery
    xml: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why a delivery cannot be a stanza, in words that quote nothing; `error` if that is a fault of ours."""

    why: str
    error: Exception | None = None


Render = Callable[[Delivery], bytes | Unfit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What may be written now. `tired` was tried too often, and must be asked for alone."""

    rendered: tuple[Rendered, ...] = ()
    unfit: tuple[tuple[Delivery, Unfit], ...] = ()
    tired: DeliveryId | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.rendered or self.unfit or self.tired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Room for so many deliveries on one stream, until it is used or given back.

    `handed` has been answered for by the server since, at an instant, and may be settled in the same commit.
    """

    room: int
    stream: int
    handed: tuple[DeliveryId, ...]
    at: datetime


class Boarded(NamedTuple):
    """What a commit came to for the stream: to be written now, and the kinds of what it settled."""

    rendered: tuple[Rendered, ...] = ()
    settled: tuple[DeliveryKind, ...] = ()


class Lane(Protocol):
    """A stream that takes deliveries in the commit that writes them, while nothing waits for it."""

    def reserve(self, most: int) -> Reservation:
        """No room if the stream is down, busy or not to be trusted just now. Each is used or doubted, once."""
        ...

    def render(self, delivery: Delivery) -> bytes | Unfit:
        """Pure."""
        ...

    def use(self, reservation: Reservation, boarded: Boarded) -> None:
        """It is committed: write what is `handing`, in the order of the commits."""
        ...

    def doubt(self, reservation: Reservation) -> None:
        """Nobody knows whether it was committed."""
        ...


def board(desk: Desk, lane: Lane, reservation: Reservation, drafts: Sequence[Draft]) -> Transaction[Boarded]:
    """Write deliveries, which are named; as many as there is room for are `handing` at once, unless others wait."""
    settled = yield from deliveries.hand(desk.ids, reservation.at, reservation.handed)
    ready: list[Rendered] = []
    if reservation.room and drafts and not (yield from deliveries.is_any_waiting(desk.domain)):
        for delivery in drafts[: reservation.room]:
            xml = lane.render(delivery)
            if isinstance(xml, Unfit):
                break  # it is set aside when it is claimed, and what follows it waits for its turn
            ready.append(Rendered(delivery, xml))
    yield from deliveries.add_all(desk.ids, desk.now(), drafts, [xml for _, xml in ready])
    return Boarded(tuple(ready), settled)


class HandOver:
    """Every method raises `StoreUnavailable` when it cannot commit."""

    def __init__(self, desk: Desk, bell: Bell) -> None:
        self._desk = desk
        self._bell = bell

    async def claim(
        self, limit: int, render: Render, only: Sequence[DeliveryId] = (), before: DeliveryId | None = None
    ) -> Claimed:
        """The next deliveries of our domain, oldest first, committed as `handing`.

        Of these, if any are named; of those that are older than another, if that is.
        Their bytes are fixed in the same commit, one more attempt each: they may be written when this returns. What
        was fixed before a stream died goes again unchanged. `render` is pure. What it cannot render is quarantined.
        """
        failpoint("handover.claiming", StoreUnavailable)
        claimed = await self._desk.database.run_short(self._claim, limit, render, only, before)
        failpoint("handover.claimed", StoreUnavailable)
        for delivery, unfit in claimed.unfit:
            if unfit.error is not None:
                _log.crash(Event.STANZA_FAILED, unfit.error)
            self._tell_quarantined(delivery.id, delivery.kind, unfit.why)
        return claimed

    def _claim(
        self, limit: int, render: Render, only: Sequence[DeliveryId], before: DeliveryId | None
    ) -> Transaction[Claimed]:
        desk = self._desk
        found = yield from deliveries.pending(desk.domain, limit, only, before)
        fresh = found if only else tuple(itertools.takewhile(lambda row: row.attempt < TIRED_ATTEMPTS, found))
        if found and not fresh:
            return Claimed(tired=found[0].id)
        rendered, unfit = [], []
        for delivery in fresh:
            xml = render(delivery) if delivery.xml is None else delivery.xml
            if isinstance(xml, Unfit):
                unfit.append((delivery, xml))
                yield from self._quarantine(delivery.id, xml.why)
            else:
                rendered.append(Rendered(delivery, xml))
        pairs = [(item.delivery.id, item.xml) for item in rendered]
        yield from deliveries.fix(desk.ids, desk.now(), pairs)
        return Claimed(rendered=tuple(rendered), unfit=tuple(unfit))

    async def put_back(self, besides: Collection[DeliveryId]) -> None:
        """A stream has died, or a claim has failed: what was claimed and is not in flight waits again."""
        desk = self._desk
        await desk.database.run(deliveries.put_back, desk.ids, desk.now(), desk.domain, besides)
        failpoint("handover.put_back", StoreUnavailable)

    async def hand(self, ids: Sequence[DeliveryId], at: datetime | None = None) -> None:
        """The fence's pong came: the server has handled them. `at`: when it came, if that is a while ago."""
        failpoint("handover.handing", StoreUnavailable)
        kinds = await self._desk.database.run_short(deliveries.hand, self._desk.ids, at or self._desk.now(), ids)
        failpoint("handover.handed", StoreUnavailable)
        self.count(kinds)

    def count(self, kinds: Sequence[DeliveryKind]) -> None:
        """So many were handed."""
        for kind, count in Counter(kinds).items():
            self._desk.metrics.deliveries.labels(kind, DeliveryState.HANDED).inc(count)

    async def prove(self, ids: Sequence[DeliveryId], before: datetime) -> None:
        """These are safe from the server's death, and so is all that was handed before an instant."""
        failpoint("handover.proving", StoreUnavailable)
        await self._desk.database.run(self._prove, ids, before)
        failpoint("handover.proved", StoreUnavailable)

    def _prove(self, ids: Sequence[DeliveryId], before: datetime) -> Transaction[None]:
        now = self._desk.now()
        yield from deliveries.prove(now, ids)
        yield from deliveries.prove_before(now, self._desk.domain, before)

    async def doubt(self, until: datetime, *, is_guess: bool) -> int:
        """The server has died since it was handed them: what it had until then, and nobody proved, is claimed again.

        `is_guess`: it does not tell its age. Then each is doubted a few times only, or a link that flaps would show it
        again and again.
        """
        desk, count = self._desk, 0
        most = MOST_GUESSES if is_guess else MOST_DEATHS
        while found := await desk.database.run(
            deliveries.doubt, desk.ids, desk.now(), desk.domain, until, DOUBTED_AT_ONCE, most
        ):
            failpoint("handover.doubted", StoreUnavailable)
            count += found
            desk.metrics.deliveries_doubted.inc(found)
        if count:
            _log.warning(Event.DELIVERIES_DOUBTED, count=count)
        return count

    async def quarantine(self, delivery_id: DeliveryId, why: str) -> None:
        """Set aside what cannot be handed; whom it was for is told, and so are the admins."""
        kind = await self._desk.database.run(self._quarantine, delivery_id, why)
        if kind is not None:
            self._tell_quarantined(delivery_id, kind, why)

    def _tell_quarantined(self, delivery_id: DeliveryId, kind: DeliveryKind, why: str) -> None:
        _log.error(Event.DELIVERY_QUARANTINED, delivery=delivery_id, kind=kind, why=why)
        self._desk.metrics.deliveries.labels(kind, DeliveryState.QUARANTINED).inc()
        self._desk.wake_stream()

    def _quarantine(self, delivery_id: DeliveryId, why: str) -> Transaction[DeliveryKind | None]:
        desk = self._desk
        found = yield from deliveries.quarantine(desk.ids, desk.now(), delivery_id, why)
        if found is None:
            return None
        kind, recipient = found
        if kind in _FROM_PHONES:
            words = Tell.CANNOT_BE_SHOWN(recipient=recipient, why=why, delivery=delivery_id)
            yield from alerts.sound(desk, Alert.QUARANTINE, recipient, words)
            if recipient not in desk.rules().admins:
                yield from telling.say(desk, (recipient,), words, "quarantine", delivery_id)
        return kind

    async def bounce(
        self, stanza_id: str, from_bare_jid: str, condition: str, is_blocked: Callable[[], Awaitable[bool]] = _never
    ) -> bool:
        """An error came back for one of ours, from its recipient. False: not ours, to be ignored.

        `is_blocked` finds out whether the recipient wants nothing from that sender: then nobody is alarmed.
        """
        run = self._desk.database.run
        if await run(deliveries.may_return, stanza_id, from_bare_jid) and await is_blocked():
            condition = BLOCKED
        kind = await run(self._bounce, stanza_id, from_bare_jid, condition)
        if kind is None:
            return False
        if kind in _FROM_PHONES:
            self._desk.wake_stream()
        say = _log.info if condition == BLOCKED else _log.warning
        say(Event.DELIVERY_BOUNCED, kind=kind, condition=condition)
        self._desk.metrics.deliveries.labels(kind, DeliveryState.BOUNCED).inc()
        return True

    def _bounce(self, stanza_id: str, bare: str, condition: str) -> Transaction[DeliveryKind | None]:
        desk = self._desk
        kind = yield from deliveries.bounce(desk.ids, desk.now(), stanza_id, bare, condition)
        if kind in _FROM_PHONES and condition != BLOCKED:
            words = Tell.CAME_BACK(recipient=bare, condition=condition)
            yield from alerts.sound(desk, Alert.BOUNCE, f"{bare} {condition}", words)
        return kind

    def wake(self) -> None:
        """There may be something to claim."""
        self._bell.ring()

    async def wait(self, seconds: float) -> None:
        """Until there may be something to claim, or so many seconds."""
        await self._bell.wait(seconds)
