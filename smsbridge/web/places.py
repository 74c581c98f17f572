"""Who may stay when there are more connections than places.

A guest waits from its connection on until its request is known to be a carrier's, and again after that was answered;
meanwhile it is seated, and never disturbed. A newcomer who finds no place takes that of a guest who waits:

- under the cap of its own source, the oldest one from there;
- under the cap on all, a stranger's: the oldest from whichever source has most of them waiting. A source is a stranger
  until a request of its was a carrier's. Only if no stranger waits is a friend's place taken, and only for a friend.

The cap of a source is for strangers; a friend may have half of all places, lest a slow machine throws its calls out.

So slow clients, however many, hold a place only until somebody needs it; they crowd each other out before a source
that has one or two, and a carrier that has called before is not crowded out by them at all.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

Guest = TypeVar("Guest", bound=Hashable)

MAX_FRIENDS: Final = 256


class Places(Generic[Guest]):
    """`total` places, `per_source` for each source that is not exempt."""

    def __init__(self, *, total: int, per_source: int) -> None:
        self._total = total
        self._per_source = per_source
        self._source_of: dict[Guest, str] = {}
        self._counts: Counter[str] = Counter()
        self._friends: dict[str, None] = {}  # the last to be seated last
        self._waiting_friends: _Waiting[Guest] = _Waiting()
        self._waiting_strangers: _Waiting[Guest] = _Waiting()

    def __len__(self) -> int:
        return len(self._source_of)

    def enter(self, guest: Guest, source: str, *, is_exempt: bool = False) -> Guest | None:
        """Give a place; returns who has to go for it: nobody, another guest, or the newcomer if there is no place."""
        leaver: Guest | None = None
        if not is_exempt and self._counts[source] >= self._cap(source):
            leaver = self._line(source).oldest_of(source) or guest
        elif len(self) >= self._total:
            leaver = self._waiting_strangers.oldest_of_most()
            if leaver is None and source in self._friends:
                leaver = self._waiting_friends.oldest_of_most()
            leaver = leaver or guest
        if leaver is guest:
            return guest
        if leaver is not None:
            self.leave(leaver)
        self._source_of[guest] = source
        self._counts[source] += 1
        self._line(source).add(guest, source)
        return leaver

    def seat(self, guest: Guest) -> None:
        """It does what we are here for."""
        source = self._source_of.get(guest)
        if source is None:
            return
        self._line(source).remove(guest, source)
        if self._friends.pop(source, self) is self:
            self._waiting_strangers.move(source, self._waiting_friends)
        self._friends[source] = None
        if len(self._friends) > MAX_FRIENDS:
            forgotten = next(iter(self._friends))
            del self._friends[forgotten]
            self._waiting_friends.move(forgotten, self._waiting_strangers)

    def wait(self, guest: Guest) -> None:
        """It has been served, and is the youngest of those who wait."""
        source = self._source_of.get(guest)
        if source is not None:
            self._line(source).remove(guest, source)
            self._line(source).add(guest, source)

    def leave(self, guest: Guest) -> None:
        """Idempotent."""
        source = self._source_of.pop(guest, None)
        if source is None:
            return
        self._line(source).remove(guest, source)
        self._counts[source] -= 1
        if not self._counts[source]:
            del self._counts[source]

    def _cap(self, source: str) -> int:
        return max(self._per_source, self._total // 2) if source in self._friends else self._per_source

    def _line(self, source: str) -> "_Waiting[Guest]":
        return self._waiting_friends if source in self._friends else self._waiting_strangers


class _Waiting(Generic[Guest]):
    """Who waits, by source. Nothing is counted for each request: only a full house asks who has most."""

    def __init__(self) -> None:
        self._guests: dict[str, dict[Guest, None]] = {}  # oldest first

    def add(self, guest: Guest, source: str) -> None:
        self._guests.setdefault(source, {})[guest] = None

    def remove(self, guest: Guest, source: str) -> None:
        guests = self._guests.get(source)
        if guests is None:
            return
        guests.pop(guest, None)
        if not guests:
            del self._guests[source]

    def move(self, source: str, other: "_Waiting[Guest]") -> None:
        for guest in tuple(self._guests.get(source, ())):
            self.remove(guest, source)
            other.add(guest, source)

    def oldest_of(self, source: str) -> Guest | None:
        return next(iter(self._guests.get(source, ())), None)

    def oldest_of_most(self) -> Guest | None:
        if not self._guests:
            return None
        return self.oldest_of(max(self._guests, key=lambda source: len(self._guests[source])))
