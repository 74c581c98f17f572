"""A private PostgreSQL for the tests and benchmarks: loopback only, in a directory of its own, gone afterwards.

It syncs as a real one does. PostgreSQL refuses to run as root, so root runs it as the package's user `postgres`.
Everybody on this machine may connect as `OWNER`; a role called `GUARDED`, once it is made, needs its password.
The process handle belongs to no event loop, so one server can serve tests that each have their own.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from smsbridge.sim.ports import LOOPBACK, free_port

OWNER, GUARDED = "smsbridge", "guarded"
START_SECONDS = 90.0  # it ends what hangs, and says nothing of speed
STOP_SECONDS = 15.0
NOTICE_SECONDS = 5.0
ATTEMPTS = 5
MAX_CONNECTIONS = 200

_DEBIAN = Path("/usr/lib/postgresql")
_SYSTEM_USER = "postgres"
_READY_LINE = 7  # of postmaster.pid, counted from 0


class PostgresMissing(Exception):
    """There is no PostgreSQL server on this machine."""

    def __init__(self) -> None:
        super().__init__("the programs of PostgreSQL were not found; install the package postgresql")


class StartFailed(Exception):
    """PostgreSQL ended early or did not become ready; the text carries the end of its log."""


class Postgres:
    """One server. `start` and `stop` frame its life; `kill` and `restart` are what may happen in between."""

    def __init__(self, settings: Sequence[str] = ()) -> None:
        self.port = 0
        self.directory = Path()
        self._settings = tuple(settings)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while the server runs."""
        return self._server.pid if self.is_running and self._server else None

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def url(self, database: str = "postgres", *, user: str = OWNER, port: int | None = None) -> str:
        """What a client is told. `port`: that of somebody in between."""
        return f"postgresql://{user}@{LOOPBACK}:{port or self.port}/{database}"

    async def start(self) -> None:
        """Make the cluster and start it; returns when it takes connections. Raises `PostgresMissing`, `StartFailed`."""
        program("initdb")
        try:
            await asyncio.to_thread(self._make_cluster)
            for attempt in range(1, ATTEMPTS + 1):
                self.port = free_port()
                try:
                    await self._launch()
                    return
                except StartFailed:
                    if attempt == ATTEMPTS or "could not bind" not in self.log_text():
                        raise
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, keep: bool = False) -> None:
        """End every session and shut down. The directory goes too, unless `keep` says that `restart` will follow."""
        await self._end(signal.SIGINT)
        if self._temporary is not None and not keep:
            self._temporary.cleanup()
            self._temporary = None

    async def kill(self) -> None:
        """SIGKILL the postmaster; returns when its children are gone. The directory stays.

        Each child notices by itself; one that is long at something, such as a sync on a busy disk, is killed as well.
        """
        children = self._children()
        await self._end(signal.SIGKILL)
        patience = time.monotonic() + NOTICE_SECONDS
        async with asyncio.timeout(NOTICE_SECONDS + STOP_SECONDS):
            while alive := [pid for pid in children if _is_alive(pid)]:
                if time.monotonic() > patience:
                    for pid in alive:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.005)

    async def restart(self) -> None:
        """The same directory and the same port again, after `kill`, after `stop(keep=True)` or while running."""
        if self._temporary is None:
            raise StartFailed("the server was never started")
        await self._end(signal.SIGINT)
        await self._launch()

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create an empty database, or a copy of one that nobody is connected to; its URL."""
        copied = f' TEMPLATE "{template}"' if template else ""
        await self.execute(f'CREATE DATABASE "{name}"{copied}')
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Away with it, whoever is connected."""
        await self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def execute(self, text: str, *, database: str = "postgres") -> str:
        """Run SQL as `OWNER`; what it returns as unaligned text, a line for each row."""
        asking = await asyncio.create_subprocess_exec(
            *(program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text, self.url(database)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        answer, complaint = await asking.communicate()
        if asking.returncode:
            raise RuntimeError(f"psql: {complaint.decode(errors='replace').strip()}")
        return answer.decode().removesuffix("\n")

    def log_text(self) -> str:
        """Everything that the server has logged; empty before the first start."""
        try:
            return (self.directory / "postgres.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _make_cluster(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="smsbridge-postgres-")
        self.directory = Path(self._temporary.name)
        if (user := _other_user()) is not None:
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        made = self._spawn(
            *(program("initdb"), "--no-sync", "-D", str(self._cluster), "-U", OWNER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C.UTF-8"),
        )
        if made.wait(START_SECONDS):
            raise StartFailed(f"initdb failed: {self._last_words()}")
        with (self._cluster / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write("\n".join((*_SETTINGS, *self._settings, "")))
        (self._cluster / "pg_hba.conf").write_text(
            f"host all {GUARDED} {LOOPBACK}/32 scram-sha-256\nhost all all {LOOPBACK}/32 trust\n", encoding="ascii"
        )

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    async def _launch(self) -> None:
        self._server = self._spawn(program("postgres"), "-D", str(self._cluster), "-p", str(self.port))
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_ready()
        except TimeoutError:
            await self._end(signal.SIGKILL)
            raise StartFailed(f"postgres was not ready in {START_SECONDS:.0f} s: {self._last_words()}") from None
        except BaseException:
            await self._end(signal.SIGKILL)
            raise

    async def _until_ready(self) -> None:
        # Another process tells us nothing when it is ready; asking again is all there is.
        while not self._is_ready():
            if not self.is_running:
                raise StartFailed(f"postgres ended at once: {self._last_words()}")
            await asyncio.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > _READY_LINE and lines[0] == str(self.pid) and lines[_READY_LINE].strip() == "ready"

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        user = _other_user()
        with (self.directory / "postgres.log").open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for whoever started us, who then stops us in order.
            return subprocess.Popen(  # noqa: S603 - the arguments are ours
                command,
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=() if user else None,
            )

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

    def _children(self) -> list[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if _state_and_parent(pid)[1:] == (str(self.pid),)]

    def _last_words(self) -> str:
        return " | ".join(self.log_text().splitlines()[-10:]) or "it said nothing"


_SETTINGS = (
    f"listen_addresses = '{LOOPBACK}'",
    "unix_socket_directories = ''",
    f"max_connections = {MAX_CONNECTIONS}",
    "fsync = on",
    "shared_buffers = 32MB",
    "log_line_prefix = '%m [%p] '",
)


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs: Debian keeps them apart by version, others on PATH."""
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise PostgresMissing
    return found


def _other_user() -> pwd.struct_passwd | None:
    """As whom the server runs, if not as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise PostgresMissing from None


def _state_and_parent(pid: int) -> tuple[str, ...]:
    """Of a process, as proc(5) has them; nothing if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(text.rpartition(")")[2].split()[:2])  # its name, in parentheses, may hold anything


def _is_alive(pid: int) -> bool:
    return _state_and_parent(pid)[:1] not in {(), ("Z",)}
