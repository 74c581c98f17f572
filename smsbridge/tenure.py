"""Who holds the house: the store, open and of the newest schema, and the lease to speak for the component.

    SQLite       lock file ─▶ open ─▶ migrate ─▶ take the lease, whoever had it is dead ─▶ keep it ─▶ let go
    PostgreSQL   open ─▶ the lease is free? ─▶ take it ─▶ migrate ─▶ keep it ─▶ let go
                          │                                                 └ lost, or not renewed in time: end
                          └ no: stand by, ask again, until it runs out, is released, or we are stopped

The lease of PostgreSQL is told by the server's clock, which all nodes share, and fences the database: who has lost it
cannot commit any more. Only a holder migrates, so a newer node that stands by does not pull the schema from under it;
a database without a schema has no holder. Who ends lets go, whatever the reason, so that nobody waits for the dead.

Beside an SQLite file the lock remembers how far the lease had come. A file whose lease is behind that was put in place
of the one that was there: an old copy, restored by hand.
"""

import asyncio
import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from smsbridge.clock import Clock, to_ms
from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.notify import notify, status
from smsbridge.store import leases, migrations
from smsbridge.store.database import Database, Fenced
from smsbridge.store.leases import Lease
from smsbridge.store.opening import SQLITE, open_postgres
from smsbridge.store.sqlite import SqliteDatabase

ALONE_SPAN, SHARED_SPAN = timedelta(seconds=60), timedelta(seconds=15)
ALONE_RENEW_SECONDS, SHARED_RENEW_SECONDS = 20.0, 5.0
RETRY_SECONDS: Final = 1.0
POLL_SECONDS: Final = 2.0
FAILING_SECONDS: Final = 60.0  # a store that only says no may need to be opened anew, and somebody has to know
MIGRATION_SECONDS: Final = 3600.0
MIGRATING_SECONDS: Final = (
    1.0  # between renewals: a stall in the midst of it then leaves nearly all of the lease's time
)
_LET_GO: Final = 10**15  # of a lease that was released: later than any
_MARK_BYTES: Final = 4096

_log = Log("tenure")


class AlreadyRunning(Exception):
    """Another smsbridge has this database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which store, for whom, under which name. `observe_commit` gets the seconds of each commit."""

    url: str
    password: str | None
    name: str
    holder: str
    clock: Clock
    observe_commit: Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _House:
    """A store that is open, and what its driver does about leases.

    `take` takes or renews the lease of a name for a holder, None if another's runs.
    `fence` gets a lease and until when (`time.monotonic`) it lasts at least; None where nobody else can be alive.
    `inspect` raises `StoreUnavailable` if the store is not what was opened. `migrate` may take long. `mark` is what was
    remembered beside it.
    """

    database: Database
    span: timedelta
    renew_seconds: float
    take: Callable[[str, str], Awaitable[Lease | None]]
    fence: Callable[[Lease, float], None] | None
    inspect: Callable[[], None]
    migrate: Callable[[Lease | None], Awaitable[None]]
    mark: "_Mark | None" = None


