"""What an admin has to know is told once when it begins, daily while it lasts, and once when it is over."""

from datetime import timedelta

import pytest

from smsbridge.bridge import alerts
from smsbridge.core.alerts import ADVICE, Alert, lasting
from smsbridge.core.errors import StoreUnavailable
from tests.fakes.words import english

from .house import ADMIN


@pytest.fixture
def sound(house):
    async def sound_(kind, subject, words="It is so.", **changes):
        return await house.store.run(alerts.sound, house.desk, kind, subject, words, **changes)

    return sound_


@pytest.fixture
def clear(house):
    async def clear_(kind, subject, words=""):
        return await house.store.run(alerts.clear, house.desk, kind, subject, words)

    return clear_


@pytest.fixture
def attend(house):
    async def attend_():
        return await house.store.run(alerts.attend, house.desk)

    return attend_


async def lines(house):
    return [body for _, to, _, body in await house.told("notice") if to == ADMIN]


async def gauge(house, kind):
    await house.progress.backlog()
    return house.metrics.alerts.labels(kind)._value.get()


def test_every_kind_says_what_it_is_and_what_to_do():
    assert ADVICE.keys() == set(Alert)
    for advice in ADVICE.values():
        assert english(advice.what).endswith(".")
        assert english(advice.to_do).endswith(".")
        assert len(english(advice.to_do)) > 30


async def test_a_condition_is_told_once_when_it_begins_and_once_when_it_is_over(house, ticks, sound, clear):
    to_do = english(ADVICE[Alert.BALANCE].to_do)
    assert await sound(Alert.BALANCE, "voipms", "The balance of voipms is 0.50 USD.")
    assert not await sound(Alert.BALANCE, "voipms", "The balance of voipms is 0.40 USD.")
    assert await gauge(house, Alert.BALANCE) == 1
    ticks.advance(timedelta(hours=5))
    assert await clear(Alert.BALANCE, "voipms", "The balance of voipms is 20.00 USD.")
    assert not await clear(Alert.BALANCE, "voipms")
    assert await lines(house) == [
        f"The balance of voipms is 0.50 USD. {to_do}",
        "The balance of voipms is 20.00 USD. It lasted 5 hours, 2 times.",
    ]
    assert await gauge(house, Alert.BALANCE) == 0
    assert await house.rows("SELECT 1 FROM alert") == []


async def test_what_begins_again_is_told_again(house, ticks, sound, clear):
    for _ in range(2):
        await sound(Alert.STREAM, "stream", to_do="Look.")
        await clear(Alert.STREAM, "stream")
        ticks.advance(timedelta(hours=1))
    assert await lines(house) == ["It is so. Look.", "Over after 0 seconds: It is so. Look."] * 2


async def test_what_has_changed_is_told_again_if_it_is_news(house, sound):
    await sound(Alert.HELD, "voipms", "One.", to_do="Look.")
    assert await sound(Alert.HELD, "voipms", "Two.", to_do="Look.", is_news=True)
    assert await lines(house) == ["One. Look.", "Two. Look."]


async def test_it_survives_a_restart(house, reopen, ticks, sound):
    await sound(Alert.DISK, "store", "No room.", to_do="Make some.")
    again = await reopen()
    assert not await again.store.run(alerts.sound, again.desk, Alert.DISK, "store", "No room.")
    assert await gauge(again, Alert.DISK) == 1
    ticks.advance(timedelta(minutes=3))
    await again.store.run(alerts.clear, again.desk, Alert.DISK, "store")
    assert (await lines(again))[1:] == ["Over after 3 minutes, 2 times: No room. " + english(ADVICE[Alert.DISK].to_do)]


async def test_what_lasts_is_reminded_of_once_a_day(house, ticks, sound, attend):
    await sound(Alert.BALANCE, "one", "One is low.", to_do="Pay.")
    await sound(Alert.BALANCE, "two", "Two is low.", to_do="Pay.")
    for _ in range(72):
        ticks.advance(timedelta(hours=1))
        await attend()
    assert (await lines(house))[2:] == [
        f"Still so after {days}, and 1 of its kind: One is low. Pay." for days in ("24 hours", "2 days", "3 days")
    ]


