"""The bridge as a process that can be killed, and who kills it, its XMPP server and its database, at random.

    strike   kill the victims at once ─▶ the database is back ─▶ note what is in doubt ─▶ server back, bridge back

What is in doubt is read from the store while nothing can change it for the better or the worse: the dead bridge's last
transaction has ended, and the dead server has taken its last stanza.

    the bridge died   what was `handing`: written, perhaps, and not proved handled; parts that were `sending`;
                      what was `handed` in the server's first two seconds and not proved to outlive it: a server
                      counts its life in whole seconds, so the next bridge cannot tell that it is the same one
    the server died   what was `handing`, and what was `handed` and not proved to outlive it
    the store died    nothing: the bridge lives, and remembers what was handled

After one strike in five the next does not wait for the bridge to be up. Most strikes come shortly after a burst of
texts, so that they hit something wherever it is on its way; and a server may hang for a moment before it dies. Between
strikes the bridge may stand still, once for longer than its lease. A life may end by itself at a failpoint.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from smsbridge.failpoints import VARIABLE, Action
from smsbridge.log import Event
from smsbridge.sim.xmpp_server import XmppServer
from smsbridge.tenure import ALONE_SPAN, SHARED_SPAN
from tests.bench.killing import points
from tests.bench.killing.ledger import Doubts, Report
from tests.bench.killing.points import Charge, Life
from tests.bench.killing.stores import Store

UP_SECONDS = 60.0
END_SECONDS = 60.0
LOOK_SECONDS = 0.02  # between two looks at another process
AGE_ERROR_MS = 2000
LONGEST_STREAK = 2  # of the server's deaths in one life of the bridge
EARLY = 5  # one strike in so many
BURSTS, FROZEN = 0.7, 0.4  # of all strikes
GAP, EARLY_GAP = (0.3, 1.5), (0.05, 0.8)
PAUSE, BURST_GAP, FREEZE = (0.1, 3.0), (0.01, 0.4), (0.02, 0.3)
PAST_LEASE = 1.5  # seconds
REACH_SECONDS = 30.0
AFTERMATH_SECONDS = 0.7  # of a fault
MINED = 0.3  # of the lives of the bridge


class Victim(StrEnum):
    BRIDGE = "bridge"
    SERVER = "server"
    STORE = "store"


Victims = frozenset[Victim]

_WEIGHTS: dict[Victims, int] = {
    frozenset({Victim.BRIDGE}): 7,
    frozenset({Victim.SERVER}): 7,
    frozenset({Victim.STORE}): 5,
    frozenset({Victim.BRIDGE, Victim.SERVER}): 1,
    frozenset({Victim.BRIDGE, Victim.STORE}): 1,
    frozenset({Victim.SERVER, Victim.STORE}): 1,
}


class Bridge:
    """`smsbridge run` with a directory of its own; its log is appended to over all its lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._log = (directory / "bridge.log").open("ab")

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    @property
    def was_killed(self) -> bool:
        return self._process is not None and self._process.returncode == -signal.SIGKILL

    @property
    def log_size(self) -> int:
        return self.log_path.stat().st_size

    @property
    def log_path(self) -> Path:
        return self._directory / "bridge.log"

    def has_said(self, event: Event, since: int) -> bool:
        """Whether its log tells of this after its first so many bytes."""
        with self.log_path.open("rb") as log:
            log.seek(since)
            return f'"{event.value}"'.encode() in log.read()

    def has_reached(self, charge: Charge, since: int) -> bool:
        """Whether what waited at a failpoint happened; after its first so many bytes the log tells."""
        with self.log_path.open("rb") as log:
            log.seek(since)
            return f'"name": "{charge.name}", "action": "{charge.action}"'.encode() in log.read()

    async def start(self, life: Life = ()) -> None:
        """`life`: what waits for this one at failpoints."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "smsbridge", "run", "-c", str(self._directory / "config.yaml")),
            stderr=self._log,
            env=os.environ | {VARIABLE: ",".join(charge.plan for charge in life)},
        )

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def ended(self) -> None:
        assert self._process is not None
        await self._process.wait()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):  # it may die at a failpoint
            self._process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._process.send_signal(signal.SIGCONT)

    async def terminate(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self.ask_to_stop()
        async with asyncio.timeout(END_SECONDS):
            return await self._process.wait()

    async def close(self) -> None:
        await self.kill()
        self._log.close()


class Killer:
    """Kills, brings back, and keeps the record of what was in doubt."""

    def __init__(
        self,
        bridge: Bridge,
        server: XmppServer,
        store: Store,
        report: Report,
        rng: random.Random,
        *,
        burst: Callable[[], Awaitable[None]],
        leases: int,
    ) -> None:
        """`burst` puts many texts on their way at once.

        `leases`: so many of a dead bridge's run out by themselves, as in life; the others end with it.
        """
        self.doubts = Doubts()
        self._bridge = bridge
        self._server = server
        self._store = store
        self._report = report
        self._random = rng
        self._burst = burst
        self._leases = leases
        self._mines = points.at_random(store.name, rng)
        self._server_up_at = time.time()
        self.trace: list[str] = []  # for whoever looks into a broken promise
        self._born_at = 0  # the size of the log when the bridge or its server was last started
        self._life_at = 0  # its size when the bridge was last started

    async def run(self, kills: int, *, outlasts: bool = False) -> None:
        """So many strikes, once more than its lease between them; returns when the bridge is up again."""
        for n, victims in enumerate(self._plan(kills)):
            if outlasts and n == kills // 2:
                await self._outlast_lease()
            if n % EARLY == EARLY - 1:
                await asyncio.sleep(self._random.uniform(*EARLY_GAP))
            else:
                await self.until_up()
                await asyncio.sleep(self._random.uniform(*GAP))
                if self._random.random() < 0.5:
                    await self._pause(self._random.uniform(*PAUSE))
            if self._random.random() < BURSTS:
                await self._burst()
                await asyncio.sleep(self._random.uniform(*BURST_GAP))
            await self._strike(victims, (next(self._mines),) if self._random.random() < MINED else ())
        await self._disarm()
        await asyncio.sleep(GAP[1])  # some load on a house that lives

    async def exhaust(self, lives: Sequence[Life]) -> None:
        """A life of the bridge for each; where nobody came by, one more at the end."""
        missed = [life for life in lives if not await self._live(life)]
        for life in missed:
            if not await self._live(life):
                self._report.missed_failpoints += [charge.plan for charge in life]
        await self._disarm()

    async def _live(self, life: Life) -> bool:
        """The next life of the bridge, until all that waits at its failpoints has happened; False if not all did."""
        victims = {Victim.BRIDGE}
        if any(charge.needs_new_server for charge in life):
            await self._disarm()
            await asyncio.sleep(GAP[1])  # so that it has something to lose
            victims.add(Victim.SERVER)
        await self._strike(frozenset(victims), life)
        await self._burst()
        for charge in life:
            if not await self._happened(charge):
                self.trace.append(f"nobody came by {charge.plan}")
                return False
        return True

    async def _happened(self, charge: Charge) -> bool:
        """False if nobody came by."""
        try:
            async with asyncio.timeout(REACH_SECONDS):
                if charge.is_at_the_end:
                    await self.until_up()
                    self._bridge.ask_to_stop()
                while not self._bridge.has_reached(charge, self._life_at):  # noqa: ASYNC110 - another process tells us nothing
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            return False
        reached = time.time() - 2 * LOOK_SECONDS
        match charge.action:
            case Action.KILL:
                await self._bridge.ended()
            case Action.STALL:
                await asyncio.sleep(points.STALL_SECONDS + AFTERMATH_SECONDS)
            case Action.RAISE:
                await asyncio.sleep(AFTERMATH_SECONDS)
                await self._note_lost_stream(reached)
        return True

    async def _note_lost_stream(self, since: float) -> None:
        """A fault may have cost the bridge its stream, and what was on it is in doubt as after a death."""
        rows = await self._store.read(
            "SELECT d.stanza_id FROM history h JOIN delivery d ON d.id = h.subject_id WHERE d.kind = 'text'"  # noqa: S608
            f" AND h.code = 'stream_died' AND h.at >= {int(since * 1000)}"
        )
        self.doubts.deliveries.update(row[0] for row in rows)

    async def _disarm(self) -> None:
        """From here on the bridge has a life without failpoints."""
        await self._strike(frozenset({Victim.BRIDGE}))
        await self.until_up()

    async def _pause(self, seconds: float) -> None:
        await self._bridge.pause(seconds)
        self._report.pauses += 1

    async def _outlast_lease(self) -> None:
        """Stand still for longer than the lease; then it must not be used, whoever has it."""
        await self.until_up()
        span = ALONE_SPAN if self._store.server is None else SHARED_SPAN
        await self._pause(span.total_seconds() + PAST_LEASE)
        self._report.outlasted += 1
        await asyncio.sleep(AFTERMATH_SECONDS)

    async def until_up(self) -> None:
        """Return when the bridge has its stream; bring it back if it has ended."""
        deadline = time.monotonic() + UP_SECONDS
        while not self._bridge.has_said(Event.STREAM_OPENED, self._born_at):
            await self.revive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the bridge was not up after {UP_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def revive(self) -> None:
        """As a supervisor does, if it has ended: what its end left in doubt counts as after a kill."""
        if not self._bridge.has_ended:
            return
        self._count_end()
        await self._store.bury(at_once=True)
        await self._note_doubts(frozenset({Victim.BRIDGE}))
        await self._give_birth()

    async def _give_birth(self, life: Life = ()) -> None:
        self._born_at = self._life_at = self._bridge.log_size
        await self._bridge.start(life)

    def _count_end(self) -> None:
        """Of a life that we did not end. Who stood still for too long has lost the lease, and must not go on."""
        report = self._report
        if self._bridge.has_said(Event.FAILPOINT_REACHED, self._life_at):
            report.ended_at_failpoints += 1
            if self._bridge.was_killed:
                self._count([Victim.BRIDGE])
            return
        report.ended_by_itself += 1
        was_up = self._bridge.has_said(Event.SERVICE_STARTED, self._life_at)
        if was_up and not self._bridge.has_said(Event.LEASE_LOST, self._life_at):
            report.break_promise("the bridge ended by itself while it was up")

    def _count(self, victims: Sequence[Victim]) -> None:
        self._report.strikes += 1
        for victim in victims:
            self._report.kills[victim] = self._report.kills.get(victim, 0) + 1

    def _plan(self, kills: int) -> Sequence[Victims]:
        """Each single victim once at least, if there are so many; then by weight."""
        possible = {
            victims: weight for victims, weight in _WEIGHTS.items() if self._store.server or Victim.STORE not in victims
        }
        alone = [victims for victims in possible if len(victims) == 1]
        self._random.shuffle(alone)
        drawn = self._random.choices(list(possible), list(possible.values()), k=kills)
        return list(_broken_up([*alone, *drawn][:kills]))

    async def _strike(self, victims: Victims, life: Life = ()) -> None:
        """`life`: what waits for the next one of the bridge, if it gets one."""
        report = self._report
        if Victim.BRIDGE in victims and self._bridge.has_ended:
            self._count_end()
            self._count(sorted(victims - {Victim.BRIDGE}))
        else:
            self._count(sorted(victims))
        await asyncio.gather(*(self._kill(victim) for victim in sorted(victims)))
        if Victim.STORE in victims and self._store.server is not None:
            await self._store.server.restart()
        if Victim.BRIDGE in victims:
            await self._store.bury(at_once=report.kills.get(Victim.BRIDGE, 0) > self._leases)
        await self._note_doubts(victims)
        if victims & {Victim.BRIDGE, Victim.SERVER}:
            self._born_at = self._bridge.log_size
        if Victim.SERVER in victims:
            await self._server.restart()
            self._server_up_at = time.time()
        if Victim.BRIDGE in victims:
            await self._give_birth(life)

    async def _kill(self, victim: Victim) -> None:
        match victim:
            case Victim.BRIDGE:
                await self._bridge.kill()
            case Victim.SERVER:
                if self._random.random() < FROZEN and self._server.pid is not None:
                    os.kill(self._server.pid, signal.SIGSTOP)  # what is written to it now it never reads
                    await asyncio.sleep(self._random.uniform(*FREEZE))
                await self._server.kill()
            case Victim.STORE if self._store.server is not None:
                await self._store.server.kill()

    async def _note_doubts(self, dead: Victims) -> None:
        if not dead & {Victim.BRIDGE, Victim.SERVER}:
            self._tell(dead, 0, 0)
            return
        too_young = f" AND handed_at <= {int(self._server_up_at * 1000) + AGE_ERROR_MS}"
        rows = await self._store.read(
            "SELECT stanza_id FROM delivery WHERE kind = 'text' AND (state = 'handing'"  # noqa: S608
            f" OR (state = 'handed' AND proved_at IS NULL{'' if Victim.SERVER in dead else too_young}))"
        )
        self.doubts.deliveries.update(row[0] for row in rows)
        parts = await self._store.read("SELECT id FROM outbox WHERE state = 'sending'") if Victim.BRIDGE in dead else []
        self.doubts.parts.update(row[0] for row in parts)
        self._tell(dead, len(rows), len(parts))

    def _tell(self, dead: Victims, deliveries: int, parts: int) -> None:
        now = datetime.now(UTC).strftime("%H:%M:%S.%f")
        self.trace.append(f"{now} {' '.join(sorted(dead))}: {deliveries} deliveries and {parts} parts in doubt")


def _broken_up(plan: Sequence[Victims]) -> Iterator[Victims]:
    """A bridge whose streams are all short waits longer and longer for the next one, until it is born anew."""
    streak = 0
    for victims in plan:
        streak = streak + 1 if Victim.SERVER in victims and Victim.BRIDGE not in victims else 0
        yield victims if streak <= LONGEST_STREAK else frozenset({Victim.BRIDGE})
        streak %= LONGEST_STREAK + 1
