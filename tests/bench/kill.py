"""The kill harness: `kill -9` of the bridge, its XMPP server and its database, again and again, under load; the ledger.

    python -m tests.bench.kill --kills 100 [--seed 7] [--servers prosody,ejabberd] [--stores sqlite,postgres]

The driver owns the truth: what it texted in, what it typed, and the carrier's own ledger; the XMPP server's archive
keeps what was shown. The kills are spread over every server with every store, one after the other. When the killing
is over the bridge may drain; then the journals are compared (`tests/bench/killing/ledger.py` has the words).

The exit code is 0 only if the promises held. `build/ledger.json` has the figures, and the seed to play it again; what a
combination that broke a promise left behind is beside it.
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
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.ejabberd import Ejabberd
from smsbridge.sim.faults import FaultPlan
from smsbridge.sim.prosody import Prosody
from smsbridge.sim.stage import API_PASSWORD, QUERY_KEY, bridge_yaml, password_of
from smsbridge.sim.xmpp_server import LOOPBACK, ServerName, XmppServer
from tests.bench.killing.killer import Bridge, Killer
from tests.bench.killing.ledger import Report, accepted_texts, as_json, compare, show, show_total
from tests.bench.killing.load import ABSENT, OWNERS, Journal, Load, journal_for
from tests.bench.killing.stores import Store, StoreName, open_store
from tests.bench.process import free_port

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.2  # between two looks at a store that drains
BUILD = Path("build")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What takes part in one run."""

    directory: Path
    server: XmppServer
    store: Store
    carrier: Carrier
    bridge: Bridge
    faults: FaultPlan


async def run(kills: int, seed: int, server: ServerName, store: StoreName, *, leases: int = 0) -> Report:
    """One combination, in a directory of its own. `leases`: so many are left to run out, 15 s each on PostgreSQL."""
    began = time.monotonic()
    report = Report(server=server, store=store, seed=seed)
    rng = random.Random(f"{seed}/{server}/{store}")  # noqa: S311  # a run can be played again
    journal = journal_for(seed)
    async with _set_up(server, store, seed) as house:
        chance = random.Random(rng.random())  # noqa: S311  # the killer's own: his plan does not hang on the load
        load = Load(journal, house.server, house.carrier, house.faults, rng)
        killer = Killer(house.bridge, house.server, house.store, report, chance, burst=load.burst, leases=leases)
        try:
            await _play(house, report, journal, kills, load, killer)
        except BaseException:
            await _keep(house, report, killer)
            raise
        report.seconds = round(time.monotonic() - began, 1)
        if report.broken_promises:
            await _keep(house, report, killer)
    return report


async def _play(house: House, report: Report, journal: Journal, kills: int, load: Load, killer: Killer) -> None:
    await house.bridge.start()
    async with asyncio.TaskGroup() as actors:
        reading = actors.create_task(load.stay_online())
        loading = actors.create_task(load.run())
        await killer.run(kills)
        load.end()
        await loading
        began = time.monotonic()
        await _drain(house, killer, journal)
        report.drain_seconds = round(time.monotonic() - began, 1)
        await load.catch_up()
        reading.cancel()
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
async def _set_up(server_name: ServerName, store_name: StoreName, seed: int) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smsbridge-kill-")))
        server: XmppServer = await stack.enter_async_context(Ejabberd() if server_name == "ejabberd" else Prosody())
        for name in OWNERS:
            server.add_account(name, password_of(name))
        store = await stack.enter_async_context(open_store(store_name, directory))
        port, faults = free_port(), FaultPlan(seed=seed)
        carrier = await Carrier.start(_carrier_config(port, faults, seed))
        stack.push_async_callback(carrier.stop)
        yaml = bridge_yaml(
            component_jid=server.component_jid,
            component_port=server.component_port,
            secret=server.component_secret,
            api_url=carrier.api_url,
            public_port=port,
            database=directory / "elsewhere.db",
            owners=OWNERS,
            extra="log: {format: json}\n",
        )
        yaml = yaml.replace(f"sqlite:///{directory / 'elsewhere.db'}", store.url)
        (directory / "config.yaml").write_text(yaml)
        bridge = Bridge(directory)
        stack.push_async_callback(bridge.close)
        yield House(directory=directory, server=server, store=store, carrier=carrier, bridge=bridge, faults=faults)


def _carrier_config(port: int, faults: FaultPlan, seed: int) -> CarrierConfig:
    """The absent owner's texts come as callbacks, the reader's as webhooks; both until they are taken."""
    url = f"http://{LOOPBACK}:{port}/voipms?key={QUERY_KEY}"
    callback = f"{url}&from={{FROM}}&to={{TO}}&message={{MESSAGE}}&media={{MEDIA}}&id={{ID}}&date={{TIMESTAMP}}"
    dids = []
    for owner, numbers in OWNERS.items():
        did, is_classic = numbers[0].removeprefix("+1"), owner == ABSENT
        dids.append(
            DidSettings(
                did=did,
                webhook="" if is_classic else url,
                webhook_enabled=not is_classic,
                sms_url_callback=callback if is_classic else "",
                sms_url_callback_enabled=is_classic,
                sms_url_callback_retry=is_classic,
            )
        )
    return CarrierConfig(
        dids=tuple(dids),
        password=API_PASSWORD,
        daily_quota=None,
        webhook_interval=0.2,
        callback_interval=0.2,
        latency_ms=100,
        pushes_in_flight=64,
        faults=faults,
        seed=seed,
    )


async def _keep(house: House, report: Report, killer: Killer) -> None:
    """What somebody needs who looks into a broken promise."""
    kept = BUILD / f"killed-{report.server}-{report.store}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    shutil.copy(house.bridge.log_path, kept)
    (kept / "strikes").write_text("".join(f"{line}\n" for line in killer.trace))
    (kept / "server.log").write_text(house.server.log_text())
    if (archive := house.server.directory / "spool" / "ejabberd.sqlite").exists():
        await asyncio.to_thread(shutil.copy, archive, kept)
    await house.store.keep_copy(kept)


async def run_all(
    kills: int, seed: int, servers: Sequence[ServerName], stores: Sequence[StoreName]
) -> Sequence[Report]:
    """Every server with every store, one after the other; the kills are spread evenly."""
    pairs = list(itertools.product(servers, stores))
    reports = []
    for n, (server, store) in enumerate(pairs):
        share = kills // len(pairs) + (n < kills % len(pairs))
        if share:
            reports.append(await run(share, seed, server, store, leases=1))
            print(show(reports[-1]), end="\n\n", flush=True)
    return reports


def _names(text: str, known: Sequence[str]) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(known):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is not among {', '.join(known)}")
    return names


def main() -> int:
    servers, stores = get_args(ServerName), get_args(StoreName)
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kill")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--servers", type=lambda text: _names(text, servers), default=list(servers))
    parser.add_argument("--stores", type=lambda text: _names(text, stores), default=list(stores))
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # who talks to what is killed complains about it, at length
    print(f"{options.kills} kills, seed {options.seed}", end="\n\n", flush=True)
    chosen = cast("list[ServerName]", options.servers), cast("list[StoreName]", options.stores)
    reports = asyncio.run(run_all(options.kills, options.seed, *chosen))
    BUILD.mkdir(exist_ok=True)
    (BUILD / "ledger.json").write_text(json.dumps(as_json(reports, options.seed), indent=2) + "\n")
    print(show_total(reports))
    return 1 if any(report.broken_promises for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
