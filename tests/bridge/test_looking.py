"""Texts of unknown fate are looked for in the carrier's list: found, or sent again, or asked about."""

from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.core.doubt import OnUnknown, Unknowns
from smsbridge.core.errors import Indeterminate, Reason, Rejected, StoreUnavailable
from smsbridge.core.message import Kind
from smsbridge.core.state import PartEvent
from smsbridge.core.words.say import Say
from smsbridge.store import outbox
from smsbridge.store.questions import SETTLED
from tests.fakes.words import because, english

from .house import ADMIN, CARRIER, DOMAIN, FRIEND, JOHN, OWN, PEER

SETTLE = Unknowns().settle
LOST = Indeterminate("timeout")
TICK = ("receipt", f"{JOHN}/phone", f"{PEER}@{DOMAIN}", "id of one")


async def doubt(house, *texts, to=PEER):
    """The answer to the first text is lost; the others wait behind it."""
    house.provider.script(to, LOST)
    await house.accept(*texts, to=to)
    await house.dispatch()


async def look(house, settles=1.0):
    """Time goes by, everything due is looked at, and what may leave leaves."""
    house.ticks.advance(SETTLE * settles)
    await house.reconciler.look()
    await house.dispatch()


def show(house, provider_id, text="one", **about):
    house.listing.show(provider_id, text, **{"did": OWN, "peer": PEER, **about})


async def notices(house, to=JOHN):
    return [body for _, jid, _, body in await house.told("notice") if jid == to]


async def duplicates(house):
    return house.metrics.registry.get_sample_value(
        "smsbridge_duplicates_unavoidable_total", {"provider": CARRIER}
    ) or 0.0  # fmt: skip


async def trail(house):
    rows = await house.rows(
        "SELECT who, state, code FROM history WHERE subject = 'part' AND who <> 'outbound' ORDER BY id"
    )
    return [(row["who"], row["state"], row["code"]) for row in rows]


async def test_what_the_list_shows_was_sent_and_is_ticked(house):
    house.look_up()
    await doubt(house, "one", "two")
    assert await house.states() == ["unknown", "queued"]
    show(house, "77")
    await look(house, 1 / 8)
    assert await house.states() == ["sent", "sent"]
    assert (await house.told())[0] == TICK
    assert house.provider.texts == ["one", "two"]
    assert (await house.rows("SELECT provider_id FROM outbox ORDER BY id"))[0]["provider_id"] == "77"
    assert ("reconciler", "sent", "listed") in await trail(house)


async def test_nothing_is_looked_for_before_it_can_be_there(house):
    house.look_up()
    await doubt(house, "one")
    await look(house, 0.1)
    assert house.listing.looked == []


async def test_what_two_lists_a_settle_time_apart_lack_is_sent_again(house):
    house.look_up()
    await doubt(house, "one", "two")
    for settles in (1 / 8, 7 / 8, 0.9):
        await look(house, settles)
        assert await house.states() == ["unknown", "queued"]
    await look(house, 0.1)
    assert await house.states() == ["sent", "sent"]
    assert house.provider.texts == ["one", "one", "two"]
    assert (await house.told())[0] == TICK
    assert ("reconciler", "queued", "not_listed") in await trail(house)


async def test_a_list_that_lags_is_waited_for(house):
    house.look_up()
    await doubt(house, "one")
    at = house.ticks.now
    await look(house, 1)
    show(house, "77", at=at)
    await look(house, 1)
    assert await house.states() == ["sent"]
    assert house.provider.texts == ["one"]


async def test_three_tries_are_the_most(house):
    house.look_up()
    house.provider.script(PEER, LOST, LOST, LOST)
    await house.accept("one")
    await house.dispatch()
    for _ in range(3):
        await look(house, 1)
        await look(house, 1)
    assert await house.states() == ["unsure"]
    assert house.provider.texts == ["one"] * 3
    assert [kind for kind, *_ in await house.told()] == ["notice", "error", "notice"]


@pytest.mark.parametrize("broken", ["code", "error"])
async def test_lists_that_fail_prove_nothing_and_after_twenty_settle_times_the_writer_is_asked(house, broken):
    house.look_up()
    await doubt(house, "one", "two")
    setattr(house.listing, broken, "list_incomplete" if broken == "code" else RuntimeError("a bug"))
    for _ in range(30):
        await look(house, 0.5)
        assert (await house.states())[0] == "unknown"
    assert len(house.listing.looked) < 8, "ever rarer"
    assert await notices(house) == [english(Say.LOOKED_FOR())]
    await look(house, 5.1)
    assert await house.states() == ["unsure", "sent"]
    assert house.provider.texts == ["one", "two"]
    assert (await house.told("error"))[0][3] == because("unsure")


