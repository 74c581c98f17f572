"""The set of the plays: a stage for each module, players who leave with their test, a telephone for each test.

A module says what its stage is by a `stage_config` of its own. Every play is played twice, on Prosody and on ejabberd,
each with the file that administrators are told to use. All of a module's tests share one event loop, because the bridge
on the stage lives in it.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from smsbridge import service
from smsbridge.bridge import attachments, dispatcher, enclosures, looking
from smsbridge.clock import Clock, system_clock
from smsbridge.sim.client import Client
from smsbridge.sim.stage import Stage, StageConfig, password_of
from smsbridge.sim.xmpp_server import LOOPBACK, ServerName
from smsbridge.xmpp.component import StreamSettings
from tests.canaries import demand_silence
from tests.fakes.contrib import SERVERS, stage_on
from tests.fakes.waiting import PATIENCE

Login = Callable[..., Awaitable[Client]]
OnServer = Callable[[StageConfig], StageConfig]

_telephones = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def _nobody_looks_again() -> Iterator[None]:
    """A loop that nobody rings for goes on after half a minute all the same: here later than any play has patience."""
    with pytest.MonkeyPatch.context() as patch:
        for loop in (attachments, dispatcher, enclosures, looking):
            patch.setattr(loop, "LOOK_AGAIN", 2 * PATIENCE)
        patch.setattr(service, "StreamSettings", partial(StreamSettings, idle_seconds=2 * PATIENCE))
        yield


@pytest.fixture(scope="module")
def one_day() -> Iterator[None]:
    """For who plays with the caps of a day: a clock by which midnight (UTC), when they open again, is an hour away."""
    real = system_clock()
    ahead = timedelta(hours=1) if real.now().hour == 23 else timedelta(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "system_clock", lambda: Clock(now=lambda: real.now() + ahead, monotonic=real.monotonic))
        yield


@pytest.fixture(scope="module")
def stage_config() -> StageConfig:
    """Alice with one number."""
    return StageConfig()


@pytest.fixture(scope="module", params=SERVERS)
def on_server(request: pytest.FixtureRequest) -> OnServer:
    """`on_server(config)` is the same stage on the server whose turn it is."""
    name: ServerName = request.param
    return lambda config: stage_on(name, config)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(stage_config: StageConfig, on_server: OnServer) -> AsyncIterator[Stage]:
    """Carrier, XMPP server and bridge, for all tests of the module."""
    async with Stage(on_server(stage_config)) as built:
        yield built
        demand_silence(generate_latest(built.service.metrics.registry).decode())


@pytest_asyncio.fixture(loop_scope="module")
async def login(stage: Stage) -> AsyncIterator[Login]:
    """`await login("alice")`; everybody is logged out with the test, and the carrier back to its senses."""
    async with AsyncExitStack() as sessions:

        async def enter(name: str, *, domain: str = stage.server.domain, **options: object) -> Client:
            client = await Client.login(
                f"{name}@{domain}", password_of(name), LOOPBACK, stage.server.c2s_port, **options
            )
            return await sessions.enter_async_context(client)

        yield enter
        stage.carrier.config.faults.clear()  # what a test that failed has left would spoil those after it


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """For what is to be said to the bridge's web side by hand."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
def telephone() -> Callable[[], str]:
    """`telephone()` is a number that nobody else has."""
    return lambda: f"+1555987{next(_telephones):04}"


@pytest.fixture
def peer(telephone: Callable[[], str]) -> str:
    """The other party of this test."""
    return telephone()
