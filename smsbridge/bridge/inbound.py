"""Take what carriers tell: record it, deliver it, and only then let the carrier be answered.

Everything that one callback says is one transaction: the message, its key, the conversation's line, and one
delivery for each owner of the line. A text that no line of ours owns is kept and told to the admins.

Attachments are handed on by the carrier's own URL, each as a delivery of its own.
"""

import functools
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
from smsbridge.core.text import close_bidi, join_surrogates
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
        ours = self._without_strangers([_from(provider, event) for event in events])
        taken = await self._desk.database.run(self._take, ours)
        self._desk.wake_stream()
        for event, outcome in zip(ours, taken, strict=True):
            self._tell_operator(event, outcome)

    def _without_strangers(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Of the copies for each addressee of a group, keep those for our lines, if there are any."""
        if len(events) == 1:
            return tuple(events)
        routed = {_copied(event) for event in events if isinstance(event, InboundMessage) and self._line_of(event)}
        return tuple(
            event
            for event in events
            if not isinstance(event, InboundMessage) or self._line_of(event) or _copied(event) not in routed
        )

    def _line_of(self, message: InboundMessage) -> Line | None:
        """The line that this came over, if it is ours and somebody's."""
        line = self._desk.rules().directory.line_of(message.did)
        return line if line is not None and line.owners and line.provider == message.provider else None

    def _take(self, events: Sequence[Event]) -> Transaction[list[Taken | bool]]:
        outcomes: list[Taken | bool] = []
        for event in events:
            match event:
                case InboundMessage():
                    outcomes.append((yield from self._take_message(event)))
                case DeliveryReport():
                    outcomes.append((yield from self._take_report(event)))
        return outcomes

    def _take_message(self, message: InboundMessage) -> Transaction[Taken]:
        desk = self._desk
        taken = yield from inbox.take(desk.ids, desk.now(), message)
        line = self._line_of(message)
        if line is None:
            yield from self._tell_admins(message, taken)
        else:
            for owner in line.owners:
                yield from self._deliver(owner, line, message, taken)
        for media_id, item in taken.media:
            yield from media.publish(desk.ids, desk.now(), media_id, item.url)
        return taken

    def _deliver(self, owner: str, line: Line, message: InboundMessage, taken: Taken) -> Transaction[None]:
        desk = self._desk
        localpart = yield from self._localpart(owner, line, message)
        draft = functools.partial(
            Draft,
            domain=desk.domain,
            to_jid=owner,
            sender=localpart,
            stamp=message.sent_at,
            label=message.label if kind_of(message.peer) is PeerKind.ALPHANUMERIC else "",
            inbox_id=taken.id,
        )
        if taken.verdict is not Verdict.REPEATED and (message.text or not message.media):
            text = draft(
                kind=DeliveryKind.TEXT, stanza_id=stanza_id(taken.key, owner, "0"), body=message.text or EMPTY_TEXT
            )
            yield from deliveries.add(desk.ids, desk.now(), text)
        for media_id, item in taken.media:
            attached = draft(
                kind=DeliveryKind.MEDIA,
                stanza_id=stanza_id(taken.key, owner, "media", item.url),
                media_url=item.url,
                media_id=media_id,
            )
            yield from deliveries.add(desk.ids, desk.now(), attached)

    def _localpart(self, owner: str, line: Line, message: InboundMessage) -> Transaction[str]:
        """From which JID an owner sees this: plain over the bound line, with the DID over any other."""
        bound = yield from bindings.bind(self._desk.now(), owner, message.peer, line.did)
        is_plain = self._desk.rules().address_style is AddressStyle.PLAIN and bound == line.did
        return to_localpart(Address(peers=(message.peer,), did=None if is_plain else line.did))

    def _tell_admins(self, message: InboundMessage, taken: Taken) -> Transaction[None]:
        """Of a text that nobody's line took; of a repeat only if it brings media that were not known."""
        urls = [item.url for _, item in taken.media]
        if taken.verdict is Verdict.REPEATED and not urls:
            return
        body = (
            f"A text from {message.label or message.peer} came for {message.did}, which no line of the configuration"
            f" has over {message.provider}. It reads:\n{close_bidi(message.text)}"
        )
        names = urls if taken.verdict is Verdict.REPEATED else ()
        yield from telling.tell_admins(self._desk, "\n".join((body, *urls)), taken.key, *names)

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
        if self._line_of(event) is None:
            metrics.inbound_unrouted.labels(event.provider).inc()
            _log.error(Logged.MESSAGE_UNROUTED, did=mask(event.did), **values)


def _from(provider: ProviderName, event: Event) -> Event:
    """The event under the name of the account that told it, in characters that can be stored."""
    match event:
        case InboundMessage():
            if event.provider == provider and event.text.isascii() and event.label.isascii():
                return event
            return replace(
                event, provider=provider, text=join_surrogates(event.text), label=join_surrogates(event.label)
            )
        case DeliveryReport():
            return replace(event, provider=provider)


def _copied(message: InboundMessage) -> tuple[str, ...]:
    """What the copies of one text for each of its addressees have in common."""
    return (message.kind, message.provider_id or "", message.peer, message.text)
