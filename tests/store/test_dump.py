"""A store goes out as lines and comes back the same, from either driver into either; what is not whole does not."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import DeliveryKind, InboundMessage, Kind, Media, ProviderMessageId, ProviderName, Source
from smsbridge.core.state import PartEvent as V
from smsbridge.keeping.restore import Occupied, restore_postgres, restore_sqlite
from smsbridge.store import deliveries, dump, inbox, leases
from smsbridge.store.database import Conflict, sql
from smsbridge.store.deliveries import Draft
from smsbridge.store.migrations import migrations, newest
from smsbridge.store.opening import open_database
from smsbridge.store.snapshot import open_snapshot

MADE_AT = datetime(2026, 11, 28, 3, 10, tzinfo=UTC)
MESSAGE = InboundMessage(
    provider=ProviderName("voipms"),
    source=Source.WEBHOOK,
    kind=Kind.MMS,
    did="+15551230001",
    peer="+15559870002",
    provider_id=ProviderMessageId("1"),
    text='quotes " and \\ and\nlines, \u2028 and 🍷',
    media=(Media(url="https://media.example.com/1.jpg"), Media(url="", content=bytes(range(256)) * 2000)),
)


def nothing(_):
    return (yield sql("SELECT 1 AS one"))


async def furnish(house):
    """Something of everything."""
    for n in range(130):
        await house.accept(f"text {n}", peer=f"+1555987{n:04}", key=f"key {n}")
    await house.move(await house.claim(), V.ACCEPT)
    taken = await house.do(inbox.take, MESSAGE)
    draft = Draft(domain="d", kind=DeliveryKind.TEXT, to_jid="j@example.com", sender="", stanza_id="s", body="x")
    await house.do(deliveries.add, draft)
    return taken


async def lines_of(url):
    async with open_snapshot(url) as snapshot:
        return [line async for line in dump.dump(snapshot, "sms.example.com", MADE_AT)]


async def contents(database):
    def read():
        found = {}
        for table in ("inbox", "inbox_key", "media", "message", "outbox", "outbox_key", "delivery", "history"):
            rows = yield sql(f"SELECT * FROM {table}")  # noqa: S608
            found[table] = sorted(tuple(dict(row).items()) for row in rows)
        return found

    return await database.run(read)


async def restored(url, lines, *, is_forced=False, finish=nothing):
    def read():
        return iter(lines)

    if url.startswith("sqlite"):
        await restore_sqlite(Path(url.removeprefix("sqlite:///")), read, finish, is_forced=is_forced)
    else:
        await restore_postgres(url, None, read, finish, is_forced=is_forced)


@pytest.fixture(params=["into sqlite", "into postgres"])
def other_url(request, tmp_path):
    """Where it is to go; PostgreSQL's has a schema with nothing in it."""
    if request.param == "into sqlite":
        return f"sqlite:///{tmp_path}/other/bridge.db"
    return request.getfixturevalue("copied_postgres")


async def test_what_goes_out_comes_back(house, store_url, other_url, tmp_path):
    (tmp_path / "other").mkdir()
    await furnish(house)
    lines = await lines_of(store_url)
    assert dump.inspect(iter(lines))[0].made_at == MADE_AT
    await restored(other_url, lines)
    back = await open_database(other_url)
    assert await contents(back) == await contents(house.database)
    await back.close()
    again = await lines_of(other_url)
    assert sorted(again[1:]) == sorted(lines[1:])


async def test_it_is_the_store_of_one_instant_while_others_write(house, store_url):
    await furnish(house)
    async with open_snapshot(store_url) as snapshot:
        reading = dump.dump(snapshot, "sms.example.com", MADE_AT)
        lines = [await anext(reading)]
        await house.accept("too late", key="late")
        await house.do(inbox.take, MESSAGE)
        lines += [line async for line in reading]
    text = "\n".join(lines)
    assert "text 129" in text
    assert "too late" not in text
    assert await house.count("message") == 131


