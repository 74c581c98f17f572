"""Tell the sender the truth: a tick when the carrier has it, the reason in plain words when it failed.

Called in the transaction that moved a part, so that a kill between settling and telling loses nothing. A message
is the fold of its parts: one receipt when all are accepted (or delivered, by the line's choice); at the first
part that failed its later parts are cancelled, and one error says which part, why, and what had left.
"""

from collections.abc import Sequence
from datetime import timedelta

from smsbridge.bridge import questions
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import at_domain, mask
from smsbridge.core.errors import Reason
from smsbridge.core.line import Receipts
from smsbridge.core.message import DeliveryKind, MessageId, Part, PartId
from smsbridge.core.questions import QuestionKind
from smsbridge.core.state import Fold, PartEvent, PartState, Tally, fold
from smsbridge.core.text import close_bidi
from smsbridge.core.words.say import Phrase, Say, Words
from smsbridge.store import deliveries, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.outbox import PartStatus, StoredMessage

# An error that comes later than this may find its client gone, and servers drop it: then a line of chat goes too.
PROMPT = timedelta(seconds=15)
PATIENCE = timedelta(minutes=5)  # not sent, and without a word
_TROUBLED = {PartState.FAILED, PartState.EXPIRED, PartState.UNSURE, PartState.CANCELLED}
RECEIPT, ERROR, UNSURE, WAITING = "receipt", "error", "unsure", "waiting"
ASKED = "asked"  # whether it is meant
LEFT = "left"  # all of it is with the carrier, whose report ticks it
UNREPORTED = "unreported"  # it gave none in time; one that comes later still counts
QUOTED = 60  # characters of a text that say which it was


def tell(desk: Desk, part_id: PartId) -> Transaction[Tally]:
    """After a part moved: cancel what must not follow, and tell the sender if there is something to tell."""
    message = yield from outbox.message_of(part_id)
    parts = yield from outbox.parts_of(message.id)
    tally = fold(part.state for part in parts)
    if tally.fold in {Fold.FAILED, Fold.UNSURE}:
        yield from _cancel_later(desk, parts)
        parts = yield from outbox.parts_of(message.id)
        tally = fold(part.state for part in parts)
    if message.told == UNSURE:
        for part in parts:
            if part.state is not PartState.UNSURE:
                yield from questions.withdraw(desk, QuestionKind.UNSURE, part.id)
    match tally.fold:
        case Fold.FAILED:
            yield from _tell_trouble(desk, message, parts, tally, ERROR)
        case Fold.UNSURE:
            yield from _tell_trouble(desk, message, parts, tally, UNSURE)
        case Fold.ACCEPTED if message.receipts is Receipts.ACCEPTED:
            yield from _tell_receipt(desk, message)
        case Fold.ACCEPTED if message.told not in {RECEIPT, LEFT, UNREPORTED}:
            yield from outbox.set_told(message.id, LEFT)
            if message.told == UNSURE:  # whether it arrived is for the report to say
                yield from _notice(desk, message, Say.FOUND(), "found")
        case Fold.DELIVERED:
            yield from _tell_receipt(desk, message)
        case _:
            pass
    return tally


def tell_again(desk: Desk, message_id: MessageId, sender: str) -> Transaction[None]:
    """A stanza was repeated: its writer hears once more how its text fares, if that is known by now.

    What was told and is overtaken is not repeated: clients take an error for the end.
    """
    told = yield from outbox.told(message_id)
    if told in {RECEIPT, ERROR, UNSURE}:
        kinds = {DeliveryKind.RECEIPT} if told == RECEIPT else deliveries.ANSWERS
        yield from deliveries.tell_again(desk.ids, desk.now(), message_id, sender, kinds)
    yield from outbox.move_sender(message_id, sender)


def tell_waiting(desk: Desk, message: StoredMessage, why: Words) -> Transaction[None]:
    """This text waits longer than a person should without a word."""
    if (yield from outbox.set_told(message.id, WAITING)):
        name = _round(WAITING, (yield from outbox.parts_of(message.id)))
        yield from _notice(desk, message, Say.NOT_LEFT_YET(why=why or Say.WAITS_ITS_TURN()), name)


def tell_linked(desk: Desk, message: StoredMessage) -> Transaction[None]:
    """What was attached to this text goes in another form than its writer sees."""
    yield from _notice(desk, message, Say.GOES_AS_LINK(), "linked")


def tell_done(desk: Desk, message: StoredMessage, words: Words) -> Transaction[None]:
    """What was done to the files of this text so that they could go."""
    yield from _notice(desk, message, words, "done")


def tell_looking(desk: Desk, part: Part) -> Transaction[None]:
    """Whether this text left is being found out, and that takes longer than a person should be without a word."""
    message = yield from outbox.message_of(part.id)
    if desk.now() - message.accepted_at < PATIENCE or message.told:
        return
    if (yield from outbox.set_told(message.id, WAITING)):
        name = _round(WAITING, (yield from outbox.parts_of(message.id)))
        yield from _notice(desk, message, Say.LOOKED_FOR(), name)


def tell_left(desk: Desk, part: Part) -> Transaction[None]:
    """A part that had failed, or was called off, has left all the same."""
    message = yield from outbox.message_of(part.id)
    yield from _notice(desk, message, Say.CALLED_OFF(), f"left {part.id}")


def tell_twice(desk: Desk, part: Part, attempt: int) -> Transaction[None]:
    """Two tries of one part have left: its writer hears it, and so do the admins."""
    message = yield from outbox.message_of(part.id)
    yield from _notice(desk, message, Say.WENT_TWICE(), f"twice {part.id} {attempt}")
    words = Say.WENT_TWICE_ADMIN(provider=part.provider, peer=mask(part.peer))
    yield from tell_admins(desk, words, "twice", part.id, str(attempt))


