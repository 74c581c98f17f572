"""When there was a text between a number of ours and somebody, last."""

from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms
from smsbridge.core.address import Did, Peer
from smsbridge.store.database import Transaction, sql

LOOKED_THROUGH: Final = 2000  # texts to the number; there is no index by who sent them


def last_text(did: Did, peer: Peer) -> Transaction[datetime | None]:
    """Sent or received; None if there was none lately."""
    sent = yield sql("SELECT touched_at AS at FROM conversation WHERE did = $1 AND peer = $2", did, peer)
    received = yield sql(
        "SELECT max(sent_at) AS at FROM (SELECT peer, sent_at FROM inbox WHERE did = $1 ORDER BY sent_at DESC"
        " LIMIT $3) AS newest WHERE peer = $2",
        *(did, peer, LOOKED_THROUGH),
    )
    at = [row["at"] for row in (*sent, *received) if row["at"]]
    return from_ms(max(at)) if at else None