class Tenure:
    """The store, ours while the lease lasts."""

    def __init__(self, house: _House, lease: Lease, ends: float) -> None:
        self.database = house.database
        self._house = house
        self.lease = lease
        self._ends = ends
        self._enter(ends)

    @property
    def is_old_copy(self) -> bool:
        """Whether the file was put in place of a newer one; until `accept_copy`, after restarts too."""
        return self._house.mark is not None and self._house.mark.is_behind

    def accept_copy(self) -> None:
        """What has to be done about an old copy is committed."""
        if self._house.mark is not None:
            self._house.mark.is_behind = False
            self._house.mark.remember(self.lease.name, self.lease.epoch, 0)

    async def renew(self) -> bool:
        """Whether the lease is still ours; its renewal is a commit, so this also tells whether the store can write."""
        failpoint("lease.renewing", StoreUnavailable)
        held, ends = await _take(self._house, self.lease.name, self.lease.holder)
        failpoint("lease.renewed", StoreUnavailable)
        if held is None or held.epoch != self.lease.epoch:
            return False
        self._enter(ends)
        return True

    async def keep(self, most_seconds: float = math.inf) -> None:
        """Raises `AlreadyRunning` when somebody else has the lease: then nothing more may be sent from here, at once.

        Likewise `StoreUnavailable` when it could not be renewed in time and somebody else may have it, when the store
        has refused for a minute, or when the database is not the file at its path: what is accepted would be gone.
        A full disk is waited for: a new start makes no room, and meanwhile what is refused is refused in words.
        `most_seconds`: it is renewed as often as that, though the lease would not need it.
        """
        pause = seconds = min(self._house.renew_seconds, most_seconds)
        failing_since: float | None = None
        while True:
            await asyncio.sleep(seconds)
            self._house.inspect()
            seconds = pause
            try:
                async with asyncio.timeout(self._left()):
                    is_ours = await self.renew()
            except Fenced:
                is_ours = False
            except (StoreUnavailable, TimeoutError) as error:
                _log.error(Event.STORE_FAILED, error=str(error))
                failing_since = None if isinstance(error, NoRoom) else failing_since or time.monotonic()
                if failing_since is not None and time.monotonic() - failing_since >= FAILING_SECONDS:
                    raise StoreUnavailable(f"nothing was committed for {FAILING_SECONDS:.0f} s: {error}") from error
                if self._left() == 0:
                    _log.error(Event.LEASE_LOST)
                    raise StoreUnavailable(f"the lease of {self.lease.name} could not be renewed in time") from error
                seconds = RETRY_SECONDS
                continue
            failing_since = None
            if not is_ours:
                _log.error(Event.LEASE_LOST)
                raise AlreadyRunning("another smsbridge has this database now")

    async def release(self) -> None:
        """Let go: whoever stands by takes over at once. What ran out meanwhile is not ours to let go of."""
        if self._left() == 0:
            return
        try:
            await self.database.run(leases.release, self.lease)
            if self._house.mark is not None:
                self._house.mark.remember(self.lease.name, self.lease.epoch, _LET_GO)
        except StoreUnavailable as error:  # it runs out by itself
            _log.warning(Event.STORE_FAILED, error=str(error))

    def _enter(self, ends: float) -> None:
        self._ends = ends
        if self._house.fence is not None:
            self._house.fence(self.lease, ends)

    def _left(self) -> float | None:
        """Seconds, or None where the lease may be renewed late."""
        return None if self._house.fence is None else max(0.0, self._ends - time.monotonic())


@asynccontextmanager
async def settle_in(place: Place, stop: asyncio.Event) -> AsyncIterator[Tenure | None]:
    """The store, ours; None if `stop` was set before it could be. Raises `AlreadyRunning`, `StoreUnavailable`."""
    opening = _alone(place) if place.url.startswith(SQLITE) else _among_others(place)
    async with opening as house:
        if not 0 < await migrations.current(house.database) <= migrations.newest():
            await house.migrate(None)  # which refuses what is newer
        tenure = await _become_holder(house, place, stop)
        if tenure is None:
            yield None
            return
        try:
            version = await _bring_up(house, tenure)
            _log.info(Event.STORE_OPENED, schema=version, url=place.url)
            yield tenure
        finally:
            await tenure.release()


async def _become_holder(house: _House, place: Place, stop: asyncio.Event) -> Tenure | None:
    is_told = False
    while not stop.is_set():
        lease, ends, spoken_for = None, 0.0, None
        try:
            lease, ends = await _take(house, place.name, place.holder)
            spoken_for = await house.database.run(leases.newest) if lease is None else None
        except StoreUnavailable as error:
            if not is_told:
                raise
            _log.error(Event.STORE_FAILED, error=str(error))
        if lease is not None:
            if is_told:
                _log.info(Event.LEASE_TAKEN, epoch=lease.epoch)
            return Tenure(house, lease, ends)
        if house.fence is None:
            raise AlreadyRunning(f"another smsbridge has this database, and speaks for {spoken_for}")
        if not is_told:
            _log.info(Event.STANDING_BY, name=place.name, spoken_for=spoken_for)
            notify("READY=1", status(f"standing by: another smsbridge has this database, and speaks for {spoken_for}"))
            is_told = True
        notify("WATCHDOG=1")
        await _until_next_poll(stop)
    return None


async def _take(house: _House, name: str, holder: str) -> tuple[Lease | None, float]:
    """Take or renew the lease; with it, until when it lasts at least."""
    begun = time.monotonic()
    lease = await house.take(name, holder)
    return lease, begun + house.span.total_seconds()


