"""What the throw-away XMPP servers have in common: loopback only, in a directory of their own, gone afterwards.

- Whoever merely connects to a port may be talking to somebody else's server, so readiness is three things at once:
  the server's own log says that the component port is open, that port answers a stream header in our component's
  name, and no port is missing.
- The process handle belongs to no event loop, so one server can serve tests that each have their own.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self
from xml.sax.saxutils import quoteattr

from smsbridge.sim import ports as loopback_ports
from smsbridge.sim.ports import LOOPBACK

START_SECONDS = 90.0  # it ends what hangs, and says nothing of speed
STOP_SECONDS = 10.0
ATTEMPTS = 5
CONSOLE = "console.log"

ServerName = Literal["prosody", "ejabberd"]


class ProgramMissing(Exception):
    """A server is not on this machine."""

    def __init__(self, program: str, packages: str) -> None:
        super().__init__(f"{program} was not found; install the packages {packages}")


class PortTaken(Exception):
    """Somebody else listens on a port that this server was told to use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is already in use; name another one, or 0 for a free one")
        self.port = port


class StartFailed(Exception):
    """The server ended early or did not become ready; the text carries the end of its log."""


class XmppServer(Protocol):
    """A server of ours. `start` and `stop` frame its life; `kill` and `restart` are what may happen in between."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def name(self) -> ServerName: ...

    @property
    def directory(self) -> Path: ...

    @property
    def domain(self) -> str: ...

    @property
    def component_jid(self) -> str: ...

    @property
    def component_secret(self) -> str: ...

    @property
    def c2s_port(self) -> int: ...

    @property
    def component_port(self) -> int: ...

    @property
    def http_port(self) -> int: ...

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""

    @property
    def is_running(self) -> bool: ...

    async def start(self) -> None:
        """Start and return when every port is open and ours.

        Raises `ProgramMissing`, `PortTaken` (a port that was named is in use; nothing was started) or `StartFailed`.
        """

    async def stop(self, *, keep: bool = False) -> None:
        """SIGTERM and wait. A temporary directory goes too, unless `keep` says that `restart` will follow.

        What goes with its directory is not put in order first: then it is SIGKILL.
        """

    async def kill(self) -> None:
        """SIGKILL: the server dies where it stands. Its directory stays; `restart` brings it back."""

    async def restart(self) -> None:
        """The same directory and the same ports again, after `kill`, after `stop(keep=True)` or while running."""

    def add_account(self, name: str, password: str, *, domain: str | None = None) -> str:
        """Create an account (or set its password) and return its bare JID. Works before the start and after."""

    def log_text(self) -> str:
        """Everything that the server has logged in this directory; empty before the first start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a server listens on; 0 is not decided yet."""

    c2s: int = 0
    component: int = 0
    http: int = 0

    @property
    def all(self) -> tuple[int, int, int]:
        return self.c2s, self.component, self.http


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a server is run."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class Kind(Protocol):
    """What differs from server to server."""

    @property
    def name(self) -> ServerName: ...

    @property
    def component_jid(self) -> str: ...

    def require(self) -> None:
        """Raise `ProgramMissing` when the server is not on this machine."""

    def log_path(self, directory: Path) -> Path: ...

    def prepare(self, directory: Path) -> None:
        """Make what has to be there before the first account; what is there already stays."""

    def write(self, directory: Path, ports: Ports) -> Command:
        """Write the configuration and say how to start with it."""

    def is_open(self, log: str, ports: Ports) -> bool:
        """The server says that it listens for components."""

    def taken_port(self, log: str) -> int | None:
        """A port that the server says it did not get."""


class ServerProcess:
    """One server's directory, ports and process. The classes that tests and stages use own one of these."""

    def __init__(self, kind: Kind, *, directory: Path | None, ports: Ports) -> None:
        self.directory = directory or Path()
        self.ports = ports
        self._kind = kind
        self._named = ports
        self._is_temporary = directory is None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def pid(self) -> int | None:
        return self._server.pid if self.is_running and self._server else None

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def enter_directory(self) -> Path:
        """The directory, made and prepared."""
        if self._is_temporary and self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix=f"smsbridge-{self._kind.name}-")
            self.directory = Path(self._temporary.name)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._kind.prepare(self.directory.resolve())
        return self.directory

    async def start(self) -> None:
        self._kind.require()
        named = set(self._named.all) - {0}
        for port in sorted(named):
            _require_free(port)
        self.enter_directory()
        try:
            for attempt in range(1, ATTEMPTS + 1):
                self._choose_ports()
                try:
                    await self._launch()
                    return
                except PortTaken as taken:
                    if taken.port in named or attempt == ATTEMPTS:
                        raise
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, keep: bool = False) -> None:
        if self._temporary is None or keep:
            await self._end(signal.SIGTERM)
            return
        await self._end(signal.SIGKILL)
        self._temporary.cleanup()
        self._temporary = None

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        if not self.ports.component:
            raise StartFailed(f"{self._kind.name} was never started")
        await self._end(signal.SIGTERM)
        for port in self.ports.all:
            _require_free(port)
        await self._launch()

    def log_text(self) -> str:
        try:
            return self._kind.log_path(self.directory).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _choose_ports(self) -> None:
        named = self._named
        free = loopback_ports.free_ports(3, besides=named.all)
        self.ports = Ports(c2s=named.c2s or free[0], component=named.component or free[1], http=named.http or free[2])

    async def _launch(self) -> None:
        self._spawn()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_ready()
        except TimeoutError:
            await self._end(signal.SIGKILL)
            raise StartFailed(
                f"{self._kind.name} was not ready in {START_SECONDS:.0f} s: {self._last_words()}"
            ) from None
        except BaseException:
            await self._end(signal.SIGKILL)
            raise

    def _spawn(self) -> None:
        self._kind.require()
        command = self._kind.write(self.directory.resolve(), self.ports)
        self._log_offset = len(self.log_text())
        with (self.directory / CONSOLE).open("ab") as console:
            # A session of its own: Ctrl-C in the terminal is for the demo, which then stops us in order.
            self._server = subprocess.Popen(  # noqa: S603 - the arguments are ours
                command.arguments,
                cwd=self.directory,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        # Another process tells us nothing when it is ready; asking again is all there is.
        while True:
            is_running = self.is_running
            log = self._new_log_text()
            if (taken := self._kind.taken_port(log)) is not None:
                raise PortTaken(taken)
            if not is_running:
                raise StartFailed(f"{self._kind.name} ended at once: {self._last_words()}")
            if self._kind.is_open(log, self.ports) and await self._answers():
                if (taken := self._kind.taken_port(self._new_log_text())) is not None:
                    raise PortTaken(taken)
                return
            await asyncio.sleep(0.01)

    async def _answers(self) -> bool:
        """The component port answers a stream header in our component's name."""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.ports.component)
        except OSError:
            return False
        try:
            writer.write(component_header(self._kind.component_jid).encode())
            answer = await reader.readuntil(b"<stream:stream")
            answer += await reader.readuntil(b">")
        except (OSError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return self._kind.component_jid.encode() in answer

    async def _end(self, signal_number: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal_number)
        try:
            await asyncio.to_thread(server.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            await asyncio.to_thread(server.wait, STOP_SECONDS)

    def _new_log_text(self) -> str:
        return self.log_text()[self._log_offset :]

    def _last_words(self) -> str:
        console = (self.directory / CONSOLE).read_text(encoding="utf-8", errors="replace")
        lines = [*console.splitlines()[-5:], *self._new_log_text().splitlines()[-10:]]
        return " | ".join(lines) or "it said nothing"


def component_header(component_jid: str) -> str:
    """What a component says first on its stream (XEP-0114, section 3)."""
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
        f"xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(component_jid)}>"
    )


def require_program(program: str, packages: str) -> str:
    """Where a program is, or `ProgramMissing`."""
    path = shutil.which(program)
    if path is None:
        raise ProgramMissing(program, packages)
    return path


def _require_free(port: int) -> None:
    if not loopback_ports.is_free(port):
        raise PortTaken(port)
