"""What time does: a word after five minutes on hold, the end after a day, forgetting after a week; adoption at once."""

import asyncio
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge import janitor
from smsbridge.bridge.handover import HandOver
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.janitor import PART_LIFE, Janitor
from smsbridge.bridge.outbound import Outbound
from smsbridge.bridge.telling import PATIENCE
from smsbridge.core.errors import Deferred, Hold, Reason
from smsbridge.core.line import Directory, Line, Receipts
from smsbridge.core.message import ProviderName
from smsbridge.store import retention
from smsbridge.xmpp.stanzas import render
from tests.fakes.provider import ScriptedProvider
from tests.fakes.words import because

from . import house as houses
from .house import (
    ADMIN,
    CARRIER,
    DOMAIN,
    ELSEWHERE,
    FRIEND,
    JOHN,
    OTHERS,
    OWN,
    PEER,
    SHARED,
    THIRD,
    inbound,
    outbound,
    report,
    with_line,
)

LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", "The login is refused.", hold=Hold.ACCOUNT)
NO_LINE = Deferred(Reason.LINE_FAULT, "invalid_did", hold=Hold.LINE)
DOWN = Deferred(Reason.PROVIDER_DOWN, "down")
A_MOMENT = timedelta(seconds=1)


class TestAdoption:
    """Of deliveries for a component of another name, whom nobody speaks for."""

    OLD = "typo.example.com"

    @pytest.fixture
    def draw(self, house):
        def draw(delivery):
            return render(
                delivery, now=house.desk.now(), speaks_for=lambda _: False, language_of=house.desk.language_of
            )

        house.lane.render = draw
        return draw

    @pytest.fixture
    async def orphans(self, house, ticks, draw):
        """Three texts, of which two had their bytes at once and one has them from a claim; an error, and its line."""
        desk = replace(house.desk, domain=self.OLD)
        inbound_then, handover = Inbound(desk, house.lane), HandOver(desk, house.stream_bell)
        house.lane.room = 2
        await inbound_then.take(CARRIER, [inbound("one", pid="1"), inbound(f'two@{self.OLD}"', pid="2")])
        house.lane.room = 0
        await inbound_then.take(CARRIER, [inbound("three", pid="3")])
        await handover.claim(1, draw)
        await house.outbound.accept(replace(outbound("four"), addressed=f"{PEER}@{self.OLD}/here"))
        ticks.advance(PART_LIFE + A_MOMENT)
        await Janitor(desk).expire()

    async def test_they_are_ours_in_their_order_with_all_their_words(self, house, draw, orphans):
        await house.janitor.adopt()
        assert house.stream_bell._event.is_set()
        claimed = await house.handover.claim(10, draw)
        drawn = [ET.fromstring(item.xml) for item in claimed.rendered]  # noqa: S314 - our own bytes
        assert [element.findtext("body") for element in drawn[:3]] == ["one", f'two@{self.OLD}"', "three"]
        assert {element.get("from").partition("/")[0] for element in drawn} == {f"{PEER}@{DOMAIN}"}
        assert [element.get("type") for element in drawn] == ["chat", "chat", "chat", "error", "chat"]
        assert drawn[3].get("from") == f"{PEER}@{DOMAIN}/here"
        assert claimed.unfit == ()

    async def test_a_few_at_a_time_are_all(self, house, draw, orphans, monkeypatch):
        monkeypatch.setattr(janitor, "AT_ONCE", 1)
        await house.janitor.adopt()
        assert {row["domain"] for row in await house.rows("SELECT domain FROM delivery")} == {DOMAIN}

    async def test_so_are_those_of_several_names(self, house, ticks, draw, orphans):
        older = replace(house.desk, domain="older.example.com")
        await Inbound(older, house.lane).take(CARRIER, [inbound("five", pid="5")])
        await house.janitor.adopt()
        assert {row["domain"] for row in await house.rows("SELECT domain FROM delivery")} == {DOMAIN}

    @pytest.mark.parametrize("answer", ["taken", Deferred(Reason.PROVIDER_DOWN, "down"), LOGIN])
    async def test_what_becomes_of_a_text_to_the_old_name_is_told_from_ours(self, house, ticks, draw, answer):
        """A server closes the stream over what comes from any other name."""
        house.provider.script(PEER, answer)
        then = Outbound(replace(house.desk, domain=self.OLD), lambda: {CARRIER: house.provider.capabilities})
        await then.accept(replace(outbound("four"), addressed=f"{PEER}@{self.OLD}/here"))
        await house.dispatch()
        ticks.advance(PATIENCE + A_MOMENT)
        await house.janitor.tell_waiting()
        ticks.advance(PART_LIFE)
        await house.janitor.expire()
        claimed = await house.handover.claim(10, draw)
        drawn = [ET.fromstring(item.xml) for item in claimed.rendered if item.delivery.to_jid != ADMIN]  # noqa: S314
        senders = {element.get("from") for element in drawn}
        assert {sender.partition("/")[0] for sender in senders} == {f"{PEER}@{DOMAIN}"}
        assert f"{PEER}@{DOMAIN}/here" in senders

    async def test_what_the_old_name_handed_over_is_doubted_as_ours_is(self, house, ticks, draw, orphans):
        """Its server was restarted to give it the new name, and that may have cost it what it was handed last."""
        then = HandOver(replace(house.desk, domain=self.OLD), house.stream_bell)
        await then.put_back(())
        first, second, third, *_ = [item.delivery for item in (await then.claim(10, draw)).rendered]
        await then.hand([first.id, second.id, third.id])
        await then.prove([first.id], ticks.now - timedelta(days=1))
        await house.janitor.adopt()
        await house.handover.doubt(ticks.now, is_guess=False)
        claimed = await house.handover.claim(10, draw)
        drawn = [ET.fromstring(item.xml) for item in claimed.rendered]  # noqa: S314 - our own bytes
        assert [element.findtext("body") for element in drawn[:2]] == [f'two@{self.OLD}"', "three"]
        assert {element.get("from").partition("/")[0] for element in drawn} == {f"{PEER}@{DOMAIN}"}

    async def test_what_nobody_doubts_is_not_handed_over_again(self, house, ticks, draw, orphans):
        then = HandOver(replace(house.desk, domain=self.OLD), house.stream_bell)
        await then.put_back(())
        await then.hand([item.delivery.id for item in (await then.claim(10, draw)).rendered])
        await house.janitor.adopt()
        assert (await house.handover.claim(10, draw)).rendered == ()


