"""Disks that are full when the test says so. A real one where this process may mount; SQLite's own limit everywhere."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import sql

SIZE = 64 * 2**20  # several times what SQLite lets its log grow to


class Tmpfs:
    """A few MiB of memory, mounted. It is filled to the last byte by a file of nothing."""

    def __init__(self, directory):
        self.directory = directory
        self._ballast = directory / "ballast"

    async def fill(self, database):
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**20, 4096, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    async def drain(self, database):
        self._ballast.unlink(missing_ok=True)


class Pages:
    """The database may not grow: SQLite says of itself that the disk is full."""

    def __init__(self, directory):
        self.directory = directory

    async def fill(self, database):
        await _set_limit(database, 1)  # SQLite takes what there is

    async def drain(self, database):
        await _set_limit(database, 2**30)


async def _set_limit(database, pages):
    while True:
        try:
            return await database.run(_limit, pages)
        except StoreUnavailable:  # of those that shared the commit one had no room
            continue


def _limit(pages):
    yield sql(f"PRAGMA max_page_count = {pages}")


@contextmanager
def mounted():
    """A directory that is a disk of its own; raises OSError where that is not allowed."""
    directory = Path(tempfile.mkdtemp(prefix="smsbridge-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(directory)], capture_output=True, check=False
    )
    if done.returncode:
        directory.rmdir()
        raise OSError(done.stderr.decode())
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
        directory.rmdir()


def _may_mount():
    if os.geteuid() or shutil.which("mount") is None:
        return False
    try:
        with mounted():
            return True
    except OSError:
        return False


KINDS = ("pages", "tmpfs") if _may_mount() else ("pages",)
