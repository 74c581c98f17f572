"""The kill harness: `kill -9` of the bridge, again and again, under load from both sides; then the ledger.

    python -m tests.bench.kill --kills 20 [--seed 7]

The driver owns the truth: what it texted in, what it typed, and the carrier's own ledger; Prosody with mod_mam keeps
what was shown. The bridge is a process of its own, killed at random moments (its start included) and started again
at once. When the killing is over it may drain; then the journals are compared.

    inbound    attempted  texted in by the pretended handsets
               accepted   answered `ok` at least once
               shown      found in the recipients' archives
               lost       accepted and not shown
               duplicated shown more than once, extra copies
               in doubt   written to the server, not proved handled, when a kill came: the bound for duplicates
    outbound   attempted  typed by the owners
               accepted   committed by the bridge
               shown      in the carrier's ledger
               lost       accepted, and neither sent, failed nor unknown-and-told
               duplicated in the carrier's ledger more than once, extra copies (a resend)
               unknown    ended as "may not have been sent"
               in doubt   being sent when a kill came
               bounced    returned to the writer by the XMPP server, because the bridge was down
               unanswered typed and neither accepted nor bounced: without acknowledgements on component streams
                          this hole cannot be closed, only shown; the writer sees no tick

The exit code is 0 only if the promises held. `build/ledger.json` has the figures.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client
from smsbridge.sim.faults import Fault, FaultPlan, Moment
from smsbridge.sim.prosody import Prosody
from smsbridge.sim.stage import API_PASSWORD, LOOPBACK, QUERY_KEY, bridge_yaml, password_of

OWNERS = {"alice": ("+15551230001",), "bob": ("+15551230002",)}
OFFLINE_OWNER = "bob"  # gets texts and never logs in while the killing goes on
PEERS = tuple(f"555987{n:04}" for n in range(20))
INBOUND_GAP, OUTBOUND_GAP = 0.02, 0.3  # seconds between texts; VoIP.ms takes about three calls a second
DRAIN_SECONDS = 120.0
LEDGER = Path("build/ledger.json")


@dataclass(slots=True, kw_only=True)
class Direction:
    attempted: int = 0
    accepted: int = 0
    shown: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    in_doubt: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    kills: int
    seed: int
    seconds: float = 0.0
    inbound: Direction = field(default_factory=Direction)
    outbound: Direction = field(default_factory=Direction)
    sent: int = 0
    failed: int = 0
    untold: int = 0
    bounced: int = 0
    unanswered: int = 0
    broken_promises: list[str] = field(default_factory=list)


class Bridge:
    """The bridge as a process that can be killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._log = (directory / "bridge.log").open("ab")

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smsbridge", "run", "-c", str(self._directory / "config.yaml"), stderr=self._log
        )

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return await self._process.wait()

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()
        self._log.close()