class TestExpiry:
    async def test_a_text_that_waited_a_day_is_given_up_and_told(self, house, ticks):
        await house.accept("hello")
        ticks.advance(PART_LIFE)
        await house.janitor.expire()
        assert await house.states() == ["queued"]
        ticks.advance(A_MOMENT)
        await house.janitor.expire()
        assert await house.states() == ["expired"]
        assert await house.told() == [
            ("error", f"{JOHN}/phone", f"{PEER}@{DOMAIN}", because("expired")),
            ("notice", JOHN, f"{PEER}@{DOMAIN}", f"Your text “hello”: {because('expired')}"),
        ]
        assert house.stream_bell._event.is_set()

    async def test_it_is_not_sent_afterwards(self, house, ticks):
        await house.accept("hello")
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.expire()
        await house.dispatch()
        assert house.provider.calls == []

    @pytest.mark.parametrize(
        ("fault", "reason", "why"),
        [
            (DOWN, "provider_down", because("provider_down")),
            (LOGIN, "account_fault", "The login is refused."),
            (NO_LINE, "line_fault", because("line_fault")),
        ],
    )
    async def test_the_sender_learns_what_kept_it(self, house, ticks, fault, reason, why):
        house.provider.script(PEER, fault)
        await house.accept("hello")
        await house.dispatch()
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.expire()
        assert await house.states() == ["expired"]
        (row,) = await house.rows("SELECT reason, body FROM delivery WHERE kind = 'error'")
        assert row == {"reason": reason, "body": f"This text could not be sent within a day. {why}"}

    async def test_what_waited_behind_a_hold_learns_of_it_as_well(self, house, ticks):
        house.provider.script(PEER, NO_LINE)
        await house.accept("one")
        await house.dispatch()
        await house.accept("two", to=FRIEND)
        await house.accept("three", to=f"{THIRD}%{SHARED}")
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.expire()
        assert [
            row["reason"] for row in await house.rows("SELECT reason FROM delivery WHERE kind = 'error' ORDER BY id")
        ] == [
            "line_fault",
            "line_fault",
            "expired",
        ]

    async def test_a_message_of_several_parts_is_told_once(self, house, ticks):
        house.rules = with_line(OWN, can_mms=False)
        house.provider.script(PEER, "a", DOWN)
        await house.accept("x" * 321)
        await house.dispatch()
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.expire()
        assert await house.states() == ["sent", "expired", "cancelled"]
        ((*_, body),) = await house.told("error")
        assert body.startswith("Part 2 of 3: This text could not be sent within a day.")
        assert body.endswith("1 of 3 parts had been sent.")

    async def test_what_the_carrier_has_is_left_alone(self, house, ticks):
        await house.accept("hello")
        await house.dispatch()
        ticks.advance(2 * PART_LIFE)
        await house.janitor.expire()
        assert await house.states() == ["sent"]

    async def test_more_than_fit_in_one_transaction_go_in_one_round(self, house, ticks, monkeypatch):
        monkeypatch.setattr(janitor, "AT_ONCE", 2)
        await house.accept(*"abcde")
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.expire()
        assert await house.states() == ["expired"] * 5
        assert len(await house.told("error")) == 5


