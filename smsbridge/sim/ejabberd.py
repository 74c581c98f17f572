"""A private ejabberd for the tests: plain `erl` under the current user, no distribution, one process.

Facts that shaped it (ejabberd 23.01 on OTP 25):
- `ejabberdctl` changes to a user of its own and starts a port mapper; `erl` needs neither.
- Only SQL keeps what ejabberd has acknowledged over a kill: Mnesia writes its log seconds later. The option is there
  for the tests of that warning.
- Accounts are rows; one may be added before the start or while it runs (without the cache, which remembers misses).
- A host's SQL connections are opened at its first query, and two that come at once spoil each other: a right password
  is refused. At its first start each host is asked first; after a restart none is, as in life.
- A component that connects to a listener with several hosts is given them all unless `global_routes` is false.
- A text for a user whose session is open but whose presence is not handled yet goes to offline storage, and is
  delivered at the next login: a client has to wait for the echo of its own presence.
- The configuration is written as JSON, which is YAML.
"""

import asyncio
import base64
import contextlib
import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from smsbridge.sim.ports import LOOPBACK
from smsbridge.sim.xmpp_server import (
    Command,
    Ports,
    ProgramMissing,
    ServerName,
    ServerProcess,
    require_program,
)

PACKAGES = "ejabberd and erlang-p1-sqlite3"
LIBRARIES = Path("/usr")
SCHEMA = Path("priv", "sql", "lite.new.sql")
STANZA_LIMIT = 262_144
BUSY_SECONDS = 10.0
IDLE = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")  # who has nothing to do leaves the core to others
FIRST_QUERY_SECONDS = 60.0

Json = str | int | bool | list["Json"] | dict[str, "Json"]

_TAKEN_PORT = re.compile(r"Failed to open socket at \S*?:(\d+) for")


@dataclass(frozen=True, slots=True, kw_only=True)
class EjabberdConfig:
    """How the server is set up. A port of 0 means a free one; no directory means a temporary one.

    `echo_jid` and `second_domain` add another component (same secret) and another host with accounts. `include` is a
    file of configuration that defines `component_jid` with `component_secret`, in the place of our own words; of what
    it says only the listener's port is changed, to ours, and nothing can be beside it there: it excludes `echo_jid`.
    `storage` is where offline messages and the archive are.
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
    storage: Literal["sql", "mnesia"] = "sql"
    include: Path | None = None

    def __post_init__(self) -> None:
        if self.include and self.echo_jid:
            raise ValueError("an included file has a listener of its own; an echo component has no place there")


class Ejabberd:
    """One server; see `XmppServer` for what it promises."""

    def __init__(self, config: EjabberdConfig | None = None) -> None:
        self.config = config or EjabberdConfig()
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
        return "ejabberd"

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
        try:
            async with asyncio.timeout(FIRST_QUERY_SECONDS):
                for host in filter(None, (self.config.domain, self.config.second_domain)):
                    await _ask_first(host, self.c2s_port)
        except BaseException:
            await self.stop()
            raise

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
        with _database(self._process.enter_directory()) as database, database:  # the second commits
            database.execute(
                "INSERT INTO users (username, server_host, password) VALUES (?, ?, ?)"
                " ON CONFLICT (server_host, username) DO UPDATE SET password = excluded.password",
                (name, host, password),
            )
        return f"{name}@{host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What only ejabberd does."""

    config: EjabberdConfig

    @property
    def name(self) -> ServerName:
        return "ejabberd"

    @property
    def component_jid(self) -> str:
        return self.config.component_jid

    def require(self) -> None:
        require_program("erl", PACKAGES)
        _installation()

    def log_path(self, directory: Path) -> Path:
        return directory / "ejabberd.log"

    def prepare(self, directory: Path) -> None:
        path = _database_path(directory)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = (_installation() / SCHEMA).read_text(encoding="utf-8")
        with _database(directory) as database:
            # Synced at every commit all the same, and readers do not wait for writers.
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(schema)

    def write(self, directory: Path, ports: Ports) -> Command:
        if self.config.include is not None:
            text = with_port(self.config.include.read_text(encoding="utf-8"), ports.component)
            (directory / "included.yml").write_text(text, encoding="utf-8")
        path = directory / "ejabberd.yml"
        path.write_text(json.dumps(config_tree(self.config, directory, ports), indent=1), encoding="utf-8")
        environment = {
            "ERL_LIBS": str(_installation().parent),
            "EJABBERD_CONFIG_PATH": str(path),
            "EJABBERD_LOG_PATH": str(self.log_path(directory)),
            "ERL_CRASH_DUMP_BYTES": "0",
            "HOME": str(directory),
        }
        spool = f'"{directory / "spool"}"'  # read as an Erlang term
        program = require_program("erl", PACKAGES)
        arguments = (program, *IDLE, "-noinput", "+K", "true", "-mnesia", "dir", spool, "-s", "ejabberd")
        return Command(arguments=arguments, environment=environment)

    def is_open(self, log: str, ports: Ports) -> bool:
        opened = (f"Start accepting TCP connections at {LOOPBACK}:{port} " for port in ports.all)
        return all(words in log for words in opened)

    def taken_port(self, log: str) -> int | None:
        found = _TAKEN_PORT.search(log)
        return int(found[1]) if found else None


