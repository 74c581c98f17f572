"""What goes wrong around a send: a provider that breaks its contract, answers that come late, a store that fails."""

from datetime import timedelta

import pytest

from smsbridge.bridge import dispatcher
from smsbridge.bridge.dispatcher import LEASE
from smsbridge.bridge.settling import settle
from smsbridge.core.errors import Deferred, Indeterminate, Outcome, Reason, Rejected

from .house import FRIEND, PEER

DOWN = Deferred(Reason.PROVIDER_DOWN, "down")
BUSY = Deferred(Reason.THROTTLED, "busy")


async def tries(house):
    (row,) = await house.rows("SELECT attempt, tries FROM outbox")
    return row["attempt"], row["tries"]


class TestCrashes:
    @pytest.mark.parametrize(
        "bug", [RuntimeError("a text and +15559870002"), Outcome(Reason.BUG, "bare"), TimeoutError(), None, 17]
    )
    async def test_a_provider_that_breaks_its_contract_leaves_the_part_unknown(self, house, bug):
        house.provider.script(PEER, bug)
        await house.accept("one")
        await house.accept("two", to=FRIEND)
        await house.dispatch()
        assert await house.states() == ["unknown", "sent"]

    async def test_a_call_that_never_ends_is_given_up(self, house, monkeypatch):
        monkeypatch.setattr(dispatcher, "LEASE", timedelta(milliseconds=1))
        house.provider.shut(PEER)
        await house.accept("one")
        await house.dispatch()
        assert await house.states() == ["unknown"]
        (row,) = await house.rows("SELECT code FROM outbox")
        assert row["code"] == "timeout"

    async def test_what_no_outcome_is_cannot_be_settled(self, house):
        await house.accept("hello")
        house.provider.shut(PEER)
        async with house.dispatching():
            await house.called(1)
            with pytest.raises(TypeError):
                await settle(house.desk, house.provider.calls[0], Outcome(Reason.BUG, "bare"), lambda: 0.0)
            house.provider.open(PEER)


class TestLateAnswers:
    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            ("pid-9", "sent"),
            (Rejected(Reason.INVALID_DESTINATION, "invalid_dst"), "failed"),
            (DOWN, "unsure"),
            (Indeterminate("timeout"), "unsure"),
        ],
    )
    async def test_an_answer_after_the_part_was_given_up_is_evidence(self, house, ticks, outcome, state):
        house.provider.script(PEER, outcome)
        house.provider.shut(PEER)
        await house.accept("one", "two")
        async with house.dispatching():
            await house.called(1)
            ticks.advance(LEASE + timedelta(seconds=1))
            await house.reconciler.look()
            await house.called(2)  # the conversation goes on
            house.provider.open(PEER)
        assert await house.states() == [state, "sent"]
        assert len(house.provider.calls) == 2

    async def test_an_answer_to_an_older_attempt_changes_nothing(self, house):
        house.provider.script(PEER, DOWN)
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=5)
        first = house.provider.calls[0]
        assert await settle(house.desk, first, Rejected(Reason.BUG, "late"), lambda: 0.0) is None
        assert await house.states() == ["sent"]

    async def test_a_repeated_answer_changes_nothing(self, house):
        house.provider.script(PEER, BUSY)
        await house.accept("one")
        await house.dispatch()
        assert await settle(house.desk, house.provider.calls[0], BUSY, lambda: 0.0) is None
        assert await tries(house) == (1, 0)


@pytest.mark.usefixtures("impatient")
class TestFaultsOfTheStore:
    @pytest.mark.parametrize("outcome", ["pid-1", Rejected(Reason.BUG, "no"), BUSY, DOWN, Indeterminate("timeout")])
    @pytest.mark.parametrize("fault", ["refuse", "lose_answers"])
    async def test_settling_is_tried_until_it_is_done(self, house, outcome, fault):
        expected = {"pid-1": "sent", BUSY: "queued", DOWN: "queued"}.get(outcome) or (
            "failed" if isinstance(outcome, Rejected) else "unknown"
        )
        house.provider.script(PEER, outcome)
        await house.accept("hello")
        getattr(house.store, fault)(3, of="_settle")
        await house.dispatch()
        assert await house.states() == [expected]
        assert len(house.provider.calls) == 1
        assert len(await house.told()) == (expected in {"sent", "failed"})

    async def test_an_outage_longer_than_the_lease_loses_no_answer(self, house, ticks):
        house.provider.shut(PEER)
        await house.accept("hello")
        async with house.dispatching():
            await house.called(1)
            await self.settle_in_vain(house)
            ticks.advance(2 * LEASE)
            await self.settle_in_vain(house)
            house.store.refuse(0)
            await house.quiet()
        assert await house.states() == ["sent"]

    async def settle_in_vain(self, house):
        """The carrier has answered, and the store refuses it, and again."""
        house.store.refuse(10**9, of="_settle")
        if house.provider.in_flight:
            house.provider.open(PEER)

        async def is_trying():
            return house.store.refused < 10**9 - 1

        await house.until(is_trying)

    async def test_while_draining_an_outage_is_borne_for_the_length_of_a_lease(self, house, ticks):
        house.provider.shut(PEER)
        await house.accept("hello")
        house.start()
        await house.called(1)
        house.dispatcher.drain()
        await self.settle_in_vain(house)
        ticks.advance(LEASE + timedelta(seconds=1))
        await house.drain()
        assert await house.states() == ["sending"]

    async def test_a_claim_that_fails_is_tried_again(self, house):
        await house.accept("hello")
        house.store.refuse(3, of="_next")
        await house.dispatch()
        assert await house.states() == ["sent"]

    async def test_a_look_ahead_that_fails_is_tried_again(self, house):
        house.store.refuse(3, of="next_due")
        async with house.dispatching():
            await house.quiet()
            await house.accept("hello")
            await house.quiet()
        assert await house.states() == ["sent"]

    async def test_a_claim_that_was_committed_after_all_is_found_when_its_lease_is_over(self, house, ticks):
        await house.accept("one", "two")
        house.store.lose_answers(1, of="_next")
        async with house.dispatching():

            async def is_lost():
                return house.senders_bell.is_awaited and (await house.states())[0] == "sending"

            await house.until(is_lost)
            ticks.advance(LEASE + timedelta(seconds=1))
            await house.reconciler.look()
            await house.quiet()
        assert await house.states() == ["unsure", "sent"]
        assert house.provider.texts == ["two"]
