"""Phone to client: throughput and latency of one bridge, whatever its store holds."""

from dataclasses import dataclass, field

from tests.bench.figures import Figures
from tests.bench.house import PATH, Bridge, running
from tests.bench.posts import Round, closed_loop, open_loop
from tests.bench.process import cpu_seconds
from tests.bench.streams import Reader

CONNECTIONS = 64


class Broken(Exception):
    """A promise did not hold: the figures are worth nothing."""


@dataclass(slots=True)
class Numbers:
    """Every text of a run has a number of its own."""

    _next: int = field(default=1)

    def take(self, count: int) -> int:
        first = self._next
        self._next += count
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One round at full load. CPU is that of the bridge and of Prosody, for each text."""

    accepted_per_second: float
    delivered_per_second: float
    answer_seconds: list[float]
    client_seconds: list[float]
    bridge_cpu_seconds: float
    prosody_cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a bridge did of its backlog, and beside it; `first`: while it still did what a start makes the store do."""

    start_seconds: float
    first_handed_per_second: float
    handed_per_second: float
    accepted_per_second: float


class Drain:
    """One bridge for which more waits than a few turns can hand over."""

    def __init__(self, bridge: Bridge, reader: Reader, numbers: Numbers) -> None:
        self._bridge = bridge
        self._reader = reader
        self._numbers = numbers

    async def turn(self, handed: int, accepted: int) -> Turn:
        """Start it; of what waits hand over so many three times, then accept so many beside that; stop it."""
        async with running(self._bridge) as start_seconds:
            instants = [await self._reader.until_more(count) for count in (1, handed, handed, handed)]
            found = await closed_loop(
                self._bridge.port, PATH, first=self._numbers.take(accepted), count=accepted, connections=CONNECTIONS
            )
            if found.refused:
                raise Broken(f"{found.refused} texts were refused while others waited")
            await self._reader.until_more(1)  # still at it
        return Turn(
            start_seconds=start_seconds,
            first_handed_per_second=handed / (instants[1] - instants[0]),
            handed_per_second=handed / (instants[3] - instants[2]),
            accepted_per_second=found.accepted_per_second,
        )


class Inbound:
    """Texts to one bridge. `count` were accepted and read, or `Broken` was raised; `refused` were not answered 200."""

    def __init__(self, bridge: Bridge, reader: Reader, numbers: Numbers, prosody_pid: int) -> None:
        self._bridge = bridge
        self._reader = reader
        self._numbers = numbers
        self._prosody_pid = prosody_pid
        self.count = 0
        self.refused = 0

    async def flood(self, count: int, connections: int = CONNECTIONS) -> Flood:
        """As fast as the bridge answers."""
        before = cpu_seconds(self._bridge.pid), cpu_seconds(self._prosody_pid)
        found = await closed_loop(
            self._bridge.port, PATH, first=self._numbers.take(count), count=count, connections=connections
        )
        ended = await self._read(found)
        after = cpu_seconds(self._bridge.pid), cpu_seconds(self._prosody_pid)
        return Flood(
            accepted_per_second=found.accepted_per_second,
            delivered_per_second=len(found.answered_at) / (ended - found.began),
            answer_seconds=found.answer_seconds(),
            client_seconds=found.seconds_until(self._reader.texts),
            bridge_cpu_seconds=(after[0] - before[0]) / count,
            prosody_cpu_seconds=(after[1] - before[1]) / count,
        )

    async def paced(self, figures: Figures, key: str, *, per_second: float, seconds: float) -> None:
        """At a rate, by the clock."""
        count = round(per_second * seconds)
        found = await open_loop(
            self._bridge.port, PATH, first=self._numbers.take(count), count=count, connections=CONNECTIONS,
            per_second=per_second,
        )  # fmt: skip
        await self._read(found)
        self._put(figures, key, found)

    async def lone(self, figures: Figures, key: str, *, count: int, every: float) -> None:
        """One text now and then: what a person feels."""
        await self.paced(figures, key, per_second=1 / every, seconds=count * every)

    def _put(self, figures: Figures, key: str, found: Round) -> None:
        figures.put_latency(f"{key}_answer", found.answer_seconds())
        figures.put_latency(f"{key}_client", found.seconds_until(self._reader.texts))

    async def _read(self, found: Round) -> float:
        """The instant when the last accepted text was read."""
        self.refused += found.refused  # its carrier would come again: nothing is broken
        self.count += len(found.answered_at)
        try:
            return await self._reader.until_texts(found.answered_at)
        except RuntimeError as error:
            raise Broken(f"accepted texts: {error}") from None
