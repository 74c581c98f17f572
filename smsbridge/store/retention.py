"""What is forgotten, and when: bodies soon, the trail later, the keys that stop repeats last."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsbridge.clock import to_ms
from smsbridge.store.database import Transaction, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """How long things are kept after they ended."""

    bodies: timedelta = timedelta(days=7)
    troubled_bodies: timedelta = timedelta(days=30)
    rows: timedelta = timedelta(days=90)
    inbox_keys: timedelta = timedelta(days=180)
    outbox_keys: timedelta = timedelta(days=7)


def forget(now: datetime, spans: Spans) -> Transaction[None]:
    """Empty the bodies and delete the rows whose time is over. What still waits is never touched.

    A row goes only together with the rows it belongs to: a message with all its parts, media with their text.
    """
    bodies, troubled = to_ms(now - spans.bodies), to_ms(now - spans.troubled_bodies)
    yield sql(
        "UPDATE delivery SET body = '', xml = NULL, media_url = ''"
        " WHERE (body <> '' OR media_url <> '' OR xml IS NOT NULL) AND ((state = 'handed' AND handed_at < $1)"
        " OR (state IN ('quarantined', 'bounced') AND created_at < $2))",
        *(bodies, troubled),
    )
    yield sql(
        "UPDATE inbox SET text = NULL WHERE taken_at < $1 AND text IS NOT NULL AND NOT EXISTS (SELECT 1 FROM delivery d"
        " WHERE d.inbox_id = inbox.id AND (d.state IN ('waiting', 'handing') OR (d.state IN ('quarantined', 'bounced')"
        " AND d.created_at >= $2)))",
        *(bodies, troubled),
    )
    yield sql(
        "UPDATE outbox SET text = NULL, media = '[]' WHERE text IS NOT NULL AND ((changed_at < $1 AND state IN"
        " ('sent', 'delivered', 'cancelled')) OR (changed_at < $2 AND state IN ('failed', 'unsure', 'expired')))",
        *(bodies, troubled),
    )
    yield from _delete_rows(to_ms(now - spans.rows))
    yield sql("DELETE FROM inbox_key WHERE seen_at < $1", to_ms(now - spans.inbox_keys))
    yield sql("DELETE FROM outbox_key WHERE seen_at < $1", to_ms(now - spans.outbox_keys))


def _delete_rows(before: int) -> Transaction[None]:
    yield sql("DELETE FROM delivery WHERE created_at < $1 AND state IN ('handed', 'quarantined', 'bounced')", before)
    yield sql(
        "DELETE FROM media WHERE changed_at < $1 AND state IN ('published', 'given_up')"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = media.inbox_id)",
        before,
    )
    yield sql(
        "DELETE FROM inbox WHERE taken_at < $1 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = inbox.id)"
        " AND NOT EXISTS (SELECT 1 FROM media m WHERE m.inbox_id = inbox.id)",
        before,
    )
    yield sql(
        "DELETE FROM outbox WHERE changed_at < $1 AND state IN ('sent', 'delivered', 'failed', 'cancelled', 'expired',"
        " 'unsure') AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = outbox.message_id) AND NOT EXISTS"
        " (SELECT 1 FROM outbox o WHERE o.message_id = outbox.message_id AND (o.changed_at >= $1 OR o.state IN"
        " ('queued', 'held', 'sending', 'unknown')))",
        before,
    )
    yield sql(
        "DELETE FROM message WHERE accepted_at < $1"
        " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.message_id = message.id)",
        before,
    )
    yield sql("DELETE FROM history WHERE at < $1", before)
