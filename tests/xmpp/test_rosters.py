"""What is written into contact lists, and what is read there, as stanzas."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.bridge.introducing import Entry
from smsbridge.xmpp import wire
from smsbridge.xmpp.privileges import Privileges
from smsbridge.xmpp.rosters import AT_ONCE, Rosters

DOMAIN, OWNER, MUM = "sms.example.com", "john@example.com", "+15559870002"
ROSTER, EXCHANGE = "{jabber:iq:roster}", "{http://jabber.org/protocol/rosterx}"
RESULT = "<iq xmlns='jabber:component:accept' type='result'>{}</iq>"
REFUSAL = ET.XML(
    "<iq xmlns='jabber:component:accept' type='error'><error type='auth'>"
    "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)


class Server:
    """Answers every question with this, and keeps what was asked and sent."""

    def __init__(self):
        self.answer, self.asked, self.sent = ET.XML(RESULT.format("")), [], []

    async def ask(self, to, payload, _seconds, *, sender=None, kind="get"):
        assert (to, sender) == (OWNER, None)
        self.asked.append((kind, ET.XML(payload)))
        return self.answer


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def rosters(server):
    async def nothing():
        return None

    async def appear(owner, contact):
        server.sent.append((owner, contact))

    def dress(presence):
        wire.add(presence, "nick", "http://jabber.org/protocol/nick", text="Mum")

    return Rosters(
        privileges=Privileges(),
        asking=server,
        opened=nothing,
        age=nothing,
        send=server.sent.append,
        dress=dress,
        appear=appear,
        domain=DOMAIN,
    )


async def test_a_list_is_read_as_far_as_it_is_ours(server, rosters):
    server.answer = ET.XML(
        RESULT.format(
            f"<query xmlns='jabber:iq:roster'><item jid='{MUM}@{DOMAIN}' name='Mum &amp; Dad'><group>Family</group>"
            f"</item><item jid='{DOMAIN}'/><item jid='{MUM}@example.net' name='x'/><item jid='@@'/><item/></query>"
        )
    )
    assert await rosters.read(OWNER) == {MUM: Entry(contact=MUM, name="Mum & Dad", groups=("Family",))}


@pytest.mark.parametrize("answer", [None, REFUSAL])
async def test_a_list_that_cannot_be_had_is_no_empty_one(server, rosters, answer):
    server.answer = answer
    assert await rosters.read(OWNER) is None
    assert not await rosters.write(OWNER, Entry(contact=MUM, name="Mum"), is_new=True)


async def test_a_new_entry_is_both_and_an_old_one_stays_what_it_is(server, rosters):
    entry = Entry(contact=MUM, name="<Mum> & 'Dad' \"\x00", groups=("A & <B>",))
    for is_new in (True, False):
        assert await rosters.write(OWNER, entry, is_new=is_new)
    for (kind, query), subscription in zip(server.asked, ("both", None), strict=True):
        assert (kind, query.tag) == ("set", f"{ROSTER}query")
        (item,) = query
        assert (item.get("jid"), item.get("name")) == (f"{MUM}@{DOMAIN}", "<Mum> & 'Dad' \"\ufffd")
        assert item.get("subscription") == subscription
        assert [group.text for group in item] == ["A & <B>"]


def test_names_are_offered_some_at_a_time(server, rosters):
    entries = [Entry(contact=f"+1555987{n:04}", name=f"N{n}", groups=("SMS",)) for n in range(AT_ONCE + 1)]
    rosters.offer(OWNER, entries, is_new=True)
    first, second = map(ET.XML, server.sent)
    assert [len(each[0]) for each in (first, second)] == [AT_ONCE, 1]
    item = second.find(f"{EXCHANGE}x/{EXCHANGE}item")
    assert (first.get("from"), first.get("to")) == (DOMAIN, OWNER)
    assert item.attrib == {"action": "add", "jid": f"+1555987{AT_ONCE:04}@{DOMAIN}", "name": f"N{AT_ONCE}"}
    rosters.offer(OWNER, entries[:1], is_new=False)
    assert ET.XML(server.sent[-1])[0][0].get("action") == "modify"


async def test_a_number_asks_under_its_name_and_appears(server, rosters):
    rosters.ask(OWNER, MUM)
    asked = ET.XML(server.sent.pop())
    assert (asked.get("type"), asked.get("from"), asked.get("to")) == ("subscribe", f"{MUM}@{DOMAIN}", OWNER)
    assert asked[0].text == "Mum"
    await rosters.appear(OWNER, MUM)
    assert server.sent == [(OWNER, f"{MUM}@{DOMAIN}")]


async def test_a_server_that_has_just_started_is_given_time(server, rosters, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def age():
        return 2.0

    monkeypatch.setattr("smsbridge.xmpp.rosters.asyncio.sleep", sleep)
    await rosters.ready()
    rosters._age = age
    await rosters.ready()
    assert slept == [3.0]
