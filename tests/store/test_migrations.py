"""Forward only, whole or not at all, and in the one dialect that both drivers speak."""

import ast
import re
from pathlib import Path

import pytest

import smsbridge.store
from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import sql
from smsbridge.store.migrations import Migration, migrate, migrations
from smsbridge.store.sqlite import SqliteDatabase

STORE = Path(smsbridge.store.__file__).parent
FOREIGN = {
    "autoincrement": r"AUTOINCREMENT|SERIAL\b|IDENTITY",
    "blobs": r"\bBLOB\b|\bBYTEA\b",
    "triggers": r"\bTRIGGER\b",
    "JSON operators": r"->|\bJSONB?\b|json_\w+\s*\(|jsonb_\w+\s*\(",
    "SQLite's own": r"\bINSERT OR\b|\bREPLACE INTO\b|\bGLOB\b|\bPRAGMA\b|\bROWID\b|strftime|julianday|\bIFNULL\b",
    "PostgreSQL's own": r"::|\bILIKE\b|\bANY\s*\(|\bNOW\(\)|\bDISTINCT ON\b|\bUNNEST\b|\bTIMESTAMPTZ?\b",
    "other places for parameters": r"\?|:[a-z]\w*|@\w+|%s",
}


def sql_texts() -> list[tuple[str, str]]:
    """Every SQL text there is, with its place."""
    found = [(file.name, file.read_text()) for file in sorted((STORE / "schema").glob("*.sql"))]
    for file in sorted(STORE.glob("*.py")):
        if file.name in {"sqlite.py", "database.py"}:  # the driver's own, and an example in a docstring
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
    assert [place.partition(":")[0] for place, text in SQL if "/*" in text] == ["outbox.py"]


def test_instants_are_wide_enough_for_milliseconds():
    for migration in migrations():
        for statement in migration.statements:
            assert not re.search(r"\b\w+_(at|until)\s+INTEGER|\b(since|until|stamp|at)\s+INTEGER", statement)


def test_the_files_are_numbered_without_gaps():
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_no_comment_hides_a_semicolon():
    for file in (STORE / "schema").glob("*.sql"):
        for line in file.read_text().splitlines():
            assert "--" not in line or line.startswith("--"), line


async def test_a_new_file_is_brought_to_the_newest_version(house):
    known = await house.rows("SELECT version, name FROM schema_version")
    assert [(row["version"], row["name"]) for row in known] == [(m.version, m.name) for m in migrations()]


async def test_to_migrate_again_is_to_do_nothing(house):
    before = await house.rows("SELECT * FROM sqlite_master ORDER BY name")
    assert await migrate(house.database) == migrations()[-1].version
    assert await house.rows("SELECT * FROM sqlite_master ORDER BY name") == before
    assert await house.count("schema_version") == len(migrations())


async def test_a_database_from_a_newer_smsbridge_is_refused_and_left_as_it_is(house):
    newer = migrations()[-1].version + 1
    future = Migration(version=newer, name="future", statements=("CREATE TABLE future (id TEXT PRIMARY KEY)",))
    assert await migrate(house.database, [*migrations(), future]) == newer
    with pytest.raises(StoreUnavailable, match="upgrade smsbridge"):
        await migrate(house.database)
    assert await house.count("future") == 0
    assert await house.count("schema_version") == newer


async def test_a_failing_migration_leaves_nothing(house):
    newest = migrations()[-1].version
    halfway = Migration(
        version=newest + 1,
        name="halfway",
        statements=("CREATE TABLE half (id TEXT PRIMARY KEY)", "ALTER TABLE nowhere ADD COLUMN way TEXT"),
    )
    with pytest.raises(StoreUnavailable):
        await migrate(house.database, [*migrations(), halfway])
    assert await house.rows("SELECT name FROM sqlite_master WHERE name = 'half'") == []
    assert await house.count("schema_version") == newest
    mended = Migration(version=newest + 1, name="mended", statements=halfway.statements[:1])
    assert await migrate(house.database, [*migrations(), mended]) == newest + 1


async def test_what_was_migrated_stays_so_when_it_is_opened_again(tmp_path):
    for _ in range(2):
        database = await SqliteDatabase.open(tmp_path / "bridge.db")
        assert await migrate(database) == migrations()[-1].version
        await database.close()


async def test_the_due_and_live_parts_are_found_by_their_indexes(house):
    def plan(text):
        return [row["detail"] for row in (yield sql(f"EXPLAIN QUERY PLAN {text}"))]

    live = "SELECT 1 FROM outbox WHERE did = '' AND peer = '' AND state IN ('queued', 'held', 'sending', 'unknown')"
    of_inbox = "SELECT 1 FROM delivery d WHERE d.inbox_id = ''"
    assert "outbox_live" in str(await house.run(plan, live))
    assert "delivery_inbox" in str(await house.run(plan, of_inbox))
