"""Power loss: states in which a disk may come back, each opened, and nothing that was answered may be missing.

    python -m tests.bench.powerloss --states 1000 [--seed 7]

A house over SQLite works under strace (`crashing/worker.py`), through three lives and many checkpoints; what it did to
its files and what it told others is one list of events. A state is the list up to some moment, with any of what was
not synced by then dropped or torn (`crashing/disk.py`). Each is started as the service starts and judged
(`crashing/judging.py`). The exit code is 0 only if nothing was wrong in any of them.
"""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from smsbridge import log
from tests.bench.crashing import trace, worker
from tests.bench.crashing.disk import Disk, Loss
from tests.bench.crashing.judging import Said, judge
from tests.bench.crashing.trace import Event, Say

STEPS = 90
BUILD = Path("build")
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # nothing has to be synced to be tried


@dataclass(slots=True, kw_only=True)
class Report:
    seed: int
    events: int = 0
    states: Counter[Loss] = field(default_factory=Counter)
    unsynced: int = 0
    promises: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{loss} {self.states[loss]}" for loss in Loss)
        lines = [
            f"power loss: seed {self.seed}, {self.events} events, {self.states.total()} states in {self.seconds:.0f} s",
            f"  lost of what was not synced: {kinds}",
            f"  not synced {self.unsynced}, accepted {self.promises}, lost or wrong {len(self.wrong)}",
        ]
        return "\n".join([*lines, *(f"  {words}" for words in self.wrong[:40])])


async def run(
    states: int, seed: int, *, steps: int = STEPS, keep: Path | None = None, is_synced: bool = True
) -> Report:
    """Record once, then sample so many states; the first that is wrong is kept."""
    began, report = time.monotonic(), Report(seed=seed)
    rng = random.Random(seed)  # noqa: S311  # a run can be played again
    with tempfile.TemporaryDirectory(prefix="smsbridge-power-", dir=FAST) as place:
        directory = Path(place)
        events = await asyncio.to_thread(_record, directory, seed, steps, is_synced)
        report.events = len(events)
        moments = sorted(rng.randrange(1, len(events) + 1) for _ in range(states))
        disk, played, said = Disk(), 0, list[str]()
        for number, moment in enumerate(moments):
            for event in events[played:moment]:
                disk.play(event)
                if isinstance(event, Say):
                    said.append(event.words)
            played, loss = moment, rng.choice(tuple(Loss))
            state = directory / "state"
            _write(state, disk.crash(loss, rng))
            promises = Said(said)
            report.states[loss] += 1
            report.unsynced += disk.unsynced
            report.promises += len(promises)
            wrong = await judge(state, promises)
            if wrong and keep is not None and not report.wrong:
                _write(keep, disk.crash(loss, rng))
            report.wrong += [f"state {number}, event {moment}, lost {loss}: {words}" for words in wrong]
            shutil.rmtree(state)
    report.seconds = time.monotonic() - began
    return report


def _record(place: Path, seed: int, steps: int, is_synced: bool) -> list[Event]:
    directory, recorded = place / "traced", place / "trace"
    directory.mkdir()
    never = () if is_synced else ("never",)
    trace.record("tests.bench.crashing.worker", (str(directory), str(seed), str(steps), *never), recorded)
    events = list(trace.read(recorded, directory, worker.SAID))
    recorded.unlink()
    return events


def _write(directory: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.powerloss")
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args()
    log.configure("text", logging.CRITICAL)
    report = asyncio.run(run(given.states, given.seed, steps=given.steps, keep=BUILD / "powerloss"))
    print(report)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
