"""What may be sent is counted with what is accepted: never more, and nothing for what is refused."""

import asyncio
from datetime import timedelta

import pytest

from smsbridge.core.caps import Caps, Limits, Prices, Whose
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.gate import Policy
from tests.fakes.words import english

from .house import ADMIN, ANN, FRIEND, JOHN, OWN, PEER, SHARED, THIRD, inbound, outbound, rules, with_line

PRICES = Prices(sms=7_500, mms=20_000, currency="USD")


def capped(*, prices=PRICES, **caps):
    return Policy(limits=Limits(caps={Whose(whose): its for whose, its in caps.items()}, prices=prices))


@pytest.fixture
def allow(house):
    """`allow(per_owner=Caps(day=3))`"""

    def set_caps(**caps):
        house.rules = rules(policy=capped(**caps))

    return set_caps


async def refused(house, message, reason=Reason.OVER_CAP):
    with pytest.raises(Refused) as caught:
        await house.outbound.accept(message)
    assert caught.value.reason is reason
    return english(caught.value.words)


async def used(house):
    return {row["scope"]: row["used"] for row in await house.rows("SELECT scope, used FROM cap_counter")}


async def test_as_many_as_are_allowed_are_taken_and_the_next_is_told_when(house, allow):
    allow(per_owner=Caps(day=3))
    await house.accept("one", "two", "three")
    assert await refused(house, outbound("four", sid="4")) == (
        "This text was not sent: the limit of 3 texts a day for you is used up."
        " It opens again in 6 hours (at 00:00 UTC)."
    )
    assert await house.states() == ["queued"] * 3
    assert await used(house) == {f"per_owner/day/{JOHN}": 3}


async def test_a_refused_text_leaves_no_row_and_is_taken_when_the_window_opens(house, ticks, allow):
    allow(per_owner=Caps(minute=1))
    await house.accept("one")
    await refused(house, outbound("two", sid="2"))
    ticks.advance(timedelta(minutes=1))
    await house.outbound.accept(outbound("two", sid="2"))
    assert len(await house.states()) == 2


async def test_many_at_once_are_as_many_as_are_allowed(house, allow):
    allow(per_owner=Caps(day=10))
    texts = [house.outbound.accept(outbound(f"text {n}", sid=str(n))) for n in range(40)]
    outcomes = await asyncio.gather(*texts, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, Refused)] == []
    assert len(await house.states()) == 10


async def test_a_repeated_stanza_is_not_counted_again(house, allow):
    allow(per_owner=Caps(day=2))
    for _ in range(5):
        await house.outbound.accept(outbound("hello"))
    await house.accept("another")
    assert len(await house.states()) == 2


async def test_a_text_counts_for_each_message_that_leaves(house, allow):
    house.rules = with_line(OWN, can_mms=False)
    house.rules = rules(*house.rules.directory, policy=capped(per_owner=Caps(day=4)))
    await house.accept("x" * 480)  # three
    assert "would be passed" in await refused(house, outbound("y" * 480, sid="y"))
    await house.accept("short")
    assert await used(house) == {f"per_owner/day/{JOHN}": 4}


async def test_each_owner_has_a_cap_of_his_own(house, allow):
    allow(per_owner=Caps(day=1))
    await house.accept("hello", to=f"{PEER}%{SHARED}")
    await house.accept("hello", to=f"{PEER}%{SHARED}", owner=ANN)
    await refused(house, outbound("again", to=f"{PEER}%{SHARED}", owner=ANN, sid="2"))


async def test_a_numbers_cap_holds_for_all_who_share_it_and_for_no_other_number(house, allow):
    allow(per_did=Caps(day=1))
    await house.accept("hello", to=f"{PEER}%{SHARED}")
    words = await refused(house, outbound("hello", to=f"{PEER}%{SHARED}", owner=ANN))
    assert "for this number" in words
    await house.accept("hello over the other")


async def test_a_cap_of_the_whole_holds_for_all(house, allow):
    allow(whole=Caps(day=1))
    await house.accept("hello")
    assert "for everybody here" in await refused(house, outbound("hello", to=f"{PEER}%{SHARED}", owner=ANN))


class TestNewNumbers:
    async def test_so_many_numbers_may_be_texted_for_the_first_time_in_a_day(self, house, ticks, allow):
        allow(per_owner=Caps(new_peers_a_day=2))
        await house.accept("hello", to=PEER)
        await house.accept("hello", to=FRIEND)
        assert "new numbers a day" in await refused(house, outbound(to=THIRD))
        await house.accept("hello again", to=PEER)
        ticks.advance(timedelta(days=1))
        await house.accept("hello", to=THIRD)

    async def test_who_wrote_to_us_and_was_never_answered_is_new_as_well(self, house, allow):
        allow(per_owner=Caps(new_peers_a_day=1))
        await house.take(inbound("dear customer"))
        await house.accept("hello", to=FRIEND)
        await refused(house, outbound(to=PEER))


class TestMoney:
    async def test_an_sms_costs_by_its_segments(self, house, allow):
        allow(per_owner=Caps(spend_a_day=30_000))
        await house.accept("x" * 160, "ł" * 71)  # one segment, and two
        assert await used(house) == {f"per_owner/spend_a_day/{JOHN}": 22_500}
        assert "0.03 USD a day" in await refused(house, outbound("ł" * 71, sid="3"))
        await house.accept("one more segment")

    async def test_an_mms_costs_by_the_message(self, house, allow):
        allow(whole=Caps(spend_a_month=40_000))
        pictures = tuple(f"https://upload.example.com/{n}.jpg" for n in range(4))
        await house.accept("look", media=pictures)
        assert await used(house) == {"whole/spend_a_month/": 40_000}
        await refused(house, outbound("x", sid="2"))

    async def test_without_prices_nothing_is_counted_as_money(self, house):
        house.rules = rules(policy=capped(per_owner=Caps(spend_a_day=1), prices=None))
        await house.accept("hello")
        assert await used(house) == {}


class TestAdmins:
    async def test_they_hear_of_half_of_four_fifths_and_of_the_end_once_each(self, house, allow):
        allow(per_owner=Caps(day=10))
        for n in range(10):
            await house.accept(str(n))
        await refused(house, outbound("too much"))
        told = [body for kind, to, _, body in await house.told("notice") if to == ADMIN]
        assert [body.partition(";")[0] for body in told] == [
            f"The cap of 10 texts a day of {JOHN} is used to 50 %",
            f"The cap of 10 texts a day of {JOHN} is used to 80 %",
            f"The cap of 10 texts a day of {JOHN} is used up",
        ]
        assert "raise caps.per_owner.day and reload" in told[0]

    async def test_what_was_rolled_back_is_not_told(self, house, allow):
        allow(per_owner=Caps(day=1))
        failures = 0
        for statement in range(1, 100):
            house.store.break_at(statement)
            try:
                await house.outbound.accept(outbound())
            except StoreUnavailable:
                failures += 1
                assert await house.told("notice") == []
                assert await used(house) == {}
            else:
                break
        assert failures > 8
        assert len(await house.told("notice")) == 1
