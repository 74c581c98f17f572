"""What getSMS and getMMS list, from scripted answers and from the carrier in a box."""

from datetime import UTC, date, datetime, timedelta

import pytest
from aioresponses import aioresponses

from smsbridge.core.errors import Deferred, Hold, Indeterminate
from smsbridge.core.message import Kind
from smsbridge.providers.voipms import listing
from smsbridge.providers.voipms.api import API_URL
from smsbridge.providers.voipms.listing import Direction, Listing, Query, list_texts
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.pictures import JPEG
from tests.fakes.aio import Answered

from .boxes import DID, OTHER_DID, PEER, api_of, send

TODAY = date(2026, 10, 5)
DAYS = Query(first=TODAY, last=TODAY)
ROW = {
    "id": "110997001", "date": "2026-10-05 14:03:11", "type": "0", "did": "5551230001", "contact": "5559870002",
    "message": "look", "carrier_status": "Message delivered to handset.",
}  # fmt: skip
NOTHING = {"status": "no_sms"}


async def listed(session, *answers: object, query: Query = DAYS, dids=()) -> Listing:
    with aioresponses() as wire:
        for answer in answers:
            wire.post(API_URL, payload=answer, response_class=Answered)
        found = await list_texts(api_of(session), query, dids)
        assert sum(map(len, wire.requests.values())) == len(answers)
    return found


def success(*rows: object) -> dict[str, object]:
    return {"status": "success", "sms": list(rows)}


async def test_a_row_is_read_whole(session):
    picture = "https://voip.ms/media/MTc1/media.jpeg"
    mms = {
        **ROW,
        "id": 10240001,
        "type": 1,
        "col_media1": "media/MTc1/media.jpeg",
        "col_media2": "",
        "media": [picture],
    }
    found = await listed(session, success(ROW), success(mms))
    assert found.is_complete
    sent, received = found.rows if found.rows[0].kind is Kind.SMS else found.rows[::-1]
    assert (sent.kind, sent.provider_id, sent.direction) == (Kind.SMS, "110997001", Direction.OUT)
    assert (sent.did, sent.peer, sent.text, sent.media) == (DID, PEER, "look", ())
    assert sent.at == datetime(2026, 10, 5, 18, 3, 11, tzinfo=UTC)
    assert sent.carrier_status == "Message delivered to handset."
    assert (received.kind, received.provider_id, received.direction) == (Kind.MMS, "10240001", Direction.IN)
    assert received.media == (picture,)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 110997001, "type": 0, "did": 5551230001, "contact": 5559870002},
        {"did": "+15551230001", "contact": "15559870002"},
        {"id": "110997001", "type": " 0 ", "contact": " 5559870002 "},
        {"carrier_status": None, "media": None, "col_media1": None},
    ],
)
async def test_loose_types_are_the_same_row(session, changes):
    (row,) = (await listed(session, success({**ROW, **changes}), NOTHING)).rows
    assert (row.provider_id, row.did, row.peer, row.direction) == ("110997001", DID, PEER, Direction.OUT)


@pytest.mark.parametrize("rows", [ROW, {"0": ROW}, [ROW, ROW]])
async def test_one_row_may_come_bare_or_numbered_or_twice(session, rows):
    found = await listed(session, {"status": "success", "sms": rows}, {"status": "no_mms"})
    assert [row.provider_id for row in found.rows] == ["110997001"]
    assert found.is_complete


async def test_the_same_number_in_both_sequences_is_two_texts(session):
    found = await listed(session, success(ROW), success(ROW))
    assert sorted(row.kind for row in found.rows) == [Kind.MMS, Kind.SMS]


@pytest.mark.parametrize("empty", ["no_sms", "no_mms"])
async def test_nothing_is_a_status_and_complete(session, empty):
    assert await listed(session, {"status": empty}, {"status": empty}) == Listing(rows=(), is_complete=True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": "success"}, Indeterminate),
        ({"status": "success", "sms": None}, Indeterminate),
        ({"status": "success", "sms": "none"}, Indeterminate),
        ({"status": "something_new"}, Indeterminate),
        ({"status": "unavailable_info"}, Deferred),
        ({"status": "api_limit_exceeded"}, Deferred),
    ],
)
async def test_an_answer_without_a_list_says_nothing(session, answer, error):
    with pytest.raises(error):
        await listed(session, answer)