async def _ask_first(host: str, port: int) -> None:
    """Whether nobody may log in there: a query, whose answer does not matter."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
            f" to='{host}' version='1.0'>".encode()
        )
        await reader.readuntil(b"</stream:features>")
        nobody = base64.b64encode(b"\0nobody\0nothing").decode()
        writer.write(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{nobody}</auth>".encode())
        await reader.readuntil(b"</failure>")
    except asyncio.IncompleteReadError:
        pass  # it let go of us: the query failed, and the next finds the connections open
    finally:
        writer.close()


def with_port(text: str, port: int) -> str:
    """A file of configuration with the port of its one listener changed."""
    changed, count = re.subn(r"(?m)^(\s*-?\s*port:\s*)\d+", rf"\g<1>{port}", text)
    if count != 1:
        raise ValueError(f"the included file has {count} listeners, not one")
    return changed


def config_tree(config: EjabberdConfig, directory: Path, ports: Ports) -> dict[str, Json]:
    """The whole ejabberd.yml."""
    hosts: list[Json] = [host for host in (config.domain, config.second_domain) if host]
    secret_of: dict[str, Json] = {
        jid: {"password": config.component_secret}
        for jid in ("" if config.include else config.component_jid, config.echo_jid)
        if jid
    }
    tree: dict[str, Json] = {
        "hosts": hosts,
        "loglevel": 4,
        "auth_method": "sql",
        "auth_password_format": "plain",
        "auth_use_cache": False,
        "sql_type": "sqlite",
        "sql_database": str(_database_path(directory)),
        "new_sql_schema": True,
        "default_db": config.storage,
        "s2s_access": "none",
        "listen": _listeners(ports, secret_of),
        "acl": {"local": {"user_regexp": ""}},
        "access_rules": {"privileges": {"allow": "smsbridge"}},
        "modules": _modules(),
        # One host serves uploads for all.
        "append_host_config": {config.domain: {"modules": _upload(config, directory, ports)}},
    }
    if config.include is None:
        tree |= {
            "acl": {"local": {"user_regexp": ""}, "smsbridge": {"server": [config.component_jid]}},
            "access_rules": {
                "privileges": {"allow": "smsbridge"},
                "smsbridge_upload": [{"allow": "local"}, {"allow": "smsbridge"}],
            },
            "shaper_rules": {"smsbridge_offline": 1_000_000},
        }
    else:
        sections: list[Json] = ["listen", "acl", "access_rules", "shaper_rules"]
        tree["include_config_file"] = {str(directory / "included.yml"): {"allow_only": sections}}
    return tree


def _listeners(ports: Ports, secret_of: Mapping[str, Json]) -> list[Json]:
    listeners: list[Json] = [
        {
            "port": ports.c2s, "ip": LOOPBACK, "module": "ejabberd_c2s", "access": "all", "shaper": "none",
            "starttls": False, "max_stanza_size": STANZA_LIMIT,
        },
        {
            "port": ports.http, "ip": LOOPBACK, "module": "ejabberd_http",
            "request_handlers": {"/upload": "mod_http_upload"},
        },
    ]  # fmt: skip
    if secret_of:
        listeners.append({
            "port": ports.component, "ip": LOOPBACK, "module": "ejabberd_service", "access": "all", "shaper": "none",
            "global_routes": False, "hosts": dict(secret_of),
        })  # fmt: skip
    return listeners


def _modules() -> dict[str, Json]:
    plain = (
        "mod_adhoc mod_blocking mod_caps mod_carboncopy mod_disco mod_last mod_ping mod_privacy mod_stream_mgmt "
        "mod_time mod_vcard mod_version"
    )
    rules: dict[str, Json] = {
        "roster": {"both": "privileges"},
        "message": {"outgoing": "privileges"},
        "presence": {"managed_entity": "privileges"},
    }  # XEP-0356
    return {
        **{name: {} for name in plain.split()},
        "mod_mam": {"default": "always"},
        "mod_offline": {"access_max_user_messages": "smsbridge_offline"},
        "mod_privilege": rules,
        "mod_pubsub": {"plugins": ["flat", "pep"]},
        "mod_roster": {"versioning": True},
    }


def _upload(config: EjabberdConfig, directory: Path, ports: Ports) -> dict[str, Json]:
    return {
        "mod_http_upload": {
            "host": config.share_jid,
            "put_url": f"http://{LOOPBACK}:{ports.http}/upload",
            "docroot": str(directory / "upload"),
            "access": "smsbridge_upload",
            "max_size": 104_857_600,
        }
    }


def _installation() -> Path:
    """Where ejabberd's own files are; the newest version when there are several."""
    patterns = ("lib/ejabberd-*", "lib/*/ejabberd-*", "lib/erlang/lib/ejabberd-*", "local/lib/ejabberd-*")
    found = [path for pattern in patterns for path in LIBRARIES.glob(pattern) if (path / SCHEMA).exists()]
    if not found:
        raise ProgramMissing("ejabberd", PACKAGES)
    return max(found, key=lambda path: path.name)


def _database_path(directory: Path) -> Path:
    return directory / "spool" / "ejabberd.sqlite"


def _database(directory: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(_database_path(directory), timeout=BUSY_SECONDS))
