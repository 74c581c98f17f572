"""Parts awaiting a carrier. Their states change by the table in `core.state`: in `move`, `claims.claim`, `holds.lift`.

`sending` is committed, with the attempt's fingerprint, before the first byte leaves. A claim takes the oldest
live part of a conversation and no other, so parts leave strictly one after another; the partial unique index
over `sending` and `unknown` is the backstop. `attempt` names a claim: an answer to an older one is late, and is
kept in the trail as evidence.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold, Reason, Refused
from smsbridge.core.line import Receipts
from smsbridge.core.message import Kind, Media, MessageId, Part, PartId, ProviderMessageId, ProviderName
from smsbridge.core.segments import count
from smsbridge.core.state import LIVE, IllegalTransition, PartEvent, PartState, advance
from smsbridge.core.words.packing import pack, unpack
from smsbridge.core.words.say import Words
from smsbridge.store import heads, history
from smsbridge.store.database import Row, Transaction, sql
from smsbridge.store.ids import Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """What the outbox keeps of a text besides its parts. `told`: what the sender was told last ("" if nothing)."""

    id: MessageId
    domain: str
    owner: str
    sender: str
    addressed: str
    stanza_id: str
    did: Did
    receipts: Receipts
    wants_receipt: bool
    told: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """Where a part is, for folding a message and telling about it."""

    id: PartId
    n: int
    state: PartState
    attempt: int
    tries: int
    reason: str
    code: str
    words: Words


LATE = "late"  # in the trail, in place of a state: an answer that no longer moves its part


def key_of(owner: str, addressed: str, stanza_id: str, text: str, media: Sequence[Media]) -> str:
    """What makes a stanza the repeat of an earlier one; "" where the client gave no id to tell it by."""
    if not stanza_id:
        return ""
    body = json.dumps([text, *(item.url for item in media)])
    return hashlib.sha256(f"{owner}\x1f{addressed}\x1f{stanza_id}\x1f{body}".encode()).hexdigest()


def key_of_kept(owner: str, kept_as: str) -> str:
    """What makes a stanza one that the XMPP server gives again: it has not heard yet that we have it."""
    return hashlib.sha256(f"kept\x1f{owner}\x1f{kept_as}".encode()).hexdigest() if kept_as else ""


def known(key: str) -> Transaction[MessageId | None]:
    """The message that this stanza was accepted as, if it is a repeat."""
    if not key:
        return None
    rows = yield sql("SELECT message_id FROM outbox_key WHERE key = $1", key)
    return MessageId(rows[0]["message_id"]) if rows else None


def fate(kept: str) -> Transaction[MessageId | Refused | None]:
    """What became of a stanza that the XMPP server gives again: it was accepted, or refused, or never came."""
    if not kept:
        return None
    rows = yield sql("SELECT message_id, refusal FROM outbox_key WHERE key = $1", kept)
    if not rows:
        return None
    if not rows[0]["refusal"]:
        return MessageId(rows[0]["message_id"])
    reason, words, instead = json.loads(rows[0]["refusal"])
    return Refused(Reason(reason), unpack(words), instead=instead)


def remember_refusal(now: datetime, kept: str, refused: Refused) -> Transaction[None]:
    """Its writer is told so, whatever is allowed by the time that the XMPP server gives it again; nothing for ""."""
    if kept:
        refusal = json.dumps([refused.reason, pack(refused.words), refused.instead])
        yield sql(
            "INSERT INTO outbox_key (key, message_id, seen_at, refusal) VALUES ($1, '', $2, $3)"
            " ON CONFLICT (key) DO NOTHING",
            *(kept, to_ms(now), refusal),
        )


def remember(now: datetime, key: str, message_id: MessageId) -> Transaction[None]:
    """Another stanza that this message is known by from now on; nothing for ""."""
    if key:
        yield sql("INSERT INTO outbox_key (key, message_id, seen_at) VALUES ($1, $2, $3)", key, message_id, to_ms(now))


def forget_key(key: str) -> Transaction[None]:
    """What this stanza was accepted as has failed, and its writer knows: written again, it is a new text."""
    yield sql("DELETE FROM outbox_key WHERE key = $1", key)


def accept(
    ids: Ids, now: datetime, message: StoredMessage, key: str, parts: Sequence[tuple[Kind, str, tuple[Media, ...]]],
    provider: ProviderName, peer: Peer, *,
    recent: str = "",
    to_confirm: str = "",
    awaits_files: bool = False,
) -> Transaction[None]:  # fmt: skip
    """Take responsibility for a text: the message, its key and its parts, due now.

    `recent` is what the loop breaker carries along; `to_confirm`: the parts wait for their writer's word on this;
    `awaits_files`: for what comes with them, then.
    """
    at, state, hold, reason = to_ms(now), PartState.QUEUED, "", ""
    if to_confirm:
        state, hold, reason = PartState.HELD, Hold.CONFIRM, Reason.UNCONFIRMED
    elif awaits_files:
        state, hold, reason = PartState.HELD, Hold.MEDIA, Reason.MEDIA_UNFETCHED
    yield sql(
        "INSERT INTO message (id, domain, owner, sender, addressed, stanza_id, did, receipts, wants_receipt, told,"
        " accepted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *(message.id, message.domain, message.owner, message.sender, message.addressed, message.stanza_id),
        *(message.did, message.receipts, int(message.wants_receipt), message.told, at),
    )
    yield from history.note(ids, now, _step("message", message.id, "outbound", "accepted"))
    yield from remember(now, key, message.id)
    yield sql(
        "INSERT INTO conversation (did, peer, touched_at, recent) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (did, peer) DO UPDATE SET touched_at = excluded.touched_at, recent = excluded.recent",
        *(message.did, peer, at, recent),
    )
    for n, (kind, text, media) in enumerate(parts, start=1):
        part_id = ids.new()
        yield sql(
            "INSERT INTO outbox (id, message_id, provider, did, peer, kind, n, of_n, text, media, state, hold, due_at,"
            " attempt, tries, claimed_by, fingerprint, reason, code, words, queued_at, changed_at, segments) VALUES"
            " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13, $11, 0, 0, '', '', $15, $16, '', $11, $11, $14)",
            *(part_id, message.id, provider, message.did, peer, kind, n, len(parts), text, media_text(media), at),
            *(state, hold, 1 if kind is Kind.MMS else count(text).segments, reason, to_confirm),
        )
        yield from history.note(ids, now, _step("part", part_id, "outbound", state))
    yield from heads.renew([(message.did, peer)])


def move(
    ids: Ids, now: datetime, who: str, part_id: PartId, event: PartEvent, *,
    attempt: int | None = None,
    due_at: datetime | None = None,
    counts: bool = True,
    hold: Hold | None = None,
    provider_id: ProviderMessageId | None = None,
    reason: Reason | None = None,
    code: str = "",
    words: Words = "",
) -> Transaction[PartState | None]:  # fmt: skip
    """Carry out one transition of the table. None if it has no meaning (any more): a late or repeated answer.

    `counts`: whether the try was one for the back-off. A carrier's id that another part holds already (a
    carrier that repeats its ids), or that comes with a late answer, is kept in the trail only.
    """
    rows = yield sql("SELECT * FROM outbox WHERE id = $1", part_id)
    if not rows:
        return None
    row = rows[0]
    try:
        state = advance(PartState(row["state"]), event)
    except IllegalTransition:
        state = None
    if state is None or attempt not in {None, row["attempt"]}:
        if attempt is not None:
            late = _step(
                "part", part_id, who, LATE, attempt=attempt, provider_id=provider_id or "", reason=reason or "",
                code=code or event,
            )  # fmt: skip
            yield from history.note(ids, now, late)
        return None
    kept_id = provider_id if provider_id and not (yield from _is_claimed(row, provider_id)) else row["provider_id"]
    changed = yield sql(
        "UPDATE outbox SET state = $2, due_at = $3, tries = tries - $4, hold = $5, provider_id = $6, reason = $7,"
        " code = $8, words = $9, changed_at = $10, queued_at = $13 WHERE id = $1 AND state = $11 AND attempt = $12"
        " RETURNING id",
        *(part_id, state, to_ms(due_at) if due_at else row["due_at"], 0 if counts else 1, hold or "", kept_id),
        *(reason or "", code, pack(words), to_ms(now), row["state"], row["attempt"]),
        to_ms(now) if event is PartEvent.RESEND else row["queued_at"],
    )
    if not changed:
        return None
    if LIVE & {row["state"], state}:
        yield from heads.renew([(row["did"], row["peer"])])
    step = _step(
        "part",
        part_id,
        who,
        state,
        attempt=row["attempt"],
        provider_id=provider_id or "",
        reason=reason or "",
        code=code,
    )
    yield from history.note(ids, now, step)
    return state


def disown(ids: Ids, now: datetime, part_id: PartId, provider_id: ProviderMessageId) -> Transaction[None]:
    """A carrier's id is another part's, whatever it told us: this one has none."""
    rows = yield sql("UPDATE outbox SET provider_id = NULL WHERE id = $1 RETURNING attempt", part_id)
    for row in rows:
        step = _step(
            "part", part_id, "poller", LATE, attempt=row["attempt"], provider_id=provider_id, code="id_of_another"
        )
        yield from history.note(ids, now, step)


def message_of(part_id: PartId) -> Transaction[StoredMessage]:
    """The message that a part belongs to."""
    rows = yield sql("SELECT m.* FROM message m JOIN outbox p ON p.message_id = m.id WHERE p.id = $1", part_id)
    return _message(rows[0])


def part_with(provider: ProviderName, kind: Kind, provider_id: ProviderMessageId) -> Transaction[PartId | None]:
    """The part that a carrier knows by this id."""
    rows = yield sql(
        "SELECT id FROM outbox WHERE provider = $1 AND kind = $2 AND provider_id = $3", provider, kind, provider_id
    )
    return PartId(rows[0]["id"]) if rows else None


def parts_of(message_id: MessageId) -> Transaction[tuple[PartStatus, ...]]:
    """All parts of a message, in order."""
    rows = yield sql(
        "SELECT id, n, state, attempt, tries, reason, code, words FROM outbox WHERE message_id = $1 ORDER BY n",
        message_id,
    )
    return tuple(
        PartStatus(
            id=PartId(row["id"]),
            n=row["n"],
            state=PartState(row["state"]),
            attempt=row["attempt"],
            tries=row["tries"],
            reason=row["reason"],
            code=row["code"],
            words=unpack(row["words"]),
        )
        for row in rows
    )


def text_of(message_id: MessageId) -> Transaction[str]:
    """How a message begins; "" where that is forgotten, or was no text."""
    rows = yield sql("SELECT text FROM outbox WHERE message_id = $1 ORDER BY n LIMIT 1", message_id)
    return str(rows[0]["text"] or "") if rows else ""


def claimed_at(part_id: PartId) -> Transaction[datetime | None]:
    """When a part was last claimed."""
    rows = yield sql("SELECT claimed_at FROM outbox WHERE id = $1", part_id)
    return from_ms(rows[0]["claimed_at"]) if rows and rows[0]["claimed_at"] is not None else None


def from_part(part_id: PartId) -> Transaction[list[tuple[Part, PartState]]]:
    """A part and those of its text that come after it, in order, each with its state."""
    rows = yield sql(
        "SELECT p.* FROM outbox f JOIN outbox p ON p.message_id = f.message_id AND p.n >= f.n WHERE f.id = $1"
        " ORDER BY p.n",
        part_id,
    )
    return [(part_of(row, row["attempt"]), PartState(row["state"])) for row in rows]


def waiting_for(did: Did, peer: Peer, limit: int) -> Transaction[list[tuple[PartId, Hold | None]]]:
    """The oldest parts of a conversation that have not begun to leave, and what each is held by."""
    rows = yield sql(
        "SELECT id, hold FROM outbox WHERE did = $1 AND peer = $2 AND state IN ('queued', 'held', 'sending', 'unknown')"
        " AND state IN ('queued', 'held') ORDER BY id LIMIT $3",
        *(did, peer, limit),
    )
    return [(PartId(row["id"]), Hold(row["hold"]) if row["hold"] else None) for row in rows]


def unconfirmed(owner: str, destination: str) -> Transaction[tuple[PartId, ...]]:
    """The parts of an owner that wait for his word on this kind of destination, oldest first."""
    rows = yield sql(
        "SELECT p.id FROM outbox p JOIN message m ON m.id = p.message_id WHERE p.state = 'held'"
        " AND p.hold = 'confirm' AND p.code = $2 AND m.owner = $1 ORDER BY p.id",
        *(owner, destination),
    )
    return tuple(PartId(row["id"]) for row in rows)


def waits_for(part_id: PartId) -> Transaction[tuple[Part, str]]:
    """A part that waits for its writer's word, and on which kind of destination."""
    (row,) = yield sql("SELECT * FROM outbox WHERE id = $1", part_id)
    return part_of(row, row["attempt"]), row["code"]


