"""What is attached goes out as it is if it can, else as a link, or its writer reads why not; and never twice."""

import asyncio
import json
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from smsbridge.bridge import restoring
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.enclosures import LARGEST, MOST_TRIES, Enclosures
from smsbridge.bridge.telling import PATIENCE
from smsbridge.core.caps import Caps, Limits, Whose
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused, Rejected, StoreUnavailable
from smsbridge.core.line import Mirror
from smsbridge.core.message import Kind
from smsbridge.core.words.say import Language
from smsbridge.media.convert import Converter
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Fault, NotMoved, open_courier, origin_of
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from tests.media.pictures import PLACE, look, noted, scene, written

from .house import CARRIER, FRIEND, JOHN, OWN, PEER, elsewhere, inbound, outbound

TYPES = frozenset({"image/jpeg", "image/png", "audio/mpeg"})
A_MINUTE = timedelta(minutes=1)
PNG = tiny_png()


class Shared:
    """What users have uploaded: a path each, with a status, a type and bytes."""

    def __init__(self):
        self.origin, self.asked, self.serves_uploads = "", [], True
        self.answers, self.answer_with, self.is_near = {}, None, True

    def put(self, name, data, *, kind="application/octet-stream", status=200, headers=()):
        self.answers[name] = (data, kind, status, dict(headers))
        return f"{self.origin}/{name}"

    async def answer(self, request):
        name = request.match_info["name"]
        self.asked.append(name)
        if self.answer_with:
            return await self.answer_with(request)
        data, kind, status, headers = self.answers.get(name, (b"", "text/plain", 404, {}))
        return web.Response(body=data, content_type=kind, status=status, headers=headers)

    async def learn(self):
        """What is known of it is known."""

    async def serves(self, origin):
        if self.serves_uploads is None:
            raise NotMoved(Fault.UNREACHABLE)
        return self.serves_uploads and origin == self.origin


@pytest.fixture
async def shared():
    app, its = web.Application(), Shared()
    app.router.add_get("/{name}", its.answer)
    async with TestServer(app) as server:
        its.origin = origin_of(str(server.make_url("/")))
        yield its


@asynccontextmanager
async def fetching(house, shared, drawer):
    house.drawer = drawer
    house.provider.capabilities = replace(house.provider.capabilities, media_types=TYPES)
    async with open_courier([shared.origin]) as courier:
        courier._near = courier._near if shared.is_near else frozenset()
        yield Enclosures(
            house.desk, Bell(), courier, shared, drawer, Converter(), lambda: {CARRIER: house.provider.capabilities},
            roll=lambda: 0.0,
        )  # fmt: skip


@pytest.fixture
def drawer(tmp_path):
    return Drawer(tmp_path / "outgoing")


def left(house):
    """What the carrier took: (kind, text, the bytes of its files)."""
    return [(part.kind, part.text, [item.content for item in part.media]) for part in house.provider.accepted]


async def notices(house):
    return [body for _, _, _, body in await house.told("notice")]


async def errors(house):
    return [body for _, _, _, body in await house.told("error")]


def kept_in(tmp_path):
    directory = tmp_path / "outgoing"
    return sorted(one.name for one in directory.iterdir()) if directory.exists() else []


async def test_a_picture_waits_until_it_is_there_and_then_leaves_whole_with_its_caption(
    house, shared, drawer, tmp_path
):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await house.dispatch()
        assert (await house.states(), left(house), shared.asked) == (["held"], [], [])
        await enclosures.look()
        assert (await house.states(), len(kept_in(tmp_path))) == (["queued"], 1)
        await house.dispatch()
        assert left(house) == [("mms", "look", [tiny_jpeg()])]
        assert [kind for kind, *_ in await house.told()] == ["receipt"]
        await enclosures.tidy()
    assert kept_in(tmp_path) == []
    (row,) = await house.rows("SELECT media, fingerprint FROM outbox")
    assert shared.origin in row["media"]
    assert row["fingerprint"]


