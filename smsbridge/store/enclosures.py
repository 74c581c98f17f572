"""Files that go out with a text: `wanted ─▶ kept | linked | refused`. The text leaves when none of them is wanted.

They are wanted from the commit that takes the text. `due_at` is when one is looked at next, nothing while no part waits
for it. Those that are `kept` have their bytes beside the database, under their ids, until nobody needs them any more;
bytes that are not there are wanted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import to_ms
from smsbridge.core.enclosures import Done, Why
from smsbridge.core.message import EnclosureId, Kind, Media, MessageId, Part, PartId, ProviderName
from smsbridge.core.segments import count
from smsbridge.core.state import EnclosureState
from smsbridge.store import heads, history
from smsbridge.store.database import Row, Transaction, sql, sql_among
from smsbridge.store.ids import Ids
from smsbridge.store.outbox import media_text, part_of

LONGEST_WAIT: Final = timedelta(minutes=2)  # between two tries; what waits longer does so by a clock that was set back
_EXPLAINED: Final = frozenset({EnclosureState.LINKED, EnclosureState.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to be fetched, for a text of this account."""

    id: EnclosureId
    message_id: MessageId
    url: str
    attempt: int
    provider: ProviderName


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file of a text; `part_id` is the part that it has gone into, "" before that is settled."""

    id: EnclosureId
    url: str
    mime: str
    size: int | None
    state: EnclosureState
    done: Done
    why: Why | None
    part_id: str

    @property
    def media(self) -> Media:
        return Media(url=self.url, mime=self.mime, size=self.size, file=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to become of a file: what was `done` to it, and `why` it goes as its link, or not at all."""

    state: EnclosureState
    mime: str = ""
    size: int | None = None
    done: Done = Done.NOTHING
    why: Why | None = None


def wish(ids: Ids, now: datetime, message_id: MessageId, media: Sequence[Media], *, is_due: bool) -> Transaction[None]:
    """Want these for a text; `is_due`: at once, else when its writer has said that it is meant."""
    for n, item in enumerate(media, start=1):
        yield sql(
            "INSERT INTO enclosure (id, message_id, n, url, mime, size, state, attempt, due_at, file, done, reason,"
            " part_id, changed_at) VALUES ($1, $2, $3, $4, '', NULL, 'wanted', 0, $5, '', '', '', '', $6)",
            *(ids.new(), message_id, n, item.url, to_ms(now) if is_due else None, to_ms(now)),
        )


def due(now: datetime, limit: int) -> Transaction[tuple[Wanted, ...]]:
    """Those whose time has come, or is later than it ever is, and that a part waits for; the others are let go."""
    rows = yield sql(
        "SELECT e.id, e.message_id, e.url, e.attempt, p.provider, p.n FROM enclosure e LEFT JOIN outbox p"
        " ON p.message_id = e.message_id AND p.state = 'held' AND p.hold = 'media' WHERE e.due_at IS NOT NULL"
        " AND (e.due_at <= $1 OR e.due_at > $2) ORDER BY e.due_at, e.id, p.n LIMIT $3",
        *(to_ms(now), to_ms(now + LONGEST_WAIT), limit),
    )
    idle = sorted({row["id"] for row in rows if row["provider"] is None})
    yield from sql_among("UPDATE enclosure SET due_at = NULL WHERE id IN $among", idle)
    found = {row["id"]: row for row in rows if row["provider"] is not None}
    return tuple(
        Wanted(
            id=EnclosureId(row["id"]),
            message_id=MessageId(row["message_id"]),
            url=row["url"],
            attempt=row["attempt"],
            provider=ProviderName(row["provider"]),
        )
        for row in found.values()
    )


def next_due() -> Transaction[int | None]:
    """When the next one is looked at, in epoch milliseconds."""
    (row,) = yield sql("SELECT min(due_at) AS at FROM enclosure WHERE due_at IS NOT NULL")
    at: int | None = row["at"]
    return at


def of_message(message_id: MessageId) -> Transaction[tuple[Enclosure, ...]]:
    """All files of a text, in order."""
    rows = yield sql("SELECT * FROM enclosure WHERE message_id = $1 ORDER BY n", message_id)
    return tuple(map(_enclosure, rows))


def settle(ids: Ids, now: datetime, enclosure_id: EnclosureId, verdict: Verdict) -> Transaction[bool]:
    """What becomes of a file that was wanted. False if that was settled before."""
    file = enclosure_id if verdict.state is EnclosureState.KEPT else ""
    rows = yield sql(
        "UPDATE enclosure SET state = $2, mime = $3, size = $4, file = $5, done = $6, reason = $7, due_at = NULL,"
        " changed_at = $8 WHERE id = $1 AND state = 'wanted' RETURNING attempt",
        *(enclosure_id, verdict.state, verdict.mime, verdict.size, file, verdict.done, verdict.why or "", to_ms(now)),
    )
    steps = [
        history.Step(
            subject="enclosure", subject_id=enclosure_id, who="enclosures", state=verdict.state,
            attempt=row["attempt"], code=verdict.why or verdict.done,
        )
        for row in rows
    ]  # fmt: skip
    if steps:
        yield from history.note(ids, now, *steps)
    return bool(rows)


