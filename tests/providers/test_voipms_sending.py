"""Parts into calls, and VoIP.ms' answers into outcomes."""

import traceback
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import HTTP

import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

from smsbridge.core.address import Peer
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason, Rejected
from smsbridge.core.message import Kind, Media, Part, ProviderName
from smsbridge.providers.contract import Checked, Sends, Webhooked
from smsbridge.providers.voipms import KIND
from smsbridge.providers.voipms.api import API_URL, Settings
from smsbridge.providers.voipms.statuses import STATUSES
from tests.fakes.aio import Answered
from tests.fakes.words import english

from .parts import part

PASSWORD = "correct horse"
TEXT = "  See you\r\nat 9 🙂 & bring 100% — ok?\n"
PART = part(TEXT)
PICTURES = tuple(Media(url=f"https://sms.example.com/media/{n}.jpg") for n in range(1, 5))
MMS = replace(PART, kind=Kind.MMS, media=PICTURES[:2])

LOGIN = "VoIP.ms refuses this bridge's login; its administrator has to put that right."
OUTDATED = "VoIP.ms does not understand this bridge; its administrator has to look into it."
NOT_ENABLED = "VoIP.ms says this line cannot text: the number is not in the account, or SMS is off for it."
FILE = "VoIP.ms does not take this attachment."
BUG = "VoIP.ms did not understand the message; that is a fault of this bridge."
API_OFF = "The VoIP.ms API is switched off; the administrator has to switch it on."
ADDRESS = "VoIP.ms does not let this bridge in from its address; the administrator has to allow it."
FAILED = "The other side's carrier did not take the message."
A_MINUTE = timedelta(minutes=1)

# status, outcome, reason, hold, not before, words
TABLE = [
    ("missing_credentials", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, LOGIN),
    ("invalid_credentials", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, LOGIN),
    ("api_not_enabled", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, API_OFF),
    ("ip_not_enabled", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, ADDRESS),
    ("missing_method", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, OUTDATED),
    ("invalid_method", Deferred, Reason.ACCOUNT_FAULT, Hold.ACCOUNT, None, OUTDATED),
    ("non_sufficient_funds", Deferred, Reason.FUNDS, Hold.ACCOUNT, None, "The balance at VoIP.ms is too low to send."),
    ("limit_reached", Deferred, Reason.QUOTA, Hold.QUOTA, None, "Today's messages at VoIP.ms are used up."),
    ("invalid_did", Deferred, Reason.LINE_FAULT, Hold.LINE, None, NOT_ENABLED),
    ("missing_did", Deferred, Reason.LINE_FAULT, Hold.LINE, None, NOT_ENABLED),
    (
        "sms_apply_regulations",
        Deferred,
        Reason.LINE_FAULT,
        Hold.LINE,
        None,
        "VoIP.ms does not let this line text, for regulatory reasons.",
    ),
    (
        "api_limit_exceeded",
        Deferred,
        Reason.THROTTLED,
        None,
        A_MINUTE,
        "VoIP.ms takes no more messages this minute.",
    ),
    ("sms_wait_message", Deferred, Reason.THROTTLED, None, A_MINUTE, "VoIP.ms wants a minute between two changes."),
    (
        "method_maintenance",
        Deferred,
        Reason.PROVIDER_DOWN,
        None,
        None,
        "VoIP.ms is closed for maintenance at the moment.",
    ),
    (
        "provider_outofservice",
        Deferred,
        Reason.PROVIDER_DOWN,
        None,
        None,
        "The carrier behind VoIP.ms is out of service.",
    ),
    ("unavailable_info", Deferred, Reason.PROVIDER_DOWN, None, None, "VoIP.ms is not available at the moment."),
    (
        "tls_error",
        Deferred,
        Reason.PROVIDER_DOWN,
        None,
        None,
        "VoIP.ms has trouble with its connections at the moment.",
    ),
    (
        "invalid_dst",
        Rejected,
        Reason.INVALID_DESTINATION,
        None,
        None,
        "VoIP.ms says this number cannot receive texts.",
    ),
    ("sms_toolong", Rejected, Reason.TOO_LONG, None, None, "VoIP.ms says this message is too long."),
    ("message_empty", Rejected, Reason.EMPTY, None, None, "VoIP.ms does not send an empty message."),
    ("sms_failed", Deferred, Reason.CARRIER_REFUSED, None, timedelta(minutes=5), FAILED),
    (
        "exceeds_file_size",
        Rejected,
        Reason.MEDIA_REFUSED,
        None,
        None,
        "VoIP.ms says this attachment is too large.",
    ),
    ("invalid_file", Rejected, Reason.MEDIA_REFUSED, None, None, FILE),
    ("missing_file", Rejected, Reason.MEDIA_REFUSED, None, None, FILE),
    ("no_base64file", Rejected, Reason.MEDIA_REFUSED, None, None, FILE),
    *(
        (status, Rejected, Reason.BUG, None, None, BUG)
        for status in (
            *("missing_params", "missing_sms", "missing_id", "invalid_sms", "invalid_id", "invalid_contact"),
            *("invalid_type", "invalid_timezone", "invalid_date", "invalid_date_from", "invalid_daterange"),
            *("invalid_callback", "invalid_callback_enable", "invalid_callback_retry", "invalid_sms_forward"),
            *("invalid_forward_enable", "invalid_email_enable", "invalid_smpp_url", "invalid_smpp_username"),
            "invalid_smpp_password",
        )
    ),
]


