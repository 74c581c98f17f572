"""What an owner and his peers wrote: read out of a snapshot, and put into a store as if it had been there.

What is put in is never sent and never delivered: it is in the states in which nothing happens any more. It is known by
its id, so that to do it again changes nothing; and by text and time, so that a carrier's list does not bring it again.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.message import DeliveryKind, Kind, Media, ProviderMessageId, ProviderName
from smsbridge.core.state import DeliveryState, PartState
from smsbridge.core.story import Entry
from smsbridge.store import inbox
from smsbridge.store.database import Row, Transaction, sql, sql_rows
from smsbridge.store.ids import Ids, stanza_id
from smsbridge.store.snapshot import Snapshot

IMPORTED: Final = "import"  # the source of a text, and who claimed a part
SAME: Final = timedelta(minutes=2)  # two clocks' idea of when it was
_ENTRIES: Final = (
    "SELECT i.id, 'in' AS way, i.kind, i.did, i.peer, COALESCE(i.sent_at, i.taken_at) AS at, i.text, '' AS media,"
    " i.provider, i.provider_id, '' AS state, 1 AS n FROM inbox i"
    " WHERE EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = i.id AND d.to_jid = $1)"
    " UNION ALL SELECT m.id, 'out', p.kind, p.did, p.peer, m.accepted_at, p.text, p.media, p.provider, p.provider_id,"
    " p.state, p.n FROM message m JOIN outbox p ON p.message_id = m.id WHERE m.owner = $1 ORDER BY 1, 12"
)


async def entries(snapshot: Snapshot, owner: str) -> AsyncIterator[Entry]:
    """All of an owner's texts that are kept, oldest first; the parts of a text are one again."""
    parts: list[Row] = []
    async for row in snapshot.rows(_ENTRIES, owner):
        if parts and row["id"] != parts[0]["id"]:
            yield await _entry(snapshot, parts)
            parts = []
        parts.append(row)
    if parts:
        yield await _entry(snapshot, parts)


async def number_of(snapshot: Snapshot, owner: str) -> int:
    """How many `entries` yields."""
    query = f"SELECT count(DISTINCT id) AS n FROM ({_ENTRIES.removesuffix(' ORDER BY 1, 12')}) AS entries"  # noqa: S608
    found = [row["n"] async for row in snapshot.rows(query, owner)]
    return int(found[0])


def put_in(
    ids: Ids, now: datetime, owner: str, domain: str, lines: Mapping[Did, ProviderName], found: Sequence[Entry],
    met: frozenset[str] = frozenset(),
) -> Transaction[tuple[int, frozenset[str]]]:  # fmt: skip
    """Put texts of an owner into the store; `lines`: over which provider each did goes. How many were new.

    `met`: what earlier texts of the same file are; the same words, a minute later, are another text. It comes back with
    what these are.
    """
    count, seen = 0, set(met)
    for entry in found:
        entry_id = entry.id or derived_id(owner, entry)
        put = _put_inbound if entry.is_inbound else _put_outbound
        count += yield from put(ids, now, entry_id, owner, domain, lines[entry.did], entry, seen)
    return count, frozenset(seen)


def derived_id(owner: str, entry: Entry) -> str:
    """The UUIDv7 of a text that has none: the same for the same text, and of its time."""
    names = (owner, str(entry.is_inbound), entry.did, entry.peer, str(to_ms(entry.at)), entry.text or "")
    digest = int.from_bytes(hashlib.sha256("\x1f".join(names).encode("utf-8", "replace")).digest()[:10])
    number = to_ms(entry.at) << 80 | 0x7 << 76 | (digest >> 68 & 0xFFF) << 64 | 0b10 << 62 | digest & (1 << 62) - 1
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _is_there(entry_id: str, rows: Sequence[Row], seen: set[str]) -> bool:
    """Whether a text is one of these rows, itself or as somebody else tells it; each row is one text of a file."""
    alike = [row["id"] for row in rows]
    fitting = entry_id if entry_id in alike else next((one for one in alike if one not in seen), None)
    seen.add(fitting or entry_id)
    return fitting is not None


async def _entry(snapshot: Snapshot, parts: Sequence[Row]) -> Entry:
    first = parts[0]
    is_inbound = first["way"] == "in"
    texts = [row["text"] for row in parts]
    media: list[Media] = []
    if is_inbound:
        query = (
            "SELECT CASE url WHEN id THEN published_url ELSE url END AS url, mime, size FROM media"
            " WHERE inbox_id = $1 AND (url <> id OR published_url <> '') ORDER BY n"
        )
        media = [Media(url=r["url"], mime=r["mime"], size=r["size"]) async for r in snapshot.rows(query, first["id"])]
    else:
        for row in parts:
            media += [Media(url=url, mime=mime, size=size) for url, mime, size, *_ in json.loads(row["media"] or "[]")]
    states = {row["state"] for row in parts}
    return Entry(
        id=first["id"],
        is_inbound=is_inbound,
        kind=Kind(first["kind"]),
        did=Did(first["did"]),
        peer=Peer(first["peer"]),
        at=from_ms(first["at"]),
        text=None if None in texts else "".join(texts),
        media=tuple(media),
        provider=first["provider"],
        provider_id=ProviderMessageId(first["provider_id"]) if first["provider_id"] and len(parts) == 1 else None,
        state=first["state"] if len(states) == 1 else "partly",
    )


