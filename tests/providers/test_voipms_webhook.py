"""VoIP.ms' two ways to tell of a text, as they come and as they might."""

import contextlib
import json
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsbridge.core.errors import Malformed, Unauthentic
from smsbridge.core.message import InboundMessage, Kind, Media, ProviderName, Source
from smsbridge.providers.contract import Answer, Callback, Parsed
from smsbridge.providers.voipms import webhook
from smsbridge.providers.voipms.api import Settings
from smsbridge.providers.voipms.provider import VoipMs

NAME = ProviderName("voipms")
DID, PEER = "+15551230001", "+15559870002"
AT = datetime(2026, 10, 5, 18, 3, 11, tzinfo=UTC)
PICTURE = "https://voip.ms/media/MTc1OTY3NDk5MS/media.jpeg"
DROP = object()


class NoCaller:
    """Parsing and authenticating must not call anybody."""


@pytest.fixture(scope="module")
def carrier() -> VoipMs:
    section = Settings(username="john@example.com", password="horse", query_keys=["old kéy", "new+key"])
    return VoipMs(NAME, section, NoCaller())


def webhook_of(**changes) -> Callback:
    payload = {
        "id": 110997001,
        "record_type": "message",
        "type": "SMS",
        "from": {"phone_number": "5559870002"},
        "to": [{"phone_number": "5551230001", "status": "webhook_delivered"}],
        "text": "Hello 🙂",
        "media": [],
        "received_at": "2026-10-05T18:03:11.000000+00:00",
    } | {name.rstrip("_"): value for name, value in changes.items()}
    payload = {name: value for name, value in payload.items() if value is not DROP}
    data = {"id": 110997001, "event_type": "message.received", "record_type": "event", "payload": payload}
    return posted(json.dumps({"data": data}).encode())


def posted(body: bytes) -> Callback:
    return Callback(method="POST", path="/hook/voipms", query=(("key", "new+key"),), body=body)


def called(**changes) -> Callback:
    query = {
        "token": "new+key",
        "to": "5551230001",
        "from": "5559870002",
        "message": "Hello there",
        "id": "110997001",
        "date": "2026-10-05 14:03:11",
        "media": "",
    } | {name.rstrip("_"): value for name, value in changes.items()}
    return Callback(
        method="GET",
        path="/hook/voipms",
        query=tuple((name, value) for name, value in query.items() if value is not DROP),
    )


def one(parsed: Parsed) -> InboundMessage:
    (event,) = parsed.events
    assert isinstance(event, InboundMessage)
    return event


def test_a_webhook_is_read_whole(carrier):
    assert carrier.parse(webhook_of()) == Parsed(
        events=(
            InboundMessage(
                provider=NAME,
                source=Source.WEBHOOK,
                kind=Kind.SMS,
                did=DID,
                peer=PEER,
                provider_id="110997001",
                text="Hello 🙂",
                sent_at=AT,
            ),
        )
    )