@pytest.fixture
def settings() -> Settings:
    return Settings(username="john@example.com", password=PASSWORD, query_keys=["callback-key"])


@pytest.fixture
def carrier(settings, session):
    return KIND.build(ProviderName("voipms"), settings, session)


async def outcome_of(carrier, part: Part, **answer) -> Outcome:
    with aioresponses() as wire:
        wire.post(API_URL, response_class=Answered, **answer)
        with pytest.raises(Outcome) as caught:
            await carrier.send(part)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + english(caught.value.words)
    for secret in (PASSWORD, TEXT.strip(), "See you", "5551230001", "5559870002", "john@"):
        assert secret not in told
    return caught.value


async def sent(carrier, part: Part, **answer) -> tuple[str, dict[str, bytes]]:
    """The id that came back, and the fields that went out."""
    with aioresponses() as wire:
        wire.post(API_URL, response_class=Answered, **answer)
        provider_id = await carrier.send(part)
        (call,) = wire.requests[("POST", URL(API_URL))]
    body = call.kwargs["data"]
    assert isinstance(body, aiohttp.MultipartWriter)
    assert body.content_type.startswith("multipart/form-data; boundary=")
    written = await body.as_bytes()
    boundary = f"--{body.boundary}".encode()
    fields = {}
    for field in written.split(boundary)[1:-1]:
        head, _, value = field.partition(b"\r\n\r\n")
        name = message_from_bytes(head.lstrip() + b"\r\n\r\n", policy=HTTP)["Content-Disposition"].params["name"]
        fields[name] = value.removesuffix(b"\r\n")
    return provider_id, fields


async def test_an_sms_goes_out_as_a_form_with_its_text_byte_for_byte(carrier):
    provider_id, fields = await sent(carrier, PART, payload={"status": "success", "sms": 23434})
    assert provider_id == "23434"
    assert fields == {
        "api_username": b"john@example.com",
        "api_password": PASSWORD.encode(),
        "method": b"sendSMS",
        "content_type": b"json",
        "did": b"5551230001",
        "dst": b"5559870002",
        "message": TEXT.encode(),
    }


async def test_an_mms_names_its_pictures_from_one(carrier):
    provider_id, fields = await sent(carrier, MMS, payload={"status": "success", "mms": "10239205"})
    assert provider_id == "10239205"
    assert fields["method"] == b"sendMMS"
    assert fields["message"] == TEXT.encode()
    assert {name: value.decode() for name, value in fields.items() if name.startswith("media")} == {
        "media1": PICTURES[0].url,
        "media2": PICTURES[1].url,
    }


@pytest.mark.parametrize(("text", "media", "message"), [("", PICTURES[:1], b" "), ("", (), b""), ("long", (), b"long")])
async def test_a_picture_without_words_goes_with_one_blank(carrier, text, media, message):
    _, fields = await sent(
        carrier, replace(MMS, text=text, media=media), payload={"status": "success", "sms": "10239205"}
    )
    assert fields["message"] == message


async def test_a_fourth_picture_is_refused_before_the_call(carrier):
    with aioresponses() as wire, pytest.raises(Rejected) as caught:
        await carrier.send(replace(MMS, media=PICTURES))
    assert caught.value.reason is Reason.MEDIA_REFUSED
    assert not wire.requests


