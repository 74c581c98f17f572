"""Deliveries on their way to the server: claimed in order, fixed before they are written, settled by the pong."""

from datetime import timedelta

import pytest

from smsbridge.bridge import handover
from smsbridge.bridge.handover import TIRED_ATTEMPTS, Unfit
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import DeliveryKind, Kind

from .house import ADMIN, ANN, DOMAIN, JOHN, PATIENCE, PEER, SHARED, inbound, outbound


async def states(house):
    return [row["state"] for row in await house.rows("SELECT state FROM delivery ORDER BY id")]


class TestClaiming:
    async def test_deliveries_come_in_the_order_of_their_commit(self, house):
        for n in range(5):
            await house.take(inbound(f"{n}", pid=f"{n}"))
        assert [row.body for row in await house.claim(3)] == ["0", "1", "2"]

    async def test_what_is_claimed_is_not_claimed_again(self, house):
        for n in range(5):
            await house.take(inbound(f"{n}", pid=f"{n}"))
        await house.claim(2)
        assert [row.body for row in await house.claim(2)] == ["2", "3"]

    async def test_nothing_waiting_is_an_empty_claim(self, house):
        assert (await house.handover.claim(10, bytes)).is_empty

    async def test_another_domains_deliveries_are_not_ours(self, house):
        await house.take(inbound())
        await house.rows("UPDATE delivery SET domain = 'other.example.com'")
        assert await house.claim() == []

    async def test_these_alone_if_any_are_named(self, house):
        for n in range(3):
            await house.take(inbound(f"{n}", pid=f"{n}"))
        rows = await house.rows("SELECT id FROM delivery ORDER BY id")
        claimed = await house.handover.claim(10, lambda row: b"x", [rows[2]["id"], rows[0]["id"]])
        assert [item.delivery.body for item in claimed.rendered] == ["0", "2"]

    async def test_the_bytes_are_committed_with_the_claim(self, house):
        await house.take(inbound())
        claimed = await house.handover.claim(10, lambda row: row.body.encode())
        assert [item.xml for item in claimed.rendered] == [b"hello"]
        assert await house.rows("SELECT state, xml, attempt FROM delivery") == [
            {"state": "handing", "xml": "hello", "attempt": 1}
        ]

    async def test_what_cannot_be_rendered_is_set_aside_and_the_rest_goes(self, house):
        await house.take(inbound("bad"), inbound("good", pid="2"))
        render = lambda row: Unfit(why="not XML") if row.body == "bad" else b"x"  # noqa: E731
        claimed = await house.handover.claim(10, render)
        assert [item.delivery.body for item in claimed.rendered] == ["good"]
        assert [(row.body, unfit.why) for row, unfit in claimed.unfit] == [("bad", "not XML")]
        assert (await states(house))[:2] == ["quarantined", "handing"]
        assert house.metrics.deliveries.labels("text", "quarantined")._value.get() == 1

    async def test_one_that_was_tried_too_often_is_named_when_its_turn_comes(self, house):
        await house.take(inbound("fresh"), inbound("tired", pid="2"), inbound("last", pid="3"))
        await house.rows("UPDATE delivery SET attempt = $1 WHERE body = 'tired'", TIRED_ATTEMPTS)
        assert [row.body for row in await house.claim()] == ["fresh"]
        claimed = await house.handover.claim(10, lambda row: b"x")
        assert claimed.rendered == ()
        (alone,) = (await house.handover.claim(10, lambda row: b"x", [claimed.tired])).rendered
        assert alone.delivery.body == "tired"


class TestPuttingBack:
    async def test_what_was_fixed_goes_again_unchanged_and_first_after_the_stream_died(self, house, reopen):
        await house.take(inbound("old"))
        await house.claim(10, lambda row: b"first")
        await house.take(inbound("new", pid="2"))
        heir = await reopen()
        await heir.handover.put_back(())
        claimed = await heir.handover.claim(10, lambda row: b"second")
        assert [(item.delivery.body, item.xml, item.delivery.attempt) for item in claimed.rendered] == [
            ("old", b"first", 1),
            ("new", b"second", 0),
        ]

    async def test_what_is_in_flight_stays_there(self, house):
        await house.take(inbound("a"), inbound("b", pid="2"))
        first, _ = await house.claim()
        await house.handover.put_back({first.id})
        assert await states(house) == ["handing", "waiting"]

    async def test_it_is_not_handed_before_the_pong(self, house):
        await house.take(inbound())
        await house.claim()
        assert await states(house) == ["handing"]


