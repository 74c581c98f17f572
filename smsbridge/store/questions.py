"""What owners were asked, and what they said. A number is an owner's own, and is never given twice.

One question about a subject is open at a time; one that is not answered by its owner is closed as settled.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.questions import Answer, QuestionKind
from smsbridge.core.words.packing import pack, unpack
from smsbridge.core.words.say import Words
from smsbridge.store import history
from smsbridge.store.database import Row, Transaction, sql
from smsbridge.store.ids import Ids

SETTLED: Final = "settled"  # in place of an answer: it was found out otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`subject` is the id of a part or a message; `answer` is "" while it is open."""

    id: str
    owner: str
    number: int
    kind: QuestionKind
    subject: str
    words: Words
    asked_at: datetime
    answer: str


def add(ids: Ids, now: datetime, owner: str, kind: QuestionKind, subject: str, words: Words) -> Transaction[Question]:
    """Ask; with the owner's next number."""
    rows = yield sql(
        "INSERT INTO question (id, owner, number, kind, subject, words, asked_at, answer) VALUES"
        " ($1, $2, (SELECT coalesce(max(q.number), 0) + 1 FROM question q WHERE q.owner = $2), $3, $4, $5, $6, '')"
        " RETURNING *",
        *(ids.new(), owner, kind, subject, pack(words), to_ms(now)),
    )
    return _question(rows[0])


def open_about(kind: QuestionKind, subject: str) -> Transaction[Question | None]:
    """The open question about something."""
    rows = yield sql("SELECT * FROM question WHERE kind = $1 AND subject = $2 AND answered_at IS NULL", kind, subject)
    return _question(rows[0]) if rows else None


def numbered(owner: str, number: int) -> Transaction[Question | None]:
    """The question that an owner knows by this number, open or not; of no other owner."""
    rows = yield sql("SELECT * FROM question WHERE owner = $1 AND number = $2", owner, number)
    return _question(rows[0]) if rows else None


def open_of(owner: str, limit: int) -> Transaction[tuple[Question, ...]]:
    """An owner's open questions, the oldest first."""
    rows = yield sql(
        "SELECT * FROM question WHERE owner = $1 AND answered_at IS NULL ORDER BY number LIMIT $2", owner, limit
    )
    return tuple(_question(row) for row in rows)


def all_open() -> Transaction[tuple[Question, ...]]:
    """Of all owners, by owner and number."""
    rows = yield sql("SELECT * FROM question WHERE answered_at IS NULL ORDER BY owner, number")
    return tuple(_question(row) for row in rows)


def reword(question: Question, words: Words) -> Transaction[None]:
    """It is asked in other words from now on."""
    yield sql("UPDATE question SET words = $2 WHERE id = $1", question.id, pack(words))


def skip_numbers(ids: Ids, now: datetime, count: int) -> Transaction[None]:
    """So many numbers of each owner may have been given, and are not known here: none of them is given again."""
    owners = yield sql(
        "SELECT owner, max(number) AS number FROM (SELECT owner, number FROM question"
        " UNION ALL SELECT owner, 0 FROM message) AS given GROUP BY owner"
    )
    for row in owners:
        yield sql(
            "INSERT INTO question (id, owner, number, kind, subject, words, asked_at, answered_at, answer)"
            " VALUES ($1, $2, $3, 'unsure', '', '', $4, $4, $5)",
            *(ids.new(), row["owner"], row["number"] + count, to_ms(now), SETTLED),
        )


def close(ids: Ids, now: datetime, question: Question, answer: Answer | None) -> Transaction[bool]:
    """The owner's answer, or None if it was settled otherwise. False if it is closed already."""
    rows = yield sql(
        "UPDATE question SET answered_at = $2, answer = $3 WHERE id = $1 AND answered_at IS NULL RETURNING id",
        *(question.id, to_ms(now), answer or SETTLED),
    )
    if rows:
        step = history.Step(subject="question", subject_id=question.id, who="questions", state=answer or SETTLED)
        yield from history.note(ids, now, step)
    return bool(rows)


def _question(row: Row) -> Question:
    return Question(
        id=row["id"],
        owner=row["owner"],
        number=row["number"],
        kind=QuestionKind(row["kind"]),
        subject=row["subject"],
        words=unpack(row["words"]),
        asked_at=from_ms(row["asked_at"]),
        answer=row["answer"],
    )
