"""The benchmark: everything in one run, as a table and as build/bench.json.

    python -m tests.bench.run [--quick]

The bridge is the real process with its YAML, its SQLite file and its journal in a file; beside it, in the same round,
the bare limits of its parts. Load and reader share the machine with it, as carrier and server would on a small host,
but take no core from it. A store with a million rows is compared with an empty one in turns.
Keys are flat and end in their unit (seconds, bytes, per_second); a ratio has none. The exit code is 1 if an accepted
text was not read, or one that was typed did not reach the carrier in its order.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from tests.bench import fill, limits, unpaced
from tests.bench.figures import Figures
from tests.bench.house import (
    COMPONENT,
    TWIN_COMPONENT,
    Bridge,
    Site,
    beside,
    prosody_without_archive,
    reader_of,
    running,
)
from tests.bench.inbound import Broken, Drain, Flood, Inbound, Numbers
from tests.bench.outbound import Outbound
from tests.bench.posts import peer_of
from tests.bench.process import ENDED, in_order, rss_bytes
from tests.bench.streams import Reader

RESULT = Path("build/bench.json")
# what the bridge writes beside a body, so that Prosody's share of a message can be told from the bridge's
CLOTHES = '<markable xmlns="urn:xmpp:chat-markers:0"/>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    rounds: int = 11
    compared: int = 6
    bare: int = 8_000
    flood: int = 6_000
    single: int = 1_000
    paced_seconds: float = 6.0
    lone: int = 300  # of a hundred the 99th percentile would be the slowest
    lone_every: float = 0.1
    worn: int = 50_000  # texts after which memory is looked at
    rows: int = 1_000_000
    waiting_few: int = 200_000  # no turn may come to its end
    starts: int = 3
    typed: int = 1_000


QUICK = Size(
    rounds=1,
    compared=1,
    bare=5_000,
    flood=2_000,
    single=200,
    paced_seconds=2,
    lone=10,
    worn=4_000,
    rows=50_000,
    waiting_few=20_000,
    starts=1,
    typed=100,
)


class Bench:
    """One run."""

    def __init__(self, size: Size, directory: Path, figures: Figures) -> None:
        self._size = size
        self._directory = directory
        self._figures = figures
        self._numbers = Numbers()
        self._reader: Reader
        self._prosody_pid = 0
        self._site: Site

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            prosody = await stack.enter_async_context(prosody_without_archive(self._directory))
            carrier_port = await stack.enter_async_context(beside("tests.bench.carrier", self._directory))
            echo_port = await stack.enter_async_context(beside("tests.bench.echo", self._directory))
            self._reader = await stack.enter_async_context(reader_of(prosody))
            self._prosody_pid = prosody.pid or 0
            self._site = Site(
                directory=self._directory, component_port=prosody.component_port, carrier_port=carrier_port
            )
            await self._starts()
            await self._inbound(echo_port)
            await self._outbound(carrier_port)
            await self._with_kept_rows()
            await self._with_waiting_deliveries()
            await self._with_held_parts(carrier_port)
            self._figures.put("repeated_stanzas", self._reader.repeats)

    def _bridge(self, name: str) -> Bridge:
        return Bridge(self._site, self._directory / f"{name}.db")

    def _load(self, bridge: Bridge) -> Inbound:
        return Inbound(bridge, self._reader, self._numbers, self._prosody_pid)

    async def _starts(self) -> None:
        _title("start, from exec to taking callbacks with the stream up")
        took = []
        for n in range(self._size.starts):
            async with running(self._bridge(f"start-{n}")) as seconds:
                took.append(seconds)
        self._figures.put_median("start_seconds", took)

    async def _inbound(self, echo_port: int) -> None:
        size, figures = self._size, self._figures
        _title("inbound: webhook, commit, 200, stanza, client")
        bridge = self._bridge("inbound")
        async with running(bridge):
            figures.put("idle_rss_bytes", rss_bytes(bridge.pid))
            load = self._load(bridge)
            await load.flood(size.single)  # caches, files and the write-ahead log have their size from here on
            await self._rounds(load, echo_port)
            single = await load.flood(size.single, 1)
            figures.put("inbound_1_accepted_per_second", single.accepted_per_second)
            figures.put("inbound_1_delivered_per_second", single.delivered_per_second)
            figures.put_latency("inbound_1_answer", single.answer_seconds)
            figures.put_latency("inbound_1_client", single.client_seconds)
            rate = figures["inbound_64_delivered_per_second"] / 2
            figures.put("inbound_half_per_second", rate)
            await load.paced(figures, "inbound_half", per_second=rate, seconds=size.paced_seconds)
            await load.lone(figures, "inbound_lone", count=size.lone, every=size.lone_every)
            first = self._numbers.take(size.lone)
            echo = await limits.lone_echo(echo_port, first=first, count=size.lone, every=size.lone_every)
            figures.put_latency("bare_echo_lone_answer", echo)
            await load.flood(max(1, size.worn - load.count))
            figures.put("worn_rss_bytes", rss_bytes(bridge.pid))
            figures.put("worn_texts", load.count)
            figures.put("inbound_refused", load.refused)
        kept = sum(file.stat().st_size for file in self._directory.glob("inbound.db*"))
        figures.put("store_per_text_bytes", kept / load.count)
        figures.put("journal_per_text_bytes", bridge.journal.stat().st_size / load.count)

    async def _rounds(self, load: Inbound, echo_port: int) -> None:
        """The bridge and the bare parts in turns, so that both meet the same machine."""
        size, figures = self._size, self._figures
        echoes, inserts, raws, clothed = [], [], [], []
        floods: list[Flood] = []
        for _ in range(size.rounds):
            echoes.append(await limits.echo(echo_port, first=self._numbers.take(size.bare), count=size.bare))
            inserts.append(await limits.insert(self._directory / "bare.db", count=size.bare))
            floods.append(await load.flood(size.flood))
            for rates, clothes in ((raws, ""), (clothed, CLOTHES)):
                first = self._numbers.take(size.bare)
                port = self._site.component_port
                rates.append(await limits.raw(port, self._reader, first=first, count=size.bare, clothes=clothes))
        figures.put_median("bare_echo_per_second", echoes)
        figures.put_median("bare_insert_per_second", inserts)
        figures.put_median("bare_stanzas_per_second", raws)
        figures.put_median("bare_clothed_stanzas_per_second", clothed)
        self._put_floods("inbound_64", floods)
        figures.put_median(
            "inbound_64_of_bare_ratio",
            [
                found.delivered_per_second / min(echo, raw)
                for found, echo, raw in zip(floods, echoes, raws, strict=True)
            ],
        )

    def _put_floods(self, key: str, floods: list[Flood]) -> None:
        figures = self._figures
        figures.put_median(f"{key}_accepted_per_second", [found.accepted_per_second for found in floods])
        figures.put_median(f"{key}_delivered_per_second", [found.delivered_per_second for found in floods])
        figures.put_latency(f"{key}_answer", [seconds for found in floods for seconds in found.answer_seconds])
        figures.put_latency(f"{key}_client", [seconds for found in floods for seconds in found.client_seconds])
        figures.put_median(f"{key}_bridge_cpu_per_text_seconds", [found.bridge_cpu_seconds for found in floods])
        figures.put_median(f"{key}_prosody_cpu_per_text_seconds", [found.prosody_cpu_seconds for found in floods])

    async def _outbound(self, carrier_port: int) -> None:
        size, figures = self._size, self._figures
        _title(f"outbound: client, commit, carrier without a pace ({unpaced.IN_FLIGHT} calls at once), tick")
        site = replace(self._site, kind=unpaced.NAME, environment=unpaced.install(self._directory / "kinds"))
        outbound = Outbound(self._reader, carrier_port, self._numbers)
        async with running(Bridge(site, self._directory / "outbound.db")):
            for latency, typed in ((0.0, size.typed), (0.15, size.typed // 2)):
                await outbound.set_latency(latency)
                for conversations in (1, 10, 100):
                    key = f"outbound_{latency * 1000:.0f}ms_{conversations}"
                    most = typed if not latency else min(typed, conversations * 20)
                    await outbound.flood(figures, key, conversations=conversations, count=most)
                    rounds = max(2, min(most // conversations, 200) // 4)
                    await outbound.closed(figures, key, conversations=conversations, rounds=rounds)
            await outbound.set_latency(0)
            await outbound.lone(figures, "outbound_lone", count=size.lone // 2, every=size.lone_every)

    async def _with_kept_rows(self) -> None:
        _title(f"inbound with {self._size.rows:,} kept rows")
        name = "kept"
        await self._leave_a_model(name)
        self._figures.put("kept_texts", fill.keep(self._directory / f"{name}.db", self._size.rows))
        await self._compare(name)

    async def _with_waiting_deliveries(self) -> None:
        """The XMPP server was gone, and is back: what waits is handed over, and texts come in behind it.

        In turns with a bridge where a few wait, whose every turn is a life of its own: nobody else may hand over then.
        """
        size, figures = self._size, self._figures
        _title(f"inbound with {size.rows:,} deliveries that have waited for the XMPP server")
        name = "waiting"
        drains = []
        for suffix, component, rows in (("", COMPONENT, size.rows), ("-few", TWIN_COMPONENT, size.waiting_few)):
            bridge = Bridge(replace(self._site, component=component), self._directory / f"{name}{suffix}.db")
            async with running(bridge):
                await self._load(bridge).flood(1)
            fill.wait_for_the_stream(bridge.database, rows, self._numbers.take(rows))
            drains.append(Drain(bridge, self._reader, self._numbers))
        of_many, of_few = drains
        pairs = []
        for n in range(size.compared):
            turns = drains if n % 2 else [of_few, of_many]
            found = {one: await one.turn(size.flood, size.flood // 2) for one in turns}
            pairs.append((found[of_many], found[of_few]))
        figures.put_median(f"{name}_start_seconds", [many.start_seconds for many, _ in pairs])
        figures.put_median(f"{name}_handed_per_second", [many.handed_per_second for many, _ in pairs])
        figures.put_median(f"{name}_64_accepted_per_second", [many.accepted_per_second for many, _ in pairs])
        figures.put_median(
            f"{name}_first_cost_ratio",
            [few.first_handed_per_second / many.first_handed_per_second for many, few in pairs],
        )
        figures.put_median(
            f"{name}_cost_ratio", [few.handed_per_second / many.handed_per_second for many, few in pairs]
        )
        figures.put_median(
            f"{name}_accepting_cost_ratio", [few.accepted_per_second / many.accepted_per_second for many, few in pairs]
        )

    async def _with_held_parts(self, carrier_port: int) -> None:
        _title(f"inbound with {self._size.rows:,} parts on hold")
        name = "held"
        await self._leave_a_model(name, carrier_port)
        fill.wait_on_hold(self._directory / f"{name}.db", self._size.rows, "voipms")
        await self._compare(name, is_typed=True)

    async def _leave_a_model(self, name: str, carrier_port: int | None = None) -> None:
        """One text in, and perhaps one out, so that the store knows what its rows look like."""
        bridge = self._bridge(name)
        async with running(bridge):
            await self._load(bridge).flood(1)
            if carrier_port is not None:
                outbound = Outbound(self._reader, carrier_port, self._numbers)
                await outbound.flood(Figures(), "model", conversations=1, count=1)

    async def _compare(self, name: str, *, is_typed: bool = False) -> None:
        """Beside a bridge whose store is empty, in turns, so that both meet the same machine.

        `is_typed`: an owner writes something meanwhile, and the bridge looks what it can send.
        """
        size, figures = self._size, self._figures
        full = self._bridge(name)
        empty = Bridge(replace(self._site, component=TWIN_COMPONENT), self._directory / f"{name}-empty.db")
        async with running(empty), running(full) as seconds:
            figures.put(f"{name}_start_seconds", seconds)
            load, beside_it = self._load(full), self._load(empty)
            began = time.monotonic()
            await load.flood(1)  # what a start makes the store do first delays this one
            figures.put(f"{name}_first_text_seconds", time.monotonic() - began)
            for one in (load, beside_it):
                await one.flood(size.single)
            pairs = []
            for n in range(size.compared):
                turns = (load, beside_it) if n % 2 else (beside_it, load)
                found = {one: await one.flood(size.flood) for one in turns}
                pairs.append((found[load], found[beside_it]))
            self._put_floods(f"{name}_64", [of_full for of_full, _ in pairs])
            if is_typed:
                self._reader.type(f"{peer_of(1)}@{COMPONENT}", self._numbers.take(1))
            await load.lone(figures, f"{name}_lone", count=size.lone // 2, every=size.lone_every)
        figures.put(f"{name}_refused", load.refused)
        figures.put_median(
            f"{name}_cost_ratio",
            [of_empty.delivered_per_second / of_full.delivered_per_second for of_full, of_empty in pairs],
        )
        figures.put_median(
            f"{name}_cpu_ratio",
            [of_full.bridge_cpu_seconds / of_empty.bridge_cpu_seconds for of_full, of_empty in pairs],
        )


def _title(words: str) -> None:
    print(f"\n{words}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run")
    parser.add_argument("--quick", action="store_true", help="a try of all of it; the figures mean little")
    options = parser.parse_args()
    figures = Figures()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smsbridge-bench-") as directory:
        bench = Bench(QUICK if options.quick else Size(), Path(directory), figures)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(in_order(bench.run()))
        except Broken as broken:
            print(f"BROKEN: {broken}")
            return 1
        except asyncio.CancelledError:
            print(ENDED)
            return 1
    figures.put("bench_seconds", time.monotonic() - began)
    figures.write(RESULT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
