"""What is forgotten, and when: bodies soon, the trail later, the keys that stop repeats last.

    place ─forget─▶ place ─forget─▶ … ─▶ None          a slice of rows each, so that nobody waits for long

An id tells when its row was made, so a rule goes through the ids before its day, and looks at the rows for the rest.
A row goes only together with the rows it belongs to: a message with all its parts, media with their text. What still
waits is never touched, and nothing is forgotten that a server may still have to be handed again. Of a text its hash is
kept as long as its key: it tells a repeat, and to who guesses the text, that the guess is right.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.clock import to_ms
from smsbridge.store.database import Transaction, sql
from smsbridge.store.ids import least_id

SLICE: Final = 250  # rows: to delete so many takes 10 ms or so in a file of a million


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """How long things are kept after they ended. Bodies of no time at all go as soon as their arrival is proved."""

    bodies: timedelta = timedelta(days=7)
    troubled_bodies: timedelta = timedelta(days=30)
    rows: timedelta = timedelta(days=90)
    inbox_keys: timedelta = timedelta(days=180)
    outbox_keys: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far forgetting has come: which rule, and the last row that it has seen."""

    rule: int = 0
    after: str = ""


BEGIN: Final = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """`text` for the rows of `table` with ids after $1 up to $2.

    $3 is their day, $4 that of what met trouble, $5 that of what may be asked for, or have to be handed, once more.
    """

    table: str
    span: str
    text: str


_BODIES: Final = (
    _Rule(
        table="delivery",
        span="bodies",
        # without its bytes it cannot be handed again, whatever becomes of its server
        text="UPDATE delivery SET body = '', xml = NULL, media_url = '', proved_at = COALESCE(proved_at, $3)"
        " WHERE id > $1 AND id <= $2 AND (body <> '' OR media_url <> '' OR xml IS NOT NULL)"
        " AND ((state = 'handed' AND handed_at < $3 AND proved_at IS NOT NULL AND kind NOT IN ('receipt', 'error'))"
        " OR (state = 'handed' AND handed_at < $5)"
        " OR (state IN ('quarantined', 'bounced') AND created_at < $4))",
    ),
    _Rule(
        table="inbox",
        span="bodies",
        text="UPDATE inbox SET text = NULL WHERE id > $1 AND id <= $2 AND taken_at < $3 AND text IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = inbox.id AND (d.state IN ('waiting', 'handing')"
        " OR (d.state IN ('quarantined', 'bounced') AND d.created_at >= $4)))",
    ),
    _Rule(
        table="outbox",
        span="bodies",
        text="UPDATE outbox SET text = NULL, media = '[]', fingerprint = '' WHERE id > $1 AND id <= $2"
        " AND text IS NOT NULL AND ((changed_at < $3 AND state IN ('sent', 'delivered', 'cancelled')"
        # what was cancelled behind a doubt may still be wanted
        " AND NOT (state = 'cancelled' AND EXISTS (SELECT 1 FROM outbox o WHERE o.message_id = outbox.message_id"
        " AND o.state = 'unsure' AND o.changed_at >= $4)))"
        " OR (changed_at < $4 AND state IN ('failed', 'unsure', 'expired')))",
    ),
    _Rule(
        table="media",
        span="bodies",
        # its own id, since no two of a text may be alike
        text="UPDATE media SET url = id, published_url = '' WHERE id > $1 AND id <= $2 AND changed_at < $3"
        " AND (url <> id OR published_url <> '') AND state IN ('published', 'given_up')"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = media.inbox_id"
        " AND d.state IN ('waiting', 'handing'))",
    ),
    _Rule(
        table="enclosure",
        span="bodies",
        text="UPDATE enclosure SET url = '' WHERE id > $1 AND id <= $2 AND changed_at < $3 AND url <> ''"
        " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.message_id = enclosure.message_id AND p.text IS NOT NULL)",
    ),
    _Rule(
        table="question",
        span="bodies",
        text="UPDATE question SET words = '' WHERE id > $1 AND id <= $2 AND words <> ''"
        " AND (answered_at < $3 OR asked_at < $4)",
    ),
)
_ROWS: Final = (
    _Rule(
        table="delivery",
        span="rows",
        text="DELETE FROM delivery WHERE id > $1 AND id <= $2 AND created_at < $3"
        " AND state IN ('handed', 'quarantined', 'bounced')",
    ),
    _Rule(
        table="media",
        span="rows",
        text="DELETE FROM media WHERE id > $1 AND id <= $2 AND changed_at < $3 AND state IN ('published', 'given_up')"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = media.inbox_id)",
    ),
    _Rule(
        table="inbox",
        span="rows",
        text="DELETE FROM inbox WHERE id > $1 AND id <= $2 AND taken_at < $3"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = inbox.id)"
        " AND NOT EXISTS (SELECT 1 FROM media m WHERE m.inbox_id = inbox.id)",
    ),
    _Rule(
        table="outbox",
        span="rows",
        text="DELETE FROM outbox WHERE id > $1 AND id <= $2 AND changed_at < $3 AND state IN"
        " ('sent', 'delivered', 'failed', 'cancelled', 'expired', 'unsure')"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = outbox.message_id) AND NOT EXISTS"
        " (SELECT 1 FROM outbox o WHERE o.message_id = outbox.message_id AND (o.changed_at >= $3 OR o.state IN"
        " ('queued', 'held', 'sending', 'unknown')))",
    ),
    _Rule(
        table="message",
        span="rows",
        text="DELETE FROM message WHERE id > $1 AND id <= $2 AND accepted_at < $3"
        " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.message_id = message.id)",
    ),
    _Rule(
        table="question",
        span="rows",
        # the last one stays, so that its owner's next number is another
        text="DELETE FROM question WHERE id > $1 AND id <= $2 AND asked_at < $3 AND (answered_at IS NOT NULL"
        " OR NOT EXISTS (SELECT 1 FROM outbox p WHERE p.id = question.subject OR p.message_id = question.subject))"
        " AND number < (SELECT max(q.number) FROM question q WHERE q.owner = question.owner)",
    ),
    _Rule(table="history", span="rows", text="DELETE FROM history WHERE id > $1 AND id <= $2 AND at < $3"),
)
_RULES: Final = _BODIES + _ROWS
_KEYS: Final = (("inbox_key", "inbox_keys"), ("elsewhere_key", "inbox_keys"), ("outbox_key", "outbox_keys"))