async def test_a_list_that_failed_in_between_is_no_list(house):
    house.look_up()
    await doubt(house, "one")
    await look(house, 1)
    house.listing.code = "http_502"
    await look(house, 1)
    assert await house.states() == ["unknown"]
    house.listing.code = ""
    await look(house, 1)
    assert house.provider.texts == ["one", "one"]


async def test_of_equal_texts_each_is_found_as_often_as_it_was_sent(house):
    house.look_up()
    house.provider.script(PEER, "1", LOST, "3", LOST)
    for n in range(4):
        await house.accept("ok", sid=f"s{n}")
    await house.dispatch()
    for provider_id in ("1", "2"):
        show(house, provider_id, "ok")
    await look(house, 1 / 8)
    assert await house.states() == ["sent", "sent", "sent", "unknown"]
    show(house, "3", "ok")
    await look(house, 1)
    await look(house, 1)
    assert await house.states() == ["sent"] * 4
    assert len(house.provider.calls) == 5
    ids = [row["provider_id"] for row in await house.rows("SELECT provider_id FROM outbox ORDER BY id")]
    assert ids[:3] == ["1", "2", "3"]


async def test_the_same_words_of_the_other_kind_are_neither_it_nor_nothing(house):
    house.look_up()
    await doubt(house, "one")
    show(house, "9", kind=Kind.MMS)
    for _ in range(4):
        await look(house, 1)
    assert await house.states() == ["unknown"]
    assert house.provider.texts == ["one"]


async def test_a_kill_at_any_point_goes_on_where_it_was(house, reopen):
    house.look_up()
    await doubt(house, "one")
    listing = house.listing
    await look(house, 1)
    for of, expected in (("judge", "unknown"), ("due", "unknown")):
        house = await reopen()
        house.look_up(listing)
        house.ticks.advance(SETTLE)
        house.store.refuse(1, of=of)
        with pytest.raises(StoreUnavailable):
            await house.reconciler.look()
        assert await house.states() == [expected]
    house = await reopen()
    house.look_up(listing)
    await look(house, 0)
    assert await house.states() == ["sent"]
    assert house.provider.texts == ["one"]


async def test_a_dead_claimants_text_is_looked_for(house, reopen):
    house.provider.shut(PEER)
    await house.accept("one")
    house.start()
    await house.called(1)
    await house.kill()
    heir = await reopen()
    heir.look_up()
    show(heir, "77", at=heir.ticks.now)
    await look(heir, 0)
    assert await heir.states() == ["unknown"]
    await look(heir, 1 / 8)
    assert await heir.states() == ["sent"]
    assert heir.provider.calls == []


