"""One session with PostgreSQL: what a transaction needs of it, its faults in our words, and the truth about a COMMIT.

A transaction that wrote anything inserts a key of its own just before COMMIT. If the answer to COMMIT is lost, a new
session inserts the same key as `void`. The insert waits for the old session if that is still at it; then either the key
is there as `done`, or the old session can never insert it any more.

No error quotes what PostgreSQL says: its details hold values.
"""

import asyncio
import functools
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.failpoints import failpoint
from smsbridge.store.database import Conflict, Fenced, Row, Statement
from smsbridge.store.leases import Lease

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

COMMIT_SECONDS: Final = 2.0  # less than a deadline, so that the rest is enough to find out
GOODBYE_SECONDS: Final = 1.0
PURGE_SECONDS: Final = 300.0
LONGEST_PAUSE: Final = 0.25
SERIALIZABLE, READ_COMMITTED = "serializable", "read committed"

_SETTINGS = {
    "application_name": "smsbridge",
    "synchronous_commit": "on",
    "standard_conforming_strings": "on",
    # less than a deadline: a node that is paused or cut off in a transaction does not make its successor fail
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "2s",
    # a sequential scan locks a whole table against serializable writers (PostgreSQL manual, 13.2.3)
    "enable_seqscan": "off",
    "jit": "off",
}
_KEYS = (
    "BEGIN; SELECT pg_advisory_xact_lock(5551230001); CREATE TABLE IF NOT EXISTS commit_key (key UUID PRIMARY KEY,"
    " outcome TEXT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());"
    " CREATE INDEX IF NOT EXISTS commit_key_age ON commit_key (at); COMMIT"
)
_DONE = "INSERT INTO commit_key (key, outcome) VALUES ('{key}', {done}); "
_VOID = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; INSERT INTO commit_key (key, outcome) VALUES ('{key}', 'void')"
    " ON CONFLICT (key) DO NOTHING; COMMIT"
)
_PURGE = "DELETE FROM commit_key WHERE at < now() - interval '10 minutes'; "
_WRITABLE = SessionAttribute("read-write")

_FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# PostgreSQL manual, appendix A. Serialisation failure, deadlock, lock not available, query cancelled, stale plan.
_CONFLICTS = ("40001", "40P01", "55P03", "57014", "0A000")
# Connection exceptions, shut-down and crash, too many connections, idle in transaction, a server that takes no writes.
_LOST = ("08", "57P", "53300", "25P03", "25006")
_UNDONE, _CONSTRAINT, _DATA = "40", "23", "22"
_NULL = "23502"
_REFUSED = {
    "28": "the PostgreSQL server does not let this user in, or not with this password",
    "3D": "the PostgreSQL server has no database of this name",
    "42501": "the PostgreSQL user may not do what it has to: make it the owner of the database",
}
_FULL = "53100"


class Again(Exception):
    """It was not committed, and may be tried once more."""


