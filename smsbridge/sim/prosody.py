"""A private Prosody for the demo and the tests: loopback only, in a directory of its own, gone afterwards.

Facts that shaped it (Prosody 0.12.3):
- It keeps running when a port is taken and only logs "Failed to open server port". Whoever merely connects may be
  talking to somebody else's server, so readiness is three things at once: our own log says that the component port
  is open, that port answers a stream header in our component's name, and no port is missing.
- `prosody --version` starts a server on the default ports. It is never called.
- Free ports are taken from below the ephemeral range: a client that knocks again and again on a dead port inside
  that range can end up connected to itself.
- Accounts are plain files even with SQLite storage; one may be added before the start or while it runs.
- The process handle belongs to no event loop, so one server can serve tests that each have their own.
"""

import asyncio
import contextlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from xml.sax.saxutils import quoteattr

LOOPBACK = "127.0.0.1"
FREE_PORTS = range(20_000, 32_000)
START_SECONDS = 15.0
STOP_SECONDS = 10.0
ATTEMPTS = 5

_FAILED_PORT = re.compile(r"Failed to open server port (\d+)")
_draw = random.SystemRandom()


class ProsodyMissing(Exception):
    """There is no prosody on this machine."""

    def __init__(self) -> None:
        super().__init__("prosody was not found on PATH; install the packages prosody and prosody-modules")


class PortTaken(Exception):
    """Somebody else listens on a port that this server was told to use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is already in use; name another one, or 0 for a free one")
        self.port = port


class StartFailed(Exception):
    """Prosody ended early or did not become ready; the text carries the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyConfig:
    """How the server is set up. A port of 0 means a free one; no directory means a temporary one.

    `echo_jid` and `second_domain` add another component (same secret) and another host with accounts. `include` is a
    file of configuration that defines `component_jid` with `component_secret`, in the place of our own words.
    """

    directory: Path | None = None
    c2s_port: int = 0
    component_port: int = 0
    http_port: int = 0
    domain: str = "example.com"
    second_domain: str | None = None
    component_jid: str = "sms.example.com"
    component_secret: str = "s3cret"
    echo_jid: str | None = None
    share_jid: str = "share.example.com"
    storage: Literal["internal", "sql"] = "internal"
    include: Path | None = None


