"""An unusual destination is texted once its writer has said that it is meant: until then the text is on hold.

One question for each owner and kind of destination. A yes is remembered, and lets all go that waits for it; a no
cancels it, and the next text is asked about again. What nobody answers expires as any other text. Who may not text
there any more, or not from that number, is refused his yes.
"""

from smsbridge.bridge import questions, telling
from smsbridge.bridge.admission import judge_again
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Peer
from smsbridge.core.errors import Hold, Reason
from smsbridge.core.gate import destination_in_words
from smsbridge.core.message import PartId
from smsbridge.core.questions import QuestionKind
from smsbridge.core.state import PartEvent
from smsbridge.core.words.say import Say, Words
from smsbridge.store import conversations, enclosures, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.questions import Question


def ask(desk: Desk, owner: str, peer: Peer, destination: str) -> Transaction[None]:
    """Whether it is meant that a text goes there; nothing is said while that is open and a text waits for it."""
    if not (yield from outbox.unconfirmed(owner, destination)):
        yield from questions.withdraw(desk, QuestionKind.CONFIRM, _subject(owner, destination))
    words = Say.IS_IT_MEANT(peer=peer, destination=destination_in_words(destination))
    yield from questions.ask(desk, owner, QuestionKind.CONFIRM, _subject(owner, destination), words)


def ask_again(desk: Desk, part_id: PartId) -> Transaction[None]:
    """A part waits for that word once more: it does not if it was given meanwhile."""
    owner = (yield from outbox.message_of(part_id)).owner
    part, destination = yield from outbox.waits_for(part_id)
    if (yield from conversations.is_confirmed(owner, destination)):
        yield from _let_go(desk, part_id)
    else:
        yield from ask(desk, owner, part.peer, destination)


def confirm(desk: Desk, question: Question) -> Transaction[Words]:
    """It is meant, now and from now on. Raises `Refused` if it may not leave any more."""
    destination = _destination(question)
    waiting = yield from outbox.unconfirmed(question.owner, destination)
    for part_id in waiting:
        part, _ = yield from outbox.waits_for(part_id)
        judge_again(desk, question.owner, part)
        yield from _let_go(desk, part_id)
    yield from conversations.confirm(desk.now(), question.owner, destination)
    confirmed = Say.CONFIRMED if waiting else Say.CONFIRMED_AND_NOTHING_WAITS
    return confirmed(destination=destination_in_words(destination))


def discard(desk: Desk, question: Question) -> Transaction[Words]:
    """It is not meant: what waits is cancelled, and its writer is told so on the message."""
    for part_id in (yield from outbox.unconfirmed(question.owner, _destination(question))):
        moved = yield from outbox.move(
            desk.ids, desk.now(), "confirming", part_id, PartEvent.CANCEL, reason=Reason.CANCELLED
        )
        if moved is not None:
            yield from telling.tell(desk, part_id)
    return Say.WAS_NOT_SENT()


def end(desk: Desk, part_id: PartId, destination: str) -> Transaction[None]:
    """A part waits no longer: if it was the last one, so does its question."""
    owner = (yield from outbox.message_of(part_id)).owner
    if not (yield from outbox.unconfirmed(owner, destination)):
        yield from questions.withdraw(desk, QuestionKind.CONFIRM, _subject(owner, destination))


def _let_go(desk: Desk, part_id: PartId) -> Transaction[None]:
    message = yield from outbox.message_of(part_id)
    if (yield from enclosures.want(desk.now(), message.id)):
        yield from outbox.move(
            desk.ids, desk.now(), "confirming", part_id, PartEvent.HOLD, hold=Hold.MEDIA, reason=Reason.MEDIA_UNFETCHED
        )
    else:
        yield from outbox.move(desk.ids, desk.now(), "confirming", part_id, PartEvent.RELEASE, due_at=desk.now())
    yield from outbox.set_told(message.id, "")


def _subject(owner: str, destination: str) -> str:
    return f"{owner} {destination}"


def _destination(question: Question) -> str:
    return question.subject.removeprefix(f"{question.owner} ")