def tell_admins(desk: Desk, words: Words, *names: str) -> Transaction[None]:
    """A line of chat from the bridge itself to every admin; `names` make its id."""
    yield from say(desk, desk.rules().admins, words, *names, "admin")


def say(desk: Desk, to: Sequence[str], words: Words, *names: str, asked: str = "") -> Transaction[None]:
    """A line of chat from the bridge itself to each of these, in their language; `names` make its id."""
    for jid in to:
        *others, last = names
        draft = Draft(
            domain=desk.domain,
            kind=DeliveryKind.NOTICE,
            to_jid=jid,
            sender="",
            stanza_id=stanza_id(*others, jid, last),
            body=desk.worded(jid, words, asked),
        )
        yield from deliveries.add(desk.ids, desk.now(), draft)


def _cancel_later(desk: Desk, parts: tuple[PartStatus, ...]) -> Transaction[None]:
    first = next(part.n for part in parts if part.state in _TROUBLED)
    for part in parts:
        if part.n > first and part.state in {PartState.QUEUED, PartState.HELD}:
            yield from outbox.move(desk.ids, desk.now(), "telling", part.id, PartEvent.CANCEL, reason=Reason.CANCELLED)


def _tell_receipt(desk: Desk, message: StoredMessage) -> Transaction[None]:
    if not (yield from outbox.set_told(message.id, RECEIPT)):
        return
    if message.told == UNSURE:  # a client that has shown the error may not look at a tick any more
        yield from _notice(desk, message, Say.FOUND(), "found")
    if not (message.wants_receipt and message.stanza_id):
        return
    draft = Draft(
        domain=desk.domain,
        kind=DeliveryKind.RECEIPT,
        to_jid=message.sender,
        sender=_written_to(desk, message),
        stanza_id=stanza_id(message.id, RECEIPT, order=message.id),
        about=message.stanza_id,
        message_id=message.id,
    )
    yield from deliveries.add(desk.ids, desk.now(), draft)


def _tell_trouble(
    desk: Desk, message: StoredMessage, parts: tuple[PartStatus, ...], tally: Tally, told: str
) -> Transaction[None]:
    if not (yield from outbox.set_told(message.id, told)):
        return
    part = next(part for part in parts if part.state in _TROUBLED)
    reason = Reason(part.reason or Reason.BUG)
    words, name = _explain(part, reason, tally), _round(told, parts)
    had_tick = message.wants_receipt and (message.told == RECEIPT or (yield from outbox.is_ticked_beside(message)))
    if message.stanza_id:
        draft = Draft(
            domain=desk.domain,
            kind=DeliveryKind.ERROR,
            to_jid=message.sender,
            sender=_written_to(desk, message),
            stanza_id=stanza_id(message.id, name, order=message.id),
            about=message.stanza_id,
            reason=reason,
            body=desk.worded(message.owner, words),
            message_id=message.id,
        )
        yield from deliveries.add(desk.ids, desk.now(), draft)
    if told == UNSURE:
        yield from questions.ask(desk, message.owner, QuestionKind.UNSURE, part.id, _doubt(message, part, tally))
        return
    # Clients ignore an error after a tick, and there may be nobody left at the full JID.
    if not message.stanza_id:
        yield from _notice(desk, message, words, f"{name} notice")
    elif had_tick or desk.now() - message.accepted_at > PROMPT:
        if start := _start_of((yield from outbox.text_of(message.id))):
            words = Say.YOUR_TEXT(start=start, words=words)
        yield from _notice(desk, message, words, f"{name} notice")


def _round(told: str, parts: Sequence[PartStatus]) -> str:
    """A name for what is told now: told once more of what was tried once more, it is another stanza."""
    return f"{told} {sum(part.attempt for part in parts)}"


def _explain(part: PartStatus, reason: Reason, tally: Tally) -> Words:
    why = part.words or reason.words
    if tally.of == 1:
        return why
    if reason is Reason.UNSURE:
        left = Say.SOME_LEFT_FOR_CERTAIN(n=tally.left, of=tally.of)
    else:
        left = Say.SOME_LEFT(n=tally.left, of=tally.of) if tally.left else Say.NOTHING_LEFT()
    return Say.PART_FAILED(part=part.n, of=tally.of, why=why, left=left)


def _start_of(text: str) -> str:
    """As much of a text as tells its writer which it was."""
    words = " ".join(text.split())
    return close_bidi(words if len(words) <= QUOTED else f"{words[:QUOTED].rstrip()}…")


def _doubt(message: StoredMessage, part: PartStatus, tally: Tally) -> Phrase:
    peer, at = message.addressed.partition("@")[0].partition("%")[0], message.accepted_at
    doubt = Say.DOUBT(at=at, peer=peer)
    if tally.of > 1:
        doubt = Say.DOUBT_OF_PART(part=part.n, of=tally.of, at=at, peer=peer)
    return Say.DOUBT_AND_REST(doubt=doubt) if part.n < tally.of else doubt


def _notice(desk: Desk, message: StoredMessage, words: Words, name: str) -> Transaction[None]:
    draft = Draft(
        domain=desk.domain,
        kind=DeliveryKind.NOTICE,
        to_jid=message.owner,
        sender=_written_to(desk, message).partition("/")[0],
        stanza_id=stanza_id(message.id, name, order=message.id),
        body=desk.worded(message.owner, words),
        message_id=message.id,
    )
    yield from deliveries.add(desk.ids, desk.now(), draft)


def _written_to(desk: Desk, message: StoredMessage) -> str:
    """At our domain, whatever it was then: servers end a stream over what comes from any other."""
    return at_domain(message.addressed, desk.domain)
