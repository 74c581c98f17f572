"""Which card, picture and presence a number has, and for whom."""

import base64
from xml.etree import ElementTree as ET

import pytest

from smsbridge.core.address import Did
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.faces import LARGEST_PICTURE, Face, Picture
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import ProviderName
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import language_named
from smsbridge.xmpp import wire
from smsbridge.xmpp.vcards import VCards
from tests.fakes.photos import PNG

DOMAIN, DID = "sms.example.com", "+15551230001"
ANN, BOB, MALLORY = "ann@example.com", "bob@example.com", "mallory@example.com"
MUM, FRIEND = "+15559870002", "+15559870003"
PICTURE = Picture(kind="image/png", data=PNG)
TEMP, CARD4, PUBSUB = "{vcard-temp}", "{urn:ietf:params:xml:ns:vcard-4.0}", "{http://jabber.org/protocol/pubsub}"
FACES = {(ANN, MUM): Face(name="Mum <&>", picture=PICTURE), (BOB, FRIEND): Face(name="Bob's friend")}
DIRECTORY = Directory(
    Line(did=Did(did), provider=ProviderName("voipms"), owners=(owner,))
    for did, owner in ((DID, ANN), ("+15551230002", BOB))
)
CARDS = VCards(
    face=lambda owner, peer: FACES.get((owner, peer), Face()),
    directory=lambda: DIRECTORY,
    language_of=lambda _jid, asked: language_named(asked) or Language.ENGLISH,
    domain=DOMAIN,
)


def ask(payload, to=f"{MUM}@{DOMAIN}", sender=f"{ANN}/phone", kind="get"):
    iq = ET.Element("{jabber:component:accept}iq", {"from": sender, "to": to, "id": "1", "type": kind})
    iq.append(ET.XML(payload))
    answer = CARDS.answer(iq)
    if answer is None:
        return None
    read = ET.XML(answer)
    assert (read.get("from"), read.get("to"), read.get("id"), read.get("type")) == (to, sender, "1", "result")
    return read[0]


def card(**asked):
    return ask("<vCard xmlns='vcard-temp'/>", **asked)


def item(node, item_id="", **asked):
    wanted = f"<item id='{item_id}'/>" if item_id else ""
    return ask(f"<pubsub xmlns='{PUBSUB[1:-1]}'><items node='{node}'>{wanted}</items></pubsub>", **asked)[0][0]


def dressed(sender, to, kind=""):
    presence = wire.stanza("presence", sender=sender, to=to, stanza_type=kind)
    CARDS.dress(presence)
    return {child.tag: child for child in ET.XML(wire.serialise(presence, domain=DOMAIN))}


def test_a_card_has_name_number_and_picture():
    found = card()
    assert found.findtext(f"{TEMP}FN") == found.findtext(f"{TEMP}NICKNAME") == "Mum <&>"
    assert found.findtext(f"{TEMP}TEL/{TEMP}NUMBER") == MUM
    assert base64.b64decode(found.findtext(f"{TEMP}PHOTO/{TEMP}BINVAL")) == PNG


def test_the_newer_card_says_the_same_whether_asked_or_read_as_a_node():
    asked = ask(f"<vcard xmlns='{CARD4[1:-1]}'/>")
    for found in (asked, item("urn:xmpp:vcard4")[0], item("urn:xmpp:vcard4", "current")[0]):
        assert found.findtext(f"{CARD4}fn/{CARD4}text") == found.findtext(f"{CARD4}nickname/{CARD4}text") == "Mum <&>"
        assert found.findtext(f"{CARD4}tel/{CARD4}uri") == f"tel:{MUM}"
        head, _, data = found.findtext(f"{CARD4}photo/{CARD4}uri").partition(",")
        assert (head, base64.b64decode(data)) == ("data:image/png;base64", PNG)


def test_an_avatar_is_known_by_its_hash_and_read_by_it():
    (info,) = item("urn:xmpp:avatar:metadata")[0]
    assert info.attrib == {"id": PICTURE.sha1, "type": "image/png", "bytes": str(len(PNG))}
    assert base64.b64decode(item("urn:xmpp:avatar:data", PICTURE.sha1)[0].text) == PNG


def test_a_nickname_is_read_as_a_node_by_who_gave_it_alone():
    assert item("http://jabber.org/protocol/nick")[0].text == "Mum <&>"
    with pytest.raises(Refused):
        item("http://jabber.org/protocol/nick", sender=MALLORY)