def forget(now: datetime, spans: Spans, place: Place) -> Transaction[Place | None]:
    """Empty the bodies and delete the rows of one slice whose time is over. Where to go on; None at the end."""
    if place.rule < len(_RULES):
        rule = _RULES[place.rule]
        last = yield from _apply(rule, now, spans, place.after)
        return Place(rule=place.rule, after=last) if last else Place(rule=place.rule + 1)
    table, span = _KEYS[place.rule - len(_RULES)]
    rows = yield sql(
        f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)"  # noqa: S608
        " RETURNING key",
        *(to_ms(now - getattr(spans, span)), SLICE),
    )
    if len(rows) == SLICE:
        return place
    following = Place(rule=place.rule + 1)
    return following if following.rule < len(_RULES) + len(_KEYS) else None


def _apply(rule: _Rule, now: datetime, spans: Spans, after: str) -> Transaction[str]:
    """Apply a rule to the slice after a row. The last row of the slice; "" if there is none."""
    day: datetime = now - getattr(spans, rule.span)
    slice_ = yield sql(
        f"SELECT max(id) AS id FROM (SELECT id FROM {rule.table} WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3)"  # noqa: S608
        " AS slice",
        *(after, least_id(day), SLICE),
    )
    last: str = slice_[0]["id"] or ""
    if last:
        days = (day, now - spans.troubled_bodies, now - max(spans.bodies, spans.outbox_keys))
        used = [to_ms(one) for number, one in enumerate(days, start=3) if f"${number}" in rule.text]
        yield sql(rule.text, after, last, *used)
    return last