def move_sender(message_id: MessageId, sender: str) -> Transaction[None]:
    """The writer's client has come back under another full JID: answers go there."""
    yield sql("UPDATE message SET sender = $2 WHERE id = $1", message_id, sender)


def told(message_id: MessageId) -> Transaction[str]:
    """What the sender was told last."""
    rows = yield sql("SELECT told FROM message WHERE id = $1", message_id)
    return str(rows[0]["told"]) if rows else ""


def is_ticked_beside(message: StoredMessage) -> Transaction[bool]:
    """Whether another message has its tick under the same id, such as another file of one announcement."""
    rows = yield sql(
        "SELECT told FROM message WHERE owner = $1 AND stanza_id = $2 AND id <> $3",
        *(message.owner, message.stanza_id, message.id),
    )
    return any(row["told"] == "receipt" for row in rows)


def set_told(message_id: MessageId, told: str) -> Transaction[bool]:
    """Remember what the sender was told; False if that was told already."""
    rows = yield sql("UPDATE message SET told = $2 WHERE id = $1 AND told <> $2 RETURNING id", message_id, told)
    return bool(rows)


def part_of(row: Row, attempt: int) -> Part:
    """The part that a row of the outbox is."""
    return Part(
        id=PartId(row["id"]),
        message_id=MessageId(row["message_id"]),
        provider=ProviderName(row["provider"]),
        did=Did(row["did"]),
        peer=Peer(row["peer"]),
        kind=Kind(row["kind"]),
        n=row["n"],
        of=row["of_n"],
        text=row["text"] or "",
        media=tuple(_media(row)),
        attempt=attempt,
    )


