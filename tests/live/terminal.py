"""A person at a terminal: one program in tmux, typed into and looked at.

The tmux is ours alone: a server in the foreground with a socket and a home of its own, which is ended by its pid and
takes its program with it. Nobody tells us when a program has drawn what it has to say, so we look again and again, up
to a deadline.
"""

import asyncio
import contextlib
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

COLUMNS, ROWS = 200, 40
GLANCE_SECONDS = 0.05
DEADLINE_SECONDS = 20.0
SOCKET = "tmux"  # relative: the path of a socket must be short
ENDED = "exit-code"
PLACES = {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_RUNTIME_DIR": "runtime", "TMPDIR": "temporary"}
COLOURS = {"31": "red", "32": "green", "33": "yellow", "34": "blue", "35": "magenta", "36": "cyan", "37": "white"}
OPTIONS = "set -g status off\nset -g remain-on-exit on\nset -g escape-time 0\nset -g default-terminal screen\n"

_SGR = re.compile(r"\x1b\[[\d;]*m")


class Terminal:
    """`async with await Terminal.start(directory, command) as terminal:`; the directory is the program's whole home."""

    def __init__(self, directory: Path, server: asyncio.subprocess.Process) -> None:
        self._directory = directory
        self._server = server

    @classmethod
    async def start(cls, directory: Path, command: Sequence[str], cwd: Path | None = None) -> Self:
        """Run the command there, or in `cwd`; it has nothing of our environment but the search path."""
        for place in PLACES.values():
            (directory / place).mkdir(parents=True)
        (directory / "tmux.conf").write_text(OPTIONS, encoding="ascii")
        server = await asyncio.create_subprocess_exec(
            *("tmux", "-S", SOCKET, "-f", "tmux.conf", "-D"),
            cwd=directory,
            env=_environment(directory),
            stdin=asyncio.subprocess.DEVNULL,
        )
        terminal = cls(directory, server)
        try:
            # tmux (3.3a) now and then misses how its program ended, so the shell writes it down; Ctrl-C is not for it
            ended = shlex.quote(str(directory / ENDED))
            await terminal._open(f"trap : INT; {shlex.join(command)}; echo $? >{ended}", cwd or directory)
        except BaseException:
            await terminal._end()
            raise
        return terminal

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def type(self, line: str) -> None:
        """The line, and the enter key."""
        await self._tmux("send-keys", "-l", "--", line)
        await self.press("Enter")

    async def press(self, key: str) -> None:
        """A key by tmux's name for it: Enter, C-c."""
        await self._tmux("send-keys", key)

    async def screen(self) -> str:
        """What is to be seen, without its colours."""
        return plain(await self.coloured())

    async def coloured(self) -> str:
        """The same with them, as escape sequences."""
        return await self._tmux("capture-pane", "-p", "-e")

    async def shows(self, *words: str) -> str:
        """Wait until all these words are to be seen; returns the screen."""
        return await self.until(lambda screen: all(word in screen for word in words), f"not all of {words}")

    async def until(self, holds: Callable[[str], bool], missing: str) -> str:
        """Look until it `holds` of the screen; returns that. `missing` says what was not to be seen by the deadline."""

        async def look() -> str:
            screen = await self.screen()
            return screen if holds(screen) else ""

        return await self._glance(look, missing)

    async def colour_becomes(self, words: str, begins: str, colour: str) -> None:
        """Wait until the last line with these words is in this colour, from `begins` on."""

        async def look() -> str:
            return colour if colour_of(await self.coloured(), words, begins) == colour else ""

        await self._glance(look, f"no {colour} {words!r}")

    async def exit_code(self) -> int:
        """How the program ended."""

        async def look() -> str:
            return (self._directory / ENDED).read_text() if (self._directory / ENDED).exists() else ""

        return int(await self._glance(look, "no end"))

    async def _glance(self, look: Callable[[], Awaitable[str]], missing: str) -> str:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not (seen := await look()):  # noqa: ASYNC110  # another program's screen has no event
                    await asyncio.sleep(GLANCE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{missing} on this screen:\n{await self.screen()}") from None
        return seen

    async def _open(self, command: str, cwd: Path) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (self._directory / SOCKET).exists():
                assert self._server.returncode is None, "tmux ended at once"
                await asyncio.sleep(GLANCE_SECONDS)
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        await self._tmux("new-session", "-d", *size, "-c", str(cwd), command)

    async def _tmux(self, *arguments: str) -> str:
        # -N: never a server of tmux's own making, which nobody would end
        client = await asyncio.create_subprocess_exec(
            *("tmux", "-N", "-u", "-S", SOCKET, *arguments),
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await client.communicate()
        assert client.returncode == 0, err.decode()
        return out.decode()

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._server.terminate()
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await self._server.wait()
            except TimeoutError:
                self._server.kill()
        await self._server.wait()


def plain(coloured: str) -> str:
    """The same without its colours."""
    return _SGR.sub("", coloured)


def colour_of(coloured: str, words: str, begins: str) -> str:
    """The colour in which the last line with these words begins, from `begins` on; empty if there is none."""
    lines = [line for line in coloured.splitlines() if words in plain(line)]
    found = re.search(rf"\x1b\[(?:\d+;)*(3\d)m{re.escape(begins)}", lines[-1]) if lines else None
    return COLOURS.get(found[1], "") if found else ""


def _environment(directory: Path) -> dict[str, str]:
    return {
        "HOME": str(directory),
        **{name: str(directory / place) for name, place in PLACES.items()},
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "SHELL": "/bin/sh",
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
    }