async def test_a_file_that_is_here_goes_as_its_bytes_and_others_by_their_links(carrier):
    content = bytes(range(256)) * 4700
    here = Media(url=PICTURES[0].url, mime="image/jpeg", content=content)
    _, fields = await sent(
        carrier, replace(MMS, text="", media=(here, PICTURES[1])), payload={"status": "success", "mms": 1}
    )
    assert fields["media1"] == b"data:image/jpeg;base64," + b64encode(content)
    assert (fields["media2"], fields["message"]) == (PICTURES[1].url.encode(), b" ")


@pytest.mark.parametrize(("peer", "dst"), [("29283", b"29283"), ("+445550002", b"+445550002")])
async def test_what_is_no_north_american_number_is_left_as_it_is(carrier, peer, dst):
    _, fields = await sent(carrier, replace(PART, peer=Peer(peer)), payload={"status": "success", "sms": 1})
    assert fields["dst"] == dst


@pytest.mark.parametrize(("status", "outcome", "reason", "hold", "after", "words"), TABLE)
async def test_a_status_means(carrier, status, outcome, reason, hold, after, words):
    payload = {"status": status, "message": f"{TEXT} {PASSWORD}"}
    caught = await outcome_of(carrier, PART, payload=payload)
    assert type(caught) is outcome
    assert (caught.reason, caught.code, english(caught.words)) == (reason, status, words)
    assert getattr(caught, "hold", None) is hold
    assert getattr(caught, "after", None) == after


def test_the_table_above_is_the_whole_table():
    assert [row[0] for row in TABLE] == list(STATUSES)


@pytest.mark.parametrize("attempt", [2, 3])
async def test_a_text_that_the_carrier_did_not_take_is_tried_once_more_only(carrier, attempt):
    caught = await outcome_of(carrier, replace(PART, attempt=attempt), payload={"status": "sms_failed"})
    assert isinstance(caught, Rejected)
    assert (caught.reason, english(caught.words)) == (Reason.CARRIER_REFUSED, FAILED)


@pytest.mark.parametrize("attempt", [2, 9])
async def test_other_refusals_stay_what_they_are_however_often(carrier, attempt):
    caught = await outcome_of(carrier, replace(PART, attempt=attempt), payload={"status": "api_limit_exceeded"})
    assert isinstance(caught, Deferred)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"payload": {"status": "a_code_of_tomorrow"}}, "a_code_of_tomorrow"),
        ({"payload": {"status": "no_sms"}}, "no_sms"),
        ({"payload": {"status": f"failed: {TEXT}"}}, "unreadable_status"),
        ({"payload": {"status": None}}, "unreadable_status"),
        ({"payload": {}}, "unreadable_status"),
        ({"payload": {"status": ["success"]}}, "unreadable_status"),
        ({"payload": {"status": "success"}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": 0}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": "0"}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": ""}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": None}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": True}}, "success_without_id"),
        ({"payload": {"status": "success", "sms": [1]}}, "success_without_id"),
        ({"body": "[]"}, "no_json"),
        ({"body": '"success"'}, "no_json"),
        ({"body": ""}, "no_json"),
        ({"body": "<html>", "status": 520}, "http_520"),
        ({"payload": {"status": "success", "sms": 1}, "status": 500}, "http_500"),
        ({"exception": aiohttp.ServerDisconnectedError()}, "reset"),
        ({"timeout": True}, "timeout"),
    ],
)
async def test_an_answer_that_proves_nothing_is_indeterminate(carrier, answer, code):
    caught = await outcome_of(carrier, PART, **answer)
    assert isinstance(caught, Indeterminate)
    assert (caught.reason, caught.code) == (Reason.UNSURE, code)


def test_the_provider_has_its_abilities(carrier):
    assert isinstance(carrier, Sends)
    assert isinstance(carrier, Webhooked)
    assert isinstance(carrier, Checked)
    assert (carrier.name, carrier.kind, carrier.paths) == ("voipms", "voipms", ("/hook/voipms", "/voipms"))


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a" * 160, True), ("a" * 161, False), ("é" * 80, True), ("é" * 81, False), ("€" * 53, True), ("{" * 81, False)],
)
def test_an_sms_keeps_bytes_and_septets(carrier, text, fits):
    assert all(limit.holds(text) for limit in carrier.capabilities.sms) is fits
