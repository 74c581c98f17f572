"""What has waited too long, for whatever reason: looked for in every round, so each look is short.

Each takes a limit, or moves no more than that: whoever asks, asks again until nothing is left.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import to_ms
from smsbridge.core.address import Did
from smsbridge.core.message import Part, ProviderName
from smsbridge.store import heads
from smsbridge.store.database import Row, Transaction, sql, sql_among
from smsbridge.store.outbox import part_of

AT_ONCE: Final = 500  # rows of one transaction: a few milliseconds


def abandoned(now: datetime, holder: str) -> Transaction[tuple[Part, ...]]:
    """Parts whose claimant is dead: it is not who holds the house now, or the lease of the claim ran out.

    Nobody may be sending what we have claimed for so long: the claim's commit seemed to have failed.
    """
    return _parts((yield sql(
        "SELECT * FROM outbox WHERE state IN ('sending', 'unknown') AND state = 'sending'"
        " AND (claimed_by <> $1 OR lease_until < $2) ORDER BY claimed_at, id",
        *(holder, to_ms(now)),
    )))  # fmt: skip


def expired(queued_before: datetime, limit: int) -> Transaction[tuple[Part, ...]]:
    """Parts that waited too long for their carrier; after a restore nobody may say that they never left."""
    before = to_ms(queued_before)
    found = list((yield sql(
        "SELECT * FROM outbox WHERE state = 'held' AND hold <> 'restore' AND queued_at < $1"
        " ORDER BY queued_at, id LIMIT $2",
        *(before, limit),
    )))  # fmt: skip
    for line in (yield from heads.queued_lines()):
        if line.since < before and len(found) < limit:
            found += yield sql(
                "SELECT * FROM outbox WHERE state = 'queued' AND provider = $1 AND did = $2 AND queued_at < $3"
                " ORDER BY queued_at LIMIT $4",
                *(line.provider, line.did, before, limit - len(found)),
            )
    return _parts(sorted(found, key=lambda row: str(row["id"])))


def of_others(served: Collection[tuple[ProviderName, Did]], limit: int) -> Transaction[tuple[Part, ...]]:
    """Waiting parts of lines that are none of these: they may not leave, and keep what may waiting behind them.

    As to a restore, see above.
    """
    held = yield sql("SELECT DISTINCT provider, did FROM outbox WHERE state = 'held' AND hold <> 'restore'")
    lines = {(row["provider"], row["did"]) for row in held}
    lines |= {(line.provider, line.did) for line in (yield from heads.queued_lines())}
    found: list[Row] = []
    for provider, did in sorted(lines.difference(served)):
        for state in ("held", "queued"):
            found += yield sql(
                f"SELECT * FROM outbox WHERE state = '{state}' AND hold <> 'restore' AND provider = $1 AND did = $2"  # noqa: S608
                " LIMIT $3",
                *(provider, did, limit),
            )
    return _parts(sorted(found, key=lambda row: str(row["id"]))[:limit])


def waiting_untold(accepted_before: datetime, limit: int) -> Transaction[tuple[Part, ...]]:
    """The part that each text waits for, of texts that have waited so long and whose writers were told nothing yet."""
    return _parts((yield sql(
        "SELECT p.* FROM message m JOIN outbox p ON p.message_id = m.id WHERE m.told = '' AND m.accepted_at < $1"
        " AND p.state IN ('queued', 'held') AND NOT EXISTS (SELECT 1 FROM outbox e"
        " WHERE e.message_id = m.id AND e.n < p.n AND e.state IN ('queued', 'held', 'sending', 'unknown'))"
        " ORDER BY m.accepted_at, m.id LIMIT $2",
        *(to_ms(accepted_before), limit),
    )))  # fmt: skip


def pull_in(now: datetime, usual: timedelta, throttled: timedelta) -> Transaction[int]:
    """After the clock was set back: no part came from the future, and none, nor a probe, is due later than ever is.

    `usual` and `throttled` are the longest waits: ours, and what a carrier may ask for. How many parts were moved; if
    that is not less than `AT_ONCE`, there may be more.
    """
    at, soon, late = to_ms(now), to_ms(now + usual), to_ms(now + throttled)
    yield sql(
        "UPDATE hold SET probe_at = $1 WHERE probe_at > $2 AND hold NOT IN ('lockdown', 'restore', 'pause')", at, late
    )
    early: list[Row] = []
    for line in (yield from heads.queued_lines()):
        early += yield sql(
            "SELECT id, did, peer FROM outbox WHERE state = 'queued' AND provider = $1 AND did = $2 AND queued_at > $3"
            " ORDER BY queued_at LIMIT $4",
            *(line.provider, line.did, at, max(0, AT_ONCE - len(early))),
        )
    for provider in (yield from heads.providers()):
        early += yield from heads.put_off(provider, soon, late, AT_ONCE)
    moved = sorted({row["id"] for row in early})
    if moved:
        yield from sql_among(
            "UPDATE outbox SET queued_at = CASE WHEN queued_at > $1 THEN $1 ELSE queued_at END, due_at ="
            " CASE WHEN due_at > $2 OR reason <> 'throttled' THEN $1 ELSE due_at END WHERE id IN $among",
            moved,
            *(at, late),
        )
        yield from heads.renew((row["did"], row["peer"]) for row in early)
    return len(moved)


def _parts(rows: Sequence[Row]) -> tuple[Part, ...]:
    return tuple(part_of(row, row["attempt"]) for row in rows)
