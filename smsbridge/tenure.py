"""Who holds the house: the database, open and locked for this process, and the lease to speak for the component.

lock (SQLite) ─▶ open ─▶ migrate ─▶ take the lease ─▶ keep it, every RENEW_SECONDS ─▶ lost: end at once
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from smsbridge.bridge.desk import Desk
from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.store import leases
from smsbridge.store.database import Database
from smsbridge.store.leases import Lease
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase

LEASE_SPAN: Final = timedelta(seconds=60)
RENEW_SECONDS: Final = 20.0

_log = Log("tenure")


class AlreadyRunning(Exception):
    """Another smsbridge has this database."""


@asynccontextmanager
async def open_store(path: Path, metrics: Metrics) -> AsyncIterator[Database]:
    """The database file, locked for this process, of the newest schema."""
    lock = _lock(path)
    try:
        database = await SqliteDatabase.open(path, metrics.commit_seconds.observe)
        try:
            version = await migrate(database)
            _log.info(Event.STORE_OPENED, schema=version, path=str(path))
            yield database
        finally:
            await database.close()
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
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


async def take_lease(database: Database, clock: Clock, name: str, holder: str) -> Lease:
    # The lock on the file has proved that nobody else is alive, so a dead holder's lease need not run out.
    lease = await database.run(leases.take, clock.now(), name, holder, LEASE_SPAN, by_force=True)
    if lease is None:
        raise AlreadyRunning(f"another smsbridge speaks for {name}")
    return lease


async def keep_lease(desk: Desk, lease: Lease, path: Path) -> None:
    """Raises `AlreadyRunning` when somebody else has the lease: then nothing more may be sent from here, at once.

    Likewise `StoreUnavailable` when the database is no longer the file at its path: what is accepted would be gone.
    """
    opened = _identity(path)
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        if _identity(path) != opened:
            raise StoreUnavailable(f"the database was moved away or replaced: {path}")
        try:
            held = await renew(desk, lease)
        except StoreUnavailable as error:
            _log.error(Event.STORE_FAILED, error=str(error))
            continue
        if not held:
            _log.error(Event.LEASE_LOST)
            raise AlreadyRunning(f"another smsbridge speaks for {lease.name} now")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def renew(desk: Desk, lease: Lease) -> bool:
    """Whether the lease is still ours; its renewal is a commit, so this also tells whether the store can write."""
    held = await desk.database.run(leases.take, desk.now(), lease.name, lease.holder, LEASE_SPAN)
    return held is not None and held.epoch == lease.epoch
