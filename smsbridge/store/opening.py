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
    migrating_seconds: float | None = None,
) -> "PostgresDatabase":
    """As `PostgresDatabase.open`; raises `StoreUnavailable` also where what it needs is not installed.

    `migrating_seconds`: how long a migration may take. The lease is renewed beside it, which only READ COMMITTED bears.
    """
    try:
        from smsbridge.store.postgres import PostgresDatabase  # noqa: PLC0415  # an extra, and 16 MB
        from smsbridge.store.postgres_session import READ_COMMITTED  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs what is not installed here ({error.name}): pip install 'smsbridge[postgres]'"
        ) from error
    if migrating_seconds is None:
        return await PostgresDatabase.open(url, password, observe_commit)
    return await PostgresDatabase.open(
        url, password, observe_commit, seconds=migrating_seconds, isolation=READ_COMMITTED
    )
