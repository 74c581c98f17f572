"""Deliveries on their way to the XMPP server, as the stream sees them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsbridge.bridge import telling
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind
from smsbridge.core.state import DeliveryState
from smsbridge.log import Event, Log
from smsbridge.store import deliveries
from smsbridge.store.database import Transaction

_FROM_PHONES = {DeliveryKind.TEXT, DeliveryKind.MEDIA}

_log = Log("handover")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The bytes of a delivery, fixed for good once they are committed."""

    id: DeliveryId
    xml: bytes


class HandOver:
    """Every method raises `StoreUnavailable` when it cannot commit."""

    def __init__(self, desk: Desk, bell: Bell) -> None:
        self._desk = desk
        self._bell = bell
        self._alarmed: set[tuple[str, str]] = set()  # (recipient, condition): one alarm a cause

    async def claim(self, limit: int, besides: Collection[DeliveryId]) -> list[Delivery]:
        """The next deliveries of our domain, oldest first, without those in flight.

        Those with `xml` were fixed before a stream died and go again unchanged.
        """
        found = await self._desk.database.run(deliveries.pending, self._desk.domain, limit + len(besides))
        return [delivery for delivery in found if delivery.id not in besides][:limit]

    async def fix(self, rendered: Sequence[Rendered]) -> None:
        """Commit the bytes and `handing`, one more attempt each, before they may be written to the stream."""
        pairs = [(item.id, item.xml) for item in rendered]
        await self._desk.database.run(deliveries.fix, self._desk.ids, self._desk.now(), pairs)

    async def hand(self, ids: Sequence[DeliveryId]) -> None:
        """The fence's pong came: the server has handled them."""
        kinds = await self._desk.database.run(deliveries.hand, self._desk.ids, self._desk.now(), ids)
        for kind in kinds:
            self._desk.metrics.deliveries.labels(kind, DeliveryState.HANDED).inc()

    async def prove(self, ids: Sequence[DeliveryId], before: datetime) -> None:
        """These are safe from the server's death, and so is all that was handed before an instant."""
        await self._desk.database.run(self._prove, ids, before)

    def _prove(self, ids: Sequence[DeliveryId], before: datetime) -> Transaction[None]:
        now = self._desk.now()
        yield from deliveries.prove(now, ids)
        yield from deliveries.prove_before(now, self._desk.domain, before)

    async def doubt(self, until: datetime) -> int:
        """The server has died since it was handed them: what it had until then, and nobody proved, is claimed again."""
        desk = self._desk
        count = await desk.database.run(deliveries.doubt, desk.ids, desk.now(), desk.domain, until)
        if count:
            _log.warning(Event.DELIVERIES_DOUBTED, count=count)
            desk.metrics.deliveries_doubted.inc(count)
        return count

    async def quarantine(self, delivery_id: DeliveryId, why: str) -> None:
        """Set aside what cannot be handed; whom it was for is told, and so are the admins."""
        kind = await self._desk.database.run(self._quarantine, delivery_id, why)
        if kind is not None:
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
            body = (
                f"A text came for {recipient} that cannot be shown as a message ({why}). It is kept as {delivery_id}."
            )
            yield from telling.tell_admins(desk, body, "quarantine", delivery_id, also=recipient)
        return kind

    async def bounce(self, stanza_id: str, from_bare_jid: str, condition: str) -> bool:
        """An error came back for one of ours, from its recipient. False: not ours, to be ignored."""
        kind = await self._desk.database.run(self._bounce, stanza_id, from_bare_jid, condition)
        if kind is None:
            return False
        if kind in _FROM_PHONES:
            self._alarmed.add((from_bare_jid, condition))
            self._desk.wake_stream()
        _log.warning(Event.DELIVERY_BOUNCED, kind=kind, condition=condition)
        self._desk.metrics.deliveries.labels(kind, DeliveryState.BOUNCED).inc()
        return True

    def _bounce(self, stanza_id: str, bare: str, condition: str) -> Transaction[DeliveryKind | None]:
        desk = self._desk
        kind = yield from deliveries.bounce(desk.ids, desk.now(), stanza_id, bare, condition)
        if kind in _FROM_PHONES and (bare, condition) not in self._alarmed:
            body = f"A text for {bare} came back from the XMPP server ({condition}). It is kept, and not tried again."
            yield from telling.tell_admins(desk, body, "bounce", stanza_id)
        return kind

    def wake(self) -> None:
        """There may be something to claim."""
        self._bell.ring()

    async def wait(self, seconds: float) -> None:
        """Until there may be something to claim, or so many seconds."""
        await self._bell.wait(seconds)
