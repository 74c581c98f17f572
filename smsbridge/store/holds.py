"""What makes a whole account, or one line, wait: credentials, funds, the daily quota; or an operator's word.

Only a carrier's fault is probed and lifted by a part that gets through. An operator's hold stays on, and a fault
does not take its place. A lockdown is of a number, or of all of them, over whichever account it goes: what waits stays
queued behind it, and a fault of an account is kept beside it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did
from smsbridge.core.errors import Hold, Reason
from smsbridge.core.message import ProviderName
from smsbridge.core.words.packing import pack, unpack
from smsbridge.core.words.say import Words
from smsbridge.store import heads, history
from smsbridge.store.database import Transaction, sql
from smsbridge.store.ids import Ids

WHOLE_ACCOUNT = Did("")
ANY_ACCOUNT = ProviderName("")
EVERY_NUMBER = WHOLE_ACCOUNT
OPERATORS = frozenset({Hold.LOCKDOWN, Hold.RESTORE, Hold.PAUSE})
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A hold that is on. `did` is "" for a whole account; `words` are the carrier's meaning."""

    provider: ProviderName
    did: Did
    hold: Hold
    reason: str
    code: str
    words: Words
    since: datetime
    probes: int

    def covers(self, provider: ProviderName, did: Did) -> bool:
        return self.provider in {ANY_ACCOUNT, provider} and self.did in {WHOLE_ACCOUNT, did}


def put_on(ids: Ids, now: datetime, row: HoldRow, probe_after: timedelta) -> Transaction[int]:
    """Raise a hold, or note that a probe found it still there. How often it was probed: 0 means it is new."""
    probe_at = _NEVER if row.hold in OPERATORS else now + probe_after
    rows = yield sql(
        "INSERT INTO hold (provider, did, hold, reason, code, words, since, probe_at, probes)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (provider, did) DO UPDATE SET hold = excluded.hold,"
        " reason = excluded.reason, code = excluded.code, words = excluded.words, probe_at = excluded.probe_at,"
        " probes = hold.probes + 1"
        " WHERE hold.hold NOT IN ('lockdown', 'restore', 'pause') OR excluded.hold IN ('lockdown', 'restore', 'pause')"
        " RETURNING probes",
        *(row.provider, row.did, row.hold, row.reason, row.code, pack(row.words), to_ms(now), to_ms(probe_at)),
    )
    yield from _note(ids, now, row.provider, row.did, row.hold, row.code)
    return int(rows[0]["probes"]) if rows else 1


def lift(ids: Ids, now: datetime, provider: ProviderName, did: Did) -> Transaction[tuple[Hold, ...]]:
    """The carrier took a part: whatever fault held this account or this line is over, its parts are due."""
    rows = yield sql(
        "DELETE FROM hold WHERE provider = $1 AND did IN ('', $2) AND hold NOT IN ('lockdown', 'restore', 'pause')"
        " RETURNING hold, did",
        *(provider, did),
    )
    for row in rows:
        parts = yield sql(
            "UPDATE outbox SET state = 'queued', hold = '', due_at = $3, changed_at = $3 WHERE provider = $1"
            " AND state = 'held' AND hold NOT IN ('lockdown', 'restore', 'pause', 'confirm', 'media')"
            " AND ($2 = '' OR did = $2) RETURNING id, attempt, did, peer",
            *(provider, row["did"], to_ms(now)),
        )
        yield from heads.renew((part["did"], part["peer"]) for part in parts)
        for part in parts:
            yield from history.note(
                ids,
                now,
                history.Step(
                    subject="part", subject_id=part["id"], who="dispatcher", state="queued", attempt=part["attempt"]
                ),
            )
        yield from _note(ids, now, provider, row["did"], "lifted", "")
    return tuple(Hold(row["hold"]) for row in rows)


def lock(ids: Ids, now: datetime, did: Did, words: Words) -> Transaction[bool]:
    """Nothing leaves from this number, or from any (`EVERY_NUMBER`), from now on. False if it was so already."""
    row = HoldRow(
        provider=ANY_ACCOUNT, did=did, hold=Hold.LOCKDOWN, reason=Reason.LOCKED, code="lockdown", words=words,
        since=now, probes=0,
    )  # fmt: skip
    if (yield sql("SELECT 1 AS one FROM hold WHERE provider = $1 AND did = $2", ANY_ACCOUNT, did)):
        return False
    yield from put_on(ids, now, row, timedelta())
    return True


def unlock(ids: Ids, now: datetime, did: Did) -> Transaction[bool]:
    """The lockdown of a number, or the one of all, is over. False if there was none."""
    rows = yield sql(
        "DELETE FROM hold WHERE provider = $1 AND did = $2 AND hold = 'lockdown' RETURNING did", ANY_ACCOUNT, did
    )
    if rows:
        yield from _note(ids, now, ANY_ACCOUNT, did, "lifted", "lockdown")
    return bool(rows)


def locked(did: Did) -> Transaction[Words | None]:
    """Why nothing leaves from a number, in words; None if it is not locked."""
    rows = yield sql(
        "SELECT words FROM hold WHERE provider = $1 AND did IN ('', $2) AND hold = 'lockdown' ORDER BY did LIMIT 1",
        *(ANY_ACCOUNT, did),
    )
    return unpack(rows[0]["words"]) if rows else None


def probe_soon(now: datetime, provider: ProviderName) -> Transaction[None]:
    """The carrier's fault may have been mended: it is probed now, and not only when it was due."""
    yield sql(
        "UPDATE hold SET probe_at = $2 WHERE provider = $1 AND probe_at > $2"
        " AND hold NOT IN ('lockdown', 'restore', 'pause')",
        *(provider, to_ms(now)),
    )


def probe_instead(now: datetime, provider: ProviderName, did: Did) -> Transaction[None]:
    """The part that was to probe this account or line may not leave at all: another one does, at once."""
    yield sql(
        "UPDATE hold SET probe_at = $3 WHERE provider = $1 AND did IN ('', $2)"
        " AND hold NOT IN ('lockdown', 'restore', 'pause')",
        *(provider, did, to_ms(now)),
    )


def current() -> Transaction[tuple[HoldRow, ...]]:
    """All holds that are on."""
    rows = yield sql("SELECT * FROM hold ORDER BY since")
    return tuple(
        HoldRow(
            provider=ProviderName(row["provider"]),
            did=Did(row["did"]),
            hold=Hold(row["hold"]),
            reason=row["reason"],
            code=row["code"],
            words=unpack(row["words"]),
            since=from_ms(row["since"]),
            probes=row["probes"],
        )
        for row in rows
    )


def _note(ids: Ids, now: datetime, provider: str, did: str, state: str, code: str) -> Transaction[None]:
    yield from history.note(
        ids,
        now,
        history.Step(subject="hold", subject_id=f"{provider}/{did}", who="dispatcher", state=state, code=code),
    )