class TestAccountsThatAreGone:
    async def test_what_nobody_will_ever_claim_is_given_up_at_once_and_told(self, house):
        await house.accept("hello")
        renamed = tuple(replace(line, provider=ProviderName("renamed")) for line in house.rules.directory)
        house.rules = replace(house.rules, directory=Directory(renamed))
        await house.janitor.expire()
        assert await house.states() == ["expired"]
        (row,) = await house.rows("SELECT reason, body FROM delivery WHERE kind = 'error'")
        assert row["reason"] == "line_fault"
        assert "is not configured any more" in row["body"]


class TestLinesThatMoved:
    @pytest.mark.parametrize("fault", [LOGIN, NO_LINE], ids=["account", "line"])
    async def test_what_waits_at_the_old_account_does_not_hold_up_what_leaves_from_the_new_one(self, house, fault):
        """It is the fault of the old one for which an admin moves a number."""
        old = ScriptedProvider("elsewhere")
        house.outbound = Outbound(house.desk, lambda: dict.fromkeys((CARRIER, ELSEWHERE), old.capabilities))
        new, house.provider = house.provider, old
        old.script(PEER, fault)
        await house.accept("one", to=f"{PEER}%{OTHERS}")
        await house.dispatch()
        await house.accept("two", to=f"{FRIEND}%{OTHERS}")
        assert await house.states() == ["held", "queued"]
        house.rules = replace(house.rules, directory=Directory((
            Line(did=OTHERS, provider=CARRIER, owners=(JOHN,)), Line(did=OWN, provider=ELSEWHERE, owners=(JOHN,)),
        )))  # fmt: skip
        await house.accept("three", to=f"{PEER}%{OTHERS}")
        await house.accept("four", to=f"{THIRD}%{OWN}")
        await house.janitor.expire()
        house.provider = new
        await house.dispatch()
        assert new.texts == ["three"]
        assert await house.states() == ["expired", "expired", "sent", "queued"]
        errors = await house.rows("SELECT reason FROM delivery WHERE kind = 'error'")
        assert errors == [{"reason": "not_owner"}] * 2


class TestClock:
    async def test_a_clock_that_is_set_back_makes_nothing_wait_for_longer_than_usual(self, house, ticks):
        house.provider.script(PEER, DOWN)
        await house.accept("hello")
        await house.dispatch()
        ticks.advance(-timedelta(hours=1))
        await house.janitor.pull_in()
        await house.dispatch()
        assert await house.states() == ["sent"]

    async def test_a_wait_that_a_carrier_asked_for_is_kept(self, house):
        wait = timedelta(hours=5)
        house.provider.script(PEER, Deferred(Reason.THROTTLED, "http_429", after=wait))
        await house.accept("hello")
        await house.dispatch()
        await house.janitor.pull_in()
        await house.dispatch()
        assert await house.states() == ["queued"]


