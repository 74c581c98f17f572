"""One PostgreSQL for the whole run, started by the first test that needs it; each test has an empty store.

No example of Hypothesis has a deadline, nor has a transaction of PostgreSQL that of a carrier: how long one takes is
the machine's affair.

Of asyncio's debug mode, in which all takes twice as long, there is what matters where a store has a thread of its own:
another thread than the loop's is refused. The certificates of the system, which each client of XMPP reads when it is
made, are read once.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from smsbridge.sim.postgres import Postgres
from smsbridge.store.migrations import migrate
from smsbridge.store.postgres import PostgresDatabase
from tests.canaries import pytest_runtest_makereport
from tests.fakes.waiting import PATIENCE

__all__ = ["pytest_runtest_makereport"]  # looks at what every test let us say

settings.register_profile("house", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
PostgresDatabase.open.__func__.__kwdefaults__.update(seconds=PATIENCE, open_seconds=PATIENCE)

HOUSE, PLAYED = "house", "played"
EMPTY = """
SET session_replication_role = replica;
DO $$ DECLARE its record; BEGIN
FOR its IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version' LOOP
EXECUTE format('DELETE FROM %I', its.name); END LOOP; END $$"""


def _for_its_thread(method: Callable[..., asyncio.Handle]) -> Callable[..., asyncio.Handle]:
    @wraps(method)
    def call(loop: asyncio.BaseEventLoop, *args: object, **options: object) -> asyncio.Handle:
        loop._check_thread()
        return method(loop, *args, **options)

    return call


ssl.create_default_context = cache(ssl.create_default_context)
for name in ("call_soon", "call_at"):
    setattr(asyncio.BaseEventLoop, name, _for_its_thread(getattr(asyncio.BaseEventLoop, name)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that no test may kill; databases of one's own are dropped by whoever makes them."""
    server = Postgres()
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    """The server with a database of the newest schema to copy (`HOUSE`), and one to play in (`PLAYED`)."""

    async def make() -> None:
        database = await PostgresDatabase.open(await postgres.create_database(HOUSE))
        await migrate(database)
        await database.close()
        await postgres.create_database(PLAYED, template=HOUSE)

    asyncio.run(make())
    return postgres


@pytest.fixture
def empty_postgres(migrated: Postgres) -> str:
    """The URL of a store of the newest schema with nothing in it. Its schema is not to be changed."""
    asyncio.run(migrated.execute(EMPTY, database=PLAYED))
    return migrated.url(PLAYED)


@pytest.fixture
def copied_postgres(migrated: Postgres) -> Iterator[str]:
    """Likewise, for those who change its schema or hurt it: gone after the test."""
    yield asyncio.run(migrated.create_database("copied", template=HOUSE))
    asyncio.run(migrated.drop_database("copied"))


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each driver in turn; SQLite's has no schema yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    return str(request.getfixturevalue("empty_postgres"))
