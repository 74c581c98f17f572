"""What the carrier lists: days, kinds, filters and loose types."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.sim.account import DidSettings
from smsbridge.sim.pictures import JPEG, PNG
from smsbridge.sim.statuses import WORDS
from tests.fakes.waiting import PATIENCE

DID = "5551230001"
PEER = "5559870002"
NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)  # noon in New York
TEXT = {"did": DID, "dst": PEER, "message": "hello"}


async def test_a_listing_shows_whole_eastern_days_and_today_by_default(start, ask_of):
    now = [datetime(2026, 10, 6, 3, 59, 59, tzinfo=UTC)]  # a second before midnight in New York
    carrier = await start(clock=lambda: now[0])
    ask = ask_of(carrier)
    await carrier.text_in(PEER, DID, "late")
    assert (await ask("getSMS"))["sms"][0]["date"] == "2026-10-05 23:59:59"
    now[0] += timedelta(seconds=1)
    assert await ask("getSMS") == {"status": "no_sms", "message": WORDS["no_sms"]}
    await carrier.text_in(PEER, DID, "early")

    async def texts(**params: str) -> list[str]:
        return [row["message"] for row in (await ask("getSMS", **params))["sms"]]

    assert await texts() == ["early"]
    assert await texts(date_from="2026-10-05") == ["early"]
    assert await texts(**{"from": "2026-10-05"}) == ["early", "late"]
    # The zone moves the dates shown, never the days chosen.
    assert await texts(**{"from": "2026-10-05", "to": "2026-10-05", "timezone": "0"}) == ["late"]


@pytest.mark.parametrize(
    ("moment", "zone", "date"),
    [
        (NOON, "", "2026-10-05 12:00:00"),
        (NOON, "-5", "2026-10-05 12:00:00"),
        (NOON, "0", "2026-10-05 17:00:00"),
        (NOON, "5.5", "2026-10-05 22:30:00"),
        (datetime(2026, 12, 5, 16, 0, tzinfo=UTC), "0", "2026-12-05 16:00:00"),
    ],
)
async def test_dates_are_eastern_wall_time_moved_by_the_zone(moment: datetime, zone: str, date: str, start, ask_of):
    carrier = await start(clock=lambda: moment)
    await carrier.text_in(PEER, DID, "hello")
    rows = (await ask_of(carrier)("getSMS", timezone=zone))["sms"]
    assert rows[0]["date"] == date


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"from": "2026-10-06", "to": "2026-10-05"}, "invalid_date_from"),
        ({"from": "05/10/2026"}, "invalid_date"),
        ({"from": "2026-07-04", "to": "2026-10-05"}, "invalid_daterange"),
        ({"from": "2026-07-05", "to": "2026-10-05"}, "success"),
        ({"type": "2"}, "invalid_type"),
        ({"timezone": "14"}, "invalid_timezone"),
        ({"timezone": "EST"}, "invalid_timezone"),
        ({"contact": "ann"}, "invalid_contact"),
        ({"did": "5551239999"}, "invalid_did"),
        ({"sms": "1", "all_messages": "1"}, "invalid_sms"),
        ({"sms": "1"}, "no_sms"),
        ({"sms": "110997001"}, "success"),
    ],
)
async def test_a_listing_looks_at_its_filters(params: dict[str, str], status: str, start, ask_of):
    carrier = await start(clock=lambda: NOON)
    await carrier.text_in(PEER, DID, "hello")
    assert await ask_of(carrier).status("getSMS", **params) == status


async def test_a_listing_filters_by_direction_did_and_contact(start, ask_of):
    other_did, other_peer = "5551230002", "5559870003"
    carrier = await start(dids=(DidSettings(did=DID), DidSettings(did=other_did)))
    ask = ask_of(carrier)
    await carrier.text_in(PEER, DID, "in")
    await carrier.text_in(other_peer, other_did, "other")
    await carrier.text_in("29283", DID, "code")
    await ask("sendSMS", **TEXT)

    async def texts(**params: str) -> set[str]:
        return {row["message"] for row in (await ask("getSMS", **params))["sms"]}

    assert await texts() == {"in", "other", "code", "hello"}
    assert await texts(type="0") == {"hello"}
    assert await texts(type="1", did=DID) == {"in", "code"}
    assert await texts(contact=PEER) == {"in", "hello"}
    assert await texts(contact="29283") == {"code"}


async def test_a_listing_holds_fifty_rows_unless_told_otherwise(start, ask_of):
    carrier = await start()
    ask = ask_of(carrier)
    for n in range(60):
        await carrier.text_in(PEER, DID, f"text {n}")
    rows = (await ask("getSMS"))["sms"]
    assert [row["message"] for row in rows] == [f"text {n}" for n in range(59, 9, -1)]
    assert len((await ask("getSMS", limit="500"))["sms"]) == 60
    assert {type(row["id"]) for row in rows} == {int, str}
    assert {type(row["type"]) for row in rows} == {int, str}


async def test_kinds_are_listed_apart_unless_all_messages_are_wanted(start, ask_of):
    carrier = await start()
    ask = ask_of(carrier)
    await carrier.text_in(PEER, DID, "été 🙂")
    await carrier.text_in(PEER, DID, "look", [JPEG, PNG])
    assert [row["message"] for row in (await ask("getSMS", all_messages="0"))["sms"]] == ["été 🙂"]
    (row,) = (await ask("getMMS"))["sms"]
    urls = [f"{carrier.url}/media/", f"{carrier.url}/media/", ""]
    assert all(row[f"col_media{n}"].startswith(url) for n, url in enumerate(urls, start=1))
    assert row["media"] == [row["col_media1"], row["col_media2"]]
    assert row["media"][0].endswith("/media.jpeg")
    assert [row["message"] for row in (await ask("getSMS", all_messages="1"))["sms"]] == ["look", "été 🙂"]
    assert [row["message"] for row in (await ask("getMMS", all_messages="1"))["sms"]] == ["look", "été ?"]


async def test_carrier_status_is_the_usual_until_set(start, ask_of):
    carrier = await start()
    ask = ask_of(carrier)
    await carrier.text_in(PEER, DID, "in")
    await ask("sendSMS", **TEXT)
    await ask("sendSMS", **TEXT)
    carrier.ledger.set_carrier_status(carrier.ledger.sent[1], "Message undeliverable")
    assert [row["carrier_status"] for row in (await ask("getSMS"))["sms"]] == [
        "Message undeliverable",
        "Message delivered to handset.",
        "received",
    ]


async def test_media_of_an_mms_come_as_list_or_as_map(start, ask_of, http):
    carrier = await start(media_in_listing=False, clock=lambda: NOON)
    ask = ask_of(carrier)
    push = await carrier.text_in(PEER, DID, "", [PNG])
    (row,) = (await ask("getMMS"))["sms"]
    assert (row["media"], row["col_media1"]) == ([], "")
    as_map = await ask("getMediaMMS", id=str(push.id))
    as_list = await ask("getMediaMMS", id=str(push.id), media_as_array="1")
    url = push.row.media[0].url
    assert (as_map["media"], as_list["media"]) == ({"1": url}, [url])
    assert as_map["date"] == "2026-10-05 12:00:00"
    async with http.get(url) as response:
        assert await response.read() == PNG.content
    assert await ask.status("getMediaMMS") == "missing_id"
    assert await ask.status("getMediaMMS", id="x") == "invalid_id"
    assert await ask.status("getMediaMMS", id="7") == "no_sms"


async def test_a_list_of_one_may_be_the_bare_row(start, ask_of):
    carrier = await start(bare_single_row=True)
    ask = ask_of(carrier)
    await carrier.text_in(PEER, DID, "alone")
    assert (await ask("getSMS"))["sms"]["message"] == "alone"
    assert (await ask("getDIDsInfo"))["dids"]["did"] == DID
    await carrier.text_in(PEER, DID, "company")
    assert len((await ask("getSMS"))["sms"]) == 2


async def test_the_e164_dial_mode_writes_numbers_with_a_plus(start, ask_of, customer):
    person = await customer()
    did = DidSettings(did=DID, dialmode=2, webhook=person.url, webhook_enabled=True)
    carrier = await start(did=did)
    push = await carrier.text_in(PEER, DID, "hello")
    async with asyncio.timeout(PATIENCE):
        await push.answered
    (row,) = (await ask_of(carrier)("getSMS", contact=PEER))["sms"]
    assert (row["did"], row["contact"]) == (f"+1{DID}", f"+1{PEER}")
    payload = json.loads(person.requests[0][1])["data"]["payload"]
    assert payload["from"] == {"phone_number": f"+1{PEER}"}