async def test_a_later_text_does_not_overtake_the_picture_and_one_to_somebody_else_does(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await house.accept("and?")
        await house.accept("hello", to=FRIEND)
        await house.dispatch()
        assert house.provider.texts == ["hello"]
        await enclosures.look()
        await house.dispatch()
    assert house.provider.texts == ["hello", "look", "and?"]


async def test_four_files_are_two_mms_in_their_order(house, shared, drawer):
    data = [tiny_png(side) for side in (8, 9, 10, 11)]
    urls = [shared.put(str(n), one) for n, one in enumerate(data)]
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=urls))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "", data[:3]), ("mms", "", data[3:])]
    assert [kind for kind, *_ in await house.told()] == ["receipt"]


async def test_a_message_of_two_mms_is_told_as_one(house, shared, drawer):
    house.provider.script(PEER, "pid-a", Rejected(Reason.CARRIER_REFUSED, "no", "No pictures, please."))
    urls = [shared.put(str(n), tiny_jpeg()) for n in range(4)]
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=urls))
        await enclosures.look()
        await house.dispatch()
    assert await errors(house) == ["Part 2 of 2: No pictures, please. 1 of 2 parts had been sent."]


@pytest.mark.parametrize(
    ("data", "kind", "why"),
    [
        (b"%PDF-1.7 ...", "application/pdf", "it is of a kind that phones do not take"),
        (b"\x00\x01\x02\x03", "application/zip", "it is of a kind that phones do not take"),
        (b"ID3" + bytes(1_000_000), "audio/mpeg", "too large"),
    ],
)
async def test_what_cannot_be_a_picture_message_goes_as_its_link_and_its_writer_is_told_once(
    house, shared, drawer, data, kind, why
):
    url = shared.put("1", data, kind=kind)
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[url]))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("sms", f"look\n{url}", [])]
    (body,) = await notices(house)
    assert body.startswith("Your file goes as a link: ")
    assert why in body


async def test_of_several_files_each_goes_as_it_can_and_one_line_says_how(house, shared, drawer):
    urls = [shared.put("1", tiny_jpeg()), shared.put("2", b"%PDF-1.7"), shared.put("3", tiny_png())]
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=urls))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", f"look\n{urls[1]}", [tiny_jpeg(), tiny_png()])]
    assert await notices(house) == ["Of your 3 files: 1 as a link (it is of a kind that phones do not take)."]


async def test_a_place_that_is_no_upload_service_is_not_called_and_its_link_is_sent(house, shared, drawer):
    shared.serves_uploads = False
    url = shared.put("1", tiny_jpeg())
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[url]))
        await enclosures.look()
        await house.dispatch()
    assert shared.asked == []
    assert left(house) == [("sms", url, [])]
    assert "a place that this gateway does not fetch from" in (await notices(house))[0]


@pytest.mark.parametrize("name", ["é.jpg", "a b.jpg"])
async def test_an_address_that_is_none_is_sent_as_it_is_and_called_so(house, shared, drawer, name):
    url = f"{shared.origin}/{name}"
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[url]))
        await enclosures.look()
        await house.dispatch()
    assert shared.asked == []
    assert left(house) == [("sms", url, [])]
    assert "its address is not one that is fetched" in (await notices(house))[0]


async def test_a_place_that_the_administrator_has_named_is_fetched_from(house, shared, drawer):
    shared.serves_uploads = False
    house.rules = replace(house.rules, fetch_from=frozenset({shared.origin}))
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "", [tiny_jpeg()])]


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("gone", {"data": b"", "status": 404}, "it is not there any more"),
        ("empty", {"data": b""}, "there is nothing in it"),
        ("lying", {"data": b"\x7fELF\x02\x01\x01", "kind": "image/jpeg"}, "it is not what its server says it is"),
        ("page", {"data": b"<html>", "kind": "image/png"}, "it is not what its server says it is"),
        ("away", {"data": b"", "status": 302, "headers": {"Location": "https://10.0.0.1/x"}},
         "its address is not one that is fetched"),
        ("afar", {"data": b"", "status": 302, "headers": {"Location": "https://other.example.com/x"}},
         "it is at a place that this gateway does not fetch from"),
    ],
)  # fmt: skip
async def test_what_is_not_there_or_not_what_it_says_is_refused_on_the_message_and_nothing_leaves(
    house, shared, drawer, name, given, why
):
    urls = [
        shared.put("good", tiny_jpeg()),
        shared.put(name, **given),
        *(shared.put("good", tiny_jpeg()) for _ in "ab"),
    ]
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=urls))
        await enclosures.look()
        await house.dispatch()
        await enclosures.tidy()
    assert (await house.states(), left(house)) == (["failed"], [])
    (body,) = await errors(house)
    assert body == f"This message was not sent, since a file of it could not be fetched: {why}."
    (row,) = await house.rows("SELECT about, reason FROM delivery WHERE kind = 'error'")
    assert row == {"about": "s1", "reason": "media_refused"}
    assert await drawer.get((await house.rows("SELECT id FROM enclosure ORDER BY n"))[0]["id"]) is None