def test_a_url_callback_is_read_whole(carrier):
    assert carrier.parse(called()) == Parsed(
        events=(
            InboundMessage(
                provider=NAME,
                source=Source.CALLBACK,
                kind=Kind.UNTOLD,
                did=DID,
                peer=PEER,
                provider_id="110997001",
                text="Hello there",
                sent_at=AT,
            ),
        )
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "110997001"}, {"provider_id": "110997001"}),
        ({"id": DROP}, {"provider_id": "110997001"}),  # the envelope has it, too
        ({"id": 0}, {"provider_id": "110997001"}),
        ({"text": None}, {"text": ""}),
        ({"text": DROP}, {"text": ""}),
        ({"text": {"body": "x"}}, {"text": ""}),
        ({"text": True}, {"text": ""}),
        ({"text": 4711}, {"text": "4711"}),
        ({"text": "half \ud83d"}, {"text": "half \ufffd"}),
        ({"type": "mms"}, {"kind": Kind.MMS}),
        ({"type": DROP}, {"kind": Kind.UNTOLD}),
        ({"type": "RCS", "media": [PICTURE]}, {"kind": Kind.MMS}),
        ({"type": "SMS", "media": [PICTURE]}, {"kind": Kind.SMS}),
        ({"media": None}, {"media": ()}),
        ({"media": DROP}, {"media": ()}),
        ({"media": [{"url": PICTURE}]}, {"media": (Media(url=PICTURE),)}),
        ({"media": [PICTURE, "", None, {"url": ""}]}, {"media": (Media(url=PICTURE),)}),
        ({"media": {"url": PICTURE}}, {"media": (Media(url=PICTURE),)}),
        ({"media": "media/abc/media.png"}, {"media": (Media(url="https://voip.ms/media/abc/media.png"),)}),
        ({"media": "/media/abc/media.png"}, {"media": (Media(url="https://voip.ms/media/abc/media.png"),)}),
        ({"from_": [{"phone_number": "+15559870002"}]}, {"peer": PEER}),
        ({"from_": "15559870002"}, {"peer": PEER}),
        ({"from_": {"phone_number": 5559870002}}, {"peer": PEER}),
        ({"from_": {"phone_number": "29283"}}, {"peer": "29283", "label": ""}),
        ({"from_": {"phone_number": "Amazon Pay"}}, {"peer": "amazon pay", "label": "Amazon Pay"}),
        ({"to": {"phone_number": "+15551230001"}}, {"did": DID, "others": ()}),
        ({"to": ["5551230001", "15551230001"]}, {"did": DID, "others": ()}),
        ({"to": ["5551230001", "29283", "nobody", ""]}, {"did": DID, "others": ("29283", "nobody")}),
        ({"received_at": DROP}, {"sent_at": None}),
        ({"received_at": "yesterday"}, {"sent_at": None}),
        ({"received_at": "0000-00-00 00:00:00"}, {"sent_at": None}),
        ({"received_at": "9999-12-31 23:59:59"}, {"sent_at": None}),
        ({"received_at": "2026-10-05T14:03:11-04:00"}, {"sent_at": AT}),
    ],
)
def test_a_webhook_of_another_shape_is_understood(carrier, changes, expected):
    message = one(carrier.parse(webhook_of(**changes)))
    assert {name: getattr(message, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"media": PICTURE}, {"kind": Kind.MMS, "media": (Media(url=PICTURE),)}),
        ({"media": f"{PICTURE},,"}, {"kind": Kind.MMS, "media": (Media(url=PICTURE),)}),
        (
            {"media": f"{PICTURE}, media/b/media.gif,"},
            {
                "media": (Media(url=PICTURE), Media(url="https://voip.ms/media/b/media.gif")),
            },
        ),
        ({"media": ",,"}, {"kind": Kind.UNTOLD, "media": ()}),
        ({"media": "{MEDIA}"}, {"kind": Kind.UNTOLD, "media": ()}),
        ({"media": DROP}, {"kind": Kind.UNTOLD, "media": ()}),
        ({"id": "{ID}"}, {"provider_id": None}),
        ({"id": ""}, {"provider_id": None}),
        ({"id": DROP}, {"provider_id": None}),
        ({"date": "{TIMESTAMP}"}, {"sent_at": None}),
        ({"date": DROP}, {"sent_at": None}),
        ({"date": "2026-01-05 13:03:11"}, {"sent_at": datetime(2026, 1, 5, 18, 3, 11, tzinfo=UTC)}),
        ({"message": DROP}, {"text": ""}),
        ({"message": "{MEDIA}"}, {"text": "{MEDIA}"}),
        ({"message": "\ud83d\ude42 \ud83d"}, {"text": "🙂 \ufffd"}),
        ({"from_": "+15559870002", "to": "+15551230001"}, {"peer": PEER, "did": DID}),
        ({"from_": " 29283 "}, {"peer": "29283"}),
    ],
)
def test_a_url_callback_of_another_shape_is_understood(carrier, changes, expected):
    message = one(carrier.parse(called(**changes)))
    assert {name: getattr(message, name) for name in expected} == expected


def test_the_first_of_a_repeated_parameter_counts(carrier):
    callback = called()
    repeated = Callback(method="GET", path=callback.path, query=(*callback.query, ("message", "another")))
    assert one(carrier.parse(repeated)).text == "Hello there"


def test_a_text_to_several_numbers_is_a_message_to_each(carrier):
    numbers = [{"phone_number": number} for number in ("5551230001", "5559870005", "5551230002")]
    events = carrier.parse(webhook_of(to=numbers)).events
    assert [(event.did, event.others) for event in events] == [
        ("+15551230001", ("+15559870005", "+15551230002")),
        ("+15559870005", ("+15551230001", "+15551230002")),
        ("+15551230002", ("+15551230001", "+15559870005")),
    ]
    assert {(event.peer, event.provider_id) for event in events} == {(PEER, "110997001")}


def test_a_body_in_latin_letters_is_read(carrier):
    body = webhook_of(text="cafe").body.replace(b"cafe", "café".encode("cp1252"))
    assert one(carrier.parse(posted(body))).text == "café"


def test_a_byte_order_mark_is_skipped(carrier):
    assert one(carrier.parse(posted(b"\xef\xbb\xbf" + webhook_of().body))).peer == PEER


def test_an_envelope_without_an_event_type_is_a_message(carrier):
    body = json.loads(webhook_of().body)
    del body["data"]["event_type"]
    assert one(carrier.parse(posted(json.dumps(body).encode()))).peer == PEER


@pytest.mark.parametrize("event_type", ["message.sent", "message.finalized", "", 5, ["message.received"]])
def test_an_event_of_another_type_is_nothing(carrier, event_type):
    body = json.dumps({"data": {"event_type": event_type, "payload": None}}).encode()
    assert carrier.parse(posted(body)) == Parsed()


