"""A private Prosody for the demo and the tests.

Facts that shaped it (Prosody 0.12.3):
- It keeps running when a port is taken and only logs "Failed to open server port".
- `prosody --version` starts a server on the default ports. It is never called.
- Accounts are plain files even with SQLite storage; one may be added before the start or while it runs.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from smsbridge.sim.ports import LOOPBACK
from smsbridge.sim.xmpp_server import Command, Ports, ServerName, ServerProcess, require_program

PACKAGES = "prosody and prosody-modules"

_FAILED_PORT = re.compile(r"Failed to open server port (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyConfig:
    """How the server is set up. A port of 0 means a free one; no directory means a temporary one.

    `echo_jid` and `second_domain` add another component (same secret) and another host with accounts. `include` is a
    file of configuration that defines `component_jid` with `component_secret`, in the place of our own words.
    `module` is our mod_smsbridge.lua; without it the component has none, whatever the file says.
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
    module: Path | None = None


class Prosody:
    """One server; see `XmppServer` for what it promises."""

    def __init__(self, config: ProsodyConfig | None = None) -> None:
        self.config = config or ProsodyConfig()
        ports = Ports(c2s=self.config.c2s_port, component=self.config.component_port, http=self.config.http_port)
        self._process = ServerProcess(_Kind(config=self.config), directory=self.config.directory, ports=ports)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def name(self) -> ServerName:
        return "prosody"

    @property
    def directory(self) -> Path:
        return self._process.directory

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
    def c2s_port(self) -> int:
        return self._process.ports.c2s

    @property
    def component_port(self) -> int:
        return self._process.ports.component

    @property
    def http_port(self) -> int:
        return self._process.ports.http

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.is_running

    async def start(self) -> None:
        await self._process.start()

    async def stop(self, *, keep: bool = False) -> None:
        await self._process.stop(keep=keep)

    async def kill(self) -> None:
        await self._process.kill()

    async def restart(self) -> None:
        await self._process.restart()

    def log_text(self) -> str:
        return self._process.log_text()

    def add_account(self, name: str, password: str, *, domain: str | None = None) -> str:
        host = domain or self.domain
        account = self._process.enter_directory() / "data" / _path_word(host) / "accounts" / f"{_path_word(name)}.dat"
        account.parent.mkdir(parents=True, exist_ok=True)
        account.write_text(f'return {{ ["password"] = {_lua(password)}; }};\n', encoding="ascii")
        return f"{name}@{host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What only Prosody does."""

    config: ProsodyConfig

    @property
    def name(self) -> ServerName:
        return "prosody"

    @property
    def component_jid(self) -> str:
        return self.config.component_jid

    def require(self) -> None:
        require_program("prosody", PACKAGES)

    def log_path(self, directory: Path) -> Path:
        return directory / "prosody.log"

    def prepare(self, directory: Path) -> None:
        (directory / "data").mkdir(exist_ok=True)

    def write(self, directory: Path, ports: Ports) -> Command:
        path = directory / "prosody.cfg.lua"
        path.write_text(config_text(self.config, directory, ports), encoding="ascii")
        return Command(arguments=(require_program("prosody", PACKAGES), "--config", str(path), "-F"))

    def is_open(self, log: str, ports: Ports) -> bool:
        return f"Activated service 'component' on [{LOOPBACK}]:{ports.component}" in log

    def taken_port(self, log: str) -> int | None:
        found = _FAILED_PORT.search(log)
        return int(found[1]) if found else None


def config_text(config: ProsodyConfig, directory: Path, ports: Ports) -> str:
    """The whole prosody.cfg.lua."""
    sections = [
        f"""-- a throw-away server: loopback only, no TLS, no federation
pidfile = {_lua(str(directory / "prosody.pid"))}
data_path = {_lua(str(directory / "data"))}
certificates = {_lua(str(directory))}
run_as_root = true
interfaces = {{ "{LOOPBACK}" }}; local_interfaces = {{ "{LOOPBACK}" }}
c2s_ports = {{ {ports.c2s} }}; c2s_direct_tls_ports = {{}}
s2s_ports = {{}}; s2s_direct_tls_ports = {{}}
component_ports = {{ {ports.component} }}; component_interfaces = {{ "{LOOPBACK}" }}
http_ports = {{ {ports.http} }}; http_interfaces = {{ "{LOOPBACK}" }}; https_ports = {{}}
http_default_host = {_lua(config.share_jid)}
http_external_url = "http://{LOOPBACK}:{ports.http}/"
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
{_plugin_path(config)}
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = {_lua(str(directory / "prosody.log"))} }} }}
"""
    ]
    sections += [_virtual_host(config, host) for host in (config.domain, config.second_domain) if host]
    own_jid = None if config.include else config.component_jid
    sections += [_component(config, jid) for jid in (own_jid, config.echo_jid) if jid]
    if config.include:
        sections.append(f"Include {_lua(str(config.include.resolve()))}\n")
        if config.module is None:
            sections.append(f'Component {_lua(config.component_jid)}\n  modules_enabled = {{ "privilege" }}\n')
    sections.append(f'Component {_lua(config.share_jid)} "http_file_share"\n')
    return "\n".join(sections)


def _plugin_path(config: ProsodyConfig) -> str:
    return f"plugin_paths = {{ {_lua(str(config.module.resolve().parent))} }}" if config.module else ""


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
    if config.include:
        return f"VirtualHost {_lua(host)}\n"
    return f"""VirtualHost {_lua(host)}
  privileged_entities = {{
    [{_lua(config.component_jid)}] = {{
      roster = "both", message = "outgoing", presence = "managed_entity",
      iq = {{ ["http://jabber.org/protocol/pubsub"] = "both" }} }} }}
"""


def _component(config: ProsodyConfig, jid: str) -> str:
    modules = ("privilege", *(["smsbridge"] if config.module else [])) if jid == config.component_jid else ()
    enabled = ", ".join(map(_lua, modules))
    return f"""Component {_lua(jid)}
  component_secret = {_lua(config.component_secret)}
  component_conflict_resolve = "kick_old"
  modules_enabled = {{ {enabled} }}
"""


def _lua(text: str) -> str:
    """A Lua string literal: everything but plain ASCII letters, digits and `-._/@` as decimal escapes."""
    return '"' + "".join(chr(b) if _is_plain(b) or b in b"-._/@" else f"\\{b:03d}" for b in text.encode()) + '"'


def _path_word(text: str) -> str:
    """A name as Prosody spells it in a path (util.datamanager): all but ASCII letters and digits as %xx."""
    return "".join(chr(b) if _is_plain(b) else f"%{b:02x}" for b in text.encode())


def _is_plain(byte: int) -> bool:
    return byte < 128 and chr(byte).isalnum()
