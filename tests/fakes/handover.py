"""A `HandOver` in memory that insists on its rules: nothing is handed that was not fixed, no bytes ever change."""

import itertools

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.handover import TIRED_ATTEMPTS, Claimed, Rendered, Unfit
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind
from smsbridge.core.state import DELIVERY, DeliveryState


class FakeHandOver:
    def __init__(self):
        self.rows = {}
        self.states = {}
        self.why = {}
        self.failures_to_come = 0
        self.claims = 0
        self.handed_at = {}
        self.counted = []
        self.proved = []
        self.doubted = []
        self.server_dies = False
        self._bell = Bell()

    def put(self, *names, body="hello", to="user@example.com", xml=None, attempt=0):
        """Commit a delivery for each name, as the bridge would."""
        for name in names:
            delivery = Delivery(
                id=DeliveryId(name),
                domain="sms.example.com",
                kind=DeliveryKind.TEXT,
                to_jid=to,
                sender="+15559870002",
                stanza_id=name,
                body=body,
                xml=xml,
                attempt=attempt,
            )
            self.rows[delivery.id] = delivery
            self.states[delivery.id] = DeliveryState.WAITING
        self._bell.ring()

    def be_born(self, *names):
        """Commit deliveries with their bytes, as whoever has room for them would."""
        self.put(*names)
        born = []
        for name in names:
            row = self.rows[name]
            self.rows[name] = row._replace(xml=f'<message id="{name}"/>'.encode(), attempt=1)
            self._move(name, DeliveryState.HANDING)
            born.append(self.rows[name])
        return born

    def count(self, kinds):
        self.counted += kinds

    def wake(self):
        self._bell.ring()

    def in_state(self, state):
        return [name for name, its in self.states.items() if its is state]

    @property
    def handed(self):
        return self.in_state(DeliveryState.HANDED)

    @property
    def quarantined(self):
        return self.in_state(DeliveryState.QUARANTINED)

    @property
    def is_empty(self):
        return not self.in_state(DeliveryState.WAITING) and not self.in_state(DeliveryState.HANDING)

    async def claim(self, limit, render, only=(), before=None):
        self._may_fail()
        assert limit > 0
        self.claims += 1
        waiting = [self.rows[name] for name in self.in_state(DeliveryState.WAITING) if not only or name in only]
        if before is not None:
            age = list(self.rows).index
            waiting = [row for row in waiting if age(row.id) < age(before)]
        found = waiting[:limit]
        fresh = found if only else list(itertools.takewhile(lambda row: row.attempt < TIRED_ATTEMPTS, found))
        if found and not fresh:
            return Claimed(tired=found[0].id)
        rendered, unfit = [], []
        for row in fresh:
            xml = render(row) if row.xml is None else row.xml
            if isinstance(xml, Unfit):
                unfit.append((row, xml))
                self._move(row.id, DeliveryState.QUARANTINED)
                self.why[row.id] = xml.why
                continue
            self._move(row.id, DeliveryState.HANDING)
            self.rows[row.id] = row._replace(xml=xml, attempt=row.attempt + 1)
            rendered.append(Rendered(delivery=row, xml=xml))
        return Claimed(rendered=tuple(rendered), unfit=tuple(unfit))

    async def put_back(self, besides):
        self._may_fail()
        for name in self.in_state(DeliveryState.HANDING):
            if name not in besides:
                self._move(name, DeliveryState.WAITING)

    async def hand(self, ids, at=None):
        self._may_fail()
        for name in ids:
            self.handed_at[name] = at
            self._move(name, DeliveryState.HANDED)

    async def prove(self, ids, before):
        self._may_fail()
        self.proved += [name for name in ids if name not in self.proved]

    async def doubt(self, until, *, is_guess):
        """The server died: what it had and nobody proved goes again."""
        self._may_fail()
        self.doubted.append(until)
        lost = [name for name in self.handed if name not in self.proved] if self.server_dies else []
        for name in lost:
            self._move(name, DeliveryState.WAITING)
        self._bell.ring()
        return len(lost)

    async def quarantine(self, name, why):
        self._may_fail()
        self._move(name, DeliveryState.QUARANTINED)
        self.why[name] = why

    async def wait(self, seconds):
        await self._bell.wait(seconds)

    def _move(self, name, state):
        before = self.states[name]
        assert before is state or (before, state) in DELIVERY
        self.states[name] = state

    def _may_fail(self):
        if self.failures_to_come:
            self.failures_to_come -= 1
            raise StoreUnavailable("the test says so")
