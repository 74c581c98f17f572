"""A store of version 3, with rows in every state, is brought to the newest version, and goes on from there."""

import pytest

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.doubt import Verdict
from smsbridge.core.message import InboundMessage, Kind, Media, PartId, ProviderMessageId, ProviderName, Source
from smsbridge.core.state import DeliveryState, MediaState, PartEvent, PartState
from smsbridge.store import deliveries, doubts, holds, inbox, media, outbox, retention
from smsbridge.store.database import sql
from smsbridge.store.migrations import migrate, migrations
from smsbridge.store.opening import open_database

VOIPMS, DID, DOMAIN = ProviderName("voipms"), Did("+15551230001"), "sms.example.com"
BEFORE = 3
PICTURE = "https://media.example.com/{}.jpg"


def peer_of(state):
    """Each state has a conversation of its own."""
    return Peer(f"+1555987{1000 + list(PartState).index(state)}")


def taken(number, *urls):
    return InboundMessage(
        provider=VOIPMS,
        source=Source.WEBHOOK,
        kind=Kind.MMS,
        did=DID,
        peer=Peer("+15559870002"),
        provider_id=ProviderMessageId(str(number)),
        text="look",
        media=tuple(Media(url=url) for url in urls),
    )


def insert(table, row):
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    yield sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())  # noqa: S608


def part(ids, at, state):
    """A text of one part."""
    message_id, part_id = f"00m-{state}", f"00p-{state}"
    is_claimed = state not in {PartState.QUEUED, PartState.HELD, PartState.CANCELLED, PartState.EXPIRED}
    is_with_carrier = state in {PartState.SENT, PartState.DELIVERED}
    live = {PartState.QUEUED, PartState.HELD, PartState.SENDING, PartState.UNKNOWN}
    yield from insert("message", {
        "id": message_id, "domain": DOMAIN, "owner": "john@example.com", "sender": "john@example.com/phone",
        "addressed": f"{peer_of(state)}@{DOMAIN}", "stanza_id": state, "did": DID, "receipts": "accepted",
        "wants_receipt": 1, "told": "" if state in live else "receipt", "accepted_at": at,
    })  # fmt: skip
    yield from insert("outbox", {
        "id": part_id, "message_id": message_id, "provider": VOIPMS, "did": DID, "peer": peer_of(state), "kind": "sms",
        "n": 1, "of_n": 1, "text": "hello", "media": "[]", "state": state,
        "hold": "account" if state is PartState.HELD else "", "due_at": at, "attempt": int(is_claimed),
        "tries": int(is_claimed), "claimed_by": "old/life" if is_claimed else "",
        "claimed_at": at if is_claimed else None, "lease_until": at if is_claimed else None,
        "fingerprint": "f" if is_claimed else "", "provider_id": f"id-{state}" if is_with_carrier else None,
        "reason": "", "code": "", "words": "", "queued_at": at, "changed_at": at,
    })  # fmt: skip
    yield from insert("conversation", {
        "did": DID, "peer": peer_of(state), "touched_at": at,
        "head": part_id if state in {PartState.QUEUED, PartState.HELD} else None, "provider": VOIPMS, "due_at": at,
    })  # fmt: skip
    yield from insert("history", {
        "id": ids.new(), "subject": "part", "subject_id": part_id, "at": at, "who": "test", "state": state,
        "attempt": 1, "provider_id": "", "reason": "", "code": "",
    })  # fmt: skip


def received(ids, at):
    """A text with an attachment in each state, and a delivery in each."""
    for number, state in enumerate(MediaState):
        message = taken(number)
        yield from insert("inbox_key", {
            "key": inbox.id_key(message, Kind.MMS), "inbox_id": f"00i-{number}",
            "text_hash": inbox.hash_of(f"{message.peer}\x1f{message.text}"), "seen_at": at,
        })  # fmt: skip
        yield from insert("inbox", {
            "id": f"00i-{number}", "provider": VOIPMS, "source": "webhook", "kind": "mms", "did": DID,
            "peer": message.peer, "label": "", "others": "[]", "provider_id": message.provider_id, "text": "look",
            "text_hash": inbox.hash_of("look"), "sent_at": None, "taken_at": at,
        })  # fmt: skip
        yield from insert("media", {
            "id": ids.new(), "inbox_id": f"00i-{number}", "n": 1, "url": PICTURE.format(number), "mime": "",
            "size": None, "state": state, "attempt": 0, "due_at": at, "file": "", "published_url": "", "reason": "",
            "changed_at": at,
        })  # fmt: skip
    for state in DeliveryState:
        is_handed = state is DeliveryState.HANDED
        yield from insert("delivery", {
            "id": f"00d-{state}", "domain": DOMAIN, "kind": "text", "to_jid": "john@example.com",
            "sender": "15559870002", "stanza_id": f"s-{state}", "inbox_id": "00i-0", "body": "look",
            "about": "", "reason": "", "label": "", "media_url": "", "state": state,
            "xml": None if state is DeliveryState.WAITING else "<message/>",
            "attempt": 1, "created_at": at, "handed_at": at if is_handed else None,
        })  # fmt: skip


