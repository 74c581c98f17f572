"""What stands between a number of ours and another party: texts of late, the loop breaker, a wish for no more texts.

A conversation is a row from our first text on; a wish may be older.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.loop import Said
from smsbridge.store.database import Transaction, sql
from smsbridge.store.ids import least_id

NEWEST: Final = 2000  # texts among which a loop is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`is_new`: nothing was ever sent there. `stop_word`: by which no more texts were asked for, "" if any."""

    is_new: bool = False
    recent: str = ""
    closed_until: datetime | None = None
    stop_word: str = ""


def standing(did: Did, peer: Peer) -> Transaction[Standing]:
    """How things stand before a text."""
    rows = yield sql(
        "SELECT recent, closed_until, (SELECT word FROM opt_out WHERE did = $1 AND peer = $2) AS word"
        " FROM conversation WHERE did = $1 AND peer = $2",
        *(did, peer),
    )
    if not rows:
        return Standing(is_new=True, stop_word=(yield from stop_word(did, peer)))
    row = rows[0]
    return Standing(
        recent=row["recent"],
        closed_until=from_ms(row["closed_until"]) if row["closed_until"] else None,
        stop_word=row["word"] or "",
    )


def heard(did: Did, peer: Peer, since: int) -> Transaction[tuple[Said, ...]]:
    """What came from there after an instant, in epoch milliseconds; among the newest texts only.

    Their ids tell which those are: an index by the other side would cost every text a page.
    """
    rows = yield sql(
        "SELECT taken_at, text_hash FROM (SELECT did, peer, taken_at, text_hash FROM inbox WHERE id >= $4"
        " ORDER BY id DESC LIMIT $5) AS newest WHERE did = $1 AND peer = $2 AND taken_at > $3",
        *(did, peer, since, least_id(from_ms(since)), NEWEST),
    )
    return tuple(Said(row["taken_at"], row["text_hash"]) for row in rows)


def close(did: Did, peer: Peer, until: datetime) -> Transaction[None]:
    """Open the breaker: no more texts until then, and what was sent before does not count afterwards."""
    yield sql(
        "UPDATE conversation SET closed_until = $3, recent = '' WHERE did = $1 AND peer = $2", did, peer, to_ms(until)
    )


def stop_word(did: Did, peer: Peer) -> Transaction[str]:
    """By which word no more texts were asked for; "" if they were not."""
    rows = yield sql("SELECT word FROM opt_out WHERE did = $1 AND peer = $2", did, peer)
    return str(rows[0]["word"]) if rows else ""


def stops() -> Transaction[tuple[tuple[Did, Peer, str], ...]]:
    """All who have asked for no more texts, of which number, and by which word. They are few."""
    rows = yield sql("SELECT did, peer, word FROM opt_out")
    return tuple((Did(row["did"]), Peer(row["peer"]), row["word"]) for row in rows)


def stop(now: datetime, did: Did, peer: Peer, word: str) -> Transaction[bool]:
    """No more texts are wanted; False if that was known."""
    rows = yield sql(
        "INSERT INTO opt_out (did, peer, word, since) VALUES ($1, $2, $3, $4) ON CONFLICT (did, peer) DO NOTHING"
        " RETURNING did",
        *(did, peer, word, to_ms(now)),
    )
    return bool(rows)


def resume(did: Did, peer: Peer) -> Transaction[bool]:
    """Texts are wanted again; False if they were not unwanted."""
    return bool((yield sql("DELETE FROM opt_out WHERE did = $1 AND peer = $2 RETURNING did", did, peer)))


def is_confirmed(owner: str, destination: str) -> Transaction[bool]:
    """This kind of destination was texted knowingly before."""
    rows = yield sql("SELECT 1 AS one FROM confirmed WHERE owner = $1 AND destination = $2", owner, destination)
    return bool(rows)


def confirm(now: datetime, owner: str, destination: str) -> Transaction[None]:
    """It is texted knowingly from now on."""
    yield sql(
        "INSERT INTO confirmed (owner, destination, since) VALUES ($1, $2, $3)"
        " ON CONFLICT (owner, destination) DO NOTHING",
        *(owner, destination, to_ms(now)),
    )