class TestHanding:
    async def test_the_pong_ends_a_delivery(self, house):
        await house.take(inbound())
        (row,) = await house.claim()
        await house.handover.hand([row.id])
        assert await states(house) == ["handed"]
        assert await house.claim() == []
        assert house.metrics.deliveries.labels("text", "handed")._value.get() == 1

    async def test_a_second_pong_counts_nothing(self, house):
        await house.take(inbound())
        (row,) = await house.claim()
        await house.handover.hand([row.id])
        await house.handover.hand([row.id])
        assert house.metrics.deliveries.labels("text", "handed")._value.get() == 1

    async def test_it_is_handed_when_the_pong_came_however_late_that_is_committed(self, house, ticks):
        await house.take(inbound())
        (row,) = await house.claim()
        ponged = ticks.now
        ticks.advance(timedelta(seconds=40))
        await house.handover.hand([row.id], ponged)
        assert await house.handover.doubt(ponged, is_guess=False) == 1

    async def test_what_a_dead_server_had_is_doubted_however_many_there_are(self, house, monkeypatch):
        monkeypatch.setattr(handover, "DOUBTED_AT_ONCE", 2)
        for n in range(5):
            await house.take(inbound(f"{n}", pid=f"{n}"))
        await house.hand_all()
        assert await house.handover.doubt(house.desk.now(), is_guess=False) == 5
        assert house.metrics.deliveries_doubted._value.get() == 5
        assert [row.body for row in await house.claim()] == ["0", "1", "2", "3", "4"]

    async def test_what_was_put_back_cannot_be_handed(self, house):
        await house.take(inbound())
        (row,) = await house.claim()
        await house.handover.put_back(())
        await house.handover.hand([row.id])
        assert await states(house) == ["waiting"]


class TestQuarantine:
    async def test_a_delivery_set_aside_does_not_come_again(self, house):
        await house.take(inbound("poison"), inbound("next", pid="2"))
        poison, _ = await house.claim()
        await house.handover.put_back(())
        await house.handover.quarantine(poison.id, "the server closes the stream")
        following, *notices = await house.claim()
        assert following.body == "next"
        assert [row.to_jid for row in notices] == [ADMIN, JOHN]
        assert all(row.kind == "notice" and poison.id in row.body and "poison" not in row.body for row in notices)
        assert (await states(house))[:2] == ["quarantined", "handing"]
        assert house.metrics.deliveries.labels("text", "quarantined")._value.get() == 1

    async def test_what_only_we_said_is_set_aside_without_a_word(self, house):
        await house.take(inbound("poison"))
        for row in await house.claim():
            await house.handover.quarantine(row.id, "bad")
        for row in await house.claim():
            await house.handover.quarantine(row.id, "bad as well")
        assert await house.claim() == []

    async def test_what_is_handed_is_not_set_aside_any_more(self, house):
        await house.take(inbound())
        (row,) = await house.hand_all()
        await house.handover.quarantine(row.id, "too late")
        assert await states(house) == ["handed"]


def said(answer):
    """Somebody who is asked, and counts it."""

    async def ask():
        ask.times += 1
        return answer

    ask.times = 0
    return ask


class TestBounces:
    async def handed(self, house, *events):
        await house.take(*(events or (inbound("a secret"),)))
        return (await house.hand_all())[-1]

    async def test_an_error_from_the_recipient_is_taken_and_the_admins_are_told_without_the_text(self, house):
        row = await self.handed(house)
        assert await house.handover.bounce(row.stanza_id, JOHN, "service-unavailable")
        assert await states(house) == ["bounced", "waiting"]
        ((kind, to, sender, body),) = await house.told("notice")
        assert (kind, to, sender) == ("notice", ADMIN, "")
        assert JOHN in body
        assert "service-unavailable" in body
        assert "a secret" not in body
        assert house.metrics.deliveries.labels("text", "bounced")._value.get() == 1

    @pytest.mark.parametrize("liar", [ANN, "john@evil.example.com", "j_hn@example.com", "john%"])
    async def test_an_error_from_anybody_else_is_ignored(self, house, liar):
        row = await self.handed(house)
        assert not await house.handover.bounce(row.stanza_id, liar, "service-unavailable")
        assert await states(house) == ["handed"]
        assert await house.told("notice") == []

    async def test_what_the_recipient_has_blocked_himself_alarms_nobody_and_is_not_tried_again(self, house):
        row = await self.handed(house)
        assert await house.handover.bounce(row.stanza_id, JOHN, "service-unavailable", said(True))
        assert await states(house) == ["bounced"]
        assert await house.told("notice") == []
        (step,) = await house.rows("SELECT code FROM history WHERE state = 'bounced'")
        assert step["code"] == "blocked"

    async def test_nobody_is_asked_about_what_is_not_his(self, house):
        row = await self.handed(house)
        asked = said(True)
        assert not await house.handover.bounce(row.stanza_id, ANN, "service-unavailable", asked)
        assert not await house.handover.bounce("unknown", JOHN, "service-unavailable", asked)
        assert asked.times == 0

    async def test_an_error_for_no_stanza_of_ours_is_ignored(self, house):
        assert not await house.handover.bounce("unknown", JOHN, "service-unavailable")

    async def test_one_cause_is_told_once_and_another_again(self, house):
        await house.take(inbound("look", kind=Kind.MMS, media=("https://media.example.com/1.jpg",)))
        for row, condition in zip(await house.hand_all(), ("gone", "gone"), strict=True):
            assert await house.handover.bounce(row.stanza_id, JOHN, condition)
        assert len(await house.told("notice")) == 1
        row = await self.handed(house, inbound("more", pid="2"))
        assert await house.handover.bounce(row.stanza_id, JOHN, "service-unavailable")
        assert len(await house.told("notice")) == 2

    async def test_each_recipient_is_a_cause_of_its_own(self, house):
        await house.take(inbound("hello", did=SHARED))
        for row in await house.hand_all():
            assert await house.handover.bounce(row.stanza_id, row.to_jid, "gone")
        assert len(await house.told("notice")) == 2

    async def test_the_bounce_of_a_notice_makes_no_other(self, house):
        row = await self.handed(house, inbound(did="+15551239999"))
        assert await house.handover.bounce(row.stanza_id, ADMIN, "gone")
        assert len(await house.told()) == 1

    async def test_a_receipt_to_a_full_jid_bounces_from_its_account(self, house):
        await house.outbound.accept(outbound())
        await house.dispatch()
        (row,) = await house.hand_all()
        assert row.to_jid == f"{JOHN}/phone"
        assert await house.handover.bounce(row.stanza_id, JOHN, "recipient-unavailable")
        assert len(await house.told()) == 1


