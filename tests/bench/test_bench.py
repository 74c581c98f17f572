"""The benchmark's own instruments: what measures must be right, and must keep up with the schema."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.line import Receipts
from smsbridge.core.message import DeliveryKind, InboundMessage, Kind, MessageId, ProviderName, Source
from smsbridge.providers.contract import Callback
from smsbridge.providers.voipms import webhook
from smsbridge.store import claims, deliveries, inbox, outbox
from smsbridge.store.backlog import backlog
from smsbridge.store.ids import Ids
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase
from tests.bench import fill
from tests.bench.figures import percentile
from tests.bench.outbound import _inversions
from tests.bench.posts import DID, LENGTH, post_of, text_of
from tests.bench.streams import Reader
from tests.fakes.waiting import until

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VOIPMS = ProviderName("voipms")


def test_every_text_has_137_characters_and_is_like_no_other():
    texts = {text_of(n) for n in (1, 2, 10, 999_999_999)}
    assert len(texts) == 4
    assert {len(text) for text in texts} == {LENGTH}


def test_a_post_is_what_the_carrier_would_say():
    head, _, body = post_of(7, "127.0.0.1:1", "/voipms?key=k").partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    callback = Callback(method="POST", path="/voipms", query=(("key", "k"),), body=body)
    (message,) = webhook.parse(callback, VOIPMS).events
    assert isinstance(message, InboundMessage)
    assert (message.text, message.did, message.peer) == (text_of(7), DID, "+15559870007")


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_a_percentile_is_one_of_the_values(percent, expected):
    assert percentile(range(1, 101), percent) == expected


def test_an_overtaken_text_is_counted_within_its_conversation_only():
    assert _inversions([1, 3, 2, 4], conversations=2) == 0
    assert _inversions([1, 4, 3, 2], conversations=2) == 1


async def test_the_reader_finds_each_text_receipt_and_ping_once_wherever_its_bytes_are_cut():
    said = (
        f"<message id='x'><body>{text_of(1)}</body></message>"
        "<iq id='p1' type='get' from='sms.example.com'><ping xmlns='urn:xmpp:ping'/></iq>"
        "<message><received id='o000000002' xmlns='urn:xmpp:receipts'/></message>"
        f"<message><body>{text_of(3)}</body></message>"
    ).encode()
    for cut in range(len(said)):
        stream, written = asyncio.StreamReader(), []
        reader = Reader(stream, _Written(written))
        reading = asyncio.create_task(reader._read())
        for piece in filter(None, (said[:cut], said[cut:])):
            stream.feed_data(piece)
            await until(lambda stream=stream: not stream._buffer)
        stream.feed_eof()
        await reading
        await reader.until_texts([1, 3], seconds=1)
        await reader.until_receipts([2], seconds=1)
        assert (set(reader.texts), set(reader.receipts), reader.repeats) == ({1, 3}, {2}, 0)
        assert written == [b"<iq type='result' id='p1' to='sms.example.com'/>"]


class _Written:
    def __init__(self, pieces):
        self._pieces = pieces

    def write(self, data):
        self._pieces.append(data)


@pytest.fixture
async def store(tmp_path):
    """A store with one text that came in and one that left."""
    path = tmp_path / "model.db"
    database = await SqliteDatabase.open(path)
    await migrate(database)
    ids = Ids(lambda: 1)
    message = InboundMessage(
        provider=VOIPMS, source=Source.WEBHOOK, kind=Kind.SMS, did=Did(DID), peer=Peer("+15559870001"),
        provider_id="7", text=text_of(1), media=(), sent_at=NOW, label="", others=(),
    )  # fmt: skip
    taken = await database.run(inbox.take, ids, NOW, message)
    draft = deliveries.Draft(
        domain="sms.example.com", kind=DeliveryKind.TEXT, to_jid="alice@example.com", sender="+15559870001",
        stanza_id="s", body=text_of(1), inbox_id=taken.id,
    )  # fmt: skip
    await database.run(deliveries.add, ids, NOW, draft)
    written = outbox.StoredMessage(
        id=MessageId(ids.new()), domain="sms.example.com", owner="alice@example.com", sender="alice@example.com/x",
        addressed="+15559870001@sms.example.com", stanza_id="o1", did=Did(DID), receipts=Receipts.ACCEPTED,
        wants_receipt=True, told="", accepted_at=NOW,
    )  # fmt: skip
    parts = [(Kind.SMS, text_of(2), ())]
    await database.run(outbox.accept, ids, NOW, written, "key", parts, VOIPMS, Peer("+15559870001"))
    yield path, database
    await database.close()


def _count(path, table):
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


async def test_a_past_has_as_many_rows_as_it_was_asked_for(store):
    path, _ = store
    tables = ("inbox", "inbox_key", "delivery", "history")
    before = sum(_count(path, table) for table in tables)
    texts = fill.keep(path, 1000)
    assert _count(path, "inbox") == 1 + texts
    assert 990 <= sum(_count(path, table) for table in tables) - before <= 1000


async def test_texts_that_wait_for_the_stream_are_one_each_in_their_order(store):
    path, database = store
    fill.wait_for_the_stream(path, 500, 1000)
    found = await database.run(deliveries.pending, "sms.example.com", 1000)
    assert [draft.body for draft in found] == [text_of(1), *map(text_of, range(1000, 1500))]


async def test_parts_on_hold_are_due_and_not_claimed(store):
    path, database = store
    fill.wait_on_hold(path, 500, VOIPMS)
    found = await database.run(backlog)
    assert found.states["outbox", "queued"] == 501
    now = datetime.now(UTC)
    assert await database.run(claims.claim, Ids(lambda: 1), now, VOIPMS, "node/life", timedelta(minutes=3)) is None
