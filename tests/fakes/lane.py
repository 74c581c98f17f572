"""A stream's place for fresh deliveries, shut unless a test opens it; what it is told, it remembers."""

from datetime import UTC, datetime

from smsbridge.bridge.handover import Reservation


class Lane:
    def __init__(self):
        self.room = 0
        self.handed = ()
        self.at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.written = []
        self.settled = []
        self.doubted = []

    def reserve(self, most):
        return Reservation(room=min(most, self.room), stream=1, handed=self.handed, at=self.at)

    def render(self, delivery):
        return delivery.stanza_id.encode()

    def use(self, reservation, boarded):
        self.written += boarded.rendered
        self.settled += boarded.settled

    def doubt(self, reservation):
        self.doubted.append(reservation)
