"""Who has the house, and the name of the component that is spoken for: one holder at a time, fenced by an epoch.

Each name has an epoch of its own, and while the lease of one runs no other can be taken: two bridges for two components
would call dead what the other is just sending, and each would hand over the other's texts.
"""

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
    """Take or renew a lease; None while another holder's runs, or that of another name.

    One that ends in a distant future runs no more: whoever is alive renews it, and tells its end anew.
    `by_force` for a store that proves by other means that nobody else is alive (a lock on its file).
    """
    until = to_ms(now + span)
    latest = to_ms(now + 2 * span)  # later than that none can end, unless the clock was set back since
    rows = yield sql(
        "INSERT INTO lease (name, holder, epoch, until) SELECT $1, $2, 1, $3"
        " WHERE $5 = 1 OR NOT EXISTS (SELECT 1 FROM lease WHERE name <> $1 AND until >= $4 AND until <= $6)"
        " ON CONFLICT (name) DO UPDATE SET"
        " epoch = lease.epoch + (CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END),"
        " holder = excluded.holder, until = excluded.until"
        " WHERE lease.holder = excluded.holder OR lease.until < $4 OR lease.until > $6 OR $5 = 1 RETURNING epoch",
        *(name, holder, until, to_ms(now), int(by_force), latest),
    )
    if not rows:
        return None
    # Whoever had another name, and was paused until its time was over, is fenced off as well.
    yield sql("UPDATE lease SET epoch = epoch + 1, until = 0 WHERE name <> $1 AND until <> 0", name)
    return Lease(name=name, holder=holder, epoch=rows[0]["epoch"])


def take_by_its_clock(name: str, holder: str, span: timedelta) -> Transaction[Lease | None]:
    """As `take`, by the clock of the PostgreSQL server, which all nodes share."""
    now = yield from server_time()
    return (yield from take(from_ms(now), name, holder, span))


def server_time() -> Transaction[int]:
    """The clock of the PostgreSQL server, in epoch milliseconds."""
    rows = yield sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS ms")
    return int(rows[0]["ms"])


def found(name: str) -> Transaction[tuple[int, int] | None]:
    """Epoch and end of a lease as they are in the store, in epoch milliseconds; its end is 0 if it was let go of.

    Zeros if only other names were ever spoken for; None if none was.
    """
    rows = yield sql("SELECT name, epoch, until FROM lease")
    ours = ((row["epoch"], row["until"]) for row in rows if row["name"] == name)
    return next(ours, (0, 0)) if rows else None


def newest() -> Transaction[str | None]:
    """The name whose lease ends last: that of the holder, while there is one."""
    rows = yield sql("SELECT name FROM lease ORDER BY until DESC LIMIT 1")
    return str(rows[0]["name"]) if rows else None


def release(lease: Lease) -> Transaction[None]:
    """Let go, if it is still ours."""
    yield sql(
        "UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2 AND epoch = $3",
        *(lease.name, lease.holder, lease.epoch),
    )
