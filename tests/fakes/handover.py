"""A `HandOver` in memory that insists on its rules: nothing is handed that was not fixed, no bytes ever change."""

from dataclasses import replace

from smsbridge.bridge.bell import Bell
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind
from smsbridge.core.state import DELIVERY, DeliveryState


class FakeHandOver:
    def __init__(self):
        self.rows = {}
        self.states = {}
        self.why = {}
        self.failures_to_come = 0
        self.besides = []
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
            self.states[delivery.id] = DeliveryState.WAITING if xml is None else DeliveryState.HANDING
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

    async def claim(self, limit, besides):
        self._may_fail()
        assert limit > 0
        self.besides.append(frozenset(besides))
        open_states = (DeliveryState.WAITING, DeliveryState.HANDING)
        rows = [row for name, row in self.rows.items() if self.states[name] in open_states and name not in besides]
        return rows[:limit]

    async def fix(self, rendered):
        self._may_fail()
        for item in rendered:
            row = self.rows[item.id]
            assert row.xml in {None, item.xml}
            self._move(item.id, DeliveryState.HANDING)
            self.rows[item.id] = replace(row, xml=item.xml, attempt=row.attempt + 1)

    async def hand(self, ids):
        self._may_fail()
        for name in ids:
            self._move(name, DeliveryState.HANDED)

    async def prove(self, ids, before):
        self._may_fail()
        self.proved += [name for name in ids if name not in self.proved]

    async def doubt(self, until):
        """The server died: what it had and nobody proved goes again."""
        self._may_fail()
        self.doubted.append(until)
        lost = [name for name in self.handed if name not in self.proved] if self.server_dies else []
        for name in lost:
            self._move(name, DeliveryState.HANDING)
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
