"""Which driver a URL names. PostgreSQL's is imported only where it is asked for: it is an extra."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import Database
from smsbridge.store.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from smsbridge.store.postgres import PostgresDatabase

SQLITE: Final = "sqlite:///"


async def open_database(
    url: str, password: str | None = None, observe_commit: Callable[[float], None] = lambda _: None
) -> Database:
    """Open the store at `sqlite:///…` or `postgresql://…`; raises `StoreUnavailable`.

    `observe_commit` gets the seconds of each commit.
    """
    if url.startswith(SQLITE):
        return await SqliteDatabase.open(Path(url.removeprefix(SQLITE)), observe_commit)
    return await open_postgres(url, password, observe_commit)


async def open_postgres(
    url: str,
    password: str | None = None,
    observe_commit: Callable[[float], None] = lambda _: None,
    *,
    seconds: float | None = None,
) -> "PostgresDatabase":
    """As `PostgresDatabase.open`; raises `StoreUnavailable` also where what it needs is not installed."""
    try:
        from smsbridge.store.postgres import DEADLINE_SECONDS, PostgresDatabase  # noqa: PLC0415  # an extra, and 16 MB
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs what is not installed here ({error.name}): pip install 'smsbridge[postgres]'"
        ) from error
    return await PostgresDatabase.open(url, password, observe_commit, seconds=seconds or DEADLINE_SECONDS)
