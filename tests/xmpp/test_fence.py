"""What an answer proves, and when it is overdue."""

from xml.etree import ElementTree as ET

from smsbridge.xmpp.fence import Fence


def make_fence(**changes):
    settings = {"jid": "sms.example.com", "ping": "example.com", "prefix": "f-", "seconds": 10.0, "idle": 30.0}
    return Fence(**settings | changes)


def parsed(xml):
    return ET.fromstring(xml)  # noqa: S314 - our own octets


def id_of(xml):
    return parsed(xml).get("id")


def test_a_fence_is_a_ping_from_us_to_the_server():
    element = parsed(make_fence().seal(["a"], 0.0))
    assert element.tag == "iq"
    assert (element.get("type"), element.get("from"), element.get("to")) == ("get", "sms.example.com", "example.com")
    assert element[0].tag == "{urn:xmpp:ping}ping"


def test_nothing_is_proved_before_the_pong():
    fence = make_fence()
    fence.seal(["a", "b"], 0.0)
    assert fence.in_flight == ["a", "b"]
    assert fence.is_waiting


def test_a_pong_proves_its_own_batch_and_all_before_it():
    fence = make_fence()
    fence.seal(["a"], 0.0)
    second = id_of(fence.seal(["b", "c"], 0.0))
    fence.seal(["d"], 0.0)
    assert fence.pong(second, 1.0) == ("a", "b", "c")
    assert fence.in_flight == ["d"]


def test_a_pong_counts_once():
    fence = make_fence()
    only = id_of(fence.seal(["a"], 0.0))
    assert fence.pong(only, 1.0) == ("a",)
    assert fence.pong(only, 1.0) == ()


def test_a_pong_of_an_earlier_stream_is_ours_and_proves_nothing():
    fence = make_fence()
    old = id_of(fence.seal(["a"], 0.0))
    assert fence.renew() == ("a",)
    fence.seal(["a"], 1.0)
    assert fence.owns(old)
    assert fence.pong(old, 2.0) == ()
    assert fence.in_flight == ["a"]


def test_a_stanza_of_somebody_else_is_not_ours():
    assert not make_fence(prefix="f-secret-").owns("f-1")


def test_an_answer_is_overdue_by_the_oldest_fence():
    fence = make_fence()
    first = id_of(fence.seal(["a"], 5.0))
    fence.seal(["b"], 8.0)
    assert fence.due_at() == 15.0
    fence.pong(first, 9.0)
    assert fence.due_at() == 18.0


def test_a_quiet_stream_is_asked_again_after_the_idle_time():
    fence = make_fence()
    fence.pong(id_of(fence.seal((), 5.0)), 6.0)
    assert not fence.is_waiting
    assert fence.due_at() == 36.0


def test_a_first_ping_without_answer_falls_back_to_a_message_to_ourselves():
    fence = make_fence()
    fence.seal(["a"], 0.0)
    assert fence.fall_back(10.0)
    element = parsed(fence.seal((), 10.0))
    assert (element.tag, element.get("type")) == ("message", "headline")
    assert element.get("from") == element.get("to") == "sms.example.com"
    assert fence.due_at() == 20.0
    assert fence.pong(element.get("id"), 11.0) == ("a",)


def test_a_message_without_answer_either_means_that_the_server_is_gone():
    fence = make_fence()
    fence.seal((), 0.0)
    assert fence.fall_back(10.0)
    assert not fence.fall_back(20.0)


def test_once_a_ping_was_answered_there_is_no_falling_back():
    fence = make_fence()
    fence.pong(id_of(fence.seal((), 0.0)), 1.0)
    fence.seal((), 2.0)
    assert not fence.fall_back(12.0)


def test_what_worked_on_one_stream_is_used_on_the_next():
    fence = make_fence()
    fence.seal((), 0.0)
    fence.fall_back(10.0)
    fence.pong(id_of(fence.seal((), 10.0)), 11.0)
    fence.renew()
    assert fence.seal((), 20.0).startswith(b"<message")


def test_what_did_not_work_on_one_stream_is_not_used_on_the_next():
    fence = make_fence()
    fence.seal((), 0.0)
    fence.fall_back(10.0)
    fence.renew()
    assert fence.seal((), 20.0).startswith(b"<iq")


def test_a_jid_with_quotes_stays_an_attribute():
    fence = make_fence(jid="a'b\"&.example.com")
    assert parsed(fence.seal((), 0.0)).get("from") == "a'b\"&.example.com"