async def test_what_cannot_be_had_now_is_tried_for_some_minutes_and_then_refused(house, shared, drawer):
    shared.put("1", b"", status=503)
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[f"{shared.origin}/1"]))
        await house.accept("and?")
        for _ in range(MOST_TRIES):
            assert await house.states() == ["held", "queued"]
            await enclosures.look()
            house.ticks.advance(A_MINUTE)
        await house.dispatch()
    assert len(shared.asked) == MOST_TRIES
    assert house.provider.texts == ["and?"]
    assert "did not give it out" in (await errors(house))[0]


async def test_while_nobody_can_say_where_uploads_are_the_picture_waits(house, shared, drawer):
    url, shared.serves_uploads = shared.put("1", tiny_jpeg()), None
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[url]))
        await enclosures.look()
        assert (await house.states(), shared.asked) == (["held"], [])
        shared.serves_uploads = True
        house.ticks.advance(A_MINUTE)
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]


async def test_where_there_is_no_room_a_file_goes_as_its_link_in_the_end(house, shared, tmp_path):
    url = shared.put("1", tiny_jpeg())
    async with fetching(house, shared, Drawer(tmp_path / "outgoing", most=10)) as enclosures:
        await house.outbound.accept(outbound("", media=[url]))
        for _ in range(MOST_TRIES):
            await enclosures.look()
            house.ticks.advance(A_MINUTE)
        await house.dispatch()
    assert left(house) == [("sms", url, [])]
    assert "no room" in (await notices(house))[0]


async def test_who_may_not_text_makes_nobody_fetch(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        with pytest.raises(Exception, match="not_owner"):
            await house.outbound.accept(
                outbound("look", owner="mallory@example.com", media=[shared.put("1", tiny_jpeg())])
            )
        await enclosures.look()
    assert shared.asked == []
    assert await house.rows("SELECT * FROM enclosure") == []


async def test_an_unusual_destination_is_confirmed_before_anything_is_fetched(house, shared, drawer):
    london = "+442079460123"
    policy = replace(house.rules.policy, regions=frozenset({"NANP", "GB"}), usual=frozenset({"NANP"}))
    house.rules = replace(house.rules, policy=policy)
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", to=london, media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        assert (await house.states(), shared.asked) == (["held"], [])
        rung = []
        house.commands._desk = replace(house.desk, wake_media=lambda: rung.append(1))
        await house.commands.typed(JOHN, "confirm 1")
        assert rung
        await house.dispatch()
        assert (await house.states(), left(house)) == (["held"], [])
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]


async def test_no_probe_and_no_end_of_a_fault_lets_it_leave_before_its_file_is_there(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        house.provider.script(FRIEND, Deferred(Reason.ACCOUNT_FAULT, "login", hold=Hold.ACCOUNT))
        await house.accept("first", to=FRIEND)
        await house.dispatch()
        house.ticks.advance(timedelta(hours=1))
        await house.dispatch()
        assert (await house.states(), house.provider.texts) == (["held", "sent"], ["first", "first"])
        await enclosures.look()
        await house.dispatch()
    assert left(house)[-1] == ("mms", "look", [tiny_jpeg()])


@pytest.mark.parametrize("statement", range(1, 16))
async def test_a_kill_on_the_way_costs_no_picture_and_sends_none_twice(reopen, shared, tmp_path, statement):
    house, drawer = await reopen(), Drawer(tmp_path / "outgoing")
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        house.store.break_at(statement, of="settle")
        try:
            await enclosures.look()
        except StoreUnavailable:
            assert await house.states() == ["held"]
    await house.kill()
    house = await reopen()
    async with fetching(house, shared, Drawer(tmp_path / "outgoing")) as enclosures:
        await enclosures.look()
        await house.dispatch()
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]
    assert await house.states() == ["sent"]


