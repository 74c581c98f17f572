"""Alice attaches something: the carrier gets the very picture, or a link, and she learns what became of it."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Direction, Kind
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.sim.stage import DID, Stage, StageConfig
from smsbridge.sim.uploading import out_of_band, shared, upload
from tests.fakes.waiting import PATIENCE

from .cues import error_for, from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAIN = "+15551230003"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID, PLAIN)},
        account_yaml="    settle_seconds: 0.4\n",
        extra_yaml=f'lines: {{"{PLAIN}": {{mms: false}}}}\n',
    )


def sent_to(stage, peer):
    return [row for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


def bytes_of(row):
    return [item.content for item in row.media]


async def test_a_picture_reaches_the_carrier_whole_and_is_ticked(stage, login, peer):
    alice = await login("alice")
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    written = await alice.send_text(stage.contact(peer), url, extra=out_of_band([url]))
    await alice.next(receipt_for(written))
    [row] = sent_to(stage, peer)
    assert (row.kind, row.message.strip(), bytes_of(row)) == (Kind.MMS, "", [tiny_jpeg()])
    assert [item.content_type for item in row.media] == ["image/jpeg"]
    assert [stanza.body for stanza in alice.received if stanza.sender == stage.contact(peer) and stanza.body] == []


async def test_a_caption_goes_with_its_picture_and_what_is_written_next_comes_after_it(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, tiny_png(), "wine.png", "image/png")
    await alice.send_text(contact, "look", extra=[shared(url)])
    await alice.next(receipt_for(await alice.send_text(contact, "nice?")))
    assert [(row.message, bytes_of(row)) for row in sent_to(stage, peer)] == [("look", [tiny_png()]), ("nice?", [])]


async def test_four_files_are_two_mms(stage, login, peer):
    alice, data = await login("alice"), [tiny_png(side) for side in (8, 9, 10, 11)]
    urls = [await upload(alice, one, f"{n}.png", "image/png") for n, one in enumerate(data)]
    written = await alice.send_text(stage.contact(peer), "all of them", extra=out_of_band(urls))
    await alice.next(receipt_for(written))
    first, second = sent_to(stage, peer)
    assert (first.message, bytes_of(first)) == ("all of them", data[:3])
    assert (second.message.strip(), bytes_of(second)) == ("", data[3:])


async def test_a_message_that_is_nothing_but_the_link_of_an_upload_is_the_picture(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    await alice.next(receipt_for(await alice.send_text(contact, url, extra=out_of_band([url]))))
    await alice.next(receipt_for(await alice.send_text(contact, url)))
    assert [bytes_of(row) for row in sent_to(stage, peer)] == [[tiny_jpeg()], [tiny_jpeg()]]


async def test_a_link_of_an_upload_is_the_picture_soon_after_a_start_though_the_server_came_later(on_server, peer):
    async with Stage(on_server(StageConfig())) as stage:
        await stage.stop_bridge()
        await stage.server.kill()
        await asyncio.gather(stage.start_bridge(), stage.server.restart())
        alice = await stage.client("alice")
        url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
        async with asyncio.timeout(PATIENCE):
            while not sent_to(stage, peer) or not sent_to(stage, peer)[-1].media:
                await alice.next(receipt_for(await alice.send_text(stage.contact(peer), url)))


@pytest.mark.parametrize("words", ["see {} please", "https://example.com/article"])
async def test_a_link_that_is_no_attachment_stays_a_link(stage, login, peer, words):
    alice = await login("alice")
    text = words.format(await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg"))
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), text)))
    [row] = sent_to(stage, peer)
    assert (row.message, row.media) == (text, ())


@pytest.mark.parametrize(("name", "data"), [("report.pdf", b"%PDF-1.7 ..."), ("a.zip", b"PK\x03\x04\0\0")])
async def test_a_file_that_phones_do_not_take_goes_as_its_link_and_she_is_told(stage, login, peer, name, data):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, data, name, "application/x-whatever")
    written = await alice.send_text(contact, "read this", extra=[shared(url)])
    assert "as a link" in (await alice.next(from_(contact))).body
    await alice.next(receipt_for(written))
    [row] = sent_to(stage, peer)
    assert (row.message, row.media) == (f"read this\n{url}", ())


async def test_a_file_that_is_far_too_large_goes_as_its_link_and_she_is_told(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, b"\0\0\0\x20ftypisom" + bytes(12_000_000), "film.mp4", "video/mp4")
    written = await alice.send_text(contact, url, extra=out_of_band([url]))
    assert "too large" in (await alice.next(from_(contact))).body
    await alice.next(receipt_for(written))
    [row] = sent_to(stage, peer)
    assert (row.message, row.media) == (url, ())


async def test_a_picture_from_a_number_without_mms_goes_as_a_link_and_she_is_told(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(f"{peer}%{PLAIN}")
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    written = await alice.send_text(contact, url, extra=out_of_band([url]))
    assert "as a link" in (await alice.next(from_(contact))).body
    await alice.next(receipt_for(written))
    [row] = sent_to(stage, peer)
    assert (row.kind, row.message, row.media) == (Kind.SMS, url, ())


async def test_a_file_from_somewhere_else_is_not_fetched_and_goes_as_its_link(stage, login, peer):
    asked = []

    async def answer(request):
        asked.append(request.path)
        return web.Response(body=tiny_jpeg())

    app = web.Application()
    app.router.add_get("/{name}", answer)
    async with TestServer(app) as elsewhere:
        url = str(elsewhere.make_url("/wine.jpg"))
        alice, contact = await login("alice"), stage.contact(peer)
        written = await alice.send_text(contact, url, extra=out_of_band([url]))
        assert "does not fetch from" in (await alice.next(from_(contact))).body
        await alice.next(receipt_for(written))
    assert asked == []
    assert [row.message for row in sent_to(stage, peer)] == [url]


async def test_a_file_that_is_not_there_is_an_error_on_the_message(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    gone = f"{url.rpartition('/')[0][:-4]}aaaa/wine.jpg"
    written = await alice.send_text(contact, "look", extra=[shared(url), shared(gone)])
    told = await alice.next(error_for(written))
    assert (told.sender, told.error.condition) == (contact, "not-acceptable")
    assert "it is not there any more" in told.error.text
    assert sent_to(stage, peer) == []


async def test_a_picture_that_says_what_it_is_not_is_an_error_on_the_message(stage, login, peer):
    alice = await login("alice")
    url = await upload(alice, b"\x7fELF\x02\x01\x01", "wine.jpg", "image/jpeg")
    written = await alice.send_text(stage.contact(peer), url, extra=out_of_band([url]))
    assert "could not be fetched" in (await alice.next(error_for(written))).error.text
    assert sent_to(stage, peer) == []


async def test_when_the_answer_is_lost_the_picture_is_found_and_not_sent_twice(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendMMS", drop=True))
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    doubtful = await alice.send_text(contact, url, extra=out_of_band([url]))
    await alice.next(receipt_for(doubtful))
    assert [bytes_of(row) for row in sent_to(stage, peer)] == [[tiny_jpeg()]]


async def test_when_it_certainly_did_not_leave_the_picture_is_sent_once_more(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await alice.next(receipt_for(await alice.send_text(contact, "before")))
    stage.carrier.config.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendMMS", drop=True))
    url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
    doubtful = await alice.send_text(contact, url, extra=out_of_band([url]))
    await alice.next(receipt_for(doubtful))
    assert [bytes_of(row) for row in sent_to(stage, peer)] == [[], [tiny_jpeg()]]
