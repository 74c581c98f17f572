"""Who may speak as a component, or call a provider: one holder at a time, fenced by an epoch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsbridge.clock import from_ms, to_ms
from smsbridge.store.database import Transaction, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Held until it runs out; `epoch` grows with every change of holder."""

    name: str
    holder: str
    epoch: int


def take(
    now: datetime, name: str, holder: str, span: timedelta, *, by_force: bool = False
) -> Transaction[Lease | None]:
    """Take or renew a lease; None while another holder's runs.

    `by_force` for a store that proves by other means that nobody else is alive (a lock on its file).
    """
    until = to_ms(now + span)
    rows = yield sql(
        "INSERT INTO lease (name, holder, epoch, until) VALUES ($1, $2, 1, $3) ON CONFLICT (name) DO UPDATE SET"
        " epoch = lease.epoch + (CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END),"
        " holder = excluded.holder, until = excluded.until"
        " WHERE lease.holder = excluded.holder OR lease.until < $4 OR $5 = 1 RETURNING epoch",
        *(name, holder, until, to_ms(now), int(by_force)),
    )
    return Lease(name=name, holder=holder, epoch=rows[0]["epoch"]) if rows else None


def take_by_its_clock(name: str, holder: str, span: timedelta) -> Transaction[Lease | None]:
    """As `take`, by the clock of the PostgreSQL server, which all nodes share."""
    now = yield from server_time()
    return (yield from take(from_ms(now), name, holder, span))


def server_time() -> Transaction[int]:
    """The clock of the PostgreSQL server, in epoch milliseconds."""
    rows = yield sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS ms")
    return int(rows[0]["ms"])


def found(name: str) -> Transaction[tuple[int, int] | None]:
    """Epoch and end of a lease as they are in the store, in epoch milliseconds; 0 if it was let go of."""
    rows = yield sql("SELECT epoch, until FROM lease WHERE name = $1", name)
    return (rows[0]["epoch"], rows[0]["until"]) if rows else None


def is_running(name: str, at: datetime) -> Transaction[bool]:
    """Whether somebody has it at an instant."""
    rows = yield sql("SELECT 1 AS one FROM lease WHERE name = $1 AND until >= $2", name, to_ms(at))
    return bool(rows)


def release(lease: Lease) -> Transaction[None]:
    """Let go, if it is still ours."""
    yield sql(
        "UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2 AND epoch = $3",
        *(lease.name, lease.holder, lease.epoch),
    )
