"""Read a carrier's list for what its callbacks did not bring, and for what was sent elsewhere.

    list ─▶ what is old, at once ─▶ wait: callbacks and answers on their way arrive ─▶ the rest ─▶ the same door

The door knows by its keys what it has, so a look may see everything again and takes nothing twice. While callbacks
prove that they arrive, the looks become rare. A look that fails is repeated later, and never ends the loop.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Final, TypeGuard

from smsbridge.bridge import alerts, catching_up, reporting
from smsbridge.bridge.catching_up import Reach
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.elsewhere import Fate
from smsbridge.bridge.inbound import Inbound, Outcome
from smsbridge.bridge.pacer import Pacer, Rank
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import Outcome as Refusal
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import CatchUp
from smsbridge.core.message import Event as Listing
from smsbridge.core.message import InboundMessage, Kind, ProviderName, SentElsewhere
from smsbridge.core.pacing import POLL_BACKOFF
from smsbridge.core.words.say import Words
from smsbridge.core.words.tell import Tell
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Polled
from smsbridge.store import listed
from smsbridge.store.database import Transaction
from smsbridge.store.inbox import Taken, Verdict

USUAL: Final = timedelta(minutes=5)
PROVEN, RAREST = timedelta(minutes=15), timedelta(minutes=60)
SETTLE: Final = timedelta(seconds=90)  # a callback or an answer that is on its way has arrived by then
OLD: Final = timedelta(minutes=75)  # older than that, though the list's clock may be an hour off
STEADY: Final = timedelta(hours=1)  # callbacks count as arriving again after so long without a find
PATIENCE: Final = timedelta(hours=1)  # before the admins hear of a list that cannot be read
MOST_ASKED: Final = 3  # times for an attachment that a listed message may have
MOST_REMEMBERED: Final = 1000
AT_ONCE: Final = 50
TURN: Final = 900.0  # seconds that reading a list may take

_Taken = tuple[Listing, Outcome]

_log = Log("poller")


@dataclass(slots=True, kw_only=True)
class _State:
    """What one life remembers. `found_at`: the last find, or the first look. What is fine needs no alert any more."""

    looked_at: datetime | None = None
    interval: timedelta = field(default_factory=lambda: USUAL)
    failures: int = 0
    failing_since: datetime | None = None
    is_list_fine: bool = False
    found_at: datetime | None = None
    is_door_fine: bool = False


class Poller:
    """Looks into the list of one account."""

    def __init__(
        self,
        desk: Desk,
        name: ProviderName,
        provider: Polled,
        pacer: Pacer,
        inbound: Inbound,
        *,
        roll: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._desk = desk
        self._name = name
        self._provider = provider
        self._pacer = pacer
        self._inbound = inbound
        self._roll = roll
        self._pause = pause
        self._state = _State()
        self._asked: Counter[str] = Counter()

    @property
    def _catch_up(self) -> CatchUp:
        return self._desk.rules().catch_up.get(self._name, CatchUp())

    async def run(self) -> None:
        while True:
            wait = (await self.look()).total_seconds()
            self._beat(wait)
            await self._pause(wait)

    async def look(self) -> timedelta:
        """Once, and how long to wait then. Raises nothing."""
        state = self._state
        if not self._catch_up.is_on:
            return USUAL
        try:
            is_whole = await self._look()
        except (Refusal, StoreUnavailable) as error:
            _log.warning(Event.POLL_FAILED, provider=self._name, code=getattr(error, "code", "store"))
        except Exception as error:  # noqa: BLE001 - a list that we cannot read is no reason to stop reading it
            _log.crash(Event.POLL_FAILED, error, provider=self._name)
        else:
            if is_whole:
                self._desk.metrics.polls.labels(self._name, "whole").inc()
                state.failures, state.failing_since = 0, None
                if not state.is_list_fine:
                    state.is_list_fine = await self._tell(
                        alerts.clear, Alert.LISTS, Tell.LIST_READ(provider=self._name)
                    )
                return state.interval
            _log.warning(Event.POLL_FAILED, provider=self._name, code="incomplete")
        self._desk.metrics.polls.labels(self._name, "failed").inc()
        state.failures += 1
        state.failing_since = state.failing_since or self._desk.now()
        await self._tell_failing()
        return timedelta(seconds=POLL_BACKOFF.delay(state.failures, self._roll()))

    async def _look(self) -> bool:
        """Whether the list was read whole. Raises `Refusal` or `StoreUnavailable`."""
        desk, started = self._desk, self._desk.now()
        dids = [line.did for line in desk.rules().directory if line.provider == self._name and line.owners]
        if not dids:
            return True
        reach = await desk.database.run(
            catching_up.reach, started, self._name, dids, self._catch_up, desk.rules().spans.inbox_keys
        )
        self._beat(0)
        async with self._pacer.listing(Rank.POLL):
            shown = await self._provider.poll(reach.since, started, dids)
        failpoint("poller.listed", StoreUnavailable)
        await reporting.take(desk, self._name, self._inbound, shown.reports)
        old, recent = _by_age([event for event in shown.events if _is_within(event, reach)], started)
        found = await self._take(old)
        if recent := await self._news(recent):
            self._beat(SETTLE.total_seconds())
            await self._pause(SETTLE.total_seconds())
            found += await self._take(recent)
        await self._judge(started, found)
        is_settled = all(outcome is not Fate.OPEN for _, outcome in found)
        if shown.is_complete and is_settled:
            await desk.database.run(catching_up.advance, desk.now(), self._name, started)
        if not is_settled:
            self._state.interval = USUAL
        return shown.is_complete

    async def _take(self, events: Sequence[Listing]) -> list[_Taken]:
        """Through the door, by time and some at a time, what is not known."""
        news = sorted(await self._news(events), key=_turn)
        taken: list[_Taken] = []
        for start in range(0, len(news), AT_ONCE):
            self._beat(0)
            batch = [await self._completed(event) for event in news[start : start + AT_ONCE]]
            taken += zip(batch, await self._inbound.take_listed(batch), strict=True)
        return taken

    async def _news(self, events: Sequence[Listing]) -> list[Listing]:
        """What is not known, and those of which there is an attachment, or may be one, that is not."""
        run = self._desk.database.run
        sent = await run(listed.unjudged, [event for event in events if isinstance(event, SentElsewhere)])
        received = await run(listed.known, [event for event in events if isinstance(event, InboundMessage)])
        fresh = [
            known.message
            for known in received
            if known.urls is None
            or not known.urls.issuperset(item.url for item in known.message.media)
            or (not known.urls and self._may_ask(known.message))
        ]
        return [*sent, *fresh]

    def _may_ask(self, event: Listing) -> TypeGuard[InboundMessage]:
        """Whether the carrier may have an attachment that its list does not show."""
        if not isinstance(event, InboundMessage) or event.kind is not Kind.MMS or event.media:
            return False
        return event.provider_id is not None and self._asked[_name_of(event)] < MOST_ASKED

    async def _completed(self, event: Listing) -> Listing:
        if not self._may_ask(event):
            return event
        if len(self._asked) > MOST_REMEMBERED:
            self._asked.clear()
        self._asked[_name_of(event)] += 1
        try:
            async with self._pacer.listing(Rank.POLL):
                return event._replace(media=tuple(await self._provider.media_of(event)))
        except Refusal as refusal:
            _log.warning(Event.POLL_FAILED, provider=self._name, code=refusal.code)
            return event

    async def _judge(self, started: datetime, found: Sequence[_Taken]) -> None:
        """Do callbacks arrive? What came while we were away says nothing about that, but it counts as caught up."""
        state, name = self._state, self._name
        fresh = [event for event, one in found if isinstance(one, Taken) and one.verdict is not Verdict.REPEATED]
        heard, last = self._inbound.heard(name), state.looked_at or started
        missed = sum(_moment(event) > (last - OLD).timestamp() for event in fresh) if state.looked_at else 0
        state.looked_at = started
        if fresh:
            self._desk.metrics.inbound_caught_up.labels(name).inc(len(fresh))
            _log.warning(Event.MESSAGES_CAUGHT_UP, provider=name, count=len(fresh), while_up=missed)
        if missed:
            state.interval, state.found_at, state.is_door_fine = USUAL, started, False
            await self._tell(alerts.sound, Alert.WEBHOOKS, Tell.WEBHOOKS_MISSING(n=missed, provider=name))
        elif heard is not None and heard > last:
            slower = max(PROVEN, 2 * state.interval) if state.interval >= PROVEN else PROVEN
            state.interval = min(slower, RAREST)
            state.found_at = state.found_at or last
            if not state.is_door_fine and started - state.found_at >= STEADY:
                state.is_door_fine = await self._tell(
                    alerts.clear, Alert.WEBHOOKS, Tell.WEBHOOKS_ARRIVING(provider=name)
                )
        else:
            state.interval = USUAL

    async def _tell_failing(self) -> None:
        state, now = self._state, self._desk.now()
        state.is_list_fine = False
        if state.failing_since is not None and now - state.failing_since >= PATIENCE:
            await self._tell(alerts.sound, Alert.LISTS, Tell.LIST_FAILING(provider=self._name))

    async def _tell(self, change: Callable[..., Transaction[bool]], kind: Alert, words: Words) -> bool:
        """Whether it is committed."""
        try:
            await self._desk.database.run(change, self._desk, kind, self._name, words)
        except StoreUnavailable as error:
            _log.error(Event.STORE_FAILED, error=str(error))
            return False
        self._desk.wake_stream()
        return True

    def _beat(self, seconds: float) -> None:
        self._desk.pulse.beat(f"poller {self._name}", seconds + TURN)


def _by_age(events: Sequence[Listing], now: datetime) -> tuple[list[Listing], list[Listing]]:
    """Messages of which nothing can be on its way any more; and the rest."""
    old: list[Listing] = []
    recent: list[Listing] = []
    for event in events:
        is_old = isinstance(event, InboundMessage) and event.sent_at is not None and now - event.sent_at > OLD
        (old if is_old else recent).append(event)
    return old, recent


def _is_within(event: Listing, reach: Reach) -> bool:
    return isinstance(event, InboundMessage | SentElsewhere) and reach.holds(event.did, event.sent_at)


def _turn(event: Listing) -> tuple[float, int, str]:
    """By time; within a second as the carrier counts."""
    provider_id = (event.provider_id or "") if isinstance(event, InboundMessage | SentElsewhere) else ""
    return _moment(event), len(provider_id), provider_id


def _moment(event: Listing) -> float:
    sent_at = event.sent_at if isinstance(event, InboundMessage | SentElsewhere) else None
    return sent_at.timestamp() if sent_at else inf


def _name_of(message: InboundMessage) -> str:
    return f"{message.did}\x1f{message.provider_id}"
