"""PostgreSQL, for a bridge of more than one machine: one session, group commit, SERIALIZABLE.

    BEGIN, is the lease ours? ─▶ every transaction that waits ─▶ their key, COMMIT ─▶ results
             │                             │                         └ connection lost: look for the key
             └─────────────────────────────┴ connection lost, or a conflict with somebody outside: once more from the
                                             start, until the deadline

One session is faster than many: serializable transactions that touch the same page of an index fail each other.
A transaction that fails after it wrote something takes its group with it; then each of the group is run by itself.
What is not certain within the deadline is `StoreUnavailable`. What keeps the lease goes ahead of all others and alone,
between the tries of a group too: a table that somebody has locked does not cost us the lease.

Once there is a fence, each group begins with a look at the lease and locks it for its COMMIT: a node that was paused in
the middle finds that it has changed, and cannot commit. Nor is a result released when the lease has run out meanwhile.
"""

import asyncio
import functools
import itertools
import random
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from smsbridge.clock import from_ms
from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import Fenced, P, T, Transaction
from smsbridge.store.leases import Lease, server_time
from smsbridge.store.postgres_session import LONGEST_PAUSE, SERIALIZABLE, Again, Session

MAX_GROUP: Final = 64
DEADLINE_SECONDS: Final = 4.0  # a webhook must be refused before its carrier gives up
OPEN_SECONDS: Final = 10.0
FIRST_PAUSE: Final = 0.005


class _Apart(Exception):
    """One of a group has failed and undone the others: each for itself."""


@dataclass(slots=True)
class _Job:
    begin: Callable[[], Transaction[Any]]
    future: asyncio.Future[Any]
    deadline: float
    result: Any = None
    error: Exception | None = None
    has_written: bool = False