async def _until_next_poll(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            await stop.wait()


async def _bring_up(house: _House, tenure: Tenure) -> int:
    """Migrate if need be, and keep the lease meanwhile; the version."""
    if await migrations.current(house.database) != migrations.newest():
        notify(status("bringing the database up to date"))
        async with asyncio.TaskGroup() as group:
            meanwhile = [group.create_task(tenure.keep(MIGRATING_SECONDS)), group.create_task(_feed())]
            await house.migrate(tenure.lease)
            for task in meanwhile:
                task.cancel()
    return migrations.newest()


async def _feed() -> None:
    """Who stood by is watched already, and a migration takes minutes where there are millions of rows."""
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def _alone(place: Place) -> AsyncIterator[_House]:
    """A file that is locked for this process."""
    path = Path(place.url.removeprefix(SQLITE))
    lock = lock_file(path)
    try:
        database = await SqliteDatabase.open(path, place.observe_commit)
        opened = _identity(path)
        mark, now = _Mark(lock), place.clock.now()

        async def take(name: str, holder: str) -> Lease | None:
            nonlocal now
            # by a clock that is set back the file would look older than its mark, should that be lost
            now = max(place.clock.now(), now + timedelta(milliseconds=1))
            await mark.compare(database)
            lease = await database.run(leases.take, now, name, holder, ALONE_SPAN, by_force=True)
            if lease is not None:
                mark.remember(name, lease.epoch, to_ms(now + ALONE_SPAN))
            return lease

        async def migrate(_: Lease | None) -> None:
            await migrations.migrate(database)

        def inspect() -> None:
            database.inspect()
            if _identity(path) != opened:
                raise StoreUnavailable(f"the database was moved away or replaced: {path}")

        try:
            yield _House(
                database=database,
                span=ALONE_SPAN,
                renew_seconds=ALONE_RENEW_SECONDS,
                take=take,
                fence=None,
                inspect=inspect,
                migrate=migrate,
                mark=mark,
            )
        finally:
            await database.close()
    finally:
        os.close(lock)


@asynccontextmanager
async def _among_others(place: Place) -> AsyncIterator[_House]:
    """A server that other nodes use as well."""
    database = await open_postgres(place.url, place.password, place.observe_commit)

    async def take(name: str, holder: str) -> Lease | None:
        return await database.run_ahead(leases.take_by_its_clock, name, holder, SHARED_SPAN)

    async def migrate(lease: Lease | None) -> None:
        patient = await open_postgres(place.url, place.password, migrating_seconds=MIGRATION_SECONDS)
        try:
            if lease is not None:
                patient.fence(lease, math.inf)
            await migrations.migrate(patient)
        except asyncio.CancelledError:  # the lease is lost, and what was begun could take an hour
            patient.abandon()
            raise
        finally:
            await patient.close()

    try:
        yield _House(
            database=database,
            span=SHARED_SPAN,
            renew_seconds=SHARED_RENEW_SECONDS,
            take=take,
            fence=database.fence,
            inspect=lambda: None,
            migrate=migrate,
        )
    finally:
        await database.close()


def lock_file(path: Path) -> int:
    """A lock that dies with the process: two bridges on one file would fight over every part."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot write beside the database: {error.strerror}: {path.parent}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise AlreadyRunning(f"another smsbridge has {path} open") from error
    return lock


def forget_mark(lock: int) -> None:
    """What is put in place now is not to be taken for an old copy."""
    os.ftruncate(lock, 0)


class _Mark:
    """How far the lease had come, in the lock's file. It is written after each commit, so never ahead of the store."""

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._is_compared = False
        self.is_behind = False

    async def compare(self, database: Database) -> None:
        """With what the store says, once: at the first look."""
        if self._is_compared:
            return
        words = os.pread(self._lock, _MARK_BYTES, 0).partition(b"\n")[0].decode(errors="replace").split()
        if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
            # whoever is spoken for now: an old copy may never have heard of the name that is marked
            found = await database.run(leases.found, words[0])
            if found is not None and (found[0], found[1] or _LET_GO) < (int(words[1]), int(words[2])):
                self.remember(words[0], _LET_GO, _LET_GO)  # so that a kill does not make it look like new
                self.is_behind = True
        self._is_compared = True

    def remember(self, name: str, epoch: int, until: int) -> None:
        """Raises `StoreUnavailable`."""
        if self.is_behind:
            return
        words = f"{name} {epoch} {until:>20}\n".encode()
        try:
            os.pwrite(self._lock, words, 0)
            os.ftruncate(self._lock, len(words))
        except OSError as error:
            kind = NoRoom if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreUnavailable
            raise kind(f"cannot write beside the database: {error.strerror}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
