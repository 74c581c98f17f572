"""How far a look into a carrier's list has come: instants, by a name each."""

from collections.abc import Sequence
from datetime import datetime

from smsbridge.clock import from_ms, to_ms
from smsbridge.store.database import Transaction, sql, sql_among


def places(names: Sequence[str]) -> Transaction[dict[str, datetime]]:
    """Where each stands that has begun."""
    rows = yield from sql_among("SELECT name, position FROM cursor_at WHERE name IN $among", names)
    return {row["name"]: from_ms(int(row["position"])) for row in rows}


def move(now: datetime, name: str, to: datetime) -> Transaction[None]:
    """From now on it stands there."""
    yield sql(
        "INSERT INTO cursor_at (name, position, moved_at) VALUES ($1, $2, $3) ON CONFLICT (name)"
        " DO UPDATE SET position = excluded.position, moved_at = excluded.moved_at",
        *(name, str(to_ms(to)), to_ms(now)),
    )
