"""Attachments: `wanted ─▶ fetched ─▶ published | given_up`. Only the last step makes a delivery."""

from datetime import datetime

from smsbridge.clock import to_ms
from smsbridge.core.message import MediaId
from smsbridge.core.state import MediaState
from smsbridge.store import history
from smsbridge.store.database import Transaction, sql
from smsbridge.store.ids import Ids


def publish(ids: Ids, now: datetime, media_id: MediaId, url: str) -> Transaction[bool]:
    """The attachment can be had at `url` from now on. False if that was settled before."""
    rows = yield sql(
        "UPDATE media SET state = 'published', published_url = $2, changed_at = $3"
        " WHERE id = $1 AND state IN ('wanted', 'fetched') RETURNING attempt",
        *(media_id, url, to_ms(now)),
    )
    for row in rows:
        step = history.Step(
            subject="media", subject_id=media_id, who="inbound", state=MediaState.PUBLISHED, attempt=row["attempt"]
        )
        yield from history.note(ids, now, step)
    return bool(rows)
