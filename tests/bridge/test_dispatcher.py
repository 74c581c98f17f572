"""Claim, send, settle: in order, one at a time for each conversation, never twice."""

import asyncio
from datetime import timedelta

import pytest

from smsbridge.bridge import dispatcher
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.dispatcher import STALE, Dispatcher, Dispatchers
from smsbridge.bridge.pacer import Pacer
from smsbridge.core.errors import Deferred, Indeterminate, Reason
from smsbridge.core.message import ProviderName
from tests.fakes.provider import ScriptedProvider

from .house import ANN, CARRIER, FRIEND, OWN, PATIENCE, PEER, SHARED, THIRD, inbound, with_line

DOWN = Deferred(Reason.PROVIDER_DOWN, "down")
BUSY = Deferred(Reason.THROTTLED, "busy")


async def due(house):
    """In how many seconds the only part is due."""
    (row,) = await house.rows("SELECT due_at FROM outbox")
    return row["due_at"] / 1000 - house.ticks.now.timestamp()


async def tries(house):
    (row,) = await house.rows("SELECT attempt, tries FROM outbox")
    return row["attempt"], row["tries"]


async def test_a_text_is_sent_with_what_the_carrier_needs(house):
    await house.accept("hello")
    await house.dispatch()
    (part,) = house.provider.calls
    assert (part.did, part.peer, part.text, part.n, part.of, part.attempt) == ("+15551230001", PEER, "hello", 1, 1, 1)
    assert await house.states() == ["sent"]
    (row,) = await house.rows("SELECT provider_id FROM outbox")
    assert row["provider_id"] == "pid-1"
    assert house.metrics.part_outcomes.labels(CARRIER, "accepted")._value.get() == 1


async def test_it_is_sending_in_the_store_before_the_carrier_hears_of_it(house):
    seen = []

    class Looking:
        async def send(self, part):
            seen.extend(await house.rows("SELECT state, attempt, claimed_by, fingerprint <> '' AS f FROM outbox"))
            return "pid"

    house.dispatcher._sends = Looking()
    await house.accept("hello")
    async with house.dispatching():
        await house.quiet()
    assert seen == [{"state": "sending", "attempt": 1, "claimed_by": house.desk.holder, "f": 1}]


async def test_texts_that_come_while_it_waits_are_sent_at_once(house):
    async with house.dispatching():
        await house.quiet()
        await house.accept("one", "two")
        await house.quiet()
    assert house.provider.texts == ["one", "two"]


class TestAPause:
    """The machine stands still: whoever stands by may have taken the house and, in the end, sent the text again."""

    @staticmethod
    def pausing(house, monkeypatch, pause):
        """The first claim is committed, and then nothing happens for a while."""
        run = house.store.run

        async def run_and_pause(work, /, *args, **kwargs):
            found = await run(work, *args, **kwargs)
            if work.__name__ == "_next" and found.part is not None and found.part.attempt == 1:
                pause()
            return found

        monkeypatch.setattr(house.store, "run", run_and_pause)

    @pytest.mark.parametrize("seconds", [STALE.total_seconds() + 1, -3600])
    async def test_after_a_claim_nothing_is_sent_on_its_strength(self, house, ticks, monkeypatch, seconds):
        def pause():
            ticks.monotonic += abs(seconds)
            ticks.now += timedelta(seconds=seconds)

        self.pausing(house, monkeypatch, pause)
        await house.accept("hello")
        async with house.dispatching():
            await house.quiet()
            assert house.provider.calls == []
            assert await house.states() == ["queued"]
            await house.later(seconds=60)
        assert [part.attempt for part in house.provider.calls] == [2]
        assert await house.states() == ["sent"]
        assert house.desk.carriers.is_silent(CARRIER) is False

    async def test_a_machine_that_was_asleep_knows_it_by_its_clock_alone(self, house, ticks, monkeypatch):
        def sleep():
            ticks.now += timedelta(hours=8)

        self.pausing(house, monkeypatch, sleep)
        await house.accept("hello")
        async with house.dispatching():
            await house.quiet()
        assert house.provider.calls == []
        assert await house.states() == ["queued"]

    async def test_nor_if_another_has_the_house_by_now(self, house, ticks, monkeypatch, reopen):
        """What it would have to settle it cannot, and the text is looked for by who has it."""
        other = await reopen()
        other.look_up()

        def pause():
            ticks.advance(STALE + timedelta(seconds=1))
            house.store.refused = 1000  # fenced off

        self.pausing(house, monkeypatch, pause)
        await house.accept("hello")
        house.start()
        await house.until(lambda: _is(0 < house.store.refused < 1000))
        await other.reconciler.look()
        assert await other.states() == ["unknown"]
        assert house.provider.calls == []

    async def test_a_moment_is_none(self, house, ticks, monkeypatch):
        self.pausing(house, monkeypatch, lambda: ticks.advance(STALE / 2))
        await house.accept("hello")
        await house.dispatch()
        assert [part.attempt for part in house.provider.calls] == [1]


