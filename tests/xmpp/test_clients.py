"""What stanzas tell about clients, and what a ping's answer proves."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.xmpp.clients import Sight, ping_client, sight_of
from smsbridge.xmpp.proving import Reply

NS = "jabber:component:accept"
PHONE = "john@example.com/phone"
ERROR = (
    f"<iq xmlns='{NS}' type='error'><error type='cancel'>"
    "<{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)


def element(name, kind="", sender=PHONE):
    attributes = {key: value for key, value in {"type": kind, "from": sender}.items() if value}
    return ET.Element(f"{{{NS}}}{name}", attributes)


@pytest.mark.parametrize("kind", ["", "chat", "normal"])
def test_who_writes_is_there(kind):
    assert sight_of(element("message", kind)) == Sight(PHONE, is_there=True)


def test_presence_tells_who_is_there_and_who_has_left():
    assert sight_of(element("presence")) == Sight(PHONE, is_there=True)
    assert sight_of(element("presence", "unavailable")) == Sight(PHONE, is_there=False)


def test_presence_to_a_number_tells_that_it_is_a_contact():
    presence = element("presence")
    presence.set("to", "+15559870002@sms.example.com")
    assert sight_of(presence) == Sight(PHONE, is_there=True, contact="+15559870002@sms.example.com")


@pytest.mark.parametrize(
    "stanza",
    [
        element("message", "error"),  # the server returns what a client can no longer take, in its name
        element("message", "headline"),
        element("presence", "error"),
        element("presence", "probe"),
        element("presence", "subscribe"),
        element("iq", "get"),
        element("presence", sender="john@example.com"),
        element("presence", sender="example.com/phone"),
        element("presence", sender=""),
    ],
)
def test_nothing_else_tells(stanza):
    assert sight_of(stanza) is None


class Answering:
    def __init__(self, xml):
        self.answer = ET.fromstring(xml) if xml else None  # noqa: S314 - our own words
        self.asked = []

    async def ask(self, to, payload, seconds, *, sender):
        self.asked.append((to, sender))
        return self.answer


@pytest.mark.parametrize(
    ("xml", "reply"),
    [
        (f"<iq xmlns='{NS}' type='result'/>", Reply.ANSWERED),
        (ERROR.format("feature-not-implemented"), Reply.ANSWERED),
        (ERROR.format("service-unavailable"), Reply.GONE),
        (ERROR.format("recipient-unavailable"), Reply.GONE),
        ("", Reply.SILENT),
    ],
)
async def test_what_an_answer_proves(xml, reply):
    assert await ping_client(Answering(xml), "+15559870002", PHONE, domain="sms.example.com") is reply


@pytest.mark.parametrize(
    ("sender", "whole"),
    [
        ("+15559870002", "+15559870002@sms.example.com"),
        ("+15559870002@sms.example.com", "+15559870002@sms.example.com"),
        ("", "sms.example.com"),
    ],
)
async def test_the_ping_comes_from_the_number_that_the_client_knows(sender, whole):
    asking = Answering("")
    await ping_client(asking, sender, PHONE, domain="sms.example.com")
    assert asking.asked == [(PHONE, whole)]
