"""The files of an MMS are found though its callback came before them."""

import asyncio
from dataclasses import replace

import pytest

from smsbridge.bridge import completing
from smsbridge.bridge.completing import Completing
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.pacer import Pacer
from smsbridge.core.errors import Deferred, Reason
from smsbridge.core.message import Kind, Source
from smsbridge.sim.pictures import JPEG
from tests.fakes.waiting import until

from .account import account_of
from .house import CARRIER, JOHN, inbound


@pytest.fixture
async def account(house, ticks):
    async with account_of(house, ticks, media_in_listing=False) as built:
        yield built


@pytest.fixture
def expected(house):
    """What the door said that files may be of."""
    found = []
    house.inbound = Inbound(house.desk, house.lane, found.append)
    return found


def asking(account, pauses):
    async def pause(seconds):
        pauses.append(seconds)

    pacer = Pacer(replace(account.provider.capabilities, calls_per_second=1e6), account.house.desk.clock)
    return Completing({CARRIER: account.provider}, {CARRIER: pacer}, pause=pause)


async def test_the_picture_follows_as_soon_as_the_carrier_has_it(account, house, expected):
    row = await account.text("look", media=(JPEG,), is_told=False)
    await house.take(inbound("look", pid=str(row.id), kind=Kind.MMS))
    assert await account.texts(JOHN) == ["look"]
    pauses = []
    await asking(account, pauses).complete(*expected, house.inbound.take_listed)
    assert await account.texts(JOHN) == ["look", row.media[0].url]
    assert pauses == [5.0]


async def test_one_that_has_none_is_asked_for_three_times(account, house, expected):
    row = await account.text("words alone", kind=Kind.MMS, is_told=False)
    await house.take(inbound("words alone", pid=str(row.id), kind=Kind.MMS))
    pauses = []
    await asking(account, pauses).complete(*expected, house.inbound.take_listed)
    assert sum(pauses) == 120
    assert await account.texts(JOHN) == ["words alone"]


async def test_a_carrier_that_does_not_answer_is_asked_again(account, house, expected, monkeypatch):
    row = await account.text("look", media=(JPEG,), is_told=False)
    await house.take(inbound("look", pid=str(row.id), kind=Kind.MMS))
    answers = [Deferred(Reason.PROVIDER_DOWN, "down"), ValueError("odd")]
    media_of = account.provider.media_of

    async def troubled(message):
        if answers:
            raise answers.pop(0)
        return await media_of(message)

    monkeypatch.setattr(account.provider, "media_of", troubled)
    await asking(account, []).complete(*expected, house.inbound.take_listed)
    assert await account.texts(JOHN) == ["look", row.media[0].url]


async def test_only_what_was_told_as_an_mms_without_files_is_expected(house, expected):
    await house.take(inbound("an sms"))
    await house.take(inbound("a picture", pid="2", kind=Kind.MMS, media=("https://voip.ms/media/1.jpg",)))
    await house.take(inbound("words", pid="3", kind=Kind.MMS))
    await house.take(inbound("words", pid="3", kind=Kind.MMS))
    assert [message.text for message in expected] == ["words"]


async def test_many_at_once_are_looked_for_and_not_without_limit(account, monkeypatch):
    monkeypatch.setattr(completing, "MOST", 3)
    begun, never = [], asyncio.Event()

    async def complete(message, _take):
        begun.append(message.provider_id)
        await never.wait()

    its = asking(account, [])
    monkeypatch.setattr(its, "complete", complete)
    for n in range(9):
        its.expect(inbound("words", pid=str(n + 1), kind=Kind.MMS))
    its.expect(inbound("listed", pid="90", kind=Kind.MMS, source=Source.POLL))
    its.expect(inbound("nameless", pid="", kind=Kind.MMS))
    running = asyncio.create_task(its.run(account.house.inbound.take_listed))
    await until(lambda: len(begun) == 3)
    its.expect(inbound("one more", pid="99", kind=Kind.MMS))
    await until(its._expected.empty)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert begun == ["1", "2", "3"]
