"""The first text to an unusual destination waits for its writer's word."""

from datetime import timedelta

import pytest

from smsbridge.bridge import answers
from smsbridge.core.address import Peer
from smsbridge.core.errors import Deferred, Hold, Reason, Refused
from smsbridge.core.gate import Policy
from smsbridge.core.questions import Answer
from tests.fakes.words import because, english

from .house import ANN, FRIEND, JOHN, OWN, PEER, SHARED, inbound, outbound, rules, with_line

LONDON, LEEDS, PARIS = Peer("+442079460123"), Peer("+441134960123"), Peer("+33199005678")
LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", hold=Hold.ACCOUNT)
POLICY = Policy(regions=frozenset({"US", "GB", "FR"}), usual=frozenset({"US"}))
QUESTION = (
    f"[1] Your text to {LONDON} waits: it is your first to numbers in GB. Is it meant?"
    " Answer here: confirm 1 or discard 1."
)


@pytest.fixture(autouse=True)
def careful(house):
    house.rules = rules(policy=POLICY)


async def says(house, word, number=1, owner=JOHN):
    said = await house.store.run(answers.answer, house.desk, owner, number, word)
    return english(said).removeprefix(f"[{number}] ")


async def questions(house, owner=JOHN):
    return [body for _, to, sender, body in await house.told("notice") if sender == "" and to == owner]


def sent(house):
    return [call.text for call in house.provider.calls]


async def test_it_is_taken_asked_about_and_does_not_leave(house, ticks):
    await house.accept("hello", to=LONDON)
    await house.dispatch()
    assert await questions(house) == [QUESTION]
    assert await house.states() == ["held"]
    assert sent(house) == []
    ticks.advance(timedelta(minutes=10))
    await house.janitor.tell_waiting()
    assert await questions(house) == [QUESTION]
    assert len(await house.told("notice")) == 1


async def test_a_yes_lets_it_go_and_is_remembered(house):
    await house.accept("hello", to=LONDON)
    said = await says(house, Answer.CONFIRM)
    assert said == "What waited is sent as soon as it can be. You are not asked about numbers in GB again."
    await house.accept("and Leeds", to=LEEDS)
    await house.dispatch()
    assert sorted(sent(house)) == ["and Leeds", "hello"]
    assert [row[3] for row in await house.told("receipt")] == ["id of hello", "id of and Leeds"]


async def test_all_that_waits_for_it_goes_in_order_and_is_asked_about_once(house):
    await house.accept("one", "two", to=LONDON)
    await house.accept("three", to=LEEDS)
    assert await questions(house) == [QUESTION]
    await says(house, Answer.CONFIRM)
    await house.dispatch()
    assert sorted(sent(house)) == ["one", "three", "two"]
    assert sent(house).index("one") < sent(house).index("two")


async def test_a_no_cancels_it_and_the_next_is_asked_about_again(house):
    await house.accept("hello", to=LONDON)
    assert await says(house, Answer.DISCARD) == "It was not sent."
    assert await house.states() == ["cancelled"]
    (error,) = await house.told("error")
    assert error[3] == because("cancelled")
    await house.accept("once more", to=LONDON)
    assert len(await questions(house)) == 2
    await house.dispatch()
    assert sent(house) == []


async def test_each_country_and_each_owner_is_asked_about(house):
    await house.accept("hello", to=LONDON)
    await says(house, Answer.CONFIRM)
    await house.accept("salut", to=PARIS)
    await house.accept("hello", to=LONDON, owner=ANN, sid="ann's")
    assert [body[:3] for body in await questions(house)] == ["[1]", "[2]"]
    assert [body[:3] for body in await questions(house, ANN)] == ["[1]"]
    await house.dispatch()
    assert sent(house) == ["hello"]


async def test_the_usual_ones_are_not_asked_about(house):
    await house.accept("hello", to=PEER)
    await house.dispatch()
    assert (await questions(house), sent(house)) == ([], ["hello"])


