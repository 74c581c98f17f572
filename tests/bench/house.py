"""The house of the benchmark: a Prosody without archive, the bridge as its users run it, a fast carrier, a reader.

Without mod_mam: the archive costs Prosody five times what all the rest of a message does, and would hide the bridge.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from smsbridge.log import Event
from smsbridge.sim.ports import LOOPBACK, free_port
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.stage import UNLIMITED
from tests.bench.posts import DID
from tests.bench.process import Process, answers
from tests.bench.streams import Reader

DOMAIN = "example.com"
COMPONENT = "sms.example.com"
TWIN_COMPONENT = "twin.example.com"
RAW_COMPONENT = "raw.example.com"
OWNER = f"alice@{DOMAIN}"
SECRET, PASSWORD, KEY = "bench-secret", "bench-password", "bench-query-key-0001"
PATH = f"/voipms?key={KEY}"
START_SECONDS = 120.0
STEP_SECONDS = 0.002  # between two looks at a bridge that starts


@asynccontextmanager
async def prosody_without_archive(directory: Path) -> AsyncIterator[Prosody]:
    """Three components have a place there: two bridges, and the bare one that they are compared with."""
    included = directory / "bench.cfg.lua"
    included.write_text(
        "".join(
            f'Component "{jid}"\n  component_secret = "{SECRET}"\n'
            for jid in (COMPONENT, TWIN_COMPONENT, RAW_COMPONENT)
        )
        + f'VirtualHost "{DOMAIN}"\n  modules_disabled = {{ "mam" }}\n'
    )
    config = ProsodyConfig(include=included, component_jid=COMPONENT, component_secret=SECRET)
    prosody = Prosody(config)
    prosody.add_account("alice", PASSWORD)
    async with prosody:
        yield prosody


@asynccontextmanager
async def reader_of(prosody: Prosody) -> AsyncIterator[Reader]:
    reader = await Reader.login(OWNER, PASSWORD, prosody.c2s_port)
    try:
        yield reader
    finally:
        await reader.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a bridge finds what it needs. `kind`: of its carrier; `environment`: what that kind takes."""

    directory: Path
    component_port: int
    carrier_port: int
    component: str = COMPONENT
    kind: str = "voipms"
    environment: Mapping[str, str] | None = None


class Bridge:
    """`smsbridge run` on a database, with its journal in a file."""

    def __init__(self, site: Site, database: Path) -> None:
        self._site = site
        self._database = database
        self._process: Process | None = None
        self.port = free_port()

    @property
    def database(self) -> Path:
        return self._database

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def journal(self) -> Path:
        return self._database.with_suffix(".log")

    async def start(self) -> float:
        """Return when callbacks are taken and the stream is up: so many seconds after it was executed."""
        config = self._database.with_suffix(".yaml")
        config.write_text(self._yaml())
        began = time.monotonic()
        said = f'"{Event.STREAM_OPENED.value}"'
        offset = self.journal.stat().st_size if self.journal.exists() else 0
        self._process = Process(
            "smsbridge", "run", "-c", str(config), output=self.journal, environment=self._site.environment
        )
        async with asyncio.timeout(START_SECONDS):
            await answers(self.port, self._process, START_SECONDS)
            while said not in self.journal.read_text()[offset:]:
                self._process.require_alive()
                await asyncio.sleep(STEP_SECONDS)  # a file tells us nothing
        return time.monotonic() - began

    async def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            await process.stop()

    def _yaml(self) -> str:
        return f"""\
xmpp:
  jid: {self._site.component}
  server: {LOOPBACK}:{self._site.component_port}
  secret: {SECRET}
  ping: {DOMAIN}
http:
  listen: {LOOPBACK}:{self.port}
  internal: {LOOPBACK}:0
store:
  url: sqlite:///{self._database}
providers:
  voipms:
    kind: {self._site.kind}
    username: john@example.com
    password: {PASSWORD}
    query_key: {KEY}
    api_url: http://{LOOPBACK}:{self._site.carrier_port}/api
    daily_limit: null
{UNLIMITED}jids:
  {OWNER}: ["{DID}"]
"""


@asynccontextmanager
async def running(bridge: Bridge) -> AsyncIterator[float]:
    """A bridge that is up, and how long that took."""
    try:
        yield await bridge.start()
    finally:
        await bridge.stop()


@asynccontextmanager
async def beside(module: str, directory: Path) -> AsyncIterator[int]:
    """A module of this package as a server of its own; its port."""
    port = free_port()
    process = Process(module, str(port), output=directory / f"{module}.log")
    try:
        await answers(port, process)
        yield port
    finally:
        await process.stop()


async def get(port: int, path: str) -> bytes:
    """The body of a page, whatever its status."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        return await reader.readexactly(int(length.partition(b":")[2]))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the answer was cut") from error
    finally:
        writer.close()
