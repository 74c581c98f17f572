"""What is forgotten and when; and that nothing which still waits ever is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.message import (
    DeliveryId,
    DeliveryKind,
    InboundMessage,
    Kind,
    Media,
    MessageId,
    ProviderMessageId,
    ProviderName,
    Source,
)
from smsbridge.core.questions import QuestionKind
from smsbridge.core.state import PartEvent as V
from smsbridge.store import deliveries, enclosures, inbox, media, outbox, questions, retention
from smsbridge.store.deliveries import Draft
from smsbridge.store.inbox import Verdict

SECRET = "what they wrote to each other"
MESSAGE = InboundMessage(
    provider=ProviderName("voipms"),
    source=Source.WEBHOOK,
    kind=Kind.MMS,
    did=Did("+15551230001"),
    peer=Peer("+15559870002"),
    provider_id=ProviderMessageId("1"),
    text=SECRET,
)
PICTURE = Media(url="https://media.example.com/1.jpg")
WAYS = {
    "queued": [],
    "sending": ["claim"],
    "held": ["claim", V.HOLD],
    "unknown": ["claim", V.LOSE_TRACK],
    "unsure": ["claim", V.LOSE_TRACK, V.GIVE_UP],
    "sent": ["claim", V.ACCEPT],
    "delivered": ["claim", V.ACCEPT, V.CONFIRM],
    "failed": ["claim", V.REJECT],
    "cancelled": [V.CANCEL],
    "expired": [V.EXPIRE],
}
LIVE = ("queued", "sending", "held", "unknown")
ENDED_WELL, TROUBLED = ("sent", "delivered", "cancelled"), ("unsure", "failed", "expired")


@pytest.fixture
def forget(house):
    async def forgetting(spans: retention.Spans | None = None, **later: float) -> None:
        house.clock.move(**later)
        await house.forget(spans or retention.Spans())

    return forgetting


async def part_in(house, state: str, peer: str = "+15559870002") -> MessageId:
    message = await house.accept(SECRET, peer=Peer(peer), media=(PICTURE,))
    (part,) = await house.run(outbox.parts_of, message.id)
    for step in WAYS[state]:
        if step == "claim":
            assert (await house.claim()).id == part.id
        else:
            assert await house.move(part.id, step, hold=Hold.QUOTA if step is V.HOLD else None) is not None
    return message.id


async def delivery_in(house, state: str, **changes: object) -> DeliveryId:
    draft = Draft(domain="d", kind=DeliveryKind.TEXT, to_jid="john@example.com", sender="", stanza_id="s", body=SECRET)
    delivery_id = await house.do(deliveries.add, draft._replace(**changes))
    if state != "waiting":
        await house.do(deliveries.fix, [(delivery_id, SECRET.encode())])
    if state in {"handed", "bounced"}:
        await house.do(deliveries.hand, [delivery_id])
    if state == "bounced":
        await house.do(deliveries.bounce, changes.get("stanza_id", "s"), "john@example.com", "gone")
    if state == "quarantined":
        await house.do(deliveries.quarantine, delivery_id, "poison")
    (row,) = await house.rows("SELECT state FROM delivery WHERE id = $1", delivery_id)
    assert row["state"] == state
    return delivery_id


async def is_kept(house, table: str) -> bool:
    return SECRET in str(await house.rows(f"SELECT * FROM {table}"))  # noqa: S608


class TestWhatWaits:
    @pytest.mark.parametrize("state", LIVE)
    async def test_a_part_that_is_not_finished_is_never_forgotten(self, house, forget, state):
        message_id = await part_in(house, state)
        before = await house.rows("SELECT * FROM outbox")
        await forget(days=1000)
        assert await house.rows("SELECT * FROM outbox") == before
        assert await house.rows("SELECT id FROM message WHERE id = $1", message_id)

    @pytest.mark.parametrize("state", ["waiting", "handing"])
    async def test_a_delivery_that_was_not_handed_is_never_forgotten(self, house, forget, state):
        taken = await house.do(inbox.take, MESSAGE._replace(media=(PICTURE,)))
        await house.do(media.publish, taken.media[0][0], PICTURE.url)
        await delivery_in(house, state, inbox_id=taken.id)
        before = [await house.rows(f"SELECT * FROM {table}") for table in ("delivery", "inbox", "media")]  # noqa: S608
        await forget(days=1000)
        assert [await house.rows(f"SELECT * FROM {table}") for table in ("delivery", "inbox", "media")] == before  # noqa: S608

    async def test_media_that_are_still_wanted_are_never_forgotten_nor_is_their_text(self, house, forget):
        await house.do(inbox.take, MESSAGE._replace(media=(PICTURE,)))
        await forget(days=1000)
        assert await house.count("media") == await house.count("inbox") == 1

    async def test_a_sibling_that_waits_keeps_the_whole_message(self, house, forget):
        message = await house.accept("1", "2")
        await house.move(await house.claim(), V.ACCEPT)
        await forget(days=1000)
        assert len(await house.run(outbox.parts_of, message.id)) == 2

    async def test_an_answer_that_waits_keeps_its_message(self, house, forget):
        message_id = await part_in(house, "sent")
        await delivery_in(house, "waiting", kind=DeliveryKind.RECEIPT, message_id=message_id)
        await forget(days=1000)
        assert await house.rows("SELECT id FROM message WHERE id = $1", message_id)
        assert await house.count("outbox") == 1


class TestBodies:
    @pytest.mark.parametrize("state", ENDED_WELL)
    async def test_the_text_of_a_part_that_ended_well_goes_after_a_week(self, house, forget, state):
        await part_in(house, state)
        await forget(days=7)
        assert await is_kept(house, "outbox")
        await forget(milliseconds=1)
        (row,) = await house.rows("SELECT * FROM outbox")
        assert (row["text"], row["media"], row["state"]) == (None, "[]", state)

    @pytest.mark.parametrize("state", TROUBLED)
    async def test_the_text_of_a_troubled_part_goes_after_a_month(self, house, forget, state):
        await part_in(house, state)
        await forget(days=30)
        assert await is_kept(house, "outbox")
        await forget(milliseconds=1)
        assert not await is_kept(house, "outbox")
        assert (await house.rows("SELECT state FROM outbox"))[0]["state"] == state

    async def test_the_week_of_a_delivery_begins_when_it_was_handed(self, house, forget):
        delivery_id = await delivery_in(house, "handing", media_url=PICTURE.url)
        house.clock.move(days=8)
        await house.do(deliveries.hand, [delivery_id])
        await forget()
        assert await is_kept(house, "delivery")
        await forget(days=7, milliseconds=1)
        (row,) = await house.rows("SELECT * FROM delivery")
        assert (row["body"], row["xml"], row["media_url"], row["state"]) == ("", None, "", "handed")

    async def test_what_is_forgotten_is_not_handed_again_when_its_server_has_died(self, house, forget):
        await delivery_in(house, "handed")
        await forget(days=7)
        assert await house.rows("SELECT id FROM delivery WHERE proved_at IS NULL")
        await forget(milliseconds=1)
        assert await house.do(deliveries.doubt, "d", house.now, 10, 10) == 0
        assert await house.rows("SELECT id FROM delivery WHERE state = 'handed'")

    @pytest.mark.parametrize("state", ["quarantined", "bounced"])
    async def test_what_did_not_reach_its_reader_is_kept_for_a_month(self, house, forget, state):
        taken = await house.do(inbox.take, MESSAGE)
        await delivery_in(house, state, inbox_id=taken.id)
        await forget(days=30)
        assert await is_kept(house, "delivery")
        assert await is_kept(house, "inbox")
        await forget(milliseconds=1)
        assert not await is_kept(house, "delivery")
        assert not await is_kept(house, "inbox")

    async def test_an_inbound_text_goes_when_all_its_readers_have_it(self, house, forget):
        taken = await house.do(inbox.take, MESSAGE)
        await delivery_in(house, "handed", inbox_id=taken.id)
        second = await delivery_in(house, "handing", inbox_id=taken.id)
        await forget(days=8)
        assert await is_kept(house, "inbox")
        await house.do(deliveries.hand, [second])
        await forget()
        assert not await is_kept(house, "inbox")
        assert await house.count("inbox") == 1


class TestNoTimeAtAll:
    """`bodies: 0`: no longer than it takes to be sure."""

    SPANS = retention.Spans(bodies=timedelta())

    async def test_a_text_that_left_is_forgotten_at_once_and_one_of_unknown_fate_is_not(self, house, forget):
        await part_in(house, "sent", "+15559870003")
        await forget(self.SPANS, milliseconds=1)
        assert not await is_kept(house, "outbox")
        await part_in(house, "unsure", "+15559870004")
        await forget(self.SPANS, days=1)
        assert await is_kept(house, "outbox")

    async def test_what_was_handed_is_kept_until_it_is_proved(self, house, forget):
        taken = await house.do(inbox.take, MESSAGE)
        delivery_id = await delivery_in(house, "handed", inbox_id=taken.id)
        await forget(self.SPANS, days=1)
        assert await is_kept(house, "delivery")
        assert await house.do(deliveries.doubt, "d", house.now, 10, 10) == 1  # and can be handed again
        await house.do(deliveries.fix, [(delivery_id, b"")])
        await house.do(deliveries.hand, [delivery_id])
        await house.run(deliveries.prove, house.now, [delivery_id])
        await forget(self.SPANS, milliseconds=1)
        assert not await is_kept(house, "delivery")
        assert not await is_kept(house, "inbox")

    async def test_an_answer_is_kept_as_long_as_a_client_may_repeat_its_stanza(self, house, forget):
        message_id = await part_in(house, "failed")
        delivery_id = await delivery_in(house, "handed", kind=DeliveryKind.ERROR, message_id=message_id)
        await house.run(deliveries.prove, house.now, [delivery_id])
        await forget(self.SPANS, days=7)
        assert await is_kept(house, "delivery")
        await forget(self.SPANS, milliseconds=1)
        assert not await is_kept(house, "delivery")


class TestQuestions:
    async def ask(self, house, subject: str) -> questions.Question:
        return await house.do(questions.add, "john@example.com", QuestionKind.UNSURE, subject, SECRET)

    async def test_the_words_of_one_that_was_answered_go_with_the_bodies_and_of_an_open_one_later(self, house, forget):
        asked = await self.ask(house, "part-1")
        await house.do(questions.close, asked, None)
        await self.ask(house, "part-2")
        await forget(days=7, milliseconds=1)
        assert [row["words"] for row in await house.rows("SELECT words FROM question ORDER BY number")] == ["", SECRET]
        await forget(days=23)
        assert not await is_kept(house, "question")
        assert len(await house.run(questions.open_of, "john@example.com", 10)) == 1

    async def test_no_number_is_ever_given_twice(self, house, forget):
        for n in range(3):
            await self.ask(house, f"part-{n}")
        await forget(days=91)
        assert [row["number"] for row in await house.rows("SELECT number FROM question")] == [3]
        assert (await self.ask(house, "part-4")).number == 4


class TestNoTrace:
    @pytest.mark.parametrize("state", ENDED_WELL + TROUBLED)
    async def test_no_table_has_a_word_of_it_when_the_bodies_are_forgotten(self, house, forget, state):
        message_id = await part_in(house, state)
        taken = await house.do(inbox.take, MESSAGE._replace(media=(PICTURE, replace(PICTURE, url=PICTURE.url + "2"))))
        for media_id, item in taken.media:
            await house.do(media.publish, media_id, item.url)
        for number, kind in enumerate(DeliveryKind):
            about = {"inbox_id": taken.id, "message_id": message_id, "media_url": PICTURE.url}
            await delivery_in(house, "handed", kind=kind, stanza_id=f"s{number}", **about)
        await forget(days=30, milliseconds=1)
        tables = await tables_of(house)
        assert {"inbox", "outbox", "delivery", "media", "history"} <= set(tables)
        for table in tables:
            rows = str(await house.rows(f"SELECT * FROM {table}"))  # noqa: S608
            assert SECRET not in rows, table
            assert PICTURE.url not in rows, table
        assert await house.count("media") == 2

    async def test_a_picture_whose_address_is_forgotten_is_still_known(self, house, forget):
        taken = await house.do(inbox.take, MESSAGE._replace(media=(PICTURE,)))
        await house.do(media.publish, taken.media[0][0], PICTURE.url)
        await forget(days=8)
        again = await house.do(inbox.take, MESSAGE._replace(media=(PICTURE,)))
        assert (again.verdict, again.media) == (Verdict.REPEATED, ())


async def tables_of(house) -> list[str]:
    is_sqlite = "sqlite" in type(house.database).__name__.lower()
    catalogue = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if is_sqlite
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    return [row["name"] for row in await house.rows(catalogue)]


class TestRows:
    @pytest.mark.parametrize("state", ENDED_WELL + TROUBLED)
    async def test_after_three_months_nothing_is_left_of_what_ended(self, house, forget, state):
        message_id = await part_in(house, state)
        await delivery_in(house, "handed", kind=DeliveryKind.RECEIPT, message_id=message_id)
        taken = await house.do(inbox.take, MESSAGE._replace(media=(PICTURE,)))
        await house.do(media.publish, taken.media[0][0], PICTURE.url)
        for number, end in enumerate(("handed", "quarantined", "bounced")):
            await delivery_in(house, end, inbox_id=taken.id, stanza_id=f"s{number}")
        await forget(days=90)
        assert await house.count("message") == await house.count("inbox") == 1
        assert await house.count("history") > 0
        await forget(milliseconds=1)
        for table in ("message", "outbox", "delivery", "inbox", "media", "history"):
            assert await house.count(table) == 0, table

    async def test_keys_outlive_the_rows(self, house, forget):
        await house.do(inbox.take, MESSAGE)
        await house.accept(key="k")
        await house.move(await house.claim(), V.ACCEPT)
        await forget(days=7)
        assert await house.run(outbox.known, "k")
        await forget(milliseconds=1)
        assert await house.run(outbox.known, "k") is None
        await forget(days=173 - 0.001)
        assert await house.count("inbox") == 0
        assert (await house.do(inbox.take, MESSAGE)).verdict is Verdict.REPEATED
        await forget(days=1)
        assert (await house.do(inbox.take, MESSAGE)).verdict is Verdict.FRESH

    async def test_nothing_is_forgotten_early_and_to_forget_twice_is_to_forget_once(self, house, forget):
        for number, state in enumerate(reversed(WAYS)):  # the queued one last: nothing else is then to be claimed
            await part_in(house, state, f"+1555987010{number}")
        await forget(days=6)
        assert len([row for row in await house.rows("SELECT text FROM outbox") if row["text"]]) == len(WAYS)
        await forget(days=2)
        once = await house.rows("SELECT * FROM outbox ORDER BY id")
        await forget()
        assert await house.rows("SELECT * FROM outbox ORDER BY id") == once
        assert {row["state"] for row in once if row["text"]} == {*LIVE, *TROUBLED}

    async def test_the_spans_are_the_operators(self, house, forget):
        await part_in(house, "sent")
        day = timedelta(days=1)
        spans = retention.Spans(bodies=day, troubled_bodies=day, rows=2 * day, inbox_keys=day, outbox_keys=day)
        await forget(spans, days=1.5)
        assert not await is_kept(house, "outbox")
        await forget(spans, days=1)
        assert await house.count("outbox") == 0


async def test_where_a_file_lay_is_forgotten_with_the_text_that_it_went_with(house, forget):
    message = await part_in(house, "sent")
    await house.do(enclosures.wish, message, (PICTURE,), is_due=False)
    await forget(days=6)
    assert [row["url"] for row in await house.rows("SELECT url FROM enclosure")] == [PICTURE.url]
    await forget(days=2)
    assert [row["url"] for row in await house.rows("SELECT url FROM enclosure")] == [""]
    await forget(days=90)
    assert await house.count("enclosure") == 0


async def test_where_a_file_lies_is_not_forgotten_while_its_text_waits(house, forget):
    message = await part_in(house, "held")
    await house.do(enclosures.wish, message, (PICTURE,), is_due=False)
    await forget(days=400)
    assert [row["url"] for row in await house.rows("SELECT url FROM enclosure")] == [PICTURE.url]
