"""Inbound messages: taken once, whatever a carrier repeats.

The key is (provider, kind, did, the carrier's id). A callback that does not tell its kind is stored as `?` and merged,
once, with the row of the same did, peer and text that tells it: within two minutes, or within days if the ids agree.
The same key with another text or peer is a message of its own (and an alarm): a text is never dropped because an id
was used twice. Only a carrier's list (`Source.POLL`) is known to spoil texts: its rows are told by id and peer, and
what comes after one through another door need only be alike. Without an id the sender's timestamp and the text take
its place; without either, equal texts are one for two minutes only.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from smsbridge.clock import to_ms
from smsbridge.core.message import InboundMessage, InboxId, Kind, Media, MediaId, Source
from smsbridge.core.state import MediaState
from smsbridge.core.text import is_alike, join_surrogates
from smsbridge.store.database import Row, Transaction, sql, sql_among, sql_rows
from smsbridge.store.ids import Ids, least_id
from smsbridge.store.media import keep

MERGE_WINDOW = timedelta(minutes=2)
BOTH_LISTS_WINDOW = timedelta(seconds=2)
SAME_ID_WINDOW = timedelta(days=7)  # a callback that was refused comes again every half hour


class Verdict(StrEnum):
    FRESH = "fresh"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"


class Taken(NamedTuple):
    """What taking a message came to. `key` names it for ever; `media`: attachments that were not known before."""

    id: InboxId
    key: str
    verdict: Verdict
    media: tuple[tuple[MediaId, Media], ...] = ()


def take(ids: Ids, now: datetime, message: InboundMessage) -> Transaction[Taken]:
    """Record a message, or find that it is recorded already."""
    return (yield from take_all(ids, now, [message]))[0]


def take_all(ids: Ids, now: datetime, messages: Sequence[InboundMessage]) -> Transaction[list[Taken]]:
    """Record messages; what each came to, in this order. Those that nothing resembles go in together."""
    names = ids.some(len(messages))
    asked = [_Asked.of(InboxId(name), now, message) for name, message in zip(names, messages, strict=True)]
    fresh = yield from _insert_fresh(now, (yield from _without_twins(now, _unlike(asked))))
    yield from _insert_rows(now, [one for one in asked if one.key in fresh])
    taken: list[Taken] = []
    for one in asked:
        if one.key in fresh:
            taken.append(Taken(id=one.id, key=one.key, verdict=Verdict.FRESH))  # nor can it `yield from`
        else:
            taken.append((yield from _take(ids, now, one)))
    return taken


def id_key(message: InboundMessage, kind: Kind) -> str:
    """The name of a message that has a carrier's id, if it is of this kind."""
    return f"{message.provider}\x1f{kind.value}\x1f{message.did}\x1f{message.provider_id}"


class _Asked(NamedTuple):
    """A message with its names. `said` is of sender and text, `text_hash` of the text alone."""

    id: InboxId
    key: str
    text_hash: str
    said: str
    message: InboundMessage

    @classmethod
    def of(cls, inbox_id: InboxId, now: datetime, message: InboundMessage) -> "_Asked":
        text_hash = hash_of(message.text)
        said = hash_of(f"{message.peer}\x1f{message.text}")
        key = _key(now, message, text_hash)
        if not key.isascii() or "\0" in key:
            key = join_surrogates(key).replace("\0", "\ufffd")  # as it is read back, or it would never be known again
        return cls(id=inbox_id, key=key, text_hash=text_hash, said=said, message=message)

    @property
    def resembles(self) -> tuple[str, str, str]:
        """What this has in common with its twin through the other door."""
        return self.message.did, self.message.peer, self.text_hash

    @property
    def other_keys(self) -> tuple[str, ...]:
        """Its names if it came through another door: one may not tell the kind, and a list may tell another."""
        message = self.message
        if message.provider_id and (message.kind is Kind.UNTOLD or message.source is Source.POLL):
            return tuple(id_key(message, kind) for kind in Kind if kind is not message.kind)
        return ()


