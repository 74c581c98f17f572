"""Take what carriers tell: record it, deliver it, and only then let the carrier be answered.

Everything that one callback says is one transaction: the message, its key, the conversation's line, and one
delivery for each owner of the line. A text that no line of ours owns is kept and told to the admins.

Attachments are handed on by the carrier's own URL, each as a delivery of its own.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from smsbridge.bridge import elsewhere, telling, wishes
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.elsewhere import Fate
from smsbridge.bridge.gathering import Gathering
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
    SentElsewhere,
)
from smsbridge.core.state import PartEvent
from smsbridge.core.text import close_bidi, join_surrogates
from smsbridge.failpoints import failpoint
from smsbridge.log import Event as Logged
from smsbridge.log import Log
from smsbridge.store import bindings, deliveries, inbox, media, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.inbox import Taken, Verdict

EMPTY_TEXT = "(an empty text)"
BATCH = 64  # callbacks in one transaction

Outcome = Taken | Fate | bool  # of a message, of a text that was sent, of a report: whether it is about a part of ours

_log = Log("inbound")


class Inbound:
    """The one door for webhooks, callbacks and polls."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._gathering = Gathering(self._commit, BATCH)
        self._heard: dict[ProviderName, datetime] = {}

    async def take(self, provider: ProviderName, events: Sequence[Event]) -> None:
        """Commit what a carrier told; raises `StoreUnavailable`, in which case it must not be told `ok`."""
        if any(isinstance(event, InboundMessage) for event in events):
            self._heard[provider] = self._desk.now()
        ours = self._without_strangers([_from(provider, event) for event in events])
        await self.take_listed(ours)

    async def take_listed(self, events: Sequence[Event]) -> list[Outcome]:
        """Commit what a carrier's list shows, and say what became of each; raises `StoreUnavailable`."""
        taken = await self._gathering(tuple(events))
        for event, outcome in zip(events, taken, strict=True):
            self._tell_operator(event, outcome)
        return taken

    def heard(self, provider: ProviderName) -> datetime | None:
        """When the carrier last told us of a text by itself, in this life of ours."""
        return self._heard.get(provider)

    async def _commit(self, callbacks: Sequence[Sequence[Event]]) -> list[list[Outcome]]:
        failpoint("inbound.taking")
        outcomes = await self._desk.database.run(self._take, callbacks)
        failpoint("inbound.committed")
        self._desk.wake_stream()
        return outcomes

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

    def _line_of(self, message: InboundMessage | SentElsewhere) -> Line | None:
        """The line that this went over, if it is ours and somebody's."""
        line = self._desk.rules().directory.line_of(message.did)
        return line if line is not None and line.owners and line.provider == message.provider else None

    def _take(self, callbacks: Sequence[Sequence[Event]]) -> Transaction[list[list[Outcome]]]:
        messages = [event for events in callbacks for event in events if isinstance(event, InboundMessage)]
        taken = iter((yield from self._take_messages(messages)))
        outcomes: list[list[Outcome]] = []
        for events in callbacks:
            outcomes.append([])
            for event in events:
                match event:
                    case InboundMessage():
                        outcomes[-1].append(next(taken))
                    case DeliveryReport():
                        outcomes[-1].append((yield from self._take_report(event)))
                    case SentElsewhere():
                        outcomes[-1].append((yield from elsewhere.take(self._desk, event, self._line_of(event))))
        return outcomes

    def _take_messages(self, messages: Sequence[InboundMessage]) -> Transaction[list[Taken]]:
        desk, now = self._desk, self._desk.now()
        if not messages:
            return []
        taken = yield from inbox.take_all(desk.ids, now, messages)
        failpoint("inbound.recorded")
        lines = [self._line_of(message) for message in messages]
        wanted = [
            (owner, message.peer, line.did)
            for message, line in zip(messages, lines, strict=True)
            if line is not None
            for owner in line.owners
        ]
        bound = yield from bindings.bind_all(now, wanted)
        drafts: list[Draft] = []
        for message, line, one in zip(messages, lines, taken, strict=True):
            if line is None:
                yield from self._tell_admins(message, one)
                continue
            for owner in line.owners:
                drafts += self._drafts(owner, bound[owner, message.peer] == line.did, message, one)
        yield from deliveries.add_all(desk.ids, now, drafts)
        for message, line, one in zip(messages, lines, taken, strict=True):
            if line is not None and one.verdict is not Verdict.REPEATED:
                yield from wishes.heed(desk, line, message, one.key)
        for media_id, item in itertools.chain.from_iterable(one.media for one in taken):
            yield from media.publish(desk.ids, now, media_id, item.url)
        return taken

    def _drafts(self, owner: str, is_bound: bool, message: InboundMessage, taken: Taken) -> list[Draft]:
        """What an owner gets of a message: its text, and each attachment that was not known."""
        # from a plain JID over the bound line, with the DID over any other
        is_plain = is_bound and self._desk.rules().address_style is AddressStyle.PLAIN
        draft = functools.partial(
            Draft,
            domain=self._desk.domain,
            to_jid=owner,
            sender=to_localpart(Address(peers=(message.peer,), did=None if is_plain else message.did)),
            stamp=message.sent_at,
            label=message.label if kind_of(message.peer) is PeerKind.ALPHANUMERIC else "",
            inbox_id=taken.id,
        )
        made = []
        if taken.verdict is not Verdict.REPEATED and (message.text or not message.media):
            body = message.text or EMPTY_TEXT
            made.append(draft(kind=DeliveryKind.TEXT, stanza_id=stanza_id(taken.key, owner, "0"), body=body))
        made += (
            draft(
                kind=DeliveryKind.MEDIA,
                stanza_id=stanza_id(taken.key, owner, "media", item.url),
                media_url=item.url,
                media_id=media_id,
            )
            for media_id, item in taken.media
        )
        return made

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

    def _tell_operator(self, event: Event, outcome: Outcome) -> None:
        metrics = self._desk.metrics
        if isinstance(event, SentElsewhere):
            if outcome in {Fate.FOUND, Fate.SHOWN}:
                metrics.sent_elsewhere.labels(event.provider, str(outcome)).inc()
                _log.info(Logged.SENT_ELSEWHERE, did=mask(event.did), peer=mask(event.peer), fate=str(outcome))
            return
        if not isinstance(outcome, Taken) or isinstance(event, DeliveryReport):
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
        case DeliveryReport() | SentElsewhere():
            return replace(event, provider=provider)


def _copied(message: InboundMessage) -> tuple[str, ...]:
    """What the copies of one text for each of its addressees have in common."""
    return (message.kind, message.provider_id or "", message.peer, message.text)