async def test_a_short_code_is_asked_about(house):
    house.rules = with_line(OWN, can_text_shortcodes=True)
    house.rules = rules(*house.rules.directory, policy=POLICY)
    await house.accept("vote", to="29283")
    (question,) = await questions(house)
    assert "it is your first to short codes" in question


async def test_other_conversations_do_not_wait_for_it(house):
    await house.accept("hello", to=LONDON)
    await house.accept("to a friend", to=FRIEND)
    await house.dispatch()
    assert sent(house) == ["to a friend"]


async def test_no_probe_and_no_end_of_a_hold_lets_it_go(house, ticks):
    await house.accept("hello", to=LONDON)
    house.provider.script(PEER, LOGIN)
    await house.accept("held", to=PEER)
    await house.dispatch()
    for _ in range(3):
        ticks.advance(timedelta(minutes=30))
        await house.dispatch()
    assert await house.rows("SELECT 1 FROM hold") == []
    assert sent(house) == ["held", "held"]
    assert await house.states() == ["held", "sent"]


async def test_what_nobody_confirms_is_given_back_after_a_day_and_its_question_ends(house, ticks):
    await house.accept("hello", to=LONDON)
    ticks.advance(timedelta(days=1, seconds=1))
    await house.janitor.expire()
    assert await house.states() == ["expired"]
    (error,) = await house.told("error")
    assert error[3] == because("unconfirmed")
    assert "settled meanwhile" in await says(house, Answer.CONFIRM)


async def test_it_waits_through_a_kill(house, reopen):
    await house.accept("hello", to=LONDON)
    await house.kill()
    house = await reopen()
    house.rules = rules(policy=POLICY)
    await house.dispatch()
    assert sent(house) == []
    await says(house, Answer.CONFIRM)
    await house.dispatch()
    assert sent(house) == ["hello"]


async def test_a_repeated_stanza_is_one_text_and_one_question(house):
    for _ in range(3):
        await house.outbound.accept(outbound("hello", to=LONDON))
    assert len(await house.states()) == len(await questions(house)) == 1


async def test_stop_from_there_cancels_what_waits(house):
    await house.accept("hello", to=f"{LONDON}%{SHARED}")
    await house.take(inbound("STOP", did=SHARED, peer=LONDON))
    assert await house.states() == ["cancelled"]
    assert await says(house, Answer.CONFIRM) == (
        "Nothing waits for it any more. You are not asked about numbers in GB again."
    )


async def test_a_question_whose_text_was_cancelled_is_no_question_about_the_next(house):
    await house.accept("hello", to=f"{LONDON}%{SHARED}")
    await house.take(inbound("STOP", did=SHARED, peer=LONDON))
    await house.accept("to Leeds", to=LEEDS)
    assert str(LEEDS) in (await questions(house))[-1]
    assert "settled meanwhile" in await says(house, Answer.CONFIRM)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(lambda: rules(*with_line(OWN, owners=(ANN,)).directory, policy=POLICY), id="of his number"),
        pytest.param(lambda: rules(policy=Policy(usual=POLICY.usual)), id="of the destination"),
    ],
)
async def test_a_yes_sends_nothing_that_its_writer_may_not_send_any_more(house, later):
    await house.accept("hello", to=LONDON)
    house.rules = later()
    with pytest.raises(Refused):
        await says(house, Answer.CONFIRM)
    await house.dispatch()
    assert (sent(house), await house.states()) == ([], ["held"])
    assert await house.rows("SELECT 1 FROM confirmed") == []
    assert await says(house, Answer.DISCARD) == "It was not sent."


async def test_who_asks_for_no_questions_gets_none(house):
    house.rules = rules(policy=Policy(regions=POLICY.regions))
    await house.accept("hello", to=LONDON)
    await house.dispatch()
    assert sent(house) == ["hello"]