def _unlike(asked: Sequence[_Asked]) -> list[_Asked]:
    """Those that nothing beside them resembles, and that come alone through the door that tells everything."""
    keys, looks = Counter([one.key for one in asked]), Counter([one.resembles for one in asked])
    others = {name for one in asked for name in one.other_keys}
    return [
        one
        for one in asked
        if not one.message.media
        and one.message.kind is not Kind.UNTOLD
        and one.message.source is not Source.POLL
        and one.key not in others
        and keys[one.key] == looks[one.resembles] == 1
    ]


def _without_twins(now: datetime, asked: Sequence[_Asked]) -> Transaction[Sequence[_Asked]]:
    """Those that did not come already through a door that does not tell the kind. Where it is told, none ever did."""
    if not (asked and (yield sql("SELECT 1 AS one FROM inbox WHERE kind = '?' AND did > '' LIMIT 1"))):
        return asked
    twins = yield from sql_rows(  # a join: SQLite looks for row values in a list by reading the whole table
        "SELECT i.did, i.peer, i.text_hash FROM (VALUES $rows) AS said JOIN inbox i ON i.did = said.column1"
        " AND i.peer = said.column2 AND i.text_hash = said.column3 AND i.kind = '?' AND i.taken_at >= $1",
        [one.resembles for one in asked],
        to_ms(now - SAME_ID_WINDOW),
    )
    alike = {(row["did"], row["peer"], row["text_hash"]) for row in twins}
    return [one for one in asked if one.resembles not in alike]


def _take(ids: Ids, now: datetime, asked: _Asked) -> Transaction[Taken]:
    """One that may be a repeat."""
    message, key, verdict = asked.message, asked.key, Verdict.FRESH
    known = yield from _remember(now, key, asked.id, asked.said)
    if known is not None and known.said != asked.said and not (yield from _is_listed_form(asked, known.id)):
        verdict, key = Verdict.CONFLICTING, f"{key}\x1f{asked.said}"
        known = yield from _remember(now, key, asked.id, asked.said)
    if known is None:
        twin = (yield from _untold_twin(now, message, asked.text_hash)) or (yield from _listed_twin(asked))
        if twin is None:
            yield from _insert_rows(now, [asked])
            media = yield from _add_media(ids, now, asked.id, message.media)
            return Taken(id=asked.id, key=key, verdict=verdict, media=media)
        yield sql("UPDATE inbox_key SET inbox_id = $2 WHERE key = $1", key, twin)
        known = _Known(id=twin, said=asked.said)
    media = yield from _add_media(ids, now, known.id, message.media)
    return Taken(id=known.id, key=key, verdict=Verdict.REPEATED, media=media)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A key that was taken before, and by what."""

    id: InboxId
    said: str


def _key(now: datetime, message: InboundMessage, text_hash: str) -> str:
    if message.provider_id:
        return id_key(message, message.kind)
    at = str(to_ms(message.sent_at)) if message.sent_at else f"about {now.timestamp() // MERGE_WINDOW.total_seconds()}"
    return f"{message.provider}\x1f{message.kind}\x1f{message.did}\x1fno id\x1f{message.peer}\x1f{at}\x1f{text_hash}"


def hash_of(text: str) -> str:
    """By which a text is known again."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _untold_twin(now: datetime, message: InboundMessage, text_hash: str) -> Transaction[InboxId | None]:
    """The same message through the other door, where one of the two did not tell its kind."""
    look = _told_alike if message.kind is Kind.UNTOLD else _untold_alike
    for row in (yield from look(now, message, text_hash)):
        if row["provider_id"] and message.provider_id and row["provider_id"] != message.provider_id:
            continue
        if row["kind"] == Kind.UNTOLD:
            yield sql(
                "UPDATE inbox SET kind = $2, provider_id = COALESCE($3, provider_id) WHERE id = $1",
                *(row["id"], message.kind, message.provider_id),
            )
        return InboxId(row["id"])
    return None


