"""Attachments: `wanted ─▶ fetched ─▶ published | given_up`. Only the last step makes a delivery.

`due_at` is when one is looked at next, `attempt` counts what failed, `file` says that its bytes are kept as a file. The
bytes of one that came inside a callback are rows, from the commit that takes its text to that of the last step: it is
`fetched` from the start, and its own id stands for the address that it never had.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.message import InboxId, MediaId, ProviderName
from smsbridge.core.state import MediaState
from smsbridge.store import history
from smsbridge.store.database import Row, Transaction, sql, sql_rows
from smsbridge.store.ids import Ids

# between two tries; what waits longer, or was never tried, does so by a clock that was set back
LONGEST_WAIT: Final = timedelta(minutes=31)
PIECE: Final = 3 * 64 * 1024  # bytes in a row, a multiple of 3: base64 of the whole is that of the pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An attachment on its way, and the text that it came with."""

    id: MediaId
    inbox_id: InboxId
    url: str
    state: MediaState
    attempt: int
    provider: ProviderName
    did: Did
    peer: Peer
    sent_at: datetime | None
    taken_at: datetime
    addressees: tuple[str, ...] = ()  # none is known of a text that no line took

    @property
    def link(self) -> str:
        """The carrier's; "" if it has none."""
        return "" if self.url == self.id else self.url


def due(now: datetime, limit: int) -> Transaction[tuple[Wanted, ...]]:
    """Those whose time has come, or is later than it ever is, the oldest first."""
    rows = yield sql(
        "SELECT m.id, m.inbox_id, m.url, m.state, m.attempt, i.provider, i.did, i.peer, i.sent_at, i.taken_at,"
        " m.addressees FROM media m JOIN inbox i ON i.id = m.inbox_id WHERE m.state IN ('wanted', 'fetched')"
        " AND (m.due_at <= $1 OR m.attempt = 0 OR m.due_at > $3) ORDER BY m.due_at, m.id LIMIT $2",
        *(to_ms(now), limit, to_ms(now + LONGEST_WAIT)),
    )
    return tuple(map(_wanted, rows))


def address(media_id: MediaId, jids: Sequence[str]) -> Transaction[None]:
    """It is for these people, whoever has the number later."""
    yield sql("UPDATE media SET addressees = $2 WHERE id = $1", media_id, " ".join(jids))


def next_due() -> Transaction[datetime | None]:
    """When the next one is looked at."""
    (row,) = yield sql("SELECT min(due_at) AS at FROM media WHERE state IN ('wanted', 'fetched')")
    return None if row["at"] is None else from_ms(row["at"])


def kept() -> Transaction[frozenset[MediaId]]:
    """Those whose bytes are kept."""
    rows = yield sql("SELECT id FROM media WHERE state IN ('wanted', 'fetched') AND file <> ''")
    return frozenset(MediaId(row["id"]) for row in rows)


def fetched(ids: Ids, now: datetime, media_id: MediaId, mime: str, size: int) -> Transaction[bool]:
    """Its bytes are kept under its id."""
    rows = yield sql(
        "UPDATE media SET state = 'fetched', file = id, mime = $2, size = $3, attempt = 0, changed_at = $4"
        " WHERE id = $1 AND state = 'wanted' RETURNING attempt",
        *(media_id, mime, size, to_ms(now)),
    )
    yield from _note(ids, now, rows, media_id, MediaState.FETCHED, "attachments")
    return bool(rows)


def keep(media_id: MediaId, content: bytes) -> Transaction[None]:
    """The bytes of an attachment, as rows."""
    pieces = (content[start : start + PIECE] for start in range(0, len(content) or 1, PIECE))
    yield from sql_rows(
        "INSERT INTO media_piece (media_id, n, data) VALUES $rows",
        [(media_id, n, base64.b64encode(piece).decode()) for n, piece in enumerate(pieces)],
    )


def content_of(media_id: MediaId) -> Transaction[bytes | None]:
    """The bytes that are kept as rows; None if there are none."""
    rows = yield sql("SELECT data FROM media_piece WHERE media_id = $1 ORDER BY n", media_id)
    return b"".join(base64.b64decode(row["data"]) for row in rows) if rows else None


def publish(ids: Ids, now: datetime, media_id: MediaId, url: str, who: str = "inbound") -> Transaction[bool]:
    """The attachment can be had at `url` from now on. False if that was settled before."""
    rows = yield sql(
        "UPDATE media SET state = 'published', published_url = $2, file = '', changed_at = $3"
        " WHERE id = $1 AND state IN ('wanted', 'fetched') RETURNING attempt",
        *(media_id, url, to_ms(now)),
    )
    yield from _settle(ids, now, rows, media_id, MediaState.PUBLISHED, who)
    return bool(rows)


def give_up(ids: Ids, now: datetime, media_id: MediaId, reason: str) -> Transaction[bool]:
    """It will not be had. False if that was settled before."""
    rows = yield sql(
        "UPDATE media SET state = 'given_up', reason = $2, file = '', changed_at = $3"
        " WHERE id = $1 AND state IN ('wanted', 'fetched') RETURNING attempt",
        *(media_id, reason, to_ms(now)),
    )
    yield from _settle(ids, now, rows, media_id, MediaState.GIVEN_UP, "attachments", reason)
    return bool(rows)


def put_off(now: datetime, media_id: MediaId, reason: str, due_at: datetime) -> Transaction[None]:
    """It is tried again at `due_at`."""
    yield sql(
        "UPDATE media SET attempt = attempt + 1, reason = $2, due_at = $3, changed_at = $4"
        " WHERE id = $1 AND state IN ('wanted', 'fetched')",
        *(media_id, reason, to_ms(due_at), to_ms(now)),
    )


def _settle(
    ids: Ids, now: datetime, rows: Sequence[Row], media_id: MediaId, state: MediaState, who: str, code: str = ""
) -> Transaction[None]:
    """The last step: its bytes are nowhere here any more."""
    if rows:
        yield sql("DELETE FROM media_piece WHERE media_id = $1", media_id)
    yield from _note(ids, now, rows, media_id, state, who, code)


def _note(
    ids: Ids, now: datetime, rows: Sequence[Row], media_id: MediaId, state: MediaState, who: str, code: str = ""
) -> Transaction[None]:
    steps = [
        history.Step(subject="media", subject_id=media_id, who=who, state=state, attempt=row["attempt"], code=code)
        for row in rows
    ]
    if steps:
        yield from history.note(ids, now, *steps)


def _wanted(row: Row) -> Wanted:
    return Wanted(
        id=MediaId(row["id"]),
        inbox_id=InboxId(row["inbox_id"]),
        url=row["url"],
        state=MediaState(row["state"]),
        attempt=row["attempt"],
        provider=ProviderName(row["provider"]),
        did=Did(row["did"]),
        peer=Peer(row["peer"]),
        sent_at=from_ms(row["sent_at"]) if row["sent_at"] is not None else None,
        taken_at=from_ms(row["taken_at"]),
        addressees=tuple(row["addressees"].split()),
    )
