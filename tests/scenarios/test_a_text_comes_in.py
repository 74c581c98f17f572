"""A friend's text comes in: whole, once, in order, to everybody whose number it is, and safe before we say `ok`."""

import asyncio
import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pytest

from smsbridge.bridge import completing
from smsbridge.sim import push as pushing
from smsbridge.sim.account import DidSettings
from smsbridge.sim.ledger import Attachment, Kind
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.sim.push import callback_url, webhook_body
from smsbridge.sim.stage import DID, LOOPBACK, QUERY_KEY, StageConfig
from tests.fakes.waiting import PATIENCE

from .cues import bodies_from, curtain, from_, locked, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLASSIC, SHARED, NOBODYS = "+15551230002", "+15551230003", "+15551230009"
PICTURE = Attachment(content_type="image/png", content=tiny_png())
METADATA = "urn:xmpp:file:metadata:0"
TEMPLATE = "&from={FROM}&to={TO}&message={MESSAGE}&id={ID}&date={TIMESTAMP}&media={MEDIA}"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID, CLASSIC), "bob": (SHARED,), "ann": (SHARED,)},
        strangers=("carol",),
        extra_yaml="admins: [carol@example.com]\n",
    )


def without_files(body_of, row, settings):
    body = body_of(row, settings)
    body["data"]["payload"]["media"] = []
    return body


async def test_an_owner_who_is_online_sees_it_at_once(stage, login, peer):
    alice = await login("alice")
    push = await stage.carrier.text_in(peer, DID, "Dinner at 7? – Ann")
    text = await alice.next(from_(stage.contact(peer)))
    assert (text.kind, text.body, text.recipient) == ("chat", "Dinner at 7? – Ann", alice.bare_jid)
    assert UUID(text.stanza_id)  # some clients know a repeat by an id of this form, and only so
    assert text.delayed_at is None
    assert text.markable
    attempt = await push.answered
    assert (attempt.status, attempt.body) == (200, "ok")


async def test_both_owners_of_a_shared_number_see_it_and_the_one_who_was_away_learns_when_it_came(stage, login, peer):
    ann = await login("ann")
    push = await stage.carrier.text_in(peer, SHARED, "Is anybody there?")
    assert (await ann.next(from_(stage.contact(peer)))).body == "Is anybody there?"
    # Bob is the first owner: what Ann has seen was handed over for him before her
    seen_at = datetime.now(UTC)
    bob = await login("bob")
    late = await bob.next(from_(stage.contact(peer)))
    assert late.body == "Is anybody there?"
    assert push.row.at.replace(microsecond=0) <= late.delayed_at <= seen_at
    await bob.ping()
    assert bodies_from(bob, stage.contact(peer)) == ["Is anybody there?"]


def pictographs():
    """Every pictograph that this Python knows, by the blocks that hold them."""
    blocks = (
        (0x203C, 0x203C), (0x2049, 0x2049), (0x2122, 0x2122), (0x2139, 0x2139), (0x2190, 0x21FF), (0x2300, 0x23FF),
        (0x24C2, 0x24C2), (0x25A0, 0x27BF), (0x2900, 0x297F), (0x2B00, 0x2BFF), (0x3030, 0x303D), (0x3297, 0x3299),
        (0x1F000, 0x1F0FF), (0x1F100, 0x1F1FF), (0x1F200, 0x1F2FF), (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F),
        (0x1F680, 0x1F6FF), (0x1F700, 0x1F7FF), (0x1F800, 0x1F8FF), (0x1F900, 0x1F9FF), (0x1FA00, 0x1FAFF),
    )  # fmt: skip
    signs = (chr(code) for first, last in blocks for code in range(first, last + 1))
    return "".join(sign for sign in signs if unicodedata.category(sign) != "Cn")


def flags():
    letters = [chr(code) for code in range(0x1F1E6, 0x1F200)]
    return " ".join(first + second for first in letters for second in letters)


