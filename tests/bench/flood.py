"""A flood at the bridge's door, and a carrier that has to come through it.

    python -m tests.bench.flood [--seconds 27] [--sockets 2000] [--keys 1000] [--rate 20]

The bridge is a process of its own, with SQLite and a real Prosody; the attackers are another. Everything is on
loopback, where each 127.x.y.z is a source of its own. A quiet phase gives the measure; then the attackers keep
`sockets` slow connections open (half dribble a header, half a body behind a wrong key; whoever is thrown out comes
again after a second), try `keys` wrong keys a second and push bodies of 5 MB, in three phases:

    many    slow connections from 250 addresses
    one     all of them from one address
    proxy   all of them from the address of a trusted proxy, which no cap per address holds

All the while the carrier posts `rate` texts a second from an address of its own, a new connection each, and repeats
nothing; an owner is logged in and reads. The exit code is 0 only if the slowest hundredth of the posts in each phase
was answered within a second, no post failed, the bridge's memory stayed below 150 MB, and every text that was answered
`ok` was shown. `build/flood.json` has the figures.
"""

import argparse
import asyncio
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles

import aiohttp
import uvloop

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client
from smsbridge.sim.ports import free_port
from smsbridge.sim.prosody import Prosody
from smsbridge.sim.stage import API_PASSWORD, LOOPBACK, QUERY_KEY, bridge_yaml, password_of
from tests.bench.process import ENDED, in_order
from tests.fakes.waiting import until