async def test_a_fault_of_the_account_is_told_as_one(session):
    with pytest.raises(Deferred) as caught:
        await listed(session, {"status": "invalid_credentials"})
    assert caught.value.hold is Hold.ACCOUNT


@pytest.mark.parametrize(
    "damage", [{"id": 0}, {"id": None}, {"type": "2"}, {"type": None}, {"did": ""}, {"contact": ""}]
)
async def test_a_row_that_cannot_be_read_makes_the_list_incomplete(session, damage):
    found = await listed(session, success(ROW, {**ROW, "id": 7, **damage}), NOTHING)
    assert [row.provider_id for row in found.rows] == ["110997001"]
    assert not found.is_complete


@pytest.mark.parametrize("entry", [None, "row", 7, []])
async def test_an_entry_that_is_no_row_makes_the_list_incomplete(session, entry):
    assert await listed(session, success(entry), NOTHING) == Listing(rows=(), is_complete=False)


async def test_a_row_of_a_number_that_is_none_of_ours_is_left_out(session):
    found = await listed(session, success({**ROW, "did": "sip-account"}), NOTHING)
    assert found == Listing(rows=(), is_complete=True)


async def test_a_filter_that_the_carrier_ignores_is_applied_here(session):
    query = Query(first=TODAY, last=TODAY, did=DID, peer=PEER, direction=Direction.OUT)
    others = [{"id": 1, "type": 1}, {"id": 2, "did": "5551230002"}, {"id": 3, "contact": "5559870003"}]
    found = await listed(session, success(ROW, *({**ROW, **other} for other in others)), NOTHING, query=query)
    assert [row.provider_id for row in found.rows] == ["110997001"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"it\'s", "it's"),
        (r"it\\\'s \"here\"", 'it\'s "here"'),
        ("caf&eacute; &amp; bar", "café & bar"),
        ("50 %41+1 hello+john", "50 %41+1 hello+john"),
        (r"C:\temp & more", r"C:\temp & more"),
        (12, "12"),
        (None, ""),
    ],
)
async def test_only_what_the_list_itself_escapes_is_taken_back(session, written, text):
    (row,) = (await listed(session, success({**ROW, "message": written}), NOTHING)).rows
    assert row.text == text


async def test_a_sender_that_is_no_number_keeps_its_spelling(session):
    (row,) = (await listed(session, success({**ROW, "type": 1, "contact": "Amazon Pay"}), NOTHING)).rows
    assert (row.peer, row.label) == ("amazon pay", "Amazon Pay")


async def test_a_date_that_cannot_be_read_costs_no_row(session):
    (row,) = (await listed(session, success({**ROW, "date": "yesterday"}), NOTHING)).rows
    assert row.at is None


def rows_of(count: int, **changes: object) -> dict[str, object]:
    return success(*({**ROW, "id": n, **changes} for n in range(1, count + 1)))


@pytest.mark.parametrize("count", [50, 100, 120, 121])
async def test_a_full_list_of_a_conversation_and_a_day_is_incomplete(session, count, monkeypatch):
    monkeypatch.setattr(listing, "LIMIT", 120)
    query = Query(
        first=TODAY, last=TODAY, kinds=(Kind.SMS,), did=DID, peer=PEER, direction=Direction.OUT
    )  # fmt: skip
    found = await listed(session, rows_of(count), query=query)
    assert len(found.rows) == count
    assert not found.is_complete


async def test_a_full_list_is_asked_for_again_by_day_then_by_number_then_by_direction(session):
    yesterday = TODAY - timedelta(days=1)
    query = Query(first=yesterday, last=TODAY, kinds=(Kind.SMS,))
    answers = [
        rows_of(50),  # both days
        rows_of(49),  # yesterday
        rows_of(50),  # today
        rows_of(3, did="5551230002"),  # today, one number
        rows_of(50),  # today, the other
        rows_of(30, type=1),  # in
        rows_of(20, type=0),  # out
    ]
    found = await listed(session, *answers, query=query, dids=(OTHER_DID, DID))
    assert found.is_complete
    assert len(found.rows) == 50


