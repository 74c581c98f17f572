"""A disk that keeps what was synced, and of the rest whatever chance leaves when the power goes.

Of each file, every write and every change of its size since its last sync is kept, dropped or torn: of a torn write
each sector of 512 bytes is kept or not. Which files are there is as the directory was last synced, or as after any
later change of it: directories are journalled, so that of two changes the second is not kept without the first.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.bench.crashing.trace import Create, Event, Say, Sync, Truncate, Unlink, Write

SECTOR = 512


class Loss(StrEnum):
    """What becomes of what was not synced."""

    NOTHING = "nothing"  # as after kill -9
    EVERYTHING = "everything"
    LATEST = "latest"  # all after some moment
    SOME = "some"
    TORN = "torn"


@dataclass(slots=True, eq=False)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """One directory, as far as it was played."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._changes: list[tuple[str, _File | None]] = []

    def play(self, event: Event) -> None:
        match event:
            case Write(name=name) | Truncate(name=name):
                self._names[name].pending.append(event)
            case Sync(name=""):
                self._durable_names, self._changes = dict(self._names), []
            case Sync(name=name):
                file = self._names[name]
                for change in file.pending:
                    _apply(file.durable, change)
                file.pending.clear()
            case Create(name=name) if name not in self._names:
                self._change(name, _File())
            case Unlink(name=name):
                self._change(name, None)
            case Create() | Say():
                pass

    @property
    def unsynced(self) -> int:
        return sum(len(file.pending) for file in self._names.values()) + len(self._changes)

    def crash(self, loss: Loss, rng: random.Random) -> dict[str, bytes]:
        """The files that are there when the power is back."""
        names = dict(self._durable_names)
        kept = _how_many(len(self._changes), loss, rng)
        for name, file in self._changes[:kept]:
            _name(names, name, file)
        return {name: bytes(_left(file, loss, rng)) for name, file in names.items()}

    def _change(self, name: str, file: _File | None) -> None:
        _name(self._names, name, file)
        self._changes.append((name, file))


def _name(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _how_many(count: int, loss: Loss, rng: random.Random) -> int:
    match loss:
        case Loss.NOTHING:
            return count
        case Loss.EVERYTHING:
            return 0
        case _:
            return rng.randint(0, count)


def _left(file: _File, loss: Loss, rng: random.Random) -> bytearray:
    content = bytearray(file.durable)
    pending = file.pending
    keeps: Callable[[], bool] = lambda: rng.random() < share  # noqa: E731
    share = rng.random()
    if loss in {Loss.NOTHING, Loss.EVERYTHING, Loss.LATEST}:
        pending, keeps = pending[: _how_many(len(pending), loss, rng)], lambda: True
    for change in pending:
        if loss is Loss.TORN and isinstance(change, Write):
            for piece in _sectors(change):
                if keeps():
                    _apply(content, piece)
        elif keeps():
            _apply(content, change)
    return content


def _sectors(write: Write) -> list[Write]:
    end, at, pieces = write.at + len(write.data), write.at, []
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        pieces.append(Write(write.name, at, write.data[at - write.at : until - write.at]))
        at = until
    return pieces


def _apply(content: bytearray, change: Write | Truncate) -> None:
    size = change.size if isinstance(change, Truncate) else change.at
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if isinstance(change, Truncate):
        del content[size:]
    else:
        content[size : size + len(change.data)] = change.data
