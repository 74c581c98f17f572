"""Whether a text would leave, as presence will say it: from holds, accounts, carriers, STOP and the gate."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from smsbridge.bridge import alerts
from smsbridge.bridge.carriers import STALE, Carriers
from smsbridge.bridge.outlooks import Outlooks
from smsbridge.core.alerts import Alert
from smsbridge.core.caps import Caps, Limits, Prices, Whose
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused
from smsbridge.core.gate import Policy
from smsbridge.core.outlook import FINE, Show
from smsbridge.core.ration import Ration
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.presence_room import open_presence

from .house import ANN, CARRIER, FRIEND, JOHN, OTHERS, OWN, PEER, SHARED, inbound, outbound, rules, with_line

LASTING = timedelta(seconds=30)
FUNDS = Deferred(Reason.FUNDS, "non_sufficient_funds", "No money is left.", hold=Hold.ACCOUNT)
QUOTA = Deferred(Reason.QUOTA, "limit_reached", "Today's messages are used up.", hold=Hold.QUOTA)
NO_LINE = Deferred(Reason.LINE_FAULT, "invalid_did", "This number cannot text.", hold=Hold.LINE)
DOWN = Deferred(Reason.PROVIDER_DOWN, "down")


@pytest.fixture
async def outlook(house, ticks):
    """`await outlook(owner, localpart)`, when whatever is the case has lasted."""
    house.desk = replace(house.desk, carriers=Carriers(house.desk.clock))
    its = Outlooks(house.desk)
    await its.look()

    async def of(owner=JOHN, localpart=PEER):
        await its.look()
        ticks.advance(LASTING)
        await its.look()
        return await its.of(owner, localpart)

    of.its = its
    return of


async def test_all_is_well(outlook):
    assert await outlook() == FINE
    assert await outlook(JOHN, f"{PEER}%{SHARED}") == FINE
    assert await outlook(JOHN, "") == FINE


async def test_whose_number_it_is_not_learns_nothing(outlook):
    assert await outlook("eve@example.com") is None
    assert await outlook(ANN, f"{PEER}%{OWN}") is None
    assert await outlook(JOHN, "5559870002") is None


@pytest.mark.parametrize(
    ("fault", "is_of_the_line"), [(FUNDS, False), (QUOTA, False), (NO_LINE, True)], ids=["funds", "quota", "line"]
)
async def test_a_hold_is_told_in_the_carriers_words_for_the_numbers_that_it_holds(
    house, outlook, ticks, fault, is_of_the_line
):
    house.provider.script(PEER, fault)
    await house.accept("hello")
    await house.dispatch()
    told = await outlook()
    assert told.show is Show.XA
    assert told.words == Say.OUTLOOK_HELD(why=fault.words)
    assert (await outlook(ANN)) == (FINE if is_of_the_line else told)
    assert await outlook(JOHN, f"{PEER}%{OTHERS}") == FINE  # another account
    assert await outlook(JOHN, "") == FINE  # something goes
    ticks.advance(timedelta(hours=1))
    await house.dispatch()
    assert await outlook() == FINE


async def test_a_lockdown_is_do_not_disturb(house, outlook):
    await house.commands.typed(ANN, "lockdown on")
    assert (await outlook(ANN)).show is Show.DND
    assert await outlook(JOHN) == FINE
    await house.commands.typed(JOHN, "lockdown on")
    told = await outlook(JOHN)
    assert told.show is Show.DND
    assert "locked" in worded(told.words, Language.ENGLISH)
    assert await outlook(JOHN, "") == told
    await house.commands.typed(JOHN, "lockdown off")
    assert await outlook(JOHN) == FINE


async def test_after_stop_the_conversation_alone_is_do_not_disturb(house, outlook):
    await house.take(inbound("STOP"))
    told = await outlook()
    assert (told.show, told.words) == (Show.DND, Say.OUTLOOK_STOPPED(word="STOP"))
    assert await outlook(JOHN, FRIEND) == FINE
    assert await outlook(JOHN, f"{PEER}%{SHARED}") == FINE
    await house.take(inbound("START", pid="2"))
    assert await outlook() == FINE


async def test_a_number_that_is_deaf_to_stop_says_nothing_of_it(house, outlook):
    await house.take(inbound("STOP"))
    house.rules = with_line(OWN, honours_stop=False)
    assert await outlook() == FINE


async def test_the_line_that_the_conversation_is_bound_to_counts(house, outlook):
    await house.take(inbound(did=SHARED))
    await house.commands.typed(ANN, "lockdown on")
    assert (await outlook(JOHN)).show is Show.DND
    assert await outlook(JOHN, FRIEND) == FINE


async def test_a_carrier_that_cannot_be_reached_is_away_until_it_answers(house, outlook, ticks):
    house.provider.script(PEER, DOWN)
    await house.accept("hello")
    await house.dispatch()
    told = await outlook()
    assert (told.show, told.words) == (Show.AWAY, Say.OUTLOOK_SILENT())
    assert await outlook(JOHN, f"{PEER}%{OTHERS}") == FINE
    ticks.advance(timedelta(hours=1))
    await house.dispatch()
    assert await house.states() == ["sent"]
    assert await outlook() == FINE


async def test_a_carrier_that_answers_nothing_clear_is_away_from_the_second_time_on(house, outlook):
    unclear, carriers = Indeterminate("timeout"), house.desk.carriers
    carriers.heard(CARRIER, unclear)
    carriers.heard(CARRIER, "pid-1")
    carriers.heard(CARRIER, unclear)
    assert await outlook() == FINE
    carriers.heard(CARRIER, unclear)
    assert (await outlook()).show is Show.AWAY
    carriers.heard(CARRIER, unclear)
    assert (await outlook()).show is Show.AWAY
    carriers.heard(CARRIER, FUNDS)
    assert await outlook() == FINE


async def test_nobody_says_for_ever_that_a_carrier_is_away_which_is_not_called(house, outlook, ticks):
    house.desk.carriers.heard(CARRIER, DOWN)
    assert (await outlook()).show is Show.AWAY
    ticks.advance(STALE)
    assert await outlook() == FINE


async def test_an_account_that_the_carrier_refuses_is_told_before_a_text_meets_it(house, outlook):
    await house.store.run(alerts.sound, house.desk, Alert.ACCOUNT, CARRIER, "Account scripted: wrong password.")
    told = await outlook()
    assert (told.show, told.words) == (Show.XA, Say.OUTLOOK_ACCOUNT())
    await house.store.run(alerts.clear, house.desk, Alert.ACCOUNT, CARRIER, "It works.")
    assert await outlook() == FINE


@pytest.mark.parametrize("localpart", ["amazon", "29283", "+442079460123", OWN, "+15550000001,+15550000002"])
async def test_what_the_gate_would_refuse_is_extended_away(house, outlook, localpart):
    told = await outlook(JOHN, localpart)
    assert told.show is Show.XA
    assert told.words


SPENT = "What you write is refused for now: the limit of {} is used up."


def in_words(told):
    return worded(told.words, Language.ENGLISH)


@pytest.mark.parametrize(
    ("whose", "its", "limit", "is_anns_too"),
    [
        (Whose.OWNER, Caps(day=2), "2 texts a day for you", False),
        (Whose.DID, Caps(day=2), "2 texts a day for this number", False),
        (Whose.WHOLE, Caps(day=2), "2 texts a day for everybody here", True),
        (Whose.OWNER, Caps(spend_a_month=20_000), "0.02 USD a month for you", False),  # less than a text costs is left
    ],
)
async def test_a_cap_that_is_used_up_is_extended_away_until_its_day_is_over(
    house, outlook, ticks, whose, its, limit, is_anns_too
):
    prices = Prices(sms=7_500, mms=20_000, currency="USD")
    house.rules = rules(policy=Policy(limits=Limits(caps={whose: its}, prices=prices)))
    await house.accept("one")
    assert await outlook() == FINE
    await house.accept("two")
    told = await outlook()
    assert (told.show, in_words(told)) == (Show.XA, SPENT.format(limit))
    with pytest.raises(Refused):
        await house.outbound.accept(outbound("three", sid="3"))
    assert await outlook(ANN) == (told if is_anns_too else FINE)
    is_numbers = whose is Whose.DID
    assert await outlook(JOHN, f"{PEER}%{SHARED}") == (FINE if is_numbers else told)
    assert await outlook(JOHN, "") == (FINE if is_numbers else told)
    ticks.advance(timedelta(days=31))
    assert await outlook() == FINE


async def test_caps_of_a_minute_and_of_new_numbers_say_nothing_of_who_was_texted(house, outlook):
    house.rules = rules(policy=Policy(limits=Limits(caps={Whose.OWNER: Caps(minute=1, new_peers_a_day=1)})))
    await house.accept("one")
    assert await outlook() == FINE


async def test_a_day_of_the_carriers_that_is_used_up_is_told_where_more_is_refused(house, outlook, ticks):
    house.rules = rules(rations={CARRIER: Ration(limit=1, zone=UTC, is_refusing=True)})
    assert await outlook() == FINE
    await house.accept("one")
    told = await outlook()
    words = "What you write is refused until tomorrow: the 1 message a day that scripted takes is used up."
    assert (told.show, in_words(told)) == (Show.XA, words)
    assert await outlook(JOHN, f"{PEER}%{OTHERS}") == FINE  # another account
    ticks.advance(timedelta(days=1))
    assert await outlook() == FINE


async def test_what_passes_at_once_is_not_shown(house, outlook, ticks):
    its = outlook.its
    await house.commands.typed(ANN, "lockdown on")
    assert not await its.look()
    ticks.advance(LASTING - timedelta(seconds=1))
    assert not await its.look()
    await house.commands.typed(ANN, "lockdown off")
    ticks.advance(LASTING)
    assert not await its.look()
    assert await its.of(ANN, PEER) == FINE


async def test_a_new_life_knows_before_anybody_asks_how_things_stand(house, reopen):
    await house.commands.typed(ANN, "lockdown on")
    room = await open_presence((await reopen()).desk, None, None, None, None)
    assert (await room.outlooks.of(ANN, PEER)).show is Show.DND


async def test_new_rules_are_news(house, outlook):
    house.rules = rules(*house.rules.directory)
    assert await outlook.its.look()
    assert not await outlook.its.look()


async def test_who_sees_a_number_is_remembered_over_a_life(house, reopen):
    its = Outlooks(house.desk)
    pairs = [(JOHN, f"{PEER}@sms.example.com"), (JOHN, f"{FRIEND}@sms.example.com"), (ANN, f"{PEER}@sms.example.com")]
    for pair in pairs:
        await its.remember(*pair)
        await its.remember(*pair)
    await its.forget(*pairs[1])
    another = Outlooks((await reopen()).desk)
    found = await another.watched(("", ""))
    assert set(found) == {pairs[0], pairs[2]}
    assert await another.watched(found[-1]) == ()
