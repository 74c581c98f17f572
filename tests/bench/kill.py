"""The kill harness: `kill -9` of the bridge, its XMPP server and its database, again and again, under load; the ledger.

    python -m tests.bench.kill --kills 500 [--seed 7] [--servers prosody,ejabberd] [--stores sqlite,postgres]

The driver owns the truth: what it texted in, what it typed, and the carrier's own ledger; the XMPP server's archive
keeps what was shown. One house after another, `AT_ONCE` at a time: every server with every store, where chance kills;
and one, if there are kills enough, where the bridge meets every failpoint in every way (`killing/points.py`), the
others that belong to the driver of PostgreSQL. When the killing is over the bridge may drain; then the journals are
compared (`killing/judging.py`; `killing/ledger.py` has the words).

The exit code is 0 only if the promises held. `build/ledger.json` has the figures, and the seed to play it again; what a
house that broke a promise left behind is beside it.
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from smsbridge.sim.carrier import Carrier
from smsbridge.sim.ejabberd import Ejabberd
from smsbridge.sim.faults import FaultPlan
from smsbridge.sim.ports import free_port
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.stage import bridge_yaml, password_of
from smsbridge.sim.xmpp_server import LOOPBACK, XmppServer
from tests.bench.killing import carrier as bad_carrier
from tests.bench.killing import points
from tests.bench.killing.judging import accepted_texts, compare
from tests.bench.killing.killer import Bridge, Killer
from tests.bench.killing.ledger import HouseName, Report, as_json, show, show_total
from tests.bench.killing.load import OWNERS, Journal, Load, journal_for
from tests.bench.killing.points import Life
from tests.bench.killing.probe import probe
from tests.bench.killing.stores import Store, StoreName, open_store
from tests.bench.process import ENDED, in_order

DRAIN_SECONDS = 240.0
LOOK_SECONDS = 0.2  # between two looks at a store that drains
BUILD = Path("build")
AT_ONCE = 2  # houses: one waits while the other works
ENOUGH = 3  # times as many kills as failpoints, before all of these are tried
LIGHT = 0.3  # of the usual load, where a house has a hundred short lives
FULL_LOAD = 20  # kills in one house that the usual load goes with

MODULE = Path(__file__).parents[2] / "contrib" / "prosody" / "mod_smsbridge.lua"
SERVERS: Mapping[HouseName, Callable[[], XmppServer]] = {
    "mod_smsbridge": lambda: Prosody(ProsodyConfig(module=MODULE)),
    "prosody": Prosody,
    "ejabberd": Ejabberd,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What takes part in one run."""

    directory: Path
    server: XmppServer
    store: Store
    carrier: Carrier
    bridge: Bridge
    internal_port: int
    faults: FaultPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What happens in one house: strikes at random, and failpoints before them.

    `leases`: so many of a dead bridge's are left to run out, 15 s each on PostgreSQL. `outlasts`: once it stands still
    for longer than its own.
    """

    server: HouseName
    store: StoreName
    kills: int
    seed: int
    is_exhaustive: bool = False
    has_points: bool = False
    leases: int = 0
    outlasts: bool = False

    @property
    def weight(self) -> float:
        """Of the load: Prosody's archive takes 10,000 texts of one owner, copies included, and no more."""
        return LIGHT if self.is_exhaustive else min(1.0, FULL_LOAD / max(1, self.kills))

    def points(self, rng: random.Random) -> list[Life]:
        if self.is_exhaustive:
            return points.every(self.store, rng)
        return points.of_driver(self.store, rng) if self.has_points else []


