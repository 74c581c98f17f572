"""What follows from what is learned about a try of unknown outcome: in one transaction with telling of it.

    the carrier lists it      sent, whatever was believed of it meanwhile: unknown, unsure, or queued again
    it lists one too many     it went twice: noted, counted and told, never hidden
    it certainly does not     queued again, three tries in all
    nobody can tell           unsure, and its writer is asked

An id of the carrier's stands for one text, and is claimed once: of equal texts each is found as often as it was sent.
Which of several equal tries a text of the carrier's came from cannot be seen, and does not matter: they are counted.
"""

from dataclasses import dataclass

from smsbridge.bridge import rationing, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core import doubt
from smsbridge.core.doubt import Doubt, Step, Verdict
from smsbridge.core.errors import Reason
from smsbridge.core.message import Part, PartId, ProviderMessageId, ProviderName
from smsbridge.core.state import LIVE, PartEvent, PartState
from smsbridge.core.text import is_alike
from smsbridge.log import Event
from smsbridge.providers.contract import Candidate, Traced
from smsbridge.store import doubts, history, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.doubts import Doubted

WHO = "reconciler"
AT_ONCE = 100  # parts in one transaction
TWICE = "twice"  # in the trail, in place of a state
_ARRIVED = frozenset({PartState.SENT, PartState.DELIVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of a look: what to log, how many texts went twice, whether the list has to prove itself first."""

    event: Event | None = None
    twice: int = 0
    needs_proof: bool = False


def judge(desk: Desk, part_id: PartId, traced: Traced, *, is_trusted: bool) -> Transaction[Learned]:
    """Apply what a look has shown of a part. `is_trusted`: what this carrier's list lacks was not sent."""
    doubted = yield from doubts.of_part(part_id)
    if doubted is None:
        return Learned()
    doubted = yield from _caught_up(doubted)
    if doubted.state is not PartState.UNKNOWN and (yield from _has_rival(doubted)):
        # what is listed may be another's, which has more need of it
        yield from doubts.look_again(part_id, desk.now() + desk.unknowns(doubted.part.provider).settle)
        return Learned()
    provider, kind = doubted.part.provider, doubted.part.kind
    fresh: list[Candidate] = []
    for candidate in traced.candidates:
        is_claimed = yield from doubts.is_claimed(provider, candidate.kind, candidate.provider_id, doubted.part.text)
        fresh += [] if is_claimed else [candidate]
    ids = [candidate.provider_id for candidate in fresh if candidate.kind is kind]
    if ids:
        return (yield from _seen(desk, doubted, ids))
    if doubted.state is PartState.UNKNOWN:
        # what looks like it in the other sequence may be it, or may not
        is_absent = traced.is_whole and not fresh
        return (yield from _not_seen(desk, doubted, traced.code, is_absent=is_absent, is_trusted=is_trusted))
    yield from _watch(desk, doubted)
    return Learned()


def answer_late(desk: Desk, part: Part, provider_id: ProviderMessageId) -> Transaction[int]:
    """An earlier try turns out to have been accepted. How many texts went twice."""
    doubted = yield from doubts.of_part(part.id)
    if doubted is None or doubted.attempt == part.attempt:
        return 0
    if (yield from doubts.is_claimed(part.provider, part.kind, provider_id, part.text)):
        return 0
    tries = [one for one in doubted.unrecognised if one.attempt == part.attempt]
    return (yield from _recognise(desk, doubted, tries, [provider_id])) if tries else 0


def accept_again(desk: Desk, part: Part, provider_id: ProviderMessageId) -> Transaction[int]:
    """A later try was accepted. How many texts went twice: those of its tries that are known to have left."""
    twice = 0
    for attempt, earlier in (yield from doubts.late_ids(part.id)).items():
        if earlier == provider_id:
            yield from doubts.judge(part.id, attempt, Verdict.TAKEN, earlier)
        else:
            yield from _note_twice(desk, part, attempt, earlier)
            twice += 1
    return twice


def accept_earlier(desk: Desk, part: Part) -> Transaction[PartState | None]:
    """A later try was not accepted; if an earlier one is known to have been, the part was sent."""
    late = yield from doubts.late_ids(part.id)
    if not late:
        return None
    attempt, provider_id = next(iter(late.items()))
    state = yield from outbox.move(
        desk.ids, desk.now(), WHO, part.id, PartEvent.ACCEPT, attempt=part.attempt, provider_id=provider_id
    )
    if state is not None:
        yield from doubts.judge(part.id, attempt, Verdict.TAKEN, provider_id)
    return state


def give_up_all(desk: Desk, provider: ProviderName, code: str) -> Transaction[list[Part]]:
    """Some of this account's parts of which nothing is known yet; none when all are told of."""
    given_up: list[Part] = []
    for doubted in (yield from doubts.undecided(provider, AT_ONCE)):
        is_given_up = yield from give_up(desk, doubted, code)
        given_up += [doubted.part] if is_given_up else []
    return given_up


def give_up(desk: Desk, doubted: Doubted, code: str) -> Transaction[bool]:
    """Nobody can tell whether it left: its writer is asked, the conversation goes on. False if it is not unknown."""
    state = yield from outbox.move(
        desk.ids, desk.now(), WHO, doubted.part.id, PartEvent.GIVE_UP, reason=Reason.UNSURE, code=code
    )
    if state is None:
        return False
    yield from doubts.judge(doubted.part.id, doubted.newest.attempt, Verdict.UNSURE)
    yield from _watch(desk, doubted)
    yield from telling.tell(desk, doubted.part.id)
    return True


def send_again(desk: Desk, doubted: Doubted, verdict: Verdict) -> Transaction[bool]:
    """It is queued again: it certainly was not sent, or the operator does not want to know."""
    code = "not_listed" if verdict is Verdict.ABSENT else "blind"
    state = yield from outbox.move(
        desk.ids, desk.now(), WHO, doubted.part.id, PartEvent.PROVE_ABSENT, due_at=desk.now(), code=code
    )
    if state is None:
        return False
    if verdict is Verdict.ABSENT:
        yield from rationing.give_back(desk, doubted.part)
    yield from doubts.judge(doubted.part.id, doubted.newest.attempt, verdict)
    yield from _watch(desk, doubted)
    return True


def _caught_up(doubted: Doubted) -> Transaction[Doubted]:
    """With what was learned without us: the answer to the newest try came after all, or its writer knows better."""
    newest = doubted.newest
    is_it = newest.attempt == doubted.attempt and all(one.verdict is not Verdict.TAKEN for one in doubted.doubts)
    if doubted.state in _ARRIVED and is_it and not newest.is_recognised:
        yield from doubts.judge(doubted.part.id, newest.attempt, Verdict.TAKEN)
    elif newest.verdict is Verdict.OPEN and doubted.state is not PartState.UNKNOWN:
        yield from doubts.judge(doubted.part.id, newest.attempt, Verdict.UNSURE)
    else:
        return doubted
    return (yield from doubts.of_part(doubted.part.id)) or doubted


def _has_rival(doubted: Doubted) -> Transaction[bool]:
    """Another part of the conversation says the same, and is in flight, or may have left while this one has arrived."""
    wanted = {PartState.SENDING, PartState.UNKNOWN}
    if doubted.state in _ARRIVED:
        wanted |= {PartState.UNSURE, PartState.QUEUED, PartState.HELD}
    rivals = yield from doubts.rivals(doubted.part)
    return any(state in wanted and is_alike(text, doubted.part.text) for state, text in rivals)


def _seen(desk: Desk, doubted: Doubted, ids: list[ProviderMessageId]) -> Transaction[Learned]:
    """The carrier lists texts like this one that nobody has claimed, the oldest first."""
    tries = list(reversed(doubted.unrecognised))
    if doubted.state is PartState.SENDING:
        tries = [one for one in tries if one.attempt < doubted.attempt]
    twice = yield from _recognise(desk, doubted, tries, ids)
    yield from _watch(desk, (yield from doubts.of_part(doubted.part.id)) or doubted)
    is_news = bool(tries) and doubted.state not in {*_ARRIVED, PartState.SENDING}
    return Learned(event=Event.PART_FOUND if is_news else None, twice=twice)


def _recognise(desk: Desk, doubted: Doubted, tries: list[Doubt], ids: list[ProviderMessageId]) -> Transaction[int]:
    """Give each of the tries, as far as they go, one of the ids. How many texts went twice."""
    part, state, twice = doubted.part, doubted.state, 0
    for one, provider_id in zip(tries, ids, strict=False):
        if state in _ARRIVED:
            yield from _note_twice(desk, part, one.attempt, provider_id)
            twice += 1
        elif state is PartState.SENDING:
            yield from doubts.judge(part.id, one.attempt, Verdict.LATE, provider_id)
        else:
            yield from doubts.judge(part.id, one.attempt, Verdict.TAKEN, provider_id)
            yield from _arrive(desk, part, state, one.attempt, provider_id)
            state = PartState.SENT
    return twice


def _arrive(
    desk: Desk, part: Part, state: PartState, attempt: int, provider_id: ProviderMessageId
) -> Transaction[None]:
    """It left: it is sent, or its writer hears that what was called off, or had failed, has left all the same."""
    if state in LIVE or state is PartState.UNSURE:
        event = PartEvent.FIND if state in {PartState.UNKNOWN, PartState.UNSURE} else PartEvent.ACCEPT
        yield from outbox.move(desk.ids, desk.now(), WHO, part.id, event, provider_id=provider_id, code="listed")
        yield from telling.tell(desk, part.id)
        return
    step = history.Step(
        subject="part", subject_id=part.id, who=WHO, state=outbox.LATE, attempt=attempt, provider_id=provider_id
    )
    yield from history.note(desk.ids, desk.now(), step)
    yield from telling.tell_left(desk, part)


def _note_twice(desk: Desk, part: Part, attempt: int, provider_id: ProviderMessageId) -> Transaction[None]:
    yield from doubts.judge(part.id, attempt, Verdict.TWICE, provider_id)
    step = history.Step(
        subject="part", subject_id=part.id, who=WHO, state=TWICE, attempt=attempt, provider_id=provider_id
    )
    yield from history.note(desk.ids, desk.now(), step)
    yield from telling.tell_twice(desk, part, attempt)


def _not_seen(desk: Desk, doubted: Doubted, code: str, *, is_absent: bool, is_trusted: bool) -> Transaction[Learned]:
    plan = doubt.plan(
        doubted.newest,
        is_absent=is_absent,
        tries=len(doubted.doubts),
        now=desk.now(),
        settle=desk.unknowns(doubted.part.provider).settle,
    )
    match plan.step:
        case Step.RESEND if not is_trusted:
            return Learned(needs_proof=True)
        case Step.RESEND:
            yield from send_again(desk, doubted, Verdict.ABSENT)
            return Learned(event=Event.PART_PROVED_ABSENT)
        case Step.GIVE_UP:
            yield from give_up(desk, doubted, code or ("absent_again" if is_absent else "not_told"))
            return Learned(event=Event.PART_UNSURE)
        case _:
            yield from doubts.follow(doubted.part.id, doubted.newest.attempt, plan)
            yield from telling.tell_looking(desk, doubted.part)
            return Learned()


def _watch(desk: Desk, doubted: Doubted) -> Transaction[None]:
    """Look again later for tries that may still turn up."""
    settle = desk.unknowns(doubted.part.provider).settle
    newest = max((one.opened_at for one in doubted.unrecognised), default=None)
    look_at = None if newest is None else doubt.next_watch(newest, desk.now(), settle)
    yield from doubts.look_again(doubted.part.id, look_at)
