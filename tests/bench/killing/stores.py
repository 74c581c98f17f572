"""The bridge's store as the harness reads it: from outside, committed rows only, also when the bridge is dead."""

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal, Protocol

import asyncpg

from smsbridge.sim.postgres import Postgres, program

StoreName = Literal["sqlite", "postgres"]
Rows = Sequence[Sequence[Any]]

DATABASE = "killed"
SETTLE_SECONDS = 10.0


class Store(Protocol):
    """`url` is what the bridge is told."""

    @property
    def name(self) -> StoreName: ...

    @property
    def url(self) -> str: ...

    @property
    def server(self) -> Postgres | None:
        """The server that can be killed, if there is one."""

    async def read(self, query: str) -> Rows:
        """What is committed; nothing before there is a schema."""

    async def bury(self, *, at_once: bool) -> None:
        """The bridge is dead: return when nothing that it began is still under way.

        `at_once`: its lease ends with it, as if it had run out. Nobody lives who could hold it.
        """

    async def keep_copy(self, directory: Path) -> None:
        """Leave everything where somebody can look into it."""


class SqliteStore:
    def __init__(self, directory: Path) -> None:
        self._path = directory / "bridge.db"

    @property
    def name(self) -> StoreName:
        return "sqlite"

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    @property
    def server(self) -> None:
        return None

    async def read(self, query: str) -> Rows:
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, timeout=10)) as reader:
            is_built = reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'cursor_at'").fetchone()
            return reader.execute(query).fetchall() if is_built else []

    async def bury(self, *, at_once: bool) -> None:
        """Nothing outlives the process, and the next one takes the lease by force."""

    async def keep_copy(self, directory: Path) -> None:
        with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(directory / "bridge.db")) as copy:
            source.backup(copy)


class PostgresStore:
    def __init__(self, server: Postgres) -> None:
        self._server = server

    @property
    def name(self) -> StoreName:
        return "postgres"

    @property
    def url(self) -> str:
        return self._server.url(DATABASE)

    @property
    def server(self) -> Postgres:
        return self._server

    async def read(self, query: str) -> Rows:
        async with self._connected() as connection:
            is_built = await connection.fetchval("SELECT to_regclass('cursor_at') IS NOT NULL")
            return [tuple(row.values()) for row in await connection.fetch(query)] if is_built else []

    async def bury(self, *, at_once: bool) -> None:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        async with self._connected() as connection, asyncio.timeout(SETTLE_SECONDS):
            # A backend finishes its COMMIT before it sees that its client is gone.
            while await connection.fetchval(others):  # noqa: ASYNC110 - nobody tells us of another's sessions
                await asyncio.sleep(0.01)
            if at_once and await connection.fetchval("SELECT to_regclass('lease') IS NOT NULL"):
                await connection.execute("UPDATE lease SET until = 0")

    async def keep_copy(self, directory: Path) -> None:
        with (directory / "bridge.sql").open("wb") as file:
            await asyncio.to_thread(subprocess.run, [program("pg_dump"), self.url], stdout=file, check=False)

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        connection = await asyncpg.connect(self.url, timeout=SETTLE_SECONDS)
        try:
            yield connection
        finally:
            await connection.close(timeout=SETTLE_SECONDS)


def open_store(name: StoreName, directory: Path) -> AbstractAsyncContextManager[Store]:
    """A store of its own for one run."""
    return _postgres() if name == "postgres" else _sqlite(directory)


@asynccontextmanager
async def _sqlite(directory: Path) -> AsyncIterator[Store]:
    yield SqliteStore(directory)


@asynccontextmanager
async def _postgres() -> AsyncIterator[Store]:
    async with Postgres() as server:
        await server.create_database(DATABASE)
        yield PostgresStore(server)
