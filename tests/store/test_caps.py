"""Counters: exact, whatever happens at once, and gone with what they counted."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.caps import Demand, Unit, Whose
from smsbridge.core.loop import Said
from smsbridge.store import caps, conversations
from smsbridge.store.conversations import Standing

from .conftest import DID, PEER

TODAY = datetime(2026, 3, 1, tzinfo=UTC)
DEMAND = Demand(
    whose=Whose.OWNER,
    who="john@example.com",
    key="day",
    unit=Unit.TEXTS,
    amount=1,
    most=10,
    begins=TODAY,
    ends=TODAY + timedelta(days=1),
)
OTHER = Peer("+15559870003")


class OverIt(Exception):
    """The test says so."""


def take_up_to(most):
    used = yield from caps.take([DEMAND])
    if used[DEMAND.scope] > most:
        raise OverIt
    return used[DEMAND.scope]


async def used(house):
    return {row["scope"]: row["used"] for row in await house.rows("SELECT scope, used FROM cap_counter")}


async def test_a_counter_begins_at_nothing_and_counts_what_is_demanded(house):
    assert await house.run(caps.take, [replace(DEMAND, amount=3)]) == {DEMAND.scope: 3}
    assert await house.run(caps.take, [DEMAND]) == {DEMAND.scope: 4}


async def test_each_has_a_counter_of_its_own(house):
    asked = [replace(DEMAND, who=who) for who in ("a", "b", "c")]
    await house.run(caps.take, asked)
    assert await house.run(caps.take, asked[:1]) == {"per_owner/day/a": 2}
    assert sorted((await used(house)).values()) == [1, 1, 2]


async def test_another_window_begins_at_nothing_and_leaves_no_row_behind(house):
    await house.run(caps.take, [replace(DEMAND, amount=10)])
    tomorrow = replace(DEMAND, begins=DEMAND.ends)
    assert await house.run(caps.take, [tomorrow]) == {DEMAND.scope: 1}
    assert await house.count("cap_counter") == 1


async def test_money_is_counted_beyond_what_32_bits_hold(house):
    dear = replace(DEMAND, amount=3_000_000_000, unit=Unit.MONEY)
    await house.run(caps.take, [dear])
    assert await house.run(caps.take, [dear]) == {DEMAND.scope: 6_000_000_000}


async def test_what_is_refused_gives_back_what_it_took(house):
    outcomes = await asyncio.gather(*(house.run(take_up_to, 10) for _ in range(50)), return_exceptions=True)
    assert sorted(outcome for outcome in outcomes if isinstance(outcome, int)) == list(range(1, 11))
    assert sum(isinstance(outcome, OverIt) for outcome in outcomes) == 40
    assert await used(house) == {DEMAND.scope: 10}


async def test_what_did_not_happen_is_given_back_in_its_window_only(house):
    await house.run(caps.take, [replace(DEMAND, amount=2)])
    await house.run(caps.give_back, DEMAND.scope, DEMAND.begins)
    await house.run(caps.give_back, DEMAND.scope, DEMAND.ends)
    assert await used(house) == {DEMAND.scope: 1}
    for _ in range(3):
        await house.run(caps.give_back, DEMAND.scope, DEMAND.begins)
    assert await used(house) == {DEMAND.scope: 0}


class TestConversations:
    async def test_where_nothing_was_sent_is_new(self, house):
        assert await house.run(conversations.standing, DID, PEER) == Standing(is_new=True)
        await house.accept("hello")
        assert await house.run(conversations.standing, DID, PEER) == Standing()
        assert await house.run(conversations.standing, DID, OTHER) == Standing(is_new=True)

    @pytest.mark.parametrize("is_new", [True, False])
    async def test_a_wish_for_no_more_texts_is_kept_until_it_is_over(self, house, is_new):
        if not is_new:
            await house.accept("hello")
        assert await house.do(self.stop, "STOP")
        assert not await house.do(self.stop, "END")
        assert await house.run(conversations.standing, DID, PEER) == Standing(is_new=is_new, stop_word="STOP")
        assert await house.run(conversations.stop_word, Did("+15551230002"), PEER) == ""
        assert await house.run(conversations.resume, DID, PEER)
        assert not await house.run(conversations.resume, DID, PEER)
        assert await house.run(conversations.standing, DID, PEER) == Standing(is_new=is_new)

    def stop(self, _ids, now, word):
        return (yield from conversations.stop(now, DID, PEER, word))

    async def test_an_open_breaker_has_its_time_and_forgets_what_was_before(self, house):
        await house.accept("hello")
        until = house.now + timedelta(minutes=10)
        await house.run(conversations.close, DID, PEER, until)
        assert await house.run(conversations.standing, DID, PEER) == Standing(closed_until=until)

    async def test_what_is_heard_is_of_this_conversation_and_after_this_instant(self, house):
        for n, (did, peer) in enumerate([(DID, PEER), (DID, PEER), (DID, OTHER), ("+15551230002", PEER)]):
            await house.rows(
                "INSERT INTO inbox (id, provider, source, kind, did, peer, label, others, text, text_hash, taken_at)"
                " VALUES ($1, '', '', '', $2, $3, '', '', '', $4, $5)",
                *(str(n), did, peer, f"mark {n}", 100 + n),
            )
        assert await house.run(conversations.heard, DID, PEER, 100) == (Said(101, "mark 1"),)

    async def test_what_was_confirmed_is_remembered_for_its_owner(self, house):
        await house.do(self.confirm, "john@example.com", "numbers in GB")
        for destination in ("numbers in GB", "short codes"):
            await house.do(self.confirm, "john@example.com", destination)
        assert await house.run(conversations.is_confirmed, "john@example.com", "numbers in GB")
        assert await house.run(conversations.is_confirmed, "john@example.com", "short codes")
        assert not await house.run(conversations.is_confirmed, "ann@example.com", "numbers in GB")
        assert not await house.run(conversations.is_confirmed, "john@example.com", "numbers in FR")

    def confirm(self, _ids, now, owner, destination):
        yield from conversations.confirm(now, owner, destination)
