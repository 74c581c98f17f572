"""The bell and the pacer."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.pacer import PATIENCE as RANKS_HOLD
from smsbridge.bridge.pacer import Pacer, Rank
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
        assert pacer._slots._free == 1

    async def queue(self, pacer, *ranks):
        """Who got the only slot, in order, when all of them had waited for it."""
        served = []

        async def serve(rank):
            await pacer.enter(rank)
            served.append(rank)
            pacer.leave()

        await pacer.enter()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for rank in ranks:
                group.create_task(serve(rank))
                await asyncio.sleep(0)
            yield served
            pacer.leave()
        yield served

    async def test_sends_go_before_look_ups_and_look_ups_before_polls(self, ticks):
        pacer = self.pacer(ticks, in_flight=1)
        ranks = (Rank.POLL, Rank.TRACE, Rank.SEND, Rank.TRACE, Rank.SEND)
        *_, served = [served async for served in self.queue(pacer, *ranks)]
        assert served == sorted(ranks)

    async def test_who_has_waited_for_long_goes_first(self, ticks):
        pacer = self.pacer(ticks, in_flight=1)
        queue = self.queue(pacer, Rank.POLL)
        await anext(queue)
        ticks.advance(timedelta(seconds=RANKS_HOLD + 1))
        late = asyncio.create_task(pacer.enter())
        await asyncio.sleep(0)
        served = await anext(queue)
        assert served == [Rank.POLL]
        async with asyncio.timeout(PATIENCE):
            await late

    async def test_of_two_looks_one_waits_and_sends_go_on(self, ticks):
        pacer = self.pacer(ticks, in_flight=2)
        async with asyncio.timeout(PATIENCE), pacer.listing(Rank.POLL):
            second = asyncio.create_task(pacer._listings.take(Rank.TRACE))
            await pacer.enter()
            pacer.leave()
            assert not second.done()
        async with asyncio.timeout(PATIENCE):
            await second

    async def test_who_is_cancelled_with_its_turn_given_passes_it_on(self, ticks):
        pacer = self.pacer(ticks, in_flight=1)
        await pacer.enter()
        first, second = asyncio.create_task(pacer.enter()), asyncio.create_task(pacer.enter())
        await asyncio.sleep(0)
        pacer.leave()
        first.cancel()
        async with asyncio.timeout(PATIENCE):
            await second
        pacer.leave()
        assert pacer._slots._free == 1
