"""Real servers on loopback: one Prosody for the whole run, a fresh one where a test breaks it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from smsbridge.sim.client import Client
from smsbridge.sim.prosody import Prosody


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    jid: str
    password: str
    c2s_port: int


AccountFactory = Callable[[str], Account]
Login = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def prosody() -> Iterator[Prosody]:
    """One server for all tests; they keep apart by account names of their own."""
    server = Prosody()
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def fresh_prosody() -> AsyncIterator[Prosody]:
    """A server that a test may kill."""
    async with Prosody() as server:
        yield server


@pytest.fixture
def account(prosody: Prosody) -> AccountFactory:
    """`account("alice")` makes an account on the shared server under a name that no other test uses."""

    def make(name: str) -> Account:
        password = uuid.uuid4().hex
        jid = prosody.add_account(f"{name}-{uuid.uuid4().hex[:12]}", password)
        return Account(jid=jid, password=password, c2s_port=prosody.c2s_port)

    return make


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    """`await login(account, resource="phone")`; everybody is logged out with the test."""
    async with AsyncExitStack() as sessions:

        async def enter(account: Account, **options: object) -> Client:
            client = await Client.login(account.jid, account.password, port=account.c2s_port, **options)
            return await sessions.enter_async_context(client)

        yield enter