async def _is(value):
    return value


class TestConversations:
    async def test_one_part_of_a_conversation_is_in_flight_and_others_go_on(self, house):
        house.provider.shut(PEER)
        await house.accept("one", "two")
        await house.accept("three", to=FRIEND)
        async with house.dispatching():
            await house.called(2)
            assert house.provider.texts == ["one", "three"]
            house.provider.open(PEER)
            await house.called(3)
        assert house.provider.texts == ["one", "three", "two"]

    async def test_a_part_that_waits_holds_those_after_it_back(self, house):
        house.provider.script(PEER, DOWN)
        await house.accept("one", "two")
        await house.accept("three", to=FRIEND)
        async with house.dispatching():
            await house.quiet()
            assert house.provider.texts == ["one", "three"]
            await house.later(seconds=6)
        assert house.provider.texts == ["one", "three", "one", "two"]

    async def test_an_unknown_part_blocks_its_conversation_until_it_is_given_up(self, house):
        house.provider.script(PEER, Indeterminate("timeout"))
        await house.accept("one", "two")
        async with house.dispatching():
            await house.quiet()
            assert await house.states() == ["unknown", "queued"]
            assert house.reconciler_bell._event.is_set()
            await house.reconciler.look()
            await house.quiet()
        assert await house.states() == ["unsure", "sent"]
        assert house.provider.texts == ["one", "two"]

    async def test_no_more_are_in_flight_than_the_carrier_allows(self, house):
        peers = [f"+1555987100{n}" for n in range(8)]
        for peer in peers:
            house.provider.shut(peer)
            await house.accept("hello", to=peer)
        async with house.dispatching():
            await house.called(4)
            for peer in peers:
                house.provider.open(peer)
            await house.called(8)
        assert house.provider.most_in_flight == 4
        assert len({part.peer for part in house.provider.calls}) == 8

    async def test_the_same_number_over_another_line_is_another_conversation(self, house):
        house.provider.shut(PEER)
        await house.accept("one")
        await house.accept("two", to=f"{PEER}%+15551230002")
        async with house.dispatching():
            await house.called(2)
            house.provider.open(PEER)


class TestBackOff:
    async def test_the_wait_grows_with_each_try(self, house):
        house.provider.script(PEER, *[DOWN] * 12)
        await house.accept("hello")
        waits = []
        async with house.dispatching():
            await house.quiet()
            for _ in range(11):
                waits.append(await due(house))
                await house.later(seconds=waits[-1])
        assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
        assert await tries(house) == (12, 12)

    async def test_it_is_not_tried_before_it_is_due(self, house):
        house.provider.script(PEER, DOWN)
        await house.accept("hello")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=4.9)
            assert len(house.provider.calls) == 1
            await house.later(seconds=0.1)
        assert await house.states() == ["sent"]

    async def test_the_carrier_may_ask_for_a_longer_wait(self, house):
        house.provider.script(PEER, Deferred(Reason.PROVIDER_DOWN, "down", after=timedelta(minutes=5)))
        await house.accept("hello")
        await house.dispatch()
        assert await due(house) == 300

    async def test_being_throttled_is_no_try(self, house):
        house.provider.script(PEER, BUSY, BUSY, BUSY, DOWN)
        await house.accept("hello")
        waits = []
        async with house.dispatching():
            await house.quiet()
            for _ in range(4):
                waits.append(await due(house))
                await house.later(seconds=waits[-1])
        assert waits == [5, 5, 5, 5]
        assert await tries(house) == (5, 2)

    async def test_the_sender_hears_nothing_while_it_is_tried(self, house):
        house.provider.script(PEER, DOWN)
        await house.accept("hello")
        await house.dispatch()
        assert await house.told() == []

    async def test_it_waits_for_the_clock_by_itself(self, house, ticks):
        """The bell's own time is up when the next part is due: nobody has to ring."""
        house.provider.script(PEER, Deferred(Reason.THROTTLED, "busy"))
        await house.accept("hello")
        async with house.dispatching():
            await house.quiet()
            await house.later(seconds=4.999)  # it looked, and found a millisecond to wait
            ticks.advance(timedelta(milliseconds=1))
            await house.called(2)

    async def test_what_becomes_due_between_the_look_and_the_wait_is_not_waited_for_in_vain(self, house, ticks):
        house.provider.script(PEER, Deferred(Reason.THROTTLED, "busy"))
        await house.accept("hello")
        run, is_later = house.desk.database.run, False

        async def slow(work, *args):
            nonlocal is_later
            is_last_look = (
                work.__name__ == "_next" and house.metrics.part_outcomes.labels(CARRIER, "deferred")._value.get()
            )
            result = await run(work, *args)
            if is_last_look and not is_later:
                is_later = True
                ticks.advance(timedelta(seconds=5))
            return result

        house.desk.database.run = slow
        async with house.dispatching():
            await house.called(2)
        assert is_later