def all_else(at):
    yield from insert("cap_counter", {"scope": "owner", "window_start": at, "used": 3})
    yield from insert("cap_counter", {"scope": "owner", "window_start": at - 1, "used": 3})
    yield from insert("hold", {
        "provider": VOIPMS, "did": "", "hold": "account", "reason": "account_fault", "code": "c", "words": "w",
        "since": at, "probe_at": at, "probes": 0,
    })  # fmt: skip
    yield from insert("cursor_at", {"name": "c", "position": "1", "moved_at": at})
    yield from insert("outbox_key", {"key": "k", "message_id": "00m-sent", "seen_at": at})


TABLES = (
    "message",
    "outbox",
    "conversation",
    "history",
    "inbox",
    "inbox_key",
    "media",
    "delivery",
    "hold",
    "cursor_at",
)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path):
    """A store without a schema, which may be given an old one. Ids are older than any that is made now."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    return request.getfixturevalue("copied_postgres")


@pytest.fixture
async def old(store_url, postgres, house_of):
    """A house that is as old as that."""
    if store_url.startswith("postgres"):
        await postgres.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="copied")
    database = await open_database(store_url)
    house = house_of(database)
    await migrate(database, migrations()[:BEFORE])
    at = to_ms(house.now)
    for state in PartState:
        await house.run(part, house.ids, at, state)
    await house.run(received, house.ids, at)
    await house.run(all_else, at)
    yield house
    await database.close()


async def test_no_row_is_lost_on_the_way(old):
    counts = {table: await old.count(table) for table in TABLES}
    assert await migrate(old.database) == migrations()[-1].version
    assert {table: await old.count(table) for table in TABLES} == counts
    states = await old.rows("SELECT state FROM outbox")
    assert sorted(row["state"] for row in states) == sorted(PartState)


async def test_what_was_unknown_is_looked_for_and_nothing_else_is(old):
    await migrate(old.database)
    (due,) = await old.run(doubts.due, old.now, VOIPMS, 9)
    assert due.part.id == f"00p-{PartState.UNKNOWN}"
    doubted = await old.run(doubts.of_part, due.part.id)
    assert [(one.attempt, one.verdict) for one in doubted.doubts] == [(1, Verdict.OPEN)]
    assert [one.part.id for one in await old.run(doubts.undecided, VOIPMS, 9)] == [due.part.id]


async def test_what_waits_leaves_once_the_fault_is_over(old):
    await migrate(old.database)
    assert await old.claim() is None
    probe = await old.claim(is_probe=True)
    assert await old.move(probe, PartEvent.ACCEPT, attempt=1, provider_id=ProviderMessageId("new"))
    assert await old.do(holds.lift, VOIPMS, DID)
    other = await old.claim()
    assert {probe.id, other.id} == {f"00p-{PartState.QUEUED}", f"00p-{PartState.HELD}"}
    assert await old.claim() is None


async def test_what_was_on_its_way_to_the_server_goes_again_unchanged(old):
    await migrate(old.database)
    await old.do(deliveries.put_back, DOMAIN, ())
    waiting = await old.run(deliveries.pending, DOMAIN, 9)
    assert {(row.id, row.xml, row.body) for row in waiting} == {
        (f"00d-{DeliveryState.WAITING}", None, "look"),
        (f"00d-{DeliveryState.HANDING}", b"<message/>", "look"),
    }


async def test_a_repeat_is_one_however_much_of_it_is_forgotten(old):
    await migrate(old.database)
    for number in range(len(MediaState)):
        again = await old.do(inbox.take, taken(number, PICTURE.format(number)))
        assert (again.verdict, again.media) == (inbox.Verdict.REPEATED, ())
    for row in await old.rows("SELECT id FROM media"):
        await old.do(media.publish, row["id"], "https://media.example.com/published.jpg")
    await old.rows("UPDATE delivery SET state = 'handed', handed_at = $1, proved_at = $1", to_ms(old.now))
    old.clock.move(days=8)
    await old.forget(retention.Spans())
    assert {row["id"] for row in await old.rows("SELECT id FROM media WHERE url = id")}
    for number in range(len(MediaState)):
        again = await old.do(inbox.take, taken(number, PICTURE.format(number)))
        assert (again.verdict, again.media) == (inbox.Verdict.REPEATED, ())


async def test_all_that_is_over_is_forgotten_in_time(old):
    await migrate(old.database)
    old.clock.move(days=400)
    await old.forget(retention.Spans())
    kept = {row["id"] for row in await old.rows("SELECT id FROM outbox")}
    live = {PartState.QUEUED, PartState.HELD, PartState.SENDING, PartState.UNKNOWN}
    assert kept == {PartId(f"00p-{state}") for state in live}
    assert await old.count("inbox_key") == 0
    assert await old.run(outbox.parts_of, f"00m-{PartState.SENT}") == ()
