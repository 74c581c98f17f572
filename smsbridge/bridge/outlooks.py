"""Would what is written to a number leave now, and if not, why? Looked at every few seconds, for the number's presence.

    holds, caps that are used up, an account that is refused, a carrier that cannot be reached, STOP ─▶ lasting for
    half a minute? ─▶ shown

Of a number that may not be texted at all the gate says so itself. Where all is well, nothing is read for it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from smsbridge.bridge import rationing
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.core import caps, gate
from smsbridge.core.address import Did, Peer, PeerKind, kind_of, parse_localpart
from smsbridge.core.alerts import Alert
from smsbridge.core.caps import Demand, Whose
from smsbridge.core.errors import Hold, Reason, Refused, StoreUnavailable
from smsbridge.core.line import Line
from smsbridge.core.outlook import FINE, Calm, Outlook, Show, gravest
from smsbridge.core.words.say import Say
from smsbridge.log import Event, Log
from smsbridge.store import alerts, bindings, conversations, holds, watchers
from smsbridge.store import caps as counters
from smsbridge.store.database import Transaction
from smsbridge.store.holds import HoldRow

ROUND: Final = timedelta(seconds=5)
LASTING: Final = timedelta(seconds=30)
TURN: Final = 120.0
AT_ONCE: Final = 200

_SHOWS: Final = {Hold.LOCKDOWN: Show.DND}

Place = tuple[str, str]  # a line, or with a peer one conversation over it; "" and an owner, or ("", "") everybody

_log = Log("outlooks")


class Outlooks:
    """What is known of lines and conversations, once it has lasted."""

    def __init__(
        self,
        desk: Desk,
        *,
        lasting: timedelta | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._desk = desk
        self._pause = pause
        self._calm: Calm[Place, Outlook] = Calm(LASTING if lasting is None else lasting)
        self._rules: object = None
        self._bell = Bell()

    async def run(self) -> None:
        while True:
            self._desk.pulse.beat("outlooks", ROUND.total_seconds() + TURN)
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await self._pause(ROUND.total_seconds())

    async def look(self) -> bool:
        """Whether something is to be shown that was not before. Raises `StoreUnavailable`."""
        rules = self._desk.rules()
        seen = await self._desk.database.run(self._see)
        is_new = self._calm.look(self._desk.clock.monotonic(), seen)
        is_new, self._rules = is_new or rules is not self._rules, rules  # whose a number is may have changed
        if is_new:
            self._bell.ring()
        return is_new

    async def changed(self, seconds: float) -> None:
        """Return when something is to be shown anew, or after so long."""
        await self._bell.wait(seconds)

    def wake(self) -> None:
        """Whoever waits for a change has something else to do."""
        self._bell.ring()

    async def of(self, owner: str, localpart: str) -> Outlook | None:
        """Of a number as it stands before the @, or of the gateway (""); None if he has no business with it."""
        lines = self._desk.rules().directory.lines_of(owner)
        if not lines:
            return None
        if not localpart:
            lightest = min((self._of_line(line) for line in lines), key=_gravity)
            return gravest((lightest, *self._of_owner(owner)))
        try:
            address = parse_localpart(localpart)
            bound = None
            if address.did is None and self._is_line_of_interest(lines, address.peers[0]):
                bound = await self._bound(owner, address.peers[0])
            admission = gate.judge(
                owner=owner, localpart=localpart, bound=bound, directory=self._desk.rules().directory,
                policy=self._desk.rules().policy,
            )  # fmt: skip
        except Refused as refused:
            return self._refused(refused)
        stopped = self._calm.settled.get((admission.line.did, admission.peer), FINE)
        return gravest((self._of_line(admission.line), stopped, *self._of_owner(owner)))

    async def remember(self, owner: str, number: str) -> None:
        """He sees the presence of this number. Raises `StoreUnavailable`."""
        await self._desk.database.run(watchers.add, owner, number)

    async def forget(self, owner: str, number: str) -> None:
        """He does not any more. Raises `StoreUnavailable`."""
        await self._desk.database.run(watchers.remove, owner, number)

    async def watched(self, after: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """Some of those who see a number's presence, and which, beginning behind one; ("", "") is before all."""
        return await self._desk.database.run(watchers.after, *after, AT_ONCE)

    def _of_line(self, line: Line) -> Outlook:
        return self._calm.settled.get((line.did, ""), FINE)

    def _of_owner(self, owner: str) -> tuple[Outlook, Outlook]:
        """Whatever the line."""
        return self._calm.settled.get(("", owner), FINE), self._calm.settled.get(("", ""), FINE)

    def _is_line_of_interest(self, lines: tuple[Line, ...], peer: Peer) -> bool:
        return len(lines) > 1 and (bool(self._calm.settled) or kind_of(peer) is PeerKind.SHORTCODE)

    async def _bound(self, owner: str, peer: Peer) -> Did | None:
        with contextlib.suppress(StoreUnavailable):
            return await self._desk.database.run(bindings.bound, owner, peer)
        return None

    def _refused(self, refused: Refused) -> Outlook | None:
        if refused.reason in {Reason.NOT_OWNER, Reason.BAD_ADDRESS, Reason.MOVED_ADDRESS}:
            return None
        return Outlook(show=Show.XA, words=refused.words or refused.reason.words)

    def _see(self) -> Transaction[dict[Place, Outlook]]:
        """All that is not fine at this moment."""
        desk = self._desk
        rows = yield from holds.current()
        raised = yield from alerts.all_of([Alert.ACCOUNT])
        refused = {alert.subject for alert in raised if alert.over_at is None}
        seen = yield from self._spent()
        for line in desk.rules().directory:
            found = [_held(row) for row in rows if row.covers(line.provider, line.did)]
            if line.provider in refused:
                found.append(Outlook(show=Show.XA, words=Say.OUTLOOK_ACCOUNT()))
            if desk.carriers.is_silent(line.provider):
                found.append(Outlook(show=Show.AWAY, words=Say.OUTLOOK_SILENT()))
            if found:
                seen[line.did, ""] = gravest([*found, seen.get((line.did, ""), FINE)])
        for did, peer, word in (yield from conversations.stops()):
            owned = desk.rules().directory.line_of(did)
            if owned is not None and owned.honours_stop:
                seen[did, peer] = Outlook(show=Show.DND, words=Say.OUTLOOK_STOPPED(word=word))
        return seen

    def _spent(self) -> Transaction[dict[Place, Outlook]]:
        """Where nothing is accepted until a day or a month is over."""
        rules, now = self._desk.rules(), self._desk.now()
        limits = rules.policy.limits
        owned = [(owner, line.did) for line in rules.directory for owner in line.owners]
        asked = caps.standing(limits, owned, now)
        helpings = {
            line.did: helping for line in rules.directory for helping in rationing.demands(self._desk, line.provider, 1)
        }
        if not (asked or helpings):
            return {}
        used = yield from counters.read([*asked.values(), *helpings.values()])
        seen: dict[Place, Outlook] = {}
        for did, helping in helpings.items():
            most = rules.rations[helping.provider].limit
            if used.get(helping.scope, 0) >= most:
                words = Say.OUTLOOK_RATION_SPENT(n=most, provider=helping.provider)
                seen[did, ""] = Outlook(show=Show.XA, words=words)
        for scope, demand in asked.items():
            if used.get(scope, 0) + demand.amount > demand.most:
                words = Say.OUTLOOK_SPENT(limit=caps.limit_of(demand, limits))
                seen[_place_of(demand)] = Outlook(show=Show.XA, words=words)
        return seen


def _place_of(demand: Demand) -> Place:
    return (demand.who, "") if demand.whose is Whose.DID else ("", demand.who)


def _held(row: HoldRow) -> Outlook:
    if row.hold in {Hold.RESTORE, Hold.PAUSE}:
        return Outlook(show=Show.XA, words=Say.OUTLOOK_HELD_BACK())
    return Outlook(show=_SHOWS.get(row.hold, Show.XA), words=Say.OUTLOOK_HELD(why=row.words))


def _gravity(outlook: Outlook) -> int:
    return tuple(Show).index(outlook.show)
