"""Tries of unknown fate, as the store keeps them."""

from datetime import timedelta

from smsbridge.core.doubt import Plan, Step, Verdict
from smsbridge.core.message import Kind, ProviderMessageId
from smsbridge.core.state import PartEvent as V
from smsbridge.store import doubts

from .test_outbox import VOIPMS

SOON = timedelta(seconds=10)


async def doubted(house, text="hello"):
    """A part whose only try is unknown."""
    await house.accept(text)
    part = await house.claim()
    await house.move(part, V.LOSE_TRACK)
    await house.run(doubts.open_, house.now, part.id, house.now + SOON)
    return part


async def test_a_try_is_looked_for_when_it_is_due_and_as_of_its_beginning(house):
    part = await doubted(house)
    assert await house.run(doubts.due, house.now, VOIPMS, 9) == ()
    [due] = await house.run(doubts.due, house.now + SOON, VOIPMS, 9)
    assert (due.part.id, due.since) == (part.id, house.now)
    assert await house.run(doubts.next_due, VOIPMS) == house.now + SOON
    assert await house.run(doubts.providers) == (VOIPMS,)
    [known] = await house.run(doubts.undecided, VOIPMS, 9)
    assert [one.verdict for one in known.doubts] == [Verdict.OPEN]


async def test_to_open_it_again_changes_nothing(house):
    part = await doubted(house)
    await house.run(doubts.follow, part.id, 1, Plan(step=Step.WAIT, look_at=house.now, looks=3))
    await house.run(doubts.open_, house.now, part.id, house.now)
    assert (await house.run(doubts.of_part, part.id)).newest.looks == 3


async def test_how_far_looking_has_come_is_kept(house):
    part = await doubted(house)
    plan = Plan(step=Step.WAIT, look_at=house.now + 3 * SOON, absent_at=house.now, looks=2)
    await house.run(doubts.follow, part.id, 1, plan)
    one = (await house.run(doubts.of_part, part.id)).newest
    assert (one.looks, one.absent_at) == (2, house.now)
    assert await house.run(doubts.next_due, VOIPMS) == house.now + 3 * SOON


async def test_an_id_is_claimed_by_the_text_that_it_stands_for_and_by_no_other(house):
    part = await doubted(house)
    pid = ProviderMessageId("77")
    assert not await house.run(doubts.is_claimed, VOIPMS, part.kind, pid, "hello")
    await house.run(doubts.judge, part.id, 1, Verdict.TWICE, pid)
    assert await house.run(doubts.is_claimed, VOIPMS, part.kind, pid, "hello")
    assert not await house.run(doubts.is_claimed, VOIPMS, part.kind, pid, "another text")
    assert not await house.run(doubts.is_claimed, VOIPMS, Kind.MMS, pid, "hello")


async def test_what_was_recognised_is_not_looked_for_any_more(house):
    part = await doubted(house)
    await house.run(doubts.judge, part.id, 1, Verdict.TAKEN, ProviderMessageId("77"))
    await house.run(doubts.look_again, part.id, house.now)
    assert await house.run(doubts.next_due, VOIPMS) is None


async def test_after_the_clock_was_set_back_no_look_is_far_off(house):
    await doubted(house)
    earlier = house.now - timedelta(days=9)
    await house.run(doubts.pull_in, earlier, timedelta(days=2))
    assert await house.run(doubts.next_due, VOIPMS) == earlier


async def test_distrust_is_new_once(house):
    assert await house.run(doubts.distrust, house.now, VOIPMS, house.now + SOON)
    later = house.now + SOON
    assert not await house.run(doubts.distrust, later, VOIPMS, later + SOON)
    assert await house.run(doubts.distrusted, [VOIPMS]) == {VOIPMS: later + SOON}
    assert await house.run(doubts.distrusted, []) == {}
    assert await house.run(doubts.trust, VOIPMS)
    assert not await house.run(doubts.trust, VOIPMS)
