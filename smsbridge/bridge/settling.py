"""Record what became of an attempt, and tell the sender, in one commit.

    accepted        sent; if it was a probe, whatever held the account or the line is over
    Rejected        failed
    Deferred        queued again, later; or held, with all others of the account or the line
    Indeterminate   unknown: looked into, never repeated blindly

An answer that comes after its attempt was given up is evidence, and is applied as such. Only a probe says anything
about a hold: any other part that is answered while one is on was claimed before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from smsbridge.bridge import alerts, doubting, rationing, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import mask
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason, Rejected, StoreUnavailable
from smsbridge.core.message import Part, ProviderMessageId
from smsbridge.core.pacing import ENCLOSURE_BACKOFF, SEND_BACKOFF
from smsbridge.core.state import PartEvent, PartState
from smsbridge.core.words.say import Words
from smsbridge.core.words.tell import Tell
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import doubts, enclosures, holds, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.holds import WHOLE_ACCOUNT, HoldRow

MIN_PROBE = timedelta(seconds=15)
CLAIMED_LONG_AGO = "claimed_long_ago"  # the code of what was therefore not sent
FETCHED_AT_ONCE = 3  # tries of a part before files that are not there are waited for
_LINE_HOLDS = {Hold.LINE}
_EVENTS = {
    PartState.SENT: Event.PART_SENT,
    PartState.FAILED: Event.PART_FAILED,
    PartState.QUEUED: Event.PART_DEFERRED,
    PartState.HELD: Event.PART_HELD,
    PartState.UNKNOWN: Event.PART_UNKNOWN,
}

_log = Log("settling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`state` is None for an answer that came too late to mean anything."""

    state: PartState | None
    twice: int = 0
    is_new_hold: bool = False
    lifted: tuple[Hold, ...] = ()


async def settle(
    desk: Desk, part: Part, outcome: ProviderMessageId | Outcome, roll: Callable[[], float], *, is_probe: bool = False
) -> PartState | None:
    """Commit the outcome of `part.attempt`; raises `StoreUnavailable`. The new state, None if it was too late."""
    failpoint("settling.settling", StoreUnavailable)
    settled = await desk.database.run(_settle, desk, part, outcome, roll(), is_probe)
    failpoint("settling.settled", StoreUnavailable)
    if not (isinstance(outcome, Deferred) and (outcome.hold is Hold.MEDIA or outcome.code == CLAIMED_LONG_AGO)):
        # it was called
        desk.carriers.heard(part.provider, outcome)
    desk.wake_stream()
    desk.wake_senders()  # the conversation is free for its next part
    if part.media:
        desk.wake_media()
    label = "accepted" if isinstance(outcome, str) else type(outcome).__name__.lower()
    desk.metrics.part_outcomes.labels(part.provider, label).inc()
    code = outcome.code if isinstance(outcome, Outcome) else ""
    values = {"part": part.id, "provider": part.provider, "attempt": part.attempt, "peer": mask(part.peer)}
    if settled.state is None:
        _log.warning(Event.LATE_ANSWER_APPLIED, code=code, **values)
    elif settled.state in _EVENTS:
        say = _log.info if settled.state is PartState.SENT else _log.warning
        say(_EVENTS[settled.state], code=code, **values)
    if settled.twice:
        desk.metrics.duplicates_unavoidable.labels(part.provider).inc(settled.twice)
        _log.error(Event.PART_SENT_TWICE, **values)
    if settled.is_new_hold:
        _log.error(Event.HOLD_RAISED, provider=part.provider, code=code)
    for hold in settled.lifted:
        _log.info(Event.HOLD_LIFTED, provider=part.provider, hold=hold)
    return settled.state


def lose_track(desk: Desk, part: Part, who: str, code: str) -> Transaction[PartState | None]:
    """The claimant is dead, or its answer cannot be trusted: nobody knows whether the part left."""
    state = yield from outbox.move(
        desk.ids, desk.now(), who, part.id, PartEvent.LOSE_TRACK,
        attempt=part.attempt, reason=Reason.UNSURE, code=code,
    )  # fmt: skip
    if state is not None:
        yield from doubts.open_(desk.now(), part.id, desk.now() + desk.unknowns(part.provider).early)
        if part.attempt > 1 and (earlier := (yield from doubting.accept_earlier(desk, part))) is not None:
            return earlier
    return state


def put_off(desk: Desk, part: Part, outcome: Deferred, roll: float, *, is_probe: bool) -> Transaction[Settled]:
    """A part that was claimed and may not go yet: as if the carrier had said so."""
    return (yield from _settle(desk, part, outcome, roll, is_probe))


def refuse(desk: Desk, part: Part, reason: Reason, words: Words) -> Transaction[None]:
    """A part that was claimed and must not go: it fails here, and its writer is told."""
    yield from outbox.move(
        desk.ids, desk.now(), "dispatcher", part.id, PartEvent.REJECT,
        attempt=part.attempt, reason=reason, code=reason, words=words,
    )  # fmt: skip
    yield from telling.tell(desk, part.id)


