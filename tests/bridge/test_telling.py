"""What the sender learns: a tick when it is true, the reason when it failed, each of them once."""

from datetime import timedelta

import pytest

from smsbridge.core.errors import Deferred, Indeterminate, Reason, Rejected
from smsbridge.core.line import Receipts
from smsbridge.core.message import Kind, ReportState
from tests.fakes.words import because

from .house import ANN, DOMAIN, JOHN, OWN, PEER, SHARED, outbound, report, with_line

FULL, CONTACT = f"{JOHN}/phone", f"{PEER}@{DOMAIN}"
TICK = ("receipt", FULL, CONTACT, "s1")
NO = Rejected(Reason.INVALID_DESTINATION, "invalid_dst", "This number takes no texts.")
DOUBT = Indeterminate("timeout")
THREE = "x" * 321  # three parts over a line without MMS


@pytest.fixture
def house(house):
    house.rules = with_line(OWN, can_mms=False)
    return house


def error(body):
    return ("error", FULL, CONTACT, body)


def line_of_chat(body):
    return ("notice", JOHN, CONTACT, body)


async def send(house, text="hello", **about):
    await house.outbound.accept(outbound(text, **about))
    await house.dispatch()


class TestReceipts:
    async def test_a_tick_goes_back_when_the_carrier_took_the_text(self, house):
        await send(house)
        assert await house.told() == [TICK]

    async def test_not_before_all_parts_are_taken(self, house):
        house.provider.script(PEER, "a", "b")
        await house.outbound.accept(outbound(THREE))
        async with house.dispatching():
            await house.called(2)
            house.provider.shut(PEER)
            await house.called(3)
            assert await house.states() == ["sent", "sent", "sending"]
            assert await house.told() == []
            house.provider.open(PEER)
        assert await house.told() == [TICK]

    async def test_there_is_none_while_a_part_waits(self, house):
        house.provider.script(PEER, "a", "b", Deferred(Reason.PROVIDER_DOWN, "down"))
        await send(house, THREE)
        assert await house.states() == ["sent", "sent", "queued"]
        assert await house.told() == []

    @pytest.mark.parametrize("about", [{"receipt": False}, {"sid": ""}])
    async def test_nobody_is_ticked_who_did_not_ask(self, house, about):
        await send(house, **about)
        assert await house.states() == ["sent"]
        assert await house.told() == []

    async def test_on_a_line_that_ticks_what_arrived_the_carriers_word_is_not_enough(self, house):
        house.rules = with_line(OWN, can_mms=False, receipts=Receipts.DELIVERED)
        await send(house, THREE)
        for n in (1, 2):
            await house.take(report(f"pid-{n}"))
        assert await house.told() == []
        await house.take(report("pid-3"))
        assert await house.told() == [TICK]

    async def test_a_report_after_the_tick_makes_no_second_one(self, house):
        await send(house)
        await house.take(report("pid-1"))
        assert await house.states() == ["delivered"]
        assert await house.told() == [TICK]

    async def test_the_line_of_its_day_decides_for_a_text(self, house):
        house.rules = with_line(OWN, receipts=Receipts.DELIVERED)
        await house.outbound.accept(outbound())
        house.rules = with_line(OWN, receipts=Receipts.ACCEPTED)
        await house.dispatch()
        assert await house.told() == []

    async def test_only_who_wrote_is_ticked(self, house):
        await house.outbound.accept(outbound("hello", to=f"{PEER}%{SHARED}", owner=ANN))
        await house.dispatch()
        assert await house.told() == [("receipt", f"{ANN}/phone", f"{PEER}%{SHARED}@{DOMAIN}", "s1")]


