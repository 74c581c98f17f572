"""A blocked number shows in pings alone: the gateway is answered, and the number is not."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.blocking import Blocking
from smsbridge.xmpp.errors import Envelope

DOMAIN, OWNER = "sms.example.com", "ann@example.com"
NUMBER = f"+15559870002@{DOMAIN}"
PHONE, LAPTOP = f"{OWNER}/Phone", f"{OWNER}/Laptop"
REFUSED = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


class Server:
    """Answers pings; `refuses` has (who asks, who is asked)."""

    def __init__(self, refuses=(), clients=(PHONE, LAPTOP)):
        self.refuses = set(refuses)
        self.asked = []
        self.asking = Asking(jid=DOMAIN, prefix="ask-", write=self.answer)
        self.blocking = Blocking(self.asking, lambda owner: clients if owner == OWNER else ())

    def answer(self, xml):
        question = ET.XML(xml)
        sender, to, name = (question.get(each) for each in ("from", "to", "id"))
        self.asked.append((sender, to))
        kind, inner = ("error", REFUSED) if (sender, to) in self.refuses else ("result", "")
        answer = f"<iq xmlns='jabber:component:accept' type='{kind}' id='{name}' from='{to}' to='{sender}'>{inner}</iq>"
        assert self.asking.take(ET.XML(answer))


async def test_who_refuses_the_number_and_answers_the_gateway_has_blocked_it():
    server = Server({(NUMBER, OWNER)})
    assert await server.blocking.is_blocked(OWNER, NUMBER)


async def test_a_client_that_is_there_may_show_it_where_the_account_does_not():
    assert await Server({(NUMBER, PHONE)}).blocking.is_blocked(OWNER, NUMBER)


async def test_an_account_that_refuses_everybody_has_blocked_nobody():
    server = Server({(who, whom) for who in (NUMBER, DOMAIN) for whom in (OWNER, PHONE, LAPTOP)})
    assert not await server.blocking.is_blocked(OWNER, NUMBER)


async def test_who_answers_the_number_has_not_blocked_it():
    assert not await Server().blocking.is_blocked(OWNER, NUMBER)


async def test_silence_proves_nothing(monkeypatch):
    monkeypatch.setattr("smsbridge.xmpp.blocking.SECONDS", 0.01)
    server = Server()
    server.asking = Asking(jid=DOMAIN, prefix="ask-", write=lambda _: None)
    assert not await Blocking(server.asking, lambda _: ()).is_blocked(OWNER, NUMBER)


async def test_what_is_known_is_not_asked_again_until_the_number_may_see_its_owner_again():
    server = Server({(NUMBER, OWNER)})
    assert await server.blocking.is_blocked(OWNER, NUMBER)
    server.refuses.clear()  # he has left, and nothing shows any more
    asked = len(server.asked)
    assert await server.blocking.is_blocked(OWNER, NUMBER)
    assert len(server.asked) == asked
    for kind in ("unavailable", "probe"):
        server.blocking.hears(Envelope(name="presence", sender=PHONE, addressed=NUMBER, id="", type=kind))
        assert await server.blocking.is_blocked(OWNER, NUMBER)
    server.blocking.hears(Envelope(name="presence", sender=PHONE, addressed=f"{NUMBER}/phone", id="", type=""))
    assert not await server.blocking.is_blocked(OWNER, NUMBER)


@pytest.mark.parametrize("sender", ["", "x" * 2000 + "@example.com"])
async def test_a_presence_of_nobody_is_survived(sender):
    server = Server({(NUMBER, OWNER)})
    await server.blocking.is_blocked(OWNER, NUMBER)
    server.blocking.hears(Envelope(name="presence", sender=sender, addressed=NUMBER, id="", type=""))