class TestLateAcceptance:
    async def resent(self, house, *outcomes):
        """Proved absent, and sent again."""
        house.look_up()
        house.provider.script(PEER, LOST, *outcomes)
        await house.accept("one")
        await house.dispatch()
        await look(house, 1)
        await look(house, 1)

    async def test_a_first_try_that_turns_up_after_the_second_was_sent_is_told_counted_and_noted(self, house):
        await self.resent(house, "second")
        assert await house.states() == ["sent"]
        show(house, "first")
        await look(house, 3)
        assert await notices(house) == [english(Say.WENT_TWICE())]
        assert len(await notices(house, ADMIN)) == 1
        assert await duplicates(house) == 1
        assert ("reconciler", "twice", "") in await trail(house)
        await look(house, 30)
        assert await duplicates(house) == 1

    async def test_a_first_try_that_turns_up_before_the_second_left_spares_it(self, house):
        house.look_up()
        await doubt(house, "one")
        await look(house, 1)
        house.ticks.advance(SETTLE)
        await house.reconciler.look()
        assert await house.states() == ["queued"]
        show(house, "first")
        house.ticks.advance(3 * SETTLE)
        await house.reconciler.look()
        assert await house.states() == ["sent"]
        await house.dispatch()
        assert house.provider.texts == ["one"]
        assert await house.told() == [TICK]

    async def test_it_turns_up_while_the_second_is_unknown(self, house):
        await self.resent(house, LOST)
        assert await house.states() == ["unknown"]
        show(house, "first")
        await look(house, 1)
        assert await house.states() == ["sent"]
        assert await duplicates(house) == 0
        show(house, "second")
        await look(house, 10)
        assert await duplicates(house) == 1

    async def test_both_turn_up_at_once(self, house):
        await self.resent(house, LOST)
        show(house, "first")
        show(house, "second")
        await look(house, 1)
        assert await house.states() == ["sent"]
        assert await duplicates(house) == 1

    @pytest.mark.parametrize("second", ["second", LOST, Rejected(Reason.CARRIER_REFUSED, "no")], ids=str)
    async def test_it_turns_up_while_the_second_is_under_way(self, house, second):
        house.look_up()
        await doubt(house, "one")
        await look(house, 1)
        house.ticks.advance(SETTLE)
        await house.reconciler.look()
        house.provider.shut(PEER)
        house.provider.script(PEER, second)
        house.dispatcher = house.build_dispatcher()
        async with house.dispatching():
            await house.called(2)
            show(house, "first")
            house.ticks.advance(2 * SETTLE)
            await house.rows("UPDATE outbox SET lease_until = lease_until * 2")
            await house.reconciler.look()
            assert await house.states() == ["sending"]
            house.provider.open(PEER)
        assert await house.states() == ["sent"]
        assert [kind for kind, *_ in await house.told("receipt", "error")] == ["receipt"]
        assert await duplicates(house) == (1 if second == "second" else 0)

    async def test_what_was_unsure_and_turns_up_was_sent(self, house):
        house.look_up(on_unknown=OnUnknown.HOLD)
        await doubt(house, "one")
        await look(house, 0)
        assert await house.states() == ["unsure"]
        assert [row["answer"] for row in await house.rows("SELECT answer FROM question")] == [""]
        show(house, "late")
        await look(house, 4)
        assert await house.states() == ["sent"]
        assert [row["answer"] for row in await house.rows("SELECT answer FROM question")] == [SETTLED]
        assert "has left after all" in (await notices(house))[-1]

    async def test_sent_again_by_its_writers_word_it_is_two(self, house):
        house.look_up(on_unknown=OnUnknown.HOLD)
        await doubt(house, "one")
        await look(house, 0)
        part = (await house.rows("SELECT id FROM outbox"))[0]["id"]
        await house.store.run(outbox.move, house.ids, house.desk.now(), "asking", part, PartEvent.RESEND)
        await house.dispatch()
        assert await house.states() == ["sent"]
        show(house, "first")
        await look(house, 4)
        assert await duplicates(house) == 1
        assert (await notices(house))[-1] == english(Say.WENT_TWICE())

    async def test_what_was_called_off_and_turns_up_is_told(self, house):
        house.look_up(on_unknown=OnUnknown.HOLD)
        await doubt(house, "one")
        await look(house, 0)
        part = (await house.rows("SELECT id FROM outbox"))[0]["id"]
        await house.store.run(outbox.move, house.ids, house.desk.now(), "asking", part, PartEvent.CANCEL)
        show(house, "first")
        await look(house, 4)
        assert await house.states() == ["cancelled"]
        assert "has left after all" in (await notices(house))[-1]

    async def test_an_answer_that_comes_after_the_proof_is_heard(self, house):
        """A call that hung for longer than its lease: what it says in the end is evidence."""
        house.look_up()
        house.provider.shut(PEER)
        house.provider.script(PEER, "first", "second")
        await house.accept("one")
        async with house.dispatching():
            await house.called(1)
            gate = house.provider._shut.pop(PEER)
            house.ticks.advance(timedelta(minutes=4))
            await house.reconciler.look()
            for _ in range(2):
                house.ticks.advance(SETTLE)
                await house.reconciler.look()
            house.senders_bell.ring()
            await house.called(2)
            await house.quiet()
            gate.set()
        assert await house.states() == ["sent"]
        assert await duplicates(house) == 1
        assert (await notices(house))[-1] == english(Say.WENT_TWICE())


class TestOnUnknown:
    async def test_hold_asks_at_once(self, house):
        house.look_up(on_unknown=OnUnknown.HOLD)
        await doubt(house, "one", "two")
        await look(house, 0)
        assert await house.states() == ["unsure", "sent"]
        assert house.listing.looked == []

    async def test_resend_sends_again_blindly_three_times_at_most(self, house):
        house.look_up(on_unknown=OnUnknown.RESEND)
        house.provider.script(PEER, LOST, LOST, LOST)
        await house.accept("one")
        await house.dispatch()
        for _ in range(4):
            await look(house, 0)
        assert house.provider.texts == ["one"] * 3
        assert await house.states() == ["unsure"]

    async def test_what_was_sent_twice_by_order_is_told_all_the_same(self, house):
        house.look_up(on_unknown=OnUnknown.RESEND)
        await doubt(house, "one")
        await look(house, 0)
        assert await house.states() == ["sent"]
        show(house, "first")
        await look(house, 4)
        assert await duplicates(house) == 1

    async def test_a_carrier_without_a_list_is_not_looked_at(self, house):
        await doubt(house, "one")
        await look(house, 0)
        assert await house.states() == ["unsure"]