def put_off(now: datetime, one: Wanted, reason: str, due_at: datetime, *, is_all: bool) -> Transaction[None]:
    """It is tried again at `due_at`; `is_all`: the other files of its text no sooner."""
    yield sql(
        "UPDATE enclosure SET attempt = attempt + 1, reason = $2, due_at = $3, changed_at = $4"
        " WHERE id = $1 AND state = 'wanted'",
        *(one.id, reason, to_ms(due_at), to_ms(now)),
    )
    if is_all:
        yield sql(
            "UPDATE enclosure SET due_at = $2 WHERE message_id = $1 AND state = 'wanted' AND due_at < $2",
            *(one.message_id, to_ms(due_at)),
        )


def want(now: datetime, message_id: MessageId) -> Transaction[bool]:
    """A part of this text waits for its files from now on. False if none is wanted."""
    rows = yield sql(
        "UPDATE enclosure SET due_at = $2 WHERE message_id = $1 AND state = 'wanted' RETURNING id",
        *(message_id, to_ms(now)),
    )
    return bool(rows)


def want_again(now: datetime, part: Part, due_at: datetime) -> Transaction[None]:
    """The bytes of a part's files are not where they were kept."""
    yield from sql_among(
        "UPDATE enclosure SET state = 'wanted', file = '', attempt = 0, due_at = $1, changed_at = $2"
        " WHERE id IN $among",
        [item.file for item in part.media if item.file],
        *(to_ms(due_at), to_ms(now)),
    )


def went_into(part_id: PartId, files: Sequence[Media]) -> Transaction[None]:
    """These files leave with this part."""
    yield from sql_among("UPDATE enclosure SET part_id = $1 WHERE id IN $among", [item.file for item in files], part_id)


def waiting(message_id: MessageId) -> Transaction[tuple[Part, ...]]:
    """The parts of a text that wait for its files, in order."""
    rows = yield sql(
        "SELECT * FROM outbox WHERE message_id = $1 AND state = 'held' AND hold = 'media' ORDER BY n", message_id
    )
    return tuple(part_of(row, row["attempt"]) for row in rows)


def fill(part_id: PartId, kind: Kind, text: str, media: Sequence[Media], of: int) -> Transaction[None]:
    """What a part is, now that its files are there; before it was ever claimed."""
    yield sql(
        "UPDATE outbox SET kind = $2, text = $3, media = $4, of_n = $5, segments = $6 WHERE id = $1"
        " AND state = 'held' AND attempt = 0",
        *(part_id, kind, text, media_text(media), of, 1 if kind is Kind.MMS else count(text).segments),
    )


def refill(part_id: PartId, media: Sequence[Media]) -> Transaction[None]:
    """The files of a part are there again."""
    yield sql("UPDATE outbox SET media = $2 WHERE id = $1 AND state = 'held'", part_id, media_text(media))


def drop_spare(parts: Sequence[Part]) -> Transaction[None]:
    """Parts that were kept free for what did not come; the place of a part in its conversation was theirs as well."""
    yield from sql_among(
        "DELETE FROM outbox WHERE id IN $among AND state = 'held' AND attempt = 0", [part.id for part in parts]
    )
    yield from heads.renew((part.did, part.peer) for part in parts)


def let_go() -> Transaction[tuple[EnclosureId, ...]]:
    """Forget the bytes that no part will ask for any more, and tell which they are."""
    rows = yield sql(
        "UPDATE enclosure SET file = '' WHERE file <> '' AND NOT EXISTS (SELECT 1 FROM outbox p"
        " WHERE p.message_id = enclosure.message_id AND p.state IN ('queued', 'held', 'sending', 'unknown', 'unsure')"
        " AND p.text IS NOT NULL) RETURNING id"
    )
    return tuple(EnclosureId(row["id"]) for row in rows)


def kept() -> Transaction[frozenset[EnclosureId]]:
    """Those whose bytes are kept."""
    rows = yield sql("SELECT id FROM enclosure WHERE file <> ''")
    return frozenset(EnclosureId(row["id"]) for row in rows)


def _enclosure(row: Row) -> Enclosure:
    return Enclosure(
        id=EnclosureId(row["id"]),
        url=row["url"],
        mime=row["mime"],
        size=row["size"],
        state=EnclosureState(row["state"]),
        done=Done(row["done"]),
        why=Why(row["reason"]) if row["reason"] and row["state"] in _EXPLAINED else None,
        part_id=row["part_id"],
    )
