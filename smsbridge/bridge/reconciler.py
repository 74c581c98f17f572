"""Find out what became of unknown sends.

    a dead claimant's part ─▶ unknown ─┬ the carrier's list can be asked ─▶ looked for (`looking`)
                                       ├ it cannot, or is not to be ─▶ unsure: its writer is asked
                                       └ the operator wants it so ─▶ sent again, whether or not it left

While a part is unknown its conversation waits, since what is written next must not overtake it; an unsure one does not
hold it up.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from smsbridge.bridge import doubting, settling
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.looking import Looking
from smsbridge.core.doubt import MOST_TRIES, WATCH, OnUnknown, Verdict
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Part, ProviderName
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import doubts, overdue
from smsbridge.store.database import Transaction

LOOK_AGAIN: Final = 15.0  # seconds between looks for claimants that died
TURN: Final = LOOK_AGAIN + 120
LONGEST_WATCH: Final = WATCH[-1] * 2

_log = Log("reconciler")


class Reconciler:
    """Looks after `sending` parts whose claimant is dead, and after `unknown` ones."""

    def __init__(self, desk: Desk, bell: Bell, looking: Mapping[ProviderName, Looking] | None = None) -> None:
        self._desk = desk
        self._bell = bell
        self._looking = looking or {}

    async def run(self) -> None:
        for name, unknowns in self._desk.rules().unknowns.items():
            if unknowns.on_unknown is OnUnknown.RESEND:
                _log.error(Event.RESENDING_BLINDLY, provider=name)
        async with asyncio.TaskGroup() as group:
            for looking in self._looking.values():
                group.create_task(looking.run())
            while True:
                self._desk.pulse.beat("reconciler", TURN)
                try:
                    await self._sort()
                except StoreUnavailable as error:
                    _log.error(Event.STORE_FAILED, error=str(error))
                for looking in self._looking.values():
                    looking.bell.ring()
                await self._bell.wait(LOOK_AGAIN)

    async def look(self) -> None:
        """One round, and every look that is due. Raises `StoreUnavailable`."""
        await self._sort()
        for looking in self._looking.values():
            await looking.look()

    async def _sort(self) -> None:
        """Dead claims become unknown; what is not to be looked for is decided. Raises `StoreUnavailable`."""
        desk = self._desk
        failpoint("reconciler.looking", StoreUnavailable)
        dead = await desk.database.run(self._find_dead)
        failpoint("reconciler.abandoned", StoreUnavailable)
        for part in dead:
            _log.warning(Event.PART_UNKNOWN, part=part.id, attempt=part.attempt, code="claimant_died")
        for name in await desk.database.run(self._names):
            code = await self._why_not_looked_for(name)
            if code:
                while decided := await desk.database.run(self._decide, name, code):
                    desk.pulse.beat("reconciler", TURN)
                    self._tell(decided)
        if dead:
            desk.wake_stream()
            desk.wake_senders()

    async def _why_not_looked_for(self, name: ProviderName) -> str:
        """Why unknown parts of this account are not looked for; "" if they are."""
        desk = self._desk
        match desk.unknowns(name).on_unknown:
            case OnUnknown.HOLD:
                return "on_unknown_hold"
            case OnUnknown.RESEND:
                return "on_unknown_resend"
        if name not in self._looking:
            return "untraceable"
        return "distrusted" if await desk.database.run(doubts.distrusted, [name]) else ""

    def _names(self) -> Transaction[tuple[ProviderName, ...]]:
        yield from doubts.pull_in(self._desk.now(), LONGEST_WATCH)
        return (yield from doubts.providers())

    def _tell(self, decided: list[tuple[Part, Event]]) -> None:
        for part, event in decided:
            _log.warning(event, part=part.id, provider=part.provider, attempt=part.attempt)
        self._desk.wake_stream()
        self._desk.wake_senders()

    def _find_dead(self) -> Transaction[list[Part]]:
        desk = self._desk
        dead = yield from overdue.abandoned(desk.now(), desk.holder)
        for part in dead:
            yield from settling.lose_track(desk, part, "reconciler", "claimant_died")
        return list(dead)

    def _decide(self, name: ProviderName, code: str) -> Transaction[list[tuple[Part, Event]]]:
        """Some unknown parts of an account, sent again or given up; none when all are."""
        desk, decided = self._desk, list[tuple[Part, Event]]()
        for doubted in (yield from doubts.undecided(name, doubting.AT_ONCE)):
            is_resent = desk.unknowns(name).on_unknown is OnUnknown.RESEND and len(doubted.doubts) < MOST_TRIES
            if is_resent and (yield from doubting.send_again(desk, doubted, Verdict.BLIND)):
                decided.append((doubted.part, Event.PART_RESENT_BLINDLY))
            elif not is_resent and (yield from doubting.give_up(desk, doubted, code)):
                decided.append((doubted.part, Event.PART_UNSURE))
        return decided
