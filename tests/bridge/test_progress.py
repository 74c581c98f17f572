"""Is the bridge getting on with it?"""

from datetime import timedelta

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason

from .house import FRIEND, PEER, inbound


def gauge(house, table, state):
    return house.metrics.backlog.labels(table, state)._value.get()


async def test_with_nothing_to_do_everything_is_zero(house):
    backlog = await house.progress.backlog()
    assert (dict(backlog.states), backlog.oldest_delivery, backlog.oldest_part) == ({}, None, None)
    assert gauge(house, "outbox", "queued") == 0
    assert gauge(house, "delivery", "waiting") == 0


async def test_what_waits_is_counted_and_its_age_is_known(house, ticks):
    began = ticks.now
    await house.accept("one", "two")
    await house.take(inbound())
    ticks.advance(timedelta(seconds=90))
    backlog = await house.progress.backlog()
    assert backlog.states == {("outbox", "queued"): 2, ("delivery", "waiting"): 1}
    assert (backlog.oldest_part, backlog.oldest_delivery) == (began, began)
    assert house.metrics.oldest_seconds.labels("outbox")._value.get() == 90
    assert house.metrics.oldest_seconds.labels("delivery")._value.get() == 90


async def test_the_gauges_fall_when_the_work_is_done(house):
    await house.accept("one")
    await house.progress.backlog()
    assert gauge(house, "outbox", "queued") == 1
    await house.dispatch()
    await house.hand_all()
    await house.progress.backlog()
    assert gauge(house, "outbox", "queued") == 0
    assert house.metrics.oldest_seconds.labels("outbox")._value.get() == 0


async def test_what_waits_for_the_carrier_does_not_make_us_look_slow(house, ticks):
    house.provider.script(PEER, Deferred(Reason.FUNDS, "funds", hold=Hold.ACCOUNT))
    house.provider.script(FRIEND, Indeterminate("timeout"))
    await house.accept("one", to=FRIEND)
    await house.dispatch()
    await house.accept("two")
    await house.dispatch()
    ticks.advance(timedelta(hours=1))
    backlog = await house.progress.backlog()
    assert backlog.states["outbox", "held"] == 1
    assert backlog.states["outbox", "unknown"] == 1
    assert backlog.oldest_part is None
