"""How much was texted, by owner and month: as far back as the rows are kept. Months are UTC's."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.message import Kind
from smsbridge.store.snapshot import Snapshot

_LEFT: Final = "(CASE WHEN p.state IN ('sent', 'delivered') OR p.provider_id IS NOT NULL THEN 1 ELSE 0 END)"
_OUT: Final = (
    f"SELECT m.owner AS owner, p.kind AS kind, count(DISTINCT m.id) AS texts, sum({_LEFT}) AS parts,"  # noqa: S608
    f" sum({_LEFT} * p.segments) AS segments, sum(CASE WHEN p.segments IS NULL THEN {_LEFT} ELSE 0 END) AS uncounted,"
    " sum(CASE WHEN p.state IN ('unsure', 'unknown', 'sending') THEN 1 ELSE 0 END) AS unsure"
    " FROM message m JOIN outbox p ON p.message_id = m.id"
    " WHERE m.accepted_at >= $1 AND m.accepted_at < $2 AND p.claimed_by <> 'import' GROUP BY m.owner, p.kind"
)


@dataclass(slots=True, kw_only=True)
class Use:
    """Of an owner in a month: texts taken in and written, parts that left, what is billed of them.

    `segments` are of SMS; None where a part was never counted. `unsure` may have left.
    """

    owner: str
    month: str
    texts_in: int = 0
    texts_out: int = 0
    sms: int = 0
    mms: int = 0
    segments: int | None = 0
    unsure: int = 0

    def cost(self, sms: Decimal, mms: Decimal) -> Decimal | None:
        """What left costs at these prices, for a segment and for an MMS; None where it is not known."""
        return None if self.segments is None else sms * self.segments + mms * self.mms


async def usage(snapshot: Snapshot, begin: datetime, end: datetime) -> AsyncIterator[Use]:
    """The use of each owner in the months of a span, by month, then owner."""
    for first, following in _months(begin, end):
        found: dict[str, Use] = {}
        async for row in snapshot.rows(
            "SELECT d.to_jid AS owner, count(DISTINCT i.id) AS n FROM delivery d JOIN inbox i ON i.id = d.inbox_id"
            " WHERE i.taken_at >= $1 AND i.taken_at < $2 AND i.source <> 'import' GROUP BY d.to_jid",
            *(to_ms(first), to_ms(following)),
        ):
            _of(found, row["owner"], first).texts_in = row["n"]
        async for row in snapshot.rows(
            _OUT,
            *(to_ms(first), to_ms(following)),
        ):
            use = _of(found, row["owner"], first)
            use.texts_out += row["texts"]
            use.unsure += row["unsure"]
            if row["kind"] == Kind.MMS:
                use.mms += row["parts"]
            else:
                use.sms += row["parts"]
                use.segments = None if row["uncounted"] else (use.segments or 0) + (row["segments"] or 0)
        for owner in sorted(found):
            yield found[owner]


async def since(snapshot: Snapshot) -> datetime | None:
    """When the oldest text came or was written that is kept."""
    rows = [row async for row in snapshot.rows(
        "SELECT min(at) AS at FROM (SELECT min(taken_at) AS at FROM inbox WHERE source <> 'import' UNION ALL"
        " SELECT min(queued_at) FROM outbox WHERE claimed_by <> 'import') AS oldest"
    )]  # fmt: skip
    return from_ms(rows[0]["at"]) if rows[0]["at"] is not None else None


def month_of(text: str) -> tuple[datetime, datetime]:
    """Begin and end of `2026-11`; raises ValueError."""
    first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    return first, _next(first)


def _months(begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    months = []
    first = begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while first < end:
        months.append((first, _next(first)))
        first = _next(first)
    return months


def _next(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _of(found: dict[str, Use], owner: str, month: datetime) -> Use:
    return found.setdefault(owner, Use(owner=owner, month=f"{month:%Y-%m}"))
