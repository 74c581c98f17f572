"""Is a database file as SQLite left it? A look at all its pages takes a second for each gigabyte, or a disk's time.

A small file is looked through before anybody uses it. A large one beside the work, so that a start does not take longer
the more is kept; found damaged it is refused from then on, and at the next start before anything else.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Final

from smsbridge.core.errors import StoreUnavailable

AT_ONCE_BYTES: Final = 128 * 1024 * 1024
WORDS: Final = "the database file is damaged; restore it from a backup, it was left as it is"


def demand(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file was looked through, and is sound; not, if it is too large. Raises `StoreUnavailable`."""
    is_suspect = _suspicion(path).exists()
    if path.stat().st_size > AT_ONCE_BYTES and not is_suspect:
        return False
    if not _is_sound(connection):
        raise StoreUnavailable(WORDS)
    _suspicion(path).unlink(missing_ok=True)
    return True


class Inspection:
    """Looks through a file while others use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_damaged = False
        self._thread = threading.Thread(target=self._look, name="inspection", daemon=True)
        self._thread.start()

    def demand(self) -> None:
        """Raises `StoreUnavailable` once damage was found."""
        if self._is_damaged:
            raise StoreUnavailable(WORDS)

    def wait(self, seconds: float) -> bool:
        """Whether it has come to its end within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _look(self) -> None:
        try:
            connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            try:
                self._is_damaged = not _is_sound(connection)
            finally:
                connection.close()
            if self._is_damaged:
                _suspicion(self._path).touch(mode=0o600)
        except (sqlite3.Error, OSError):  # it could not be looked at: that is no damage
            return


def _is_sound(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return False
        raise


def _suspicion(path: Path) -> Path:
    """The file beside it that says: look through it first, however large it is."""
    return path.with_name(f"{path.name}.damaged")