async def run(task: Assignment) -> Report:
    """One house, in a directory of its own."""
    began = time.monotonic()
    seed, server, store = task.seed, task.server, task.store
    report = Report(server=server, store=store, seed=seed, is_exhaustive=task.is_exhaustive)
    rng = random.Random(f"{seed}/{report.name}")  # noqa: S311  # a run can be played again
    journal = journal_for(seed)
    async with _set_up(server, store, seed) as house:
        chance = random.Random(rng.random())  # noqa: S311  # the killer's own: his plan does not hang on the load
        load = Load(journal, house.server, house.carrier, rng, weight=task.weight)
        killer = Killer(house.bridge, house.server, house.store, report, chance, burst=load.burst, leases=task.leases)
        try:
            await _play(house, report, journal, task, load, killer, chance)
        except Exception as error:  # noqa: BLE001 - the other houses go on, and this one has not kept its promises
            report.break_promise(f"not played to the end: {'; '.join(_words_of(error))}")
        report.seconds = round(time.monotonic() - began, 1)
        if report.broken_promises:
            await _keep(house, report, killer)
    return report


def _words_of(error: Exception) -> list[str]:
    """What was raised at last, in however many groups of tasks."""
    if isinstance(error, ExceptionGroup):
        return [words for inner in error.exceptions for words in _words_of(inner)]
    return [f"{type(error).__name__} {error}".strip()]


async def _play(
    house: House, report: Report, journal: Journal, task: Assignment, load: Load, killer: Killer, rng: random.Random
) -> None:
    bad_carrier.arm(house.faults)
    await house.bridge.start()
    async with asyncio.TaskGroup() as actors:
        background = [actors.create_task(load.stay_online()), actors.create_task(probe(house.internal_port))]
        loading = actors.create_task(load.run())
        await killer.exhaust(task.points(rng))
        await killer.run(task.kills, outlasts=task.outlasts)
        load.end()
        await loading
        began = time.monotonic()
        await _drain(house, killer, journal)
        report.drain_seconds = round(time.monotonic() - began, 1)
        house.faults.clear()
        await load.catch_up()
        await _drain(house, killer, journal)  # what she typed again
        for task_ in background:
            task_.cancel()
    if code := await house.bridge.terminate():
        report.break_promise(f"the bridge ended with {code} on SIGTERM")
    await compare(report, journal, house.carrier, house.server, house.store, killer.doubts)


