"""From when on a carrier's list is of interest, so that no start floods anybody with old texts.

Each line has its beginning, from when it was first seen on this account: what is older is not ours to tell. How far
the list was read whole is kept too; a look begins a day before that, since rows turn up late, and lower ids with them.
Neither is ever an id.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.core.address import Did
from smsbridge.core.line import CatchUp
from smsbridge.core.message import ProviderName
from smsbridge.store import cursors
from smsbridge.store.database import Transaction

OVERLAP: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far back a look goes, and from when on the texts of each line count."""

    since: datetime
    begins: Mapping[Did, datetime]

    def holds(self, did: Did, at: datetime | None) -> bool:
        return did in self.begins and (at is None or at >= self.begins[did])


def reach(
    now: datetime, provider: ProviderName, dids: Collection[Did], catch_up: CatchUp, keys: timedelta
) -> Transaction[Reach]:
    """Where the next look begins; a line that is new begins now, or so many days ago.

    What is older than keys are kept might have been told before, and be forgotten.
    """
    whole = _name(provider)
    names = {did: _name(provider, did) for did in dids}
    first = now.replace(microsecond=0) - timedelta(days=catch_up.days)  # lists know no fractions
    known = yield from cursors.places([whole, *names.values()])
    fresh = {name: first for name in names.values() if name not in known}
    for name in fresh:
        yield from cursors.move(now, name, first)
    places = known | fresh
    read = min(places.get(whole, now), now)
    if fresh and first < read:
        read = first
        yield from cursors.move(now, whole, read)  # or a failure would leave the line's days out
    begins = {did: min(places[name], now) for did, name in names.items()}
    return Reach(since=max(read - OVERLAP, now - keys + OVERLAP), begins=begins)


def read_up_to(providers: Collection[ProviderName]) -> Transaction[dict[ProviderName, datetime]]:
    """Up to when the list of each was read whole, and all that it showed was judged."""
    names = {_name(provider): provider for provider in providers}
    return {names[name]: at for name, at in (yield from cursors.places(list(names))).items()}


def advance(now: datetime, provider: ProviderName, to: datetime) -> Transaction[None]:
    """The list was read whole up to an instant."""
    yield from cursors.move(now, _name(provider), to)


def _name(provider: ProviderName, did: Did | None = None) -> str:
    return f"listed\x1f{provider}" + (f"\x1f{did}" if did else "")
