"""SQLite: one owner thread, group commit, `synchronous=FULL`.

Transactions that arrive while a commit is being synced are gathered into the next one, each in a savepoint of
its own: a failing one is rolled back alone. Results are handed to the event loop only after COMMIT has returned.
If COMMIT itself fails, everybody in the group gets `StoreUnavailable`: whether it happened is unknown.

A transaction of few statements may run them on the loop's thread while the owner has nothing to do, which then adds
what has come meanwhile, and commits: to hand each statement over between two threads takes longer than the statement.

What the log holds is merged into the file when nobody waits, so that hardly any commit does it while somebody does.
"""

import asyncio
import contextlib
import functools
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.failpoints import failpoint
from smsbridge.store import soundness
from smsbridge.store.database import Conflict, P, Statement, T, Transaction
from smsbridge.store.soundness import Inspection

MAX_GROUP = 256  # past this a group's own work outweighs the sync it saves
BUSY_SECONDS = 2.0  # a webhook must be refused before its carrier gives up
BUSY_STEP = 0.005
MERGED_PAGES = 2000  # worth a quiet moment
COMMIT_PAGES = 6  # of the log, about, and one for each job
QUIET_SECONDS = 0.05  # a text is a few jobs, one soon after another
KEPT_STATEMENTS = 512  # statements over many rows come in some twenty sizes each
_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(slots=True)
class _Job:
    begin: Callable[[], Transaction[Any]]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    is_run: bool = False  # it is the first of its group, whose transaction has begun


@dataclass(slots=True)
class _Merge:
    """Write into the file what the log holds; `is_wiped`: and empty the log, if nobody reads."""

    future: asyncio.Future[None]
    is_wiped: bool


_CLOSE = object()
_MERGE, _WIPE = "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)"


