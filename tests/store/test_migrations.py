"""Forward only, whole or not at all, and in the one dialect that both drivers speak."""

import ast
import asyncio
import re
from pathlib import Path

import pytest

import smsbridge.store
from smsbridge.core.address import Peer
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.state import PartEvent as V
from smsbridge.store.migrations import Migration, migrate, migrations
from smsbridge.store.opening import open_database
from smsbridge.store.sqlite import SqliteDatabase
from tests.fakes.waiting import PATIENCE

STORE = Path(smsbridge.store.__file__).parent
OWN = {"sqlite.py", "postgres.py", "postgres_session.py", "database.py"}  # the drivers'; an example in a docstring
FOREIGN = {
    "autoincrement": r"AUTOINCREMENT|SERIAL\b|IDENTITY",
    "blobs": r"\bBLOB\b|\bBYTEA\b",
    "triggers": r"\bTRIGGER\b",
    "JSON operators": r"->|\bJSONB?\b|json_\w+\s*\(|jsonb_\w+\s*\(",
    "SQLite's own": r"\bINSERT OR\b|\bREPLACE INTO\b|\bGLOB\b|\bPRAGMA\b|\bROWID\b|strftime|julianday|\bIFNULL\b",
    "PostgreSQL's own": r"::|\bILIKE\b|\bANY\s*\(|\bNOW\(\)|\bDISTINCT ON\b|\bUNNEST\b|\bTIMESTAMPTZ?\b",
    "other places for parameters": r"\?|:[a-z]\w*|@\w+|%s",
}


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path):
    """A store whose schema may be changed."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    return request.getfixturevalue("copied_postgres")


async def schema_of(house):
    if "sqlite" in type(house.database).__name__.lower():
        return await house.rows("SELECT name, sql FROM sqlite_master ORDER BY name")
    return await house.rows(
        "SELECT table_name AS name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    )


async def plan_of(house, text):
    """How the driver would carry it out, in its own words."""
    is_sqlite = "sqlite" in type(house.database).__name__.lower()
    return str(await house.rows(f"{'EXPLAIN QUERY PLAN' if is_sqlite else 'EXPLAIN'} {text}"))


def sql_texts() -> list[tuple[str, str]]:
    """Every SQL text there is, with its place."""
    found = [(file.name, file.read_text()) for file in sorted((STORE / "schema").glob("*.sql"))]
    for file in sorted(STORE.glob("*.py")):
        if file.name in OWN:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|WITH|FROM|AND|ORDER)\b|\(SELECT", text):
                    found.append((f"{file.name}:{node.lineno}", text))
    return found


SQL = sql_texts()


def without_literals(text: str) -> str:
    return re.sub(r"'[^']*'|--[^\n]*|/\*.*?\*/", "", text)


def test_the_house_speaks_sql():
    assert len(SQL) > 50


@pytest.mark.parametrize("what", FOREIGN)
def test_one_dialect_is_spoken_everywhere(what):
    for place, text in SQL:
        assert not re.search(FOREIGN[what], without_literals(text), re.IGNORECASE), place


def test_the_claims_lock_clause_is_the_only_dialect_token():
    assert [place.partition(":")[0] for place, text in SQL if "/*" in text] == ["claims.py"]


def test_instants_are_wide_enough_for_milliseconds():
    for migration in migrations():
        for statement in migration.statements:
            assert not re.search(r"\b\w+_(at|until)\s+INTEGER|\b(since|until|stamp|at)\s+INTEGER", statement)


def test_no_two_files_have_one_number():
    versions = [migration.version for migration in migrations()]
    assert versions == sorted(set(versions))


def test_no_comment_hides_a_semicolon():
    for file in (STORE / "schema").glob("*.sql"):
        for line in file.read_text().splitlines():
            assert "--" not in line or line.startswith("--"), line


async def test_a_new_file_is_brought_to_the_newest_version(house):
    known = await house.rows("SELECT version, name FROM schema_version")
    assert [(row["version"], row["name"]) for row in known] == [(m.version, m.name) for m in migrations()]


async def test_to_migrate_again_is_to_do_nothing(house):
    before = await schema_of(house)
    assert await migrate(house.database) == migrations()[-1].version
    assert await schema_of(house) == before
    assert await house.count("schema_version") == len(migrations())


async def test_a_database_from_a_newer_smsbridge_is_refused_and_left_as_it_is(house):
    newer = migrations()[-1].version + 1
    future = Migration(version=newer, name="future", statements=("CREATE TABLE future (id TEXT PRIMARY KEY)",))
    assert await migrate(house.database, [*migrations(), future]) == newer
    with pytest.raises(StoreUnavailable, match="upgrade smsbridge"):
        await migrate(house.database)
    assert await house.count("future") == 0
    assert await house.count("schema_version") == len(migrations()) + 1


async def test_a_failing_migration_leaves_nothing(house):
    newest = migrations()[-1].version
    halfway = Migration(
        version=newest + 1,
        name="halfway",
        statements=("CREATE TABLE half (id TEXT PRIMARY KEY)", "ALTER TABLE nowhere ADD COLUMN way TEXT"),
    )
    with pytest.raises(StoreUnavailable):
        await migrate(house.database, [*migrations(), halfway])
    assert "half" not in {row["name"] for row in await schema_of(house)}
    assert await house.count("schema_version") == len(migrations())
    mended = Migration(version=newest + 1, name="mended", statements=halfway.statements[:1])
    assert await migrate(house.database, [*migrations(), mended]) == newest + 1


async def test_what_was_migrated_stays_so_when_it_is_opened_again(tmp_path):
    for _ in range(2):
        database = await SqliteDatabase.open(tmp_path / "bridge.db")
        assert await migrate(database) == migrations()[-1].version
        await database.close()


async def test_the_due_and_live_parts_are_found_by_their_indexes(house):
    live = "SELECT 1 FROM outbox WHERE did = '' AND peer = '' AND state IN ('queued', 'held', 'sending', 'unknown')"
    assert "outbox_live" in await plan_of(house, live)
    assert "delivery_inbox" in await plan_of(house, "SELECT 1 FROM delivery d WHERE d.inbox_id = ''")


async def test_a_store_from_before_there_were_heads_gets_them(house):
    for number, ways in enumerate([(), (V.DEFER,), (V.HOLD,), (V.LOSE_TRACK,), (V.LOSE_TRACK, V.GIVE_UP), (V.ACCEPT,)]):
        peer = Peer(f"+1555987010{number}")
        await house.accept("1", peer=peer)
        await house.accept("2", peer=peer)
        if ways:
            part = next(part for part in [await house.claim() for _ in range(2)] if part and part.peer == peer)
            for way in ways:
                await house.move(part, way)
    heads = "SELECT did, peer, head, provider, due_at FROM conversation ORDER BY did, peer"
    kept = await house.rows(heads)
    assert 0 < len([row for row in kept if row["head"] is None]) < len(kept)
    await house.rows("UPDATE conversation SET head = NULL, provider = NULL, due_at = NULL")
    (mending,) = [text for text in migrations()[2].statements if text.startswith("UPDATE conversation")]
    await house.rows(mending)
    assert await house.rows(heads) == kept


async def test_nodes_that_start_at_once_migrate_once(store_url, postgres):
    if store_url.startswith("postgres"):
        await postgres.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="copied")
    # one after another: a file has a lock against being opened by two at once
    nodes = [await open_database(store_url) for _ in range(3)]
    async with asyncio.timeout(PATIENCE):
        versions = await asyncio.gather(*(migrate(node) for node in nodes))
        await asyncio.gather(*(node.close() for node in nodes))
    assert versions == [migrations()[-1].version] * 3
