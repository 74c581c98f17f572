"""Somebody between the store and PostgreSQL who loses, delays or swallows what they say to each other."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Self


class Trick(StrEnum):
    """What happens to the message that has the word in it."""

    CUT_BEFORE = "the connection is cut before the server gets it"
    CUT_AFTER = "the server gets it, the connection is cut instead of its answer"
    SWALLOW = "the server gets it, nothing ever comes back"
    KEEP = "the client's side is cut; the server gets it when `let_go` is called"
    DELAY = "it waits until `let_go` is called"


class Between:
    """A TCP proxy on a port of its own. `play` arms one trick for the next message that has a word in it."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.played = asyncio.Event()
        self._to = port
        self._trick: Trick | None = None
        self._word = b""
        self._gate = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def play(self, trick: Trick, word: str) -> None:
        self._trick, self._word = trick, word.encode()
        self.played.clear()
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._to)
            answers = asyncio.create_task(_copy(server_reader, writer.write))
            self._tasks.add(answers)
            try:
                await self._pass_on(reader, writer, server_reader, server_writer, answers)
            finally:
                answers.cancel()
                writer.close()
                server_writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter, answers: asyncio.Task[None],
    ) -> None:  # fmt: skip
        while said := await reader.read(1 << 16):
            if self._trick is None or self._word not in said:
                server_writer.write(said)
                continue
            trick, self._trick = self._trick, None
            if trick in {Trick.CUT_AFTER, Trick.SWALLOW, Trick.KEEP, Trick.CUT_BEFORE}:
                answers.cancel()
                await asyncio.wait([answers])
            self.played.set()
            match trick:
                case Trick.CUT_BEFORE:
                    return
                case Trick.CUT_AFTER:
                    server_writer.write(said)
                    await server_reader.read(1 << 16)
                    return
                case Trick.SWALLOW:
                    server_writer.write(said)
                    await reader.read()
                    return
                case Trick.KEEP:
                    writer.close()
                    await self._gate.wait()
                    server_writer.write(said)
                    await server_reader.read()
                    return
                case Trick.DELAY:
                    await self._gate.wait()
                    server_writer.write(said)


async def _copy(reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
    while said := await reader.read(1 << 16):
        write(said)