def _settle(
    desk: Desk, part: Part, outcome: ProviderMessageId | Outcome, roll: float, is_probe: bool
) -> Transaction[Settled]:
    lifted: tuple[Hold, ...] = ()
    earlier = None
    if part.attempt > 1 and isinstance(outcome, Rejected | Deferred):
        earlier = yield from doubting.accept_earlier(desk, part)
    match outcome:
        case _ if earlier is not None:
            settled = Settled(state=earlier)
        case str():
            state = yield from outbox.move(
                desk.ids, desk.now(), "dispatcher", part.id, PartEvent.ACCEPT, attempt=part.attempt, provider_id=outcome
            )  # fmt: skip
            if is_probe:
                lifted = yield from holds.lift(desk.ids, desk.now(), part.provider, part.did)
            if lifted:
                words = Tell.SENDS_AGAIN(provider=part.provider, holds=lifted)
                for did in (part.did, WHOLE_ACCOUNT):
                    yield from alerts.clear(desk, Alert.HELD, f"{part.provider}/{did}", words)
            twice = 0
            if state is None:
                twice = yield from doubting.answer_late(desk, part, outcome)
            elif part.attempt > 1:
                twice = yield from doubting.accept_again(desk, part, outcome)
            settled = Settled(state=state, twice=twice, lifted=lifted)
        case Rejected():
            state = yield from outbox.move(
                desk.ids, desk.now(), "dispatcher", part.id, PartEvent.REJECT, attempt=part.attempt,
                reason=outcome.reason, code=outcome.code, words=outcome.words,
            )  # fmt: skip
            settled = Settled(state=state)
        case Deferred(hold=None):
            settled = yield from _defer(desk, part, outcome, roll)
        case Deferred(hold=Hold.MEDIA):
            settled = yield from _wait_for_files(desk, part, outcome)
        case Deferred():
            settled = yield from _hold(desk, part, outcome, roll, is_probe)
        case Indeterminate():
            state = yield from lose_track(desk, part, "dispatcher", outcome.code)
            settled = Settled(state=state)
        case _:
            raise TypeError(type(outcome).__name__)
    if settled.state is not None:
        failpoint("settling.moved", StoreUnavailable)
        if isinstance(outcome, Rejected | Deferred):
            yield from rationing.give_back(desk, part)
        yield from telling.tell(desk, part.id)
    return settled


def _defer(desk: Desk, part: Part, outcome: Deferred, roll: float) -> Transaction[Settled]:
    counts = outcome.reason is not Reason.THROTTLED  # being asked to slow down is no failed attempt
    parts = yield from outbox.parts_of(part.message_id)
    tries = next(status.tries for status in parts if status.id == part.id)
    wait = max(outcome.after or timedelta(0), timedelta(seconds=SEND_BACKOFF.delay(max(1, tries), roll)))
    state = yield from outbox.move(
        desk.ids, desk.now(), "dispatcher", part.id, PartEvent.DEFER, attempt=part.attempt, due_at=desk.now() + wait,
        counts=counts, reason=outcome.reason, code=outcome.code, words=outcome.words,
    )  # fmt: skip
    return Settled(state=state)


def _wait_for_files(desk: Desk, part: Part, outcome: Deferred) -> Transaction[Settled]:
    """What was to leave with it is not here any more: it waits until that has been fetched once more."""
    state = yield from outbox.move(
        desk.ids, desk.now(), "dispatcher", part.id, PartEvent.HOLD, attempt=part.attempt, counts=False,
        hold=Hold.MEDIA, reason=outcome.reason, code=outcome.code,
    )  # fmt: skip
    if state is not None:
        # at once; but what is lost again and again is not fetched as fast as it can be lost
        wait = 0.0 if part.attempt < FETCHED_AT_ONCE else ENCLOSURE_BACKOFF.delay(part.attempt, 0.0)
        yield from enclosures.want_again(desk.now(), part, desk.now() + timedelta(seconds=wait))
    return Settled(state=state)


def _hold(desk: Desk, part: Part, outcome: Deferred, roll: float, is_probe: bool) -> Transaction[Settled]:
    hold = outcome.hold or Hold.ACCOUNT
    state = yield from outbox.move(
        desk.ids, desk.now(), "dispatcher", part.id, PartEvent.HOLD, attempt=part.attempt, counts=False, hold=hold,
        reason=outcome.reason, code=outcome.code, words=outcome.words,
    )  # fmt: skip
    if state is None:
        return Settled(state=None)
    did = part.did if hold in _LINE_HOLDS else WHOLE_ACCOUNT
    row = HoldRow(
        provider=part.provider, did=did, hold=hold, reason=outcome.reason, code=outcome.code, words=outcome.words,
        since=desk.now(), probes=0,
    )  # fmt: skip
    current = yield from holds.current()
    known = next((other for other in current if (other.provider, other.did) == (row.provider, row.did)), None)
    if known is None or is_probe:
        probes = known.probes + 1 if known else 0
        wait = max(MIN_PROBE, timedelta(seconds=SEND_BACKOFF.delay(probes + 3, roll)), outcome.after or timedelta(0))
        yield from holds.put_on(desk.ids, desk.now(), row, wait)
    is_new = known is None or (is_probe and known.code != outcome.code)
    if is_new:
        words = outcome.words or outcome.reason.words
        held = Tell.HELD_ACCOUNT(provider=part.provider, code=outcome.code, words=words)
        if did:
            held = Tell.HELD_LINE(did=did, code=outcome.code, words=words)
        to_do = Tell.HELD_ENDS() if hold is Hold.QUOTA else ""
        yield from alerts.sound(desk, Alert.HELD, f"{part.provider}/{did}", held, to_do=to_do, is_news=True)
    return Settled(state=state, is_new_hold=is_new)
