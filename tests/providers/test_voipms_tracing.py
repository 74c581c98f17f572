"""What became of a text, as the carrier's lists tell it."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.message import Kind, Media
from smsbridge.providers.contract import Candidate, Traced
from smsbridge.providers.voipms import tracing
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.pictures import tiny_jpeg

from .boxes import send
from .parts import part

PART = part("See you at 9")
BEFORE = Moment.BEFORE_ACCEPT
A_MINUTE = timedelta(minutes=1)
PICTURE = Media(url="https://files.example.com/1.jpg")


async def trace(box, wanted=PART, ago=timedelta(seconds=90)) -> Traced:
    return await tracing.trace(box.api, wanted, box.now - ago, box.now)


def found(*ids: str, kind: Kind = Kind.SMS) -> Traced:
    return Traced(candidates=tuple(Candidate(kind=kind, provider_id=i) for i in ids), is_whole=True)


ABSENT = Traced(is_whole=True)


async def test_a_text_that_was_taken_is_found(box):
    carried = await box()
    assert await trace(carried) == ABSENT
    taken = await send(carried, "See you at 9")
    assert await trace(carried) == found(taken)


@pytest.mark.parametrize("options", [{"bare_single_row": True}, {"seed": 1}, {"media_in_listing": False}])
async def test_however_loosely_it_is_listed(box, options):
    carried = await box(**options)
    taken = await send(carried, "See you at 9")
    assert await trace(carried) == found(taken)


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        ("  hello  ", "hello"),
        ("one\r\ntwo", "one\ntwo"),
        ("one\n\ntwo", "one two"),
        ("“quoted” – and…", '"quoted" - and...'),
        ("it's", r"it\'s"),
        ("café & bar", "caf&eacute; &amp; bar"),
        ("&amp; as it is", "&amp; as it is"),
        ("e\u0301te\u0301", "été"),
        ("50% + 1", "50% + 1"),
    ],
)
async def test_what_the_carrier_does_to_a_text_does_not_hide_it(box, sent, listed):
    carried = await box()
    taken = await send(carried, listed)
    assert await trace(carried, part(sent)) == found(taken)


@pytest.mark.parametrize(("sent", "listed"), [("ok", "OK"), ("ok", "ok!"), ("50%+1", "50% 1"), ("a", "b")])
async def test_another_text_is_another_text(box, sent, listed):
    carried = await box()
    await send(carried, listed)
    assert await trace(carried, part(sent)) == ABSENT


async def test_equal_texts_are_told_apart_by_number_and_oldest_first(box):
    carried = await box()
    first = await send(carried, "ok")
    carried.now += A_MINUTE
    second = await send(carried, "ok")
    await send(carried, "ok", did="5551230002")
    await carried.carrier.text_in("5559870002", "5551230001", "ok")
    assert await trace(carried, part("ok"), ago=2 * A_MINUTE) == found(first, second)


async def test_what_was_sent_long_before_the_try_is_no_candidate(box):
    carried = await box()
    await send(carried, "See you at 9")
    carried.now += timedelta(hours=3)
    assert await trace(carried) == ABSENT


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_an_hour_off_hides_nothing(box, hours):
    carried = await box()
    taken = await send(carried, "See you at 9")
    carried.faults.arm(Fault(when=BEFORE, method="getSMS", what=What.ZONE, amount=hours, times=None))
    assert await trace(carried) == found(taken)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 10, 6, 3, 59, tzinfo=UTC),
        datetime(2026, 10, 6, 4, 1, tzinfo=UTC),
        datetime(2026, 11, 1, 6, 0, tzinfo=UTC),
    ],
)
async def test_midnight_and_the_end_of_summer_hide_nothing(box, moment):
    carried = await box()
    carried.now = moment
    taken = await send(carried, "See you at 9")
    carried.now += 3 * A_MINUTE
    assert await trace(carried, ago=4 * A_MINUTE) == found(taken)


async def test_a_list_that_lags_does_not_show_it_yet(box):
    carried = await box()
    taken = await send(carried, "See you at 9")
    carried.faults.arm(Fault(when=BEFORE, method="getSMS", what=What.LAG, amount=60, times=None))
    carried.now += timedelta(seconds=30)
    assert await trace(carried) == ABSENT
    carried.now += timedelta(seconds=60)
    assert await trace(carried) == found(taken)


async def test_a_list_that_holds_something_back_proves_nothing(box):
    carried = await box()
    await send(carried, "yesterday")
    carried.now += timedelta(days=1)
    await send(carried, "another")
    carried.faults.arm(Fault(when=BEFORE, method="getSMS", what=What.SHORT, amount=0))
    assert await trace(carried) == Traced(code="list_cut_short")


async def test_a_full_page_proves_nothing_and_still_shows_what_is_on_it(box):
    carried = await box()
    for n in range(60):
        await send(carried, f"text {n}")
    carried.faults.arm(Fault(when=BEFORE, method="getSMS", what=What.SHORT, amount=50, times=None))
    assert await trace(carried) == Traced(code="list_incomplete")
    assert len((await trace(carried, part("text 59"))).candidates) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(when=BEFORE, method="getMMS", what=What.REFUSED, status="unavailable_info"), "unavailable_info"),
        (Fault(when=BEFORE, method="getSMS", what=What.REFUSED, status="never_heard_of"), "never_heard_of"),
        (Fault(when=BEFORE, method="getSMS", http_status=522), "http_522"),
        (Fault(when=BEFORE, method="getSMS", drop=True), "reset"),
        (Fault(when=Moment.AFTER_ACCEPT, method="getMMS", what=What.TRUNCATED), "no_json"),
    ],
)
async def test_a_list_that_fails_proves_nothing(box, fault, code):
    carried = await box()
    await send(carried, "another")
    await carried.api.ask("sendMMS", did="5551230001", dst="5559870002", message="and another")
    carried.faults.arm(fault)
    assert await trace(carried) == Traced(code=code)


MMS = replace(PART, kind=Kind.MMS, text="", media=(PICTURE,))


async def test_a_picture_is_known_by_its_url(box):
    carried = await box()
    await send(carried, " ", media1="https://files.example.com/2.jpg")
    assert await trace(carried, MMS) == ABSENT
    taken = await send(carried, " ", media1=PICTURE.url)
    assert await trace(carried, MMS) == found(taken, kind=Kind.MMS)


async def test_a_picture_that_the_list_leaves_out_may_be_any(box):
    carried = await box(media_in_listing=False)
    taken = await send(carried, " ", media1=PICTURE.url)
    assert await trace(carried, MMS) == found(taken, kind=Kind.MMS)


async def test_the_same_words_in_the_other_list_are_told_as_what_they_are(box):
    carried = await box()
    answer = await carried.api.ask("sendMMS", did="5551230001", dst="5559870002", message="See you at 9")
    assert await trace(carried) == found(str(answer["mms"]), kind=Kind.MMS)
    await carried.api.ask("sendMMS", did="5551230001", dst="5559870002", message="look", media1=PICTURE.url)
    assert await trace(carried, part("look")) == ABSENT


@pytest.mark.parametrize("options", [{}, {"media_in_listing": False}, {"bare_single_row": True}])
async def test_a_picture_that_was_sent_as_bytes_is_found_with_and_without_words(box, options):
    carried = await box(**options)
    data = f"data:image/jpeg;base64,{b64encode(tiny_jpeg()).decode()}"
    for text in ("", "look"):
        wanted = replace(part(text), kind=Kind.MMS, media=(replace(PICTURE, mime="image/jpeg", file="kept"),))
        assert await trace(carried, wanted) == ABSENT
        taken = await send(carried, text or " ", media1=data)
        assert await trace(carried, wanted) == found(taken, kind=Kind.MMS)
        assert await trace(carried, replace(wanted, text="something else")) == ABSENT
