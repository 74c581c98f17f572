"""Is there room for new work? Below the floor nothing new is taken, so that what was taken can be finished."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from smsbridge.clock import Clock

REST: Final = 0.25  # seconds for which an answer holds: a flood writes a few MiB meanwhile
MARGIN: Final = 1.125  # of the floor: what is short of room has it again from there on


def free_beside(path: Path | None) -> int | None:
    """The bytes that are free where a database file is, for us; a server's disk is its own. Raises OSError."""
    if path is None:
        return None
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize


class Room:
    """`measure` tells the bytes that are free, None if that is not for us to know; `floor` is in bytes."""

    def __init__(self, measure: Callable[[], int | None], floor: int, clock: Clock) -> None:
        self._measure = measure
        self._floor = floor
        self._clock = clock
        self._look_at = float("-inf")
        self._short: int | None = None

    def is_there(self) -> bool:
        """Whether new work may be taken; asked for each, from whatever thread."""
        return self.shortage() is None

    def shortage(self) -> int | None:
        """The bytes that are free, if they are too few."""
        if (now := self._clock.monotonic()) >= self._look_at:
            self._look_at = now + REST
            free = self._ask()
            needed = self._floor * (1 if self._short is None else MARGIN)
            self._short = free if free is not None and free < needed else None
        return self._short

    @property
    def floor(self) -> int:
        return self._floor

    def words(self) -> str:
        """For the operator; empty while there is room."""
        short = self.shortage()
        if short is None:
            return ""
        return f"the disk has {short / 2**20:.0f} MiB left, new texts are taken from {self._floor / 2**20:.0f} MiB on"

    def _ask(self) -> int | None:
        try:
            return self._measure()
        except OSError:  # whether it can be written at all is the store's to say
            return None
