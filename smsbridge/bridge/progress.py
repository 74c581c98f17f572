"""Is the bridge getting on with it? Counts for the gauges, ages for readiness."""

from collections import Counter

from smsbridge.bridge.desk import Desk
from smsbridge.core.alerts import Alert
from smsbridge.core.state import BLOCKING, LIVE, DeliveryState
from smsbridge.store import backlog as backlog_of
from smsbridge.store import holds
from smsbridge.store.backlog import Backlog

_TABLES = {
    "outbox": tuple(sorted(LIVE | BLOCKING)),
    "delivery": (DeliveryState.WAITING, DeliveryState.HANDING),
}


class Progress:
    """Reads the store when asked, and keeps the gauges true while at it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def backlog(self) -> Backlog:
        """What is not finished; raises `StoreUnavailable`."""
        now = self._desk.now()
        found = await self._desk.database.run(backlog_of.backlog)
        on_hold = Counter((row.provider, row.hold) for row in await self._desk.database.run(holds.current))
        for table, states in _TABLES.items():
            for state in states:
                self._desk.metrics.backlog.labels(table, state).set(found.states.get((table, state), 0))
        for table, oldest in (("delivery", found.oldest_delivery), ("outbox", found.oldest_part)):
            self._desk.metrics.oldest_seconds.labels(table).set((now - oldest).total_seconds() if oldest else 0)
        self._desk.metrics.holds.clear()
        for (provider, hold), count in on_hold.items():
            self._desk.metrics.holds.labels(provider, hold).set(count)
        for kind in Alert:
            self._desk.metrics.alerts.labels(kind).set(found.alerts.get(kind, 0))
        return found
