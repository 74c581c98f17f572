"""A process beside the benchmark, and what it costs. Linux only: the figures come from /proc."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from smsbridge.sim.ports import LOOPBACK

STOP_SECONDS = 30.0
ENDED = "ended by a signal; what was started has been stopped"
T = TypeVar("T")
_TICK = os.sysconf("SC_CLK_TCK")


class Process:
    """`python -m module …`, its two outputs appended to a file."""

    def __init__(
        self, module: str, *arguments: str, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(environment or {})},
            )
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_alive(self) -> None:
        if self._process.poll() is not None:
            words = self._output.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"a process ended with {self._process.returncode}: {words}")

    async def stop(self) -> None:
        """SIGTERM and wait; SIGKILL if that takes too long. Raises `RuntimeError` if it did not end well."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        if code not in (0, -15):
            raise RuntimeError(f"a process ended with {code}: {self._output.read_text(errors='replace')[-2000:]}")


async def in_order(work: Awaitable[T]) -> T:
    """What this comes to. SIGTERM, or a terminal that is closed, cancels it: then it stops what it has started."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


@contextmanager
def giving_way() -> Iterator[None]:
    """Meanwhile this process takes the core from nobody who is at work. What it starts would do so too, for ever.

    Else each answer wakes the load, which stops what it measures: a dozen times in 32 texts.
    """
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_bytes(pid: int) -> int:
    """What a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError("the process has no memory")


async def answers(port: int, process: Process, seconds: float = 20.0) -> None:
    """Return when somebody listens there."""
    async with asyncio.timeout(seconds):
        while True:
            process.require_alive()
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(0.002)  # another process tells us nothing
            else:
                writer.close()
                return