async def test_an_answer_of_the_store_that_is_lost_changes_nothing(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", b"%PDF-1.7")]))
        house.store.lose_answers(1, of="settle")
        with pytest.raises(StoreUnavailable):
            await enclosures.look()
        await enclosures.look()
        await house.dispatch()
    assert len(left(house)) == len(await notices(house)) == 1


async def test_bytes_that_were_lost_are_fetched_again_before_it_leaves(reopen, shared, tmp_path):
    house, drawer = await reopen(), Drawer(tmp_path / "outgoing")
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
    await house.kill()
    house = await reopen()
    async with fetching(house, shared, Drawer(tmp_path / "of another machine")) as enclosures:
        await house.dispatch()
        assert (await house.states(), left(house)) == (["held"], [])
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]
    assert [kind for kind, *_ in await house.told()] == ["receipt"]


async def test_bytes_that_were_lost_and_are_nowhere_any_more_fail_in_words(house, shared, drawer, tmp_path):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        for name in kept_in(tmp_path):
            await drawer.drop(name)
        shared.answers.clear()
        await house.dispatch()
        await enclosures.look()
        await house.dispatch()
    assert (await house.states(), left(house)) == (["failed"], [])
    assert "it is not there any more" in (await errors(house))[0]


async def test_the_bytes_are_kept_while_nobody_knows_whether_it_left(house, shared, drawer, tmp_path):
    house.provider.script(PEER, Indeterminate("timeout"))
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        await house.dispatch()
        await house.reconciler.look()
        await enclosures.tidy()
        assert (await house.states(), len(kept_in(tmp_path))) == (["unsure"], 1)
        await house.commands.typed(JOHN, "resend 1")
        await house.dispatch()
        await enclosures.tidy()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]
    assert kept_in(tmp_path) == []


async def test_what_the_carrier_rejects_is_told_and_its_bytes_go(house, shared, drawer, tmp_path):
    house.provider.script(PEER, Rejected(Reason.CARRIER_REFUSED, "no", "The carrier said no."))
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        await house.dispatch()
        await enclosures.tidy()
    assert (await errors(house), kept_in(tmp_path)) == (["The carrier said no."], [])


@pytest.mark.parametrize("words", ["{}", " {}\n"])
async def test_a_message_that_is_nothing_but_the_link_of_an_upload_is_its_file(house, shared, drawer, words):
    house.uploads = frozenset({shared.origin})
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound(words.format(shared.put("1", tiny_jpeg()))))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "", [tiny_jpeg()])]


@pytest.mark.parametrize("words", ["see {}", "{} {}", "https://other.example.com/1", "{}/a b"])
async def test_a_link_in_a_sentence_or_to_elsewhere_is_text(house, shared, words):
    house.uploads = frozenset({shared.origin})
    text = words.format(*[shared.put("1", tiny_jpeg())] * 2)
    await house.outbound.accept(outbound(text))
    await house.dispatch()
    assert left(house) == [("sms", text, [])]
    assert shared.asked == []


async def test_a_repeated_stanza_is_one_picture(house, shared, drawer):
    house.uploads = frozenset({shared.origin})
    async with fetching(house, shared, drawer) as enclosures:
        for _ in range(2):
            await house.outbound.accept(outbound(shared.put("1", tiny_jpeg())))
            await enclosures.look()
        await house.dispatch()
    assert len(left(house)) == 1


async def test_a_large_photo_is_made_smaller_and_says_not_where_it_was_taken_and_its_writer_is_told(
    house, shared, drawer
):
    photo = written(scene(2400, 1800), "JPEG", quality=97, exif=noted())
    assert len(photo) > 1_000_000
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", photo, kind="image/jpeg")]))
        await enclosures.look()
        await house.dispatch()
    ((_, text, (data,)),) = left(house)
    assert (text, look(data).format, len(data) <= 600_000, PLACE in data) == ("look", "JPEG", True, False)
    assert await notices(house) == ["Your picture was made smaller, so that it fits."]


