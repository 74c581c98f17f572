"""A backup while the bridge runs; and what a directory of them keeps."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from smsbridge.keeping import archive
from smsbridge.keeping.sealing import Key
from smsbridge.store.dump import dump
from smsbridge.store.snapshot import open_snapshot

SUFFIX: Final = ".smsbridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The store, and the component's name."""

    url: str
    password: str | None
    name: str


async def back_up(source: Source, path: Path, now: datetime, key: Key | None = None) -> Path:
    """Write a backup into a file, or into a directory under a name of its own. Where it is.

    Raises `StoreUnavailable`, `CannotKeep`, `CannotUnseal`.
    """
    target = _target(path, source.name, now)
    with archive.writing(target, key) as lines:
        async with open_snapshot(source.url, source.password) as snapshot:
            async for line in dump(snapshot, source.name, now):
                lines.add(line)
    return target


def prune(directory: Path, name: str, keep: int) -> list[Path]:
    """Remove all but the newest backups of a bridge from a directory. What went."""
    backups = sorted(directory.glob(f"{name}-????????T??????Z{SUFFIX}"))
    gone = backups[:-keep]
    for path in gone:
        path.unlink()
    return gone


def _target(path: Path, name: str, now: datetime) -> Path:
    return path / f"{name}-{now:%Y%m%dT%H%M%SZ}{SUFFIX}" if path.is_dir() else path
