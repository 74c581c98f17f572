"""The bell and the pacer."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.pacer import Pacer
from tests.fakes.provider import CAPABILITIES

from .house import PATIENCE


class TestBell:
    async def test_a_ring_while_nobody_listens_is_kept(self):
        bell = Bell()
        bell.ring()
        async with asyncio.timeout(PATIENCE):
            await bell.wait(10 * PATIENCE)

    async def test_who_waits_is_woken_by_a_ring(self):
        bell = Bell()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(bell.wait(10 * PATIENCE))
            bell.ring()

    async def test_without_a_ring_the_wait_ends_by_itself(self):
        async with asyncio.timeout(PATIENCE):
            await Bell().wait(0.001)

    async def test_many_rings_are_one(self):
        bell = Bell()
        bell.ring()
        bell.ring()
        await bell.wait(10 * PATIENCE)
        assert not bell._event.is_set()


class TestPacer:
    @pytest.fixture
    def waits(self, monkeypatch, ticks):
        """What was slept, in seconds; the clock goes on by it."""
        slept = []

        async def sleep(seconds):
            slept.append(seconds)
            ticks.advance(timedelta(seconds=seconds))

        monkeypatch.setattr(asyncio, "sleep", sleep)
        return slept

    def pacer(self, ticks, **capabilities):
        return Pacer(replace(CAPABILITIES, **capabilities), ticks.clock())

    async def test_calls_are_spread_over_the_seconds(self, ticks, waits):
        pacer = self.pacer(ticks, calls_per_second=2, in_flight=10)
        for _ in range(6):
            await pacer.enter()
        assert waits == pytest.approx([0.5] * 4)

    async def test_a_call_that_was_not_made_costs_nothing(self, ticks, waits):
        pacer = self.pacer(ticks, calls_per_second=2, in_flight=1)
        for _ in range(20):
            await pacer.enter()
            pacer.leave(is_unused=True)
        assert waits == []

    async def test_a_token_put_back_is_of_use_once(self, ticks, waits):
        pacer = self.pacer(ticks, calls_per_second=1, in_flight=10)
        await pacer.enter()
        pacer.leave(is_unused=True)
        await pacer.enter()
        assert waits == []
        await pacer.enter()
        assert len(waits) == 1

    async def test_a_token_put_back_long_ago_is_no_extra_one(self, ticks, waits):
        pacer = self.pacer(ticks, calls_per_second=1, in_flight=10)
        await pacer.enter()
        pacer.leave(is_unused=True)
        ticks.advance(timedelta(seconds=1))
        await pacer.enter()
        await pacer.enter()
        assert waits == pytest.approx([1.0])

    async def test_no_more_enter_than_may_be_in_flight(self, ticks):
        pacer = self.pacer(ticks, in_flight=2)
        await pacer.enter()
        await pacer.enter()
        third = asyncio.create_task(pacer.enter())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.shield(third)
        pacer.leave()
        async with asyncio.timeout(PATIENCE):
            await third

    async def test_a_slot_is_given_back_whatever_happens(self, ticks):
        pacer = self.pacer(ticks, in_flight=1)
        with pytest.raises(ZeroDivisionError):
            async with pacer.slot():
                raise ZeroDivisionError
        async with asyncio.timeout(PATIENCE), pacer.slot():
            pass

    async def test_who_is_cancelled_while_it_waits_for_a_token_leaves_its_slot(self, ticks):
        pacer = self.pacer(ticks, in_flight=1, calls_per_second=0.001)
        async with pacer.slot():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await pacer.enter()
        assert not pacer._slots.locked()
