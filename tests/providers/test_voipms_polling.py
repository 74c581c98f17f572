"""What VoIP.ms lists, as events; and the pictures that its list hides."""

from datetime import UTC, datetime, timedelta

import pytest
from aioresponses import aioresponses

from smsbridge.core.errors import Deferred, Indeterminate
from smsbridge.core.message import (
    DeliveryReport,
    InboundMessage,
    Kind,
    Media,
    ProviderName,
    ReportState,
    SentElsewhere,
    Source,
)
from smsbridge.providers.voipms.api import API_URL
from smsbridge.providers.voipms.polling import media_of, poll
from smsbridge.providers.voipms.reports import reports
from tests.fakes.aio import Answered

from .boxes import DID, OTHER_DID, PEER, api_of

VOIPMS = ProviderName("voipms")
NOW = datetime(2026, 10, 5, 18, 30, tzinfo=UTC)
PICTURE = "https://voip.ms/media/1.jpeg"
ROW = {
    "id": "110997001", "date": "2026-10-05 14:03:11", "type": "1", "did": "5551230001", "contact": "5559870002",
    "message": "look", "carrier_status": "received", "col_media1": PICTURE,
}  # fmt: skip
AT = datetime(2026, 10, 5, 18, 3, 11, tzinfo=UTC)
MMS = InboundMessage(
    provider=VOIPMS, source=Source.POLL, kind=Kind.MMS, did=DID, peer=PEER, provider_id="10240001", text=""
)  # fmt: skip


async def polled(session, sms, mms, since=NOW):
    with aioresponses() as wire:
        for rows in (sms, mms):
            answer = {"status": "success", "sms": rows} if rows else {"status": "no_sms"}
            wire.post(API_URL, payload=answer, response_class=Answered)
        return await poll(api_of(session), VOIPMS, since, NOW, (DID, OTHER_DID))


async def test_what_came_in_and_what_was_sent_are_events_of_their_own(session):
    found = await polled(session, [{**ROW, "type": 0}], [{**ROW, "id": 10240001}])
    picture = (Media(url=PICTURE),)
    about = {"provider": VOIPMS, "did": DID, "peer": PEER, "text": "look", "media": picture, "sent_at": AT}
    assert found.is_complete
    assert set(found.events) == {
        SentElsewhere(kind=Kind.SMS, provider_id="110997001", **about),
        InboundMessage(kind=Kind.MMS, provider_id="10240001", source=Source.POLL, **about),
    }


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("Message delivered to handset.", ReportState.DELIVERED),
        ("message delivered  to handset", ReportState.DELIVERED),
        ("Message rejected by carrier", ReportState.FAILED),
        ("Undelivered.", ReportState.FAILED),
        ("Not delivered", ReportState.FAILED),
        ("Delivery failed, retrying", None),
        ("Information not available", None),
        ("received", None),
        ("Message delivered to the carrier", None),
        ("", None),
    ],
)
async def test_what_the_carriers_status_says_of_a_text_that_was_sent(session, words, state):
    found = await polled(session, [{**ROW, "type": 0, "carrier_status": words}], [])
    assert [report.state for report in found.reports] == ([state] if state else [])


async def test_of_a_text_that_came_in_no_status_is_a_report(session):
    found = await polled(session, [{**ROW, "carrier_status": "Message delivered to handset."}], [])
    assert found.reports == ()


async def test_reports_are_asked_for_among_what_was_sent(session):
    sent = {**ROW, "type": 0, "carrier_status": "Message delivered to handset."}
    with aioresponses() as wire:
        wire.post(API_URL, payload={"status": "success", "sms": [sent]}, response_class=Answered)
        wire.post(API_URL, payload={"status": "no_sms"}, response_class=Answered)
        found = await reports(api_of(session), VOIPMS, NOW, NOW, (DID,))
        bodies = [call.kwargs["data"] for calls in wire.requests.values() for call in calls]
    assert len(bodies) == 2
    assert found == (
        DeliveryReport(
            provider=VOIPMS, kind=Kind.SMS, provider_id="110997001", state=ReportState.DELIVERED,
            code="listed_delivered",
        ),
    )  # fmt: skip


async def test_a_list_that_cannot_be_read_whole_says_so(session):
    found = await polled(session, [ROW, {**ROW, "id": None}], [])
    assert (len(found.events), found.is_complete) == (1, False)


async def test_a_sender_with_a_name_keeps_its_spelling(session):
    (event,) = (await polled(session, [{**ROW, "contact": "Amazon Pay"}], [])).events
    assert event.label == "Amazon Pay"


async def test_a_long_absence_is_asked_for_in_stretches_that_the_carrier_takes(session):
    with aioresponses() as wire:
        wire.post(API_URL, payload={"status": "no_sms"}, response_class=Answered, repeat=True)
        assert (await poll(api_of(session), VOIPMS, NOW - timedelta(days=150), NOW, (DID,))).is_complete
        assert sum(map(len, wire.requests.values())) == 4


@pytest.mark.parametrize(
    "media",
    [
        [PICTURE, "/media/2.jpeg", "", None],
        {"1": PICTURE, "2": "https://voip.ms/media/2.jpeg", "3": ""},
        [{"url": PICTURE}, {"url": "media/2.jpeg"}, PICTURE],
    ],
)
async def test_pictures_come_as_a_list_or_by_their_numbers(session, media):
    with aioresponses() as wire:
        wire.post(API_URL, payload={"status": "success", "media": media}, response_class=Answered)
        found = await media_of(api_of(session), MMS)
    assert found == (Media(url=PICTURE), Media(url="https://voip.ms/media/2.jpeg"))


@pytest.mark.parametrize(
    "answer", [{"status": "no_mms"}, {"status": "no_sms"}, {"status": "success", "media": []}, {"status": "success"}]
)
async def test_an_mms_may_have_no_pictures(session, answer):
    with aioresponses() as wire:
        wire.post(API_URL, payload=answer, response_class=Answered)
        assert await media_of(api_of(session), MMS) == ()


@pytest.mark.parametrize(
    ("status", "error"), [("method_maintenance", Deferred), ("a_word_that_nobody_knows", Indeterminate)]
)
async def test_a_refusal_is_told(session, status, error):
    with aioresponses() as wire:
        wire.post(API_URL, payload={"status": status}, response_class=Answered)
        with pytest.raises(error):
            await media_of(api_of(session), MMS)
