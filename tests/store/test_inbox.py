"""Inbound messages: taken once, whatever a carrier repeats."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import InboundMessage, Kind, Media, ProviderMessageId, ProviderName, Source
from smsbridge.store import history, inbox, listed, retention
from smsbridge.store.inbox import Verdict

DID, PEER, VOIPMS = Did("+15551230001"), Peer("+15559870002"), ProviderName("voipms")
PICTURE, SOUND = Media(url="https://media.example.com/1.jpg", mime="image/jpeg", size=9), Media(url="https://x/2")
FRESH, REPEATED, CONFLICTING = Verdict.FRESH, Verdict.REPEATED, Verdict.CONFLICTING


def text(body: str = "hello", id: str | None = "100", kind: Kind = Kind.SMS, **more: object) -> InboundMessage:  # noqa: A002
    message = InboundMessage(
        provider=VOIPMS,
        source=Source.WEBHOOK,
        kind=kind,
        did=DID,
        peer=PEER,
        provider_id=ProviderMessageId(id) if id else None,
        text=body,
    )
    return message._replace(**more)


@pytest.fixture
def take(house):
    async def taking(message: InboundMessage) -> inbox.Taken:
        return await house.do(inbox.take, message)

    return taking


class TestOnce:
    async def test_a_message_is_kept_as_it_came(self, house, take):
        sent_at = datetime(2026, 3, 1, 11, 59, 58, 123000, tzinfo=UTC)
        taken = await take(text("héllo", label="Bank", others=(Peer("+15559870003"),), sent_at=sent_at))
        assert taken.verdict is FRESH
        (row,) = await house.rows("SELECT * FROM inbox")
        assert (row["id"], row["text"], row["label"], row["provider_id"]) == (taken.id, "héllo", "Bank", "100")
        assert (row["others"], row["sent_at"]) == ('["+15559870003"]', 1772366398123)
        assert row["source"] == "webhook"
        assert await house.run(history.of_subject, taken.id) == ()  # its birth is the row itself

    async def test_a_repeat_is_the_same_message(self, house, take):
        first = await take(text())
        house.clock.move(days=100)
        again = await take(text(source=Source.POLL))
        assert (again.verdict, again.id, again.key) == (REPEATED, first.id, first.key)
        assert await house.count("inbox") == await house.count("inbox_key") == 1

    async def test_fifty_copies_at_once_are_one_message(self, house, take):
        taken = await asyncio.gather(*(take(text()) for _ in range(50)))
        assert sorted(one.verdict for one in taken) == [FRESH, *[REPEATED] * 49]
        assert len({(one.id, one.key) for one in taken}) == 1
        assert await house.count("inbox") == 1

    async def test_an_sms_and_an_mms_with_the_same_id_are_two(self, take):
        assert (await take(text())).verdict is FRESH
        assert (await take(text(kind=Kind.MMS))).verdict is FRESH

    @pytest.mark.parametrize("other", [{"did": Did("+15551230002")}, {"provider": ProviderName("other")}])
    async def test_ids_are_counted_for_each_line_and_provider(self, take, other):
        assert (await take(text())).verdict is FRESH
        assert (await take(text(**other))).verdict is FRESH

    async def test_a_lone_surrogate_is_stored_as_something_that_can_be(self, house, take):
        taken = await take(text("a\ud800b"))
        assert (await house.rows("SELECT text FROM inbox"))[0]["text"] == "a?b"
        assert (await take(text("a\ud800b"))).id == taken.id


class TestConflict:
    async def test_an_id_used_twice_loses_no_text(self, house, take):
        first = await take(text("one"))
        second = await take(text("two"))
        assert second.verdict is CONFLICTING
        assert second.id != first.id
        assert second.key != first.key
        assert [row["text"] for row in await house.rows("SELECT text FROM inbox ORDER BY id")] == ["one", "two"]

    async def test_the_repeat_of_either_is_a_repeat(self, house, take):
        first, second = await take(text("one")), await take(text("two"))
        for known, body in ((first, "one"), (second, "two"), (second, "two")):
            again = await take(text(body))
            assert (again.verdict, again.id, again.key) == (REPEATED, known.id, known.key)
        assert (await take(text("three"))).verdict is CONFLICTING
        assert await house.count("inbox") == 3


class TestMedia:
    async def test_media_that_come_later_are_added_once(self, house, take):
        first = await take(text(kind=Kind.MMS))
        assert first.media == ()
        second = await take(text(kind=Kind.MMS, media=(PICTURE,)))
        assert (second.verdict, second.id) == (REPEATED, first.id)
        assert [item for _, item in second.media] == [PICTURE]
        third = await take(text(kind=Kind.MMS, media=(PICTURE, SOUND)))
        assert [item for _, item in third.media] == [SOUND]
        assert (await take(text(kind=Kind.MMS, media=(SOUND, PICTURE)))).media == ()
        rows = await house.rows("SELECT * FROM media ORDER BY n")
        assert [(row["url"], row["n"], row["state"], row["size"]) for row in rows] == [
            (PICTURE.url, 1, "wanted", 9),
            (SOUND.url, 2, "wanted", None),
        ]
        assert rows[0]["id"] == second.media[0][0]

    async def test_the_same_picture_twice_in_one_message_is_one(self, take):
        assert len((await take(text(media=(PICTURE, PICTURE)))).media) == 1

    async def test_a_repeat_after_the_row_is_forgotten_brings_nothing_back(self, house, take):
        first = await take(text(kind=Kind.MMS, media=(PICTURE,)))
        await house.run(_publish_all)
        house.clock.move(days=120)
        await house.forget(retention.Spans())
        assert await house.count("inbox") == await house.count("media") == 0
        again = await take(text(kind=Kind.MMS, media=(PICTURE,)))
        assert (again.verdict, again.id, again.media) == (REPEATED, first.id, ())


def _publish_all():
    from smsbridge.store.database import sql

    yield sql("UPDATE media SET state = 'published'")


class TestUntold:
    @pytest.mark.parametrize("kinds", [(Kind.UNTOLD, Kind.SMS), (Kind.SMS, Kind.UNTOLD), (Kind.MMS, Kind.UNTOLD)])
    async def test_the_same_text_through_both_doors_is_one(self, house, take, kinds):
        first = await take(text(kind=kinds[0]))
        house.clock.move(seconds=110)
        second = await take(text(kind=kinds[1]))
        assert (second.verdict, second.id) == (REPEATED, first.id)
        (row,) = await house.rows("SELECT kind FROM inbox")
        assert row["kind"] == next(kind for kind in kinds if kind is not Kind.UNTOLD)
        for kind in kinds:
            assert (await take(text(kind=kind))).verdict is REPEATED
        assert await house.count("inbox_key") == 2

    async def test_an_id_that_comes_later_is_kept(self, house, take):
        first = await take(text(kind=Kind.UNTOLD, id=None))
        assert (await take(text(kind=Kind.SMS, id="7"))).id == first.id
        assert (await house.rows("SELECT provider_id FROM inbox"))[0]["provider_id"] == "7"

    async def test_an_id_that_is_known_is_not_lost_to_a_door_without(self, house, take):
        first = await take(text(kind=Kind.UNTOLD, id="7"))
        assert (await take(text(kind=Kind.SMS, id=None))).id == first.id
        assert (await house.rows("SELECT provider_id FROM inbox"))[0]["provider_id"] == "7"

    async def test_media_of_the_other_door_are_added(self, take):
        await take(text(kind=Kind.UNTOLD))
        assert len((await take(text(kind=Kind.MMS, media=(PICTURE,)))).media) == 1

    async def test_two_doors_are_merged_once_only(self, house, take):
        await take(text(kind=Kind.UNTOLD, id=None, sent_at=house.now))
        assert (await take(text(kind=Kind.SMS, id="1"))).verdict is REPEATED
        assert (await take(text(kind=Kind.SMS, id="2"))).verdict is FRESH
        assert (await take(text(kind=Kind.MMS, id="3"))).verdict is FRESH
        assert await house.count("inbox") == 3

    async def test_one_that_was_merged_takes_in_no_third(self, house, take):
        await take(text(kind=Kind.SMS, id="1"))
        assert (await take(text(kind=Kind.UNTOLD, id=None, sent_at=house.now))).verdict is REPEATED
        later = house.clock.move(seconds=1)
        assert (await take(text(kind=Kind.UNTOLD, id=None, sent_at=later))).verdict is FRESH

    async def test_two_equal_texts_through_two_doors_are_two(self, house, take):
        for kind in (Kind.UNTOLD, Kind.SMS):
            for number in ("1", "2"):
                await take(text("ok", kind=kind, id=number))
        assert await house.count("inbox") == 2

    async def test_after_two_minutes_it_is_another_text_unless_the_ids_agree(self, house, take):
        await take(text(kind=Kind.UNTOLD, provider_id=None))
        house.clock.move(seconds=121)
        assert (await take(text(kind=Kind.SMS))).verdict is FRESH

    async def test_a_callback_that_comes_again_after_hours_is_known_by_its_id(self, house, take):
        await take(text(kind=Kind.SMS))
        house.clock.move(hours=3)
        assert (await take(text(kind=Kind.UNTOLD))).verdict is REPEATED

    @pytest.mark.parametrize(
        "other",
        [
            {"provider_id": ProviderMessageId("101")},
            {"peer": Peer("+15559870003")},
            {"text": "hello!"},
            {"did": Did("+15551230002")},
            {"provider": ProviderName("other")},
            {"kind": Kind.UNTOLD, "provider_id": None},
        ],
    )
    async def test_what_differs_is_not_merged(self, take, other):
        await take(text(kind=Kind.UNTOLD))
        assert (await take(text(kind=Kind.SMS)._replace(**other))).verdict is FRESH

    async def test_two_kinds_that_are_told_are_not_merged(self, take):
        await take(text(kind=Kind.SMS, id=None))
        assert (await take(text(kind=Kind.MMS, id=None))).verdict is FRESH


class TestWithoutIds:
    async def test_the_phones_timestamp_and_the_text_tell_repeats(self, house, take):
        first = await take(text(id=None, sent_at=house.now))
        again = await take(text(id=None, sent_at=house.now))
        assert (again.verdict, again.id) == (REPEATED, first.id)

    async def test_another_instant_text_or_sender_is_another_message(self, house, take):
        await take(text(id=None, sent_at=house.now))
        for other in (
            text(id=None, sent_at=house.clock.move(seconds=1)),
            text("other", id=None, sent_at=house.now),
            text(id=None, sent_at=house.now, peer=Peer("+15559870003")),
            text(id=None),
        ):
            assert (await take(other)).verdict is FRESH

    async def test_without_a_timestamp_equal_texts_are_one_for_two_minutes_only(self, house, take):
        first = await take(text("ok", id=None))
        assert (await take(text("ok", id=None))).verdict is REPEATED
        house.clock.move(minutes=2)
        second = await take(text("ok", id=None))
        assert second.verdict is FRESH
        assert second.key != first.key


class TestListed:
    """What a carrier's list shows is damaged at times, and never a text of its own for that."""

    @pytest.mark.parametrize("listed", ["Tom &amp; Jerry", "Tom ? Jerry", "", "Tom \\& Jerry"])
    async def test_a_known_id_is_known_whatever_the_list_has_made_of_its_text(self, house, take, listed):
        first = await take(text("Tom & Jerry"))
        again = await take(text(listed, source=Source.POLL))
        assert (again.verdict, again.id) == (REPEATED, first.id)
        (row,) = await house.rows("SELECT text FROM inbox")
        assert row["text"] == "Tom & Jerry"

    async def test_a_known_id_of_another_peer_is_a_text_of_its_own(self, take):
        await take(text())
        assert (await take(text(source=Source.POLL, peer=Peer("+15559870009")))).verdict is CONFLICTING

    async def test_a_webhook_after_the_list_is_the_same_if_it_is_alike(self, take):
        first = await take(text("it\\'s &eacute;t?", source=Source.POLL))
        again = await take(text("it's ét\U0001f642"))
        assert (again.verdict, again.id) == (REPEATED, first.id)

    async def test_a_webhook_after_the_list_with_other_words_is_never_dropped(self, take):
        await take(text("one", source=Source.POLL))
        assert (await take(text("another"))).verdict is CONFLICTING

    @pytest.mark.parametrize("days", [0, 100])
    async def test_a_callback_that_did_not_tell_its_kind_is_known_by_its_id(self, house, take, days):
        first = await take(text("Tom \u263a Jerry", kind=Kind.UNTOLD))
        house.clock.move(days=days)
        again = await take(text("Tom ? Jerry", source=Source.POLL))
        assert (again.verdict, again.id) == (REPEATED, first.id)

    async def test_a_callback_after_the_list_is_known_by_its_id(self, take):
        first = await take(text("Tom ? Jerry", source=Source.POLL))
        again = await take(text("Tom \u263a Jerry", kind=Kind.UNTOLD))
        assert (again.verdict, again.id) == (REPEATED, first.id)

    async def test_both_at_once_are_one(self, house):
        shown, told = text("Tom ? Jerry", source=Source.POLL), text("Tom \u263a Jerry", kind=Kind.UNTOLD)
        for both in ([shown, told], [told, shown]):
            taken = await house.do(
                inbox.take_all, [one._replace(provider_id=ProviderMessageId(f"{id(both)}")) for one in both]
            )
            assert [one.verdict for one in taken] == [FRESH, REPEATED]

    async def test_an_id_that_the_list_shows_as_the_other_kind_is_the_same_if_it_is_alike(self, take):
        first = await take(text("it's me", kind=Kind.MMS))
        again = await take(text("it\\'s me", source=Source.POLL))
        assert (again.verdict, again.id) == (REPEATED, first.id)
        await take(text("one", id="200", kind=Kind.MMS))
        assert (await take(text("another", id="200", source=Source.POLL))).verdict is FRESH  # two sequences met

    async def test_a_text_in_both_lists_is_one(self, take):
        at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        first = await take(text(source=Source.POLL, sent_at=at))
        twin = text(id="7", kind=Kind.MMS, source=Source.POLL, media=(PICTURE,), sent_at=at + timedelta(seconds=1))
        again = await take(twin)
        assert (again.verdict, again.id, len(again.media)) == (REPEATED, first.id, 1)
        later = twin._replace(provider_id=ProviderMessageId("8"), sent_at=at + timedelta(minutes=1))
        assert (await take(later)).verdict is FRESH

    async def test_what_is_known_of_a_list_is_told_with_its_pictures(self, house, take):
        await take(text("plain"))
        await take(text("untold", id="101", kind=Kind.UNTOLD))
        await take(text("picture", id="102", kind=Kind.MMS, media=(PICTURE,)))
        shown = [
            text("pl?in", source=Source.POLL),
            text("untold", id="101", source=Source.POLL),
            text("picture", id="102", kind=Kind.MMS, source=Source.POLL),
            text("picture", id="102", source=Source.POLL),
            text("plain", source=Source.POLL, peer=Peer("+15559870009")),
        ]
        known = await house.run(listed.known, shown)
        assert [one.urls for one in known] == [frozenset(), frozenset(), {PICTURE.url}, None, None]
