"""A fault of the account or of a line: its texts wait, one at a time probes, and what gets through lifts the hold."""

from datetime import timedelta

import pytest

from smsbridge.bridge.dispatcher import LEASE
from smsbridge.bridge.settling import MIN_PROBE
from smsbridge.core.alerts import ADVICE, Alert
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Rejected
from tests.fakes.words import because, english

from .house import ADMIN, ANN, CARRIER, FRIEND, OWN, PEER, SHARED, THIRD, with_line

LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", "The login is refused.", hold=Hold.ACCOUNT)
FUNDS = Deferred(Reason.FUNDS, "non_sufficient_funds", hold=Hold.ACCOUNT)
QUOTA = Deferred(Reason.QUOTA, "limit_reached", hold=Hold.QUOTA, after=timedelta(hours=1))
NO_LINE = Deferred(Reason.LINE_FAULT, "invalid_did", hold=Hold.LINE)


async def holds(house):
    return [(row["did"], row["hold"], row["code"]) for row in await house.rows("SELECT * FROM hold ORDER BY did")]


async def probe_in(house):
    (row,) = await house.rows("SELECT probe_at FROM hold")
    return row["probe_at"] / 1000 - house.ticks.now.timestamp()


async def tries(house):
    return [row["tries"] for row in await house.rows("SELECT tries FROM outbox ORDER BY id")]


class TestAccount:
    async def test_the_whole_account_stops(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        await house.dispatch()
        await house.accept("two", to=FRIEND)
        await house.accept("three", to=f"{THIRD}%{SHARED}")
        await house.dispatch()
        assert house.provider.texts == ["one"]
        assert await house.states() == ["held", "queued", "queued"]
        assert await holds(house) == [("", "account", "invalid_credentials")]

    async def test_one_part_probes_and_its_success_lets_the_others_go(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.accept("two", to=FRIEND)
            await house.accept("three", to=f"{THIRD}%{SHARED}")
            await house.later(seconds=await probe_in(house))
        assert await house.states() == ["sent"] * 3
        assert house.provider.texts == ["one", "one", "two", "three"]
        assert await holds(house) == []

    async def test_what_may_not_leave_any_more_takes_no_turn_from_what_may(self, house):
        """The fault is over, and the writer of those that are the first to probe has lost their number."""
        house.provider.script(PEER, LOGIN)
        await house.accept("one", to=f"{PEER}%{SHARED}")
        async with house.dispatching():
            await house.quiet()
            for n in range(5):
                await house.accept("lost", to=f"+1555987100{n}%{SHARED}", sid=f"lost {n}")
            await house.accept("two", to=FRIEND)
            house.rules = with_line(SHARED, owners=(ANN,))
            await house.later(seconds=await probe_in(house))
        assert await house.states() == [*["failed"] * 6, "sent"]
        assert house.provider.texts == ["one", "two"]
        assert await holds(house) == []

    async def test_while_a_probe_is_under_way_no_other_starts(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.accept("two", to=FRIEND)
            await house.accept("three", to=f"{THIRD}%{SHARED}")
            house.provider.shut(PEER)
            house.ticks.advance(timedelta(seconds=await probe_in(house)))
            house.senders_bell.ring()
            await house.called(2)

            async def has_looked_again():
                return house.senders_bell.is_awaited

            await house.until(has_looked_again)
            assert house.provider.texts == ["one", "one"]
            house.provider.open(PEER)
            await house.called(4)

    async def test_the_wait_between_probes_grows(self, house):
        house.provider.script(PEER, *[LOGIN] * 9)
        await house.accept("one")
        waits = []
        async with house.dispatching():
            await house.quiet()
            for _ in range(8):
                waits.append(await probe_in(house))
                await house.later(seconds=waits[-1])
        assert waits == [20, 40, 80, 160, 320, 640, 900, 900]
        assert all(wait >= MIN_PROBE.total_seconds() for wait in waits)

    async def test_it_is_not_probed_before_its_time(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=19.9)
            assert len(house.provider.calls) == 1
            await house.later(seconds=0.1)
        assert await house.states() == ["sent"]

    async def test_the_carrier_may_say_when(self, house):
        house.provider.script(PEER, QUOTA)
        await house.accept("one")
        await house.dispatch()
        assert await probe_in(house) == 3600
        assert await holds(house) == [("", "quota", "limit_reached")]

    async def test_a_fault_of_the_account_is_no_try_of_the_part(self, house):
        house.provider.script(PEER, LOGIN, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=20)
        assert await tries(house) == [0]

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Rejected(Reason.INVALID_DESTINATION, "invalid_dst"), "failed"),
            (Indeterminate("timeout"), "unknown"),
            (Deferred(Reason.PROVIDER_DOWN, "down"), "queued"),
        ],
    )
    async def test_an_answer_that_says_nothing_about_the_fault_leaves_it_on(self, house, outcome, state):
        house.provider.script(PEER, LOGIN, outcome)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.accept("two", to=FRIEND)
            await house.later(seconds=20)
            assert await house.states() == [state, "queued"]
            assert await holds(house) == [("", "account", "invalid_credentials")]
            await house.later(seconds=LEASE.total_seconds())
        assert (await house.states())[1] == "sent"
        assert await holds(house) == []

    async def test_what_was_under_way_when_the_hold_came_says_nothing_about_it(self, house):
        """Neither does its success lift the hold, nor does its failure count as a probe."""
        for peer in (FRIEND, THIRD):
            house.provider.shut(peer)
        house.provider.script(THIRD, FUNDS)
        house.provider.script(PEER, LOGIN)
        await house.accept("one", to=FRIEND)
        await house.accept("two", to=THIRD)
        async with house.dispatching():
            await house.called(2)
            await house.accept("three")

            async def is_held():
                return await holds(house) != []

            await house.until(is_held)
            for peer in (FRIEND, THIRD):
                house.provider.open(peer)
            await house.quiet()
            assert await house.states() == ["sent", "held", "held"]
            assert await holds(house) == [("", "account", "invalid_credentials")]
            assert await probe_in(house) == 20
            await house.later(seconds=20)
        assert await house.states() == ["sent"] * 3
        raised, lifted = await house.told("notice")
        assert "is on hold" in raised[3]
        assert "sends again" in lifted[3]


