"""The set of every play: a carrier in a box, a throw-away XMPP server, and the bridge between them.

The bridge is configured by a real YAML file and runs in this process, so that a play can look behind the scenes.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from smsbridge.config import load
from smsbridge.providers.contract import discover_kinds
from smsbridge.service import Service, serve
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import PATIENCE, Client
from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig
from smsbridge.sim.ports import LOOPBACK
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.xmpp_server import ServerName, XmppServer

QUERY_KEY = "pretended-query-key-0001"
API_PASSWORD = "pretended-password"
DID = "+15551230001"
SECOND_DID = "+15551230002"
PEER = "+15559870002"
UNLIMITED = """\
caps: {per_owner: {minute: null, day: null, new_peers_a_day: null}}
loop_breaker: false
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """`owners`: account name on example.com to the DIDs it owns. A port of 0 means a free one.
    `account_yaml` is more of the carrier's section, `http_yaml` and `media_yaml` of those.

    `component_file` is a file for the server's configuration that defines the component, with this very secret;
    `component_module` our mod_smsbridge.lua, for Prosody.
    """

    c2s_port: int = 0
    public_port: int = 0
    carrier_port: int = 0
    owners: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"alice": (DID,)})
    strangers: tuple[str, ...] = ()
    extra_yaml: str = ""
    limits_yaml: str = UNLIMITED
    daily_limit: str = "null"
    account_yaml: str = ""
    http_yaml: str = ""
    media_yaml: str = ""
    control_token: str | None = None
    daily_quota: int | None = None
    webhook_interval: float | None = 0.5
    callback_interval: float = 0.5
    second_domain: str | None = None
    server: ServerName = "prosody"
    component_file: Path | None = None
    component_secret: str = "s3cret"
    component_module: Path | None = None


def bridge_yaml(
    *, component_jid: str, component_port: int, secret: str, api_url: str, public_port: int, database: Path,
    owners: dict[str, tuple[str, ...]], extra: str = "", limits: str = UNLIMITED,
    daily_limit: str = "null", account: str = "", near: Sequence[str] = (), http: str = "", media: str = "",
) -> str:  # fmt: skip
    """A configuration as an operator would write it, with everything on loopback."""
    return f"""\
xmpp:
  jid: {component_jid}
  server: {LOOPBACK}:{component_port}
  secret: {secret}
  ping: example.com
http:
  listen: {LOOPBACK}:{public_port}
  internal: {LOOPBACK}:0
{http}store:
  url: sqlite:///{database}
providers:
  voipms:
    kind: voipms
    username: john@example.com
    password: {API_PASSWORD}
    query_key: {QUERY_KEY}
    api_url: {api_url}
    daily_limit: {daily_limit}
{account}{limits}media:
  near: [{", ".join(f'"{origin}"' for origin in near)}]
{media}jids:
{_jids_yaml(owners)}
{extra}"""


def _jids_yaml(owners: dict[str, tuple[str, ...]]) -> str:
    lines = []
    for owner, dids in owners.items():
        quoted = ", ".join(f'"{did}"' for did in dids)
        lines.append(f"  {owner}@example.com: [{quoted}]")
    return "\n".join(lines)


