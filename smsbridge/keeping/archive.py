"""A file of lines that is whole or not there: compressed, sealed if there is a key, read by its owner alone.

    lines ─gzip─▶ (sealed) ─▶ NAME.partial, 0600 ─sync─▶ rename to NAME ─▶ sync the directory

It stops before the disk is full: on that disk somebody else may be taking texts.
"""

import contextlib
import gzip
import io
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from smsbridge.core.errors import SmsbridgeError
from smsbridge.keeping.sealing import MAGIC, CannotUnseal, Key, Sealer, unseal

LEAVE_FREE: Final = 64 * 1024 * 1024
LOOK_EVERY: Final = 4 * 1024 * 1024
LONGEST_LINE: Final = 16 * 1024 * 1024  # characters: a text has 64 KiB at most, its stanza less than ten times that
LEVEL: Final = 4  # of gzip: two thirds of the time of 6, and a tenth more bytes
_GZIP: Final = b"\x1f\x8b"


class CannotKeep(SmsbridgeError):
    """A file that cannot be written or read; the text says why, and quotes nothing of it."""


class Writes(Protocol):
    """What takes bytes."""

    def write(self, data: bytes) -> int: ...


@contextmanager
def writing(path: Path, key: Key | None = None) -> Iterator["Lines"]:
    """Write a file; it gets its name when the block ends well, else nothing of it is left. Raises `CannotKeep`."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a run that was killed
        number = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                yield from _into(_Careful(file, path.parent), key)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            sync_directory(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotKeep(f"{path} cannot be written: {error.strerror or type(error).__name__}") from error


def sync_directory(path: Path) -> None:
    """A rename is kept only with the directory that it is in."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Lines:
    """Where the lines go."""

    def __init__(self, out: Writes) -> None:
        self._out = out

    def add(self, line: str) -> None:
        self._out.write(line.encode() + b"\n")


def reading(path: Path, key: Key | None = None) -> Iterator[str]:
    """The lines of a file, sealed or not. Raises `CannotKeep`, `CannotUnseal`."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC))
            if begin == MAGIC:
                if key is None:
                    raise CannotUnseal("this backup is sealed: name its key with --key-file")
                raw: BinaryIO = cast("BinaryIO", io.BufferedReader(_Pieces(unseal(file, key))))
            else:
                file.seek(0)
                raw = file
                if not begin.startswith(_GZIP):
                    raise CannotKeep("this is no backup of smsbridge")
            with gzip.open(raw, "rt", encoding="utf-8", newline="\n") as text:
                while line := text.readline(LONGEST_LINE):
                    yield line
    except (EOFError, zlib.error, UnicodeError, gzip.BadGzipFile):
        raise CannotKeep("this backup is cut off or damaged") from None
    except OSError as error:
        raise CannotKeep(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error


def _into(file: "_Careful", key: Key | None) -> Iterator[Lines]:
    sealer = Sealer(cast("BinaryIO", file), key) if key else None
    with gzip.GzipFile(filename="", mode="wb", fileobj=cast("BinaryIO", sealer or file), compresslevel=LEVEL) as packed:
        yield Lines(cast("Writes", packed))
    if sealer:
        sealer.close()


class _Careful:
    """A file that looks at what is left of the disk."""

    def __init__(self, file: BinaryIO, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self._until_look = 0

    def write(self, data: bytes) -> int:
        self._until_look -= len(data)
        if self._until_look <= 0:
            self._until_look = LOOK_EVERY
            if shutil.disk_usage(self._directory).free < LEAVE_FREE:
                raise CannotKeep(
                    f"there is no room: less than {LEAVE_FREE >> 20} MiB are free where {self._directory} is"
                )
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        while not self._rest:
            with contextlib.suppress(StopIteration):
                self._rest = next(self._pieces)
                continue
            return 0
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
