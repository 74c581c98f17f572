"""A question and its answer, known by an id that nobody can guess."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from smsbridge.xmpp.asking import Asking, condition_of, uptime
from tests.fakes.waiting import PATIENCE, until

PING = '<ping xmlns="urn:xmpp:ping"/>'


class Wire:
    """What was written, and the answers to it."""

    def __init__(self):
        self.written = []
        self.asking = Asking(jid="sms.example.com", prefix="ask-5ecret-", write=self.written.append)

    def question(self, number=-1):
        return ET.XML(self.written[number])

    def answer(self, number=-1, *, inner="", **changes):
        """Take an answer to a question; whether it was ours."""
        question = self.question(number)
        given = {"id": question.get("id"), "type": "result", "from": question.get("to"), "to": question.get("from")}
        attributes = " ".join(f'{name}="{value}"' for name, value in (given | changes).items())
        return self.asking.take(ET.XML(f'<iq xmlns="jabber:component:accept" {attributes}>{inner}</iq>'))


@pytest.fixture
async def wire():
    return Wire()


async def asked(wire, *arguments, seconds=10 * PATIENCE, **named):
    """A question that has been written."""
    before = len(wire.written)
    task = asyncio.create_task(wire.asking.ask(*arguments, seconds, **named))
    await until(lambda: len(wire.written) > before)
    return task


async def test_a_result_is_the_answer(wire):
    task = await asked(wire, "example.com", PING)
    assert wire.answer()
    assert (await task).get("type") == "result"


async def test_an_error_is_an_answer_too(wire):
    task = await asked(wire, "example.com", PING)
    wire.answer(
        type="error",
        inner="<error type='cancel'><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text>"
        "<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    )
    assert condition_of(await task) == "not-allowed"


async def test_silence_is_none(wire):
    assert await wire.asking.ask("example.com", PING, 0.01) is None


async def test_a_late_answer_is_ours_and_harms_nobody(wire):
    await wire.asking.ask("example.com", PING, 0.01)
    assert wire.answer()


async def test_a_lost_stream_answers_all_questions_at_once(wire):
    tasks = [await asked(wire, "example.com", PING), await asked(wire, "other.example.com", PING)]
    wire.asking.lost()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*tasks) == [None, None]


async def test_a_question_after_a_lost_stream_is_answered(wire):
    wire.asking.lost()
    task = await asked(wire, "example.com", PING)
    wire.answer()
    assert await task is not None


async def test_a_second_answer_changes_nothing(wire):
    task = await asked(wire, "example.com", PING)
    wire.answer()
    assert wire.answer(type="error")
    assert (await task).get("type") == "result"


async def test_nobody_answers_for_somebody_else(wire):
    task = await asked(wire, "example.com", PING)
    assert wire.answer(**{"from": "ann@example.com/phone"})
    assert not task.done()
    wire.answer()
    assert (await task).get("from") == "example.com"


async def test_answers_find_their_questions_in_any_order(wire):
    first = await asked(wire, "ann@example.com", PING)
    second = await asked(wire, "john@example.com", PING)
    wire.answer(1)
    wire.answer(0)
    assert ((await first).get("from"), (await second).get("from")) == ("ann@example.com", "john@example.com")


async def test_an_id_tells_nothing_about_the_next(wire):
    tasks = [await asked(wire, "ann@example.com/phone", PING) for _ in range(2)]
    first, second = (wire.question(number).get("id").removeprefix("ask-5ecret-") for number in (0, 1))
    assert len(first) >= 24
    assert first != second
    wire.asking.lost()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    "xml",
    [
        "<iq id='ask-5ecret-1' type='get' from='example.com'/>",
        "<iq id='ask-5ecret-1' type='set' from='example.com'/>",
        "<iq id='other-1' type='result' from='example.com'/>",
        "<iq type='result' from='example.com'/>",
        "<message id='ask-5ecret-1' type='error' from='example.com'/>",
    ],
)
async def test_what_is_no_answer_of_ours_is_left_alone(wire, xml):
    stanza = ET.XML(xml.replace(" id=", " xmlns='jabber:component:accept' id=", 1))
    assert not wire.asking.take(stanza)


async def test_a_question_is_whole_whatever_is_in_its_addresses(wire):
    task = await asked(wire, "ann@example.com/\"'<&\n", PING, sender="+15559870002@sms.example.com", kind="set")
    question = wire.question()
    assert question.get("to") == "ann@example.com/\"'<&\n"
    assert (question.get("from"), question.get("type")) == ("+15559870002@sms.example.com", "set")
    wire.asking.lost()
    await task


async def test_a_cancelled_question_is_forgotten(wire):
    task = await asked(wire, "example.com", PING)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wire.answer()
    assert not wire.asking._open


@pytest.mark.parametrize(
    ("inner", "kind", "seconds"),
    [
        ("<query xmlns='jabber:iq:last' seconds='4711'/>", "result", 4711.0),
        ("<query xmlns='jabber:iq:last' seconds='-3'/>", "result", None),
        ("<query xmlns='jabber:iq:last' seconds='nan'/>", "result", None),
        ("<query xmlns='jabber:iq:last' seconds='99999999999'/>", "result", None),  # before the year 1
        ("<query xmlns='jabber:iq:last'/>", "result", None),
        ("<query xmlns='jabber:iq:last' seconds='4711'/>", "error", None),
        ("", "result", None),
    ],
)
async def test_the_uptime_is_a_number_or_nothing(wire, inner, kind, seconds):
    task = asyncio.create_task(uptime(wire.asking, "example.com"))
    await until(lambda: wire.written)
    wire.answer(type=kind, inner=inner)
    assert await task == seconds


async def test_a_server_that_does_not_answer_has_no_uptime(wire):
    assert await uptime(wire.asking, "example.com", 0.01) is None


def test_an_error_that_names_no_condition_is_an_error():
    answer = ET.XML("<iq xmlns='jabber:component:accept' type='error'><error/></iq>")
    assert condition_of(answer) == "undefined-condition"


async def test_what_we_asked_ourselves_and_nobody_answered_comes_back_as_its_own_answer(wire):
    task = await asked(wire, "sms.example.com", PING)
    assert wire.answer(type="get")
    assert (await task).get("type") == "get"


async def test_nobody_else_may_send_us_a_question_of_ours(wire):
    task = await asked(wire, "example.com", PING)
    assert not wire.answer(type="get")
    own = await asked(wire, "sms.example.com", PING)
    wire.answer(type="get", **{"from": "mallory@example.com/x"})
    assert not own.done()
    wire.asking.lost()
    assert await asyncio.gather(task, own) == [None, None]