class Prosody:
    """One server. `start` and `stop` frame its life; `kill` and `restart` are what may happen in between."""

    def __init__(self, config: ProsodyConfig | None = None) -> None:
        self.config = config or ProsodyConfig()
        self.directory = self.config.directory or Path()
        self.c2s_port = self.config.c2s_port
        self.component_port = self.config.component_port
        self.http_port = self.config.http_port
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def domain(self) -> str:
        return self.config.domain

    @property
    def component_jid(self) -> str:
        return self.config.component_jid

    @property
    def component_secret(self) -> str:
        return self.config.component_secret

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        return self._server.pid if self.is_running and self._server else None

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    async def start(self) -> None:
        """Start and return when every port is open and ours.

        Raises `ProsodyMissing`, `PortTaken` (a port that was named is in use; nothing was started) or `StartFailed`.
        """
        if shutil.which("prosody") is None:
            raise ProsodyMissing
        named = {self.config.c2s_port, self.config.component_port, self.config.http_port} - {0}
        for port in sorted(named):
            _require_free(port)
        self._enter_directory()
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
        """SIGTERM and wait. A temporary directory goes too, unless `keep` says that `restart` will follow."""
        await self._end(signal.SIGTERM)
        if self._temporary is not None and not keep:
            self._temporary.cleanup()
            self._temporary = None

    async def kill(self) -> None:
        """SIGKILL: the server dies where it stands. Its directory stays; `restart` brings it back."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """The same directory and the same ports again, after `kill`, after `stop(keep=True)` or while running."""
        if not self.component_port:
            raise StartFailed("prosody was never started")
        await self._end(signal.SIGTERM)
        for port in (self.c2s_port, self.component_port, self.http_port):
            _require_free(port)
        await self._launch()

    def add_account(self, name: str, password: str, *, domain: str | None = None) -> str:
        """Create an account (or set its password) and return its bare JID. Works before the start and after."""
        host = domain or self.domain
        self._enter_directory()
        account = self.directory / "data" / _path_word(host) / "accounts" / f"{_path_word(name)}.dat"
        account.parent.mkdir(parents=True, exist_ok=True)
        account.write_text(f'return {{ ["password"] = {_lua(password)}; }};\n', encoding="ascii")
        return f"{name}@{host}"

    def log_text(self) -> str:
        """Everything that Prosody has logged in this directory; empty before the first start."""
        try:
            return (self.directory / "prosody.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _enter_directory(self) -> None:
        if self.config.directory is None and self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="smsbridge-prosody-")
            self.directory = Path(self._temporary.name)
        (self.directory / "data").mkdir(parents=True, exist_ok=True)

    def _choose_ports(self) -> None:
        named = {self.config.c2s_port, self.config.component_port, self.config.http_port}
        free = [port for port in _draw.sample(FREE_PORTS, 60) if port not in named and _is_free(port)]
        self.c2s_port = self.config.c2s_port or free[0]
        self.component_port = self.config.component_port or free[1]
        self.http_port = self.config.http_port or free[2]

    async def _launch(self) -> None:
        self._spawn()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_ready()
        except TimeoutError:
            await self._end(signal.SIGKILL)
            raise StartFailed(f"prosody was not ready in {START_SECONDS:.0f} s: {self._last_words()}") from None
        except BaseException:
            await self._end(signal.SIGKILL)
            raise

    def _spawn(self) -> None:
        program = shutil.which("prosody")
        if program is None:
            raise ProsodyMissing
        config = replace(
            self.config,
            directory=self.directory.resolve(),
            c2s_port=self.c2s_port,
            component_port=self.component_port,
            http_port=self.http_port,
        )
        path = self.directory / "prosody.cfg.lua"
        path.write_text(config_text(config), encoding="ascii")
        self._log_offset = len(self.log_text())
        with (self.directory / "console.log").open("ab") as console:
            # A session of its own: Ctrl-C in the terminal is for the demo, which then stops us in order.
            self._server = subprocess.Popen(  # noqa: S603 - the arguments are ours
                [program, "--config", str(path), "-F"],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        # Another process tells us nothing when it is ready; asking again is all there is.
        is_open = f"Activated service 'component' on [{LOOPBACK}]:{self.component_port}"
        while True:
            if not self.is_running:
                raise StartFailed(f"prosody ended at once: {self._last_words()}")
            ready = is_open in self._new_log_text() and await self._answers_in_our_name()
            if failed := _FAILED_PORT.search(self._new_log_text()):
                raise PortTaken(int(failed[1]))
            if ready:
                return
            await asyncio.sleep(0.01)

    async def _answers_in_our_name(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.component_port)
        except OSError:
            return False
        try:
            writer.write(component_header(self.component_jid).encode())
            answer = await reader.readuntil(b"<stream:stream")
            answer += await reader.readuntil(b">")
        except (OSError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return self.component_jid.encode() in answer

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
        console = (self.directory / "console.log").read_text(encoding="utf-8", errors="replace")
        lines = [*console.splitlines()[-5:], *self._new_log_text().splitlines()[-10:]]
        return " | ".join(lines) or "it said nothing"


def component_header(component_jid: str) -> str:
    """What a component says first on its stream (XEP-0114, section 3)."""
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
        f"xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(component_jid)}>"
    )


def config_text(config: ProsodyConfig) -> str:
    """The whole prosody.cfg.lua of a config whose directory and ports are decided."""
    directory = config.directory
    if directory is None:
        raise ValueError("the directory is not decided")
    sections = [
        f"""-- a throw-away server: loopback only, no TLS, no federation