class Stage:
    """`async with Stage(config) as stage:` — everything is up; `client` logs somebody in."""

    def __init__(self, config: StageConfig | None = None) -> None:
        self.config = config or StageConfig()
        self._stack = AsyncExitStack()
        self._stop = asyncio.Event()
        self._bridge: asyncio.Task[None] | None = None
        self._carrier_port = 0
        self.service: Service
        self.server: XmppServer
        self.carrier: Carrier
        self.directory: Path

    @property
    def database(self) -> Path:
        return self.directory / "bridge.db"

    @property
    def webhook_url(self) -> str:
        return f"http://{LOOPBACK}:{self.service.web.public_port}/voipms?key={QUERY_KEY}"

    def contact(self, peer: str = PEER) -> str:
        """The JID of a phone number."""
        return f"{peer}@{self.server.component_jid}"

    async def client(self, name: str, resource: str | None = None) -> Client:
        """Somebody with an account, logged in until the stage is struck."""
        jid = f"{name}@{self.server.domain}"
        return await self._stack.enter_async_context(
            await Client.login(jid, password_of(name), LOOPBACK, self.server.c2s_port, resource)
        )

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start_bridge(self) -> None:
        """Run the bridge from its configuration file; returns when it is up, stream and all."""
        path = self.directory / "config.yaml"
        is_started, services = asyncio.Event(), list[Service]()
        self._stop = asyncio.Event()
        kinds = discover_kinds()

        def started(service: Service) -> None:
            services.append(service)
            is_started.set()

        self._bridge = asyncio.create_task(serve(load(path, kinds).config, kinds, self._stop, started))
        waiting = asyncio.create_task(is_started.wait())
        await asyncio.wait({self._bridge, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not services:
            waiting.cancel()
            await self._bridge
        self.service = services[0]
        async with asyncio.timeout(PATIENCE):
            await self.service.component.opened()

    async def stop_bridge(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        if self._bridge is not None:
            await self._bridge
            self._bridge = None

    async def start_carrier(self) -> None:
        """A carrier with an empty ledger, where the last one was."""
        settings = tuple(self.carrier.account.dids.values())
        config = replace(self.carrier.config, dids=settings, port=self._carrier_port)
        self.carrier = await Carrier.start(config)

    async def stop_carrier(self) -> None:
        """Nobody listens there any more."""
        await self.carrier.stop()

    async def _build(self) -> None:
        config = self.config
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="smsbridge-")))
        self.server = _server(config)
        await self._stack.enter_async_context(self.server)
        for name in (*config.owners, *config.strangers):
            self.server.add_account(name, password_of(name))
        self.carrier = await Carrier.start(self._carrier_config(config))
        self._carrier_port = self.carrier.port
        self._stack.push_async_callback(self.stop_carrier)
        self._write_config(config)
        self._stack.push_async_callback(self.stop_bridge)
        await self.start_bridge()
        for settings in self.carrier.account.dids.values():
            self.carrier.account.dids[settings.did] = replace(settings, webhook=self.webhook_url)

    def _carrier_config(self, config: StageConfig) -> CarrierConfig:
        numbers = sorted({did for dids in config.owners.values() for did in dids})
        return CarrierConfig(
            dids=tuple(DidSettings(did=number.removeprefix("+1"), webhook_enabled=True) for number in numbers),
            port=config.carrier_port,
            password=API_PASSWORD,
            daily_quota=config.daily_quota,
            webhook_interval=config.webhook_interval,
            callback_interval=config.callback_interval,
            control_token=config.control_token,
        )

    def _write_config(self, config: StageConfig) -> None:
        text = bridge_yaml(
            component_jid=self.server.component_jid,
            component_port=self.server.component_port,
            secret=self.server.component_secret,
            api_url=self.carrier.api_url,
            public_port=config.public_port,
            database=self.database,
            owners=config.owners,
            extra=config.extra_yaml,
            limits=config.limits_yaml,
            daily_limit=config.daily_limit,
            account=config.account_yaml,
            http=config.http_yaml,
            media=config.media_yaml,
            near=(self.carrier.account.url, f"http://{LOOPBACK}:{self.server.http_port}"),
        )
        (self.directory / "config.yaml").write_text(text)


def _server(config: StageConfig) -> XmppServer:
    if config.server == "ejabberd":
        return Ejabberd(
            EjabberdConfig(
                c2s_port=config.c2s_port,
                second_domain=config.second_domain,
                component_secret=config.component_secret,
                include=config.component_file,
            )
        )
    return Prosody(
        ProsodyConfig(
            c2s_port=config.c2s_port,
            second_domain=config.second_domain,
            component_secret=config.component_secret,
            include=config.component_file,
            module=config.component_module,
        )
    )


def password_of(name: str) -> str:
    """The pretended password of a pretended account."""
    return f"{name}-pw"
