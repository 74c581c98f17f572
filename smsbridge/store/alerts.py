"""What an admin has to know: the rows behind `bridge.alerts`. They are few."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.alerts import Alert
from smsbridge.core.words.packing import pack, unpack
from smsbridge.core.words.say import Words
from smsbridge.store.database import Row, Transaction, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One condition. `told_at`: None until it was told. `over_at`: it has ended, and that was not told."""

    kind: Alert
    subject: str
    words: Words
    since: datetime
    last_at: datetime
    times: int
    told_at: datetime | None
    over_at: datetime | None


def put_on(now: datetime, kind: Alert, subject: str, words: Words) -> Transaction[Raised]:
    """It begins, it happens again, or it has not ended after all."""
    rows = yield sql(
        "INSERT INTO alert (kind, subject, words, since, last_at, times, told_at, over_at)"
        " VALUES ($1, $2, $3, $4, $4, 1, 0, NULL) ON CONFLICT (kind, subject) DO UPDATE SET words = excluded.words,"
        " last_at = excluded.last_at, times = alert.times + 1, over_at = NULL RETURNING *",
        *(kind, subject, pack(words), to_ms(now)),
    )
    return _raised(rows[0])


def current(kind: Alert, subject: str) -> Transaction[Raised | None]:
    """One, if it is there."""
    rows = yield sql("SELECT * FROM alert WHERE kind = $1 AND subject = $2", kind, subject)
    return _raised(rows[0]) if rows else None


def all_of(kinds: Sequence[Alert] = tuple(Alert)) -> Transaction[tuple[Raised, ...]]:
    """Those of these kinds, the oldest first."""
    rows = yield sql("SELECT * FROM alert ORDER BY since, kind, subject")
    return tuple(_raised(row) for row in rows if row["kind"] in kinds)


def told(now: datetime, raised: Raised) -> Transaction[None]:
    """An admin was told that it lasts."""
    yield sql(
        "UPDATE alert SET told_at = $3 WHERE kind = $1 AND subject = $2", *(raised.kind, raised.subject, to_ms(now))
    )


def end(now: datetime, raised: Raised) -> Transaction[None]:
    """It is over; who has to know of it is told later."""
    yield sql(
        "UPDATE alert SET over_at = $3 WHERE kind = $1 AND subject = $2", *(raised.kind, raised.subject, to_ms(now))
    )


def forget(raised: Raised) -> Transaction[None]:
    """It is over, and nobody has to be told any more."""
    yield sql("DELETE FROM alert WHERE kind = $1 AND subject = $2", raised.kind, raised.subject)


def take_line(now: datetime, kind: Alert, most: int, span: timedelta) -> Transaction[bool]:
    """Count one more line of a kind; False if there were `most` within the span, which is not counted then."""
    rows = yield sql(
        "INSERT INTO alert_kind (kind, since, lines) VALUES ($1, $2, 1) ON CONFLICT (kind) DO UPDATE SET"
        " lines = CASE WHEN alert_kind.since BETWEEN $3 AND $2 THEN alert_kind.lines + 1 ELSE 1 END,"
        " since = CASE WHEN alert_kind.since BETWEEN $3 AND $2 THEN alert_kind.since ELSE $2 END"
        " WHERE alert_kind.lines < $4 OR alert_kind.since NOT BETWEEN $3 AND $2 RETURNING lines",
        *(kind, to_ms(now), to_ms(now - span) + 1, most),
    )
    return bool(rows)


def counts() -> Transaction[dict[Alert, int]]:
    """How many of each kind last."""
    rows = yield sql("SELECT kind, count(*) AS n FROM alert WHERE over_at IS NULL GROUP BY kind")
    known = {kind.value for kind in Alert}  # a newer version may have left others
    return {Alert(row["kind"]): row["n"] for row in rows if row["kind"] in known}


def _raised(row: Row) -> Raised:
    return Raised(
        kind=Alert(row["kind"]),
        subject=row["subject"],
        words=unpack(row["words"]),
        since=from_ms(row["since"]),
        last_at=from_ms(row["last_at"]),
        times=row["times"],
        told_at=from_ms(row["told_at"]) if row["told_at"] else None,
        over_at=from_ms(row["over_at"]) if row["over_at"] is not None else None,
    )
