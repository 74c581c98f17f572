"""Stanzas to JIDs.

    waiting ─claimed, bytes fixed─▶ handing ─the fence is answered─▶ handed ─▶ (proved)
       ▲                               └─ the stream dies ─┐            │ the server dies
       └───────────────────────────────────────────────────┴────────────┘
    beside them: quarantined · bounced

`proved_at` is when it was certain that the server's death could not lose it any more.

An ordinary life (handed at the first attempt) is told by the row's own instants; the trail has what departs from it.

A delivery is written in the transaction of what caused it, so a kill between settling and telling loses neither
a tick nor an error. Bytes that were fixed once are sent again unchanged, with the same id.
"""

import itertools
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind, InboxId, MessageId
from smsbridge.core.state import DeliveryState
from smsbridge.store import history
from smsbridge.store.database import Row, Transaction, sql, sql_among, sql_rows
from smsbridge.store.ids import Ids

Draft = Delivery  # before it is written
ANSWERS: Final = frozenset({DeliveryKind.RECEIPT, DeliveryKind.ERROR})


def add(ids: Ids, now: datetime, draft: Draft) -> Transaction[DeliveryId]:
    """Write a delivery; it waits for the stream."""
    named = draft._replace(id=DeliveryId(ids.new()))
    yield from add_all(ids, now, [named])
    return named.id


def add_all(ids: Ids, now: datetime, drafts: Sequence[Draft], fixed: Sequence[bytes] = ()) -> Transaction[None]:
    """Write deliveries, in this order. The first have their bytes, and are `handing` from their birth on.

    Whoever has its bytes needs no body: it stands in them, and in the row that the text came in.
    One that is named already keeps its id, which must be newer than all that is written.
    """
    at = to_ms(now)
    ways: list[tuple[str, str | None, int]] = [("handing", xml.decode(), 1) for xml in fixed]
    ways += itertools.repeat(("waiting", None, 0), len(drafts) - len(fixed))
    bodies = ("" if xml else draft.body for draft, (_, xml, _) in zip(drafts, ways, strict=True))
    yield from sql_rows(
        "INSERT INTO delivery (id, domain, kind, to_jid, sender, stanza_id, inbox_id, message_id, media_id, body,"
        " about, reason, label, media_url, stamp, state, xml, attempt, created_at) VALUES $rows",
        [
            (draft.id or ids.new(), draft.domain, draft.kind.value, draft.to_jid, draft.sender, draft.stanza_id,
             draft.inbox_id, draft.message_id, draft.media_id, body, draft.about, draft.reason, draft.label,
             draft.media_url, to_ms(draft.stamp) if draft.stamp else None, *way, at)
            for draft, way, body in zip(drafts, ways, bodies, strict=True)
        ],
    )  # fmt: skip


def is_any_waiting(domain: str) -> Transaction[bool]:
    """Whether a delivery waits for the stream: what is younger must wait behind it."""
    rows = yield sql("SELECT 1 AS one FROM delivery WHERE domain = $1 AND state = 'waiting' LIMIT 1", domain)
    return bool(rows)


def pending(
    domain: str, limit: int, only: Sequence[DeliveryId] = (), before: DeliveryId | None = None
) -> Transaction[tuple[Delivery, ...]]:
    """The oldest that wait for the stream, in order; of these, if any are named, or of those older than another."""
    if only:
        rows: Sequence[Row] = yield from sql_among(
            "SELECT * FROM delivery WHERE domain = $1 AND state = 'waiting' AND id IN $among ORDER BY id", only, domain
        )
    elif before is not None:
        rows = yield sql(
            "SELECT * FROM delivery WHERE domain = $1 AND state = 'waiting' AND id < $3 ORDER BY id LIMIT $2",
            *(domain, limit, before),
        )
    else:
        rows = yield sql(
            "SELECT * FROM delivery WHERE domain = $1 AND state = 'waiting' ORDER BY id LIMIT $2", domain, limit
        )
    return tuple(_delivery(row) for row in rows[:limit])


def fix(ids: Ids, now: datetime, fixed: Sequence[tuple[DeliveryId, bytes]]) -> Transaction[None]:
    """`handing`, with these bytes for good; one more attempt each."""
    rows = yield from sql_rows(
        "UPDATE delivery SET state = 'handing', xml = COALESCE(xml, fixed.column2), attempt = attempt + 1"
        " FROM (VALUES $rows) AS fixed WHERE id = fixed.column1 AND state = 'waiting' RETURNING id, attempt",
        [(delivery_id, xml.decode()) for delivery_id, xml in fixed],
    )
    yield from _note(ids, now, DeliveryState.HANDING, "xmpp", _again(rows))


