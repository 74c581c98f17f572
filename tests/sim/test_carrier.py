"""The carrier in a box, asked over the wire as VoIP.ms is asked."""

import asyncio
import base64
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from smsbridge.sim.account import ANYWHERE, CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.faults import Fault, FaultPlan, Moment
from smsbridge.sim.ledger import Attachment, Kind
from smsbridge.sim.pictures import JPEG
from smsbridge.sim.statuses import WORDS
from tests.fakes.waiting import PATIENCE

DID = "5551230001"
PEER = "5559870002"
NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)  # noon in New York
TEXT = {"did": DID, "dst": PEER, "message": "hello"}


async def test_a_text_by_multipart_post_or_by_get_is_accepted(start, ask_of, http):
    carrier = await start(clock=lambda: NOON)
    ask = ask_of(carrier)
    by_post = await ask("sendSMS", **TEXT)
    assert by_post == {"status": "success", "sms": 110_997_001}
    query = {**ask.credentials, "method": "sendSMS", **TEXT}
    async with http.get(carrier.api_url, params=query) as response:
        assert (await response.json())["status"] == "success"
    row, again = carrier.ledger.sent
    assert (row.id, row.kind, row.did, row.dst, row.message) == (110_997_001, Kind.SMS, DID, PEER, "hello")
    assert (row.at, row.method, row.media) == (NOON, "sendSMS", ())
    assert again.id == row.id + 1
    assert carrier.calls["sendSMS"] == 2


async def test_an_urlencoded_post_falls_to_the_soap_handler(start, http):
    carrier = await start()
    async with http.post(carrier.api_url, data={"method": "sendSMS", **TEXT}) as response:
        assert response.status == 500
        assert "Fault" in await response.text()
    assert carrier.ledger.sent == []


async def test_a_json_body_is_not_read(start, http):
    carrier = await start()
    async with http.post(carrier.api_url, json={"method": "sendSMS", **TEXT}) as response:
        assert response.status == 200
        assert (await response.json())["status"] == "missing_method"


async def test_the_door_is_guarded_by_method_credentials_and_address(start, ask_of):
    carrier = await start(allowed_addresses=("203.0.113.*", "198.51.100.0/24"))
    ask = ask_of(carrier)
    assert await ask.status("") == "missing_method"
    assert await ask.status("getBalance", api_password="") == "missing_credentials"
    assert await ask.status("getBalance", api_password="wrong") == "invalid_credentials"
    assert await ask.status("getBalance") == "ip_not_enabled"
    assert await ask("getIP") == {"status": "success", "ip": "127.0.0.1"}


@pytest.mark.parametrize("entry", [ANYWHERE, "127.0.0.1", "127.0.*", "127.0.0.0/8"])
async def test_an_allow_list_knows_addresses_wildcards_and_networks(entry: str, start, ask_of):
    ask = ask_of(await start(allowed_addresses=(entry,)))
    assert await ask.status("getBalance") == "success"
    assert await ask.status("getbalance") == "invalid_method"


async def test_a_disabled_api_says_so(start, ask_of):
    assert await ask_of(await start(api_enabled=False)).status("getIP") == "api_not_enabled"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"did": ""}, "missing_did"),
        ({"did": "5551239999"}, "invalid_did"),
        ({"dst": ""}, "missing_params"),
        ({"dst": "29283"}, "invalid_dst"),
        ({"dst": "+445559870002"}, "invalid_dst"),
        ({"dst": "8765550123"}, "invalid_dst"),
        ({"message": ""}, "message_empty"),
        ({"dst": f"1{PEER}"}, "success"),
        ({"dst": f"+1{PEER}"}, "success"),
        ({"message": "x" * 160}, "success"),
        ({"message": "x" * 161}, "sms_toolong"),
        ({"message": "é" * 80}, "success"),
        ({"message": "é" * 80 + "x"}, "sms_toolong"),
        ({"message": "x" * 159 + "é"}, "sms_toolong"),
    ],
)
async def test_send_sms_looks_at_numbers_and_at_bytes(changed: dict[str, str], status: str, start, ask_of):
    carrier = await start()
    assert await ask_of(carrier).status("sendSMS", **{**TEXT, **changed}) == status
    assert len(carrier.ledger.sent) == (status == "success")


