"""Is a text in a carrier's list of what was sent one of ours? What was judged is known for as long as inbound keys.

    its id is a part's ─▶ ours, but if it is another part's text: then the carrier told the first a wrong id
    a part is under way, or nobody knows of it ─▶ open: ask again
    a part that is unsure says the same ─▶ found       a part was tried that says the same, and has no id ─▶ ours
    else ─▶ elsewhere

So is a part found that is held back after a restore, in what was sent after the backup, in which it still waited: as
far as can be told, for a list's clock may be hours off. The last but one is a late acceptance: of an attempt that was
given up, and of which the carrier did not tell us. A house that was restored does not know what it has sent since the
backup: until an admin has spoken all else counts as ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.message import PartId, SentElsewhere
from smsbridge.core.state import PartState
from smsbridge.core.text import is_alike
from smsbridge.store import outbox, restoring
from smsbridge.store.database import Row, Transaction, sql
from smsbridge.store.ids import Ids

SKEW: Final = timedelta(hours=2)  # a list's clock may be an hour off, and ours a little
LATEST: Final = timedelta(days=1)  # after so long no carrier takes an attempt that it did not answer


class Origin(StrEnum):
    KNOWN = "known"  # it was judged before
    OURS = "ours"
    FOUND = "found"  # it is a part that was unsure
    OPEN = "open"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`key` names the text for ever; `part` is the one that was found."""

    origin: Origin
    key: str
    part: PartId | None = None


def key_of(text: SentElsewhere) -> str:
    """What names it for ever."""
    return f"{text.provider}\x1fsent\x1f{text.kind}\x1f{text.did}\x1f{text.provider_id}"


def judge(ids: Ids, now: datetime, text: SentElsewhere) -> Transaction[Judged]:
    """Whose it is, as far as can be told now."""
    key = key_of(text)
    if (yield sql("SELECT 1 AS one FROM elsewhere_key WHERE key = $1", key)):
        return Judged(origin=Origin.KNOWN, key=key)
    holder = yield from outbox.part_with(text.provider, text.kind, text.provider_id)
    if holder is not None:
        if not (yield from _is_told_wrongly(now, text, holder)):
            return Judged(origin=Origin.OURS, key=key)
        yield from outbox.disown(ids, now, holder, text.provider_id)
    under_way = yield sql(
        "SELECT 1 AS one FROM outbox WHERE did = $1 AND peer = $2 AND state IN ('sending', 'unknown')",
        *(text.did, text.peer),
    )
    if under_way:
        return Judged(origin=Origin.OPEN, key=key)
    at = text.sent_at or now
    held_back = yield sql(
        "SELECT id, message_id, text FROM outbox WHERE did = $1 AND peer = $2"
        " AND state IN ('queued', 'held', 'sending', 'unknown')"
        " AND state = 'held' AND hold = 'restore' AND provider = $3 AND queued_at <= $4 ORDER BY id",
        *(text.did, text.peer, text.provider, to_ms(at + SKEW)),
    )
    made_at = (yield from restoring.made_at(text.provider)) if held_back else None
    for row in held_back:
        if (made_at is None or made_at <= at + SKEW) and (yield from _says(row, text)):
            return Judged(origin=Origin.FOUND, key=key, part=PartId(row["id"]))
    if (yield sql("SELECT 1 AS one FROM hold WHERE provider = $1 AND hold = 'restore'", text.provider)):
        yield from remember(now, key)
        return Judged(origin=Origin.OURS, key=key)
    tried = yield sql(
        "SELECT p.id, p.state, p.text, p.claimed_at, p.provider_id, (SELECT count(*) FROM history h"
        " WHERE h.subject_id = p.id AND h.state = 'unknown') AS doubts FROM outbox p WHERE p.did = $1 AND p.peer = $2"
        " AND p.claimed_at >= $3 AND p.claimed_at <= $4 AND p.claimed_at IS NOT NULL AND p.provider = $5"
        " ORDER BY p.claimed_at",
        *(text.did, text.peer, to_ms(at - LATEST), to_ms(at + SKEW), text.provider),
    )
    return _compare(now, text, key, tried)


def _is_told_wrongly(now: datetime, text: SentElsewhere, holder: PartId) -> Transaction[bool]:
    """Whether a carrier gave a part the id of another part, which left to somebody else."""
    same = "SELECT 1 AS one FROM outbox WHERE id = $1 AND did = $2 AND peer = $3"
    if (yield sql(same, holder, text.did, text.peer)):
        return False
    at = text.sent_at or now
    others = yield sql(
        "SELECT text FROM outbox WHERE did = $1 AND peer = $2 AND provider_id IS NULL AND provider = $3"
        " AND claimed_at >= $4 AND claimed_at <= $5 AND claimed_at IS NOT NULL",
        *(text.did, text.peer, text.provider, to_ms(at - LATEST), to_ms(at + SKEW)),
    )
    return any(is_alike(row["text"] or "", text.text) for row in others)


def remember(now: datetime, key: str) -> Transaction[None]:
    """This was judged."""
    yield sql("INSERT INTO elsewhere_key (key, seen_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", key, to_ms(now))


def _says(row: Row, text: SentElsewhere) -> Transaction[bool]:
    """Whether a part may have left as this: its files may have gone as links, beneath the words."""
    words = row["text"] or ""
    if is_alike(words, text.text):
        return True
    files = yield sql("SELECT url FROM enclosure WHERE message_id = $1 ORDER BY n", row["message_id"])
    links = [file["url"] for file in files if file["url"] and file["url"] in text.text]
    return bool(links) and is_alike("\n".join([*([words] if words else []), *links]), text.text)


def _compare(now: datetime, text: SentElsewhere, key: str, tried: Sequence[Row]) -> Judged:
    unsure = [row for row in tried if row["state"] == PartState.UNSURE]
    for row in unsure:
        if row["text"] is not None and is_alike(row["text"], text.text):
            return Judged(origin=Origin.FOUND, key=key, part=PartId(row["id"]))
    for row in tried:
        is_without_id = row["provider_id"] is None or row["doubts"]
        if row not in unsure and is_without_id and is_alike(row["text"] or "", text.text):
            return Judged(origin=Origin.OURS, key=key)
    at = text.sent_at or now
    if any(now - from_ms(row["claimed_at"]) < LATEST and from_ms(row["claimed_at"]) > at - SKEW for row in unsure):
        return Judged(origin=Origin.OPEN, key=key)  # a carrier may have made another text of it
    return Judged(origin=Origin.ELSEWHERE, key=key)