_ALIKE: Final = (
    "SELECT i.id, i.kind, i.provider_id FROM inbox i"
    " WHERE i.provider = $1 AND i.did = $2 AND i.peer = $3 AND i.text_hash = $4"
    " AND (SELECT count(*) FROM inbox_key k WHERE k.inbox_id = i.id) = 1"  # merged once only
)
_UNTOLD: Final = (
    " AND i.kind = '?' AND (i.taken_at >= $5 OR (i.taken_at >= $6 AND (i.provider_id = $7"
    " OR (i.source = 'import' AND i.sent_at >= $8 AND i.sent_at <= $9)))) ORDER BY i.id"
)
_NAMED: Final = (
    " AND i.kind <> '?' AND i.taken_at >= $5 AND i.id IN (SELECT inbox_id FROM inbox_key WHERE key IN ($6, $7))"
    " ORDER BY i.id"
)


def _untold_alike(now: datetime, message: InboundMessage, text_hash: str) -> Transaction[Sequence[Row]]:
    """Callbacks that did not tell their kind: few, and with an index of their own."""
    rows = yield sql(
        f"{_ALIKE}{_UNTOLD}",
        *(message.provider, message.did, message.peer, text_hash),
        *(to_ms(now - MERGE_WINDOW), to_ms(now - SAME_ID_WINDOW), message.provider_id),
        *(to_ms((message.sent_at or now) - MERGE_WINDOW), to_ms((message.sent_at or now) + MERGE_WINDOW)),
    )
    return rows


def _told_alike(now: datetime, message: InboundMessage, text_hash: str) -> Transaction[Sequence[Row]]:
    """By the keys that the same id has as either kind; else by what came in the last minutes, whose ids are the newest.

    An index over what all texts said would cost each of them a page.
    """
    named: Sequence[Row] = ()
    if message.provider_id:
        as_sms, as_mms = id_key(message, Kind.SMS), id_key(message, Kind.MMS)
        named = yield sql(
            f"{_ALIKE}{_NAMED}",
            *(message.provider, message.did, message.peer, text_hash, to_ms(now - SAME_ID_WINDOW)),
            *(as_sms, as_mms),
        )
    recent = yield sql(
        f"{_ALIKE} AND i.kind <> '?' AND i.taken_at >= $5 AND i.id >= $6 ORDER BY i.id",
        *(message.provider, message.did, message.peer, text_hash, to_ms(now - MERGE_WINDOW)),
        least_id(now - MERGE_WINDOW),
    )
    return [*named, *recent]


def _listed_twin(asked: _Asked) -> Transaction[InboxId | None]:
    """The same id through the other door, where one of the two is a list's, which has another form of the text."""
    rows = yield from sql_among("SELECT inbox_id FROM inbox_key WHERE key IN $among", asked.other_keys)
    for row in rows:
        if (yield from _is_listed_form(asked, InboxId(row["inbox_id"]))):
            return InboxId(row["inbox_id"])
    return (yield from _in_both_lists(asked))


def _in_both_lists(asked: _Asked) -> Transaction[InboxId | None]:
    """The same text as the other kind: some carriers list one message among their SMS and among their MMS."""
    message = asked.message
    if message.source is not Source.POLL or message.sent_at is None:
        return None
    rows = yield sql(
        "SELECT id FROM inbox WHERE did = $1 AND peer = $2 AND text_hash = $3 AND provider = $4 AND kind <> $5"
        " AND sent_at >= $6 AND sent_at <= $7 LIMIT 1",
        *(message.did, message.peer, asked.text_hash, message.provider, message.kind),
        *(to_ms(message.sent_at - BOTH_LISTS_WINDOW), to_ms(message.sent_at + BOTH_LISTS_WINDOW)),
    )
    return InboxId(rows[0]["id"]) if rows else None


