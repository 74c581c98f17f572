"""PostgreSQL as it is at one instant: `smsbridge.store.snapshot` for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import Row, Value
from smsbridge.store.postgres_session import Again, in_our_words
from smsbridge.store.snapshot import BATCH

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


@asynccontextmanager
async def open_postgres_snapshot(url: str, password: str | None) -> AsyncIterator["PostgresSnapshot"]:
    """One read-only transaction. Raises `StoreUnavailable`."""
    try:
        with in_our_words(None):
            connection = await asyncpg.connect(
                url, password=password, server_settings={"application_name": "smsbridge", "jit": "off"}
            )
    except Again as error:
        raise StoreUnavailable(f"PostgreSQL cannot be reached: {error}") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield PostgresSnapshot(connection)
    finally:
        await connection.close()


class PostgresSnapshot:
    """A transaction that changes nothing and sees no change."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, text: str, *params: Value) -> AsyncIterator[Row]:
        try:
            with in_our_words(self._connection):
                async for row in self._connection.cursor(text, *params, prefetch=BATCH):
                    found: Any = row
                    yield found
        except Again as error:
            raise StoreUnavailable(f"PostgreSQL was lost: {error}") from None

    async def tables(self) -> list[str]:
        found = [row async for row in self.rows(
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'commit_key'"
            " ORDER BY tablename"
        )]  # fmt: skip
        return [row["name"] for row in found]
