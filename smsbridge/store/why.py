"""What became of a text: its rows and their trail, found by an id or by a number. No content."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms
from smsbridge.store.snapshot import Snapshot

NEWEST: Final = 20  # texts of a number
_ROWS: Final = (
    "SELECT id, 'inbox' AS subject, taken_at AS at, 'taken' AS state, peer AS about FROM inbox WHERE id = $1"
    " UNION ALL SELECT id, 'message', accepted_at, 'accepted', addressed FROM message WHERE id = $1"
    " UNION ALL SELECT id, 'part', queued_at, state, peer FROM outbox WHERE id = $1 OR message_id = $1"
    " UNION ALL SELECT id, 'delivery', created_at, state, kind FROM delivery WHERE id = $1 OR message_id = $1"
    " OR inbox_id = $1 OR stanza_id = $1"
    " UNION ALL SELECT id, 'file', changed_at, state, done FROM enclosure WHERE id = $1 OR message_id = $1"
)
_NUMBER: Final = (
    "SELECT id, 'in' AS way, taken_at AS at, did, '' AS state FROM inbox WHERE peer = $1 OR did = $1"
    " UNION ALL SELECT message_id, 'out', queued_at, did, state FROM outbox WHERE peer = $1 OR did = $1"
    " ORDER BY at DESC LIMIT $2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A step of the trail, or a row as it is now."""

    at: datetime
    subject: str
    id: str
    words: str


async def trail(snapshot: Snapshot, row_id: str) -> AsyncIterator[Line]:
    """The rows that an id stands for, and each step of theirs, oldest first."""
    rows = [row async for row in snapshot.rows(_ROWS, row_id)]
    found = [
        Line(at=from_ms(row["at"]), subject=row["subject"], id=row["id"], words=f"made; now {row['state']}")
        for row in rows
    ]
    for subject_id in dict.fromkeys([row_id, *(row["id"] for row in rows)]):
        async for step in snapshot.rows("SELECT * FROM history WHERE subject_id = $1 ORDER BY id", subject_id):
            about = [
                f"attempt {step['attempt']}" if step["attempt"] else "",
                step["reason"],
                step["code"],
                f"carrier's id {step['provider_id']}" if step["provider_id"] else "",
            ]
            words = ", ".join(filter(None, (f"{step['state']} by {step['who']}", *about)))
            found.append(Line(at=from_ms(step["at"]), subject=step["subject"], id=subject_id, words=words))
    for line in sorted(found, key=lambda line: line.at):
        yield line


async def of_number(snapshot: Snapshot, number: str) -> AsyncIterator[Line]:
    """The newest texts with a number, ours or a peer's."""
    async for row in snapshot.rows(_NUMBER, number, NEWEST):
        words = f"{row['way']} over …{row['did'][-2:]} {row['state']}".rstrip()
        yield Line(at=from_ms(row["at"]), subject="text", id=row["id"], words=words)


async def audits(snapshot: Snapshot) -> AsyncIterator[Line]:
    """Who has read or taken out whose texts, and when."""
    async for step in snapshot.rows("SELECT * FROM history WHERE subject = 'audit' ORDER BY id"):
        words = f"{step['state']} by {step['who']}, {step['code']}"
        yield Line(at=from_ms(step["at"]), subject="audit", id=step["subject_id"], words=words)
