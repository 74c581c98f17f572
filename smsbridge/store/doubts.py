"""Tries of which nobody knows whether they left, and what looking for them has found.

A row for each try that became unknown. Of a part's rows the newest that was not recognised says when to look next.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.doubt import Doubt, Plan, Verdict
from smsbridge.core.message import Kind, Part, PartId, ProviderMessageId, ProviderName
from smsbridge.core.state import PartState
from smsbridge.core.text import is_alike
from smsbridge.store.database import Row, Transaction, sql
from smsbridge.store.ids import least_id
from smsbridge.store.outbox import part_of

RECENT: Final = 200  # parts among which a known send is looked for
KNOWN_FOR: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A part to look for, tried first at `since`; its id, if that is known."""

    part: Part
    since: datetime
    provider_id: ProviderMessageId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A part that is or was in doubt: its state, the id that it has, its doubts by attempt."""

    part: Part
    state: PartState
    attempt: int
    provider_id: ProviderMessageId | None
    doubts: tuple[Doubt, ...]

    @property
    def newest(self) -> Doubt:
        return self.doubts[-1]

    @property
    def unrecognised(self) -> tuple[Doubt, ...]:
        """Tries that may have left and have not been seen, the newest last."""
        return tuple(doubt for doubt in self.doubts if not doubt.is_recognised)


def open_(now: datetime, part_id: PartId, look_at: datetime) -> Transaction[None]:
    """The part's last try has become unknown."""
    yield sql("UPDATE doubt SET look_at = NULL WHERE part_id = $1", part_id)
    yield sql(
        "INSERT INTO doubt (part_id, attempt, provider, kind, did, peer, tried_at, fingerprint, verdict, opened_at,"
        " looks, look_at) SELECT id, attempt, provider, kind, did, peer, COALESCE(claimed_at, changed_at), fingerprint,"
        " 'open', CAST($2 AS BIGINT), 0, CAST($3 AS BIGINT) FROM outbox WHERE id = $1"
        " ON CONFLICT (part_id, attempt) DO NOTHING",
        *(part_id, to_ms(now), to_ms(look_at)),
    )


def providers() -> Transaction[tuple[ProviderName, ...]]:
    """Those that have tries of which nothing is known yet."""
    rows = yield sql("SELECT DISTINCT provider FROM doubt WHERE verdict = 'open'")
    return tuple(ProviderName(row["provider"]) for row in rows)


def undecided(provider: ProviderName, limit: int) -> Transaction[tuple[Doubted, ...]]:
    """Parts of this account of which nothing is known yet, the oldest first."""
    rows = yield sql(
        "SELECT d.part_id FROM doubt d JOIN outbox p ON p.id = d.part_id WHERE d.verdict = 'open' AND d.provider = $1"
        " AND p.state = 'unknown' AND p.attempt = d.attempt ORDER BY d.opened_at LIMIT $2",
        *(provider, limit),
    )
    found = []
    for row in rows:
        doubted = yield from of_part(PartId(row["part_id"]))
        if doubted is not None:
            found.append(doubted)
    return tuple(found)


def due(now: datetime, provider: ProviderName, limit: int) -> Transaction[tuple[Due, ...]]:
    """The parts to look for now. One whose text is forgotten cannot be found any more, and is let go."""
    rows = yield sql(
        "SELECT p.*, (SELECT min(e.tried_at) FROM doubt e WHERE e.part_id = d.part_id AND e.provider_id IS NULL"
        " AND e.verdict <> 'taken')"
        " AS since FROM doubt d JOIN outbox p ON p.id = d.part_id WHERE d.look_at IS NOT NULL AND d.provider = $1"
        " AND d.look_at <= $2 ORDER BY d.look_at LIMIT $3",
        *(provider, to_ms(now), limit),
    )
    found = []
    for row in rows:
        if row["text"] is None or row["since"] is None:
            yield from look_again(PartId(row["id"]), None)
        else:
            found.append(Due(part=part_of(row, row["attempt"]), since=from_ms(row["since"])))
    return tuple(found)


