"""Which line an owner's conversation with a peer goes over: decided by its first text, then kept."""

from collections.abc import Sequence
from datetime import datetime

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.store.database import Transaction, sql, sql_rows


def bind(now: datetime, owner: str, peer: Peer, did: Did) -> Transaction[Did]:
    """The bound line; the first to ask decides."""
    return (yield from bind_all(now, [(owner, peer, did)]))[owner, peer]


def bind_all(now: datetime, wanted: Sequence[tuple[str, Peer, Did]]) -> Transaction[dict[tuple[str, Peer], Did]]:
    """The bound line of each owner and peer; where there is none, the first that is wanted."""
    pairs = dict.fromkeys((owner, peer) for owner, peer, _ in wanted)
    known = yield from sql_rows(
        "SELECT b.owner, b.peer, b.did FROM (VALUES $rows) AS wanted JOIN binding b"
        " ON b.owner = wanted.column1 AND b.peer = wanted.column2",
        tuple(pairs),
    )
    lines = {(row["owner"], Peer(row["peer"])): Did(row["did"]) for row in known}
    fresh = [(owner, peer, did, to_ms(now)) for owner, peer, did in wanted if (owner, peer) not in lines]
    for owner, peer, did, _ in fresh:
        lines.setdefault((owner, peer), did)
    yield from sql_rows(
        "INSERT INTO binding (owner, peer, did, bound_at) VALUES $rows ON CONFLICT (owner, peer) DO NOTHING", fresh
    )
    return lines


def bound(owner: str, peer: Peer) -> Transaction[Did | None]:
    """The bound line, if there was a text yet."""
    rows = yield sql("SELECT did FROM binding WHERE owner = $1 AND peer = $2", owner, peer)
    return Did(rows[0]["did"]) if rows else None


def rebind(now: datetime, owner: str, peer: Peer, did: Did) -> Transaction[None]:
    """The line was taken from its owner: the conversation goes over this one from now on."""
    yield sql("UPDATE binding SET did = $3, bound_at = $4 WHERE owner = $1 AND peer = $2", owner, peer, did, to_ms(now))


def newest(limit: int) -> Transaction[list[tuple[str, Peer, Did]]]:
    """Owner, peer and line of the conversations that began last."""
    rows = yield sql("SELECT owner, peer, did FROM binding ORDER BY bound_at DESC LIMIT $1", limit)
    return [(row["owner"], Peer(row["peer"]), Did(row["did"])) for row in rows]
