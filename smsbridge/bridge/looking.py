"""Look for one carrier's texts of unknown fate: in its own list, one look after another.

What a list lacks was not sent only if the list shows what certainly was. So before that is concluded, a text that the
carrier has acknowledged is looked for in the same way. If it is not there, nothing is concluded from the lists of this
carrier any more, and writers are asked instead, until such a text is found again.
"""

import asyncio
from datetime import timedelta
from typing import Final

from smsbridge.bridge import alerts, doubting
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.doubting import Learned
from smsbridge.bridge.pacer import Pacer, Rank
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Part, ProviderName
from smsbridge.core.words.tell import Tell
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Traceable, Traced
from smsbridge.store import doubts
from smsbridge.store.database import Transaction
from smsbridge.store.doubts import Due

LOOK_AGAIN: Final = 15.0  # seconds between looks at what is due, when nothing rings
LONGEST_LOOK: Final = 300.0  # seconds: a list may take several calls, each up to a minute
TURN: Final = LOOK_AGAIN + LONGEST_LOOK + 120
AT_ONCE: Final = 20
TRY_TRUST: Final = timedelta(minutes=15)

_log = Log("looking")


class Looking:
    """The looks at one carrier's lists."""

    def __init__(self, desk: Desk, name: ProviderName, traceable: Traceable, pacer: Pacer) -> None:
        self.bell = Bell()
        self._desk = desk
        self._name = name
        self._traceable = traceable
        self._pacer = pacer

    async def run(self) -> None:
        while True:
            seconds = LOOK_AGAIN
            self._beat()
            try:
                await self.look()
                if (due := await self._desk.database.run(doubts.next_due, self._name)) is not None:
                    seconds = min(LOOK_AGAIN, max(0.0, (due - self._desk.now()).total_seconds()))
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await self.bell.wait(seconds)

    async def look(self) -> None:
        """Look for all that is due. Raises `StoreUnavailable`."""
        await self._try_trust()
        seen: set[str] = set()
        while due := await self._due(seen):
            for wanted in due:
                self._beat()
                seen.add(wanted.part.id)
                await self._look_for(wanted)

    async def _due(self, seen: set[str]) -> list[Due]:
        """What is due and was not looked for in this round."""
        due = await self._desk.database.run(doubts.due, self._desk.now(), self._name, AT_ONCE + len(seen))
        return [wanted for wanted in due if wanted.part.id not in seen]

    async def _look_for(self, wanted: Due) -> None:
        traced = await self._trace(wanted)
        learned = await self._learn(wanted.part, traced, is_trusted=False)
        if learned.needs_proof:
            proof = await self._prove(wanted.part.did, wanted.part.peer)
            if proof is False:
                await self._distrust(wanted.part)
                return
            if proof is None:
                traced = Traced(code="proof_failed")
            await self._learn(wanted.part, traced, is_trusted=True)

    async def _learn(self, part: Part, traced: Traced, *, is_trusted: bool) -> Learned:
        failpoint("looking.listed", StoreUnavailable)
        learned = await self._desk.database.run(doubting.judge, self._desk, part.id, traced, is_trusted=is_trusted)
        failpoint("looking.judged", StoreUnavailable)
        if learned.event is not None:
            say = _log.info if learned.event is Event.PART_FOUND else _log.warning
            say(learned.event, part=part.id, provider=self._name, attempt=part.attempt, code=traced.code)
            self._desk.wake_stream()
            self._desk.wake_senders()
        if learned.twice:
            self._desk.metrics.duplicates_unavoidable.labels(self._name).inc(learned.twice)
            _log.error(Event.PART_SENT_TWICE, part=part.id, provider=self._name)
            self._desk.wake_stream()
        return learned

    async def _trace(self, wanted: Due) -> Traced:
        async with self._pacer.listing(Rank.TRACE):
            try:
                async with asyncio.timeout(LONGEST_LOOK):
                    traced = await self._traceable.trace(wanted.part, wanted.since, self._desk.now())
            except TimeoutError:
                traced = Traced(code="timeout")
            except Exception as error:  # noqa: BLE001  # a bug in a provider: nothing was proved
                _log.crash(Event.LOOK_PROVED_NOTHING, error, provider=self._name)
                traced = Traced(code="crash")
        shown = "something" if traced.candidates else "nothing" if traced.is_whole else "no_list"
        self._desk.metrics.looks.labels(self._name, shown).inc()
        if not traced.is_whole:
            _log.warning(Event.LOOK_PROVED_NOTHING, part=wanted.part.id, provider=self._name, code=traced.code)
        return traced

    async def _prove(self, did: str = "", peer: str = "") -> bool | None:
        """Whether the list shows what certainly was sent; None if that cannot be found out now.

        The newest text of all shows that the list does not lag, the newest of the conversation that it is whole.
        """
        desk, settle = self._desk, self._desk.unknowns(self._name).settle
        seen: set[str] = set()
        for whose in (("", ""), (did, peer)):
            known = await desk.database.run(doubts.known_send, desk.now(), self._name, settle, *whose)
            if known is None or known.part.id in seen:
                continue  # nothing speaks against it
            seen.add(known.part.id)
            traced = await self._trace(known)
            if await desk.database.run(self._is_shown, known, traced):
                continue
            return False if traced.is_whole else None
        return True

    def _is_shown(self, known: Due, traced: Traced) -> Transaction[bool]:
        """By its id; or by its text, where the carrier gave it the id of another."""
        for one in traced.candidates:
            if (one.kind, one.provider_id) == (known.part.kind, known.provider_id):
                return True
            if not (yield from doubts.is_claimed(self._name, one.kind, one.provider_id, known.part.text)):
                return True
        return False

    async def _distrust(self, part: Part) -> None:
        if await self._desk.database.run(self._note_distrust):
            _log.error(Event.LISTING_DISTRUSTED, provider=self._name, part=part.id)
        await self._give_up()

    async def _give_up(self) -> None:
        """Nothing can be concluded any more: the writers of all that is unknown are asked."""
        while given_up := await self._desk.database.run(doubting.give_up_all, self._desk, self._name, "distrusted"):
            for part in given_up:
                _log.warning(Event.PART_UNSURE, part=part.id, provider=self._name, code="distrusted")
            self._desk.wake_stream()
            self._desk.wake_senders()

    def _note_distrust(self) -> Transaction[bool]:
        desk = self._desk
        is_new = yield from doubts.distrust(desk.now(), self._name, desk.now() + TRY_TRUST)
        if is_new:
            words = Tell.LIST_DISTRUSTED(provider=self._name)
            yield from alerts.sound(desk, Alert.RECONCILE, self._name, words)
        return is_new

    async def _try_trust(self) -> None:
        """While the lists are not trusted: find out from time to time whether they can be."""
        look_at, now = (
            (await self._desk.database.run(doubts.distrusted, [self._name])).get(self._name),
            self._desk.now(),
        )
        if look_at is None or now < look_at <= now + TRY_TRUST:  # later it is by a clock that was set back
            return
        if await self._prove() is not True:
            await self._desk.database.run(self._note_distrust)
        elif await self._desk.database.run(self._note_trust):
            _log.info(Event.LISTING_TRUSTED, provider=self._name)
            self._desk.wake_stream()

    def _note_trust(self) -> Transaction[bool]:
        is_new = yield from doubts.trust(self._name)
        if is_new:
            words = Tell.LIST_TRUSTED(provider=self._name)
            yield from alerts.clear(self._desk, Alert.RECONCILE, self._name, words)
        return is_new

    def _beat(self) -> None:
        self._desk.pulse.beat(f"looking {self._name}", TURN)