async def _drain(house: House, killer: Killer, journal: Journal) -> None:
    """Until the carrier was told `ok` for everything, and nothing of ours waits any more."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while unfinished := await _unfinished(house, journal):
        await killer.revive()
        if time.monotonic() > deadline:
            raise TimeoutError(f"not drained after {DRAIN_SECONDS:.0f} s: {unfinished}")
        await asyncio.sleep(LOOK_SECONDS)


async def _unfinished(house: House, journal: Journal) -> str:
    unanswered = len(journal.texted) - len(accepted_texts(house.carrier))
    rows = await house.store.read(
        "SELECT (SELECT count(*) FROM delivery WHERE state IN ('waiting', 'handing')),"
        " (SELECT count(*) FROM outbox WHERE state IN ('queued', 'held', 'sending', 'unknown'))"
    )
    deliveries, parts = rows[0] if rows else (0, 0)
    if not (unanswered or deliveries or parts):
        return ""
    return f"{unanswered} texts without ok, {deliveries} deliveries, {parts} parts"


@asynccontextmanager
async def _set_up(server_name: HouseName, store_name: StoreName, seed: int) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smsbridge-kill-")))
        server: XmppServer = await stack.enter_async_context(SERVERS[server_name]())
        for name in OWNERS:
            server.add_account(name, password_of(name))
        store = await stack.enter_async_context(open_store(store_name, directory))
        port, internal_port, faults = free_port(), free_port(), FaultPlan(seed=seed)
        carrier = await Carrier.start(bad_carrier.config(port, faults, seed))
        stack.push_async_callback(carrier.stop)
        yaml = bridge_yaml(
            component_jid=server.component_jid,
            component_port=server.component_port,
            secret=server.component_secret,
            api_url=carrier.api_url,
            public_port=port,
            database=directory / "elsewhere.db",
            owners=OWNERS,
            account=f"    settle_seconds: {bad_carrier.SETTLE_SECONDS}\n",
            extra="log: {format: json}\n",
        )
        yaml = yaml.replace(f"sqlite:///{directory / 'elsewhere.db'}", store.url)
        yaml = yaml.replace(f"internal: {LOOPBACK}:0", f"internal: {LOOPBACK}:{internal_port}")
        (directory / "config.yaml").write_text(yaml)
        bridge = Bridge(directory)
        stack.push_async_callback(bridge.close)
        yield House(
            directory=directory,
            server=server,
            store=store,
            carrier=carrier,
            bridge=bridge,
            internal_port=internal_port,
            faults=faults,
        )


async def _keep(house: House, report: Report, killer: Killer) -> None:
    """What somebody needs who looks into a broken promise."""
    kept = BUILD / f"killed-{report.server}-{report.store}{'-failpoints' if report.is_exhaustive else ''}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    shutil.copy(house.bridge.log_path, kept)
    (kept / "strikes").write_text("".join(f"{line}\n" for line in killer.trace))
    (kept / "server.log").write_text(house.server.log_text())
    if house.store.server is not None:
        (kept / "postgres.log").write_text(house.store.server.log_text())
    if (archive := house.server.directory / "spool" / "ejabberd.sqlite").exists():
        await asyncio.to_thread(shutil.copy, archive, kept)
    await house.store.keep_copy(kept)


def assign(kills: int, seed: int, servers: Sequence[HouseName], stores: Sequence[StoreName]) -> list[Assignment]:
    """Who kills where. Each failpoint of the first house is a kill; the others share the rest evenly."""
    pairs = list(itertools.product(servers, stores))
    rng = random.Random(seed)  # noqa: S311
    whole = Assignment(server=servers[0], store=stores[0], kills=0, seed=seed, is_exhaustive=True)
    cost = len(whole.points(rng))
    tasks = [whole] if kills >= ENOUGH * cost else []
    rest = kills - cost * len(tasks)
    for n, (server, store) in enumerate(pairs):
        share = rest // len(pairs) + (n < rest % len(pairs))
        has_points = bool(tasks) and store != stores[0] and server == servers[0]
        if share:
            tasks.append(
                Assignment(
                    server=server,
                    store=store,
                    kills=share,
                    seed=seed,
                    has_points=has_points,
                    leases=1,
                    outlasts=store == "postgres" or (bool(tasks) and server == servers[0]),
                )
            )
    return tasks


async def run_all(tasks: Sequence[Assignment]) -> Sequence[Report]:
    """`AT_ONCE` houses at a time; each is told when it is done."""
    room = asyncio.Semaphore(AT_ONCE)

    async def run_one(task: Assignment) -> Report:
        async with room:
            report = await run(task)
        print(show(report), end="\n\n", flush=True)
        return report

    async with asyncio.TaskGroup() as houses:
        running = [houses.create_task(run_one(task)) for task in tasks]
    return [task.result() for task in running]


def _names(text: str, known: Sequence[str]) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(known):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is not among {', '.join(known)}")
    return names


def main() -> int:
    servers, stores = tuple(SERVERS), get_args(StoreName)
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kill")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--servers", type=lambda text: _names(text, servers), default=list(servers))
    parser.add_argument("--stores", type=lambda text: _names(text, stores), default=list(stores))
    parser.add_argument("--failpoints", action="store_true", help="one house: every failpoint, in every way")
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # who talks to what is killed complains about it, at length
    chosen = cast("list[HouseName]", options.servers), cast("list[StoreName]", options.stores)
    tasks = assign(options.kills, options.seed, *chosen)
    if options.failpoints:
        server, store = chosen[0][0], chosen[1][0]
        tasks = [Assignment(server=server, store=store, kills=0, seed=options.seed, is_exhaustive=True)]
    print(f"{options.kills} kills, seed {options.seed}", end="\n\n", flush=True)
    began = time.monotonic()
    try:
        reports = asyncio.run(in_order(run_all(tasks)))
    except asyncio.CancelledError:
        print(ENDED)
        return 1
    seconds = round(time.monotonic() - began, 1)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "ledger.json").write_text(json.dumps(as_json(reports, options.seed, seconds), indent=2) + "\n")
    print(show_total(reports, seconds))
    return 1 if any(report.broken_promises for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