class TestDraining:
    async def test_what_is_in_flight_is_finished_and_nothing_more_is_claimed(self, house):
        house.provider.shut(PEER)
        await house.accept("one", "two")
        house.start()
        await house.called(1)
        house.dispatcher.drain()
        await house.accept("three", to=FRIEND)
        house.provider.open(PEER)
        await house.drain()
        assert house.provider.texts == ["one"]
        assert await house.states() == ["sent", "queued", "queued"]
        assert [kind for kind, *_ in await house.told()] == ["receipt"]

    async def test_it_ends_at_once_when_there_is_nothing_to_do(self, house):
        async with house.dispatching():
            await house.quiet()

    async def test_drained_before_it_began_it_claims_nothing(self, house):
        await house.accept("one")
        house.dispatcher.drain()
        house.start()
        await house.drain()
        assert house.provider.calls == []

    async def test_drained_while_every_slot_is_taken_it_claims_nothing_more(self, house):
        peers = [f"+1555987100{n}" for n in range(5)]
        for peer in peers:
            house.provider.shut(peer)
            await house.accept("hello", to=peer)
        house.start()
        await house.called(4)
        house.dispatcher.drain()
        for peer in peers:
            house.provider.open(peer)
        await house.drain()
        assert len(house.provider.calls) == 4


async def test_several_providers_work_side_by_side(house):
    """Each takes its own parts; waking and draining reach them all."""
    other = ScriptedProvider("elsewhere", on_call=house.changed.set)
    bells = {provider.name: Bell() for provider in (house.provider, other)}
    house.outbound._capabilities = lambda: dict.fromkeys(bells, other.capabilities)
    both = Dispatchers({
        provider.name: (
            Dispatcher(
                house.desk,
                provider,
                provider,
                Pacer(provider.capabilities, house.desk.clock),
                bells[provider.name],
                on_unknown=lambda: None,
            ),
            bells[provider.name],
        )
        for provider in (house.provider, other)
    })  # fmt: skip
    running = asyncio.create_task(both.run())
    await house.accept("here", to=THIRD)
    await house.accept("there", to=f"{THIRD}%+15551230003")
    both.wake()

    async def are_sent():
        return await house.states() == ["sent", "sent"]

    await house.until(are_sent)
    both.drain()
    async with asyncio.timeout(PATIENCE):
        await running
    assert (house.provider.texts, other.texts) == (["here"], ["there"])


async def test_texts_that_come_in_do_not_disturb_those_that_go_out(house):
    house.provider.shut(PEER)
    await house.accept("hello")
    async with house.dispatching():
        await house.called(1)
        await house.take(inbound("hello to you"))
        house.provider.open(PEER)
        await house.quiet()
    assert [kind for kind, *_ in await house.told()] == ["text", "receipt"]


class TestLinesThatMoved:
    async def test_many_are_refused_some_at_a_time_so_that_no_commit_takes_long(self, house, monkeypatch):
        monkeypatch.setattr(dispatcher, "REFUSED_AT_ONCE", 2)
        await house.accept(*map(str, range(5)))
        await house.accept("mine", to=f"{FRIEND}%{SHARED}")
        house.rules = with_line(OWN, owners=(ANN,))
        found = await house.store.run(house.dispatcher._next)
        assert (found.part, found.is_cut_short) == (None, True)
        assert await house.states() == [*["failed"] * 2, *["queued"] * 4]
        await house.dispatch()
        assert await house.states() == [*["failed"] * 5, "sent"]

    async def test_what_waits_is_not_sent_from_a_number_that_is_somebody_elses_now(self, house):
        await house.accept("mine", "and this")
        house.rules = with_line(OWN, owners=(ANN,))
        await house.dispatch()
        assert house.provider.calls == []
        assert await house.states() == ["failed", "failed"]
        row, _ = await house.rows("SELECT reason, body FROM delivery WHERE kind = 'error'")
        assert row["reason"] == "not_owner"
        assert "is not yours any more" in row["body"]

    async def test_nor_over_another_account_than_the_line_has_now(self, house):
        await house.accept("hello")
        house.rules = with_line(OWN, provider=ProviderName("other"))
        await house.dispatch()
        assert house.provider.calls == []
        assert await house.states() == ["failed"]