class Harness:
    """One run."""

    def __init__(self, kills: int, seed: int, directory: Path) -> None:
        self._kills = kills
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311  # a run can be played again
        self._directory = directory
        self._database = directory / "bridge.db"
        self._run = f"{seed:x}-{int(time.time()):x}"
        self._faults = FaultPlan()
        self._texted: dict[str, str] = {}  # text to owner
        self._typed: dict[str, str] = {}  # stanza id to text
        self._doubtful_deliveries: set[str] = set()
        self._doubtful_parts: set[str] = set()
        self._is_loaded = True
        self._prosody: Prosody
        self._carrier: Carrier
        self._bridge: Bridge
        self._alice: Client

    async def run(self) -> Report:
        began = time.monotonic()
        async with self._set_up():
            async with asyncio.TaskGroup() as load:
                load.create_task(self._text_in())
                load.create_task(self._type())
                load.create_task(self._spoil())
                await self._kill_again_and_again()
                self._is_loaded = False
            await self._drain()
            report = await self._compare()
        report.seconds = round(time.monotonic() - began, 1)
        return report

    @asynccontextmanager
    async def _set_up(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            self._prosody = await stack.enter_async_context(Prosody())
            for name in OWNERS:
                self._prosody.add_account(name, password_of(name))
            port = _free_port()
            webhook = f"http://{LOOPBACK}:{port}/voipms?key={QUERY_KEY}"
            dids = [did.removeprefix("+1") for numbers in OWNERS.values() for did in numbers]
            self._carrier = await Carrier.start(
                CarrierConfig(
                    dids=tuple(DidSettings(did=did, webhook=webhook, webhook_enabled=True) for did in dids),
                    password=API_PASSWORD,
                    daily_quota=None,
                    webhook_interval=0.2,
                    latency_ms=100,
                    pushes_in_flight=64,
                    faults=self._faults,
                )
            )
            stack.push_async_callback(self._carrier.stop)
            (self._directory / "config.yaml").write_text(
                bridge_yaml(
                    component_jid=self._prosody.component_jid,
                    component_port=self._prosody.component_port,
                    secret=self._prosody.component_secret,
                    api_url=self._carrier.api_url,
                    public_port=port,
                    database=self._database,
                    owners=OWNERS,
                    extra="log: {format: json}\n",
                )
            )
            self._bridge = Bridge(self._directory)
            stack.push_async_callback(self._bridge.close)
            await self._bridge.start()
            self._alice = await stack.enter_async_context(await self._login("alice"))
            yield

    async def _login(self, name: str) -> Client:
        jid = f"{name}@{self._prosody.domain}"
        return await Client.login(jid, password_of(name), LOOPBACK, self._prosody.c2s_port, "harness")

    async def _text_in(self) -> None:
        names = itertools.cycle(OWNERS)
        for n in itertools.count():
            if not self._is_loaded:
                return
            owner = next(names)
            text = f"in {self._run} {n} é🙂"
            self._texted[text] = owner
            await self._carrier.text_in(self._random.choice(PEERS), OWNERS[owner][0], text)
            await asyncio.sleep(self._random.uniform(0, 2 * INBOUND_GAP))

    async def _type(self) -> None:
        for n in itertools.count():
            if not self._is_loaded:
                return
            contact = f"+1{self._random.choice(PEERS)}@{self._prosody.component_jid}"
            text = f"out {self._run} {n} é🙂"
            self._typed[await self._alice.send_text(contact, text)] = text
            await asyncio.sleep(self._random.uniform(0, 2 * OUTBOUND_GAP))

    async def _spoil(self) -> None:
        """Now and then the carrier takes a text and its answer is lost, or it refuses one."""
        while self._is_loaded:
            await asyncio.sleep(self._random.uniform(1, 4))
            if self._random.random() < 0.5:
                self._faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
            else:
                self._carrier.answer_next("sendSMS", "invalid_dst")

    async def _kill_again_and_again(self) -> None:
        for n in range(self._kills):
            # one kill in five comes while the bridge is still starting
            await asyncio.sleep(self._random.uniform(0.05, 0.8) if n % 5 == 4 else self._random.uniform(1.0, 2.5))
            await self._bridge.kill()
            self._note_doubts()
            await self._bridge.start()
        await asyncio.sleep(1.5)  # some load on a bridge that lives

    def _note_doubts(self) -> None:
        """What was between us and the server, or us and the carrier, when the kill came."""
        rows = self._read("SELECT stanza_id FROM delivery WHERE state = 'handing' AND kind = 'text'")
        self._doubtful_deliveries.update(row[0] for row in rows)
        self._doubtful_parts.update(row[0] for row in self._read("SELECT id FROM outbox WHERE state = 'sending'"))

    async def _drain(self) -> None:
        """Until the carrier was told `ok` for everything, and nothing of ours waits any more."""
        self._faults.clear()
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._unfinished():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not drained after {DRAIN_SECONDS:.0f} s: {self._unfinished()}")
            await asyncio.sleep(0.2)
        await self._alice.ping()
        code = await self._bridge.terminate()
        if code != 0:
            raise RuntimeError(f"the bridge ended with {code} on SIGTERM")

    def _unfinished(self) -> str:
        unanswered = len(self._texted) - len(self._accepted_texts())
        waiting = self._read(
            "SELECT (SELECT count(*) FROM delivery WHERE state IN ('waiting', 'handing')),"
            " (SELECT count(*) FROM outbox WHERE state IN ('queued', 'held', 'sending', 'unknown'))"
        )
        deliveries, parts = waiting[0] if waiting else (0, 0)
        if not (unanswered or deliveries or parts):
            return ""
        return f"{unanswered} texts without ok, {deliveries} deliveries, {parts} parts"

    def _accepted_texts(self) -> set[str]:
        said = {(answer.kind, answer.id) for answer in self._carrier.ledger.answered if answer.satisfied}
        return {row.message for row in self._carrier.ledger.received if (row.kind, row.id) in said}

    def _read(self, query: str) -> list[tuple[str, ...]]:
        if not self._database.exists():
            return []
        with closing(sqlite3.connect(self._database, timeout=10)) as reader:
            has_schema = reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'cursor_at'").fetchone()
            return reader.execute(query).fetchall() if has_schema else []

    async def _compare(self) -> Report:
        report = Report(kills=self._kills, seed=self._seed)
        shown: Counter[tuple[str, str]] = Counter()
        ids: dict[tuple[str, str], str] = {}
        for name in OWNERS:
            async with await self._login(name) as reader:
                for stanza in await reader.archive():
                    if stanza.body and stanza.body.startswith(f"in {self._run}"):
                        shown[name, stanza.body] += 1
                        ids[name, stanza.body] = stanza.stanza_id
        self._compare_inbound(report, shown, ids)
        self._compare_outbound(report)
        return report

    def _compare_inbound(
        self, report: Report, shown: Counter[tuple[str, str]], ids: dict[tuple[str, str], str]
    ) -> None:
        inbound, accepted = report.inbound, self._accepted_texts()
        inbound.attempted, inbound.accepted, inbound.shown = len(self._texted), len(accepted), len(shown)
        inbound.lost = sum(shown[self._texted[text], text] == 0 for text in accepted)
        inbound.duplicated = sum(count - 1 for count in shown.values())
        inbound.in_doubt = len(self._doubtful_deliveries)
        if inbound.lost:
            report.broken_promises.append(f"{inbound.lost} accepted inbound texts were lost")
        if inbound.duplicated > inbound.in_doubt:
            report.broken_promises.append("more inbound duplicates than rows in doubt")
        for key, count in shown.items():
            if count > 1 and ids[key] not in self._doubtful_deliveries:
                report.broken_promises.append(f"duplicated without having been in doubt: {key[1]}")

    def _compare_outbound(self, report: Report) -> None:
        outbound = report.outbound
        in_ledger = Counter(row.message for row in self._carrier.ledger.sent)
        rows = self._read(
            "SELECT o.text, o.state, m.stanza_id, o.id, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id"
            " AND d.kind = 'error' AND d.state = 'handed') FROM outbox o JOIN message m ON m.id = o.message_id"
        )
        outbound.attempted, outbound.accepted = len(self._typed), len(rows)
        outbound.shown = len(in_ledger)
        outbound.duplicated = sum(count - 1 for count in in_ledger.values())
        outbound.in_doubt = len(self._doubtful_parts)
        for text, state, _, _, told in rows:
            report.sent += state == "sent"
            report.failed += state == "failed"
            outbound.unknown += state in {"unknown", "unsure"}
            report.untold += state != "sent" and not told
            is_truthful = {"sent": in_ledger[text] == 1, "failed": in_ledger[text] == 0}.get(state, bool(told))
            outbound.lost += not is_truthful
        accepted = {row[2] for row in rows}
        bounced = {stanza.stanza_id for stanza in self._alice.received if stanza.error is not None} - accepted
        report.bounced = len(bounced & set(self._typed))
        report.unanswered = len(set(self._typed) - accepted - bounced)
        if outbound.lost:
            report.broken_promises.append(f"{outbound.lost} accepted texts did not end sent, failed or told")
        if outbound.duplicated:
            report.broken_promises.append(f"{outbound.duplicated} texts were sent twice")
        if report.untold:
            report.broken_promises.append(f"{report.untold} failures were not told")
        if len(rows) != len(accepted):
            report.broken_promises.append("a stanza was accepted twice")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


async def run(kills: int, seed: int) -> Report:
    """One run in a directory of its own; the bridge's log is kept beside the ledger if a promise broke."""
    with tempfile.TemporaryDirectory(prefix="smsbridge-kill-") as directory:
        report = await Harness(kills, seed, Path(directory)).run()
        if report.broken_promises:
            LEDGER.parent.mkdir(exist_ok=True)
            (LEDGER.parent / "bridge.log").write_bytes((Path(directory) / "bridge.log").read_bytes())
            (LEDGER.parent / "bridge.db").write_bytes((Path(directory) / "bridge.db").read_bytes())
    return report


def show(report: Report) -> None:
    names = list(asdict(report.inbound))
    print(f"{report.kills} kills, seed {report.seed}, {report.seconds} s")
    print(f"{'':10}" + "".join(f"{name.replace('_', ' '):>12}" for name in names))
    for label, direction in (("inbound", report.inbound), ("outbound", report.outbound)):
        print(f"{label:10}" + "".join(f"{value:>12}" for value in asdict(direction).values()))
    print(
        f"outbound ended: {report.sent} sent, {report.failed} failed, {report.outbound.unknown} unknown and told;"
        f" {report.untold} untold, {report.bounced} bounced by the server, {report.unanswered} unanswered"
    )
    for promise in report.broken_promises:
        print(f"BROKEN: {promise}")
    print("every promise held" if not report.broken_promises else "promises were broken")


def as_json(report: Report) -> str:
    figures = asdict(report)
    for name in ("inbound", "outbound"):
        figures[name]["in doubt"] = figures[name].pop("in_doubt")
    return json.dumps(figures, indent=2)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kill")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    options = parser.parse_args()
    report = asyncio.run(run(options.kills, options.seed))
    LEDGER.parent.mkdir(exist_ok=True)
    LEDGER.write_text(as_json(report) + "\n")
    show(report)
    return 1 if report.broken_promises else 0


if __name__ == "__main__":
    sys.exit(main())
