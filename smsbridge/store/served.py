"""What our own door gives out: a row for each link, which has the hash of its token alone. The bytes are files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsbridge.clock import to_ms
from smsbridge.store.database import Transaction, sql

SLICE: Final = 250  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A file behind a link: the id that it is kept under, its name in the link, its media type."""

    id: str
    name: str
    mime: str


def put(one: Served, token: str, ends_at: datetime) -> Transaction[None]:
    """Give a file out under the hash of a token; under an older one, which nobody was told, no more."""
    yield sql(
        "INSERT INTO served (id, token, name, mime, ends_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (id) DO UPDATE SET token = excluded.token, name = excluded.name, mime = excluded.mime,"
        " ends_at = excluded.ends_at",
        *(one.id, token, one.name, one.mime, to_ms(ends_at)),
    )


def take_back(media_id: str) -> Transaction[None]:
    """Give a file out no more."""
    yield sql("DELETE FROM served WHERE id = $1", media_id)


def find(now: datetime, token: str) -> Transaction[Served | None]:
    """What is given out under the hash of a token."""
    rows = yield sql("SELECT id, name, mime FROM served WHERE token = $1 AND ends_at > $2", token, to_ms(now))
    return Served(id=rows[0]["id"], name=rows[0]["name"], mime=rows[0]["mime"]) if rows else None


def end(now: datetime) -> Transaction[bool]:
    """Forget some whose time is over; whether there may be more."""
    rows = yield sql(
        "DELETE FROM served WHERE id IN (SELECT id FROM served WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)"
        " RETURNING id",
        *(to_ms(now), SLICE),
    )
    return len(rows) == SLICE


def kept() -> Transaction[frozenset[str]]:
    """Whose bytes are kept."""
    rows = yield sql("SELECT id FROM served")
    return frozenset(row["id"] for row in rows)
