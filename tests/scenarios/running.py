"""`smsbridge run` as an operator runs it: a program of its own, with signals, an exit code and a journal."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.canaries import demand_silence, metrics_of
from tests.fakes.waiting import PATIENCE


class Running:
    """`async with await Running.start(config) as bridge:`; killed at the end if it is still there."""

    def __init__(self, program: asyncio.subprocess.Process) -> None:
        self.journal: list[str] = []
        self._program = program
        self._read_to = 0
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, config: Path, *, command: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Self:
        program = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", "smsbridge", "run", "-c", str(config))),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(program)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.is_alive:
            demand_silence(await metrics_of("\n".join(self.journal)))
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                self._program.kill()
        await self.ended()
        if kind is None:
            demand_silence("\n".join(self.journal))
        else:
            print(*self.journal, sep="\n")  # beside the failure

    @property
    def is_alive(self) -> bool:
        return self._program.returncode is None

    def signal(self, number: signal.Signals) -> None:
        self._program.send_signal(number)

    async def said(self, event: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next line of the journal about this event, after those that were asked for before."""
        async with asyncio.timeout(seconds):
            while True:
                while self._read_to < len(self.journal):
                    line = self.journal[self._read_to]
                    self._read_to += 1
                    if line.startswith("{") and (record := json.loads(line))["event"] == event:
                        return dict(record)
                assert not self._reading.done(), f"it ended without {event}: {self.journal}"
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> int:
        """The exit code."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self._program.wait()

    async def _read(self) -> None:
        assert self._program.stdout is not None
        async for line in self._program.stdout:
            self.journal.append(line.decode().rstrip("\n"))
            self._changed.set()
        self._changed.set()
