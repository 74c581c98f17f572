"""Would a text to this number leave now? As presence says it, and never in haste: what flickers is not shown."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from smsbridge.core.words.say import Words

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Show(StrEnum):
    """RFC 6121, 4.7.2.1, the gravest last; `available` is the absence of a word."""

    AVAILABLE = "available"
    AWAY = "away"
    XA = "xa"
    DND = "dnd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`words`: why, for the person who would write; "" if a text would leave."""

    show: Show
    words: Words


FINE = Outlook(show=Show.AVAILABLE, words="")
_GRAVITY = tuple(Show)


def gravest(outlooks: Iterable[Outlook]) -> Outlook:
    """The one that counts, among equals the first; `FINE` if there is none."""
    return max(outlooks, key=lambda outlook: _GRAVITY.index(outlook.show), default=FINE)


class Calm(Generic[Key, Value]):
    """Values by key that change only when a change has lasted; the first look is believed at once."""

    def __init__(self, span: timedelta) -> None:
        self.settled: Mapping[Key, Value] = {}
        self._span = span.total_seconds()
        self._since: dict[Key, tuple[Value | None, float]] = {}
        self._has_looked = False

    def look(self, now: float, seen: Mapping[Key, Value]) -> bool:
        """Whether anything settled anew; `now` in seconds. What is not in `seen` is over, when that has lasted."""
        if not self._has_looked:
            self._has_looked, self.settled = True, dict(seen)
            return bool(seen)
        settled = dict(self.settled)
        for key in {*settled, *seen, *self._since}:
            value = seen.get(key)
            if value == settled.get(key):
                self._since.pop(key, None)
                continue
            known, since = self._since.get(key, (None, now))
            if key not in self._since or known != value:
                self._since[key] = value, now
                since = now
            if now - since < self._span:
                continue
            del self._since[key]
            if value is None:
                settled.pop(key, None)
            else:
                settled[key] = value
        is_new, self.settled = settled != self.settled, settled
        return is_new
