"""What any client may ask: which program this is, how long it is up, which JID a number has."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from smsbridge import __version__
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.say import Say
from smsbridge.xmpp import manners

DOMAIN = "sms.example.com"
NUMBER = "+15559870002@sms.example.com"
ANN = "ann@example.com/x"
START = datetime(2026, 10, 5, 18, 0, tzinfo=UTC)


class Memory:
    """Ann had a text with one number."""

    def __init__(self, up=timedelta(seconds=90)):
        self.up = up

    def started_at(self):
        return START

    def now(self):
        return START + self.up

    async def last_text(self, owner, localpart):
        if owner != "ann@example.com":
            raise Refused(Reason.NOT_OWNER)
        return START + timedelta(seconds=30) if NUMBER.startswith(localpart) else None


def iq(payload, to=DOMAIN, kind="get", sender=ANN):
    return ET.XML(f"<iq xmlns='jabber:component:accept' type='{kind}' id='q' from='{sender}' to='{to}'>{payload}</iq>")


async def answer(*args, memory=None, **kwargs):
    element = iq(*args, **kwargs)
    assert manners.is_asked(element, DOMAIN)
    reply = ET.XML(await manners.answer(element, memory or Memory(), domain=DOMAIN))
    assert reply.attrib == {"type": "result", "id": "q", "from": element.get("to"), "to": element.get("from")}
    return reply[0]


async def test_the_gateway_tells_its_version_and_not_what_it_runs_on():
    query = await answer("<query xmlns='jabber:iq:version'/>", sender="eve@example.org/x")
    assert [(child.tag, child.text) for child in query] == [
        ("{jabber:iq:version}name", "smsbridge"),
        ("{jabber:iq:version}version", __version__),
    ]


async def test_the_gateway_tells_for_how_long_it_is_up():
    assert (await answer("<query xmlns='jabber:iq:last'/>")).attrib == {"seconds": "90"}


async def test_a_number_tells_its_owner_since_when_there_was_no_text():
    assert (await answer("<query xmlns='jabber:iq:last'/>", NUMBER)).attrib == {"seconds": "60"}


async def test_a_clock_that_was_set_back_makes_no_nonsense():
    memory = Memory(timedelta(hours=-1))
    assert (await answer("<query xmlns='jabber:iq:last'/>", NUMBER, memory=memory)).attrib == {"seconds": "0"}


@pytest.mark.parametrize(
    ("to", "sender", "reason"),
    [(NUMBER, "eve@example.com/x", Reason.NOT_OWNER), (f"+15559870003@{DOMAIN}", ANN, Reason.BAD_ADDRESS)],
)
async def test_of_a_number_nobody_else_learns_anything(to, sender, reason):
    with pytest.raises(Refused) as refused:
        await answer("<query xmlns='jabber:iq:last'/>", to, sender=sender)
    assert refused.value.reason is reason


async def test_the_gateway_asks_for_a_phone_number():
    query = await answer("<query xmlns='jabber:iq:gateway'/>")
    assert query.findtext("{jabber:iq:gateway}prompt") == "Phone number"
    assert (
        query.findtext("{jabber:iq:gateway}desc")
        == "Type a phone number, with its country code outside the United States and Canada."
    )


@pytest.mark.parametrize(
    ("typed", "jid"),
    [
        ("+15559870002", NUMBER),
        (" (555) 987-0002 ", NUMBER),
        ("1-555-987-0002", NUMBER),
        ("tel:+1-555-987-0002", NUMBER),
        ("+44 20 7946 0000", f"+442079460000@{DOMAIN}"),
        ("+44 (0)20 7946 0000", f"+442079460000@{DOMAIN}"),
        ("011 44 20 7946 0000", f"+442079460000@{DOMAIN}"),
        ("29283", f"29283@{DOMAIN}"),
    ],
)
async def test_a_number_that_a_person_types_is_answered_with_its_jid(typed, jid):
    query = await answer(f"<query xmlns='jabber:iq:gateway'><prompt>{typed}</prompt></query>", kind="set")
    assert [(child.tag, child.text) for child in query] == [("{jabber:iq:gateway}jid", jid)]


@pytest.mark.parametrize("typed", ["", "bob", "amazon", "+1", "987-0002", "5559870002,5559870003", "x" * 100_000])
async def test_what_is_no_number_is_refused_in_words(typed):
    with pytest.raises(Refused) as refused:
        await answer(f"<query xmlns='jabber:iq:gateway'><prompt>{typed}</prompt></query>", kind="set")
    assert (refused.value.reason, refused.value.words) == (Reason.BAD_ADDRESS, Say.NO_PHONE_NUMBER())


@pytest.mark.parametrize(
    "element",
    [
        iq("<query xmlns='jabber:iq:version'/>", NUMBER),
        iq("<query xmlns='jabber:iq:version'/>", kind="set"),
        iq("<query xmlns='jabber:iq:last'/>", kind="set"),
        iq("<query xmlns='jabber:iq:last'/>", kind="result"),
        iq("<query xmlns='jabber:iq:gateway'/>", NUMBER),
        iq("<query xmlns='jabber:iq:last'/>", "elsewhere.example.com"),
        iq("<query xmlns='jabber:iq:last'/>", sender=NUMBER),
        iq("<query xmlns='jabber:iq:last'/>", "x" * 2000 + "@" + DOMAIN),
    ],
)
def test_what_is_not_asked_of_us_is_left_to_who_knows(element):
    assert not manners.is_asked(element, DOMAIN)
