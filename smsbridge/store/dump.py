"""A whole store as lines of text, and back: the same from either driver into either.

    {"smsbridge": "dump", "format": 1, "schema": 10, "name": "sms.example.com", "made_at": 1772366400000}
    {"table": "inbox", "columns": ["id", …]}
    ["0190…", …]                                     a row each
    {"rows": 4711}                                   the end: without it something is missing

Leases stay where they are, and so do the keys of PostgreSQL's commits: they are of a house, not of its contents. The
rows go back under the schema that they are of; what has changed since, changes them then.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.errors import SmsbridgeError
from smsbridge.store import migrations
from smsbridge.store.database import Transaction, Value, sql_rows
from smsbridge.store.snapshot import Snapshot

FORMAT: Final = 1
BATCH: Final = 64
_APART: Final = frozenset({"lease", "schema_version"})
_FIRST: Final = ("inbox", "message", "outbox")  # what others refer to
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class NotADump(SmsbridgeError):
    """It is none, is not whole, or is from a newer smsbridge; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Of what, when, and under which schema."""

    schema: int
    name: str
    made_at: datetime


async def dump(snapshot: Snapshot, name: str, made_at: datetime) -> AsyncIterator[str]:
    """The lines of a store."""
    versions = [row["version"] async for row in snapshot.rows("SELECT max(version) AS version FROM schema_version")]
    header = {"smsbridge": "dump", "format": FORMAT, "schema": versions[0], "name": name, "made_at": to_ms(made_at)}
    yield _ENCODER.encode(header)
    count = 0
    for table in in_order(await snapshot.tables()):
        columns: list[str] = []
        async for row in snapshot.rows(f"SELECT * FROM {table}"):  # noqa: S608
            if not columns:
                columns = list(row.keys())
                yield _ENCODER.encode({"table": table, "columns": columns})
            yield _ENCODER.encode([row[column] for column in columns])
            count += 1
    yield _ENCODER.encode({"rows": count})


def in_order(tables: Iterable[str]) -> list[str]:
    """What others refer to goes first."""
    others = [table for table in tables if table not in _APART]
    return sorted(others, key=lambda table: (_FIRST.index(table) if table in _FIRST else len(_FIRST), table))


def inspect(lines: Iterable[str]) -> tuple[Header, int]:
    """Read all of it; what it is, and how many rows it has. Raises `NotADump`."""
    reading = iter(lines)
    header = _header(reading)
    return header, sum(len(rows) for _, _, rows in _batches(reading))


def load(open_lines: Callable[[], Iterator[str]]) -> Transaction[int]:
    """Fill a store that is empty, even of tables, and bring it up to date. How many rows came. Raises `NotADump`.

    The lines are read anew whenever the transaction is run again.
    """
    reading = open_lines()
    header = _header(reading)
    known = migrations.migrations()
    yield from migrations.create()
    for migration in known:
        if migration.version <= header.schema:
            yield from migrations.apply(migration)
    count = 0
    for table, columns, rows in _batches(reading):
        yield from sql_rows(f"INSERT INTO {table} ({', '.join(columns)}) VALUES $rows", rows)  # noqa: S608
        count += len(rows)
    for migration in known:
        if migration.version > header.schema:
            yield from migrations.apply(migration)
    return count


def _header(reading: Iterator[str]) -> Header:
    found = _parsed(next(reading, ""))
    if not isinstance(found, dict) or found.get("smsbridge") != "dump":
        raise NotADump("this is no backup of smsbridge")
    versions = [migration.version for migration in migrations.migrations()]
    if found.get("format") != FORMAT or found.get("schema") not in versions:
        raise NotADump("this backup is from a newer smsbridge: upgrade first")
    try:
        return Header(schema=found["schema"], name=str(found["name"]), made_at=from_ms(found["made_at"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):  # OSError: a year that no clock has
        raise NotADump("this backup is damaged") from None


def _batches(reading: Iterator[str]) -> Iterator[tuple[str, list[str], list[tuple[Value, ...]]]]:
    """Table, columns and some rows at a time. Raises `NotADump` unless the end is there, and is right."""
    table, columns, count = "", list[str](), 0
    rows: list[tuple[Value, ...]] = []
    for line in reading:
        found = _parsed(line)
        if isinstance(found, list) and table and len(found) == len(columns) and set(map(type, found)) <= _VALUES:
            rows.append(tuple(found))
            count += 1
            if len(rows) == BATCH:
                yield table, columns, rows
                rows = []
            continue
        if rows:
            yield table, columns, rows
            rows = []
        match found:
            case {"table": str(table), "columns": [*names]} if _are_names([table, *names]):
                columns = [str(name) for name in names]
            case {"rows": int(total)} if total == count and next(reading, None) is None:
                return
            case _:
                raise NotADump("this backup is damaged")
    raise NotADump("this backup is cut off: its end is missing")


_VALUES: Final[frozenset[type]] = frozenset({str, int, type(None)})


def _are_names(names: Sequence[Any]) -> bool:
    """They become part of statements."""
    return all(isinstance(name, str) and name.isascii() and name.isidentifier() for name in names)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise NotADump("this is no backup of smsbridge, or it is damaged") from None