class TestTrust:
    async def known(self, house, *, is_shown):
        house.look_up()
        await house.accept("known")
        await house.dispatch()
        if is_shown:
            show(house, "pid-1", "known")
        house.ticks.advance(2 * SETTLE)

    async def test_a_list_that_shows_what_certainly_was_sent_is_believed(self, house):
        await self.known(house, is_shown=True)
        await doubt(house, "one")
        await look(house, 1)
        await look(house, 1)
        assert house.listing.looked == ["one", "one", "known"]
        assert house.provider.texts == ["known", "one", "one"]

    async def test_one_that_does_not_is_not_and_says_so_until_it_does(self, house):
        await self.known(house, is_shown=False)
        await doubt(house, "one")
        await doubt(house, "two", to=FRIEND)
        await look(house, 1)
        await look(house, 1)
        assert await house.states() == ["sent", "unsure", "unsure"]
        assert house.provider.texts == ["known", "one", "two"]
        assert len(await notices(house, ADMIN)) == 1
        await doubt(house, "three")
        await look(house, 0)
        assert (await house.states())[-1] == "unsure", "asked at once while the list is not believed"
        await look(house, 20)
        assert len(await notices(house, ADMIN)) == 1

        show(house, "pid-1", "known", at=house.ticks.now - 25 * SETTLE)
        await look(house, 20)
        assert len(await notices(house, ADMIN)) == 2
        await doubt(house, "four")
        await look(house, 1)
        assert (await house.states())[-1] == "unknown"

    async def test_a_clock_that_was_set_back_does_not_keep_it_from_proving_itself(self, house):
        await self.known(house, is_shown=False)
        await doubt(house, "one")
        await look(house, 1)
        await look(house, 1)
        assert await house.states() == ["sent", "unsure"]
        house.ticks.now -= timedelta(hours=2)
        show(house, "pid-1", "known", at=house.ticks.now)
        await house.reconciler.look()
        await doubt(house, "two", to=FRIEND)
        await look(house, 0)
        assert (await house.states())[-1] == "unknown", "looked for, as before"

    async def test_a_list_that_fails_when_it_has_to_prove_itself_proves_nothing(self, house):
        await self.known(house, is_shown=True)
        await doubt(house, "one")
        await look(house, 1)
        trace = house.listing.trace

        async def fail_on_known(part, since, now):
            found = await trace(part, since, now)
            return replace(found, candidates=(), is_whole=False, code="reset") if part.text == "known" else found

        house.listing.trace = fail_on_known
        await look(house, 1)
        assert (await house.states())[-1] == "unknown"
        house.listing.trace = trace
        await look(house, 1)
        assert house.provider.texts == ["known", "one", "one"]


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(house):
    house.look_up()
    await doubt(house, "one")
    house.ticks.now -= timedelta(days=3)
    await look(house, 0)
    await look(house, 1)
    await look(house, 1)
    assert await house.states() == ["sent"]
    assert house.provider.texts == ["one", "one"]


async def test_a_text_that_is_in_flight_has_more_need_of_a_row_than_one_that_was_sent_twice_perhaps(house):
    house.look_up()
    house.provider.script(PEER, LOST, "1")
    await house.accept("ok", sid="s1")
    await house.dispatch()
    await look(house, 1)
    await look(house, 1)
    show(house, "1", "ok")
    assert await house.states() == ["sent"]
    house.provider.script(PEER, LOST)
    await house.accept("ok", sid="s2")
    await house.dispatch()
    show(house, "2", "ok")
    house.ticks.advance(3 * SETTLE)
    await house.reconciler.look()
    assert await house.states() == ["sent", "sent"]
    assert await duplicates(house) == 0
    await look(house, 30)
    assert await duplicates(house) == 0
    show(house, "3", "ok", at=house.ticks.now - 20 * SETTLE)
    await look(house, 60)
    assert await duplicates(house) == 1
    assert len(house.provider.calls) == 3


async def test_a_carrier_that_gives_a_text_the_id_of_another_hides_neither(house):
    house.look_up()
    await doubt(house, "one")
    show(house, "77")
    house.provider.script(FRIEND, "77")
    await house.accept("two", to=FRIEND)
    await house.dispatch()
    await look(house, 1)
    assert await house.states() == ["sent", "sent"]
    assert house.provider.texts == ["one", "two"]
