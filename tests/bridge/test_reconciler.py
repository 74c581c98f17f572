"""What became of a send whose answer never came: not known, told as such, and never sent again from here."""

import asyncio
from datetime import timedelta

import pytest

from smsbridge.bridge import doubting
from smsbridge.bridge.dispatcher import LEASE
from smsbridge.core.errors import Indeterminate, StoreUnavailable
from tests.fakes.words import because

from .house import DOMAIN, FRIEND, JOHN, OWN, PATIENCE, PEER, with_line


async def kill_while_sending(house, *texts):
    """Die when the carrier has the first part and has not answered."""
    house.provider.shut(PEER)
    await house.accept(*texts)
    house.start()
    await house.called(1)
    await house.kill()


async def test_a_claim_of_a_dead_life_becomes_unsure_and_the_sender_is_told(house, reopen):
    await kill_while_sending(house, "one")
    heir = await reopen()
    assert await heir.states() == ["sending"]
    await heir.reconciler.look()
    assert await heir.states() == ["unsure"]
    assert await heir.told("error") == [("error", f"{JOHN}/phone", f"{PEER}@{DOMAIN}", because("unsure"))]
    (row,) = await heir.rows("SELECT about, reason FROM delivery WHERE kind = 'error'")
    assert row == {"about": "id of one", "reason": "unsure"}
    assert heir.stream_bell._event.is_set()


async def test_it_passes_through_unknown_and_the_trail_shows_it(house, reopen):
    await kill_while_sending(house, "one")
    heir = await reopen()
    await heir.reconciler.look()
    trail = await heir.rows("SELECT who, state, code FROM history WHERE subject = 'part' ORDER BY id")
    assert [(row["who"], row["state"], row["code"]) for row in trail] == [
        ("outbound", "queued", ""),
        ("dispatcher", "sending", ""),
        ("reconciler", "unknown", "claimant_died"),
        ("reconciler", "unsure", "untraceable"),
    ]


async def test_the_conversation_goes_on_and_nothing_is_sent_again(house, reopen):
    await kill_while_sending(house, "one", "two")
    heir = await reopen()
    await heir.dispatch()
    assert heir.provider.calls == []
    await heir.reconciler.look()
    await heir.dispatch()
    assert await heir.states() == ["unsure", "sent"]
    assert heir.provider.texts == ["two"]


async def test_later_parts_of_the_same_text_are_cancelled(house, reopen):
    house.rules = with_line(OWN, can_mms=False)
    await kill_while_sending(house, "x" * 321, "two")
    heir = await reopen()
    await heir.reconciler.look()
    await heir.dispatch()
    assert await heir.states() == ["unsure", "cancelled", "cancelled", "sent"]
    assert (await heir.told("error"))[0][3].startswith(f"Part 1 of 3: {because('unsure')} 0 of 3 parts were sent")


async def test_a_claim_of_this_life_is_left_alone_while_its_lease_runs(house, ticks):
    house.provider.shut(PEER)
    await house.accept("one")
    async with house.dispatching():
        await house.called(1)
        ticks.advance(LEASE - timedelta(seconds=1))
        await house.reconciler.look()
        assert await house.states() == ["sending"]
        house.provider.open(PEER)
    assert await house.states() == ["sent"]


async def test_an_answer_that_cannot_be_trusted_is_told(house):
    house.provider.script(PEER, Indeterminate("http_502"))
    await house.accept("one")
    await house.dispatch()
    await house.reconciler.look()
    assert await house.states() == ["unsure"]
    assert len(await house.told("error")) == 1


async def test_more_than_fit_in_one_transaction_are_told_in_one_round(house, monkeypatch):
    monkeypatch.setattr(doubting, "AT_ONCE", 2)
    peers = [f"+1555987100{n}" for n in range(5)]
    for peer in peers:
        house.provider.script(peer, Indeterminate("timeout"))
        await house.accept("hello", to=peer)
    await house.dispatch()
    await house.reconciler.look()
    assert await house.states() == ["unsure"] * 5
    assert len(await house.told("error")) == 5


async def test_a_round_that_finds_nothing_wakes_nobody(house):
    house.senders_bell._bell._event.clear()
    await house.reconciler.look()
    assert not house.senders_bell._bell._event.is_set()
    assert not house.stream_bell._event.is_set()


async def test_a_kill_between_the_two_steps_loses_nothing(house, reopen):
    await kill_while_sending(house, "one")
    heir = await reopen()
    heir.store.refuse(1, of="_decide")
    with pytest.raises(StoreUnavailable):
        await heir.reconciler.look()
    assert await heir.states() == ["unknown"]
    last = await reopen()
    await last.reconciler.look()
    assert await last.states() == ["unsure"]
    assert len(await last.told("error")) == 1


async def test_it_runs_at_once_and_again_when_the_bell_rings(house, reopen):
    await kill_while_sending(house, "one")
    heir = await reopen()
    heir.store.refuse(1)
    running = asyncio.create_task(heir.reconciler.run())
    try:

        async def has_told(count):
            return len(await heir.told("error")) == count

        heir.reconciler_bell.ring()  # the first round meets a fault of the store
        await heir.until(lambda: has_told(1))
        heir.provider.script(FRIEND, Indeterminate("timeout"))
        await heir.accept("two", to=FRIEND)
        await heir.dispatch()
        await heir.until(lambda: has_told(2))
    finally:
        running.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([running])