async def test_an_old_backup_is_brought_up_to_date(other_url, tmp_path):
    (tmp_path / "other").mkdir()
    first = {"smsbridge": "dump", "format": 1, "schema": 1, "name": "sms.example.com", "made_at": 0}
    lines = [
        first,
        {"table": "conversation", "columns": ["did", "peer", "touched_at"]},
        ["+15551230001", "+15559870002", 5],
        {"rows": 1},
    ]
    await restored(other_url, [json.dumps(line) for line in lines])
    back = await open_database(other_url)

    def look():
        version = yield sql("SELECT max(version) AS v FROM schema_version")
        rows = yield sql("SELECT * FROM conversation")
        return version[0]["v"], [dict(row) for row in rows]

    version, rows = await back.run(look)
    await back.close()
    assert version == newest()
    assert (rows[0]["touched_at"], rows[0]["head"]) == (5, None)


@pytest.mark.parametrize("spoil", ["cut", "short", "long", "twice", "words", "inject"])
async def test_what_is_not_whole_is_refused_and_changes_nothing(house, store_url, other_url, tmp_path, spoil):
    (tmp_path / "other").mkdir()
    await furnish(house)
    lines = await lines_of(store_url)
    match spoil:
        case "cut":
            lines = lines[:-1]
        case "short":
            del lines[2]
        case "long":
            lines.insert(2, lines[2])
        case "twice":
            lines += lines
        case "words":
            lines[4] = "hello"
        case _:
            lines[1] = '{"table": "inbox; DROP TABLE inbox", "columns": ["id"]}'
    with pytest.raises(dump.NotADump):
        dump.inspect(iter(lines))
    with pytest.raises((dump.NotADump, Conflict)):
        await restored(other_url, lines, is_forced=True)
    if other_url.startswith("sqlite"):
        assert list((tmp_path / "other").iterdir()) == []
    else:
        left = await open_database(other_url)
        assert all(not rows for rows in (await contents(left)).values())
        await left.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"smsbridge": "diary"}, "no backup"),
        ({"schema": newest() + 1}, "newer smsbridge"),
        ({"format": 2}, "newer smsbridge"),
    ],
)
def test_what_is_no_backup_of_ours_is_told(change, words):
    header = {"smsbridge": "dump", "format": 1, "schema": 1, "name": "x", "made_at": 0} | change
    with pytest.raises(dump.NotADump, match=words):
        dump.inspect(iter([json.dumps(header), '{"rows": 0}']))


async def test_what_is_there_is_not_replaced_without_force(house, store_url):
    await furnish(house)
    lines = await lines_of(store_url)
    await house.accept("since")
    with pytest.raises(Occupied, match="--force"):
        await restored(store_url, lines)
    assert await house.count("message") == 131


async def test_with_force_it_is_replaced_and_a_file_is_moved_aside(house, store_url, tmp_path):
    await furnish(house)
    lines = await lines_of(store_url)
    await house.accept("since")
    await house.database.close()
    await restored(store_url, lines, is_forced=True)
    back = await open_database(store_url)
    assert len((await contents(back))["message"]) == 130
    await back.close()
    if store_url.startswith("sqlite"):
        aside = await open_database(f"sqlite:///{tmp_path}/bridge.db.before-restore")
        assert len((await contents(aside))["message"]) == 131
        await aside.close()
        await restored(store_url, lines, is_forced=True)
        assert (tmp_path / "bridge.db.before-restore-2").exists()


async def test_a_postgresql_that_a_bridge_works_with_is_left_alone(house, copied_postgres):
    lines = await lines_of(copied_postgres)
    working = await open_database(copied_postgres)
    lease = await working.run(leases.take_by_its_clock, "sms.example.com", "node/1", timedelta(seconds=15))
    with pytest.raises(Occupied, match="stop it first"):
        await restored(copied_postgres, lines, is_forced=True)
    await working.run(leases.release, lease)
    await working.close()
    await restored(copied_postgres, lines, is_forced=True)


def test_no_table_is_left_out():
    """Whatever the schema makes is dumped, but for what is of the house."""
    made = {
        name
        for migration in migrations()
        for statement in migration.statements
        for name in re.findall(r"CREATE TABLE (\w+)", statement)
    }
    assert set(dump.in_order(made | {"schema_version"})) == made - {"lease"}


async def test_there_is_nothing_to_back_up_where_nothing_is(tmp_path):
    with pytest.raises(StoreUnavailable, match="there is no database"):
        await lines_of(f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()
