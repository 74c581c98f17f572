"""What was fetched and is not yet where it goes: files in one directory, for us alone, and not without limit.

A file is there whole or not at all. Losing one costs a second fetch; the rows in the store decide what is still wanted.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final

from smsbridge.log import Event, Log
from smsbridge.media.fetch import Fault, File, NotMoved
from smsbridge.media.kinds import kind_of

MOST_KEPT: Final = 256 * 1024 * 1024
LEAST_COUNTED: Final = 64 * 1024  # bytes: many small files are a burden as well
_log = Log("media")
_NAME: Final = re.compile("[0-9a-f-]{36}")


class Drawer:
    """One directory, made when it is first needed."""

    def __init__(self, directory: Path, most: int = MOST_KEPT) -> None:
        self._directory = directory
        self._most = most

    async def keep(self, name: str, file: File) -> None:
        """Under the name, an id; raises `NotMoved` while there is no room."""
        await asyncio.to_thread(self._keep, name, file)

    def path_of(self, name: str) -> Path:
        """Where a file is, if it is kept under the name, an id."""
        if not _NAME.fullmatch(name):
            raise ValueError("not an id")
        return self._directory / name

    async def get(self, name: str) -> File | None:
        """What is kept under the name."""
        return await asyncio.to_thread(self._get, name)

    async def drop(self, name: str) -> None:
        """Keep it no longer, if it is there."""
        await self._tried(partial(self.path_of(name).unlink, missing_ok=True))

    async def drop_others(self, names: Collection[str]) -> bool:
        """Keep these and nothing else. False if that cannot be done now."""
        return await self._tried(partial(self._drop_others, frozenset(names)))

    async def _tried(self, drop: Callable[[], None]) -> bool:
        """What cannot be dropped takes room, and nothing else: it is tried again by the next life, if not before."""
        try:
            await asyncio.to_thread(drop)
        except OSError as error:
            _log.error(Event.MEDIA_STUCK, why=error.strerror)
            return False
        return True

    def _keep(self, name: str, file: File) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = sum(map(_size, self._directory.iterdir()))
            if kept + max(LEAST_COUNTED, len(file.data)) > self._most:
                raise NotMoved(Fault.FULL)
            path = self.path_of(name)
            draft = path.with_suffix(".new")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as written:
                written.write(file.data)
                written.flush()
                os.fsync(written.fileno())
            draft.replace(path)
        except OSError:
            raise NotMoved(Fault.FULL) from None

    def _get(self, name: str) -> File | None:
        try:
            data = self.path_of(name).read_bytes()
        except OSError:
            return None
        return File(kind_of(data), data) if data else None

    def _drop_others(self, names: frozenset[str]) -> None:
        with contextlib.suppress(FileNotFoundError):
            for one in self._directory.iterdir():
                if one.name not in names:
                    one.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return max(LEAST_COUNTED, path.stat().st_size)
    except FileNotFoundError:  # it has gone where it was to go
        return 0
