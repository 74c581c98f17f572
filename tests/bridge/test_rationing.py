"""The carrier's limit on messages a day: told before it is met, then waited out, or refused."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused, Rejected
from smsbridge.core.ration import Ration
from tests.fakes.words import english

from .house import ADMIN, CARRIER, FRIEND, JOHN, OTHERS, OWN, PEER, THIRD, outbound, rules

ZONE = ZoneInfo("America/New_York")  # where the tests begin at two in the afternoon


@pytest.fixture
def ration(house):
    """`ration(5)`"""

    def set_ration(limit, **changes):
        house.rules = rules(rations={CARRIER: Ration(limit=limit, zone=ZONE, **changes)})

    return set_ration


async def sent_today(house):
    rows = await house.rows("SELECT used FROM cap_counter WHERE scope LIKE '%/sent/%'")
    return rows[0]["used"] if rows else 0


async def alerts(house):
    return [body for _, to, _, body in await house.told("notice") if to == ADMIN]


async def test_as_many_as_the_day_has_leave_and_the_others_wait_for_the_next(house, ticks, ration):
    ration(5)
    await house.accept(*(str(n) for n in range(8)))
    await house.dispatch()
    assert len(house.provider.calls) == 5
    assert (await house.states()).count("sent") == 5
    (hold,) = await house.rows("SELECT * FROM hold")
    assert (hold["hold"], hold["code"], hold["did"]) == ("quota", "daily_limit", "")

    ticks.advance(timedelta(hours=9, minutes=59))
    await house.dispatch()
    assert len(house.provider.calls) == 5

    ticks.advance(timedelta(minutes=1))
    await house.dispatch()
    assert await house.states() == ["sent"] * 8
    assert [call.text for call in house.provider.calls] == [str(n) for n in range(8)]
    assert await house.rows("SELECT 1 FROM hold") == []
    assert await sent_today(house) == 3


async def test_the_admins_hear_of_four_fifths_of_the_end_and_of_the_next_day(house, ticks, ration):
    ration(5)
    await house.accept(*(str(n) for n in range(8)))
    await house.dispatch()
    ticks.advance(timedelta(hours=10))
    await house.dispatch()
    assert await alerts(house) == [
        (
            "The account scripted has sent 4 of 5 messages today; they begin anew in 10 hours (at 04:00 UTC)."
            " Ask the carrier for more if you need them, and set daily_limit."
        ),
        (
            "The account scripted has sent 5 of 5 messages today; they begin anew in 10 hours (at 04:00 UTC)."
            " Ask the carrier for more if you need them, and set daily_limit."
        ),
        (
            "The account scripted is on hold, its texts wait (daily_limit): The 5 messages a day that scripted takes"
            " are used up; they begin anew in 10 hours (at 04:00 UTC)."
            " Nothing has to be done: they leave when it is over."
        ),
        "The account scripted sends again; what waited goes out (quota is over). It lasted 10 hours.",
    ]


async def test_who_waits_is_told_why_and_until_when(house, ticks, ration):
    ration(1)
    await house.accept("one")
    await house.accept("two", to=FRIEND)
    await house.dispatch()
    ticks.advance(timedelta(minutes=6))
    await house.janitor.tell_waiting()
    told = [body for _, to, _, body in await house.told("notice") if to == JOHN]
    words = "The 1 message a day that scripted takes is used up; they begin anew in 10 hours (at 04:00 UTC)."
    assert told == [
        f"Your text has not left yet: {words} It is sent as soon as it can be, or you are told within a day."
    ]


@pytest.mark.parametrize(
    "outcome", [Rejected(Reason.INVALID_DESTINATION, "no"), Deferred(Reason.PROVIDER_DOWN, "down")]
)
async def test_what_certainly_did_not_leave_is_not_counted(house, ration, outcome):
    ration(5)
    house.provider.script(PEER, outcome)
    await house.accept("hello")
    await house.dispatch()
    assert await sent_today(house) == 0


@pytest.mark.parametrize("is_proved", [False, True])
async def test_what_comes_back_after_midnight_is_given_back_to_the_day_that_it_was_counted_on(
    house, ticks, ration, is_proved
):
    ration(5)
    if is_proved:
        house.look_up()
    house.provider.script(PEER, Indeterminate("timeout") if is_proved else Rejected(Reason.INVALID_DESTINATION, "no"))
    ticks.advance(timedelta(hours=9, minutes=59))
    house.provider.shut(PEER)
    await house.accept("late")
    house.dispatcher = house.build_dispatcher()
    async with house.dispatching():
        await house.called(1)
        ticks.advance(timedelta(minutes=1))
        await house.accept("today", to=FRIEND)
        await house.called(2)
        house.provider.open(PEER)
    if is_proved:
        house.listing.show("pid-1", "today", did=OWN, peer=FRIEND)
        for _ in range(4):
            ticks.advance(timedelta(seconds=90))
            await house.reconciler.look()
    assert await house.states() == ["queued" if is_proved else "failed", "sent"]
    assert await sent_today(house) == 1


async def test_what_may_have_left_is_counted(house, ration):
    ration(5)
    house.provider.script(PEER, Indeterminate("timeout"))
    await house.accept("hello")
    await house.dispatch()
    assert await sent_today(house) == 1


async def test_it_is_counted_across_a_kill(house, reopen, ration):
    ration(2)
    await house.accept("one", "two", "three")
    await house.dispatch()
    await house.kill()
    house = await reopen()
    house.rules = rules(rations={CARRIER: Ration(limit=2, zone=ZONE)})
    await house.dispatch()
    assert house.provider.calls == []


async def test_an_account_without_a_limit_is_not_counted(house):
    await house.accept("hello")
    await house.dispatch()
    assert await sent_today(house) == 0


async def test_the_carriers_own_word_comes_first(house, ration):
    ration(100)
    house.provider.script(PEER, Deferred(Reason.QUOTA, "limit_reached", hold=Hold.QUOTA))
    await house.accept("one", "two")
    await house.dispatch()
    (hold,) = await house.rows("SELECT * FROM hold")
    assert hold["code"] == "limit_reached"
    assert len(house.provider.calls) == 1


async def test_a_limit_that_was_raised_is_found_by_the_next_look(house, ration):
    ration(1)
    await house.accept("one")
    await house.accept("two", to=FRIEND)
    await house.dispatch()
    ration(2)
    await house.rows("UPDATE hold SET probe_at = 0")  # as a reload does
    await house.dispatch()
    assert await house.states() == ["sent", "sent"]


class TestRefusing:
    async def test_no_more_is_accepted_than_the_day_has(self, house, ticks, ration):
        ration(3, is_refusing=True)
        await house.accept("one", "two", "three")
        with pytest.raises(Refused) as refused:
            await house.accept("four")
        assert refused.value.reason is Reason.QUOTA
        assert english(refused.value.words) == (
            "This text was not sent: the 3 messages a day that scripted takes are used up;"
            " they begin anew in 10 hours (at 04:00 UTC)."
        )
        assert len(await house.states()) == 3
        ticks.advance(timedelta(hours=10))
        await house.accept("four")

    async def test_another_accounts_day_is_not_touched(self, house, ration):
        ration(1, is_refusing=True)
        house.outbound._capabilities = lambda: dict.fromkeys((CARRIER, "elsewhere"), house.provider.capabilities)
        await house.accept("one")
        await house.accept("two", to=f"{THIRD}%{OTHERS}")

    async def test_a_repeated_stanza_takes_nothing(self, house, ration):
        ration(1, is_refusing=True)
        for _ in range(3):
            await house.outbound.accept(outbound())
        assert len(await house.states()) == 1