async def test_a_did_with_sms_switched_off_is_invalid(start, ask_of):
    carrier = await start(did=DidSettings(did=DID, sms_enabled=False))
    assert await ask_of(carrier).status("sendSMS", **TEXT) == "invalid_did"
    with pytest.raises(ValueError, match="not a did with sms"):
        await carrier.text_in(PEER, DID, "lost")


async def test_the_daily_quota_ends_at_eastern_midnight(start, ask_of):
    now = [datetime(2026, 10, 6, 3, 59, tzinfo=UTC)]
    ask = ask_of(await start(daily_quota=1, clock=lambda: now[0]))
    assert await ask.status("sendSMS", **TEXT) == "success"
    assert await ask.status("sendMMS", **TEXT) == "limit_reached"
    now[0] += timedelta(minutes=1)
    assert await ask.status("sendMMS", **TEXT) == "success"


async def test_a_spent_balance_refuses_texts(start, ask_of):
    carrier = await start(balance=Decimal(0))
    assert await ask_of(carrier).status("sendSMS", **TEXT) == "non_sufficient_funds"


async def test_sms_and_mms_have_their_own_ids_and_types_are_loose(start, ask_of):
    ask = ask_of(await start(seed=1))
    sms = [(await ask("sendSMS", **TEXT))["sms"] for _ in range(3)]
    mms = [(await ask("sendMMS", **TEXT))["mms"] for _ in range(2)]
    assert sms == ["110997001", 110997002, "110997003"]
    assert mms == ["10240001", 10240002]


def data_uri(item: Attachment) -> str:
    return f"data:{item.content_type};base64,{base64.b64encode(item.content).decode()}"


async def test_an_mms_takes_three_media_as_urls_or_data(start, ask_of, http):
    carrier = await start()
    ask = ask_of(carrier)
    url = "https://sms.example.com/picture.jpeg"
    media = {"media1": url, "media2": data_uri(JPEG), "media3": "", "media4": url}
    assert await ask.status("sendMMS", did=DID, dst=PEER, message="", **media) == "success"
    by_url, by_value = carrier.ledger.sent[0].media
    assert (by_url.url, by_url.content) == (url, b"")
    assert by_value.content == JPEG.content
    async with http.get(by_value.url) as response:
        assert response.content_type == "image/jpeg"
        assert await response.read() == JPEG.content


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"message": ""}, "message_empty"),
        ({"message": "x" * 2048}, "success"),
        ({"message": "é" * 1025}, "sms_toolong"),
        ({"media1": "data:image/png;base64,%%%"}, "no_base64file"),
        ({"media1": "picture.png"}, "no_base64file"),
        ({"media1": "data:image/png;base64,"}, "missing_file"),
        ({"media1": "data:image/webp;base64,AAAA"}, "invalid_file"),
        ({"media3": data_uri(Attachment(content_type="image/png", content=bytes(2000)))}, "exceeds_file_size"),
    ],
)
async def test_send_mms_refuses_what_it_cannot_carry(params: dict[str, str], status: str, start, ask_of):
    ask = ask_of(await start(largest_file=1999))
    assert await ask.status("sendMMS", **{**TEXT, **params}) == status


async def test_a_did_without_mms_refuses_them(start, ask_of):
    ask = ask_of(await start(did=DidSettings(did=DID, mms_available=False)))
    assert await ask.status("sendMMS", **TEXT) == "invalid_did"


@pytest.mark.parametrize("status", sorted(WORDS))
async def test_every_status_is_to_be_had_on_demand(status: str, start, ask_of):
    carrier = await start()
    ask = ask_of(carrier)
    carrier.answer_next("sendSMS", status, times=2)
    assert await ask.status("getBalance") == "success"
    assert [await ask.status("sendSMS", **TEXT) for _ in range(3)] == [status, status, "success"]
    assert len(carrier.ledger.sent) == 1