async def test_a_storm_of_a_kind_is_a_few_lines_and_then_one_with_a_count(house, ticks, sound, clear, attend):
    for n in range(500):
        await sound(Alert.BOUNCE, f"{n}", f"Text {n} came back.", to_do="Look.")
        ticks.advance(timedelta(milliseconds=1))
    assert await lines(house) == [f"Text {n} came back. Look." for n in range(4)]
    for _ in range(9):
        ticks.advance(timedelta(minutes=1))
        assert not await attend()
    ticks.advance(timedelta(minutes=1))
    assert await attend()
    (line,) = (await lines(house))[4:]
    assert line == f"496 of a kind: {english(ADVICE[Alert.BOUNCE].what)} The last: Text 499 came back. Look."
    assert await gauge(house, Alert.BOUNCE) == 500
    ticks.advance(timedelta(hours=2))
    assert not await attend()
    assert await house.rows("SELECT 1 FROM alert") == []


async def test_a_storm_of_one_kind_hides_no_other(house, sound):
    for n in range(50):
        await sound(Alert.BOUNCE, f"{n}")
    await sound(Alert.DISK, "store", "No room.", to_do="Make some.")
    assert (await lines(house))[4:] == ["No room. Make some."]


async def test_what_comes_and_goes_a_thousand_times_is_a_few_lines_with_the_count(house, ticks, sound, clear, attend):
    for _ in range(1000):
        await sound(Alert.STREAM, "stream", "It is down.", to_do="Look.")
        await clear(Alert.STREAM, "stream")
        ticks.advance(timedelta(seconds=0.1))
    assert len(await lines(house)) == 4
    ticks.advance(timedelta(minutes=10))
    await attend()
    assert (await lines(house))[4:] == ["Over after 100 seconds, 998 times: It is down. Look."]
    assert await house.rows("SELECT 1 FROM alert") == []


async def test_an_occurrence_that_came_again_is_counted_when_it_has_been_quiet_for_an_hour(house, ticks, sound, attend):
    for _ in range(20):
        await sound(Alert.BOUNCE, "john", "A text came back.", to_do="Look.")
        ticks.advance(timedelta(minutes=10))
        await attend()
    assert await lines(house) == ["A text came back. Look."]
    ticks.advance(timedelta(hours=1))
    await attend()
    assert (await lines(house))[1:] == ["Over after 3 hours, 20 times: A text came back. Look."]


async def test_of_a_kind_there_are_these_and_no_others(house, sound):
    async def keep(**found):
        return await house.store.run(alerts.keep, house.desk, Alert.WAITING, found)

    assert await keep(outbox="Texts wait.", delivery="Stanzas wait.")
    assert not await keep(outbox="Texts wait longer.", delivery="Stanzas wait longer.")
    assert await gauge(house, Alert.WAITING) == 2
    assert await keep(outbox="Texts wait.")
    assert await gauge(house, Alert.WAITING) == 1
    assert [line.partition(":")[0] for line in await lines(house)][2:] == ["Over after 0 seconds"]


async def test_a_commit_that_fails_leaves_neither_the_alert_nor_its_line(house, sound):
    for statement in range(1, 5):
        house.store.break_at(statement)
        with pytest.raises(StoreUnavailable):
            await sound(Alert.DISK, "store")
        assert await house.rows("SELECT 1 FROM alert") == await lines(house) == []
    assert await sound(Alert.DISK, "store")
    assert len(await lines(house)) == 1


async def test_when_the_clock_is_set_back_a_kind_still_has_its_lines(house, ticks, sound):
    for n in range(5):
        await sound(Alert.BOUNCE, f"{n}")
    ticks.advance(-timedelta(days=365))
    await sound(Alert.BOUNCE, "last", "Back then.", to_do="Look.")
    assert (await lines(house))[4:] == ["Back then. Look."]


async def test_the_journal_has_it_without_a_number_or_a_jid(sound, clear, capfd):
    await sound(Alert.CAP, "john@example.com", "The cap of +15551230001 is used up.")
    await clear(Alert.CAP, "john@example.com")
    told = "".join(capfd.readouterr())
    assert "alert_raised" in told
    assert "alert_cleared" in told
    assert "1230001" not in told
    assert "john" not in told


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=119), "119 seconds"),
        (timedelta(minutes=2), "2 minutes"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(days=30), "30 days"),
        (timedelta(days=-1), "0 seconds"),
    ],
)
def test_a_span_is_said_in_one_unit(span, words):
    assert english(lasting(span)) == words
