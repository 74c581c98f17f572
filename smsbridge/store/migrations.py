"""Numbered SQL files in `schema/`, forward only; a database from a newer smsbridge is refused.

Each file runs in one transaction together with the row that records it, so a kill in the middle leaves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from smsbridge.core.errors import StoreUnavailable
from smsbridge.failpoints import failpoint
from smsbridge.store.database import Conflict, Database, Transaction, sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file: `0001_house.sql` is version 1."""

    version: int
    name: str
    statements: tuple[str, ...]


def migrations() -> tuple[Migration, ...]:
    """All that this smsbridge knows, in order."""
    found = []
    for file in resources.files("smsbridge.store").joinpath("schema").iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(version=int(number), name=name, statements=_statements(file.read_text("utf-8"))))
    return tuple(sorted(found, key=lambda migration: migration.version))


def newest() -> int:
    """The version that this smsbridge needs."""
    return migrations()[-1].version


async def current(database: Database) -> int:
    """The version that the database has; 0 if there is nothing in it."""
    try:
        return await database.run(_version)
    except Conflict:  # another node makes the table at this moment
        return await database.run(_version)


async def migrate(database: Database, known: Sequence[Migration] | None = None) -> int:
    """Bring the database to the newest version and return that; raises `StoreUnavailable` for a newer one.

    Several nodes may do so at once: whoever is slower finds it done.
    """
    known = migrations() if known is None else known
    wanted = known[-1].version
    while (version := await current(database)) < wanted:
        following = next(migration for migration in known if migration.version > version)
        try:
            await database.run(apply, following)
            failpoint("migration.applied", StoreUnavailable)
        except (Conflict, StoreUnavailable):
            if await current(database) == version:
                raise
    demand(version, wanted)
    return wanted


def demand(version: int, wanted: int) -> None:
    """Raises `StoreUnavailable`, in words, if the database is of another version than is wanted."""
    if version > wanted:
        raise StoreUnavailable(
            f"the database is of version {version}, this smsbridge knows {wanted}: upgrade smsbridge"
        )
    if version < wanted:
        raise StoreUnavailable("the database is of an older version: start this smsbridge once, which brings it up")


def create() -> Transaction[None]:
    """The table that tells the version, if it is not there."""
    yield sql("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL)")


def _version() -> Transaction[int]:
    yield from create()
    rows = yield sql("SELECT max(version) AS version FROM schema_version")
    return int(rows[0]["version"] or 0)


def apply(migration: Migration) -> Transaction[None]:
    """One file, and the row that records it."""
    for statement in migration.statements:
        yield sql(statement)
    failpoint("migration.applying", StoreUnavailable)
    yield sql("INSERT INTO schema_version (version, name) VALUES ($1, $2)", migration.version, migration.name)


def _statements(script: str) -> tuple[str, ...]:
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("--"))
    return tuple(filter(None, (statement.strip() for statement in "\n".join(lines).split(";"))))
