"""What owners call numbers themselves, and what their contact lists were told last."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.store.database import Transaction, sql, sql_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An owner's own name for a number."""

    owner: str
    peer: Peer
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduced:
    """What an owner was told last of a contact: its name and the SHA-1 of its picture, each "" if none."""

    owner: str
    contact: str
    name: str = field(default="", repr=False)
    photo: str = ""


def all_names() -> Transaction[list[Named]]:
    """Every owner's names."""
    rows = yield sql("SELECT owner, peer, name FROM name ORDER BY owner, peer")
    return [Named(owner=row["owner"], peer=Peer(row["peer"]), name=row["name"]) for row in rows]


def count(owner: str) -> Transaction[int]:
    """How many numbers an owner has named."""
    rows = yield sql("SELECT count(*) AS n FROM name WHERE owner = $1", owner)
    return int(rows[0]["n"])


def put(now: datetime, named: Named) -> Transaction[None]:
    """The owner calls the number so from now on."""
    yield sql(
        "INSERT INTO name (owner, peer, name, named_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (owner, peer) DO UPDATE SET name = excluded.name, named_at = excluded.named_at",
        named.owner,
        named.peer,
        named.name,
        to_ms(now),
    )


def drop(owner: str, peer: Peer) -> Transaction[None]:
    """The owner has no name of his own for the number any more."""
    yield sql("DELETE FROM name WHERE owner = $1 AND peer = $2", owner, peer)


def name_of(owner: str, peer: Peer) -> Transaction[str]:
    """The owner's own name for the number, or ""."""
    rows = yield sql("SELECT name FROM name WHERE owner = $1 AND peer = $2", owner, peer)
    return str(rows[0]["name"]) if rows else ""


def conversations_of(owner: str) -> Transaction[dict[Peer, Did]]:
    """With whom an owner has a conversation, and over which line."""
    rows = yield sql("SELECT peer, did FROM binding WHERE owner = $1", owner)
    return {Peer(row["peer"]): Did(row["did"]) for row in rows}


def introduced_to(owner: str) -> Transaction[list[Introduced]]:
    """All that an owner was told of."""
    rows = yield sql("SELECT contact, name, photo FROM introduced WHERE owner = $1", owner)
    return [Introduced(owner=owner, contact=row["contact"], name=row["name"], photo=row["photo"]) for row in rows]


def introduce(now: datetime, told: Sequence[Introduced]) -> Transaction[None]:
    """These were told."""
    yield from sql_rows(
        "INSERT INTO introduced (owner, contact, name, photo, told_at) VALUES $rows ON CONFLICT (owner, contact)"
        " DO UPDATE SET name = excluded.name, photo = excluded.photo, told_at = excluded.told_at",
        [(one.owner, one.contact, one.name, one.photo, to_ms(now)) for one in told],
    )
