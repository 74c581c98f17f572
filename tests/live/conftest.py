"""Real servers on loopback: one of each for the whole run, a fresh one where a test breaks it.

What asks for `server`, `fresh_server`, `account` or `login` is run on Prosody and on ejabberd, each with the file that
administrators are told to use.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from smsbridge.sim.client import Client
from smsbridge.sim.xmpp_server import ServerName, XmppServer
from tests.fakes.contrib import SERVERS, server_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    jid: str
    password: str
    c2s_port: int


AccountFactory = Callable[[str], Account]
Login = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def prosody() -> Iterator[XmppServer]:
    """One Prosody for all tests; they keep apart by account names of their own."""
    yield from _for_the_whole_run("prosody")


@pytest.fixture(scope="session")
def ejabberd() -> Iterator[XmppServer]:
    """One ejabberd for all tests."""
    yield from _for_the_whole_run("ejabberd")


def _for_the_whole_run(name: ServerName) -> Iterator[XmppServer]:
    server = server_of(name, has_module=False)  # it would keep what one test leaves for the next
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> ServerName:
    """Each server in its turn, unless a test names one: `@pytest.mark.parametrize("server_name", ["prosody"])`."""
    name: ServerName = request.param
    return name


@pytest.fixture
def server(request: pytest.FixtureRequest, server_name: ServerName) -> XmppServer:
    """The server that all tests share."""
    shared: XmppServer = request.getfixturevalue(server_name)
    return shared


@pytest.fixture
async def fresh_server(server_name: ServerName) -> AsyncIterator[XmppServer]:
    """A server that a test may kill."""
    async with server_of(server_name) as server:
        yield server


@pytest.fixture
async def fresh_prosody() -> AsyncIterator[XmppServer]:
    """A Prosody that a test may kill."""
    async with server_of("prosody") as server:
        yield server


@pytest.fixture
def account(server: XmppServer) -> AccountFactory:
    """`account("alice")` makes an account on the shared server under a name that no other test uses."""

    def make(name: str) -> Account:
        password = uuid.uuid4().hex
        jid = server.add_account(f"{name}-{uuid.uuid4().hex[:12]}", password)
        return Account(jid=jid, password=password, c2s_port=server.c2s_port)

    return make


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    """`await login(account, resource="phone")`; everybody is logged out with the test."""
    async with AsyncExitStack() as sessions:

        async def enter(account: Account, **options: object) -> Client:
            client = await Client.login(account.jid, account.password, port=account.c2s_port, **options)
            return await sessions.enter_async_context(client)

        yield enter