SEQUENCES = "👋🏻👋🏼👋🏽👋🏾👋🏿 👩🏽‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🏴‍☠️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣#️⃣*️⃣ ❤️‍🔥 ☝︎☝️ 🫱🏼‍🫲🏿"
WHOLE = {
    "pictographs, first": pictographs()[:1000],
    "pictographs, rest": pictographs()[1000:],
    "flags": flags(),
    "sequences": SEQUENCES,
    "right to left": "שלום (hello) עולם 123 — مرحبا بالعالم \u202bembedded\u202c \u2067isolated\u2069 \u200f!",
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘ e\u0301 é ह\u093f न\u094dद\u0940 한글 각 ก\u0e33 \u0e40\u0e2a\u0e37\u0e2d",
    "markup": "<b>&amp;</b> ]]> \"quotes\" 'single' &#0; <!-- --> </body></message></stream:stream>",
    "blanks": "  two before,\ttab,\u00a0no-break,\u200bzero-width, two after  ",
    "noncharacters of other planes": "\U0001fffe \U0010ffff \ue000 \U000f0000",
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
async def test_every_sign_arrives_as_it_was_written(stage, login, peer, text):
    alice = await login("alice")
    await stage.carrier.text_in(peer, DID, text)
    assert (await alice.next(from_(stage.contact(peer)))).body == text


async def test_there_are_enough_pictographs_to_mean_all_of_them():
    assert len(pictographs()) > 2500
    assert {"😀", "🍝", "🫠", "☎", "❤", "🇨", "⌚", "🀄", "🅰"} <= set(pictographs())


async def test_line_ends_of_every_kind_arrive_as_line_ends(stage, login, peer):
    alice = await login("alice")
    await stage.carrier.text_in(peer, DID, "one\r\ntwo\rthree\nfour")
    assert (await alice.next(from_(stage.contact(peer)))).body == "one\ntwo\nthree\nfour"


FORBIDDEN = {
    "NUL": "\0",
    "controls": "".join(chr(code) for code in range(0x20) if chr(code) not in "\t\n\r"),
    "noncharacters": "\ufffe\uffff",
    "half a surrogate pair, the high one": "\ud83d",
    "half a surrogate pair, the low one": "\ude00",
    "the halves in the wrong order": "\ude00\ud83d",
}


@pytest.mark.parametrize("signs", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_a_sign_that_xml_forbids_is_replaced_and_costs_nobody_the_stream(stage, login, peer, signs):
    alice = await login("alice")
    streams = sample(stage, "streams_opened_total")
    await stage.carrier.text_in(peer, DID, f"before{signs}after")
    assert (await alice.next(from_(stage.contact(peer)))).body == "before" + "\ufffd" * len(signs) + "after"
    assert len(await curtain(stage, alice, peer, DID)) == 1
    assert sample(stage, "streams_opened_total") == streams


async def test_a_short_code_keeps_its_own_name(stage, login):
    alice = await login("alice")
    await stage.carrier.text_in("29283", DID, "Your code is 123456")
    assert (await alice.next(from_(stage.contact("29283")))).body == "Your code is 123456"


async def test_a_sender_with_a_name_is_shown_by_it(stage, login):
    alice = await login("alice")
    await stage.carrier.text_in("Amazon Pay", DID, "Your parcel is on its way")
    text = await alice.next(from_(stage.contact("amazon\\20pay")))
    assert (text.body, text.nick) == ("Your parcel is on its way", "Amazon Pay")


async def test_a_webhook_that_is_repeated_is_thanked_again_and_shown_once(stage, login, http, peer):
    alice = await login("alice")
    push = await stage.carrier.text_in(peer, DID, "only once")
    await push.answered
    for _ in range(3):
        async with http.post(stage.webhook_url, json=webhook_body(push.row, DidSettings(did=DID))) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
    assert await curtain(stage, alice, peer, DID) == ["only once"]


async def test_the_same_words_twice_are_two_texts(stage, login, peer):
    alice = await login("alice")
    for _ in range(2):
        await (await stage.carrier.text_in(peer, DID, "ok")).answered
    assert await curtain(stage, alice, peer, DID) == ["ok", "ok"]


async def test_the_classic_callback_comes_again_until_it_reads_ok_and_is_shown_once(stage, login, http, peer):
    classic = use_callback(stage)
    alice = await login("alice")
    with locked(stage.database):
        push = await stage.carrier.text_in(peer, CLASSIC, "Dinner? 🍝 & wine")
        await stage.carrier.ledger.until(lambda: bool(push.attempts))
    assert (await push.answered).body == "ok"
    assert push.attempts[0].status == 503
    for _ in range(3):
        async with http.get(callback_url(push.row, classic)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
    assert await curtain(stage, alice, peer, CLASSIC) == ["Dinner? 🍝 & wine"]


async def test_a_text_that_comes_through_both_doors_is_shown_once(stage, login, peer):
    use_callback(stage, webhook_enabled=True)
    alice = await login("alice")
    push = await stage.carrier.text_in(peer, CLASSIC, "two doors")
    await push.answered
    assert [attempt.body for attempt in push.attempts] == ["ok", "ok"]
    assert await curtain(stage, alice, peer, CLASSIC) == ["two doors"]


def use_callback(stage, *, webhook_enabled=False):
    number = CLASSIC.removeprefix("+1")
    url = f"http://{LOOPBACK}:{stage.service.web.public_port}/voipms?key={QUERY_KEY}{TEMPLATE}"
    stage.carrier.account.dids[number] = replace(
        stage.carrier.account.dids[number],
        webhook_enabled=webhook_enabled,
        sms_url_callback_enabled=True,
        sms_url_callback=url,
        sms_url_callback_retry=True,
    )
    return stage.carrier.account.dids[number]


async def test_no_ok_is_said_for_what_could_not_be_stored_and_the_repeat_is_shown(stage, login, peer):
    alice = await login("alice")
    with locked(stage.database):
        push = await stage.carrier.text_in(peer, DID, "hold on to me")
        await stage.carrier.ledger.until(lambda: bool(push.attempts))
    assert (push.attempts[0].status, push.attempts[0].body) == (503, "")
    assert (await push.answered).body == "ok"
    assert await curtain(stage, alice, peer, DID) == ["hold on to me"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/voipms?key=not-the-query-key", b"{}", 403),
        ("/voipms", b"{}", 403),
        (f"/voipms?key={QUERY_KEY}&key={QUERY_KEY}", b"{}", 403),
        (f"/voipms?key={QUERY_KEY}", b"{", 400),
        (f"/voipms?key={QUERY_KEY}", b'{"data": {"payload": {"text": "no numbers"}}}', 400),
        (f"/elsewhere?key={QUERY_KEY}", b"{}", 404),
        ("/", b"", 404),
    ],
)
async def test_what_is_no_text_of_the_carrier_is_turned_away_without_a_word(stage, http, path, body, status):
    url = f"http://{LOOPBACK}:{stage.service.web.public_port}{path}"
    async with http.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
        assert (answer.status, await answer.read()) == (status, b"")


async def test_an_event_that_is_no_text_is_thanked_and_shown_to_nobody(stage, login, http, peer):
    alice = await login("alice")
    report = json.dumps({"data": {"event_type": "message.finalized", "payload": {"id": "1"}}})
    async with http.post(stage.webhook_url, data=report) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")
    assert await curtain(stage, alice, peer, DID) == []


async def test_a_text_for_a_number_that_nobody_has_goes_to_the_administrator(stage, login, peer):
    carol = await login("carol")
    number = NOBODYS.removeprefix("+1")
    stage.carrier.account.dids[number] = DidSettings(did=number, webhook=stage.webhook_url, webhook_enabled=True)
    push = await stage.carrier.text_in(peer, NOBODYS, "who has this number?")
    assert (await push.answered).body == "ok"
    notice = await carol.next(from_(stage.server.component_jid))
    assert "who has this number?" in notice.body
    assert NOBODYS in notice.body
    assert peer in notice.body


async def test_a_picture_comes_as_a_link_that_clients_show(stage, login, http, peer):
    alice = await login("alice")
    push = await stage.carrier.text_in(peer, DID, "look!", kind=Kind.MMS, media=[PICTURE])
    assert (await alice.next(from_(stage.contact(peer)))).body == "look!"
    shown = await alice.next(from_(stage.contact(peer)))
    assert shown.oob_url == shown.body
    assert shown.oob_url.startswith(f"http://{LOOPBACK}:{stage.server.http_port}/")
    assert shown.oob_url != push.row.media[0].url
    async with http.get(shown.oob_url) as answer:
        assert answer.content_type == PICTURE.content_type
        assert await answer.read() == PICTURE.content
    told = {child.tag: child.text for child in shown.element.iter() if child.tag.startswith(f"{{{METADATA}}}")}
    assert told[f"{{{METADATA}}}media-type"] == PICTURE.content_type
    assert told[f"{{{METADATA}}}size"] == str(len(PICTURE.content))


async def test_five_files_follow_their_caption_each_as_a_message_that_is_its_link(stage, login, http, peer):
    alice = await login("alice")
    film = b"\0\0\0\x18ftyp3gp5\0\0\0\0isom" + bytes(500)
    files = {
        "image.jpg": Attachment(content_type="image/jpeg", content=tiny_jpeg()),
        "audio.amr": Attachment(content_type="audio/amr", content=b"#!AMR\n" + b"\x3c" * 400),
        "audio.awb": Attachment(content_type="audio/amr-wb", content=b"#!AMR-WB\n" + b"\x44" * 400),
        "video.3gp": Attachment(content_type="video/3gpp", content=film),
        "image.png": PICTURE,
    }
    await stage.carrier.text_in(peer, DID, "from the beach", kind=Kind.MMS, media=[*files.values()])
    assert (await alice.next(from_(stage.contact(peer)))).body == "from the beach"
    for name, file in files.items():
        shown = await alice.next(from_(stage.contact(peer)))
        assert shown.body == shown.oob_url
        assert shown.oob_url.endswith(f"/{name}")
        told = {child.tag: child.text for child in shown.element.iter() if child.tag.startswith(f"{{{METADATA}}}")}
        assert told[f"{{{METADATA}}}media-type"] == file.content_type
        async with http.get(shown.oob_url) as answer:  # the service may know no such type
            assert await answer.read() == file.content
    assert len(await curtain(stage, alice, peer, DID)) == 1 + len(files)


async def test_files_of_which_the_webhook_says_nothing_follow_when_the_carrier_has_them(
    stage, login, peer, monkeypatch
):
    monkeypatch.setattr(completing, "PAUSES", (0.1, 0.1, 0.1))
    monkeypatch.setattr(pushing, "webhook_body", partial(without_files, webhook_body))
    alice = await login("alice")
    await stage.carrier.text_in(peer, DID, "look!", kind=Kind.MMS, media=[PICTURE, PICTURE])
    assert (await alice.next(from_(stage.contact(peer)))).body == "look!"
    for _ in range(2):
        shown = await alice.next(from_(stage.contact(peer)))
        assert shown.body == shown.oob_url
    assert stage.carrier.calls["getMediaMMS"] == 1
    assert len(await curtain(stage, alice, peer, DID)) == 3


async def test_a_file_that_is_of_no_kind_is_told_of_in_words_with_the_carriers_link(stage, login, peer):
    alice = await login("alice")
    program = Attachment(content_type="image/png", content=b"\x7fELF\x02\x01\x01" + bytes(64))
    push = await stage.carrier.text_in(peer, DID, "look!", kind=Kind.MMS, media=[program])
    assert (await alice.next(from_(stage.contact(peer)))).body == "look!"
    told = await alice.next(from_(stage.contact(peer)))
    assert "of a kind that is not passed on" in told.body
    assert push.row.media[0].url in told.body
    assert told.oob_url is None


async def test_a_text_that_comes_while_the_server_is_dead_is_shown_when_it_lives_again(stage, login, peer):
    await stage.server.kill()
    push = await stage.carrier.text_in(peer, DID, "are you there?")
    assert (await push.answered).body == "ok"
    await stage.server.restart()
    async with asyncio.timeout(PATIENCE):  # the bridge has knocked more and more rarely
        await stage.service.component.opened()
    alice = await login("alice")
    assert await curtain(stage, alice, peer, DID) == ["are you there?"]
