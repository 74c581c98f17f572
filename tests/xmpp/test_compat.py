"""Each work-around beside the library as it is: when a `test_slixmpp_…` fails, the work-around may go."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from slixmpp import ComponentXMPP, Message
from slixmpp.stanza.error import Error
from structlog.testing import capture_logs

from smsbridge.xmpp import compat
from tests.fakes.waiting import PATIENCE, until
from tests.fakes.wire import lose_session, open_session, written_by

ME = ("sms.example.com", "s3cret", "127.0.0.1", 5347)
PROBE = b"<presence type='probe' from='user@example.com' to='+15559870002@sms.example.com'/>"
BOUNCE = (
    b"<message type='error' id='m1' from='user@example.com' to='+15559870002@sms.example.com'><error type='cancel'>"
    b"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
)
RECEIPT_WANTED = (
    b"<message type='chat' id='m1' from='user@example.com/phone' to='+15559870002@sms.example.com'>"
    b"<body>hello</body><request xmlns='urn:xmpp:receipts'/></message>"
)
TIME = b"<iq type='get' id='t1' from='user@example.com/phone' to='sms.example.com'><time xmlns='urn:xmpp:time'/></iq>"


@pytest.fixture
async def stream():
    made = compat.make_stream(*ME)
    yield made
    await retire(made)


@pytest.fixture
async def untreated():
    made = ComponentXMPP(*ME)
    yield made
    await retire(made)


async def retire(stream):
    if stream.transport is not None:
        await lose_session(stream, stream.transport)
    compat.retire(stream)


async def test_a_stanza_without_from_gets_ours(stream):
    transport = open_session(stream)
    stream.make_message(mto="user@example.com", mbody="hello").send()
    stream.make_iq_get(ito="example.com").send(timeout=1).cancel()
    stream.make_presence(pto="user@example.com").send()
    assert (await written_by(stream, transport)).count('from="sms.example.com"') == 3


async def test_a_stanza_with_from_keeps_it(stream):
    transport = open_session(stream)
    stream.make_message(mto="user@example.com", mfrom="+15559870002@sms.example.com", mbody="hello").send()
    written = await written_by(stream, transport)
    assert 'from="+15559870002@sms.example.com"' in written
    assert 'from="sms.example.com"' not in written


async def test_slixmpp_sends_without_from(untreated):
    transport = open_session(untreated)
    untreated.make_message(mto="user@example.com", mbody="hello").send()
    assert "from=" not in (await written_by(untreated, transport)).partition("<message")[2]


async def test_an_error_is_read_with_its_own_condition(stream):
    conditions = []
    stream.add_event_handler("message_error", lambda message: conditions.append(message["error"]["condition"]))
    open_session(stream)
    stream.data_received(BOUNCE)
    assert conditions == ["service-unavailable"]


async def test_slixmpp_reads_every_error_as_feature_not_implemented(untreated, monkeypatch):
    # As in a process that never said fix_error_ns, which changes the classes.
    monkeypatch.setattr(Error, "namespace", "jabber:client")
    monkeypatch.delitem(Message.plugin_tag_map, "{jabber:component:accept}error", raising=False)
    conditions = []
    untreated.add_event_handler("message_error", lambda message: conditions.append(message["error"]["condition"]))
    open_session(untreated)
    untreated.data_received(BOUNCE)
    assert conditions == ["feature-not-implemented"]


async def test_a_probe_is_left_to_our_handlers(stream):
    probes = []
    stream.add_event_handler("presence_probe", probes.append)
    transport = open_session(stream)
    stream.data_received(PROBE)
    assert len(probes) == 1
    assert "unsubscribed" not in await written_by(stream, transport)


@pytest.mark.parametrize("kind", ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "unavailable", ""])
async def test_no_presence_is_answered_by_the_library(stream, kind):
    transport = open_session(stream)
    stream.data_received(PROBE.replace(b"type='probe'", f"type='{kind}'".encode() if kind else b""))
    assert "<presence" not in await written_by(stream, transport)


async def test_slixmpp_answers_a_probe_with_unsubscribed(untreated):
    transport = open_session(untreated)
    untreated.data_received(PROBE)
    assert 'type="unsubscribed"' in await written_by(untreated, transport)


async def send_while_down(stream):
    """Send between two sessions; what the second one wrote."""
    await lose_session(stream, open_session(stream))
    stream.make_message(mto="user@example.com", mbody="from before").send()
    transport = open_session(stream)
    stream.make_message(mto="user@example.com", mbody="from now").send()
    written = await written_by(stream, transport)
    assert "from now" in written
    return written


async def test_what_is_sent_while_down_is_never_written_into_the_next_session(stream):
    assert "from before" not in await send_while_down(stream)
    assert "from before" not in await send_while_down(stream)


async def test_slixmpp_writes_what_was_sent_while_down_into_the_next_session(untreated):
    assert "from before" in await send_while_down(untreated)


async def test_receipts_are_not_sent_by_the_library(stream):
    stream.register_plugin("xep_0184")
    transport = open_session(stream)
    stream.data_received(RECEIPT_WANTED)
    assert "<received" not in await written_by(stream, transport)


async def test_slixmpp_sends_receipts_by_itself(untreated):
    untreated.register_plugin("xep_0184")
    transport = open_session(untreated)
    untreated.data_received(RECEIPT_WANTED)
    assert "<received" in await written_by(untreated, transport)


async def test_entity_time_is_answered_from_the_clock(stream):
    compat.answer_entity_time(stream, lambda: datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    transport = open_session(stream)
    stream.data_received(TIME)
    written = await written_by(stream, transport)
    assert "<utc>2026-03-01T12:30:00Z</utc>" in written
    assert 'type="result"' in written
    assert 'from="sms.example.com"' in written


async def test_slixmpp_fails_to_tell_the_time(untreated):
    untreated.register_plugin("xep_0202")
    transport = open_session(untreated)
    untreated.data_received(TIME)
    assert "undefined-condition" in await written_by(untreated, transport)


async def answers_to_a_set_of_disco(stream):
    stream.register_plugin("xep_0030")
    transport = open_session(stream)
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    for number, kind in enumerate(("set", "get")):  # the answer to the second shows that the first has been dealt with
        iq = f"<iq type='{kind}' id='s{number}' from='user@example.com/phone' to='sms.example.com'>{query}</iq>"
        stream.data_received(iq.encode())
    await until(lambda: b'id="s1"' in transport.written)
    return await written_by(stream, transport)


async def test_a_set_of_what_can_only_be_got_is_answered_with_an_error(stream):
    compat.refuse_settings(stream)
    answers = await answers_to_a_set_of_disco(stream)
    assert 'id="s0"' in answers
    assert "feature-not-implemented" in answers


async def test_slixmpp_never_answers_a_set_of_disco(untreated):
    assert 'id="s0"' not in await answers_to_a_set_of_disco(untreated)


async def test_no_whitespace_is_scheduled(stream):
    open_session(stream)
    assert not stream.scheduled_events


async def test_slixmpp_does_not_read_its_keepalive_flag(untreated):
    untreated.whitespace_keepalive = False
    open_session(untreated)
    assert "Whitespace Keepalive" in untreated.scheduled_events
    untreated.cancel_schedule("Whitespace Keepalive")


async def test_an_exception_in_an_event_handler_is_told_without_its_words(stream):
    def fail(_message):
        raise ValueError("hello from the body")

    stream.add_event_handler("message", fail)
    open_session(stream)
    with capture_logs() as logs:
        stream.data_received(RECEIPT_WANTED)
    assert [entry["error"] for entry in logs if "error" in entry] == ["ValueError"]
    assert "hello" not in str(logs)


async def test_the_librarys_log_quotes_no_stanza(stream):
    open_session(stream)
    with capture_logs() as logs:
        stream.data_received(b"<message><body>a secret text</nonsense>")
    assert [entry["words"] for entry in logs] == ["Parse error: %r"]
    assert "secret" not in str(logs)
    assert not logging.getLogger("slixmpp.xmlstream").isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("plugin", ["xep_0280", "xep_0313", "xep_0115"])
async def test_a_plugin_that_must_not_be_loaded_is_refused(stream, plugin):
    stream.register_plugin(plugin)
    with pytest.raises(RuntimeError, match=plugin):
        compat.require_no_forbidden_plugin(stream)


async def test_the_plugins_of_a_gateway_are_not_refused(stream):
    for plugin in ("xep_0030", "xep_0092", "xep_0184", "xep_0199", "xep_0203", "xep_0363"):
        stream.register_plugin(plugin)
    compat.require_no_forbidden_plugin(stream)


@pytest.mark.parametrize(
    ("inside", "condition"),
    [
        (f"<not-authorized xmlns='{compat.STREAM_ERRORS}'/>", "not-authorized"),
        (f"<text xmlns='{compat.STREAM_ERRORS}'>no</text><conflict xmlns='{compat.STREAM_ERRORS}'/>", "conflict"),
        (f"<of-the-future xmlns='{compat.STREAM_ERRORS}'/>", "of-the-future"),
        ("<x xmlns='urn:example'/>", ""),
    ],
)
async def test_a_stream_error_names_its_condition(stream, inside, condition):
    seen = []
    stream.add_event_handler("stream_error", lambda error: seen.append(compat.stream_condition(error)))
    open_session(stream)
    stream.data_received(f"<stream:error>{inside}</stream:error>".encode())
    assert seen == [condition]


async def test_hanging_up_tells_whether_an_end_will_follow(stream):
    assert not compat.hang_up(stream)
    open_session(stream)
    lost = stream.disconnected
    assert compat.hang_up(stream)
    async with asyncio.timeout(PATIENCE):
        await lost
    assert not compat.hang_up(stream)
