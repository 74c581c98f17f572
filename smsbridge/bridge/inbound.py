"""Take what carriers tell: record it, deliver it, and only then let the carrier be answered.

Everything that one callback says is one transaction: the message, its key, the conversation's line, and one
delivery for each owner of the line, which the stream may write as soon as that is committed. A text that no line of
ours owns is kept and told to the admins.

Attachments are brought later (`attachments`), or handed on by the carrier's own URL, each as a delivery of its own. The
bytes of those that came inside a callback are in its transaction too: what is committed lacks nothing.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from smsbridge.bridge import elsewhere, telling, wishes
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.elsewhere import Fate
from smsbridge.bridge.gathering import Gathering
from smsbridge.bridge.handover import Boarded, Lane, Reservation, board
from smsbridge.core.address import CACHED, Address, Did, Peer, PeerKind, kind_of, mask, to_localpart
from smsbridge.core.errors import NoRoom, Reason
from smsbridge.core.line import AddressStyle, Line
from smsbridge.core.message import (
    DeliveryId,
    DeliveryKind,
    DeliveryReport,
    Event,
    InboundMessage,
    Kind,
    Media,
    MediaId,
    ProviderName,
    ReportState,
    SentElsewhere,
)
from smsbridge.core.state import PartEvent
from smsbridge.core.text import close_bidi, join_surrogates
from smsbridge.core.wishes import wish_of
from smsbridge.core.words.say import Say
from smsbridge.core.words.tell import Tell
from smsbridge.failpoints import failpoint
from smsbridge.log import Event as Logged
from smsbridge.log import Log
from smsbridge.store import bindings, inbox, media, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.inbox import Taken, Verdict

BATCH = 32  # callbacks in one transaction
ROOM = 128  # deliveries of theirs that need not be claimed

Outcome = Taken | Fate | bool  # of a message, of a text that was sent, of a report: whether it is about a part of ours

_log = Log("inbound")


class _Committed(NamedTuple):
    """What each event came to; `is_all_ready`: nothing waits to be claimed."""

    outcomes: Sequence[Outcome]
    boarded: Boarded
    is_all_ready: bool


class Inbound:
    """The one door for webhooks, callbacks and polls."""

    def __init__(self, desk: Desk, lane: Lane, expect: Callable[[InboundMessage], None] = lambda _: None) -> None:
        """`expect` hears of each new MMS that was told without files."""
        self._desk = desk
        self._expect = expect
        self._lane = lane
        self._gathering = Gathering(self._commit, BATCH)
        self._heard: dict[ProviderName, datetime] = {}

    def take(self, provider: ProviderName, events: Sequence[Event]) -> Awaitable[Sequence[Outcome]]:
        """Commit what a carrier told; raises `StoreUnavailable`, in which case it must not be told `ok`."""
        if any(isinstance(event, InboundMessage) for event in events):
            self._heard[provider] = self._desk.now()
        return self.take_listed(self._without_strangers([_from(provider, event) for event in events]))

    def take_listed(self, events: Sequence[Event]) -> Awaitable[Sequence[Outcome]]:
        """Commit what a carrier's list shows, and say what became of each; raises `StoreUnavailable`.

        Where there is no room only reports are taken: they finish what was begun.
        """
        if not self._desk.has_room() and not all(isinstance(event, DeliveryReport) for event in events):
            raise NoRoom("too little of the disk is free")
        return self._gathering(tuple(events))

    def heard(self, provider: ProviderName) -> datetime | None:
        """When the carrier last told us of a text by itself, in this life of ours."""
        return self._heard.get(provider)

    async def _commit(self, callbacks: Sequence[Sequence[Event]]) -> Sequence[Sequence[Outcome]]:
        failpoint("inbound.taking")
        reservation = self._lane.reserve(ROOM)
        try:
            committed = await self._desk.database.run_short(self._take, callbacks, reservation)
            failpoint("inbound.committed")
        except BaseException:
            self._lane.doubt(reservation)
            raise
        self._lane.use(reservation, committed.boarded)
        if not committed.is_all_ready:
            self._desk.wake_stream()
            if any(isinstance(outcome, Taken) and outcome.media for outcome in committed.outcomes):
                self._desk.wake_media()
        self._tell_operator(zip(itertools.chain.from_iterable(callbacks), committed.outcomes, strict=True))
        outcomes = iter(committed.outcomes)
        return [list(itertools.islice(outcomes, len(events))) for events in callbacks]

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

    def _take(self, callbacks: Sequence[Sequence[Event]], reservation: Reservation) -> Transaction[_Committed]:
        messages = [event for events in callbacks for event in events if isinstance(event, InboundMessage)]
        taken, boarded, is_all_ready = yield from self._take_messages(messages, reservation)
        if len(messages) == sum(map(len, callbacks)):
            return _Committed(taken, boarded, is_all_ready)
        outcomes: list[Outcome] = []
        left = iter(taken)
        for event in itertools.chain.from_iterable(callbacks):
            match event:
                case InboundMessage():
                    outcomes.append(next(left))
                case DeliveryReport():
                    outcomes.append((yield from self._take_report(event)))
                case SentElsewhere():
                    outcomes.append((yield from elsewhere.take(self._desk, event, self._line_of(event))))
        return _Committed(outcomes, boarded, False)

    def _take_messages(
        self, messages: Sequence[InboundMessage], reservation: Reservation
    ) -> Transaction[tuple[list[Taken], Boarded, bool]]:
        """What each came to, what that is for the stream, and whether nothing of it waits to be claimed."""
        desk, now = self._desk, self._desk.now()
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
        # asked once: a reload may come in between, and an attachment is either linked to or brought
        brought = {
            media_id for message, one in zip(messages, taken, strict=True) for media_id in self._brought(message, one)
        }
        drafts: list[Draft] = []
        most = sum([1 + len(one.media) for one, line in zip(taken, lines, strict=True) if line for _ in line.owners])
        names = iter(desk.ids.some(most))
        for message, line, one in zip(messages, lines, taken, strict=True):
            for owner in line.owners if line else ():
                drafts += self._drafts(names, owner, bound[owner, message.peer] == message.did, message, one, brought)
        boarded = yield from board(desk, self._lane, reservation, drafts)
        is_all_ready = len(boarded.rendered) == len(drafts) and None not in lines
        for message, line, one in zip(messages, lines, taken, strict=True):
            if line is None:
                yield from self._tell_admins(message, one)
            elif one.verdict is not Verdict.REPEATED and wish_of(message):
                yield from wishes.heed(desk, line, message, one.key)
                is_all_ready = False
        for line, one in zip(lines, taken, strict=True):
            for media_id, item in one.media:
                if item.content is not None or (line is not None and media_id in brought):
                    is_all_ready = False
                    yield from media.address(media_id, line.owners if line else ())
                else:
                    yield from media.publish(desk.ids, now, media_id, item.url)
        return taken, boarded, is_all_ready

    def _drafts(
        self,
        names: Iterator[str],
        owner: str,
        is_bound: bool,
        message: InboundMessage,
        taken: Taken,
        brought: Collection[MediaId],
    ) -> list[Draft]:
        """What an owner gets of a message: its text, and each attachment that was not known and is not brought."""
        # from a plain JID over the bound line, with the DID over any other
        is_plain = is_bound and self._desk.rules().address_style is AddressStyle.PLAIN
        sender = _localpart(message.peer, None if is_plain else message.did)
        order = message.provider_id or ""

        def draft(kind: DeliveryKind, *about: str, body: str = "", item: tuple[MediaId, Media] | None = None) -> Draft:
            return Draft(
                id=DeliveryId(next(names)),
                domain=self._desk.domain,
                kind=kind,
                to_jid=owner,
                sender=sender,
                stanza_id=stanza_id(taken.key, owner, *about, order=order),
                body=body,
                stamp=message.sent_at,
                label=message.label if kind_of(message.peer) is PeerKind.ALPHANUMERIC else "",
                media_url=item[1].url if item else "",
                inbox_id=taken.id,
                media_id=item[0] if item else None,
            )

        made = []
        if taken.verdict is not Verdict.REPEATED and (message.text or not message.media):
            made.append(draft(DeliveryKind.TEXT, "0", body=message.text or self._desk.worded(owner, Say.EMPTY_TEXT())))
        if taken.media:
            links = [item for item in taken.media if item[0] not in brought]
            made += (draft(DeliveryKind.MEDIA, "media", item[1].url, item=item) for item in links)
        return made

    def _brought(self, message: InboundMessage, taken: Taken) -> list[MediaId]:
        """The attachments that are brought later, from where they are."""
        if not taken.media:
            return []
        is_fetched = message.provider in self._desk.rules().media_places
        return [media_id for media_id, item in taken.media if is_fetched or item.content is not None]

    def _tell_admins(self, message: InboundMessage, taken: Taken) -> Transaction[None]:
        """Of a text that nobody's line took; of a repeat only if it brings media that were not known."""
        urls = [item.url for _, item in taken.media if item.content is None]
        if taken.verdict is Verdict.REPEATED and not urls:
            return
        words = Tell.TEXT_TO_NOBODY(
            sender=message.label or message.peer,
            did=message.did,
            provider=message.provider,
            content=("", close_bidi(message.text), *urls),
        )
        names = urls if taken.verdict is Verdict.REPEATED else ()
        yield from telling.tell_admins(self._desk, words, taken.key, *names)

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

    def _tell_operator(self, told: Iterable[tuple[Event, Outcome]]) -> None:
        """Of what one commit took. Texts that came at once share a line."""
        metrics = self._desk.metrics
        fresh: list[tuple[InboundMessage, Taken]] = []
        for event, outcome in told:
            if isinstance(event, SentElsewhere):
                if outcome in {Fate.FOUND, Fate.SHOWN}:
                    metrics.sent_elsewhere.labels(event.provider, str(outcome)).inc()
                    _log.info(Logged.SENT_ELSEWHERE, did=mask(event.did), peer=mask(event.peer), fate=str(outcome))
            elif not isinstance(outcome, Taken) or isinstance(event, DeliveryReport):
                if not outcome:
                    _log.warning(Logged.REPORT_UNMATCHED, provider=event.provider)
            elif outcome.verdict is Verdict.REPEATED:
                metrics.inbound_repeated.labels(event.provider).inc()
                _log.info(Logged.MESSAGE_REPEATED, **_named(event, outcome))
            else:
                fresh.append((event, outcome))
                if event.kind is Kind.MMS and not event.media:
                    self._expect(event)
        if len(fresh) > 1:
            _log.info(Logged.MESSAGES_TAKEN, count=len(fresh), inbox=[outcome.id for _, outcome in fresh])
        elif fresh:
            event, outcome = fresh[0]
            _log.info(Logged.MESSAGE_TAKEN, did=mask(event.did), peer=mask(event.peer), **_named(event, outcome))
        for (provider, kind), count in Counter((event.provider, event.kind) for event, _ in fresh).items():
            metrics.inbound_taken.labels(provider, kind).inc(count)
        for event, outcome in fresh:
            if outcome.verdict is Verdict.CONFLICTING:
                metrics.inbound_conflicted.labels(event.provider).inc()
                _log.error(Logged.MESSAGE_CONFLICTED, **_named(event, outcome))
            if self._line_of(event) is None:
                metrics.inbound_unrouted.labels(event.provider).inc()
                _log.error(Logged.MESSAGE_UNROUTED, did=mask(event.did), **_named(event, outcome))


@lru_cache(CACHED)
def _localpart(peer: Peer, did: Did | None) -> str:
    return to_localpart(Address(peers=(peer,), did=did))


def _named(event: InboundMessage, outcome: Taken) -> dict[str, object]:
    return {"provider": event.provider, "inbox": outcome.id, "source": event.source}


def _from(provider: ProviderName, event: Event) -> Event:
    """The event under the name of the account that told it, in characters that can be stored."""
    match event:
        case InboundMessage():
            if event.provider == provider and event.text.isascii() and event.label.isascii():
                return event
            return event._replace(
                provider=provider, text=join_surrogates(event.text), label=join_surrogates(event.label)
            )
        case DeliveryReport() | SentElsewhere():
            return replace(event, provider=provider)


def _copied(message: InboundMessage) -> tuple[str, ...]:
    """What the copies of one text for each of its addressees have in common."""
    return (message.kind, message.provider_id or "", message.peer, message.text)
