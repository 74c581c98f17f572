"""A tick that means "it arrived", from a carrier that says so in its list alone, minutes later, or never."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge import reporting
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.reporting import Reporting
from smsbridge.core.line import Receipts
from smsbridge.sim.faults import Fault, Moment
from tests.fakes.words import because

from .account import account_of
from .house import CARRIER, DOMAIN, JOHN, OWN, PEER, outbound, with_line

FULL, CONTACT = f"{JOHN}/phone", f"{PEER}@{DOMAIN}"
TICK = ("receipt", FULL, CONTACT, "s1")
REFUSED = because("carrier_refused")
LISTS = {"getSMS", "getMMS"}


class Play:
    """An account whose list lags, and who asks it."""

    def __init__(self, house, ticks, account):
        self.house, self.ticks, self.account = house, ticks, account
        self.open_reporting()

    def open_reporting(self):
        """What a new life begins with."""
        pacer = Pacer(replace(self.account.provider.capabilities, calls_per_second=1e6), self.house.desk.clock)
        self.reporting = Reporting(
            self.house.desk, CARRIER, self.account.provider, pacer, self.house.inbound, roll=lambda: 0.0
        )

    async def send(self, text="Dinner at 7?", **about):
        await self.house.outbound.accept(outbound(text, **about))
        await self.house.dispatch()

    async def go_by(self, span):
        """So much time, with every look that falls into it."""
        end = self.ticks.now + span
        while self.ticks.now < end:
            wait = await self.reporting.look()
            self.ticks.advance(min(wait, end - self.ticks.now))
        await self.reporting.look()

    def says(self, words):
        """The carrier's word on the last text."""
        ledger = self.account.carrier.ledger
        ledger.set_carrier_status(ledger.sent[-1], words)

    @property
    def lists(self):
        return sum(count for method, count in self.account.carrier.calls.items() if method in LISTS)


@pytest.fixture
async def open_play(house, ticks):
    async with AsyncExitStack() as stack:

        async def open_(receipts=Receipts.DELIVERED, **options):
            house.rules = with_line(OWN, receipts=receipts)
            return Play(house, ticks, await stack.enter_async_context(account_of(house, ticks, **options)))

        yield open_


async def test_the_tick_comes_when_the_list_says_that_it_arrived_and_not_before(open_play, house):
    play = await open_play(status_lag=200)
    await play.send()
    await play.go_by(timedelta(seconds=190))
    assert await house.states() == ["sent"]
    assert await house.told() == []
    await play.go_by(timedelta(seconds=200))
    assert await house.states() == ["delivered"]
    assert await house.told() == [TICK]


async def test_the_looks_become_rarer_and_nobody_looks_when_nobody_waits(open_play):
    play = await open_play(status_lag=None)
    await play.go_by(timedelta(hours=1))
    assert play.lists == 0
    await play.send()
    await play.go_by(timedelta(hours=1))
    first = play.lists
    assert 2 * 8 <= first <= 2 * 16
    await play.go_by(timedelta(hours=1))
    assert play.lists - first <= 2 * 5
    play.account.carrier.account.config = replace(play.account.carrier.account.config, status_lag=0.0)
    await play.go_by(timedelta(minutes=20))
    told = play.lists
    await play.go_by(timedelta(hours=1))
    assert play.lists == told


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_it(open_play, house, ticks):
    play = await open_play(status_lag=200)
    await play.send()
    await play.go_by(timedelta(seconds=190))
    ticks.now -= timedelta(hours=1)
    play.account.carrier.account.now = lambda: ticks.now + timedelta(hours=1)  # it has a clock of its own
    await play.go_by(timedelta(minutes=10))
    assert await house.told() == [TICK]


@pytest.mark.parametrize("about", [{"receipt": False}, {"sid": ""}])
async def test_for_who_wants_no_tick_no_call_is_made(open_play, about):
    play = await open_play(status_lag=None)
    await play.send(**about)
    await play.go_by(timedelta(hours=1))
    assert play.lists == 0


async def test_a_line_whose_tick_is_the_carriers_yes_costs_no_call(open_play, house):
    play = await open_play(Receipts.ACCEPTED, status_lag=None)
    await play.send()
    await play.go_by(timedelta(hours=1))
    assert play.lists == 0
    assert await house.told() == [TICK]


async def test_without_a_word_for_a_day_nobody_waits_any_more_and_there_is_no_tick(open_play, house):
    play = await open_play(status_lag=None)
    await play.send()
    await play.go_by(reporting.BOUND + timedelta(minutes=5))
    asked = play.lists
    await play.go_by(timedelta(hours=2))
    assert play.lists == asked
    assert await house.told() == []
    assert await house.states() == ["sent"]


async def test_a_report_that_comes_when_nobody_waits_any_more_still_counts(open_play, house):
    play = await open_play(status_lag=reporting.BOUND.total_seconds() + 1)
    await play.send()
    await play.go_by(reporting.BOUND + timedelta(minutes=5))
    assert await house.told() == []
    play.account.carrier.account.config = replace(play.account.carrier.account.config, status_lag=0.0)
    await play.account.look()
    assert await house.told("receipt") == [TICK]


@pytest.mark.parametrize("receipts", list(Receipts))
async def test_a_late_failure_is_an_error_on_the_text_and_a_line_that_says_which_once(open_play, house, receipts):
    play = await open_play(receipts, status_lag=60)
    await play.send()
    play.says("Message rejected by carrier.")
    play.ticks.advance(timedelta(minutes=2))
    for _ in range(3):
        await play.account.look()
        await play.go_by(timedelta(minutes=2))
    assert await house.states() == ["failed"]
    line = ("notice", JOHN, CONTACT, f"Your text “Dinner at 7?”: {REFUSED}")
    tick = [TICK] if receipts is Receipts.ACCEPTED else []
    assert await house.told("receipt", "error", "notice") == [*tick, ("error", FULL, CONTACT, REFUSED), line]


async def test_words_that_nobody_knows_prove_nothing(open_play, house):
    play = await open_play()
    await play.send()
    play.says("Handed over to the moon.")
    await play.go_by(timedelta(minutes=10))
    assert await house.states() == ["sent"]
    assert await house.told() == []


async def test_a_list_that_cannot_be_read_is_asked_again_later(open_play, house):
    play = await open_play()
    await play.send()
    for method in LISTS:
        play.account.carrier.config.faults.arm(
            Fault(when=Moment.BEFORE_ACCEPT, method=method, http_status=502, times=2)
        )
    await play.go_by(timedelta(minutes=1))
    assert await house.told() == []
    await play.go_by(timedelta(minutes=10))
    assert await house.told() == [TICK]


async def test_a_new_life_goes_on_waiting(open_play, house):
    play = await open_play(status_lag=120)
    await play.send()
    await play.go_by(timedelta(seconds=60))
    play.open_reporting()
    await play.go_by(timedelta(minutes=5))
    assert await house.told() == [TICK]