async def test_a_store_that_cannot_is_heard_by_whoever_asks(house):
    await house.take(inbound())
    (row,) = await house.claim()
    for act in (
        lambda: house.handover.claim(10, lambda row: b"x"),
        lambda: house.handover.put_back(()),
        lambda: house.handover.prove([row.id], house.desk.now()),
        lambda: house.handover.doubt(house.desk.now(), is_guess=False),
        lambda: house.handover.hand([row.id]),
        lambda: house.handover.quarantine(row.id, "why"),
        lambda: house.handover.bounce(row.stanza_id, JOHN, "gone"),
        house.progress.backlog,
    ):
        house.store.refuse(1)
        with pytest.raises(StoreUnavailable):
            await act()
    assert await states(house) == ["handing"]


async def test_who_waits_is_woken(house):
    house.handover.wake()
    await house.handover.wait(PATIENCE * 10)


async def test_a_delivery_of_an_error_answers_the_stanza_from_where_it_was_addressed(house):
    await house.outbound.accept(outbound("hello"))
    await house.dispatch()
    (row,) = await house.claim()
    assert (row.domain, row.sender, row.about) == (DOMAIN, f"{PEER}@{DOMAIN}", "s1")


class TestFreshDeliveries:
    """Fixed in the commit that writes them, while nothing waits before them."""

    async def test_there_is_no_claim_for_what_there_was_room_for(self, house):
        house.lane.room = 10
        await house.take(inbound("one", pid="1"), inbound("two", pid="2"))
        assert [row.delivery.body for row in house.lane.written] == ["one", "two"]
        assert await states(house) == ["handing", "handing"]
        assert await house.claim() == []

    async def test_what_there_is_no_room_for_waits_behind_them(self, house):
        house.lane.room = 1
        await house.take(inbound("one", pid="1"), inbound("two", pid="2"))
        assert await states(house) == ["handing", "waiting"]
        await house.take(inbound("three", pid="3"))  # there is room again, and one that was before it
        assert await states(house) == ["handing", "waiting", "waiting"]
        assert [row.body for row in await house.claim()] == ["two", "three"]

    async def test_what_cannot_be_drawn_waits_to_be_set_aside_and_nothing_overtakes_it(self, house, monkeypatch):
        house.lane.room = 10
        unfit = Unfit(why="not XML")
        monkeypatch.setattr(house.lane, "render", lambda row: unfit if row.body == "two" else b"<message/>")
        await house.take(*(inbound(text, pid=text) for text in ("one", "two", "three")))
        assert [row.delivery.body for row in house.lane.written] == ["one"]
        assert await states(house) == ["handing", "waiting", "waiting"]

    async def test_what_was_answered_for_is_settled_in_the_same_commit(self, house):
        house.lane.room = 10
        await house.take(inbound("one", pid="1"))
        house.lane.handed = (house.lane.written[0].delivery.id,)
        await house.take(inbound("two", pid="2"))
        assert await states(house) == ["handed", "handing"]
        assert house.lane.settled == [DeliveryKind.TEXT]

    async def test_a_commit_that_seems_to_fail_is_doubted(self, house):
        house.lane.room = 10
        house.store.lose_answers(1, "_take")
        with pytest.raises(StoreUnavailable):
            await house.take(inbound("one", pid="1"))
        assert house.lane.written == []
        assert len(house.lane.doubted) == 1
        await house.handover.put_back(())
        assert [row.body for row in await house.claim()] == [""]  # its bytes are fixed, and say it
