"""One holder at a time, fenced by an epoch."""

from datetime import timedelta

import pytest

from smsbridge.store import leases
from smsbridge.store.leases import Lease

SPAN = timedelta(seconds=30)


@pytest.fixture
def take(house):
    async def taking(holder: str, *, name: str = "sms.example.com", by_force: bool = False) -> Lease | None:
        return await house.run(leases.take, house.now, name, holder, SPAN, by_force=by_force)

    return taking


async def test_one_holds_it_and_another_does_not(take):
    assert await take("a/1") == Lease(name="sms.example.com", holder="a/1", epoch=1)
    assert await take("b/1") is None
    assert (await take("b/1", name="other.example.com")).epoch == 1


async def test_it_is_renewed_in_the_same_epoch(house, take):
    await take("a/1")
    house.clock.move(seconds=29)
    assert (await take("a/1")).epoch == 1
    house.clock.move(seconds=29)
    assert await take("b/1") is None


async def test_when_it_ran_out_another_takes_it_in_a_new_epoch(house, take):
    await take("a/1")
    house.clock.move(seconds=30)
    assert await take("b/1") is None
    house.clock.move(milliseconds=1)
    assert (await take("b/1")).epoch == 2
    assert await take("a/1") is None


async def test_force_takes_it_from_a_holder_who_is_proved_dead(take):
    await take("a/1")
    assert (await take("a/2", by_force=True)).epoch == 2
    assert (await take("a/2", by_force=True)).epoch == 2


async def test_what_is_released_is_free_at_once(house, take):
    lease = await take("a/1")
    await house.run(leases.release, lease)
    assert (await take("b/1")).epoch == 2


async def test_a_late_holder_cannot_release_what_is_not_its_own(house, take):
    late = await take("a/1")
    house.clock.move(minutes=1)
    await take("b/1")
    await house.run(leases.release, late)
    assert await take("c/1") is None