def _put_inbound(
    ids: Ids,
    now: datetime,
    entry_id: str,
    owner: str,
    domain: str,
    provider: ProviderName,
    entry: Entry,
    seen: set[str],
) -> Transaction[int]:
    text, at = entry.text or "", to_ms(entry.at)
    text_hash = inbox.hash_of(text)
    there = yield sql(
        "SELECT id FROM inbox WHERE id = $1 OR (did = $2 AND peer = $3 AND text_hash = $4 AND taken_at >= $5"
        " AND COALESCE(sent_at, taken_at) >= $5 AND COALESCE(sent_at, taken_at) <= $6)"
        " ORDER BY COALESCE(sent_at, taken_at), id",
        *(entry_id, entry.did, entry.peer, text_hash, to_ms(entry.at - SAME), to_ms(entry.at + SAME)),
    )
    if _is_there(entry_id, there, seen):
        return 0
    name = (
        f"{provider}\x1f{entry.kind}\x1f{entry.did}\x1f{entry.provider_id}"
        if entry.provider_id
        else f"import\x1f{entry_id}"
    )
    said = inbox.hash_of(f"{entry.peer}\x1f{text}")
    taken = yield sql(
        "INSERT INTO inbox_key (key, inbox_id, text_hash, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING"
        " RETURNING key",
        *(name, entry_id, said, to_ms(now)),
    )
    if not taken:
        return 0
    yield sql(
        "INSERT INTO inbox (id, provider, source, kind, did, peer, label, others, provider_id, text, text_hash,"
        " sent_at, taken_at) VALUES ($1, $2, $3, $4, $5, $6, '', '[]', $7, $8, $9, $10, $11)",
        *(entry_id, provider, IMPORTED, entry.kind if entry.provider_id else Kind.UNTOLD, entry.did, entry.peer),
        *(entry.provider_id, entry.text, text_hash, at, to_ms(now)),
    )
    yield from sql_rows(
        "INSERT INTO media (id, inbox_id, n, url, url_hash, mime, size, state, attempt, due_at, file, published_url,"
        " reason, changed_at) VALUES $rows ON CONFLICT DO NOTHING",
        [
            (ids.new(), entry_id, n, item.url, inbox.hash_of(item.url), item.mime, item.size, "published", 0, at, "",
             item.url, "", to_ms(now))
            for n, item in enumerate(entry.media, start=1)
        ],
    )  # fmt: skip
    return (yield from _give(ids, now, entry_id, owner, domain, entry, stanza_id(name, owner, "0")))


def _give(
    ids: Ids, now: datetime, inbox_id: str, owner: str, domain: str, entry: Entry, its_id: str
) -> Transaction[int]:
    """Whose it is, told by a delivery that is handed and proved, so that nobody is ever handed it. 0 if it was his."""
    rows = yield sql(
        "INSERT INTO delivery (id, domain, kind, to_jid, sender, stanza_id, inbox_id, body, about, reason, label,"
        " media_url, state, attempt, created_at, handed_at, proved_at)"
        " SELECT $1, $2, $3, $4, $5, $6, $7, '', '', '', '', '', $8, 0, CAST($9 AS BIGINT), CAST($9 AS BIGINT),"
        " CAST($9 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.inbox_id = $7 AND d.to_jid = $4)"
        " RETURNING id",
        *(ids.new(), domain, DeliveryKind.TEXT, owner, entry.peer, its_id, inbox_id),
        *(DeliveryState.HANDED, to_ms(now)),
    )
    return len(rows)


def _put_outbound(
    ids: Ids,
    now: datetime,
    entry_id: str,
    owner: str,
    domain: str,
    provider: ProviderName,
    entry: Entry,
    seen: set[str],
) -> Transaction[int]:
    at, claimed = to_ms(entry.at), entry.provider_id
    there = yield sql(
        "SELECT id FROM message WHERE id = $1 UNION ALL SELECT message_id FROM outbox WHERE provider = $2 AND kind = $3"
        " AND provider_id = $4",
        *(entry_id, provider, entry.kind, claimed),
    )
    if there:
        seen.update(row["id"] for row in there)
        return 0
    alike = yield sql(
        "SELECT message_id AS id FROM outbox WHERE did = $1 AND peer = $2 AND claimed_at IS NOT NULL"
        " AND claimed_at >= $3 AND claimed_at <= $4 AND text = $5 ORDER BY claimed_at, id",
        *(entry.did, entry.peer, to_ms(entry.at - SAME), to_ms(entry.at + SAME), entry.text),
    )
    if _is_there(entry_id, alike, seen):
        return 0
    yield sql(
        "INSERT INTO message (id, domain, owner, sender, addressed, stanza_id, did, receipts, wants_receipt, told,"
        " accepted_at) VALUES ($1, $2, $3, $3, $4, '', $5, 'accepted', 0, 'receipt', $6)",
        *(entry_id, domain, owner, f"{entry.peer}@{domain}", entry.did, at),
    )
    media = json.dumps([[item.url, item.mime, item.size] for item in entry.media])
    state = entry.state if entry.state in _ENDED else PartState.SENT
    yield sql(
        "INSERT INTO outbox (id, message_id, provider, did, peer, kind, n, of_n, text, media, state, hold, due_at,"
        " attempt, tries, claimed_by, claimed_at, fingerprint, provider_id, reason, code, words, queued_at, changed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, 1, 1, $7, $8, $9, '', $10, 0, 0, $11, $10, '', $12, '', '', '', $10, $13)",
        *(ids.new(), entry_id, provider, entry.did, entry.peer, entry.kind, entry.text, media, state, at),
        *(IMPORTED, claimed, to_ms(now)),
    )
    return 1


_ENDED: Final[frozenset[Any]] = frozenset({"sent", "delivered", "failed", "cancelled", "expired"})