async def test_what_a_phone_does_not_know_is_put_into_a_format_that_it_does(house, shared, drawer):
    urls = [shared.put(form, written(scene(64, 48), form)) for form in ("WEBP", "HEIF")] + [shared.put("1", PNG)]
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=urls))
        await enclosures.look()
        await house.dispatch()
    ((_, _, pictures),) = left(house)
    assert [look(data).format for data in pictures] == ["JPEG", "JPEG", "PNG"]
    assert await notices(house) == ["Of your 3 files: 2 in a format that phones know."]


async def test_a_photo_whose_notes_alone_were_taken_out_is_worth_no_line(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[shared.put("1", written(scene(64, 48), "JPEG", exif=noted()))]))
        await enclosures.look()
        await house.dispatch()
    ((_, _, (data,)),) = left(house)
    assert PLACE not in data
    assert await notices(house) == []


async def test_what_cannot_be_opened_goes_as_its_link(house, shared, drawer):
    url = shared.put("1", written(scene(64, 48), "WEBP")[:300])
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[url]))
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("sms", url, [])]
    assert await notices(house) == ["Your file goes as a link: it is damaged."]


async def test_a_stream_without_end_is_refused_in_words_and_costs_no_more_than_the_largest_file(house, shared, drawer):
    sent = 0

    async def endless(request):
        nonlocal sent
        answer = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await answer.prepare(request)
        while sent < 100 * 1024 * 1024:
            await answer.write(b"\xff\xd8\xff" + bytes(65533))
            sent += 65536
        return answer

    shared.answer_with = endless
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[f"{shared.origin}/1"]))
        tracemalloc.start()
        try:
            await enclosures.look()
            assert tracemalloc.get_traced_memory()[1] < 2 * LARGEST
        finally:
            tracemalloc.stop()
    assert sent < 60 * 1024 * 1024
    assert await house.states() == ["failed"]
    assert "it does not end where it should" in (await errors(house))[0]


async def test_a_redirect_into_this_machine_opens_no_connection(house, shared, drawer):
    opened = []
    inside = await asyncio.start_server(lambda _, writer: (opened.append(1), writer.close()), "127.0.0.1", 0)
    async with inside:
        port = inside.sockets[0].getsockname()[1]
        for number, place in enumerate((f"http://127.0.0.1:{port}/", f"https://localhost:{port}/", f"//[::1]:{port}/")):
            url = shared.put(str(number), b"", status=302, headers={"Location": place})
            async with fetching(house, shared, drawer) as enclosures:
                await house.outbound.accept(outbound("", media=[url], sid=str(number)))
                await enclosures.look()
    assert opened == []
    assert await house.states() == ["failed"] * 3


async def test_while_the_disk_is_short_nothing_is_fetched_and_in_the_end_it_is_a_link(house, shared, drawer):
    url = shared.put("1", tiny_jpeg())
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[url]))
        enclosures._desk = replace(house.desk, has_room=lambda: False)
        for _ in range(MOST_TRIES):
            await enclosures.look()
            house.ticks.advance(A_MINUTE)
        await house.dispatch()
    assert (shared.asked, left(house)) == ([], [("sms", url, [])])


async def test_caps_count_what_it_may_come_to_when_it_is_taken(house, shared, drawer):
    limits = Limits(caps={Whose.OWNER: Caps(minute=3)}, prices=None)
    house.rules = replace(house.rules, policy=replace(house.rules.policy, limits=limits))
    urls = [shared.put(str(n), tiny_jpeg()) for n in range(4)]
    await house.outbound.accept(outbound("", media=urls))
    await house.accept("one more")
    with pytest.raises(Refused) as refused:
        await house.accept("too many")
    assert refused.value.reason is Reason.OVER_CAP
    assert shared.asked == []


