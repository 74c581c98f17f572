"""The trail: one row per transition, no content. `why` and the audit read nothing else."""

from dataclasses import dataclass
from datetime import datetime

from smsbridge.clock import from_ms, to_ms
from smsbridge.store.database import Transaction, sql, sql_rows
from smsbridge.store.ids import Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to a row. `who` is the room that did it."""

    subject: str
    subject_id: str
    who: str
    state: str
    attempt: int = 0
    provider_id: str = ""
    reason: str = ""
    code: str = ""
    at: datetime | None = None


def note(ids: Ids, now: datetime, *steps: Step) -> Transaction[None]:
    """Add steps to the trail."""
    at = to_ms(now)
    yield from sql_rows(
        "INSERT INTO history (id, subject, subject_id, at, who, state, attempt, provider_id, reason, code)"
        " VALUES $rows",
        [
            (ids.new(), step.subject, step.subject_id, at, step.who, step.state, step.attempt, step.provider_id,
             step.reason, step.code)
            for step in steps
        ],
    )  # fmt: skip


def of_subject(subject_id: str) -> Transaction[tuple[Step, ...]]:
    """The trail of one row, oldest first."""
    rows = yield sql("SELECT * FROM history WHERE subject_id = $1 ORDER BY id", subject_id)
    return tuple(
        Step(
            subject=row["subject"],
            subject_id=row["subject_id"],
            who=row["who"],
            state=row["state"],
            attempt=row["attempt"],
            provider_id=row["provider_id"],
            reason=row["reason"],
            code=row["code"],
            at=from_ms(row["at"]),
        )
        for row in rows
    )