pidfile = {_lua(str(directory / "prosody.pid"))}
data_path = {_lua(str(directory / "data"))}
certificates = {_lua(str(directory))}
run_as_root = true
interfaces = {{ "{LOOPBACK}" }}; local_interfaces = {{ "{LOOPBACK}" }}
c2s_ports = {{ {config.c2s_port} }}; c2s_direct_tls_ports = {{}}
s2s_ports = {{}}; s2s_direct_tls_ports = {{}}
component_ports = {{ {config.component_port} }}; component_interfaces = {{ "{LOOPBACK}" }}
http_ports = {{ {config.http_port} }}; http_interfaces = {{ "{LOOPBACK}" }}; https_ports = {{}}
http_default_host = {_lua(config.share_jid)}
http_external_url = "http://{LOOPBACK}:{config.http_port}/"
network_settings = {{ nagle = false }}
c2s_require_encryption = false; s2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
{_storage(config, directory)}
storage_archive_item_limit = 10000000
archive_expires_after = "never"
max_archive_query_results = 500
smacks_max_queue_size = 1000000
c2s_stanza_size_limit = 1048576
http_file_share_size_limit = 104857600
http_file_share_daily_quota = 107374182400
modules_enabled = {{
  "roster", "saslauth", "disco", "ping", "offline", "mam", "carbons", "smacks", "pep", "vcard4", "vcard_legacy",
  "blocklist", "time", "version", "uptime", "lastactivity", "posix", "privilege" }}
modules_disabled = {{ "s2s" }}
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = {_lua(str(directory / "prosody.log"))} }} }}
"""
    ]
    sections += [_virtual_host(config, host) for host in (config.domain, config.second_domain) if host]
    own_jid = None if config.include else config.component_jid
    sections += [_component(config, jid) for jid in (own_jid, config.echo_jid) if jid]
    if config.include:
        sections.append(f"Include {_lua(str(config.include.resolve()))}\n")
    sections.append(f'Component {_lua(config.share_jid)} "http_file_share"\n')
    return "\n".join(sections)


def _storage(config: ProsodyConfig, directory: Path) -> str:
    if config.storage == "internal":
        return 'storage = "internal"'
    database = _lua(str(directory / "data" / "prosody.sqlite"))
    return (
        f'sql = {{ driver = "SQLite3", database = {database} }}\n'
        'default_storage = "sql"\nstorage = { accounts = "internal" }'
    )


def _virtual_host(config: ProsodyConfig, host: str) -> str:
    # XEP-0356; mod_privilege comes with prosody-modules and has to be loaded on both sides.
    return f"""VirtualHost {_lua(host)}
  privileged_entities = {{
    [{_lua(config.component_jid)}] = {{
      roster = "both", message = "outgoing", presence = "managed_entity",
      iq = {{ ["http://jabber.org/protocol/pubsub"] = "both" }} }} }}
"""


def _component(config: ProsodyConfig, jid: str) -> str:
    privilege = '  modules_enabled = { "privilege" }\n' if jid == config.component_jid else ""
    return f"""Component {_lua(jid)}
  component_secret = {_lua(config.component_secret)}
  component_conflict_resolve = "kick_old"
{privilege}"""


def _lua(text: str) -> str:
    """A Lua string literal: everything but plain ASCII letters, digits and `-._/@` as decimal escapes."""
    return '"' + "".join(chr(b) if _is_plain(b) or b in b"-._/@" else f"\\{b:03d}" for b in text.encode()) + '"'


def _path_word(text: str) -> str:
    """A name as Prosody spells it in a path (util.datamanager): all but ASCII letters and digits as %xx."""
    return "".join(chr(b) if _is_plain(b) else f"%{b:02x}" for b in text.encode())


def _is_plain(byte: int) -> bool:
    return byte < 128 and chr(byte).isalnum()


def _is_free(port: int) -> bool:
    # SO_REUSEADDR as Prosody sets it: connections of a killed server in TIME_WAIT do not count.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _require_free(port: int) -> None:
    if not _is_free(port):
        raise PortTaken(port)