class TestLine:
    async def test_another_line_goes_on(self, house):
        house.provider.script(PEER, NO_LINE)
        await house.accept("one")
        await house.dispatch()
        await house.accept("two", to=FRIEND)
        await house.accept("three", to=f"{THIRD}%{SHARED}")
        await house.dispatch()
        assert await house.states() == ["held", "queued", "sent"]
        assert await holds(house) == [(OWN, "line", "invalid_did")]

    async def test_success_on_another_line_does_not_lift_it(self, house):
        house.provider.script(PEER, NO_LINE)
        await house.accept("one")
        await house.accept("two", to=f"{THIRD}%{SHARED}")
        await house.dispatch()
        assert await holds(house) == [(OWN, "line", "invalid_did")]

    async def test_a_probe_lifts_it(self, house):
        house.provider.script(PEER, NO_LINE)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=20)
        assert await house.states() == ["sent"]
        assert await holds(house) == []

    async def test_a_probe_may_find_the_line_at_fault_after_the_account(self, house):
        house.provider.script(PEER, LOGIN, NO_LINE, "pid")
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=20)
            assert await holds(house) == [("", "account", "invalid_credentials"), (OWN, "line", "invalid_did")]
            assert len(house.provider.calls) == 2  # and it does not hammer
            await house.later(seconds=LEASE.total_seconds())
        assert await house.states() == ["sent"]
        assert await holds(house) == []


class TestAlerts:
    async def test_the_admins_are_told_once(self, house):
        house.provider.script(PEER, LOGIN, LOGIN, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            for _ in range(2):
                await house.later(seconds=await probe_in(house))
        ((kind, to, sender, body),) = await house.told()
        assert (kind, to, sender) == ("notice", ADMIN, "")
        assert body == (
            "The account scripted is on hold, its texts wait (invalid_credentials): The login is refused."
            f" {english(ADVICE[Alert.HELD].to_do)}"
        )

    async def test_they_are_told_which_line(self, house):
        house.provider.script(PEER, NO_LINE)
        await house.accept("one")
        await house.dispatch()
        ((*_, body),) = await house.told()
        assert body.startswith(f"The line {OWN} is on hold, its texts wait (invalid_did): {because('line_fault')} Look")

    async def test_they_are_told_when_another_fault_takes_its_place(self, house):
        house.provider.script(PEER, LOGIN, FUNDS, FUNDS)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            for _ in range(2):
                await house.later(seconds=await probe_in(house))
        bodies = [body for *_, body in await house.told()]
        assert ["invalid_credentials" in body for body in bodies] == [True, False]
        assert len({row["stanza_id"] for row in await house.rows("SELECT stanza_id FROM delivery")}) == 2

    async def test_the_gauge_shows_what_is_on_hold(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.progress.backlog()
            assert house.metrics.holds.labels(CARRIER, "account")._value.get() == 1
            await house.later(seconds=20)
            await house.progress.backlog()
        assert b"smsbridge_holds{" not in house.metrics.render()


async def test_an_answer_that_comes_too_late_puts_nothing_on_hold(house, ticks):
    house.provider.script(PEER, LOGIN)
    house.provider.shut(PEER)
    await house.accept("one")
    async with house.dispatching():
        await house.called(1)
        ticks.advance(LEASE + timedelta(seconds=1))
        await house.reconciler.look()
        house.provider.open(PEER)
    assert await house.states() == ["unsure"]
    assert await holds(house) == []
