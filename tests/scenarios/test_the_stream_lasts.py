"""Whatever a user's client sends or asks, the stream is not lost over it: it is everybody's.

ejabberd closes a component's stream over a single stanza without `from` or `to`, Prosody puts them right.
"""

import asyncio

import pytest
import pytest_asyncio

from smsbridge.sim.stage import DID, StageConfig
from tests.fakes.waiting import PATIENCE

from .cues import judged, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEER = "+15559870002"
LONG = "5" * 1100
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
PLACES = {
    "the gateway": "",
    "its resource": "/x",
    "a number": f"{PEER}@",
    "a telephone": f"{PEER}@/phone",
    "a number of a line": f"{PEER}%{DID}@",
    "a name": "amazon@",
    "nonsense": "no\\20number@",
    "what is too long": f"{LONG}@",
}
QUESTIONS = {
    "info": "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "info of a node": "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",
    "items": "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "commands": "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>",
    "a command": "<command xmlns='http://jabber.org/protocol/commands' node='x' action='execute'/>",
    "a ping": "<ping xmlns='urn:xmpp:ping'/>",
    "the version": "<query xmlns='jabber:iq:version'/>",
    "the time": "<time xmlns='urn:xmpp:time'/>",
    "last activity": "<query xmlns='jabber:iq:last'/>",
    "a vCard": "<vCard xmlns='vcard-temp'/>",
    "registration": "<query xmlns='jabber:iq:register'/>",
    "the gateway's form": "<query xmlns='jabber:iq:gateway'/>",
    "search": "<query xmlns='jabber:iq:search'/>",
    "a roster": "<query xmlns='jabber:iq:roster'/>",
    "a node's items": "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'/></pubsub>",
    "an archive": "<query xmlns='urn:xmpp:mam:2'/>",
    "a slot": "<request xmlns='urn:xmpp:http:upload:0' filename='x' size='1'/>",
    "a call": "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='x'/>",
    "bytestreams": "<query xmlns='http://jabber.org/protocol/bytestreams' sid='x'/>",
    "a privilege": "<privilege xmlns='urn:xmpp:privilege:2'/>",
    "something unheard of": "<canary xmlns='urn:canary'>x</canary>",
    "nothing": "",
    "two things": "<ping xmlns='urn:xmpp:ping'/><time xmlns='urn:xmpp:time'/>",
}
SAID = {
    "a text": "<body>hello</body>",
    "a request for a receipt": "<body>hello</body><request xmlns='urn:xmpp:receipts'/>",
    "a receipt": "<received xmlns='urn:xmpp:receipts' id='x'/>",
    "a receipt without an id": "<received xmlns='urn:xmpp:receipts'/>",
    "a marker": "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>",
    "a chat state": "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "an error": f"<error type='cancel'><gone xmlns='{STANZAS}'/></error>",
    "half an error": "<error/>",
    "attention": "<attention xmlns='urn:xmpp:attention:0'/>",
    "an empty message": "",
}
PRESENCES = ("", "unavailable", "probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "error")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(strangers=("mallory",))


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def one_stream(stage, login):
    """The same before and after."""
    opened = sample(stage, "streams_opened_total")
    yield
    alice = await login("alice")
    await judged(stage, alice)
    assert sample(stage, "streams_opened_total") == opened


def address(stage, place):
    local, _, resource = PLACES[place].partition("@")
    domain = stage.server.component_jid
    return f"{local}@{domain}{resource}" if "@" in PLACES[place] else f"{domain}{PLACES[place]}"


def places(stage):
    # Prosody looks at addresses itself: it closes the stream of whoever writes to one that is too long.
    return [place for place in PLACES if stage.server.name == "ejabberd" or place != "what is too long"]


@pytest.mark.parametrize("name", ["alice", "mallory"])
async def test_no_question_costs_the_stream_and_each_is_answered(stage, login, name):
    client = await login(name)
    asked = [(place, kind, what) for place in places(stage) for kind in ("get", "set") for what in QUESTIONS]
    answers = {f"q{number}": asyncio.get_running_loop().create_future() for number in range(len(asked))}
    client._answers.update(answers)
    for number, (place, kind, what) in enumerate(asked):
        client.send_raw(f"<iq type='{kind}' id='q{number}' to='{address(stage, place)}'>{QUESTIONS[what]}</iq>")
    await asyncio.wait(answers.values(), timeout=PATIENCE)
    assert [question for question, answer in zip(asked, answers.values(), strict=True) if not answer.done()] == []


@pytest.mark.parametrize("name", ["alice", "mallory"])
async def test_no_message_costs_the_stream(stage, login, name):
    client = await login(name)
    for place in places(stage):
        for kind in ("chat", "normal", "headline", "groupchat", "error", "nonsense"):
            for payload in SAID.values():
                client.send_raw(f"<message type='{kind}' to='{address(stage, place)}'>{payload}</message>")
    await client.ping()
    await judged(stage, client) if name == "alice" else await client.ping(stage.server.component_jid)


@pytest.mark.parametrize("name", ["alice", "mallory"])
async def test_no_presence_costs_the_stream(stage, login, name):
    client = await login(name)
    for place in places(stage):
        for kind in PRESENCES:
            attribute = f" type='{kind}'" if kind else ""
            client.send_raw(f"<presence{attribute} to='{address(stage, place)}'/>")
    await client.ping(stage.server.component_jid)
