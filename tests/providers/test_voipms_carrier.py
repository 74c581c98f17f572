"""The provider and the carrier in a box, which share no code, agree."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Rejected
from smsbridge.core.message import Kind, Media, ProviderName
from smsbridge.providers.contract import Callback
from smsbridge.providers.voipms import KIND
from smsbridge.providers.voipms.api import Settings
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.faults import Fault, FaultPlan, Moment
from smsbridge.sim.ledger import Attachment
from smsbridge.sim.push import callback_url, webhook_body

from .parts import part

TEXT = "  See you\r\nat 9 🙂 & 100% – ok?\n"
TEMPLATE = "https://sms.example.com/hook/voipms?key=k&to={TO}&from={FROM}&message={MESSAGE}&id={ID}&date={TIMESTAMP}&media={MEDIA}"
PART = part(TEXT)


@pytest.fixture
def faults() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
async def sim(faults) -> AsyncIterator[Carrier]:
    did = DidSettings(did="5551230001", sms_url_callback=TEMPLATE)
    sim = await Carrier.start(CarrierConfig(dids=(did,), faults=faults))
    yield sim
    await sim.stop()


@pytest.fixture
def carrier(sim, session):
    section = Settings(
        username=sim.config.username, password=sim.config.password, query_keys=["k"], api_url=sim.api_url
    )
    return KIND.build(ProviderName("voipms"), section, session)


async def test_texts_arrive_as_they_were_written(carrier, sim):
    ids = [await carrier.send(replace(PART, text=f"{n}{TEXT}")) for n in range(3)]
    rows = sim.handset("5559870002")
    assert [row.message for row in rows] == [f"{n}{TEXT}" for n in range(3)]
    assert [str(row.id) for row in rows] == ids


async def test_pictures_arrive_with_and_without_words(carrier, sim):
    pictures = tuple(Media(url=f"https://sms.example.com/media/{n}.jpg") for n in range(3))
    for text in (TEXT, ""):
        await carrier.send(replace(PART, kind=Kind.MMS, text=text, media=pictures))
    rows = sim.handset("5559870002")
    assert [row.message for row in rows] == [TEXT, " "]
    assert [[item.url for item in row.media] for row in rows] == [[item.url for item in pictures]] * 2


async def test_a_long_text_goes_as_an_mms_without_pictures(carrier, sim):
    await carrier.send(replace(PART, kind=Kind.MMS, text="ä" * 1024))
    assert [row.message for row in sim.handset("5559870002")] == ["ä" * 1024]


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"text": "é" * 81}, Rejected, Reason.TOO_LONG),
        ({"text": ""}, Rejected, Reason.EMPTY),
        ({"peer": Peer("29283")}, Rejected, Reason.INVALID_DESTINATION),
        ({"peer": Peer("+445550002")}, Rejected, Reason.INVALID_DESTINATION),
        ({"did": Did("+15551230009")}, Deferred, Reason.LINE_FAULT),
    ],
)
async def test_the_carrier_refuses_what_it_cannot_carry(carrier, sim, changes, outcome, reason):
    with pytest.raises(outcome) as caught:
        await carrier.send(replace(PART, **changes))
    assert caught.value.reason is reason
    assert sim.handset("5559870002") == []


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("damage", [{"drop": True}, {"http_status": 522}])
async def test_a_call_that_broke_is_indeterminate_and_was_made_once(carrier, sim, faults, moment, damage):
    faults.arm(Fault(when=moment, **damage))
    with pytest.raises(Indeterminate):
        await carrier.send(PART)
    assert sim.calls == {"sendSMS": 1}
    assert len(sim.handset("5559870002")) == (1 if moment is Moment.AFTER_ACCEPT else 0)


async def test_a_used_up_day_holds_the_quota(carrier, sim):
    sim.answer_next("sendSMS", "limit_reached")
    with pytest.raises(Deferred) as caught:
        await carrier.send(PART)
    assert caught.value.hold is Hold.QUOTA


async def test_the_check_finds_the_account_in_order(carrier):
    assert [finding.is_good for finding in await carrier.check([PART.did])] == [True, True, True]


@pytest.mark.parametrize("pictures", [(), (Attachment(content_type="image/png", content=b"dots"),)])
async def test_what_the_carrier_pushes_is_understood_either_way(carrier, sim, pictures):
    push = await sim.text_in("5559870002", "5551230001", TEXT, pictures)
    await push.answered
    settings = sim.account.dids["5551230001"]
    posted = Callback(
        method="POST",
        path="/hook/voipms",
        query=(("key", "k"),),
        body=json.dumps(webhook_body(push.row, settings)).encode(),
    )
    query = parse_qsl(urlsplit(callback_url(push.row, settings)).query, keep_blank_values=True)
    called = Callback(method="GET", path="/hook/voipms", query=tuple(query))
    for callback in (posted, called):
        carrier.authenticate(callback)
        (message,) = carrier.parse(callback).events
        assert (message.did, message.peer, message.text) == (PART.did, PART.peer, TEXT)
        assert message.provider_id == str(push.id)
        assert [item.url for item in message.media] == [item.url for item in push.row.media]
        assert abs((message.sent_at - push.row.at).total_seconds()) < 1
