"""A loop keeps its promise while it can turn, whatever is down, and breaks it when it hangs."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge.dispatcher import TURN
from smsbridge.bridge.janitor import TURN as JANITOR_TURN
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.pulse import Pulse
from smsbridge.bridge.reconciler import TURN as RECONCILER_TURN
from smsbridge.bridge.reconciler import Reconciler
from smsbridge.core.errors import Deferred, Reason
from tests.fakes.waiting import PATIENCE, until

from .house import PEER

LOOP = "dispatcher scripted"


@pytest.fixture
def pulse(house, ticks):
    pulse = Pulse(ticks.clock())
    house.desk = replace(house.desk, pulse=pulse)
    house.dispatcher = house.build_dispatcher()
    return pulse


def after(ticks, seconds):
    ticks.advance(timedelta(seconds=seconds))


async def test_a_dispatcher_with_nothing_to_do_keeps_its_promise(house, ticks, pulse):
    async with house.dispatching():
        for _ in range(20):
            await house.later(seconds=30)
            assert pulse.late() == ()
        assert LOOP in pulse._due
    assert LOOP not in pulse._due


async def test_a_carrier_that_is_down_makes_nobody_late(house, ticks, pulse):
    house.provider.script(PEER, *(Deferred(Reason.PROVIDER_DOWN, "down") for _ in range(50)))
    await house.accept("one")
    async with house.dispatching():
        for _ in range(20):
            await house.later(minutes=3)
            assert pulse.late() == ()


async def test_a_dispatcher_that_does_not_turn_is_late(house, ticks, pulse, monkeypatch):
    stuck = asyncio.Event()

    async def hang():
        stuck.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(house.dispatcher._pacer, "enter", hang)
    house.start()
    async with asyncio.timeout(PATIENCE):
        await stuck.wait()
    after(ticks, TURN)
    assert pulse.late() == ()
    after(ticks, 1)
    assert pulse.late() == (LOOP,)


async def test_a_store_that_refuses_to_settle_is_not_the_dispatchers_fault(house, ticks, pulse, impatient):
    house.provider.capabilities = replace(house.provider.capabilities, in_flight=1)  # nobody else can turn
    house.dispatcher = house.build_dispatcher()
    await house.accept("one")
    house.store.refuse(1_000_000, of="_settle")
    async with house.dispatching():
        await until(lambda: house.store.refused < 1_000_000)
        after(ticks, TURN + 1)
        tried = house.store.refused
        await until(lambda: house.store.refused < tried - 1)
        assert pulse.late() == ()
        house.store.refuse(0)
        await house.quiet()
    assert await house.states() == ["sent"]


@pytest.mark.parametrize(
    ("make", "loop", "turn"),
    [
        (Reconciler, "reconciler", RECONCILER_TURN),
        (lambda desk, _: Janitor(desk), "janitor", JANITOR_TURN),
    ],
    ids=["reconciler", "janitor"],
)
async def test_the_other_loops_promise_as_well(house, ticks, pulse, make, loop, turn):
    running = asyncio.create_task(make(house.desk, house.reconciler_bell).run())
    await until(lambda: loop in pulse._due)
    after(ticks, turn)
    assert pulse.late() == ()
    after(ticks, 1)
    assert pulse.late() == (loop,)
    running.cancel()