async def test_after_a_restore_it_waits_for_the_admin_and_then_for_its_file(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await house.accept("and?")
        await house.store.run(restoring.hold_back, house.desk, [CARRIER])
        await enclosures.look()
        assert (await house.states(), shared.asked) == (["held", "held"], [])
        while await house.store.run(restoring.release, house.desk, is_sent=True):
            pass
        await house.dispatch()
        assert (await house.states(), left(house)) == (["held", "queued"], [])
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()]), ("sms", "and?", [])]


async def test_a_text_that_waits_long_for_its_file_says_so(house, shared, drawer):
    await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
    house.ticks.advance(PATIENCE + A_MINUTE)
    await house.janitor.tell_waiting()
    assert "the file that comes with it is still being fetched" in (await notices(house))[0]


async def test_in_french_as_well(house, shared, drawer):
    house.rules = replace(house.rules, languages={JOHN: Language.FRENCH})
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[shared.put("1", b"%PDF-1.7"), shared.put("2", tiny_jpeg())]))
        await house.outbound.accept(outbound("", sid="s2", media=[f"{shared.origin}/gone"]))
        await enclosures.look()
    assert (await notices(house))[0].startswith("De vos 2 fichiers")
    assert "il n’y est plus" in (await errors(house))[0]


async def test_what_is_sent_is_no_text_of_somewhere_else_and_is_exported_with_its_place(house, shared, drawer):
    house.rules = replace(house.rules, mirror=Mirror.LINE)
    async with fetching(house, shared, drawer) as enclosures:
        url = shared.put("1", tiny_jpeg())
        await house.outbound.accept(outbound("", media=[url]))
        await enclosures.look()
        await house.dispatch()
    (row,) = await house.rows("SELECT provider_id, media FROM outbox")
    listed = elsewhere("", pid=row["provider_id"], kind="mms", media=("https://carrier.example.com/1.jpg",))
    await house.inbound.take_listed([listed])
    assert [kind for kind, *_ in await house.told()] == ["receipt"]
    assert json.loads(row["media"])[0][:3] == [url, "image/jpeg", len(tiny_jpeg())]


async def test_a_clock_that_was_set_back_makes_nobody_wait(house, shared, drawer):
    shared.put("1", b"", status=503)
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[f"{shared.origin}/1"]))
        await enclosures.look()
        house.ticks.advance(-timedelta(hours=3))
        shared.put("1", tiny_jpeg())
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", [tiny_jpeg()])]


async def test_what_stop_has_cancelled_is_not_fetched_any_more(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await house.take(inbound("STOP"))
        await enclosures.look()
    assert (await house.states(), shared.asked) == (["cancelled"], [])


async def test_where_we_may_not_call_others_may_so_it_goes_as_its_link_and_the_journal_says_what_helps(
    house, shared, drawer
):
    shared.is_near, url = False, shared.put("1", tiny_jpeg())
    with capture_logs() as journal:
        async with fetching(house, shared, drawer) as enclosures:
            for sid in ("s1", "s2"):
                await house.outbound.accept(outbound("", media=[url], sid=sid))
            await enclosures.look()
            await house.dispatch()
    assert (shared.asked, [text for _, text, _ in left(house)]) == ([], [url, url])
    (hint,) = [line for line in journal if line["event"] == "upload_missed"]
    assert (hint["origin"], hint["fault"], hint["look_at"]) == (shared.origin, "url", "media.near")


async def test_what_went_as_a_link_is_billed_as_what_it_is(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("x" * 120, media=[shared.put("1", b"%PDF-1.7")]))
        await house.outbound.accept(outbound("look", sid="s2", media=[shared.put("2", tiny_jpeg())]))
        await enclosures.look()
        await house.dispatch()
    rows = await house.rows("SELECT kind, segments, n, of_n FROM outbox ORDER BY id")
    assert [(row["kind"], row["segments"], row["n"], row["of_n"]) for row in rows] == [
        ("sms", 1, 1, 1),
        ("mms", 1, 1, 1),
    ]


@pytest.mark.parametrize("count", [1, 2])
async def test_equal_pictures_whose_answers_are_lost_are_each_found_once(house, shared, drawer, count):
    listing = house.look_up()
    house.provider.script(PEER, *[Indeterminate("timeout")] * count)
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[shared.put(str(n), tiny_jpeg()) for n in range(4)]))
        await enclosures.look()
        for number in range(2):
            await house.dispatch()
            if number < count:
                listing.show(f"listed-{number}", "", did=OWN, peer=PEER, kind=Kind.MMS)
            house.ticks.advance(A_MINUTE * 3)
            await house.reconciler.look()
    assert await house.states() == ["sent", "sent"]
    assert len(house.provider.calls) == 2