def put_back(ids: Ids, now: datetime, domain: str, besides: Collection[DeliveryId]) -> Transaction[int]:
    """The stream has died: what was written and not proved waits again, unchanged, and goes first."""
    rows = yield sql("SELECT id, attempt FROM delivery WHERE domain = $1 AND state = 'handing' ORDER BY id", domain)
    lost = [row for row in rows if row["id"] not in besides]
    yield from sql_among(
        "UPDATE delivery SET state = 'waiting' WHERE id IN $among AND state = 'handing'", [row["id"] for row in lost]
    )
    yield from _note(ids, now, DeliveryState.WAITING, "xmpp", lost, code="stream_died")
    return len(lost)


def hand(ids: Ids, now: datetime, delivery_ids: Sequence[DeliveryId]) -> Transaction[tuple[DeliveryKind, ...]]:
    """The server has them. The kinds of those that were still `handing`."""
    rows = yield from sql_among(
        "UPDATE delivery SET state = 'handed', handed_at = $1, proved_at = NULL"
        " WHERE id IN $among AND state = 'handing' RETURNING id, kind, attempt",
        delivery_ids,
        to_ms(now),
    )
    yield from _note(ids, now, DeliveryState.HANDED, "xmpp", _again(rows))
    return tuple(DeliveryKind(row["kind"]) for row in rows)


def prove(now: datetime, delivery_ids: Sequence[DeliveryId]) -> Transaction[None]:
    """The server's death could not lose these any more."""
    yield from sql_among(
        "UPDATE delivery SET proved_at = $1 WHERE id IN $among AND state = 'handed' AND proved_at IS NULL",
        delivery_ids,
        to_ms(now),
    )


def prove_before(now: datetime, domain: str, before: datetime) -> Transaction[None]:
    """Nor those that were handed before an instant, to a server that has lived since."""
    yield sql(
        "UPDATE delivery SET proved_at = $3 WHERE domain = $1 AND state = 'handed' AND proved_at IS NULL"
        " AND handed_at < $2",
        *(domain, to_ms(before), to_ms(now)),
    )


def doubt(ids: Ids, now: datetime, domain: str, until: datetime, limit: int, most: int) -> Transaction[int]:
    """The server that was handed these has died, up to an instant: what was not proved is to be handed again.

    Each at most so often (`most`). So many at once (`limit`); to be repeated until there are none. What was handed in
    the future was handed before the clock was set back.
    """
    rows = yield sql(
        "UPDATE delivery SET state = 'waiting' WHERE id IN (SELECT d.id FROM delivery d WHERE d.domain = $1"
        " AND d.state = 'handed' AND d.proved_at IS NULL AND (d.handed_at <= $2 OR d.handed_at > $3)"
        " AND (SELECT count(*) FROM history h WHERE h.subject_id = d.id AND h.code = 'server_died') < $4 LIMIT $5)"
        " RETURNING id, attempt",
        *(domain, to_ms(until), to_ms(now), most, limit),
    )
    yield from _note(ids, now, DeliveryState.WAITING, "xmpp", rows, code="server_died")
    return len(rows)


def quarantine(
    ids: Ids, now: datetime, delivery_id: DeliveryId, why: str
) -> Transaction[tuple[DeliveryKind, str] | None]:
    """Set a stanza aside that cannot be handed; it is kept, and never tried again by itself. Its kind and recipient."""
    rows = yield sql(
        "UPDATE delivery SET state = 'quarantined' WHERE id = $1 AND state IN ('waiting', 'handing')"
        " RETURNING id, kind, to_jid, attempt",
        delivery_id,
    )
    yield from _note(ids, now, DeliveryState.QUARANTINED, "xmpp", rows, code=why)
    return (DeliveryKind(rows[0]["kind"]), rows[0]["to_jid"]) if rows else None


def may_return(stanza_id: str, bare: str) -> Transaction[bool]:
    """Whether this is a stanza of ours to this recipient, for him to return."""
    rows = yield sql(
        "SELECT to_jid FROM delivery WHERE stanza_id = $1 AND state IN ('handing', 'handed') AND kind <> 'error'",
        stanza_id,
    )
    return any(row["to_jid"].partition("/")[0] == bare for row in rows)


