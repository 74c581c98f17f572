"""A house for each test, over each driver in turn; `reopen` is the next life over the same store."""

from contextlib import AsyncExitStack

import pytest

from smsbridge.bridge import dispatcher

from .house import House, Ticks


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
async def reopen(store_url, ticks):
    """`await reopen()`: another life; `await reopen(is_wiped=True)`: all that was stored is gone."""
    async with AsyncExitStack() as stack:
        lives = iter(range(1, 100))

        async def open_(*, is_wiped=False):
            house = await House.open(store_url, ticks, f"life-{next(lives)}")
            stack.push_async_callback(house.kill)
            if is_wiped:
                await house.wipe()
            return house

        yield open_


@pytest.fixture
async def house(reopen):
    return await reopen()


@pytest.fixture
def impatient(monkeypatch):
    """After a fault of the store the dispatcher tries again at once."""
    monkeypatch.setattr(dispatcher, "AFTER_STORE_FAULT", 0.0)
