"""Which line an owner's conversation with a peer goes over: decided by its first text, then kept."""

from datetime import datetime

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.store.database import Transaction, sql


def bind(now: datetime, owner: str, peer: Peer, did: Did) -> Transaction[Did]:
    """The bound line; the first to ask decides."""
    known = yield from bound(owner, peer)
    if known is None:
        yield sql(
            "INSERT INTO binding (owner, peer, did, bound_at) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, peer) DO NOTHING",
            *(owner, peer, did, to_ms(now)),
        )
    return known or did


def bound(owner: str, peer: Peer) -> Transaction[Did | None]:
    """The bound line, if there was a text yet."""
    rows = yield sql("SELECT did FROM binding WHERE owner = $1 AND peer = $2", owner, peer)
    return Did(rows[0]["did"]) if rows else None


def rebind(now: datetime, owner: str, peer: Peer, did: Did) -> Transaction[None]:
    """The line was taken from its owner: the conversation goes over this one from now on."""
    yield sql("UPDATE binding SET did = $3, bound_at = $4 WHERE owner = $1 AND peer = $2", owner, peer, did, to_ms(now))