def bounce(ids: Ids, now: datetime, stanza_id: str, bare: str, condition: str) -> Transaction[DeliveryKind | None]:
    """The server or the recipient returned one of ours. None if it is not ours, or not from its recipient.

    What goes in the recipient's name goes to their server.
    """
    rows = yield sql(
        "UPDATE delivery SET state = 'bounced' WHERE stanza_id = $1 AND state IN ('handing', 'handed')"
        " AND (to_jid = $2 OR to_jid LIKE $3 ESCAPE '!' OR (kind = 'carbon' AND to_jid LIKE $4 ESCAPE '!'))"
        " AND kind <> 'error' RETURNING id, kind, attempt",
        *(stanza_id, bare, f"{_literal(bare)}/%", f"%@{_literal(bare)}"),
    )
    yield from _note(ids, now, DeliveryState.BOUNCED, "xmpp", rows, code=condition)
    return DeliveryKind(rows[0]["kind"]) if rows else None


def is_own_copy(stanza_id: str, owner: str) -> Transaction[bool]:
    """Whether this stanza is one that we wrote in an owner's name, and their server brings it to us."""
    rows = yield sql("SELECT to_jid FROM delivery WHERE stanza_id = $1 AND kind = 'carbon'", stanza_id)
    return any(row["to_jid"] == owner for row in rows)


def recipients(inbox_id: InboxId) -> Transaction[tuple[str, ...]]:
    """To whom something of this text went, or goes; those of its line in their order."""
    rows = yield sql("SELECT to_jid FROM delivery WHERE inbox_id = $1 ORDER BY id", inbox_id)
    return tuple(dict.fromkeys(row["to_jid"] for row in rows))


def tell_again(
    ids: Ids, now: datetime, message_id: MessageId, to_jid: str, kinds: Collection[DeliveryKind] = ANSWERS
) -> Transaction[None]:
    """The client repeated its stanza: each answer of these kinds goes out once more, to where the client is now.

    One that is being handed may be on its way to where the client was, and one that came back was: another goes beside
    it, since its fence may not be answered yet.
    """
    rows = yield sql(
        "SELECT * FROM delivery WHERE message_id = $1 AND kind IN ('receipt', 'error')"
        " AND state IN ('waiting', 'handing', 'handed', 'bounced') ORDER BY id",
        message_id,
    )
    newest = {(row["kind"], row["stanza_id"]): row for row in rows if row["kind"] in kinds}.values()
    yield from sql_among(
        "UPDATE delivery SET state = 'waiting', xml = CASE WHEN to_jid = $1 THEN xml ELSE NULL END, to_jid = $1"
        " WHERE id IN $among AND state IN ('waiting', 'handed')",
        [row["id"] for row in newest],
        to_jid,
    )
    handed = [row for row in newest if row["state"] == "handed"]
    yield from _note(ids, now, DeliveryState.WAITING, "outbound", handed, code="repeated")
    for row in newest:
        if row["state"] in {"handing", "bounced"}:
            yield from add(ids, now, _delivery(row)._replace(to_jid=to_jid))


def newest_id() -> Transaction[str]:
    """The highest row id of the store: fresh ones must sort after it."""
    rows = yield sql(
        "SELECT max(id) AS id FROM (SELECT max(id) AS id FROM history UNION ALL SELECT max(id) FROM inbox"
        " UNION ALL SELECT max(id) FROM message UNION ALL SELECT max(id) FROM outbox"
        " UNION ALL SELECT max(id) FROM delivery UNION ALL SELECT max(id) FROM media) AS newest"
    )
    return str(rows[0]["id"] or "")


def _again(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["attempt"] > 1]


def _literal(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _note(
    ids: Ids, now: datetime, state: DeliveryState, who: str, rows: Sequence[Row], *, code: str = ""
) -> Transaction[None]:
    """The trail of deliveries that came to a state; each row has its id and its attempt."""
    yield from history.note(
        ids,
        now,
        *(
            history.Step(
                subject="delivery", subject_id=row["id"], who=who, state=state, attempt=row["attempt"], code=code
            )
            for row in rows
        ),
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=DeliveryId(row["id"]),
        domain=row["domain"],
        kind=DeliveryKind(row["kind"]),
        to_jid=row["to_jid"],
        sender=row["sender"],
        stanza_id=row["stanza_id"],
        body=row["body"],
        about=row["about"],
        reason=row["reason"],
        stamp=from_ms(row["stamp"]) if row["stamp"] is not None else None,
        label=row["label"],
        media_url=row["media_url"],
        inbox_id=row["inbox_id"],
        message_id=row["message_id"],
        media_id=row["media_id"],
        xml=row["xml"].encode() if row["xml"] is not None else None,
        attempt=row["attempt"],
        created_at=from_ms(row["created_at"]),
    )
