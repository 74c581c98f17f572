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
from smsbridge.store import outbox, questions
from smsbridge.store.database import Transaction
from smsbridge.store.questions import SETTLED, Question

WHO: Final = "answers"
TOO_LATE: Final = "That is settled already; nothing was changed."
FORGOTTEN: Final = "It cannot be sent again: its words are not kept any more. Write it once more if it still matters."
DISCARDED: Final = "You discarded this text. It may have been sent once, and is not sent again."

Effect = Callable[[Desk, Question], Transaction[str]]


def answer(desk: Desk, owner: str, number: int, word: Answer) -> Transaction[str]:
    """Take an owner's answer and do as it says; what he is told. Raises `Refused` if that cannot be done."""
    question = yield from questions.numbered(owner, number)
    if question is None:
        return f"There is no question {number}."
    if question.answer:
        was = "settled meanwhile" if question.answer == SETTLED else f"answered: {question.answer}"
        return f"[{number}] is {was}. Nothing was changed."
    effect = EFFECTS.get((question.kind, word))
    if effect is None:
        return f"[{number}] can be answered with {choices(question.kind, number)}."
    yield from questions.close(desk.ids, desk.now(), question, word)
    said = yield from effect(desk, question)
    return f"[{number}] {said}"


def _resend(desk: Desk, question: Question) -> Transaction[str]:
    parts = yield from _with_the_rest(question)
    if not all(_is_kept(part) for part in parts):
        raise Refused(Reason.EXPIRED, FORGOTTEN)
    for part in parts:
        yield from admit_again(desk, part)
    if not (yield from _send_all(desk, parts)):
        return TOO_LATE
    return "It is sent again."


def _arrived(desk: Desk, question: Question) -> Transaction[str]:
    part_id = PartId(question.subject)
    first, *rest = yield from _with_the_rest(question)
    moved = yield from outbox.move(desk.ids, desk.now(), WHO, part_id, PartEvent.FIND, code=Answer.ARRIVED)
    if moved is None:
        return TOO_LATE
    rest = rest if all(_is_kept(part) for part in rest) else []
    for part in rest:
        yield from admit_again(desk, part)
    if (yield from _send_all(desk, rest)):
        return "It counts as sent; the rest of it follows."
    yield from outbox.set_told(first.message_id, "")  # that it was found is no news to him
    yield from telling.tell(desk, part_id)
    return "It counts as sent."


def _discard(desk: Desk, question: Question) -> Transaction[str]:
    part_id = PartId(question.subject)
    moved = yield from outbox.move(
        desk.ids, desk.now(), WHO, part_id, PartEvent.CANCEL,
        reason=Reason.CANCELLED, code=Answer.DISCARD, words=DISCARDED,
    )  # fmt: skip
    if moved is None:
        return TOO_LATE
    yield from telling.tell(desk, part_id)
    return "It is not sent again."


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
        raise Refused(Reason.EXPIRED, FORGOTTEN)
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