OWNER, DID = "alice", "+15551230001"
CARRIER_ADDRESS = "127.0.0.200"
CROWD = {
    "many": tuple(f"127.0.1.{n}" for n in range(1, 251)),
    "one": ("127.0.0.66",),
    "proxy": (LOOPBACK,),
}
GUESSERS = tuple(f"127.0.2.{n}" for n in range(1, 21))
WRONG_KEY = "not-the-key-of-this-bridge"
COME_AGAIN, DRIBBLE = 1.0, 0.5  # seconds
HUGE = 5 * 1024 * 1024
MOST_MEMORY = 150.0  # MB
FIGURES = Path("build/flood.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much, how many, and for how long: a quarter of the seconds for each phase."""

    seconds: float = 27.0
    sockets: int = 2000
    keys: int = 1000
    rate: float = 20.0
    huge: int = 4
    slowest: float = 1.0


@dataclass(slots=True, kw_only=True)
class Phase:
    """What the carrier saw. `answers` by status, or by what went wrong."""

    name: str
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return quantiles(self.seconds, n=100)[49]

    @property
    def p99(self) -> float:
        return quantiles(self.seconds, n=100)[98]


@dataclass(slots=True, kw_only=True)
class Report:
    plan: Plan
    phases: list[Phase] = field(default_factory=list)
    attackers: Counter[str] = field(default_factory=Counter)
    memory: dict[str, float] = field(default_factory=dict)
    accepted: int = 0
    lost: int = 0
    log_lines: int = 0
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    broken_promises: list[str] = field(default_factory=list)


class Attack:
    """One phase's attackers, in a process of their own (`attack`); its figures come when it is over."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, plan: Plan, crowd: str, port: int, seconds: float) -> "Attack":
        order = json.dumps({"plan": asdict(plan), "crowd": crowd, "port": port, "seconds": seconds})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.flood", "--attack", order, stdout=asyncio.subprocess.PIPE
        )
        return cls(process)

    async def finish(self) -> Counter[str]:
        out, _ = await self._process.communicate()
        return Counter(json.loads(out or b"{}"))

    async def abandon(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def attack(plan: Plan, crowd: str, port: int, seconds: float) -> Counter[str]:
    """Flood the port; returns what the attackers were answered."""
    seen: Counter[str] = Counter()
    sources = itertools.cycle(CROWD[crowd])
    tasks = [asyncio.create_task(_dribble(port, next(sources), n, seen)) for n in range(plan.sockets)]
    tasks += [asyncio.create_task(_push(port, GUESSERS[n % len(GUESSERS)], n % 2 == 1, seen)) for n in range(plan.huge)]
    tasks.append(asyncio.create_task(_guess(port, plan.keys, seen)))
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


async def _dribble(port: int, source: str, n: int, seen: Counter[str]) -> None:
    """One slow connection at a time, for ever."""
    head = b"POST /voipms?key=%b HTTP/1.1\r\nHost: sms.example.com\r\n" % WRONG_KEY.encode()
    opening = head + b"X-Slow: " if n % 2 else head + b"Content-Length: 60000\r\n\r\n"
    await asyncio.sleep(n % 100 / 100)  # not all in the same instant, but within a second
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(source, 0))
            seen["slow connections"] += 1
            try:
                writer.write(opening)
                while not reader.at_eof():
                    writer.write(b"x")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(DRIBBLE):
                            await reader.read(4096)
            finally:
                writer.transport.abort()
        await asyncio.sleep(COME_AGAIN)


async def _guess(port: int, keys: int, seen: Counter[str]) -> None:
    """Wrong keys at an even pace, a connection each; what does not come in time is not made up for."""
    raw = f"POST /voipms?key={WRONG_KEY} HTTP/1.1\r\nHost: sms.example.com\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    sources = itertools.cycle(GUESSERS)
    in_flight: set[asyncio.Task[None]] = set()
    while True:
        for _ in range(max(1, keys // 100)):
            if len(in_flight) < keys:
                task = asyncio.create_task(_ask(port, next(sources), raw, seen))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
        await asyncio.sleep(0.01)


async def _ask(port: int, source: str, raw: bytes, seen: Counter[str]) -> None:
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(source, 0))
            try:
                writer.write(raw)
                line = await reader.readline()
            finally:
                writer.transport.abort()
        seen[f"wrong keys: {line.split()[1].decode() if line else 'no answer'}"] += 1
    except OSError:  # a time-out is one
        seen["wrong keys: no answer"] += 1


async def _push(port: int, source: str, is_chunked: bool, seen: Counter[str]) -> None:
    """5 MB, told beforehand or in chunks, as fast as they are taken."""
    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {HUGE}"
    head = f"POST /voipms?key={WRONG_KEY} HTTP/1.1\r\nHost: sms.example.com\r\n{framing}\r\n\r\n".encode()
    piece = b"x" * 65536
    if is_chunked:
        piece = b"10000\r\n" + piece + b"\r\n"
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(source, 0))
            try:
                writer.write(head)
                with suppress(ConnectionError):
                    for n in range(HUGE // 65536):
                        writer.write(piece)
                        await writer.drain()
                        seen["MB pushed"] += n % 16 == 15
                line = await reader.readline()
                seen[f"huge bodies: {line.split()[1].decode() if line else 'no answer'}"] += 1
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.1)


class Flood:
    """One run."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._directory = directory
        self._report = Report(plan=plan)
        self._port = free_port()
        self._accepted: set[str] = set()
        self._bridge: asyncio.subprocess.Process
        self._owner: Client

    async def run(self) -> Report:
        report, share = self._report, self._report.plan.seconds / 4
        async with self._set_up() as stack:
            report.memory["before"] = self._memory("VmRSS")
            report.phases.append(await self._carry("quiet", share))
            for crowd in CROWD:
                flood = await Attack.start(report.plan, crowd, self._port, share + 1)
                stack.push_async_callback(flood.abandon)
                await self._feel_it()
                report.phases.append(await self._carry(crowd, share))
                report.attackers += await flood.finish()
            report.memory["peak"] = self._memory("VmHWM")
            await self._count_shown()
            report.memory["after"] = self._memory("VmRSS")
            self._bridge.terminate()
            async with asyncio.timeout(30):
                code = await self._bridge.wait()
        if code != 0:
            report.broken_promises.append(f"the bridge ended with {code} on SIGTERM")
        report.log_lines = len((self._directory / "bridge.log").read_bytes().splitlines())
        self._judge()
        return report

    @asynccontextmanager
    async def _set_up(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            prosody = await stack.enter_async_context(Prosody())
            prosody.add_account(OWNER, password_of(OWNER))
            carrier = await Carrier.start(
                CarrierConfig(dids=(DidSettings(did=DID.removeprefix("+1")),), password=API_PASSWORD)
            )
            stack.push_async_callback(carrier.stop)
            config = bridge_yaml(
                component_jid=prosody.component_jid,
                component_port=prosody.component_port,
                secret=prosody.component_secret,
                api_url=carrier.api_url,
                public_port=self._port,
                database=self._directory / "bridge.db",
                owners={OWNER: (DID,)},
                extra="log: {format: json}\n",
            )
            (self._directory / "config.yaml").write_text(config)
            self._owner = await stack.enter_async_context(
                await Client.login(f"{OWNER}@{prosody.domain}", password_of(OWNER), LOOPBACK, prosody.c2s_port, "flood")
            )
            log = stack.enter_context((self._directory / "bridge.log").open("wb"))
            self._bridge = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "smsbridge", "run", "-c", str(self._directory / "config.yaml"), stderr=log
            )
            stack.push_async_callback(self._kill)
            await until(self._is_listening, seconds=30)
            yield stack

    async def _kill(self) -> None:
        if self._bridge.returncode is None:
            self._bridge.kill()
            await self._bridge.wait()

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((LOOPBACK, self._port)) == 0

    async def _feel_it(self) -> None:
        """Until the attackers have arrived: the bridge's connections are what its open files tell."""
        before, wanted = self._open_files(), min(12, self._report.plan.sockets)
        await until(lambda: self._open_files() >= before + wanted, seconds=30)

    def _open_files(self) -> int:
        return len(list(Path(f"/proc/{self._bridge.pid}/fd").iterdir()))

    async def _carry(self, name: str, seconds: float) -> Phase:
        """Post at an even pace, whatever became of the posts before."""
        phase = Phase(name=name)
        began = time.monotonic()
        connector = aiohttp.TCPConnector(local_addr=(CARRIER_ADDRESS, 0), force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as posts:
            for n in itertools.count():
                due = began + n / self._report.plan.rate
                if due > began + seconds:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                posts.create_task(self._post(session, phase, n))
        return phase

    async def _post(self, session: aiohttp.ClientSession, phase: Phase, n: int) -> None:
        text = f"{phase.name} {n} é🙂"
        number = 10_000 * len(self._report.phases) + n
        payload = {
            "id": number,
            "type": "SMS",
            "from": {"phone_number": f"555987{number % 50:04}"},
            "to": [{"phone_number": DID.removeprefix("+1")}],
            "text": text,
        }
        event = {"data": {"event_type": "message.received", "payload": payload}}
        began = time.monotonic()
        try:
            async with asyncio.timeout(10):
                url = f"http://{LOOPBACK}:{self._port}/voipms?key={QUERY_KEY}"
                async with session.post(url, json=event) as answer:
                    is_ok = await answer.read() == b"ok"
                    phase.answers[str(answer.status)] += 1
        except (aiohttp.ClientError, OSError) as error:
            phase.answers[type(error).__name__] += 1
            is_ok = False
        phase.seconds.append(time.monotonic() - began)
        if is_ok:
            self._accepted.add(text)

    async def _count_shown(self) -> None:
        report = self._report
        report.accepted = len(self._accepted)
        with suppress(TimeoutError):
            await until(lambda: not self._unshown(), seconds=30)
        report.lost = len(self._unshown())

    def _unshown(self) -> set[str]:
        return self._accepted - {stanza.body for stanza in self._owner.received if stanza.body}

    def _memory(self, name: str) -> float:
        """In MB: what the kernel tells of the bridge's process."""
        for line in Path(f"/proc/{self._bridge.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return round(int(line.split()[1]) / 1024, 1)
        raise LookupError(name)

    def _judge(self) -> None:
        report = self._report
        for phase in report.phases:
            if phase.p99 >= report.plan.slowest:
                report.broken_promises.append(f"{phase.name}: p99 was {phase.p99:.3f} s")
            failed = phase.answers.total() - phase.answers["200"]
            if failed:
                report.broken_promises.append(f"{phase.name}: {failed} of the carrier's posts failed")
        if report.memory["peak"] > MOST_MEMORY:
            report.broken_promises.append(f"{report.memory['peak']:.0f} MB of memory")
        if report.lost:
            report.broken_promises.append(f"{report.lost} accepted texts were not shown")


async def run(plan: Plan) -> Report:
    """One run in a directory of its own; the bridge's log is kept beside the figures if a promise broke."""
    with tempfile.TemporaryDirectory(prefix="smsbridge-flood-") as directory:
        report = await Flood(plan, Path(directory)).run()
        if report.broken_promises:
            FIGURES.parent.mkdir(exist_ok=True)
            (FIGURES.parent / "flood.log").write_bytes((Path(directory) / "bridge.log").read_bytes())
    return report


def as_figures(report: Report) -> dict[str, object]:
    phases = {
        phase.name: {
            "posts": phase.answers.total(),
            "answers": dict(phase.answers),
            "p50_ms": round(phase.p50 * 1000, 1),
            "p99_ms": round(phase.p99 * 1000, 1),
            "max_ms": round(max(phase.seconds) * 1000, 1),
        }
        for phase in report.phases
    }
    return {
        "plan": asdict(report.plan),
        "phases": phases,
        "attackers": dict(report.attackers),
        "memory_mb": report.memory,
        "load": report.load,
        "accepted": report.accepted,
        "lost": report.lost,
        "log_lines": report.log_lines,
        "broken_promises": report.broken_promises,
    }


def show(report: Report) -> None:
    plan = report.plan
    print(f"{plan.sockets} slow sockets, {plan.keys} wrong keys/s, {plan.huge} pushing 5 MB, {plan.rate:g} texts/s")
    print(f"{'phase':8}{'posts':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}  answers")
    for phase in report.phases:
        figures = (phase.p50, phase.p99, max(phase.seconds))
        print(
            f"{phase.name:8}{phase.answers.total():>7}"
            + "".join(f"{figure * 1000:>9.1f}" for figure in figures)
            + f"  {dict(phase.answers)}"
        )
    print("attackers: " + ", ".join(f"{name} {count}" for name, count in sorted(report.attackers.items())))
    print("memory, MB: " + ", ".join(f"{name} {size}" for name, size in report.memory.items()))
    print(f"load of the machine beforehand: {report.load:.1f} on {os.cpu_count()} processors")
    print(f"{report.accepted} texts answered ok, {report.lost} of them not shown; {report.log_lines} lines in the log")
    for promise in report.broken_promises:
        print(f"BROKEN: {promise}")
    print("every promise held" if not report.broken_promises else "promises were broken")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flood")
    for name, kind in (("seconds", float), ("sockets", int), ("keys", int), ("rate", float)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Plan(), name))
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.attack:
            order = json.loads(options.attack)
            seen = runner.run(attack(Plan(**order["plan"]), order["crowd"], order["port"], order["seconds"]))
            print(json.dumps(seen))
            return 0
        plan = Plan(seconds=options.seconds, sockets=options.sockets, keys=options.keys, rate=options.rate)
        try:
            report = runner.run(in_order(run(plan)))
        except asyncio.CancelledError:
            print(ENDED)
            return 1
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(as_figures(report), indent=2) + "\n")
    show(report)
    return 1 if report.broken_promises else 0


if __name__ == "__main__":
    sys.exit(main())