class TestWaiting:
    @pytest.mark.parametrize(("fault", "why"), [(LOGIN, "The login is refused."), (NO_LINE, because("line_fault"))])
    async def test_after_five_minutes_on_hold_the_sender_is_told_once(self, house, ticks, fault, why):
        house.provider.script(PEER, fault)
        await house.accept("hello")
        await house.dispatch()
        ticks.advance(PATIENCE)
        await house.janitor.tell_waiting()
        before = len(await house.told())
        ticks.advance(A_MOMENT)
        for _ in range(3):
            await house.janitor.tell_waiting()
        ((kind, to, sender, body),) = (await house.told())[before:]
        assert (kind, to, sender) == ("notice", JOHN, f"{PEER}@{DOMAIN}")
        assert why in body
        assert house.stream_bell._event.is_set()

    async def test_those_behind_it_are_told_as_well(self, house, ticks):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        await house.dispatch()
        await house.accept("two", to=FRIEND)
        ticks.advance(PATIENCE + A_MOMENT)
        await house.janitor.tell_waiting()
        assert [sender for _, to, sender, _ in await house.told("notice") if to == JOHN] == [
            f"{PEER}@{DOMAIN}",
            f"{FRIEND}@{DOMAIN}",
        ]

    async def test_who_was_told_to_wait_is_ticked_when_it_has_left(self, house, ticks):
        house.provider.script(PEER, LOGIN)
        await house.accept("hello")
        async with house.dispatching():
            await house.quiet()
            ticks.advance(PATIENCE + A_MOMENT)
            await house.janitor.tell_waiting()
            await house.later(minutes=1)
            await house.janitor.tell_waiting()
        assert [kind for kind, to, *_ in await house.told() if JOHN in to] == ["notice", "receipt"]

    async def test_what_has_left_and_waits_for_its_report_is_not_told_about_nor_looked_for_again(self, house, ticks):
        house.rules = with_line(OWN, receipts=Receipts.DELIVERED)
        house.provider.script(PEER, "pid")
        await house.accept("hello")
        await house.dispatch()
        assert await house.rows("SELECT id FROM message WHERE told = ''") == []
        ticks.advance(PATIENCE + A_MOMENT)
        await house.janitor.tell_waiting()
        assert await house.told() == []
        await house.take(report("pid"))
        assert [kind for kind, *_ in await house.told()] == ["receipt"]

    async def test_who_was_told_to_wait_is_told_when_it_expired(self, house, ticks):
        house.provider.script(PEER, LOGIN)
        await house.accept("hello")
        await house.dispatch()
        ticks.advance(PART_LIFE + A_MOMENT)
        await house.janitor.tell_waiting()
        await house.janitor.expire()
        assert [kind for kind, to, *_ in await house.told() if JOHN in to] == ["notice", "error", "notice"]

    async def test_who_waits_for_a_carrier_that_is_down_is_told_and_so_is_who_waits_behind(self, house, ticks):
        house.provider.script(PEER, DOWN)
        await house.accept("hello")
        await house.dispatch()
        await house.accept("and more")
        ticks.advance(PATIENCE + A_MOMENT)
        await house.janitor.tell_waiting()
        first, second = await house.told("notice")
        assert because("provider_down") in first[3]
        assert "those before it" in second[3]


class TestForgetting:
    async def test_it_goes_on_until_all_is_forgotten_and_others_have_their_turn(self, house, ticks, monkeypatch):
        monkeypatch.setattr(retention, "SLICE", 2)
        for n in range(5):
            await house.accept(f"{n}", to=f"+1555987100{n}")
        await house.dispatch()
        await house.hand_all()
        ticks.advance(timedelta(days=91))
        forgetting = asyncio.create_task(house.janitor.forget())
        await house.store.run(retention.forget, ticks.now, retention.Spans(), retention.BEGIN)  # among its slices
        assert not forgetting.done()
        await forgetting
        for table in ("message", "outbox", "delivery", "history", "outbox_key"):
            assert await house.rows(f"SELECT 1 FROM {table}") == [], table  # noqa: S608


class TestRunning:
    async def run_until(self, house, holds):
        running = asyncio.create_task(house.janitor.run())
        try:
            await house.until(holds)
        finally:
            running.cancel()
            async with asyncio.timeout(houses.PATIENCE):
                await asyncio.wait([running])

    async def test_a_round_does_it_all(self, house, ticks, monkeypatch):
        """Old bodies are forgotten, an old text expires, one on hold is told about."""
        monkeypatch.setattr(janitor, "ROUND", 0.0)
        await house.accept("sent")
        await house.dispatch()
        await house.hand_all()
        ticks.advance(timedelta(days=31))
        await house.accept("old", to=FRIEND)
        ticks.advance(PART_LIFE + A_MOMENT)
        house.provider.script(PEER, LOGIN)
        await house.accept("held")
        await house.dispatch()
        ticks.advance(PATIENCE + A_MOMENT)

        async def is_done():
            texts = [row["text"] for row in await house.rows("SELECT text FROM outbox ORDER BY id")]
            told = [kind for kind, to, *_ in await house.told() if JOHN in to]
            return texts == [None, "old", "held"] and told.count("notice") >= 1

        await self.run_until(house, is_done)
        assert (await house.states())[0] == "sent"

    async def test_a_fault_of_the_store_ends_nothing(self, house, ticks, monkeypatch):
        monkeypatch.setattr(janitor, "ROUND", 0.0)
        await house.accept("hello")
        ticks.advance(PART_LIFE + A_MOMENT)
        house.store.refuse(3)

        async def is_expired():
            return await house.states() == ["expired"] and not house.store.refused

        await self.run_until(house, is_expired)