@pytest.mark.parametrize(
    ("node", "item_id", "to"),
    [
        ("http://jabber.org/protocol/nick", "", "+15559870009"),
        ("urn:xmpp:avatar:data", "0" * 40, MUM),
        ("urn:xmpp:avatar:data", "", FRIEND),
        ("urn:xmpp:avatar:metadata", "", FRIEND),
        ("eu.siacs.conversations.axolotl.devicelist", "", MUM),
        ("", "", MUM),
        ("urn:xmpp:vcard4", "", "+1"),
    ],
)
def test_what_is_not_there_is_not_found(node, item_id, to):
    with pytest.raises(Refused) as refused:
        item(node, item_id, to=f"{to}@{DOMAIN}")
    assert refused.value.reason is Reason.BAD_ADDRESS


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        (MALLORY, MUM),
        (BOB, MUM),
        (BOB, f"{MUM}%{DID}"),
        (f"{MALLORY}/{ANN}", MUM),
        (ANN, FRIEND),
        (BOB, f"{FRIEND}%{DID}"),
    ],
)
def test_nobody_sees_anothers_names(sender, to):
    found = card(sender=sender, to=f"{to}@{DOMAIN}")
    assert found.findtext(f"{TEMP}FN").startswith("+1 555-987-000")
    assert [child.tag for child in found] == [f"{TEMP}FN", f"{TEMP}TEL"]
    assert dressed(f"{to}@{DOMAIN}/phone", sender).keys() == {"{vcard-temp:x:update}x"}


def test_over_a_line_of_his_he_sees_it_as_well():
    assert card(to=f"{MUM}%{DID}@{DOMAIN}").findtext(f"{TEMP}FN") == "Mum <&>"


def test_a_group_is_called_by_its_members():
    assert card(to=f"{MUM},{FRIEND}@{DOMAIN}").findtext(f"{TEMP}FN") == f"Mum <&>, {FRIEND}"
    assert card(to=f"{MUM},{FRIEND}@{DOMAIN}", sender=MALLORY).findtext(f"{TEMP}FN").startswith("+1 555")


def test_the_gateway_has_a_card_and_a_sender_with_a_name_has_no_number():
    assert card(to=DOMAIN).findtext(f"{TEMP}FN") == "SMS gateway"
    assert [child.tag for child in card(to=f"amazon@{DOMAIN}")] == [f"{TEMP}FN"]


def test_presence_says_the_name_and_which_picture():
    found = dressed(f"{MUM}@{DOMAIN}/phone", ANN)
    assert found["{http://jabber.org/protocol/nick}nick"].text == "Mum <&>"
    assert found["{vcard-temp:x:update}x"][0].text == PICTURE.sha1
    assert dressed(f"{MUM}@{DOMAIN}", ANN, "subscribe").keys() == {"{http://jabber.org/protocol/nick}nick"}
    assert dressed(f"{MUM}@{DOMAIN}", ANN, "subscribed") == {}
    assert dressed(DOMAIN, ANN) == {}


def test_while_a_book_was_never_read_presence_says_nothing_of_pictures(monkeypatch):
    monkeypatch.setitem(FACES, (ANN, MUM), Face(name="Mum", is_whole=False))
    assert len(dressed(f"{MUM}@{DOMAIN}/phone", ANN)["{vcard-temp:x:update}x"]) == 0
    monkeypatch.setitem(FACES, (ANN, MUM), Face(name="Mum", picture=PICTURE, is_whole=False))
    assert dressed(f"{MUM}@{DOMAIN}/phone", ANN)["{vcard-temp:x:update}x"][0].text == PICTURE.sha1
    monkeypatch.setitem(FACES, (ANN, MUM), Face(name="Mum"))
    assert dressed(f"{MUM}@{DOMAIN}/phone", ANN)["{vcard-temp:x:update}x"][0].text is None


def test_a_card_can_only_be_read():
    with pytest.raises(Refused) as refused:
        card(kind="set")
    assert refused.value.reason is Reason.NOT_OWNER
    assert card(kind="result") is None
    assert card(kind="error") is None


def test_the_largest_picture_fits_into_a_stanza(monkeypatch):
    picture = Picture(kind="image/png", data=PNG.ljust(LARGEST_PICTURE, b"x"))
    monkeypatch.setitem(FACES, (ANN, MUM), Face(name="🧓" * 64, picture=picture))
    assert card().find(f"{TEMP}PHOTO") is not None
    assert item("urn:xmpp:vcard4") is not None