async def test_the_balance_and_the_dids_are_told_in_loose_types(start, ask_of):
    carrier = await start(did=DidSettings(did=DID, webhook="https://sms.example.com/", webhook_enabled=True))
    ask = ask_of(carrier)
    balances = [(await ask("getBalance"))["balance"] for _ in range(2)]
    assert balances == [{"current_balance": 112.19}, {"current_balance": "112.19"}] or balances == [
        {"current_balance": "112.19"},
        {"current_balance": 112.19},
    ]
    assert "spent_today" in (await ask("getBalance", advanced="1"))["balance"]
    shown = [(await ask("getDIDsInfo", did=DID))["dids"][0] for _ in range(2)]
    assert {type(did["sms_enabled"]) for did in shown} == {int, str}
    assert shown[0]["webhook"] == "https://sms.example.com/"
    assert await ask.status("getDIDsInfo", did="5551239999") == "invalid_did"


async def test_an_account_without_dids_says_so(start, ask_of):
    assert await ask_of(await start(dids=())).status("getDIDsInfo") == "no_did"


async def test_set_sms_overwrites_the_whole_form_once_a_minute(start, ask_of):
    now = [NOON]
    did = DidSettings(did=DID, sms_email="john@example.com", sms_email_enabled=True)
    carrier = await start(did=did, clock=lambda: now[0])
    ask = ask_of(carrier)
    form = {"did": DID, "enable": "1", "webhook": "https://sms.example.com/", "webhook_enabled": "1"}
    assert await ask.status("setSMS", **form) == "success"
    settings = carrier.account.dids[DID]
    assert (settings.sms_email_enabled, settings.sms_email) == (False, "")
    assert settings.webhook == "https://sms.example.com/"
    assert not settings.webhook_enabled  # the name to set is another than the name to get
    assert await ask.status("setSMS", **form) == "sms_wait_message"
    now[0] += timedelta(minutes=1)
    assert await ask.status("setSMS", **form, webhook_enable="1") == "success"
    assert carrier.account.dids[DID].webhook_enabled


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"enable": "1"}, "missing_did"),
        ({"did": DID}, "missing_params"),
        ({"did": "5551239999", "enable": "1"}, "invalid_did"),
        ({"did": DID, "enable": "1", "url_callback_enable": "yes"}, "invalid_callback_enable"),
        ({"did": DID, "enable": "1", "url_callback_enable": "1"}, "invalid_callback"),
        ({"did": DID, "enable": "1", "sms_forward_enable": "1", "sms_forward": "x"}, "invalid_sms_forward"),
    ],
)
async def test_set_sms_refuses_a_bad_form(form: dict[str, str], status: str, start, ask_of):
    assert await ask_of(await start()).status("setSMS", **form) == status


async def test_the_journal_has_a_line_for_every_event_before_it_is_answered(tmp_path: Path, start, ask_of, customer):
    journal = tmp_path / "ledger.jsonl"
    person = await customer()
    did = DidSettings(did=DID, webhook=person.url, webhook_enabled=True)
    carrier = await start(did=did, journal=journal)
    push = await carrier.text_in(PEER, DID, "in", [JPEG])
    async with asyncio.timeout(PATIENCE):
        await push.answered
    await ask_of(carrier)("sendSMS", **TEXT)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(line["event"], line["kind"]) for line in lines] == [
        ("received", "mms"),
        ("answered", "mms"),
        ("sent", "sms"),
    ]
    assert lines[0]["media"][0]["bytes"] == len(JPEG.content)
    assert (lines[2]["peer"], lines[2]["message"]) == (PEER, "hello")


async def test_a_fault_after_acceptance_leaves_the_text_in_the_ledger(start, ask_of):
    plan = FaultPlan(
        Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True),
        Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", http_status=522),
    )
    carrier = await start(faults=plan)
    ask = ask_of(carrier)
    assert await ask.status("getBalance") == "success"
    # A refusal is not spoilt, so it does not use the fault up.
    assert await ask.status("sendSMS", did=DID) == "missing_params"
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask("sendSMS", **TEXT)
    assert len(carrier.ledger.sent) == 1
    assert await ask.raw("sendSMS", **TEXT) == (522, "error code: 522")
    assert len(carrier.ledger.sent) == 2
    assert await ask.status("sendSMS", **TEXT) == "success"


