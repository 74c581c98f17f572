"""What the server keeps for us: asked for, trusted while the stream lasts, acknowledged many at once."""

import asyncio
from xml.etree import ElementTree as ET

import pytest
from structlog.testing import capture_logs

from smsbridge.xmpp import safekeeping as safekeeping_module
from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.safekeeping import HOLD, Safekeeping
from tests.fakes.waiting import until

DISCO = "{http://jabber.org/protocol/disco#info}query"
ACK = f"{{{HOLD}}}ack"


class Server:
    """Answers each question of ours by what its payload is."""

    def __init__(self, features):
        self.features = features
        self.is_silent = False
        self.refuses = False
        self.asked = []
        self.acknowledged = []
        self.taken = []
        self.asking = Asking(jid="sms.example.com", prefix="ask-5ecret-", write=self.write)
        self.safekeeping = Safekeeping(jid="sms.example.com", asking=self.asking)

    def write(self, xml):
        question = ET.XML(xml.decode())
        [payload] = question
        self.asked.append(payload.tag)
        if payload.tag == ACK:
            self.acknowledged.append([hold.get("id") for hold in payload])
            self.taken += [hold.get("id") for hold in payload if hold.get("taken") == "true"]
        if not self.is_silent:
            asyncio.get_running_loop().call_soon(self.answer, question, payload)

    def answer(self, question, payload):
        features = "".join(f"<feature var='{each}'/>" for each in self.features)
        inner = f"<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>" * (payload.tag == DISCO)
        kind = "error" if self.refuses and payload.tag == ACK else "result"
        self.asking.take(
            ET.XML(
                f"<iq xmlns='jabber:component:accept' id='{question.get('id')}' type='{kind}' from='sms.example.com'"
                f" to='sms.example.com'>{inner}</iq>"
            )
        )


@pytest.fixture
def features():
    return [HOLD]


@pytest.fixture
async def server(monkeypatch, features):
    monkeypatch.setattr(safekeeping_module, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(safekeeping_module, "AGAIN_SECONDS", 0.01)
    server = Server(features)
    task = asyncio.create_task(server.safekeeping.run())
    yield server
    task.cancel()


def marked(kept_as="h1"):
    return ET.XML(f"<message xmlns='jabber:component:accept'><hold xmlns='{HOLD}' id='{kept_as}'/></message>")


async def test_it_is_asked_for_before_anything_is_trusted(server):
    assert server.safekeeping.id_in(marked()) == ""
    await until(lambda: f"{{{HOLD}}}enable" in server.asked)
    assert server.asked == [DISCO, f"{{{HOLD}}}enable"]
    assert server.safekeeping.id_in(marked()) == "h1"
    assert server.safekeeping.id_in(ET.XML("<message xmlns='jabber:component:accept'/>")) == ""


async def test_what_comes_while_a_question_is_open_shares_the_next(server):
    await until(lambda: server.safekeeping.is_on)
    for n in range(500):
        server.safekeeping.acknowledge(f"h{n}")
    await server.safekeeping.drain(5)
    assert [each for batch in server.acknowledged for each in batch] == [f"h{n}" for n in range(500)]
    assert len(server.acknowledged) == 3


async def test_of_what_was_taken_the_server_hears_that_it_was(server):
    await until(lambda: server.safekeeping.is_on)
    server.safekeeping.acknowledge("h1", is_taken=True)
    for kept_as in ("h1", "h2"):
        server.safekeeping.acknowledge(kept_as)
    await server.safekeeping.drain(5)
    assert server.acknowledged == [["h1", "h2"]]
    assert server.taken == ["h1"]


async def test_silence_is_asked_again(server):
    await until(lambda: server.safekeeping.is_on)
    await until(lambda: len(server.asked) == 2)
    await asyncio.sleep(0)
    server.is_silent = True
    server.safekeeping.acknowledge("h1")
    await until(lambda: len(server.acknowledged) >= 2)
    server.is_silent = False
    await server.safekeeping.drain(5)
    assert set(map(tuple, server.acknowledged)) == {("h1",)}


async def test_a_server_that_is_silent_at_first_is_asked_again(server):
    server.is_silent = True
    await until(lambda: server.asked.count(DISCO) >= 2)
    assert not server.safekeeping.is_on
    server.is_silent = False
    await until(lambda: server.safekeeping.is_on)


@pytest.mark.parametrize("features", [[]])
async def test_who_does_not_offer_it_is_not_asked_for_it_and_that_is_a_hint(server):
    with capture_logs() as logs:
        await until(lambda: logs)
    assert server.asked == [DISCO]
    assert not server.safekeeping.is_on
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("safekeeping_missed", "info")]


async def test_a_module_that_is_taken_out_is_trusted_no_more(server):
    await until(lambda: server.safekeeping.is_on)
    server.refuses, server.features = True, []
    server.safekeeping.acknowledge("h1")
    await until(lambda: not server.safekeeping.is_on)
    server.safekeeping.acknowledge("h2")
    await server.safekeeping.drain(5)
    assert server.acknowledged == [["h1"]]


async def test_what_belongs_to_a_lost_stream_is_not_acknowledged_on_the_next(server):
    await until(lambda: server.safekeeping.is_on)
    server.is_silent = True
    server.safekeeping.acknowledge("h1")
    server.safekeeping.lost()
    server.safekeeping.acknowledge("h2")
    await server.safekeeping.drain(5)
    assert server.acknowledged == []