def next_due(provider: ProviderName) -> Transaction[datetime | None]:
    """When the next look is due."""
    rows = yield sql(
        "SELECT look_at FROM doubt WHERE look_at IS NOT NULL AND provider = $1 ORDER BY look_at LIMIT 1", provider
    )
    return from_ms(rows[0]["look_at"]) if rows else None


def pull_in(now: datetime, longest: timedelta) -> Transaction[None]:
    """After the clock was set back no look is due later than ever is."""
    yield sql(
        "UPDATE doubt SET look_at = $1, opened_at = $1, absent_at = NULL WHERE verdict = 'open' AND opened_at > $1",
        to_ms(now),
    )
    yield sql(
        "UPDATE doubt SET look_at = $1 WHERE look_at IS NOT NULL AND look_at > $2", to_ms(now), to_ms(now + longest)
    )


def of_part(part_id: PartId) -> Transaction[Doubted | None]:
    """A part with all its doubts; None if it never was in doubt."""
    rows = yield sql("SELECT * FROM outbox WHERE id = $1", part_id)
    doubts = yield sql("SELECT * FROM doubt WHERE part_id = $1 ORDER BY attempt", part_id)
    if not rows or not doubts:
        return None
    row = rows[0]
    return Doubted(
        part=part_of(row, row["attempt"]),
        state=PartState(row["state"]),
        attempt=row["attempt"],
        provider_id=ProviderMessageId(row["provider_id"]) if row["provider_id"] else None,
        doubts=tuple(map(_doubt, doubts)),
    )


def of_conversation(did: Did, peer: Peer) -> Transaction[tuple[PartId, ...]]:
    """Parts of a conversation that may have left unseen: a text that the carrier lists may be one of them."""
    rows = yield sql(
        "SELECT part_id FROM doubt WHERE look_at IS NOT NULL AND did = $1 AND peer = $2 ORDER BY part_id", did, peer
    )
    return tuple(PartId(row["part_id"]) for row in rows)


def rivals(part: Part) -> Transaction[list[tuple[PartState, str]]]:
    """Other parts of its conversation that are in flight, or may have left unseen: their states and texts."""
    rows = yield sql(
        "SELECT p.state, p.text FROM outbox p WHERE p.did = $1 AND p.peer = $2 AND p.state IN ('sending', 'unknown')"
        " AND p.id <> $3 UNION ALL SELECT o.state, o.text FROM doubt d JOIN outbox o ON o.id = d.part_id"
        " WHERE d.look_at IS NOT NULL AND d.did = $1 AND d.peer = $2 AND d.part_id <> $3",
        *(part.did, part.peer, part.id),
    )
    return [(PartState(row["state"]), row["text"] or "") for row in rows]


def is_claimed(provider: ProviderName, kind: Kind, provider_id: ProviderMessageId, text: str) -> Transaction[bool]:
    """Whether a text of the carrier's is known to be one of ours. Some carriers give a text the id of another."""
    rows = yield sql(
        "SELECT p.text FROM outbox p WHERE p.provider = $1 AND p.kind = $2 AND p.provider_id = $3"
        " UNION ALL SELECT o.text FROM doubt d JOIN outbox o ON o.id = d.part_id"
        " WHERE d.provider = $1 AND d.kind = $2 AND d.provider_id = $3",
        *(provider, kind, provider_id),
    )
    return any(row["text"] is None or is_alike(row["text"], text) for row in rows)


def follow(part_id: PartId, attempt: int, plan: Plan) -> Transaction[None]:
    """How far the looking for an open doubt has come."""
    yield sql(
        "UPDATE doubt SET looks = $3, absent_at = $4, look_at = $5 WHERE part_id = $1 AND attempt = $2",
        *(part_id, attempt, plan.looks, _ms(plan.absent_at), _ms(plan.look_at)),
    )


