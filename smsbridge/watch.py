"""The supervisor's eyes: its watchdog is fed while there is progress, and its status line is kept true.

Progress: this loop turns, the store commits, and every other loop has turned when it promised to (`bridge.pulse`). A
server or a carrier that is down is no reason to starve: a new start would not bring it back.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock
from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.notify import notify, status, watchdog_seconds
from smsbridge.store.backlog import Backlog

TURN_SECONDS: Final = 10.0
ASK_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 60.0  # a store that says neither yes nor no for so long hangs
FAILING_SECONDS: Final = 300.0  # and one that only says no may need to be opened anew
COUNT_REST: Final = 100  # at most a hundredth of the time goes into counting
ANSWERS, COMMITS = "store", "commits"

_WAITING: Final = frozenset({("outbox", "queued"), ("delivery", "waiting"), ("delivery", "handing")})

_log = Log("watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the status line tells of. `rows`: (table, state) to rows that are not finished."""

    now: datetime
    stream_down_since: datetime | None = None
    store_failing_since: datetime | None = None
    late: tuple[str, ...] = ()
    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    refusal: str = ""
    alerts: tuple[str, ...] = ()


def words_of(view: View) -> str:
    """One short line, the worst first."""
    words = []
    if view.late:
        words.append(f"no progress: {', '.join(view.late)}")
    if view.store_failing_since is not None:
        words.append(f"the store fails since {_time(view.store_failing_since, view.now)}")
    if view.stream_down_since is None:
        words.append("up")
    else:
        words.append(f"XMPP server unreachable since {_time(view.stream_down_since, view.now)}")
    waiting = sum(rows for state, rows in view.rows.items() if state in _WAITING)
    held = view.rows.get(("outbox", "held"), 0)
    if waiting:
        words.append(f"{waiting} {'text waits' if waiting == 1 else 'texts wait'}")
    if held:
        words.append(f"{held} on hold")
    if view.alerts:
        words.append(f"alerts: {', '.join(view.alerts)}")
    if view.refusal:
        words.append(view.refusal)
    return "; ".join(words)


class Watch:
    """`commit` proves that the store can write, `backlog` counts what waits; both raise `StoreUnavailable`."""

    def __init__(
        self,
        *,
        pulse: Pulse,
        clock: Clock,
        metrics: Metrics,
        commit: Callable[[], Awaitable[object]],
        backlog: Callable[[], Awaitable[Backlog]],
        stream_down_since: Callable[[], datetime | None],
        refusal: Callable[[], str],
    ) -> None:
        self._pulse = pulse
        self._clock = clock
        self._metrics = metrics
        self._commit = commit
        self._backlog = backlog
        self._stream_down_since = stream_down_since
        self._refusal = refusal
        self._failing_since: datetime | None = None
        self._rows: Mapping[tuple[str, str], int] = {}
        self._alerts: tuple[str, ...] = ()
        self._late: tuple[str, ...] = ()
        self._count_at = float("-inf")

    async def run(self) -> None:
        seconds = min(watchdog_seconds() or TURN_SECONDS, TURN_SECONDS)
        self._pulse.beat(ANSWERS, SILENT_SECONDS)
        self._pulse.beat(COMMITS, FAILING_SECONDS)
        turned = self._clock.monotonic()
        while True:
            await self.turn()
            await asyncio.sleep(seconds)
            now = self._clock.monotonic()
            if (stopped := now - turned - seconds - 2 * ASK_SECONDS) > seconds:  # we were: all the others were as well
                self._pulse.forgive(stopped)
            turned = now

    async def turn(self) -> None:
        """Look once, and tell."""
        await self._ask_the_store()
        self._judge()
        view = View(
            now=self._clock.now(),
            stream_down_since=self._stream_down_since(),
            store_failing_since=self._failing_since,
            late=self._late,
            rows=self._rows,
            refusal=self._refusal(),
            alerts=self._alerts,
        )
        fed = () if self._late else ("WATCHDOG=1",)
        notify(*fed, status(words_of(view)))

    async def _ask_the_store(self) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._commit()
        except TimeoutError:
            self._failing_since = self._failing_since or self._clock.now()
            return
        except NoRoom:  # nor would it make room; meanwhile what is refused is refused in words
            self._failing_since = self._failing_since or self._clock.now()
            self._pulse.beat(COMMITS, FAILING_SECONDS)
        except StoreUnavailable:
            self._failing_since = self._failing_since or self._clock.now()
        else:
            self._failing_since = None
            self._pulse.beat(COMMITS, FAILING_SECONDS)
            await self._count()
        self._pulse.beat(ANSWERS, SILENT_SECONDS)

    async def _count(self) -> None:
        """For the status line alone: rows that are too many to count are no fault of the store."""
        began = self._clock.monotonic()
        if began >= self._count_at:
            with contextlib.suppress(TimeoutError, StoreUnavailable):
                async with asyncio.timeout(ASK_SECONDS):
                    found = await self._backlog()
                    self._rows, self._alerts = found.states, tuple(sorted(found.alerts))
            ended = self._clock.monotonic()
            self._count_at = ended + COUNT_REST * (ended - began)

    def _judge(self) -> None:
        late = self._pulse.late()
        self._metrics.store_failing.set(self._failing_since is not None)
        self._metrics.loops_late.set(len(late))
        if late and late != self._late:
            _log.error(Event.PROGRESS_LOST, loops=late)
        elif self._late and not late:
            _log.info(Event.PROGRESS_REGAINED)
        self._late = late


def _time(since: datetime, now: datetime) -> str:
    return f"{since:%H:%M} UTC" if since.date() == now.date() else f"{since:%Y-%m-%d %H:%M} UTC"
