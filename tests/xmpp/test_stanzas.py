"""What becomes of a delivery, and of every odd message that a client or a server may send."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.message import Delivery, DeliveryId, DeliveryKind, Media, OutboundMessage
from smsbridge.core.text import xml_clean
from smsbridge.core.words.say import Say
from smsbridge.xmpp import wire
from smsbridge.xmpp.stanzas import (
    Bounce,
    Ignored,
    Typed,
    Unrenderable,
    read_message,
    render,
)
from tests.fakes.words import because, english

DOMAIN = "sms.example.com"
NUMBER = "+15559870002@sms.example.com"
OWNER = "ann@example.com"
FULL = "ann@example.com/Laptop 1"
ID = "6f0c2c1e-8a1b-5f0e-9b57-5a5d0f6f4a10"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HINT = "{urn:xmpp:hints}store"


def delivery(kind=DeliveryKind.TEXT, **given) -> Delivery:
    defaults = {
        "id": DeliveryId("d1"),
        "domain": DOMAIN,
        "kind": kind,
        "to_jid": FULL,
        "sender": "+15559870002",
        "stanza_id": ID,
        "body": "hello",
        "created_at": NOON,
    }
    return Delivery(**(defaults | given))


def rendered(made: Delivery, **given) -> ET.Element:
    return ET.XML(render(made, **given))


def names(element: ET.Element) -> list[str]:
    return [child.tag for child in element]


# --- out


def test_a_text_is_a_chat_from_the_number_to_the_bare_jid_under_the_stable_id() -> None:
    message = rendered(delivery())
    assert message.tag == "message"
    assert message.attrib == {"from": NUMBER, "to": OWNER, "id": ID, "type": "chat"}
    assert message.findtext("body") == "hello"
    assert names(message) == ["body", "{urn:xmpp:chat-markers:0}markable"]  # each child costs the server a tenth


def test_the_bytes_name_namespaces_as_clients_do_and_none_of_their_own() -> None:
    xml = render(delivery())
    assert xml.startswith(b'<message from="')
    assert b'<markable xmlns="urn:xmpp:chat-markers:0"/>' in xml
    assert b"ns0" not in xml


def test_a_senders_own_spelling_travels_as_a_nick() -> None:
    message = rendered(delivery(sender=r"amazon\20pay", label="Amazon <Pay>\x00"))
    assert message.get("from") == r"amazon\20pay@sms.example.com"
    assert message.findtext("{http://jabber.org/protocol/nick}nick") == "Amazon <Pay>\ufffd"


@pytest.mark.parametrize(
    ("written_before", "is_told"),
    [(timedelta(seconds=31), True), (timedelta(seconds=30), False), (-timedelta(1), False)],
)
def test_only_a_text_that_is_old_says_when_it_was_written(written_before: timedelta, is_told: bool) -> None:
    delay = rendered(delivery(stamp=NOON - written_before)).find("{urn:xmpp:delay}delay")
    assert (delay is not None) is is_told


def test_a_delay_is_said_by_the_gateway_in_utc() -> None:
    message = rendered(delivery(stamp=datetime.fromisoformat("2026-03-01T06:00:00.5-05:00")))
    assert message.find("{urn:xmpp:delay}delay").attrib == {"from": DOMAIN, "stamp": "2026-03-01T11:00:00Z"}


def test_a_text_that_waited_for_the_stream_counts_as_old() -> None:
    made = delivery(stamp=NOON)
    assert rendered(made, now=NOON + timedelta(hours=2)).find("{urn:xmpp:delay}delay") is not None
    assert rendered(made, now=NOON + timedelta(seconds=5)).find("{urn:xmpp:delay}delay") is None


def test_a_stamp_without_anything_to_compare_it_with_is_told() -> None:
    assert rendered(delivery(stamp=NOON, created_at=None)).find("{urn:xmpp:delay}delay") is not None


def test_a_picture_is_its_url_twice_and_nothing_else() -> None:
    url = "https://media.example.com/a?b=1&c=2"
    message = rendered(delivery(DeliveryKind.MEDIA, media_url=url, body="must not show"))
    assert message.findtext("body") == url
    assert message.findtext("{jabber:x:oob}x/{jabber:x:oob}url") == url
    assert message.find("{urn:xmpp:sfs:0}file-sharing") is None


def test_what_is_known_of_a_picture_stands_beside_its_url() -> None:
    url = "https://media.example.com/1/image.jpg?x=1"
    message = rendered(delivery(DeliveryKind.MEDIA, media_url=url, body=f"image/jpeg 12345 {'A' * 43}="))
    assert message.findtext("body") == url
    (shared,) = message.findall("{urn:xmpp:sfs:0}file-sharing")
    file = shared.find("{urn:xmpp:file:metadata:0}file")
    assert [child.text for child in file] == ["image/jpeg", "image.jpg", "12345", "A" * 43 + "="]
    (source,) = shared.findall("{urn:xmpp:sfs:0}sources/{http://jabber.org/protocol/url-data}url-data")
    assert source.get("target") == url


def test_a_receipt_names_the_text_and_goes_from_the_jid_that_was_addressed() -> None:
    message = rendered(delivery(DeliveryKind.RECEIPT, about="text-1", sender=f"{NUMBER}/phone"))
    assert message.attrib == {"from": f"{NUMBER}/phone", "to": FULL, "id": ID, "type": "chat"}
    assert message.find("{urn:xmpp:receipts}received").get("id") == "text-1"
    assert names(message) == ["{urn:xmpp:receipts}received", HINT]


def test_an_error_echoes_the_id_of_the_text_and_never_its_body() -> None:
    message = rendered(delivery(DeliveryKind.ERROR, about="text-1", reason="quota", sender=f"{NUMBER}/phone", body=""))
    assert message.attrib == {"from": f"{NUMBER}/phone", "to": FULL, "id": "text-1", "type": "error"}
    assert names(message) == ["error"]
    error = message.find("error")
    assert error.get("type") == "wait"
    assert names(error) == [f"{{{wire.STANZA_ERRORS}}}resource-constraint", f"{{{wire.STANZA_ERRORS}}}text"]
    assert error[1].text == because(Reason.QUOTA)
    assert error[1].attrib == {wire.LANG: "en"}


def test_an_errors_own_words_take_the_place_of_the_rows() -> None:
    message = rendered(delivery(DeliveryKind.ERROR, about="", reason="bug", body="2 of 3 parts left"))
    assert message.get("id") is None
    assert message.find("error")[1].text == "2 of 3 parts left"


def test_a_notice_comes_from_the_gateway_itself() -> None:
    message = rendered(delivery(DeliveryKind.NOTICE, sender="", body="Not delivered: …"))
    assert message.attrib == {"from": DOMAIN, "to": OWNER, "id": ID, "type": "chat"}
    assert message.findtext("body") == "Not delivered: …"


def test_what_was_sent_elsewhere_is_the_owners_own_message_in_an_envelope_for_their_server() -> None:
    envelope = rendered(
        delivery(DeliveryKind.CARBON, stamp=NOON - timedelta(hours=1)), speaks_for=lambda jid: jid == OWNER
    )
    assert envelope.attrib == {"from": DOMAIN, "to": "example.com", "id": ID}
    (privilege,) = envelope
    (forwarded,) = privilege
    (message,) = forwarded
    assert [privilege.tag, forwarded.tag] == ["{urn:xmpp:privilege:2}privilege", "{urn:xmpp:forward:0}forwarded"]
    assert message.tag == "{jabber:client}message"
    assert message.attrib == {"from": OWNER, "to": NUMBER, "id": ID, "type": "chat"}
    assert message.findtext("{jabber:client}body") == "hello"
    assert message.find("{urn:xmpp:delay}delay").get("stamp") == "2026-03-01T11:00:00Z"
    assert "{urn:xmpp:receipts}request" not in names(message)  # nobody would answer


def test_a_picture_that_was_sent_elsewhere_is_its_url() -> None:
    made = delivery(DeliveryKind.CARBON, body="", media_url="https://x/1.jpg")
    message = rendered(made, speaks_for=lambda _: True)[0][0][0]
    assert message.findtext("{jabber:client}body") == "https://x/1.jpg"
    assert message.findtext("{jabber:x:oob}x/{jabber:x:oob}url") == "https://x/1.jpg"


@pytest.mark.parametrize("answer", [None, False])
@pytest.mark.parametrize("given", [{"body": "hello"}, {"body": "", "media_url": "https://x/1.jpg"}])
def test_without_a_grant_it_is_a_line_from_the_number(answer: bool | None, given: dict) -> None:
    message = rendered(delivery(DeliveryKind.CARBON, **given), speaks_for=lambda _: answer)
    assert (message.get("from"), message.get("to")) == (NUMBER, OWNER)
    assert message.findtext("body") == f"you, from the portal: {given['body'] or given['media_url']}"
    assert message.find("{jabber:x:oob}x") is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": DeliveryKind.MEDIA}, "without URL"),
        ({"kind": DeliveryKind.RECEIPT}, "for nothing"),
        ({"kind": DeliveryKind.ERROR, "reason": "weather"}, "unknown reason"),
        ({"sender": "+15559870002@elsewhere.example.com"}, "not of our domain"),
        ({"sender": "a b"}, "no JID"),
        ({"sender": "", "domain": ""}, "is missing"),
        ({"to_jid": ""}, "is missing"),
        ({"to_jid": "/x"}, "is missing"),
        ({"to_jid": "x" * 1100 + "@example.com"}, "no JID"),
        ({"stanza_id": "\x00"}, "not XML"),
        ({"stanza_id": "\ud800"}, "not XML"),
        ({"body": "é" * 32_768}, "larger"),
        ({"kind": DeliveryKind.NOTICE, "body": "&" * 15_000}, "larger"),
    ],
)
def test_what_would_hurt_the_stream_is_not_rendered(given: dict, why: str) -> None:
    with pytest.raises(Unrenderable, match=why) as caught:
        render(delivery(**given))
    assert "+1555" not in caught.value.why


def test_what_reads_back_as_something_else_is_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "xml_clean", lambda text: text)
    with pytest.raises(Unrenderable, match="something else"):
        render(delivery(body="a\rb", label="Bank"))


def test_what_is_not_xml_is_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "xml_clean", lambda text: text)
    for body in ("a\x01b", "a\ud800b", "a\uffffb"):
        with pytest.raises(Unrenderable, match="not XML"):
            render(delivery(body=body))


AWKWARD = st.one_of(
    st.text(max_size=300),
    st.text(st.characters(), max_size=100),  # surrogates as well
    st.text(st.sampled_from("\x00\x08\x0b\x1b\x7f\r\n\t \ufffe\uffff\ud800\udc00&<>\"']]>\u202e\u200f\U0001f600é")),
)


@given(body=AWKWARD, label=AWKWARD, url=AWKWARD)
def test_every_text_survives_a_parser_as_its_clean_form(body: str, label: str, url: str) -> None:
    message = rendered(delivery(body=body, label=label))
    assert message.findtext("body") == xml_clean(body)
    assert (message.findtext("{http://jabber.org/protocol/nick}nick") or "") == xml_clean(label)
    error = rendered(delivery(DeliveryKind.ERROR, reason="bug", about="t", body=body))
    assert error.find("error")[1].text == (xml_clean(body) if body else because(Reason.BUG))
    if url:
        assert rendered(delivery(DeliveryKind.MEDIA, media_url=url)).findtext("body") == xml_clean(url)


@given(body=AWKWARD.filter(bool), to=st.sampled_from([FULL, "o\\27brien@example.com/x", "ü@example.com"]))
def test_a_plain_text_is_written_as_any_other_element_would_be(body: str, to: str) -> None:
    made = delivery(body=body, to_jid=to)
    element = wire.stanza("message", sender=NUMBER, to=to.partition("/")[0], stanza_id=ID, stanza_type="chat")
    wire.add(element, "body", text=body)
    wire.add(element, "markable", "urn:xmpp:chat-markers:0")
    assert render(made) == wire.serialise(element, domain=DOMAIN)


@pytest.mark.parametrize("plane", range(17))
def test_every_code_point_survives_or_is_replaced(plane: int) -> None:
    for start in range(plane << 16, (plane + 1) << 16, 0x2000):
        body = "".join(map(chr, range(start, start + 0x2000)))
        assert rendered(delivery(body=body)).findtext("body") == xml_clean(body)


# --- in


def read(children: str, attributes: str = "type='chat' id='m1'", to: str = NUMBER, sender: str = FULL):
    xml = f"<message xmlns='jabber:component:accept' from='{sender}' to='{to}' {attributes}>{children}</message>"
    return read_message(ET.XML(xml), domain=DOMAIN)


def outbound(text: str = "", *urls: str, **given) -> OutboundMessage:
    defaults = {
        "owner": OWNER,
        "sender": FULL,
        "addressed": NUMBER,
        "stanza_id": "m1",
        "text": text,
        "media": tuple(Media(url=url) for url in urls),
    }
    return OutboundMessage(**(defaults | given))


URL = "https://upload.example.com/x/cat.jpg"
BODY = "<body>hi</body>"
OOB = f"<x xmlns='jabber:x:oob'><url>{URL}</url></x>"
SHARED = (
    "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'/>"
    f"<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></file-sharing>"
)
HTTP = "http://jabber.org/protocol/url-data"
MIRRORED = SHARED.replace("<sources>", f"<sources><url-data xmlns='{HTTP}' target='https://mirror.example.net/1'/>")
TORRENT = SHARED.replace("<sources>", f"<sources><url-data xmlns='{HTTP}' target='magnet:?xt=1'/>")
# Dino: the file first, then where it is
ANNOUNCED = "<file-sharing xmlns='urn:xmpp:sfs:0' id='f1'><file xmlns='urn:xmpp:file:metadata:0'/></file-sharing>"
PLACED = (
    "<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>"
    f"<sources xmlns='urn:xmpp:sfs:0' id='f1'><url-data xmlns='{HTTP}' target='{URL}'/></sources>"
)
FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>no</body></message></forwarded>"
CONVERSATIONS = (
    "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
    "<markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='m1'/>"
    "<stanza-id xmlns='urn:xmpp:sid:0' id='99' by='ann@example.com'/>"
)
GAJIM = (
    "<origin-id xmlns='urn:xmpp:sid:0' id='m1'/><request xmlns='urn:xmpp:receipts'/><thread>t</thread>"
    "<body>hi *there* /me</body><markable xmlns='urn:xmpp:chat-markers:0'/>"
)
PIDGIN = (
    "<active xmlns='http://jabber.org/protocol/chatstates'/><body>hi</body>"
    "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>other</body></html>"
)
OMEMO = (
    "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AA</payload></encrypted>"
    "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>"
    "<body>I sent you an OMEMO encrypted message but your client doesn't support that.</body>"
)


def reply(body: str, *marks: str, about: str = "urn:xmpp:reply:0") -> str:
    ranges = "".join(marks)
    return (
        f"<body>{body}</body><reply xmlns='urn:xmpp:reply:0' to='{NUMBER}' id='o1'/>"
        f"<fallback xmlns='urn:xmpp:fallback:0' for='{about}'>{ranges}</fallback>"
    )


TEXTS = {
    "Conversations": (CONVERSATIONS, outbound("hi", wants_receipt=True)),
    "Gajim": (GAJIM, outbound("hi *there* /me", wants_receipt=True)),
    "Pidgin, XHTML-IM": (PIDGIN, outbound("hi")),
    "Dino, a file": (f"<body>{URL}</body>{OOB}", outbound("", URL)),
    "Conversations, a file": (f"{OOB}<body> {URL}\n</body>", outbound("", URL)),
    "OOB without a body": (OOB, outbound("", URL)),
    "OOB with words": (f"<body>look</body>{OOB}", outbound("look", URL)),
    "a file that is shared": (f"<body>{URL}</body>{SHARED}", outbound("", URL)),
    "a file that is shared and OOB": (f"<body>{URL}</body>{OOB}{SHARED}", outbound("", URL)),
    "a file that is shared, with words": (f"<body>look</body>{SHARED}", outbound("look", URL)),
    "a file with words and its link below": (f"<body>look\n{URL}</body>{OOB}", outbound("look", URL)),
    "a file whose link stands in the words": (f"<body>look at {URL}</body>{OOB}", outbound(f"look at {URL}", URL)),
    "a file at two places": (MIRRORED, outbound("", "https://mirror.example.net/1")),
    "a file at two places, one of them OOB": (f"<body>{URL}</body>{OOB}{MIRRORED}", outbound("", URL)),
    "a file that can be had by HTTP as well": (TORRENT, outbound("", URL)),
    "Dino, where a file is that was announced": (
        f"<body>{URL}</body>{OOB}{PLACED}<request xmlns='urn:xmpp:receipts'/>",
        outbound("", URL, stanza_id="m0", wants_receipt=True),
    ),
    "where a file is that was announced, and no more": (PLACED, outbound("", URL, stanza_id="m0")),
    "Cheogram, a file with words": (
        reply(f"look 😀{URL}", f"<body start='6' end='{6 + len(URL)}'/>", about="jabber:x:oob") + OOB,
        outbound("look 😀", URL),
    ),
    "Cheogram, a file alone": (reply(URL, "<body/>", about="jabber:x:oob") + OOB, outbound("", URL)),
    "Kaidan, a file alone": (reply(URL, "<body/>", about="urn:xmpp:sfs:0") + OOB + SHARED, outbound("", URL)),
    "a file in words that are none": (
        reply(f"I sent you a file: {URL}", about="urn:xmpp:sfs:0") + SHARED,
        outbound("", URL),
    ),
    "words that are marked as none, and no link in them": (
        reply("look", "<body/>", about="urn:xmpp:sfs:0") + SHARED,
        outbound("look", URL),
    ),
    "a mark of a file without a file": (reply("look", "<body/>", about="urn:xmpp:sfs:0"), outbound("look")),
    "a link in words": (f"<body>see {URL}</body>", outbound(f"see {URL}")),
    "a secret that is spoken of": ("<body>aesgcm: what is that?</body>", outbound("aesgcm: what is that?")),
    "the same OOB twice": (f"<body>{URL}</body>{OOB}{OOB}", outbound("", URL)),
    "an empty OOB": ("<body>hi</body><x xmlns='jabber:x:oob'><url/></x>", outbound("hi")),
    "a line break stays": ("<body> a\n b </body>", outbound(" a\n b ")),
    "two languages": ("<body xml:lang='de'>hallo</body><body>hi</body>", outbound("hi")),
    "only a language": ("<body xml:lang='de'>hallo</body>", outbound("hallo")),
    "a body in the client's namespace": ("<body xmlns='jabber:client'>hi</body>", outbound("hi")),
    "a private message, not to be copied": (f"{BODY}<private xmlns='urn:xmpp:carbons:2'/>", outbound("hi")),
    "an OTR client offers itself": (
        "<body>hi \t  \t\t\t\t \t \t \t    \t\t  \t   \t\t  \t\t</body>",
        outbound("hi"),
    ),
    "a reply with a quotation": (
        reply("&gt; 😀 it\nyes", "<body start='0' end='7'/>"),
        outbound("yes"),
    ),
    "a reply in two ranges that overlap": (
        reply("abcdefgh", "<body start='1' end='4'/>", "<body start='0' end='3'/>"),
        outbound("efgh"),
    ),
    "a reply whose range is none": (reply("yes", "<body start='a' end='2'/>"), outbound("yes")),
    "a reply whose range is too long": (reply("yes", "<body start='1' end='999999999'/>"), outbound("y")),
    "a reply whose range is absurd": (reply("yes", f"<body start='1' end='{'9' * 5000}'/>"), outbound("yes")),
    "a reply that marks no range": (reply("yes"), outbound("yes")),
    "a fallback for something else": (
        reply("yes", "<body start='0' end='2'/>", about="urn:xmpp:else"),
        outbound("yes"),
    ),
    "a reaction with words of its own": (
        "<body>hi</body><reactions xmlns='urn:xmpp:reactions:0' id='o1'><reaction>👍</reaction></reactions>",
        outbound("hi"),
    ),
    "a fastening that retracts nothing": (
        f"{BODY}<apply-to xmlns='urn:xmpp:fasten:0' id='o1'><external name='body'/></apply-to>",
        outbound("hi"),
    ),
}

NOT_TEXTS = {
    "chat state": ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", "nothing"),
    "receipt": ("<received xmlns='urn:xmpp:receipts' id='o1'/>", "nothing"),
    "marker": ("<displayed xmlns='urn:xmpp:chat-markers:0' id='o1'/>", "nothing"),
    "reaction": ("<reactions xmlns='urn:xmpp:reactions:0' id='o1'><reaction>👍</reaction></reactions>", "nothing"),
    "Dino, a file is announced": (f"{ANNOUNCED}<request xmlns='urn:xmpp:receipts'/>", "nothing"),
    "Kaidan, each file once more": (reply(URL, "<body/>", about="urn:xmpp:sfs:0") + OOB, "files again"),
    "reaction with its fallback": (reply("👍", "<body/>", about="urn:xmpp:reactions:0"), "nothing"),
    "reaction with a range": (reply("👍", "<body start='0' end='1'/>", about="urn:xmpp:reactions:0"), "nothing"),
    "blank": ("<body> \n\t</body>", "nothing"),
    "empty": ("", "nothing"),
    "a body of some other namespace": ("<body xmlns='urn:example:x'>hi</body>", "nothing"),
    "a body deeper inside": ("<x xmlns='urn:example:x'><body xmlns='jabber:client'>hi</body></x>", "nothing"),
    "carbon, sent": (f"{BODY}<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>", "nested"),
    "carbon, received": (f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>", "nested"),
    "forwarded": (f"{BODY}{FORWARDED}", "nested"),
    "archived": (f"<result xmlns='urn:xmpp:mam:2' id='1'>{FORWARDED}</result>", "nested"),
    "pubsub": (f"{BODY}<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='x'/></event>", "nested"),
    "privilege": (f"{BODY}<privilege xmlns='urn:xmpp:privilege:2'>{FORWARDED}</privilege>", "nested"),
    "invitation": (f"{BODY}<x xmlns='jabber:x:conference' jid='r@rooms.example.com'/>", "nested"),
}

REFUSED = {
    "OMEMO": (OMEMO, Reason.ENCRYPTED, ""),
    "OMEMO 2": (f"{BODY}<encrypted xmlns='urn:xmpp:omemo:2'/>", Reason.ENCRYPTED, ""),
    "OpenPGP": ("<openpgp xmlns='urn:xmpp:openpgp:0'>AA</openpgp>", Reason.ENCRYPTED, ""),
    "old PGP": (f"{BODY}<x xmlns='jabber:x:encrypted'>AA</x>", Reason.ENCRYPTED, ""),
    "EME alone": (f"{BODY}<encryption xmlns='urn:xmpp:eme:0' namespace='urn:x'/>", Reason.ENCRYPTED, ""),
    "OTR": ("<body>?OTR:AAMC</body>", Reason.ENCRYPTED, ""),
    "OTR query": ("<body>?OTRv23? hello</body>", Reason.ENCRYPTED, ""),
    "correction": (
        f"{BODY}<replace xmlns='urn:xmpp:message-correct:0' id='o1'/>",
        Reason.NOT_ANSWERABLE,
        english(Say.CANNOT_CHANGE()),
    ),
    "retraction": (
        "<body>retracted</body><retract xmlns='urn:xmpp:message-retract:1' id='o1'/>",
        Reason.NOT_ANSWERABLE,
        english(Say.CANNOT_RETRACT()),
    ),
    "retraction of old": (
        "<apply-to xmlns='urn:xmpp:fasten:0' id='o1'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
        Reason.NOT_ANSWERABLE,
        english(Say.CANNOT_RETRACT()),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_people_write_becomes_a_text(name: str) -> None:
    xml, expected = TEXTS[name]
    assert read(xml) == expected


@pytest.mark.parametrize("name", NOT_TEXTS)
def test_what_nobody_wrote_is_ignored(name: str) -> None:
    xml, why = NOT_TEXTS[name]
    reading = read(xml)
    assert isinstance(reading, Ignored)
    assert reading.why.startswith(why)
    assert reading.is_odd is (why == "nested")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_text_is_refused_whatever_its_fallback_says(name: str) -> None:
    xml, reason, words = REFUSED[name]
    reading = read(xml)
    assert isinstance(reading, Refused)
    assert (reading.reason, english(reading.words)) == (reason, words)


@pytest.mark.parametrize("attributes", ["", "type='normal'", "type='chat'", "type='invented'"])
def test_every_type_that_is_not_special_counts_as_normal(attributes: str) -> None:
    assert read(BODY, attributes) == outbound("hi", stanza_id="")


@pytest.mark.parametrize("kind", ["headline", "groupchat"])
def test_headlines_and_rooms_are_ignored(kind: str) -> None:
    assert read(BODY, f"type='{kind}'") == Ignored(kind)


def test_a_full_jid_of_a_number_counts_like_the_bare_and_is_kept_for_the_answer() -> None:
    to = f"{NUMBER}/phone"
    assert read(BODY, to=to) == outbound("hi", addressed=to)


def test_the_owner_is_normalised_and_the_sender_kept_as_it_came() -> None:
    sender = "Ann@EXAMPLE.com/Laptop 1"
    assert read(BODY, sender=sender) == outbound("hi", owner=OWNER, sender=sender)


@pytest.mark.parametrize("to", [DOMAIN, f"{DOMAIN}/gateway"])
def test_a_text_to_the_bare_domain_is_a_line_for_the_bridge(to: str) -> None:
    assert read(BODY, to=to) == Typed(owner=OWNER, text="hi")
    assert isinstance(read("", to=to), Ignored)


@pytest.mark.parametrize(
    ("sender", "to", "is_odd"),
    [
        ("", NUMBER, True),
        (FULL, "", True),
        (FULL, f"{'x' * 1100}@{DOMAIN}", True),
        (FULL, "+15559870002@elsewhere.example.com", False),
        ("+15551230001@sms.example.com", NUMBER, False),
        (DOMAIN, DOMAIN, False),
    ],
)
def test_what_does_not_come_from_a_user_to_us_is_ignored(sender: str, to: str, is_odd: bool) -> None:
    reading = read(BODY, sender=sender, to=to)
    assert isinstance(reading, Ignored)
    assert reading.is_odd is is_odd


def test_an_error_is_a_bounce_even_when_it_echoes_the_body() -> None:
    error = (
        f"{BODY}<error type='cancel'><text xmlns='{wire.STANZA_ERRORS}'>no</text>"
        f"<service-unavailable xmlns='{wire.STANZA_ERRORS}'/></error>"
    )
    assert read(error, "type='error' id='m1'") == Bounce(
        stanza_id="m1", from_bare_jid=OWNER, condition="service-unavailable"
    )


@pytest.mark.parametrize("error", ["", "<error/>", "<error><gone xmlns='urn:example:x'/></error>"])
def test_an_error_without_a_condition_is_a_bounce_all_the_same(error: str) -> None:
    reading = read(error, "type='error' id='m1'")
    assert reading == Bounce(stanza_id="m1", from_bare_jid=OWNER, condition="undefined-condition")


def test_an_error_about_nothing_is_ignored() -> None:
    assert isinstance(read(BODY, "type='error'"), Ignored)


SECRETLY_SHARED = SHARED.replace("<sources>", "<sources><encrypted xmlns='urn:xmpp:esfs:0'/>")
SECRETLY_PLACED = PLACED.replace("<url-data", "<encrypted xmlns='urn:xmpp:esfs:0'/><url-data")
SECRET = f"aesgcm://upload.example.com/x/cat.jpg#{'0' * 88}"


@pytest.mark.parametrize(
    "children",
    [
        f"<body>{SECRET}</body>",
        f"<body> {SECRET}\n</body>",
        f"<body>{SECRET}</body><x xmlns='jabber:x:oob'><url>{SECRET}</url></x>",
        f"<body>look</body><x xmlns='jabber:x:oob'><url>{SECRET.upper()}</url></x>",
        f"<body>{URL}</body>{SECRETLY_SHARED}",
        f"<body>look</body>{SECRETLY_PLACED}",
    ],
)
def test_a_file_that_is_encrypted_is_refused_in_words(children: str) -> None:
    refused = read(children)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.ENCRYPTED
    assert "file" in english(refused.words)
