"""A carrier in a box, the one who asks it, and the customer whom it tells."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from tests.fakes.waiting import PATIENCE

NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)  # in New York


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Carrier]]]:
    """Start a carrier from options of its configuration; `did` in place of a tuple of one."""
    carriers: list[Carrier] = []

    async def starter(*, did: DidSettings | None = None, **options: Any) -> Carrier:
        options.setdefault("dids", (did or DidSettings(did="5551230001"),))
        options.setdefault("clock", lambda: NOON)  # it lists whole days
        carrier = await Carrier.start(CarrierConfig(**options))
        carriers.append(carrier)
        return carrier

    yield starter
    async with asyncio.timeout(PATIENCE):
        for carrier in carriers:
            await carrier.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@dataclass
class Asker:
    """Asks by multipart POST, with the right credentials."""

    http: aiohttp.ClientSession
    carrier: Carrier

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "api_username": self.carrier.config.username,
            "api_password": self.carrier.config.password,
        }

    async def __call__(self, method: str, **params: str) -> dict[str, Any]:
        async with self._post(method, params) as response:
            assert response.status == 200
            return await response.json()

    async def status(self, method: str, **params: str) -> str:
        return str((await self(method, **params))["status"])

    async def raw(self, method: str, **params: str) -> tuple[int, str]:
        async with self._post(method, params) as response:
            return response.status, await response.text()

    def _post(self, method: str, params: dict[str, str]) -> Any:
        with aiohttp.MultipartWriter("form-data") as form:
            for name, value in {**self.credentials, "method": method, **params}.items():
                form.append(value).set_content_disposition("form-data", name=name)
        return self.http.post(self.carrier.api_url, data=form)


@pytest.fixture
def ask_of(http: aiohttp.ClientSession) -> Callable[[Carrier], Asker]:
    return lambda carrier: Asker(http, carrier)


@dataclass
class Customer:
    """A web server that records what it is told and answers from a list, at its end for ever the last."""

    answers: list[tuple[int, str]]
    runner: web.AppRunner = field(init=False)
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((request.raw_path, await request.read()))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, text=body)


@pytest.fixture
async def customer() -> AsyncIterator[Callable[..., Awaitable[Customer]]]:
    people: list[Customer] = []

    async def opened(*answers: tuple[int, str]) -> Customer:
        person = Customer(answers=list(answers) or [(200, "ok")])
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", person.take)
        person.runner = web.AppRunner(app, shutdown_timeout=0.1)
        people.append(person)
        await person.runner.setup()
        await web.TCPSite(person.runner, "127.0.0.1", 0).start()
        return person

    yield opened
    async with asyncio.timeout(PATIENCE):
        for person in people:
            await person.runner.cleanup()