async def test_an_account_too_busy_to_be_listed_is_given_up(session, monkeypatch):
    monkeypatch.setattr(listing, "MOST_CALLS", 5)
    query = Query(first=TODAY - timedelta(days=30), last=TODAY, kinds=(Kind.SMS,))
    found = await listed(session, *[rows_of(50)] * 5, query=query)
    assert not found.is_complete


async def test_more_days_than_the_carrier_takes_are_asked_for_in_pieces(session):
    query = Query(first=TODAY - timedelta(days=200), last=TODAY, kinds=(Kind.SMS,))
    assert (await listed(session, NOTHING, success(ROW), NOTHING, query=query)).is_complete


@pytest.mark.parametrize("options", [{}, {"bare_single_row": True}, {"seed": 1}, {"media_in_listing": False}])
async def test_what_was_sent_and_received_is_listed_as_it_was(box, options):
    carried = await box(**options)
    sent = await send(carried, "See you at 9 🙂 – ok?")
    picture = await send(carried, "look", media1="https://sms.example.com/media/1.jpg")
    await carried.carrier.text_in("5559870003", "5551230002", "hello")
    await carried.carrier.text_in("5559870003", "5551230002", "picture", (JPEG,))
    found = await carried.list()
    assert found.is_complete
    told = {(row.kind, row.direction, row.did, row.peer, row.text) for row in found.rows}
    assert told == {
        (Kind.SMS, Direction.OUT, DID, PEER, "See you at 9 🙂 – ok?"),
        (Kind.MMS, Direction.OUT, DID, PEER, "look"),
        (Kind.SMS, Direction.IN, OTHER_DID, "+15559870003", "hello"),
        (Kind.MMS, Direction.IN, OTHER_DID, "+15559870003", "picture"),
    }
    assert {sent, picture} <= {row.provider_id for row in found.rows}
    assert {row.at for row in found.rows} == {carried.now}


async def test_a_conversation_is_listed_alone(box):
    carried = await box()
    wanted = await send(carried, "one")
    await send(carried, "two", did="5551230002")
    await carried.carrier.text_in("5559870002", "5551230001", "three")
    found = await carried.list(did=DID, peer=PEER, direction=Direction.OUT)
    assert [row.provider_id for row in found.rows] == [wanted]


@pytest.mark.parametrize("winter", [datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 12, 5, 4, 59, tzinfo=UTC)])
async def test_a_night_hour_is_read_to_within_an_hour(box, winter):
    carried = await box()
    carried.now = winter
    await send(carried, "night")
    (row,) = (await carried.list()).rows
    assert abs(row.at - winter) <= timedelta(hours=1)


async def test_a_day_that_is_full_is_told_apart_by_numbers_and_directions(box):
    carried = await box()
    carried.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="getSMS", what=What.SHORT, amount=50, times=None))
    for n in range(40):
        await send(carried, f"a{n}")
        await send(carried, f"b{n}", did="5551230002")
        await carried.carrier.text_in("5559870002", "5551230002", f"c{n}")
    found = await carried.list()
    assert found.is_complete
    assert len(found.rows) == 120


async def test_a_page_that_the_carrier_cuts_short_is_never_complete(box):
    carried = await box()
    carried.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="getSMS", what=What.SHORT, amount=50, times=None))
    for n in range(60):
        await send(carried, f"a{n}")
    assert not (await carried.list(did=DID, peer=PEER, direction=Direction.OUT)).is_complete


@pytest.mark.parametrize("what", [What.HTML, What.EMPTY, What.TRUNCATED, What.CUT])
async def test_a_spoilt_list_is_no_list(box, what):
    carried = await box()
    await send(carried, "one")
    carried.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="getSMS", what=what))
    with pytest.raises(Indeterminate):
        await carried.list()