def _is_listed_form(asked: _Asked, known: InboxId) -> Transaction[bool]:
    """Whether one of the two is what a list shows of the other."""
    message = asked.message
    rows = yield sql("SELECT source, kind, peer, text FROM inbox WHERE id = $1", known)
    if not rows:
        return message.source is Source.POLL
    if rows[0]["peer"] != message.peer:
        return False
    text = rows[0]["text"]
    if message.source is Source.POLL and {Kind.UNTOLD, message.kind}.intersection([rows[0]["kind"]]):
        return True
    return Source.POLL in {message.source, rows[0]["source"]} and (text is None or is_alike(text, message.text))


def _remember(now: datetime, key: str, inbox_id: InboxId, said: str) -> Transaction[_Known | None]:
    """Take a key; what has it already, if it is taken."""
    taken = yield sql(
        "INSERT INTO inbox_key (key, inbox_id, text_hash, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING"
        " RETURNING key",
        *(key, inbox_id, said, to_ms(now)),
    )
    if taken:
        return None
    (row,) = yield sql("SELECT inbox_id, text_hash FROM inbox_key WHERE key = $1", key)
    return _Known(id=InboxId(row["inbox_id"]), said=row["text_hash"])


def _insert_fresh(now: datetime, asked: Sequence[_Asked]) -> Transaction[frozenset[str]]:
    """Take these keys; those that were not taken before."""
    at = to_ms(now)
    taken = yield from sql_rows(
        "INSERT INTO inbox_key (key, inbox_id, text_hash, seen_at) VALUES $rows ON CONFLICT (key) DO NOTHING"
        " RETURNING key",
        [(one.key, one.id, one.said, at) for one in asked],
    )
    return frozenset([row["key"] for row in taken])


def _insert_rows(now: datetime, asked: Sequence[_Asked]) -> Transaction[None]:
    at = to_ms(now)
    yield from sql_rows(
        "INSERT INTO inbox (id, provider, source, kind, did, peer, label, others, provider_id, text, text_hash,"
        " sent_at, taken_at) VALUES $rows",
        [
            (one.id, message.provider, message.source.value, message.kind.value, message.did, message.peer,
             message.label, json.dumps(message.others) if message.others else "[]", message.provider_id, message.text,
             one.text_hash, to_ms(message.sent_at) if message.sent_at else None, at)
            for one in asked
            for message in (one.message,)
        ],
    )  # fmt: skip


def _add_media(
    ids: Ids, now: datetime, inbox_id: InboxId, media: tuple[Media, ...]
) -> Transaction[tuple[tuple[MediaId, Media], ...]]:
    """Those that were not known; none if the row is forgotten already, whose key outlives it.

    Nor if an attachment's address is, and was never hashed: it may be any of these.
    """
    wanted = (
        "SELECT i.id FROM inbox i WHERE i.id = $1 AND NOT EXISTS"
        " (SELECT 1 FROM media m WHERE m.inbox_id = i.id AND m.url = m.id AND m.url_hash = '')"
    )
    if not (media and (yield sql(wanted, inbox_id))):
        return ()
    added = []
    for n, item in enumerate(media, start=1):
        media_id = MediaId(ids.new())
        content = item.content
        state, url, known_by = (
            (MediaState.WANTED, item.url, hash_of(item.url))
            if content is None
            else (MediaState.FETCHED, media_id, hashlib.sha256(content).hexdigest())
        )
        rows = yield sql(
            "INSERT INTO media (id, inbox_id, n, url, url_hash, mime, size, state, attempt, due_at, file,"
            " published_url, reason, changed_at) VALUES ($1, $2, $3, $4, $9, $5, $6, $7, 0, $8, '', '', '', $8)"
            " ON CONFLICT DO NOTHING RETURNING id",
            *(media_id, inbox_id, n, url, item.mime, item.size, state, to_ms(now), known_by),
        )
        if rows:
            added.append((media_id, item))
            if content is not None:
                yield from keep(media_id, content)
    return tuple(added)
