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


async def test_while_one_name_is_spoken_for_no_other_can_be_taken(house, take):
    await take("a/1")
    assert await take("b/1", name="other.example.com") is None
    assert await house.run(leases.newest) == "sms.example.com"
    house.clock.move(seconds=30)
    assert await take("b/1", name="other.example.com") is None
    house.clock.move(milliseconds=1)
    assert await take("b/1", name="other.example.com") == Lease(name="other.example.com", holder="b/1", epoch=1)
    assert await house.run(leases.newest) == "other.example.com"
    assert await take("a/1") is None


async def test_another_name_is_free_once_the_first_was_let_go_of(house, take):
    assert await house.run(leases.newest) is None
    await house.run(leases.release, await take("a/1"))
    assert (await take("b/1", name="other.example.com")).epoch == 1


async def test_force_takes_another_name_as_well(take):
    await take("a/1")
    assert (await take("a/2", name="other.example.com", by_force=True)).epoch == 1


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


@pytest.mark.parametrize("name", ["sms.example.com", "other.example.com"])
async def test_one_that_ends_later_than_any_can_was_told_by_a_clock_that_was_set_back(house, take, name):
    """Who renews it tells its end anew; it is a dead one's, and would keep all others out until that day comes."""
    await take("a/1")
    house.clock.move(days=-1)
    assert (await take("a/1")).epoch == 1
    house.clock.move(milliseconds=-30_000)
    assert await take("b/1", name=name) is None
    house.clock.move(milliseconds=-1)
    assert (await take("b/1", name=name)).holder == "b/1"
    assert await take("a/1") is None