class PostgresDatabase:
    """The store of several machines. Built by `PostgresDatabase.open`; used from one event loop."""

    def __init__(self, session: Session, observe_commit: Callable[[float], None], seconds: float) -> None:
        self._session = session
        self._observe_commit = observe_commit
        self._seconds = seconds
        self._jobs: deque[_Job] = deque()
        self._ahead: deque[_Job] = deque()
        self._stirred = asyncio.Event()
        self._lease: Lease | None = None
        self._lease_ends = 0.0
        self._is_closed = False
        self._owning = asyncio.create_task(self._own())

    @classmethod
    async def open(
        cls,
        url: str,
        password: str | None = None,
        observe_commit: Callable[[float], None] = lambda _: None,
        *,
        seconds: float = DEADLINE_SECONDS,
        open_seconds: float = OPEN_SECONDS,
        isolation: str = SERIALIZABLE,
    ) -> "PostgresDatabase":
        """Connect, and see that the server keeps what it says; raises `StoreUnavailable`.

        `observe_commit` gets the seconds of each group; `seconds` is how long a transaction may take before it is
        refused, waiting included; a server that is just starting is waited for. `isolation` is PostgreSQL's word.
        """
        session = Session(url, password, isolation)
        try:
            deadline = asyncio.get_running_loop().time() + open_seconds
            await _repeat(session.prepare, deadline, in_vain="PostgreSQL cannot be reached")
        except BaseException:
            session.drop()
            raise
        return cls(session, observe_commit, seconds)

    async def run(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._queue(self._jobs, functools.partial(work, *args, **kwargs))

    async def run_short(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(work, *args, **kwargs)

    async def run_ahead(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, but before all that waits, and in no group: the trouble that others are in does not delay it."""
        return await self._queue(self._ahead, functools.partial(work, *args, **kwargs))

    def fence(self, lease: Lease, ends: float) -> None:
        """From now on nothing is committed unless this lease is ours, nor released past `ends` (`time.monotonic`)."""
        self._lease, self._lease_ends = lease, ends

    async def wipe(self) -> None:
        """The server does so: its autovacuum clears the tables, and its log is written over."""

    async def now(self) -> datetime:
        """The server's clock: the one that all nodes share."""
        return from_ms(await self.run(server_time))

    async def close(self) -> None:
        self._is_closed = True
        self._stirred.set()
        await asyncio.wait([self._owning])

    def abandon(self) -> None:
        """Let go at once of what was begun: the server rolls it back. `close` has nothing to wait for then."""
        self._is_closed = True
        self._owning.cancel()

    async def _queue(self, queue: deque[_Job], begin: Callable[[], Transaction[T]]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        queue.append(_Job(begin, future, loop.time() + self._seconds))
        self._stirred.set()
        return await future

    async def _own(self) -> None:
        """The owner of the session: gather, run, commit, release."""
        try:
            while not self._is_closed or self._ahead or self._jobs:
                await self._stirred.wait()
                self._stirred.clear()
                while self._ahead or self._jobs:
                    await self._serve_ahead()
                    if group := [self._jobs.popleft() for _ in range(min(MAX_GROUP, len(self._jobs)))]:
                        await self._serve(group, between=self._serve_ahead)
        finally:
            await self._session.close()

    async def _serve_ahead(self) -> None:
        while self._ahead:
            await self._serve([self._ahead.popleft()], between=_nothing)

    async def _serve(self, group: Sequence[_Job], between: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        await self._see_through(group, between)
        self._release(group, time.monotonic() - began)

    async def _see_through(self, group: Sequence[_Job], between: Callable[[], Awaitable[None]]) -> None:
        """Each of the group has a result or an error when this returns."""
        try:
            await _repeat(lambda: self._attempt(group), min(job.deadline for job in group), between)
        except _Apart:
            for job in group:
                await self._see_through([job], between)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever asked
            for job in group:
                job.error = error

    async def _attempt(self, group: Sequence[_Job]) -> None:
        try:
            await self._session.begin(self._lease)
            for job in group:
                await _play(self._session, job, is_alone=len(group) == 1)
            key = uuid.uuid4() if any(job.has_written for job in group) else None
            is_committed = await self._session.commit(key) or (key and await self._session.finds(key))
        except asyncio.CancelledError:
            self._session.drop()
            raise
        finally:
            await self._session.leave()
        if not is_committed:
            raise Again("the connection was lost")

    def _release(self, group: Sequence[_Job], seconds: float) -> None:
        is_late = self._lease is not None and time.monotonic() >= self._lease_ends
        for job in group:
            if job.future.cancelled():
                continue
            if is_late and job.error is None:
                job.error = Fenced("the lease ran out before the result was there")
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        asyncio.get_running_loop().call_soon(self._observe_commit, seconds)  # whose failure stops nothing here


async def _nothing() -> None:
    pass


async def _repeat(
    attempt: Callable[[], Awaitable[None]],
    deadline: float,
    between: Callable[[], Awaitable[None]] = _nothing,
    in_vain: str = "not committed in time, or not certain",
) -> None:
    """Try, and try again where that makes sense; the pauses grow, and are never alike. `between` has its own time.

    `in_vain`: what `StoreUnavailable` says if the time is over, with the last reason.
    """
    reason = "no answer came"
    for n in itertools.count():
        try:
            async with asyncio.timeout_at(deadline):
                try:
                    await attempt()
                    break
                except Again as again:
                    reason = str(again)
                await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**n)))  # noqa: S311
        except TimeoutError:
            raise StoreUnavailable(f"{in_vain}: {reason}") from None
        await between()


async def _play(session: Session, job: _Job, *, is_alone: bool) -> None:
    """Run one transaction of a group; what it raises undoes the group, unless it wrote nothing."""
    job.result = job.error = None
    job.has_written = False
    try:
        job.result = await _drive(session, job)
    except Again:
        raise
    except Exception as error:
        if is_alone:
            raise
        if job.has_written:
            raise _Apart from None
        job.error = error


async def _drive(session: Session, job: _Job) -> Any:
    transaction = job.begin()
    try:
        statement = next(transaction)
        while True:
            job.has_written = job.has_written or not statement.text.startswith("SELECT")
            try:
                rows = await session.rows(statement)
            except Exception:
                job.has_written = True  # in as much as nothing can be committed any more
                raise
            statement = transaction.send(rows)
    except StopIteration as stop:
        return stop.value
