"""Ask an owner what only he can know or decide: a line from the bare domain, with a number to answer it by.

Both go into the transaction of what they are about, so that no kill loses a question or leaves one that has no sense
any more. What an answer does is in `answers`.
"""

from dataclasses import replace
from typing import Final

from smsbridge.bridge.desk import Desk
from smsbridge.clock import to_ms
from smsbridge.core.message import DeliveryKind
from smsbridge.core.questions import QuestionKind, choices
from smsbridge.core.words.say import Phrase, Say, Words
from smsbridge.store import deliveries, questions
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.questions import Question

NUMBERS_SINCE: Final = 100  # of one owner, that may have been given since a backup


def ask(desk: Desk, owner: str, kind: QuestionKind, subject: str, words: Words) -> Transaction[int]:
    """The question's number. `words` say what it is about; nothing is said twice while a question about it is open."""
    if (known := (yield from questions.open_about(kind, subject))) is not None:
        return known.number
    question = yield from questions.add(desk.ids, desk.now(), owner, kind, subject, words)
    draft = _asked(desk, question, "question", kind, subject, str(question.number))
    yield from deliveries.add(desk.ids, desk.now(), draft)
    return question.number


def revive(desk: Desk) -> Transaction[None]:
    """After a restore: what was answered since the backup is open again, and nobody knows what was said.

    So each says where it comes from, and is asked once more. A number that was given since the backup stays free, so
    that an answer to what is lost is not taken for another's.
    """
    for question in (yield from questions.all_open()):
        if isinstance(question.words, Phrase) and question.words.key is Say.ASKED_BEFORE:
            continue
        words = Say.ASKED_BEFORE(question=question.words)
        yield from questions.reword(question, words)
        draft = _asked(desk, replace(question, words=words), "restored", question.id, str(to_ms(desk.now())))
        yield from deliveries.add(desk.ids, desk.now(), draft)
    yield from questions.skip_numbers(desk.ids, desk.now(), NUMBERS_SINCE)


def withdraw(desk: Desk, kind: QuestionKind, subject: str) -> Transaction[bool]:
    """What it was about is settled otherwise; False if there is no open question about it."""
    question = yield from questions.open_about(kind, subject)
    return question is not None and (yield from questions.close(desk.ids, desk.now(), question, None))


def _asked(desk: Desk, question: Question, *names: str) -> Draft:
    words, answers = question.words, choices(question.kind, question.number)
    return Draft(
        domain=desk.domain,
        kind=DeliveryKind.NOTICE,
        to_jid=question.owner,
        sender="",
        stanza_id=stanza_id(*names),
        body=desk.worded(question.owner, Say.QUESTION(number=question.number, words=words, choices=answers)),
    )