async def test_a_fault_before_acceptance_leaves_nothing(start, ask_of):
    carrier = await start(faults=FaultPlan(Fault(when=Moment.BEFORE_ACCEPT, drop=True, times=None)))
    for _ in range(2):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask_of(carrier)("sendSMS", **TEXT)
    assert carrier.ledger.sent == []


async def test_a_stall_after_acceptance_outlasts_the_customer_but_not_the_stop(start, ask_of):
    plan = FaultPlan(Fault(when=Moment.AFTER_ACCEPT, stall_seconds=3600))
    carrier = await start(faults=plan)
    call = asyncio.create_task(ask_of(carrier)("sendSMS", **TEXT))
    await carrier.ledger.until(lambda: len(carrier.ledger.sent) == 1)
    assert not call.done()
    await carrier.stop()
    with pytest.raises(aiohttp.ClientError):
        await call


async def test_latency_delays_every_answer(start, ask_of):
    ask = ask_of(await start(latency_ms=50))
    before = asyncio.get_running_loop().time()
    await ask("getIP")
    assert asyncio.get_running_loop().time() - before >= 0.045


async def test_the_control_endpoint_moves_the_carrier_from_outside(start, ask_of, http):
    carrier = await start(control_token="key")
    ask, control = ask_of(carrier), f"{carrier.url}/control"
    headers = {"X-Control-Token": "key"}

    async def post(name: str, **asked: object) -> tuple[int, dict[str, Any]]:
        async with http.post(f"{control}/{name}", json=asked, headers=headers) as response:
            return response.status, await response.json()

    picture = {"content_type": "image/gif", "base64": base64.b64encode(b"GIF89a").decode()}
    status, told = await post("text", peer=f"+1{PEER}", did=f"+1{DID}", text="look", media=["png", picture])
    assert (status, told) == (200, {"id": 10_240_001, "kind": "mms"})
    await post("answer", method="sendSMS", status="sms_failed", times=1)
    assert await ask.status("sendSMS", **TEXT) == "sms_failed"
    await post("fault", when="after_accept", method="sendSMS", http_status=500)
    assert (await ask.raw("sendSMS", **TEXT))[0] == 500
    assert await post("portal", peer=f"+1{PEER}", did=DID, text="by hand") == (200, {"id": 110_997_002, "kind": "sms"})
    async with http.get(f"{control}/ledger", headers=headers) as response:
        ledger = await response.json()
    assert [(row["message"], row["method"]) for row in ledger["sent"]] == [("hello", "sendSMS"), ("by hand", "portal")]
    assert [len(row["media"]) for row in ledger["received"]] == [2]
    async with http.get(f"{control}/handset?peer=+1{PEER}", headers=headers) as response:
        shown = (await response.json())["handset"]
    assert [(row["direction"], row["message"]) for row in shown] == [
        ("received", "look"),
        ("sent", "hello"),
        ("sent", "by hand"),
    ]
    assert [row.message for row in carrier.handset(PEER)] == ["look", "hello", "by hand"]
    assert (await post("portal", peer=PEER, did="5551239999", text="x"))[0] == 400
    assert (await post("text", peer=PEER, did="5551239999", text="x"))[0] == 400
    assert (await post("fault", when="never"))[0] == 400
    headers["X-Control-Token"] = "wrong"
    async with http.get(f"{control}/ledger", headers=headers) as response:
        assert response.status == 403


async def test_the_carrier_runs_as_a_process_and_ends_on_sigterm(tmp_path: Path, http):
    journal = tmp_path / "ledger.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smsbridge.sim.carrier", "--did", DID, "--journal", str(journal)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            url = json.loads(await process.stdout.readline())["url"]
            text = {"peer": PEER, "did": DID, "text": "hello"}
            async with http.post(f"{url}/control/text", json=text) as response:
                assert response.status == 200
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert json.loads(journal.read_text())["message"] == "hello"


async def test_a_carrier_refuses_a_did_that_is_no_number():
    with pytest.raises(ValueError, match="US or Canadian"):
        await Carrier.start(CarrierConfig(dids=(DidSettings(did="29283"),)))