class LastBell:
    """Ends the loop where it would wait."""

    async def wait(self, _seconds):
        raise asyncio.CancelledError


async def one_turn(enclosures):
    enclosures._bell = LastBell()
    with pytest.raises(asyncio.CancelledError):
        await enclosures.run()


async def test_a_new_life_throws_away_what_nobody_asks_for_and_keeps_what_waits(house, shared, drawer, tmp_path):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        (kept,) = kept_in(tmp_path)
        (tmp_path / "outgoing" / "leftover.new").write_bytes(b"x")
        await one_turn(enclosures)
        assert kept_in(tmp_path) == [kept]


async def test_a_drawer_that_cannot_be_opened_ends_nothing(house, shared, drawer, tmp_path):
    (tmp_path / "outgoing").write_bytes(b"no directory")
    with capture_logs() as journal:
        async with fetching(house, shared, drawer) as enclosures:
            await one_turn(enclosures)
    assert [line["event"] for line in journal] == ["media_stuck"]


async def test_nor_does_it_keep_a_text_which_goes_with_its_link(house, shared, drawer, tmp_path):
    (tmp_path / "outgoing").write_bytes(b"no directory")
    link = shared.put("1", tiny_jpeg())
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[link]))
        for _ in range(MOST_TRIES):
            await one_turn(enclosures)
            house.ticks.advance(timedelta(minutes=1))
        await house.dispatch()
    assert house.provider.texts == [f"look\n{link}"]


async def test_after_a_restore_what_is_known_to_have_left_is_not_sent_again_by_a_part_that_was_kept_free(
    house, shared, drawer
):
    async with fetching(house, shared, drawer) as enclosures:
        words = "x" * 1990  # with its link two parts, with its file one
        await house.outbound.accept(outbound(words, media=[shared.put("1", tiny_jpeg())]))
        await house.store.run(restoring.hold_back, house.desk, [CARRIER])
        await house.inbound.take_listed([elsewhere(words, kind=Kind.MMS)])
        assert await house.states() == ["sent", "held"]
        while await house.store.run(restoring.release, house.desk, is_sent=True):
            pass
        await enclosures.look()
        await house.dispatch()
    assert (await house.states(), left(house)) == (["sent"], [])
    assert [kind for kind, *_ in await house.told("receipt", "error")] == ["receipt"]


async def test_after_a_restore_the_files_of_a_part_that_has_left_are_not_in_the_next(house, shared, drawer):
    data = [tiny_png(side) for side in (8, 9, 10, 11)]
    async with fetching(house, shared, drawer) as enclosures:
        urls = [shared.put(str(n), one) for n, one in enumerate(data)]
        await house.outbound.accept(outbound("look", media=urls))
        await house.store.run(restoring.hold_back, house.desk, [CARRIER])
        await house.inbound.take_listed([elsewhere("look", kind=Kind.MMS)])
        while await house.store.run(restoring.release, house.desk, is_sent=True):
            pass
        await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "", data[3:])]
    assert await house.states() == ["sent", "sent"]
    assert [kind for kind, *_ in await house.told("receipt", "error")] == ["receipt"]


@pytest.mark.parametrize("words", ["look", ""])
async def test_after_a_restore_what_has_left_as_a_link_is_found_and_not_sent_again(house, shared, drawer, words):
    async with fetching(house, shared, drawer) as enclosures:
        urls = [shared.put(str(n), b"%PDF-1.7") for n in range(4)]
        await house.outbound.accept(outbound(words, media=urls))
        await house.store.run(restoring.hold_back, house.desk, [CARRIER])
        await house.inbound.take_listed([elsewhere("\n".join([words, *urls]).lstrip(), kind=Kind.SMS)])
        assert await house.states() == ["sent", "held"]
        while await house.store.run(restoring.release, house.desk, is_sent=True):
            pass
        await enclosures.look()
        await house.dispatch()
    assert (await house.states(), left(house)) == (["sent"], [])
    assert [kind for kind, *_ in await house.told("receipt", "error")] == ["receipt"]


