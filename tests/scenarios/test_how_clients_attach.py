"""Each client has its own way to attach a picture: the telephone gets it once, with the words that were written."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.ledger import Direction
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.sim.stage import DID, StageConfig
from smsbridge.sim.uploading import SHARING, URL_DATA, out_of_band, shared, upload

from .cues import bodies_from, error_for, from_, judged, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

FALLBACK = "{urn:xmpp:fallback:0}"
ATTACHING = "{urn:xmpp:message-attaching:1}"
JPEG, PNG = tiny_jpeg(), tiny_png()


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID,)})


def fallback(about, *span):
    """A mark on the whole body, or on a range of it."""
    mark = ET.Element(f"{FALLBACK}fallback", {"for": about})
    ET.SubElement(mark, f"{FALLBACK}body", dict(zip(("start", "end"), map(str, span), strict=False)))
    return mark


def placed(about, url):
    """Where the file is that an earlier message announced."""
    sources = ET.Element(f"{SHARING}sources")
    ET.SubElement(sources, f"{URL_DATA}url-data", {"target": url})
    return [ET.Element(f"{ATTACHING}attach-to", {"id": about}), sources]


def sent_to(stage, peer):
    """Words and files of each, as the carrier took them."""
    rows = [row for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]
    return [(row.message.strip(), [item.content for item in row.media]) for row in rows]


async def test_cheogram_puts_the_link_right_behind_the_words(stage, login, peer):
    alice, words = await login("alice"), "look 😀"
    url = await upload(alice, JPEG, "a.jpg")
    mark = fallback("jabber:x:oob", len(words), len(words) + len(url))
    written = await alice.send_text(stage.contact(peer), words + url, extra=[*out_of_band([url]), mark])
    await alice.next(receipt_for(written))
    assert sent_to(stage, peer) == [(words, [JPEG])]


async def test_kaidan_sends_words_and_files_and_then_each_file_again_for_others(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    urls = [await upload(alice, JPEG, "a.jpg"), await upload(alice, PNG, "b.png")]
    written = await alice.send_text(contact, "both of them", extra=[shared(url) for url in urls])
    for url in urls:
        again = [*out_of_band([url]), fallback("urn:xmpp:sfs:0")]
        await alice.send_text(contact, url, request_receipt=False, extra=again)
    await alice.next(receipt_for(written))
    await judged(stage, alice)
    await alice.next(receipt_for(await alice.send_text(contact, "curtain")))
    assert sent_to(stage, peer) == [("both of them", [JPEG, PNG]), ("curtain", [])]


async def attach_as_dino(alice, contact, seen, *files):
    """Under the id `seen` its user sees the files; where each is follows in a message that no window shows."""
    announcement = ET.Element("{jabber:client}message", {"to": contact, "type": "chat", "id": seen})
    for _ in files:
        ET.SubElement(announcement, f"{SHARING}file-sharing", {"disposition": "inline"})
    alice.send_raw(ET.tostring(announcement, encoding="unicode"))
    for data in files:
        url = await upload(alice, data, "a.jpg")
        await alice.send_text(contact, url, extra=[*out_of_band([url]), *placed(seen, url)])


def refuse_next(stage):
    fault = Fault(when=Moment.BEFORE_ACCEPT, method="sendMMS", what=What.REFUSED, status="invalid_dst")
    stage.carrier.config.faults.arm(fault)


async def test_dino_announces_a_file_and_hears_on_that_message_what_became_of_it(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    refuse_next(stage)
    await attach_as_dino(alice, contact, "announced-1", JPEG)
    assert (await alice.next(error_for("announced-1"))).error.condition == "item-not-found"
    await attach_as_dino(alice, contact, "announced-2", JPEG)
    await alice.next(receipt_for("announced-2"))
    assert sent_to(stage, peer) == [("", [JPEG])]
    assert [stanza.stanza_id for stanza in alice.received if stanza.error] == ["announced-1"]
    assert bodies_from(alice, contact) == []


async def test_of_two_files_under_one_announcement_the_second_is_refused_after_the_tick_of_the_first(
    stage, login, peer
):
    alice, contact = await login("alice"), stage.contact(peer)
    await attach_as_dino(alice, contact, "announced-3", JPEG)
    await alice.next(receipt_for("announced-3"))
    refuse_next(stage)
    await attach_as_dino(alice, contact, "announced-3", PNG)
    await alice.next(error_for("announced-3"))
    assert "cannot receive texts" in (await alice.next(from_(contact))).body  # clients pass over an error after a tick
    assert sent_to(stage, peer) == [("", [JPEG])]


async def test_a_file_at_two_places_is_one_file(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    url = await upload(alice, JPEG, "a.jpg")
    sharing = shared("https://mirror.example.net/a.jpg")
    ET.SubElement(sharing.find(f"{SHARING}sources"), f"{URL_DATA}url-data", {"target": url})
    written = await alice.send_text(contact, url, extra=[sharing, *out_of_band([url])])
    await alice.next(receipt_for(written))
    assert sent_to(stage, peer) == [("", [JPEG])]
    assert bodies_from(alice, contact) == []


async def test_a_link_in_words_that_the_client_takes_for_a_file_is_said_once(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    words = "see https://www.example.net/cat.jpg please"
    written = await alice.send_text(contact, words, extra=out_of_band(["https://www.example.net/cat.jpg"]))
    await alice.next(receipt_for(written))
    assert sent_to(stage, peer) == [(words, [])]


@pytest.mark.parametrize(
    "name", ["Überraschung 🎂.jpg", "a b%20c?d#e.jpg", "\u202egpj.exe", f"{'x' * 240}.jpg", "..jpg"]
)
async def test_a_picture_of_whatever_name_is_the_picture(stage, login, peer, name):
    alice = await login("alice")
    url = await upload(alice, JPEG, name, "image/jpeg")
    written = await alice.send_text(stage.contact(peer), url, extra=out_of_band([url]))
    await alice.next(receipt_for(written))
    assert sent_to(stage, peer) == [("", [JPEG])]
