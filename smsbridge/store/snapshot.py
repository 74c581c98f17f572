"""The store as it is at one instant, read row by row while others go on writing: for backups, exports and sums.

It writes nothing and takes no lease. SQLite: a read transaction in WAL, which hinders nobody; its log grows meanwhile.
PostgreSQL: REPEATABLE READ, which no writer has to wait for.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Protocol

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import Row, Value
from smsbridge.store.opening import SQLITE
from smsbridge.store.sqlite import in_dialect

BATCH: Final = 500  # rows in memory


class Snapshot(Protocol):
    """One instant of a store."""

    def rows(self, text: str, *params: Value) -> AsyncIterator[Row]:
        """What a query finds, however much it is."""
        ...

    async def tables(self) -> list[str]:
        """All tables of the schema, the drivers' own excepted."""
        ...


@asynccontextmanager
async def open_snapshot(url: str, password: str | None = None) -> AsyncIterator[Snapshot]:
    """The store behind a URL, as it is now. Raises `StoreUnavailable`, also for one that does not exist yet."""
    if url.startswith(SQLITE):
        with closing(_connect(Path(url.removeprefix(SQLITE)))) as connection:
            yield SqliteSnapshot(connection)
        return
    try:
        from smsbridge.store.postgres_snapshot import open_postgres_snapshot  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs what is not installed here ({error.name}): pip install 'smsbridge[postgres]'"
        ) from error
    async with open_postgres_snapshot(url, password) as snapshot:
        yield snapshot


async def version_of(snapshot: Snapshot) -> int:
    """That of its schema; 0 if it has none."""
    if "schema_version" not in await snapshot.tables():
        return 0
    found: list[Any] = [row async for row in snapshot.rows("SELECT max(version) AS version FROM schema_version")]
    return int(found[0]["version"] or 0)


class SqliteSnapshot:
    """A read transaction; nobody else waits for the event loop of who asks."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, text: str, *params: Value) -> AsyncIterator[Row]:
        try:
            cursor = self._connection.execute(in_dialect(text), params)
            while found := cursor.fetchmany(BATCH):
                for row in found:
                    yield row
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    async def tables(self) -> list[str]:
        found: list[Any] = [row async for row in self.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )]  # fmt: skip
        return [row["name"] for row in found]


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise StoreUnavailable(f"there is no database at {path}")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # the instant is that of the first read
    except sqlite3.Error as error:
        raise _unavailable(error) from error
    return connection


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    return StoreUnavailable(f"cannot read the database: {error}")  # of a query, which quotes nothing that is stored
