"""Two machines that answer each other are stopped; durably, and without a text about it."""

from datetime import timedelta

import pytest

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.gate import Policy
from tests.fakes.words import english

from .house import ADMIN, ANN, FRIEND, OWN, PEER, SHARED, inbound, outbound, rules

WATCHFUL = Policy(has_breaker=True)


@pytest.fixture(autouse=True)
def watchful(house):
    house.rules = rules(policy=WATCHFUL)


async def stopped(house, text="once more", **about):
    with pytest.raises(Refused) as caught:
        await house.outbound.accept(outbound(text, sid=f"id of {text}", **about))
    assert caught.value.reason is Reason.LOOP
    return english(caught.value.words)


async def burst(house, **about):
    for n in range(10):
        await house.accept(f"line {n}", **about)


async def test_the_eleventh_text_in_half_a_minute_opens_the_breaker_for_ten_minutes(house, ticks):
    await burst(house)
    assert await stopped(house) == (
        "This text was not sent: this looks like two machines answering each other."
        " Texts to this number go on in 10 minutes (at 18:10 UTC)."
    )
    ticks.advance(timedelta(minutes=9))
    assert await stopped(house, "still?") == (
        "This text was not sent: this looks like two machines answering each other."
        " Texts to this number go on in 60 seconds."
    )
    assert len(await house.states()) == 10
    ticks.advance(timedelta(minutes=1))
    await burst(house, to=f"{PEER}%{OWN}")
    assert len(await house.states()) == 20


async def test_it_is_open_after_a_kill(house, reopen):
    await burst(house)
    await stopped(house)
    await house.kill()
    house = await reopen()
    house.rules = rules(policy=WATCHFUL)
    await stopped(house, "another life")


async def test_what_was_counted_before_a_kill_counts(house, reopen):
    await burst(house)
    await house.kill()
    house = await reopen()
    house.rules = rules(policy=WATCHFUL)
    await stopped(house)


async def test_the_admins_are_told_once_and_the_writer_by_the_error_alone(house):
    await burst(house)
    await stopped(house, "one")
    await stopped(house, "two")
    (told,) = await house.told("notice")
    assert told[1] == ADMIN
    assert f"Texts from {OWN} to {PEER} are stopped for 10 minutes" in told[3]


async def test_other_conversations_go_on(house):
    await burst(house)
    await stopped(house)
    await house.accept("hello", to=FRIEND)
    await house.accept("over another line", to=f"{PEER}%{SHARED}")


async def test_those_who_share_a_number_share_its_breaker(house):
    await burst(house, to=f"{PEER}%{SHARED}")
    await stopped(house, to=f"{PEER}%{SHARED}", owner=ANN)


async def test_the_same_answer_to_the_same_text_opens_it(house, ticks):
    for n in range(4):
        ticks.advance(timedelta(seconds=40))
        await house.take(inbound("Out of office.", pid=str(n)))
        ticks.advance(timedelta(seconds=20))
        if n < 3:
            await house.outbound.accept(outbound("I am away.", sid=str(n)))
    with pytest.raises(Refused) as caught:
        await house.outbound.accept(outbound("I am away.", sid="3"))
    assert caught.value.reason is Reason.LOOP


async def test_a_repeated_stanza_is_no_second_text(house):
    for _ in range(30):
        await house.outbound.accept(outbound("hello"))
    assert len(await house.states()) == 1


async def test_without_the_breaker_everything_goes(house):
    house.rules = rules()
    await burst(house)
    await house.accept("one more")
    assert await house.rows("SELECT 1 FROM conversation WHERE recent <> ''") == []


async def test_a_clock_that_was_set_back_does_not_keep_it_open(house, ticks):
    await burst(house)
    await stopped(house)
    ticks.advance(-timedelta(days=1))
    await house.accept("yesterday")
