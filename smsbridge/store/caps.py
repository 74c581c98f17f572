"""Counters of what was used, one row each: raised in the transaction of what they count, and rolled back with it.

A row counts its newest window only: another one begins at nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from smsbridge.clock import to_ms
from smsbridge.core.caps import Counted
from smsbridge.store.database import Transaction, sql, sql_among, sql_rows


def take(demands: Sequence[Counted]) -> Transaction[dict[str, int]]:
    """Raise each counter by what is demanded of it; what each reads then, by its scope."""
    rows = yield from sql_rows(
        "INSERT INTO cap_counter (scope, window_start, used) VALUES $rows ON CONFLICT (scope) DO UPDATE SET used ="
        " CASE WHEN cap_counter.window_start = excluded.window_start THEN cap_counter.used ELSE 0 END + excluded.used,"
        " window_start = excluded.window_start RETURNING scope, used",
        [(demand.scope, to_ms(demand.begins), demand.amount) for demand in demands],
    )
    return {row["scope"]: row["used"] for row in rows}


def read(counted: Sequence[Counted]) -> Transaction[dict[str, int]]:
    """What each counter reads in its window, by its scope; those that read nothing are left out."""
    begins = {one.scope: to_ms(one.begins) for one in counted}
    rows = yield from sql_among(
        "SELECT scope, window_start, used FROM cap_counter WHERE scope IN $among", sorted(begins)
    )
    return {row["scope"]: row["used"] for row in rows if row["window_start"] == begins[row["scope"]]}


def give_back(scope: str, begins: datetime, amount: int = 1) -> Transaction[None]:
    """Take back what was counted and did not happen, if its window is still on."""
    yield sql(
        "UPDATE cap_counter SET used = used - $3 WHERE scope = $1 AND window_start = $2 AND used >= $3",
        *(scope, to_ms(begins), amount),
    )
