"""A backup back in its place, all of it or nothing, and on hold.

SQLite: a new file is filled beside the old one and takes its place; the old one is moved aside, never overwritten.
PostgreSQL: one transaction drops what is there and fills it anew.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from smsbridge.core.errors import SmsbridgeError
from smsbridge.keeping.archive import CannotKeep, sync_directory
from smsbridge.store import dump
from smsbridge.store.database import Database, T, Transaction, sql
from smsbridge.store.leases import server_time
from smsbridge.store.opening import open_postgres
from smsbridge.store.sqlite import SqliteDatabase

MOST_SECONDS: Final = 4 * 3600.0
_BESIDE: Final = ("-wal", "-shm", "")  # in this order: a log without its file harms nobody, the reverse would

OpenLines = Callable[[], Iterator[str]]
Finish = Callable[[Database], Transaction[T]]


class Occupied(SmsbridgeError):
    """Something is there already, or somebody works with it."""


async def restore_sqlite(
    path: Path, open_lines: OpenLines, finish: Finish[T], *, is_forced: bool
) -> tuple[T, Path | None]:
    """Fill a new file and put it in place; `finish` is the last of the transaction. With it, where the old one went.

    Whoever calls this holds the lock. Raises `Occupied`, `NotADump`, `CannotKeep`, `StoreUnavailable`.
    """
    if not is_forced:
        _demand_nothing(path)
    fresh = path.with_name(f"{path.name}.restoring")
    _remove(fresh)
    try:
        database = await SqliteDatabase.open(fresh)
        try:
            result = await database.run(_fill, open_lines, partial(finish, database))
        finally:
            await database.close()
        aside = _move_aside(path)
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise CannotKeep(f"{path} cannot be replaced: {error.strerror}") from error
    finally:
        _remove(fresh)
    return result, aside


async def restore_postgres(
    url: str, password: str | None, open_lines: OpenLines, finish: Finish[T], *, is_forced: bool
) -> T:
    """Raises `Occupied`, `NotADump`, `StoreUnavailable`."""
    database = await open_postgres(url, password, migrating_seconds=MOST_SECONDS)
    try:
        return await database.run(_refill, open_lines, partial(finish, database), is_forced)
    finally:
        await database.close()


def _fill(open_lines: OpenLines, finish: Callable[[], Transaction[T]]) -> Transaction[T]:
    yield from dump.load(open_lines)
    return (yield from finish())


def _refill(open_lines: OpenLines, finish: Callable[[], Transaction[T]], is_forced: bool) -> Transaction[T]:
    found = yield sql(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'commit_key'"
    )
    tables = [row["name"] for row in found]
    if "lease" in tables:
        yield sql("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")  # who wants to take it waits, and finds it gone
        now = yield from server_time()
        if (yield sql("SELECT name FROM lease WHERE until > $1", now)):
            raise Occupied("a bridge is at work with this database: stop it first, on every node")
    if not is_forced:
        for table in dump.in_order(tables):
            if (yield sql(f"SELECT 1 AS one FROM {table} LIMIT 1")):  # noqa: S608
                raise Occupied("the database is not empty: with --force everything in it is replaced")
    for table in tables:
        yield sql(f"DROP TABLE {table} CASCADE")
    return (yield from _fill(open_lines, finish))


def _demand_nothing(path: Path) -> None:
    if path.exists():
        raise Occupied(f"there is a database at {path}: with --force it is moved aside")


def _move_aside(path: Path) -> Path | None:
    if not path.exists():
        _remove(path)  # a log that is left over would be taken for the new file's
        return None
    names = (f"{path.name}.before-restore{'' if n == 1 else f'-{n}'}" for n in itertools.count(1))
    aside = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    for end in _BESIDE:
        piece = path.with_name(path.name + end)
        if piece.exists():
            piece.replace(aside.with_name(aside.name + end))
    return aside


def _remove(path: Path) -> None:
    for end in _BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)
