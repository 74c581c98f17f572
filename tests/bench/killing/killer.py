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
texts, so that they hit something wherever it is on its way; and a server may hang for a moment before it dies.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from smsbridge.log import Event
from smsbridge.sim.xmpp_server import XmppServer
from tests.bench.killing.ledger import Doubts, Report
from tests.bench.killing.stores import Store

UP_SECONDS = 60.0
END_SECONDS = 60.0
LOOK_SECONDS = 0.02  # between two looks at another process
AGE_ERROR_MS = 2000
LONGEST_STREAK = 2  # of the server's deaths in one life of the bridge
EARLY = 5  # one strike in so many
BURSTS, FROZEN = 0.7, 0.4  # of all strikes
GAP, EARLY_GAP = (0.3, 1.5), (0.05, 0.8)
PAUSE, BURST_GAP, FREEZE = (0.1, 0.6), (0.01, 0.4), (0.02, 0.3)


class Victim(StrEnum):
    BRIDGE = "bridge"
    SERVER = "server"
    STORE = "store"


Victims = frozenset[Victim]

_WEIGHTS: dict[Victims, int] = {
    frozenset({Victim.BRIDGE}): 8,
    frozenset({Victim.SERVER}): 5,
    frozenset({Victim.STORE}): 4,
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

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "smsbridge", "run", "-c", str(self._directory / "config.yaml")), stderr=self._log
        )

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT."""
        assert self._process is not None
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def terminate(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
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
        self._server_up_at = time.time()
        self.trace: list[str] = []  # for whoever looks into a broken promise
        self._born_at = 0  # the size of the log when the bridge or its server was last started

    async def run(self, kills: int) -> None:
        """So many strikes; returns when the bridge is up again."""
        for n, victims in enumerate(self._plan(kills)):
            if n % EARLY == EARLY - 1:
                await asyncio.sleep(self._random.uniform(*EARLY_GAP))
            else:
                await self.until_up()
                await asyncio.sleep(self._random.uniform(*GAP))
                if self._random.random() < 0.5:
                    await self._bridge.pause(self._random.uniform(*PAUSE))
                    self._report.pauses += 1
            if self._random.random() < BURSTS:
                await self._burst()
                await asyncio.sleep(self._random.uniform(*BURST_GAP))
            await self._strike(victims)
        await self.until_up()
        await asyncio.sleep(GAP[1])  # some load on a house that lives

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
        self._report.ended_by_itself += 1
        if self._bridge.has_said(Event.SERVICE_STARTED, self._born_at):
            self._report.break_promise("the bridge ended by itself while it was up")
        await self._store.bury(at_once=True)
        await self._note_doubts(frozenset({Victim.BRIDGE}))
        self._born_at = self._bridge.log_size
        await self._bridge.start()

    def _plan(self, kills: int) -> Sequence[Victims]:
        """Each single victim once at least, if there are so many; then by weight."""
        possible = {
            victims: weight for victims, weight in _WEIGHTS.items() if self._store.server or Victim.STORE not in victims
        }
        alone = [victims for victims in possible if len(victims) == 1]
        self._random.shuffle(alone)
        drawn = self._random.choices(list(possible), list(possible.values()), k=kills)
        return list(_broken_up([*alone, *drawn][:kills]))

    async def _strike(self, victims: Victims) -> None:
        report = self._report
        await asyncio.gather(*(self._kill(victim) for victim in sorted(victims)))
        report.strikes += 1
        for victim in sorted(victims):
            report.kills[victim] = report.kills.get(victim, 0) + 1
        if Victim.STORE in victims and self._store.server is not None:
            await self._store.server.restart()
        if Victim.BRIDGE in victims:
            await self._store.bury(at_once=report.kills[Victim.BRIDGE] > self._leases)
        await self._note_doubts(victims)
        if victims & {Victim.BRIDGE, Victim.SERVER}:
            self._born_at = self._bridge.log_size
        if Victim.SERVER in victims:
            await self._server.restart()
            self._server_up_at = time.time()
        if Victim.BRIDGE in victims:
            await self._bridge.start()

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