def judge(
    part_id: PartId, attempt: int, verdict: Verdict, provider_id: ProviderMessageId | None = None
) -> Transaction[None]:
    """What became of a try. An id that another try has already is not noted twice."""
    yield sql(
        "UPDATE doubt SET verdict = $3, provider_id = $4 WHERE part_id = $1 AND attempt = $2"
        " AND NOT EXISTS (SELECT 1 FROM doubt e WHERE e.provider = doubt.provider AND e.kind = doubt.kind"
        " AND e.provider_id = $4 AND NOT (e.part_id = $1 AND e.attempt = $2))",
        *(part_id, attempt, verdict, provider_id),
    )


def look_again(part_id: PartId, look_at: datetime | None) -> Transaction[None]:
    """When to look for the part again; None: never."""
    yield sql("UPDATE doubt SET look_at = NULL WHERE part_id = $1", part_id)
    if look_at is not None:
        yield sql(
            "UPDATE doubt SET look_at = $2 WHERE part_id = $1 AND attempt = (SELECT max(e.attempt) FROM doubt e"
            " WHERE e.part_id = $1 AND e.provider_id IS NULL AND e.verdict <> 'taken')",
            *(part_id, to_ms(look_at)),
        )


def late_ids(part_id: PartId) -> Transaction[dict[int, ProviderMessageId]]:
    """Earlier tries that turned out to have left while another was under way: attempt and id."""
    rows = yield sql(
        "SELECT attempt, provider_id FROM doubt WHERE part_id = $1 AND verdict = 'late' AND provider_id IS NOT NULL"
        " ORDER BY attempt",
        part_id,
    )
    return {row["attempt"]: ProviderMessageId(row["provider_id"]) for row in rows}


def known_send(
    now: datetime, provider: ProviderName, settle: timedelta, did: str = "", peer: str = ""
) -> Transaction[Due | None]:
    """The newest text that the carrier has certainly taken, of all or of one conversation; None if none is recent."""
    rows = yield sql(
        "SELECT * FROM (SELECT * FROM outbox WHERE id > $1 ORDER BY id DESC LIMIT $2) AS recent WHERE provider = $3"
        " AND provider_id IS NOT NULL AND text IS NOT NULL AND state IN ('sent', 'delivered') AND changed_at < $4"
        " AND ($5 = '' OR did = $5) AND ($6 = '' OR peer = $6) ORDER BY id DESC LIMIT 1",
        *(least_id(now - KNOWN_FOR), RECENT, provider, to_ms(now - settle), did, peer),
    )
    if not rows:
        return None
    row = rows[0]
    return Due(
        part=part_of(row, row["attempt"]),
        since=from_ms(row["queued_at"]),
        provider_id=ProviderMessageId(row["provider_id"]),
    )


def distrusted(names: Collection[ProviderName]) -> Transaction[dict[ProviderName, datetime]]:
    """Those of these carriers whose lists prove nothing, and when to find out again whether they do."""
    rows = yield sql("SELECT provider, look_at FROM distrust")
    return {row["provider"]: from_ms(row["look_at"]) for row in rows if row["provider"] in names}


def distrust(now: datetime, provider: ProviderName, look_at: datetime) -> Transaction[bool]:
    """This carrier's lists prove nothing. Whether that is new."""
    rows = yield sql(
        "INSERT INTO distrust (provider, since, look_at) VALUES ($1, $2, $3) ON CONFLICT (provider)"
        " DO UPDATE SET look_at = excluded.look_at RETURNING since",
        *(provider, to_ms(now), to_ms(look_at)),
    )
    return bool(rows[0]["since"] == to_ms(now))


def trust(provider: ProviderName) -> Transaction[bool]:
    """This carrier's lists can be relied upon. Whether that is new."""
    return bool((yield sql("DELETE FROM distrust WHERE provider = $1 RETURNING provider", provider)))


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)


def _doubt(row: Row) -> Doubt:
    return Doubt(
        attempt=row["attempt"],
        tried_at=from_ms(row["tried_at"]),
        opened_at=from_ms(row["opened_at"]),
        verdict=Verdict(row["verdict"]),
        looks=row["looks"],
        absent_at=None if row["absent_at"] is None else from_ms(row["absent_at"]),
        is_recognised=row["provider_id"] is not None or row["verdict"] == Verdict.TAKEN,
    )