class Session:
    """It connects when it is needed, and once more after it was lost. `isolation`: of its transactions."""

    def __init__(self, url: str, password: str | None, isolation: str = SERIALIZABLE) -> None:
        self._url = url
        self._password = password
        self._settings = {**_SETTINGS, "default_transaction_isolation": isolation}
        self._connection: Connection | None = None
        self._fence = ""
        self._purge_at = time.monotonic() + PURGE_SECONDS

    async def prepare(self) -> None:
        """See that the server keeps what it says, and has a place for keys. Raises `Again`, `StoreUnavailable`."""
        connection = await self._connected()
        with in_our_words(connection):
            rows = await connection.fetch("SELECT to_regclass('commit_key') AS keys, current_setting('fsync') AS fsync")
            if rows[0]["fsync"] != "on":
                raise StoreUnavailable("the PostgreSQL server has fsync off: what it commits may be lost")
            if rows[0]["keys"] is None:
                await connection.execute(_KEYS)

    async def begin(self, lease: Lease | None) -> None:
        """Open a transaction. Raises `Again`, or `Fenced` if this lease is not in the store any more."""
        connection = await self._connected()
        self._fence = _ours(lease) if lease else ""
        with in_our_words(connection):
            found = await connection.execute(f"BEGIN; {self._fence}")
            failpoint("postgres.begun", OSError)
        if lease and found != "SELECT 1":
            raise Fenced("another smsbridge has this database now")

    async def rows(self, statement: Statement) -> Sequence[Row]:
        """Run a statement of the transaction. Raises `Again`, `Conflict`, `StoreUnavailable`, ValueError."""
        connection = self._connection
        if connection is None:
            raise Again("the connection was lost")
        with in_our_words(connection):
            found: Sequence[Any] = await connection.fetch(_in_dialect(statement.text), *statement.params)
            return found

    async def commit(self, key: uuid.UUID | None) -> bool:
        """Commit under this key. False: nobody knows. Raises as `rows` if it is certain that nothing was committed.

        `Fenced` if the lease of `begin` is not in the store any more.
        """
        connection = self._connection
        if connection is None:
            raise Again("the connection was lost")
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                failpoint("postgres.committing", OSError)
                is_committed = await connection.execute(f"{self._last_words(key)}COMMIT") == "COMMIT"
                failpoint("postgres.committed", OSError)
                return is_committed
        except _FAULTS as error:
            if not connection.is_closed() and _state(error).startswith((_UNDONE, _CONSTRAINT)):
                if _state(error) == _NULL:
                    raise Fenced("another smsbridge has taken the lease meanwhile") from None
                raise _meaning(error, connection) from None
            self.drop()
            return False

    async def finds(self, key: uuid.UUID) -> bool:
        """Whether the transaction of this key was committed; if not, it cannot be any more. As long as it takes."""
        while True:
            try:
                connection = await self._connected()
                await connection.execute(_VOID.format(key=key))
                rows = await connection.fetch("SELECT outcome FROM commit_key WHERE key = $1", key)
                return bool(rows[0]["outcome"] == "done")
            except (Again, *_FAULTS):
                self.drop()
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311  # only to be unlike others

    async def leave(self) -> None:
        """What was left open is rolled back."""
        connection = self._connection
        if connection is not None and not connection.is_closed() and connection.is_in_transaction():
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await connection.execute("ROLLBACK")
            except _FAULTS:
                self.drop()
            except asyncio.CancelledError:  # whoever comes next must not find it open
                self.drop()
                raise

    def drop(self) -> None:
        """Let go without a word: whatever was under way, the server ends it."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        if self._connection is not None:
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._connection.close()
            except _FAULTS:
                self.drop()
            self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            with in_our_words(None):
                self._connection = await asyncpg.connect(
                    self._url,
                    password=self._password,
                    server_settings=self._settings,
                    statement_cache_size=512,
                    max_cached_statement_lifetime=0,
                    target_session_attrs=_WRITABLE,
                )
        return self._connection

    def _last_words(self, key: uuid.UUID | None) -> str:
        if key is None:
            return ""
        is_purging = time.monotonic() >= self._purge_at
        if is_purging:
            self._purge_at = time.monotonic() + PURGE_SECONDS
        # Nothing is `done` unless the lease is locked for the COMMIT. If it has changed since BEGIN, that is a conflict
        # for SERIALIZABLE; READ COMMITTED looks again, and finds it renewed or finds nothing: a key takes no NULL.
        done = f"({self._fence} FOR SHARE)" if self._fence else "'done'"
        return _DONE.format(key=key, done=done) + (_PURGE if is_purging else "")


@contextmanager
def in_our_words(connection: Connection | None) -> Iterator[None]:
    """Faults of the driver and the server, as `Session` raises them."""
    try:
        yield
    except _FAULTS as error:
        raise _meaning(error, connection) from None


def _meaning(error: Exception, connection: Connection | None) -> Exception:
    """What a fault of the driver or the server comes to for whoever asked."""
    state = _state(error)
    words = f"{type(error).__name__} {state}".strip()
    is_cut = isinstance(error, OSError) or (connection is not None and connection.is_closed())
    if is_cut or state.startswith(_LOST) or isinstance(error, asyncpg.InternalClientError):
        if connection is not None:
            connection.terminate()
        return Again(words)
    if state in _CONFLICTS:
        return Again(words)
    if state.startswith(_CONSTRAINT):
        return Conflict(words)
    if state.startswith(_DATA) or isinstance(error, asyncpg.InterfaceError):
        return ValueError(f"a value does not fit its statement: {words}")
    if state == _FULL:
        return NoRoom("the disk of the PostgreSQL server is full")
    known = next((meaning for prefix, meaning in _REFUSED.items() if state.startswith(prefix)), None)
    return StoreUnavailable(known or words)


def _state(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _ours(lease: Lease) -> str:
    return (
        f"SELECT 'done' FROM lease WHERE name = {_literal(lease.name)} AND holder = {_literal(lease.holder)}"  # noqa: S608
        f" AND epoch = {int(lease.epoch)}"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@functools.lru_cache(maxsize=512)
def _in_dialect(text: str) -> str:
    return text.replace("/* FOR UPDATE OF c SKIP LOCKED */", "FOR UPDATE OF c SKIP LOCKED")
