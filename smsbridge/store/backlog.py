"""How much waits, and since when: what readiness and the gauges are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms
from smsbridge.core.alerts import Alert
from smsbridge.store import alerts, heads, holds
from smsbridge.store.database import Transaction, sql

MOST: Final = 100_000  # rows of a state are counted up to here, in a few milliseconds
_COUNTED: Final = {
    ("outbox", "queued"): "outbox WHERE state = 'queued'",
    ("outbox", "held"): "outbox WHERE state = 'held'",
    ("outbox", "sending"): "outbox WHERE state IN ('sending', 'unknown') AND state = 'sending'",
    ("outbox", "unknown"): "outbox WHERE state IN ('sending', 'unknown') AND state = 'unknown'",
    ("delivery", "waiting"): "delivery WHERE state = 'waiting'",
    ("delivery", "handing"): "delivery WHERE state = 'handing'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """`states`: (table, state) to rows, where `MOST` means so many or more; the oldest rows that wait for *us*.

    A part on hold waits for the carrier. `alerts`: how many of each kind last.
    """

    states: Mapping[tuple[str, str], int]
    oldest_delivery: datetime | None
    oldest_part: datetime | None
    alerts: Mapping[Alert, int] = field(default_factory=dict)


def backlog() -> Transaction[Backlog]:
    """Count what is not finished."""
    states: dict[tuple[str, str], int] = {}
    for key, rows_of in _COUNTED.items():
        rows = yield sql(f"SELECT count(*) AS n FROM (SELECT 1 FROM {rows_of} LIMIT $1) AS counted", MOST)  # noqa: S608
        if rows[0]["n"]:
            states[key] = rows[0]["n"]
    deliveries = [*(yield from domains("waiting")), *(yield from domains("handing"))]
    parts = yield from _oldest_of_lines()
    return Backlog(
        states=states,
        oldest_delivery=from_ms(min(at for _, at in deliveries)) if deliveries else None,
        oldest_part=from_ms(min(parts)) if parts else None,
        alerts=(yield from alerts.counts()),
    )


def domains(state: str) -> Transaction[list[tuple[str, int]]]:
    """The components that deliveries in a state are for, and since when the first of each waits."""
    found: list[tuple[str, int]] = []
    domain = ""
    while rows := (
        yield sql(
            f"SELECT domain, created_at FROM delivery WHERE state = '{state}' AND domain > $1"  # noqa: S608
            " ORDER BY domain, id LIMIT 1",
            domain,
        )
    ):
        domain = rows[0]["domain"]
        found.append((domain, rows[0]["created_at"]))
    return found


def _oldest_of_lines() -> Transaction[list[int]]:
    """Since when the first part waits, for each line that nothing holds."""
    on = yield from holds.current()
    return [
        line.since
        for line in (yield from heads.queued_lines())
        if not any(hold.covers(line.provider, line.did) for hold in on)
    ]
