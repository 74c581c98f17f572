"""Find out what became of an unknown send.

A carrier that cannot be asked leaves nothing to find out: the part becomes `unsure`, the sender is told that it
may not have been sent, and the conversation goes on. Nothing is ever sent again from here.
"""

from smsbridge.bridge import settling, telling
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.core.errors import Reason, StoreUnavailable
from smsbridge.core.message import Part
from smsbridge.core.state import PartEvent
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import outbox, overdue
from smsbridge.store.database import Transaction

LOOK_AGAIN = 15.0  # seconds between looks for claimants that died
TURN = LOOK_AGAIN + 120
AT_ONCE = 100  # rows in one transaction

_log = Log("reconciler")


class Reconciler:
    """Looks after `sending` parts whose claimant is dead, and after `unknown` ones."""

    def __init__(self, desk: Desk, bell: Bell) -> None:
        self._desk = desk
        self._bell = bell

    async def run(self) -> None:
        while True:
            self._desk.pulse.beat("reconciler", TURN)
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await self._bell.wait(LOOK_AGAIN)

    async def look(self) -> None:
        """One round: dead claims become unknown, unknown parts are looked into. Raises `StoreUnavailable`."""
        failpoint("reconciler.looking", StoreUnavailable)
        dead = await self._desk.database.run(self._find_dead)
        failpoint("reconciler.abandoned", StoreUnavailable)
        for part in dead:
            _log.warning(Event.PART_UNKNOWN, part=part.id, attempt=part.attempt, code="claimant_died")
        while unsure := await self._desk.database.run(self._give_up):
            self._desk.pulse.beat("reconciler", TURN)
            for part in unsure:
                _log.warning(Event.PART_UNSURE, part=part.id, attempt=part.attempt)
            self._desk.wake_stream()
            self._desk.wake_senders()

    def _find_dead(self) -> Transaction[list[Part]]:
        desk = self._desk
        dead = yield from overdue.abandoned(desk.now(), desk.holder)
        # A claim of our own whose lease ran out as well: nobody may be sending it (its commit seemed to have failed).
        ours = yield from overdue.abandoned(desk.now(), "")
        lost = {part.id: part for part in (*dead, *ours)}
        for part in lost.values():
            yield from settling.lose_track(desk, part, "reconciler", "claimant_died")
        return list(lost.values())

    def _give_up(self) -> Transaction[list[Part]]:
        desk = self._desk
        unsure = []
        for part in (yield from overdue.in_doubt(AT_ONCE)):
            moved = yield from outbox.move(
                desk.ids, desk.now(), "reconciler", part.id, PartEvent.GIVE_UP, reason=Reason.UNSURE, code="untraceable"
            )
            if moved is not None:
                yield from telling.tell(desk, part.id)
                unsure.append(part)
        return unsure
