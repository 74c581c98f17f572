"""Take what carriers tell: record it, deliver it, and only then let the carrier be answered.

Everything that one callback says is one transaction: the message, its key, the conversation's line, and one
delivery for each owner of the line. A text that no line of ours owns is kept and told to the admins.
"""

from collections.abc import Sequence
from dataclasses import replace

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Address, PeerKind, kind_of, mask, to_localpart
from smsbridge.core.errors import Reason
from smsbridge.core.line import AddressStyle, Line
from smsbridge.core.message import (
    DeliveryKind,
    DeliveryReport,
    Event,
    InboundMessage,
    ProviderName,
    ReportState,
)
from smsbridge.core.state import PartEvent
from smsbridge.log import Event as Logged
from smsbridge.log import Log
from smsbridge.store import bindings, deliveries, inbox, media, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.inbox import Taken, Verdict

EMPTY_TEXT = "(an empty text)"

_log = Log("inbound")


class Inbound:
    """The one door for webhooks, callbacks and polls."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take(self, provider: ProviderName, events: Sequence[Event]) -> None:
        """Commit all events; raises `StoreUnavailable`, in which case the carrier must not be told `ok`."""
        ours = self._without_strangers(events)
        taken = await self._desk.database.run(self._take, provider, ours)
        self._desk.wake_stream()
        for event, outcome in zip(ours, taken, strict=True):
            self._tell_operator(event, outcome)

    def _without_strangers(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Of the copies for each addressee of a group, keep those for our lines, if there are any."""
        directory = self._desk.rules().directory
        routed = {
            event.provider_id
            for event in events
            if isinstance(event, InboundMessage) and directory.line_of(event.did) is not None
        }
        return tuple(
            event
            for event in events
            if not isinstance(event, InboundMessage)
            or directory.line_of(event.did) is not None
            or event.provider_id not in routed
        )

    def _take(self, provider: ProviderName, events: Sequence[Event]) -> Transaction[list[Taken | bool]]:
        outcomes: list[Taken | bool] = []
        for event in events:
            match event:
                case InboundMessage():
                    outcomes.append((yield from self._take_message(replace(event, provider=provider))))
                case DeliveryReport():
                    outcomes.append((yield from self._take_report(replace(event, provider=provider))))
        return outcomes

    def _take_message(self, message: InboundMessage) -> Transaction[Taken]:
        desk = self._desk
        taken = yield from inbox.take(desk.ids, desk.now(), message)
        is_new = taken.verdict is not Verdict.REPEATED
        line = desk.rules().directory.line_of(message.did)
        if line is None or line.provider != message.provider:
            if is_new:
                yield from self._tell_admins(message, taken)
            return taken
        for owner in line.owners:
            localpart = yield from self._localpart(owner, line, message)
            about = Draft(
                domain=desk.domain,
                kind=DeliveryKind.TEXT,
                to_jid=owner,
                sender=localpart,
                stanza_id=stanza_id(taken.key, owner, "0"),
                stamp=message.sent_at,
                label=message.label if kind_of(message.peer) is PeerKind.ALPHANUMERIC else "",
                inbox_id=taken.id,
            )
            if is_new and (message.text or not message.media):
                yield from deliveries.add(desk.ids, desk.now(), replace(about, body=message.text or EMPTY_TEXT))
            for media_id, item in taken.media:
                attached = replace(
                    about,
                    kind=DeliveryKind.MEDIA,
                    media_url=item.url,
                    media_id=media_id,
                    stanza_id=stanza_id(taken.key, owner, "media", item.url),
                )
                yield from deliveries.add(desk.ids, desk.now(), attached)
        for media_id, item in taken.media:
            yield from media.publish(desk.ids, desk.now(), media_id, item.url)
        return taken

    def _localpart(self, owner: str, line: Line, message: InboundMessage) -> Transaction[str]:
        """From which JID an owner sees this: plain over the bound line, with the DID over any other."""
        bound = yield from bindings.bind(self._desk.now(), owner, message.peer, line.did)
        is_plain = self._desk.rules().address_style is AddressStyle.PLAIN and bound == line.did
        return to_localpart(Address(peers=(message.peer,), did=None if is_plain else line.did))

    def _tell_admins(self, message: InboundMessage, taken: Taken) -> Transaction[None]:
        body = (
            f"A text from {message.label or message.peer} came for {message.did}, which no line of the configuration"
            f" has over {message.provider}. It reads:\n{message.text}"
        )
        body = "\n".join((body, *(item.url for item in message.media)))
        yield from telling.tell_admins(self._desk, body, taken.key)

    def _take_report(self, report: DeliveryReport) -> Transaction[bool]:
        desk = self._desk
        part_id = yield from outbox.part_with(report.provider, report.kind, report.provider_id)
        if part_id is None:
            return False
        is_good = report.state is ReportState.DELIVERED
        moved = yield from outbox.move(
            desk.ids,
            desk.now(),
            "inbound",
            part_id,
            PartEvent.CONFIRM if is_good else PartEvent.BOUNCE,
            reason=None if is_good else Reason.CARRIER_REFUSED,
            code=report.code,
        )
        if moved is not None:
            yield from telling.tell(desk, part_id)
        return True

    def _tell_operator(self, event: Event, outcome: Taken | bool) -> None:
        metrics = self._desk.metrics
        if isinstance(outcome, bool) or isinstance(event, DeliveryReport):
            if not outcome:
                _log.warning(Logged.REPORT_UNMATCHED, provider=event.provider)
            return
        values = {"provider": event.provider, "inbox": outcome.id, "source": event.source}
        match outcome.verdict:
            case Verdict.REPEATED:
                metrics.inbound_repeated.labels(event.provider).inc()
                _log.info(Logged.MESSAGE_REPEATED, **values)
                return
            case Verdict.CONFLICTING:
                metrics.inbound_conflicted.labels(event.provider).inc()
                _log.error(Logged.MESSAGE_CONFLICTED, **values)
            case Verdict.FRESH:
                _log.info(Logged.MESSAGE_TAKEN, did=mask(event.did), peer=mask(event.peer), **values)
        metrics.inbound_taken.labels(event.provider, event.kind).inc()
        line = self._desk.rules().directory.line_of(event.did)
        if line is None or line.provider != event.provider:
            metrics.inbound_unrouted.labels(event.provider).inc()
            _log.error(Logged.MESSAGE_UNROUTED, did=mask(event.did), **values)