async def test_the_parts_of_a_text_are_released_together(house, shared, drawer, monkeypatch):
    monkeypatch.setattr(restoring, "AT_ONCE", 1)
    data = [tiny_png(side) for side in (8, 9, 10, 11)]
    async with fetching(house, shared, drawer) as enclosures:
        urls = [shared.put(str(n), one) for n, one in enumerate(data)]
        await house.outbound.accept(outbound("look", media=urls))
        await house.store.run(restoring.hold_back, house.desk, [CARRIER])
        while await house.store.run(restoring.release, house.desk, is_sent=True):
            await enclosures.look()
        await house.dispatch()
    assert left(house) == [("mms", "look", data[:3]), ("mms", "", data[3:])]
    assert [kind for kind, *_ in await house.told("receipt", "error")] == ["receipt"]


async def test_an_account_that_is_removed_during_the_last_try_ends_only_its_own_texts(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        accounts = {CARRIER: house.provider.capabilities}
        enclosures._capabilities = lambda: accounts
        await house.outbound.accept(outbound("look", media=[shared.put("1", b"", status=503)]))
        for _ in range(MOST_TRIES - 1):
            await enclosures.look()
            house.ticks.advance(A_MINUTE)

        async def remove(request):
            accounts.clear()
            raise web.HTTPServiceUnavailable

        shared.answer_with = remove
        await enclosures.look()
    assert (await house.states(), len(await errors(house))) == (["failed"], 1)


async def test_what_hangs_costs_one_fetch_a_try_however_many_files_come_with_it(house, shared, drawer):
    async def hang_up(request):
        request.transport.abort()
        return web.Response()

    shared.answer_with = hang_up
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[f"{shared.origin}/{n}" for n in range(12)]))
        for number in range(MOST_TRIES):
            assert len(shared.asked) <= 2 * number  # aiohttp repeats a GET whose connection broke
            await enclosures.look()
            house.ticks.advance(A_MINUTE)
        await enclosures.look()
    assert set(shared.asked) == {"0"}
    assert (await house.states(), len(await errors(house))) == (["failed"], 1)


async def test_a_place_that_is_back_gives_the_other_files_as_well(house, shared, drawer):
    async def hang_up(request):
        request.transport.abort()
        return web.Response()

    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[shared.put(str(n), tiny_jpeg()) for n in range(4)]))
        shared.answer_with = hang_up
        await enclosures.look()
        shared.answer_with = None
        house.ticks.advance(A_MINUTE)
        await enclosures.look()
        await house.dispatch()
    assert [len(files) for _, _, files in left(house)] == [3, 1]


async def test_who_refused_one_file_is_not_asked_for_the_others(house, shared, drawer):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("", media=[f"{shared.origin}/gone", shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        await enclosures.look()
    assert shared.asked == ["gone"]
    assert (await house.states(), len(await errors(house))) == (["failed"], 1)


async def test_bytes_that_are_lost_again_and_again_are_not_fetched_without_end(house, shared, drawer):
    async def lose(_name):
        return None

    drawer.get = lose
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        for _ in range(20):
            await enclosures.look()
            await house.dispatch()
    assert len(shared.asked) <= 4
    assert await house.states() == ["held"]


async def test_that_bytes_are_lost_says_nothing_of_the_carrier(house, shared, drawer, tmp_path):
    async with fetching(house, shared, drawer) as enclosures:
        await house.outbound.accept(outbound("look", media=[shared.put("1", tiny_jpeg())]))
        await enclosures.look()
        for name in kept_in(tmp_path):
            await drawer.drop(name)
        house.desk.carriers.heard(CARRIER, Deferred(Reason.PROVIDER_DOWN, "unreachable"))
        await house.dispatch()
    assert await house.states() == ["held"]
    assert house.desk.carriers.is_silent(CARRIER)
