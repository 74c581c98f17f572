"""A house for each test; `reopen` is the next life over the same file."""

from contextlib import AsyncExitStack

import pytest

from smsbridge.bridge import dispatcher

from .house import House, Ticks


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
async def reopen(tmp_path, ticks):
    """`await reopen()`: another life; `await reopen("other.db")`: another database."""
    async with AsyncExitStack() as stack:
        lives = iter(range(1, 100))

        async def open_(name="smsbridge.db"):
            house = await House.open(tmp_path / name, ticks, f"life-{next(lives)}")
            stack.push_async_callback(house.kill)
            return house

        yield open_


@pytest.fixture
async def house(reopen):
    return await reopen()


@pytest.fixture
def impatient(monkeypatch):
    """After a fault of the store the dispatcher tries again at once."""
    monkeypatch.setattr(dispatcher, "AFTER_STORE_FAULT", 0.0)
