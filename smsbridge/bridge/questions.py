"""Ask an owner what only he can know or decide: a line from the bare domain, with a number to answer it by.

Both go into the transaction of what they are about, so that no kill loses a question or leaves one that has no sense
any more. What an answer does is in `answers`.
"""

from smsbridge.bridge.desk import Desk
from smsbridge.core.message import DeliveryKind
from smsbridge.core.questions import QuestionKind, choices
from smsbridge.core.words.say import Say, Words
from smsbridge.store import deliveries, questions
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id


def ask(desk: Desk, owner: str, kind: QuestionKind, subject: str, words: Words) -> Transaction[int]:
    """The question's number. `words` say what it is about; nothing is said twice while a question about it is open."""
    if (known := (yield from questions.open_about(kind, subject))) is not None:
        return known.number
    question = yield from questions.add(desk.ids, desk.now(), owner, kind, subject, words)
    draft = Draft(
        domain=desk.domain,
        kind=DeliveryKind.NOTICE,
        to_jid=owner,
        sender="",
        stanza_id=stanza_id("question", kind, subject, str(question.number)),
        body=desk.worded(
            owner, Say.QUESTION(number=question.number, words=words, choices=choices(kind, question.number))
        ),
    )
    yield from deliveries.add(desk.ids, desk.now(), draft)
    return question.number


def withdraw(desk: Desk, kind: QuestionKind, subject: str) -> Transaction[bool]:
    """What it was about is settled otherwise; False if there is no open question about it."""
    question = yield from questions.open_about(kind, subject)
    return question is not None and (yield from questions.close(desk.ids, desk.now(), question, None))