@pytest.mark.parametrize(
    "callback",
    [
        posted(b""),
        posted(b"not JSON"),
        posted(b"[" * 60_000),
        posted(b"null"),
        posted(b"[]"),
        posted(b'{"data":[]}'),
        posted(b'{"data":{"event_type":"message.received"}}'),
        posted(b'{"data":{"event_type":"message.received","payload":"secret"}}'),
        webhook_of(from_=DROP),
        webhook_of(from_={"number": "5559870002"}),
        webhook_of(from_=[]),
        webhook_of(from_={"phone_number": " "}),
        webhook_of(to=DROP),
        webhook_of(to=[]),
        webhook_of(to=["secret"]),
        webhook_of(to=["29283"]),
        called(from_=DROP),
        called(from_="{FROM}"),
        called(from_=" "),
        called(to=DROP),
        called(to="{TO}"),
        called(to="secret"),
        Callback(method="PUT", path="/hook/voipms", query=called().query),
    ],
)
def test_a_callback_that_cannot_be_understood_is_malformed(carrier, callback):
    with pytest.raises(Malformed) as caught:
        carrier.parse(callback)
    assert "secret" not in str(caught.value)


def with_query(*query: tuple[str, str]) -> Callback:
    return Callback(method="POST", path="/voipms", query=query)


@pytest.mark.parametrize("name", ["key", "token"])
@pytest.mark.parametrize("value", ["old kéy", "new+key"])
def test_either_key_opens(carrier, name, value):
    carrier.authenticate(with_query(("x", "y"), (name, value)))


@pytest.mark.parametrize(
    "query",
    [
        (),
        (("monkey", "new+key"),),
        (("KEY", "new+key"),),
        (("key", ""),),
        (("key", "new key"),),
        (("key", "new+key "),),
        (("key", "New+key"),),
        (("key", "new+ke"),),
        (("key", "\ud83d"),),
        (("key", "new+key"), ("key", "new+key")),
        (("key", "new+key"), ("token", "new+key")),
        (("key", "wrong"), ("key", "new+key")),
    ],
)
def test_anything_but_one_right_key_is_unauthentic(carrier, query):
    with pytest.raises(Unauthentic) as caught:
        carrier.authenticate(with_query(*query))
    assert "new" not in str(caught.value)


@pytest.mark.parametrize("value", ["old kéy", "new+key", "wrong"])
def test_every_key_is_compared_whichever_fits(carrier, value):
    with patch.object(webhook.hmac, "compare_digest", side_effect=lambda one, other: one == other) as compared:
        if value == "wrong":
            with pytest.raises(Unauthentic):
                carrier.authenticate(with_query(("key", value)))
        else:
            carrier.authenticate(with_query(("key", value)))
    assert compared.call_count == 2


def test_the_answer_is_ok_and_nothing_else(carrier):
    assert carrier.answer(Parsed(), ()) == Answer(status=200, content_type="text/plain", body=b"ok")


numbers = st.one_of(st.sampled_from(["5551230001", "+15551230001", "29283", "", "{TO}"]), st.text())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | numbers,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["phone_number", "url", "id", "x"]), inner),
    max_leaves=6,
)
payloads = st.dictionaries(
    st.sampled_from(["id", "type", "from", "to", "text", "media", "received_at"]), anything, max_size=7
)
envelopes = st.fixed_dictionaries({"data": st.fixed_dictionaries({"payload": payloads})})
bodies = st.binary() | (envelopes | anything).map(lambda document: json.dumps(document).encode())
queries = st.lists(
    st.tuples(
        st.sampled_from(["key", "token", "from", "to", "message", "id", "date", "media", "x"]),
        st.text(st.characters()) | numbers,
    )
).map(tuple)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(["GET", "POST", "HEAD"]), query=queries, body=bodies)
def test_whatever_comes_is_understood_or_refused_in_order(carrier, method, query, body):
    callback = Callback(method=method, path="/voipms", query=query, body=body)
    with contextlib.suppress(Unauthentic):
        carrier.authenticate(callback)
    try:
        events = carrier.parse(callback).events
    except Malformed:
        return
    for event in events:
        assert event.did.startswith("+")
        assert event.peer
        assert event.sent_at is None or event.sent_at.tzinfo is UTC
        f"{event.text}{event.label}{event.provider_id}{event.media}{event.others}".encode()


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    sender=st.integers(2_000_000_000, 9_999_999_999),
    escaped=st.booleans(),
)
def test_a_text_arrives_as_it_was_written(carrier, text, sender, escaped):
    document = json.loads(webhook_of(text=text, from_={"phone_number": str(sender)}).body)
    posted_message = one(carrier.parse(posted(json.dumps(document, ensure_ascii=escaped).encode())))
    called_message = one(carrier.parse(called(message=text, from_=str(sender))))
    assert posted_message.text == called_message.text == text
    assert posted_message.peer == called_message.peer == f"+1{sender}"
