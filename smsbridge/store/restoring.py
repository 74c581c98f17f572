"""A house that was restored: what waited when the backup was made may have left since, and waits for an admin's word.

    queued, held ─hold_back─▶ held(restore) ─the admin─▶ queued | cancelled
    sending, unknown ─as after every start─▶ unknown ─▶ found out, or unsure

Accounts are on hold meanwhile, so that nothing new leaves before its elders either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.errors import Hold, Reason
from smsbridge.core.message import PartId, ProviderName
from smsbridge.core.state import PartState
from smsbridge.core.words.say import Say
from smsbridge.store import cursors, enclosures, heads, history, holds
from smsbridge.store.database import Row, Transaction, sql, sql_among
from smsbridge.store.holds import WHOLE_ACCOUNT, HoldRow
from smsbridge.store.ids import Ids

_MANY: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """`parts` wait for an admin, `doubtful` for the carrier's word; `stanzas` are handed, perhaps once more."""

    parts: int
    doubtful: int
    stanzas: int


def hold_back(ids: Ids, now: datetime, providers: Iterable[ProviderName]) -> Transaction[HeldBack]:
    """Put everything that might leave on hold. To do so twice is to do so once."""
    for provider in providers:
        row = HoldRow(
            provider=provider, did=WHOLE_ACCOUNT, hold=Hold.RESTORE, reason=Reason.ACCOUNT_FAULT, code="restored",
            words=Say.RESTORED_AND_HELD(), since=now, probes=0,
        )  # fmt: skip
        yield from holds.put_on(ids, now, row, timedelta())
    waiting = yield sql(
        "UPDATE outbox SET state = 'held', hold = 'restore', changed_at = $1 WHERE state IN ('queued', 'held')"
        " AND hold <> 'restore' RETURNING id, attempt, message_id, did, peer",
        to_ms(now),
    )
    # whoever is told that it has not left yet may be told what is not true
    yield from sql_among(
        "UPDATE message SET told = 'waiting' WHERE id IN $among AND told = ''",
        sorted({row["message_id"] for row in waiting}),
    )
    yield from _settle(ids, now, waiting, PartState.HELD, "restored")
    doubtful = yield sql("SELECT count(*) AS n FROM outbox WHERE state IN ('sending', 'unknown')")
    stanzas = yield sql("SELECT count(*) AS n FROM delivery WHERE state = 'waiting'")
    handing = yield sql("SELECT count(*) AS n FROM delivery WHERE state = 'handing'")
    return HeldBack(parts=len(waiting), doubtful=doubtful[0]["n"], stanzas=stanzas[0]["n"] + handing[0]["n"])


def note_made_at(now: datetime, providers: Iterable[ProviderName], made_at: datetime) -> Transaction[None]:
    """When the backup was made: what waited then cannot have left before."""
    for provider in providers:
        yield from cursors.move(now, _made(provider), made_at)


def made_at(provider: ProviderName) -> Transaction[datetime | None]:
    """When the backup was made that this account's parts were restored from, if that is known."""
    return (yield from cursors.places([_made(provider)])).get(_made(provider))


def held_back(limit: int = _MANY) -> Transaction[list[PartId]]:
    """The parts that wait for an admin's word, the oldest first; those of a text together, so a few more than that."""
    rows = yield sql(
        "SELECT id FROM outbox WHERE state = 'held' AND hold = 'restore' AND message_id IN (SELECT message_id"
        " FROM outbox WHERE state = 'held' AND hold = 'restore' ORDER BY id LIMIT $1) ORDER BY id",
        limit,
    )
    return [PartId(row["id"]) for row in rows]


def held_since() -> Transaction[dict[ProviderName, datetime]]:
    """The accounts whose parts wait for an admin's word, and since when."""
    rows = yield sql(
        "SELECT provider, max(changed_at) AS since FROM outbox WHERE state = 'held' AND hold = 'restore'"
        " GROUP BY provider"
    )
    return {ProviderName(row["provider"]): from_ms(row["since"]) for row in rows}


def lift(ids: Ids, now: datetime) -> Transaction[None]:
    """Accounts are no longer on hold for this."""
    for row in (yield sql("DELETE FROM hold WHERE hold = 'restore' RETURNING provider, did")):
        step = history.Step(subject="hold", subject_id=f"{row['provider']}/{row['did']}", who="admin", state="lifted")
        yield from history.note(ids, now, step)


def send(ids: Ids, now: datetime, part_ids: list[PartId]) -> Transaction[list[PartId]]:
    """These are due now, and wait from now on: for their files, or for their writer's word, those that are returned."""
    rows = yield from sql_among(
        "UPDATE outbox SET state = CASE WHEN reason IN ('unconfirmed', 'media_unfetched') THEN 'held'"
        " ELSE 'queued' END, hold = CASE reason WHEN 'unconfirmed' THEN 'confirm' WHEN 'media_unfetched' THEN 'media'"
        " ELSE '' END, due_at = $1, queued_at = $1, changed_at = $1 WHERE id IN $among AND state = 'held'"
        " AND hold = 'restore' RETURNING id, attempt, message_id, did, peer, state, hold",
        part_ids,
        to_ms(now),
    )
    for message_id in {row["message_id"] for row in rows if row["hold"] == Hold.MEDIA}:
        yield from enclosures.want(now, message_id)
    for state in (PartState.QUEUED, PartState.HELD):
        yield from _settle(ids, now, [row for row in rows if row["state"] == state], state, "released")
    return [PartId(row["id"]) for row in rows if row["hold"] == Hold.CONFIRM]


def _made(provider: ProviderName) -> str:
    return f"restored\x1f{provider}"


def _settle(ids: Ids, now: datetime, rows: Iterable[Row], state: PartState, code: str) -> Transaction[None]:
    """The heads and the trail of parts that came to a state."""
    moved = list(rows)
    yield from heads.renew((row["did"], row["peer"]) for row in moved)
    yield from history.note(
        ids,
        now,
        *(
            history.Step(
                subject="part", subject_id=row["id"], who="admin", state=state, attempt=row["attempt"], code=code
            )
            for row in moved
        ),
    )
