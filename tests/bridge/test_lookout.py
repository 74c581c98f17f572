"""The disk, the stream, what waits and the clock are looked at, and the admins hear of it."""

from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.bridge.checkup import Checkup
from smsbridge.bridge.lookout import Lookout, Views
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.room import Room
from smsbridge.core.alerts import ADVICE, Alert
from smsbridge.core.errors import Deferred, Hold, Reason
from smsbridge.providers.contract import Finding
from tests.fakes.words import english

from .house import ADMIN, CARRIER, OWN, PEER, inbound


class Scene:
    """What the lookout sees."""

    def __init__(self, house):
        self.house, self.free, self.down_since = house, 100 * 2**20, None
        room = Room(lambda: self.free, 64 * 2**20, house.desk.clock)
        views = Views(
            room=room,
            backlog=house.progress.backlog,
            stream_down_since=lambda: self.down_since,
        )
        self.lookout = Lookout(house.desk, views)

    async def look(self, *, is_handing=True, **span):
        """Time goes by, and it looks once; what the admins have heard since."""
        before = len(await lines(self.house))
        if is_handing and self.down_since is None:
            await self.house.hand_all()
        self.house.ticks.advance(timedelta(**span))
        await self.lookout.look()
        return (await lines(self.house))[before:]


async def lines(house):
    return [body for _, to, _, body in await house.told("notice") if to == ADMIN]


@pytest.fixture
def scene(house):
    return Scene(house)


async def test_while_all_is_well_nobody_hears_anything(scene):
    for _ in range(10):
        assert await scene.look(hours=1) == []


async def test_a_disk_that_is_nearly_full_is_told_and_its_end(scene):
    scene.free = 12 * 2**20
    assert await scene.look(minutes=1) == [
        f"The disk has 12 MiB left, new texts are taken from 64 MiB on. {english(ADVICE[Alert.DISK].to_do)}"
    ]
    assert await scene.look(minutes=1) == []
    scene.free = 100 * 2**20
    (over,) = await scene.look(hours=3)
    assert over.startswith("Over after 3 hours: The disk has 12 MiB left")


async def test_a_stream_that_is_down_for_long_is_told_and_what_waits_for_it_is_no_news(scene, house, ticks):
    scene.down_since = ticks.now
    await house.take(inbound())
    assert await scene.look(minutes=5) == []
    (line,) = await scene.look(minutes=1)
    assert line == f"There is no stream to the XMPP server since 18:00 UTC. {english(ADVICE[Alert.STREAM].to_do)}"
    scene.down_since = None
    await house.hand_all()
    (over,) = await scene.look(minutes=4)
    assert over.startswith("Over after 4 minutes: There is no stream")


async def test_a_stream_that_breaks_again_and_again_is_told_once_until_it_has_settled(scene):
    told = []
    for _ in range(60):
        scene.house.metrics.streams_opened.inc()
        told += await scene.look(minutes=1)
    assert [line.partition(".")[0] for line in told] == [
        "The stream to the XMPP server was opened 6 times in 15 minutes"
    ]
    assert await scene.look(minutes=10) == []
    (over,) = await scene.look(minutes=10)
    assert over.startswith("Over after")


async def test_what_waits_for_too_long_is_told_by_the_table(scene, house):
    await house.accept("hello")
    await house.take(inbound())
    told = await scene.look(minutes=6, is_handing=False)
    assert sorted(line.partition(" for ")[0] for line in told) == ["A message has waited", "A text has waited"]
    await house.dispatch()
    await house.hand_all()
    assert len(await scene.look(minutes=1)) == 2


async def test_a_clock_from_before_there_was_a_bridge_is_told_and_texts_are_taken(scene, house, ticks):
    ticks.now = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    (line,) = await scene.look()
    assert line.startswith("The clock of this machine says 1970-01-01, which is long past. Set it")
    await house.take(inbound())
    ticks.now = datetime(2026, 10, 5, tzinfo=UTC)
    assert any(over.startswith("Over after") for over in await scene.look())


async def test_a_hold_that_gave_way_to_somebodys_word_is_over(scene, house):
    house.provider.script(PEER, Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", hold=Hold.ACCOUNT))
    await house.accept("hello")
    await house.dispatch()
    assert len(await lines(house)) == 1
    assert await scene.look() == []
    await house.rows("DELETE FROM hold")
    (over,) = await scene.look(minutes=2)
    assert over.startswith("Over after 2 minutes: The account scripted is on hold")


class TestAccounts:
    class Carrier:
        """It says what the test says."""

        def __init__(self):
            self.findings = []

        async def check(self, dids):
            assert dids == [OWN]
            if isinstance(self.findings, Exception):
                raise self.findings
            return self.findings

    @pytest.fixture
    def checkup(self, house):
        carrier = self.Carrier()
        checkup = Checkup(
            house.desk, CARRIER, carrier, Pacer(house.provider.capabilities, house.desk.clock), lambda: [OWN]
        )

        async def look(*findings):
            before = len(await lines(house))
            house.ticks.advance(timedelta(hours=4))
            carrier.findings = findings[0] if findings and isinstance(findings[0], Exception) else findings
            is_whole = await checkup.look()
            return is_whole, (await lines(house))[before:]

        return look

    async def test_a_low_balance_is_told_once_and_when_it_is_up_again(self, checkup):
        login = Finding(is_good=True, words="the login works")
        low = Finding(is_good=False, words="the balance is low: 0.50 USD", alert=Alert.BALANCE)
        good = Finding(is_good=True, words="the balance is 20.00 USD", alert=Alert.BALANCE)
        assert await checkup(login, good) == (True, [])
        assert await checkup(login, low) == (
            True,
            [f"Account scripted: the balance is low: 0.50 USD. {english(ADVICE[Alert.BALANCE].to_do)}"],
        )
        assert await checkup(login, low) == (True, [])
        assert await checkup(login, good) == (
            True,
            ["Account scripted: the balance is 20.00 USD. It lasted 8 hours, 2 times."],
        )

    async def test_an_account_that_is_refused_is_told_and_its_balance_is_left_as_it_was(self, checkup, house):
        low = Finding(is_good=False, words="the balance is low", alert=Alert.BALANCE)
        await checkup(low)
        _, told = await checkup(Finding(is_good=False, words="VoIP.ms refuses the login"))
        assert told == [f"Account scripted: VoIP.ms refuses the login. {english(ADVICE[Alert.ACCOUNT].to_do)}"]
        assert len(await house.rows("SELECT 1 FROM alert")) == 2

    async def test_a_carrier_that_says_nothing_changes_nothing_and_is_asked_again_soon(self, checkup, house):
        await checkup(Finding(is_good=False, words="the login is refused"))
        silent = Finding(is_good=False, words="no answer", alert=None)
        assert await checkup(silent) == (False, [])
        assert await checkup(Finding(is_good=True, words="the login works"), silent) == (False, [])
        assert await checkup(ValueError("a bug")) == (False, [])
        house.store.refuse(1, of="_tell")
        assert await checkup(Finding(is_good=True, words="the login works")) == (False, [])
        is_whole, told = await checkup(Finding(is_good=True, words="the login works"))
        assert is_whole
        assert told == ["Account scripted: the login works. It lasted 20 hours."]