class SqliteDatabase:
    """The embedded store. Built by `SqliteDatabase.open`; used from one event loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        observe_commit: Callable[[float], None],
        inspection: Inspection | None = None,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._connection = connection
        self._busy_seconds = busy_seconds
        self._observe_commit = observe_commit
        self._inspection = inspection
        self._jobs: queue.SimpleQueue[_Job | _Merge | object] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._pending = 0  # jobs that were not released yet: the connection is the owner's
        self._written = 0  # pages of the log, about
        self._merging: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._own, name="sqlite", daemon=True)
        self._thread.start()

    @classmethod
    async def open(
        cls,
        path: Path,
        observe_commit: Callable[[float], None] = lambda _: None,
        *,
        busy_seconds: float = BUSY_SECONDS,
    ) -> "SqliteDatabase":
        """Open (or create) the file; raises `StoreUnavailable`.

        `observe_commit` gets the seconds of each group, `busy_seconds` is how long another writer is waited for.
        """
        connection, is_inspected = await asyncio.to_thread(_connect, path, busy_seconds)
        return cls(connection, observe_commit, None if is_inspected else Inspection(path), busy_seconds)

    def inspect(self) -> None:
        """Raises `StoreUnavailable` if the file was found to be damaged since it was opened."""
        if self._inspection is not None:
            self._inspection.demand()

    async def run(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        job = self._job(functools.partial(work, *args, **kwargs))
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def run_short(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        job = self._job(functools.partial(work, *args, **kwargs))
        if self._pending > 1 or self._begin_here(job):
            self._jobs.put(job)
        result: T = await job.future
        return result

    def _job(self, begin: Callable[[], Transaction[Any]]) -> _Job:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        self.inspect()
        self._pending += 1
        return _Job(begin, self._loop.create_future())

    def _begin_here(self, job: _Job) -> bool:
        """Run its statements now. False: they have undone the transaction, and it is over."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return True  # the owner has the time to wait for another writer, and the words for all else
        try:
            self._run_one(job)
        except sqlite3.Error as error:
            self._abandon([job], error)
            self._release([job], 0)
            return False
        job.is_run = True
        return True

    async def wipe(self) -> None:
        """Empty the log of what was written; what was deleted in the file is zeros already (`secure_delete`).

        If somebody reads meanwhile, such as a backup, it is left for the next time.
        """
        if not self._is_closed:
            await self._merge(is_wiped=True)

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            if self._merging is not None:
                self._merging.cancel()
            self._jobs.put(_CLOSE)
        await asyncio.to_thread(self._thread.join)

    def _merge(self, *, is_wiped: bool) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._pending += 1
        self._written = 0
        self._jobs.put(_Merge(future, is_wiped))
        return future

    def _merge_if_quiet(self) -> None:
        self._merging = None  # if it is not, whoever is released next looks again
        if not self._pending and not self._is_closed:
            self._merge(is_wiped=False)

    def _own(self) -> None:
        """The owner thread: gather, run, commit, release."""
        other: object = None
        while other is not _CLOSE:
            group, other = self._gather()
            if group:
                seconds = self._run_group(group)
                self._loop.call_soon_threadsafe(self._release, group, seconds)
            if isinstance(other, _Merge):
                self._merge_log(_WIPE if other.is_wiped else _MERGE)
                self._loop.call_soon_threadsafe(self._resolve, other.future)
        self._connection.close()

    def _gather(self) -> tuple[list[_Job], object]:
        """The jobs that wait, and what comes after them if that is none."""
        group: list[_Job] = []
        job = self._jobs.get()
        while True:
            if not isinstance(job, _Job):
                return group, job
            group.append(job)
            if len(group) == MAX_GROUP:
                return group, None
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, None

    def _merge_log(self, statement: str) -> None:
        with contextlib.suppress(sqlite3.Error):  # it is done next time
            self._connection.execute(statement).fetchall()

    def _run_group(self, group: list[_Job]) -> float:
        began = time.monotonic()
        try:
            if not group[0].is_run:
                self._begin(began + self._busy_seconds)
            failpoint("sqlite.begun", sqlite3.OperationalError)
            for job in group:
                if not job.is_run:
                    self._run_one(job)
            failpoint("sqlite.committing", sqlite3.OperationalError)
            self._connection.execute("COMMIT")
            failpoint("sqlite.committed", sqlite3.OperationalError)
        except sqlite3.Error as error:
            self._abandon(group, error)
        return time.monotonic() - began

    def _begin(self, deadline: float) -> None:
        """Wait for another writer here: the connection itself never does, since the loop uses it too."""
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # or one of its finer codes
                if not is_busy or time.monotonic() >= deadline:
                    raise
            time.sleep(BUSY_STEP)

    def _run_one(self, job: _Job) -> None:
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = self._drive(job.begin())
        except sqlite3.Error as error:
            if not self._connection.in_transaction:  # a full disk rolls the whole group back by itself
                raise
            job.error = _meaning(error)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever asked, and to nobody else in the group
            job.error = error
        if job.error is not None:
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")

    def _drive(self, transaction: Transaction[T]) -> T:
        try:
            statement = next(transaction)
            while True:
                statement = transaction.send(self._execute(statement))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _execute(self, statement: Statement) -> list[Any]:
        return self._connection.execute(in_dialect(statement.text), statement.params).fetchall()

    def _abandon(self, group: list[_Job], error: sqlite3.Error) -> None:
        for job in group:
            job.error = _unavailable(error)
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as second:
                for job in group:
                    job.error = _unavailable(second)

    def _resolve(self, future: asyncio.Future[None]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.set_result(None)

    def _release(self, group: list[_Job], seconds: float) -> None:
        self._pending -= len(group)
        self._written += COMMIT_PAGES + len(group)
        if self._written >= MERGED_PAGES and self._merging is None:
            self._merging = self._loop.call_later(QUIET_SECONDS, self._merge_if_quiet)
        for job in group:
            if job.future.cancelled():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        self._observe_commit(seconds)


def _meaning(error: sqlite3.Error) -> Exception:
    """What a failed statement comes to for whoever asked."""
    match error:
        case sqlite3.IntegrityError():
            return Conflict(error.sqlite_errorname)
        case sqlite3.ProgrammingError():
            return ValueError("a value does not fit its statement")
        case _:
            return _unavailable(error)


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    # errors of the module itself, not of SQLite, have no code
    kind = NoRoom if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" else StoreUnavailable
    wrapped = kind(f"{type(error).__name__}: {getattr(error, 'sqlite_errorname', 'no code')}")
    wrapped.__cause__ = error
    return wrapped


@functools.lru_cache(maxsize=512)
def in_dialect(text: str) -> str:
    return _PARAMETER.sub(r"?\1", text)


def _connect(path: Path, busy_seconds: float) -> tuple[sqlite3.Connection, bool]:
    """Open it; whether all of it was looked through."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it holds what people wrote to each other; the WAL inherits this
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            timeout=busy_seconds,
            cached_statements=KEPT_STATEMENTS,
        )
        try:
            _prepare(connection)
            is_inspected = soundness.demand(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"cannot open the database: {error}") from error
    return connection, is_inspected


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is zeros in the file; Debian's default
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # within a commit: there was never a quiet moment
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint may need back would go to a file of its own
