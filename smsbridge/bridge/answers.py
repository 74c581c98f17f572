"""What an owner's answer to a question does: one row of `EFFECTS` for each kind of question and answer.

An effect is part of the transaction that takes the answer; it returns what the owner is told, or raises `Refused`:
then nothing has happened, and the question stays open. To be answered twice changes nothing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from smsbridge.bridge import confirming, telling, wishes
from smsbridge.bridge.admission import admit_again
from smsbridge.bridge.desk import Desk
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.message import Part, PartId
from smsbridge.core.questions import Answer, QuestionKind, choices
from smsbridge.core.state import PartEvent, PartState
from smsbridge.core.words.say import Say, Words
from smsbridge.store import outbox, questions
from smsbridge.store.database import Transaction
from smsbridge.store.questions import SETTLED, Question

WHO: Final = "answers"

Effect = Callable[[Desk, Question], Transaction[Words]]


def answer(desk: Desk, owner: str, number: int, word: Answer) -> Transaction[Words]:
    """Take an owner's answer and do as it says; what he is told. Raises `Refused` if that cannot be done."""
    question = yield from questions.numbered(owner, number)
    if question is None:
        return Say.NO_QUESTION(number=number)
    if question.answer:
        if question.answer == SETTLED:
            return Say.SETTLED_MEANWHILE(number=number)
        return Say.ANSWERED_ALREADY(number=number, answer=Answer(question.answer).typed)
    effect = EFFECTS.get((question.kind, word))
    if effect is None:
        return Say.ANSWER_WITH(number=number, choices=choices(question.kind, number))
    yield from questions.close(desk.ids, desk.now(), question, word)
    said = yield from effect(desk, question)
    return Say.NUMBERED(number=number, words=said)


def _resend(desk: Desk, question: Question) -> Transaction[Words]:
    parts = yield from _with_the_rest(question)
    if not all(_is_kept(part) for part in parts):
        raise Refused(Reason.EXPIRED, Say.WORDS_FORGOTTEN())
    for part in parts:
        yield from admit_again(desk, part)
    if not (yield from _send_all(desk, parts)):
        return Say.SETTLED_ALREADY()
    return Say.SENT_AGAIN()


def _arrived(desk: Desk, question: Question) -> Transaction[Words]:
    part_id = PartId(question.subject)
    first, *rest = yield from _with_the_rest(question)
    moved = yield from outbox.move(desk.ids, desk.now(), WHO, part_id, PartEvent.FIND, code=Answer.ARRIVED)
    if moved is None:
        return Say.SETTLED_ALREADY()
    rest = rest if all(_is_kept(part) for part in rest) else []
    for part in rest:
        yield from admit_again(desk, part)
    if (yield from _send_all(desk, rest)):
        return Say.COUNTS_AS_SENT_AND_REST()
    yield from outbox.set_told(first.message_id, "")  # that it was found is no news to him
    yield from telling.tell(desk, part_id)
    return Say.COUNTS_AS_SENT()


def _discard(desk: Desk, question: Question) -> Transaction[Words]:
    part_id = PartId(question.subject)
    moved = yield from outbox.move(
        desk.ids, desk.now(), WHO, part_id, PartEvent.CANCEL,
        reason=Reason.CANCELLED, code=Answer.DISCARD, words=Say.YOU_DISCARDED(),
    )  # fmt: skip
    if moved is None:
        return Say.SETTLED_ALREADY()
    yield from telling.tell(desk, part_id)
    return Say.NOT_SENT_AGAIN()


EFFECTS: Final[Mapping[tuple[QuestionKind, Answer], Effect]] = MappingProxyType(
    {
        (QuestionKind.UNSURE, Answer.RESEND): _resend,
        (QuestionKind.UNSURE, Answer.ARRIVED): _arrived,
        (QuestionKind.UNSURE, Answer.DISCARD): _discard,
        (QuestionKind.CONFIRM, Answer.CONFIRM): confirming.confirm,
        (QuestionKind.CONFIRM, Answer.DISCARD): confirming.discard,
        (QuestionKind.STOP, Answer.CONFIRM): wishes.overrule,
        (QuestionKind.STOP, Answer.DISCARD): wishes.respect,
    }
)


def _with_the_rest(question: Question) -> Transaction[list[Part]]:
    """The part that it is about, and those of its text that were cancelled because of it. Raises `Refused`."""
    parts = yield from outbox.from_part(PartId(question.subject))
    if not parts:
        raise Refused(Reason.EXPIRED, Say.WORDS_FORGOTTEN())
    return [part for part, state in parts if part.id == question.subject or state is PartState.CANCELLED]


def _is_kept(part: Part) -> bool:
    return bool(part.text or part.media)


def _send_all(desk: Desk, parts: list[Part]) -> Transaction[bool]:
    """Queue these, due now; False if there is none that may be."""
    moved = None
    for part in parts:
        moved = yield from outbox.move(
            desk.ids, desk.now(), WHO, part.id, PartEvent.RESEND, due_at=desk.now(), code=Answer.RESEND
        )
    if moved is None:
        return False
    yield from outbox.set_told(parts[0].message_id, "")  # what becomes of it now is told anew
    return True