def media_text(media: Sequence[Media]) -> str:
    """As a row has them."""
    return json.dumps([[item.url, item.mime, item.size, item.file] for item in media])


def _media(row: Row) -> Iterator[Media]:
    for url, mime, size, *file in json.loads(row["media"]):  # what was taken before files were kept has none
        yield Media(url=url, mime=mime, size=size, file=file[0] if file else "")


def _is_claimed(row: Row, provider_id: ProviderMessageId) -> Transaction[bool]:
    rows = yield sql(
        "SELECT 1 AS one FROM outbox WHERE provider = $1 AND kind = $2 AND provider_id = $3 AND id <> $4",
        *(row["provider"], row["kind"], provider_id, row["id"]),
    )
    return bool(rows)


def _step(
    subject: str, subject_id: str, who: str, state: str, *, attempt: int = 0, provider_id: str = "", reason: str = "",
    code: str = "",
) -> history.Step:  # fmt: skip
    return history.Step(
        subject=subject, subject_id=subject_id, who=who, state=state, attempt=attempt, provider_id=provider_id,
        reason=reason, code=code,
    )  # fmt: skip


def _message(row: Row) -> StoredMessage:
    return StoredMessage(
        id=MessageId(row["id"]),
        domain=row["domain"],
        owner=row["owner"],
        sender=row["sender"],
        addressed=row["addressed"],
        stanza_id=row["stanza_id"],
        did=Did(row["did"]),
        receipts=Receipts(row["receipts"]),
        wants_receipt=bool(row["wants_receipt"]),
        told=row["told"],
        accepted_at=from_ms(row["accepted_at"]),
    )