class TestErrors:
    async def test_a_refused_text_comes_back_in_the_carriers_meaning(self, house):
        house.provider.script(PEER, NO)
        await send(house)
        assert await house.told() == [error("This number takes no texts.")]
        (row,) = await house.rows("SELECT reason, about FROM delivery")
        assert (row["reason"], row["about"]) == ("invalid_destination", "s1")

    async def test_without_the_carriers_words_our_own_are_used(self, house):
        house.provider.script(PEER, Rejected(Reason.INVALID_DESTINATION, "invalid_dst"))
        await send(house)
        assert await house.told() == [error(because("invalid_destination"))]

    async def test_it_is_told_even_to_those_who_ask_for_no_receipt(self, house):
        house.provider.script(PEER, NO)
        await send(house, receipt=False)
        assert await house.told() == [error("This number takes no texts.")]

    async def test_without_a_stanza_id_it_is_a_line_of_chat(self, house):
        house.provider.script(PEER, NO)
        await send(house, sid="")
        assert await house.told() == [line_of_chat("This number takes no texts.")]

    async def test_the_first_failed_part_cancels_those_after_it(self, house):
        house.provider.script(PEER, "a", NO)
        await send(house, THREE)
        assert await house.states() == ["sent", "failed", "cancelled"]
        assert await house.told() == [error("Part 2 of 3: This number takes no texts. 1 of 3 parts had been sent.")]
        assert len(house.provider.calls) == 2

    async def test_if_nothing_had_left_it_says_so(self, house):
        house.provider.script(PEER, NO)
        await send(house, THREE)
        assert await house.told() == [error("Part 1 of 3: This number takes no texts. Nothing of it was sent.")]

    async def test_the_next_text_of_the_conversation_goes_on(self, house):
        house.provider.script(PEER, NO)
        await house.accept(THREE, "next")
        await house.dispatch()
        assert await house.states() == ["failed", "cancelled", "cancelled", "sent"]

    @pytest.mark.parametrize(("waited", "is_late"), [(timedelta(seconds=15), False), (timedelta(seconds=16), True)])
    async def test_a_late_failure_is_also_a_line_of_chat(self, house, ticks, waited, is_late):
        house.provider.script(PEER, NO)
        await house.outbound.accept(outbound())
        ticks.advance(waited)
        await house.dispatch()
        words = "This number takes no texts."
        line = line_of_chat(f"Your text “hello”: {words}")
        assert await house.told() == [error(words), *([line] if is_late else [])]

    async def test_a_bounce_after_the_tick_is_also_a_line_of_chat(self, house):
        await send(house)
        await house.take(report("pid-1", ReportState.FAILED))
        words = because("carrier_refused")
        assert await house.told() == [TICK, error(words), line_of_chat(f"Your text “hello”: {words}")]

    async def test_the_line_of_chat_quotes_the_beginning_of_a_long_text(self, house):
        house.rules = with_line(OWN)
        await send(house, "so many\n words " * 30)
        await house.take(report("pid-1", ReportState.FAILED, kind=Kind.MMS))
        (told,) = await house.told("notice")
        start = ("so many words " * 30)[:60].rstrip()
        assert told == line_of_chat(f"Your text “{start}…”: {because('carrier_refused')}")

    async def test_a_prompt_bounce_without_a_tick_is_an_error_alone(self, house):
        await send(house, receipt=False)
        await house.take(report("pid-1", ReportState.FAILED))
        assert await house.told() == [error(because("carrier_refused"))]

    async def test_a_bounce_of_an_early_part_cancels_what_has_not_left(self, house):
        house.provider.script(PEER, "a", Deferred(Reason.PROVIDER_DOWN, "down"))
        await send(house, THREE)
        await house.take(report("a", ReportState.FAILED))
        assert await house.states() == ["failed", "cancelled", "cancelled"]
        assert [kind for kind, *_ in await house.told()] == ["error"]

    async def test_several_failures_of_one_text_are_told_once(self, house):
        house.provider.script(PEER, "a", "b", "c")
        await send(house, THREE)
        await house.take(*(report(pid, ReportState.FAILED) for pid in "abc"))
        assert [kind for kind, *_ in await house.told()] == ["receipt", "error", "notice"]

    async def test_each_stanza_has_an_id_of_its_own_that_never_changes(self, house):
        await send(house)
        await house.take(report("pid-1", ReportState.FAILED))
        stanza_ids = [row["stanza_id"] for row in await house.rows("SELECT stanza_id FROM delivery")]
        assert len(set(stanza_ids)) == 3


class TestDoubt:
    async def test_the_sender_learns_that_it_may_not_have_been_sent(self, house):
        house.provider.script(PEER, DOUBT)
        await send(house)
        assert await house.told() == []
        await house.reconciler.look()
        assert await house.told("error") == [error(because("unsure"))]

    async def test_of_several_parts_it_says_what_left_for_certain(self, house):
        house.provider.script(PEER, "a", DOUBT)
        await send(house, THREE)
        await house.reconciler.look()
        assert await house.states() == ["sent", "unsure", "cancelled"]
        assert await house.told("error") == [
            error(f"Part 2 of 3: {because('unsure')} 1 of 3 parts was sent for certain.")
        ]

    async def late_answer(self, house, outcome, *texts, **about):
        """The carrier's answer comes when the part was given up already."""
        house.provider.script(PEER, outcome)
        house.provider.shut(PEER)
        await house.outbound.accept(outbound(*texts, **about))
        async with house.dispatching():
            await house.called(1)
            house.ticks.advance(timedelta(minutes=4))
            await house.reconciler.look()
            assert (await house.states())[0] == "unsure"
            house.provider.open(PEER)

    async def test_unsure_then_found_is_ticked_and_said(self, house):
        await self.late_answer(house, "a")
        assert await house.states() == ["sent"]
        assert [kind for kind, *_ in await house.told()] == ["error", "notice", "notice", "receipt"]

    async def test_unsure_then_found_is_said_to_those_without_ticks(self, house):
        await self.late_answer(house, "a", receipt=False)
        assert (await house.told())[2:] == [line_of_chat("The text that may not have been sent has left after all.")]

    async def test_where_the_tick_means_arrival_unsure_then_found_is_said_at_once_and_ticked_by_the_report(self, house):
        house.rules = with_line(OWN, receipts=Receipts.DELIVERED)
        await self.late_answer(house, "a")
        assert (await house.told())[2:] == [line_of_chat("The text that may not have been sent has left after all.")]
        await house.take(report("a"))
        assert (await house.told())[3:] == [TICK]

    async def test_unsure_then_refused_is_told(self, house):
        await self.late_answer(house, NO)
        assert await house.states() == ["failed"]
        assert [kind for kind, *_ in await house.told()] == ["error", "notice", "error", "notice"]

    async def test_unsure_then_found_tells_that_the_rest_was_cancelled(self, house):
        await self.late_answer(house, "a", THREE)
        assert await house.states() == ["sent", "cancelled", "cancelled"]
        assert (await house.told("error"))[1:] == [
            error(f"Part 2 of 3: {because('cancelled')} 1 of 3 parts had been sent.")
        ]

    async def test_doubt_is_told_once(self, house):
        house.provider.script(PEER, DOUBT)
        await send(house)
        for _ in range(3):
            await house.reconciler.look()
        assert [kind for kind, *_ in await house.told()] == ["error", "notice"]
