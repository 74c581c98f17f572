"""How much waits, and since when: what readiness and the gauges are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from smsbridge.clock import from_ms
from smsbridge.store.database import Transaction, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """`states`: (table, state) to rows; the oldest rows that wait for *us* (a part on hold waits for the carrier)."""

    states: Mapping[tuple[str, str], int]
    oldest_delivery: datetime | None
    oldest_part: datetime | None


def backlog() -> Transaction[Backlog]:
    """Count what is not finished."""
    states: dict[tuple[str, str], int] = {}
    for row in (
        yield sql(
            "SELECT state, count(*) AS n FROM outbox WHERE state IN ('queued', 'held', 'sending', 'unknown')"
            " GROUP BY state"
        )
    ):
        states["outbox", row["state"]] = row["n"]
    for row in (
        yield sql("SELECT state, count(*) AS n FROM delivery WHERE state IN ('waiting', 'handing') GROUP BY state")
    ):
        states["delivery", row["state"]] = row["n"]
    delivery = yield sql("SELECT min(created_at) AS at FROM delivery WHERE state IN ('waiting', 'handing')")
    part = yield sql(
        "SELECT min(p.queued_at) AS at FROM outbox p LEFT JOIN hold h ON h.provider = p.provider"
        " AND (h.did = '' OR h.did = p.did) WHERE p.state = 'queued' AND h.provider IS NULL"
    )
    return Backlog(
        states=states,
        oldest_delivery=from_ms(delivery[0]["at"]) if delivery[0]["at"] is not None else None,
        oldest_part=from_ms(part[0]["at"]) if part[0]["at"] is not None else None,
    )
