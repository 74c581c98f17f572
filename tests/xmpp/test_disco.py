"""What the gateway and its numbers say about themselves, asked through a real stream object."""

import asyncio
from xml.etree import ElementTree as ET

import pytest
from slixmpp import ComponentXMPP

from smsbridge.bridge.commands import COMMANDS
from smsbridge.clock import system_clock
from smsbridge.core.words.say import Language
from smsbridge.xmpp import caps, disco
from tests.fakes.waiting import PATIENCE

DOMAIN = "sms.example.com"
NUMBER = "+15559870002@sms.example.com"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
NODE = "http://jabber.org/protocol/commands"
CONTACT = ("mailto:admin@example.com", "xmpp:admin@example.com")
ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"


def offered(jid):
    """Ann may use two commands, nobody else any."""
    return COMMANDS[:2] if jid == "ann@example.com" else ()


def language_of(jid: str, _asked: str) -> Language:
    return Language.FRENCH if jid == "fay@example.com" else Language.ENGLISH


def profile(localpart, jid):
    return disco.profile_of(localpart, CONTACT, language_of(jid, ""))


class Transport(asyncio.Transport):
    """Keeps what is written, and says when something was."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Queue()

    def write(self, data) -> None:
        self.written.put_nowait(bytes(data))

    def abort(self) -> None:
        pass


@pytest.fixture
async def ask():
    stream = ComponentXMPP(DOMAIN, "secret", "127.0.0.1", 1, fix_error_ns=True)
    disco.install(stream, system_clock(), offered, language_of, profile)
    transport = Transport()
    stream._current_connection_attempt = True
    stream.connection_made(transport)
    stream._run_out_filters = asyncio.ensure_future(stream.run_filters())
    stream.data_received(
        b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
    )
    stream.data_received(b"<handshake/>")

    async def question(payload: str, to: str, kind: str = "get", sender: str = "ann@example.com/x") -> ET.Element:
        iq = f"<iq type='{kind}' id='q1' from='{sender}' to='{to}'>{payload}</iq>"
        stream.data_received(iq.encode())
        async with asyncio.timeout(PATIENCE):
            while b'id="q1"' not in (answer := await transport.written.get()):
                pass
        element = ET.XML(answer)
        assert (element.get("from"), element.get("to")) == (to, sender)
        return element

    yield question
    stream._run_out_filters.cancel()


async def test_the_gateway_is_an_sms_gateway(ask) -> None:
    answer = await ask(f"<query xmlns='{INFO}'/>", DOMAIN)
    identity = answer.find(f"{{{INFO}}}query/{{{INFO}}}identity")
    assert identity.attrib == {"category": "gateway", "type": "sms", "name": "SMS gateway"}
    features = {each.get("var") for each in answer.iter(f"{{{INFO}}}feature")}
    assert features == set(disco.GATEWAY_FEATURES)


async def test_the_gateway_is_named_in_the_language_of_who_asks(ask) -> None:
    answer = await ask(f"<query xmlns='{INFO}'/>", DOMAIN, sender="fay@example.com/x")
    assert answer.find(f"{{{INFO}}}query/{{{INFO}}}identity").get("name") == "Passerelle SMS"


@pytest.mark.parametrize("to", [NUMBER, f"{NUMBER}/phone"])
async def test_a_number_is_a_phone_that_gives_receipts(ask, to: str) -> None:
    answer = await ask(f"<query xmlns='{INFO}'/>", to)
    identity = answer.find(f"{{{INFO}}}query/{{{INFO}}}identity")
    assert identity.attrib == {"category": "client", "type": "phone", "name": "SMS"}
    features = {each.get("var") for each in answer.iter(f"{{{INFO}}}feature")}
    assert {"urn:xmpp:receipts", "jabber:x:oob"} <= features
    assert "urn:xmpp:chat-markers:0" not in features


@pytest.mark.parametrize("to", [DOMAIN, NUMBER])
async def test_nobody_has_items(ask, to: str) -> None:
    answer = await ask(f"<query xmlns='{ITEMS}'/>", to)
    assert answer.get("type") == "result"
    assert len(answer.find(f"{{{ITEMS}}}query")) == 0


@pytest.mark.parametrize("namespace", [INFO, ITEMS])
@pytest.mark.parametrize("to", [DOMAIN, NUMBER])
async def test_a_node_that_does_not_exist_is_not_found(ask, namespace: str, to: str) -> None:
    answer = await ask(f"<query xmlns='{namespace}' node='elsewhere'/>", to)
    assert answer.get("type") == "error"
    assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None


async def test_what_is_no_address_is_not_found(ask) -> None:
    answer = await ask(f"<query xmlns='{INFO}'/>", "5559870002@sms.example.com")
    assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None


@pytest.mark.parametrize("to", [DOMAIN, NUMBER])
async def test_ping_and_time_are_answered_everywhere(ask, to: str) -> None:
    assert (await ask("<ping xmlns='urn:xmpp:ping'/>", to)).get("type") == "result"
    time = await ask("<time xmlns='urn:xmpp:time'/>", to)
    assert time.findtext("{urn:xmpp:time}time/{urn:xmpp:time}utc").endswith("Z")


@pytest.mark.parametrize("to", [DOMAIN, NUMBER])
@pytest.mark.parametrize("tag", [f"query xmlns='{INFO}'", f"query xmlns='{ITEMS}'", "time xmlns='urn:xmpp:time'"])
async def test_what_can_only_be_read_is_not_set_and_the_answer_says_so(ask, tag: str, to: str) -> None:
    answer = await ask(f"<{tag}/>", to, "set")
    assert answer.find(f".//{{{ERRORS}}}feature-not-implemented") is not None


async def test_the_gateway_says_where_its_administrator_is_reached(ask) -> None:
    form = (await ask(f"<query xmlns='{INFO}'/>", DOMAIN)).find(".//{jabber:x:data}x")
    assert form.get("type") == "result"
    fields = {field.get("var"): [value.text for value in field] for field in form.findall("{jabber:x:data}field")}
    assert fields == {"FORM_TYPE": ["http://jabber.org/network/serverinfo"], "admin-addresses": [*CONTACT]}


async def test_a_number_says_nothing_of_the_administrator(ask) -> None:
    assert (await ask(f"<query xmlns='{INFO}'/>", NUMBER)).find(".//{jabber:x:data}x") is None


@pytest.mark.parametrize("localpart", ["", "+15559870002", r"amazon\20pay", "+15559870002%+15551230001"])
async def test_what_is_behind_the_hashes_of_a_presence_is_what_they_were_made_of(ask, localpart: str) -> None:
    to = f"{localpart}@{DOMAIN}" if localpart else DOMAIN
    plain = (await ask(f"<query xmlns='{INFO}'/>", to))[0]
    for node in caps.nodes(disco.profile_of(localpart, CONTACT)):
        query = (await ask(f"<query xmlns='{INFO}' node='{node}'/>", to))[0]
        assert query.attrib == {"node": node}
        assert [ET.tostring(child) for child in query] == [ET.tostring(child) for child in plain]


async def test_behind_the_hash_of_another_there_is_nothing(ask) -> None:
    node, _ = caps.nodes(disco.profile_of(""))
    answer = await ask(f"<query xmlns='{INFO}' node='{node}'/>", NUMBER)
    assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None


class TestCommands:
    async def test_who_may_use_them_sees_them(self, ask) -> None:
        answer = await ask(f"<query xmlns='{ITEMS}' node='{NODE}'/>", DOMAIN)
        items = answer.findall(f".//{{{ITEMS}}}item")
        assert [(item.get("jid"), item.get("node")) for item in items] == [(DOMAIN, "help"), (DOMAIN, "questions")]
        answer = await ask(f"<query xmlns='{INFO}' node='{NODE}'/>", DOMAIN)
        assert answer.find(f".//{{{INFO}}}identity").get("type") == "command-list"
        answer = await ask(f"<query xmlns='{INFO}' node='help'/>", DOMAIN)
        assert answer.find(f".//{{{INFO}}}identity").get("type") == "command-node"
        assert NODE in {each.get("var") for each in answer.iter(f"{{{INFO}}}feature")}

    async def test_a_stranger_sees_none(self, ask) -> None:
        answer = await ask(f"<query xmlns='{ITEMS}' node='{NODE}'/>", DOMAIN, sender="mallory@example.com/x")
        assert answer.get("type") == "result"
        assert answer.findall(f".//{{{ITEMS}}}item") == []
        for node in (NODE, "help"):
            answer = await ask(f"<query xmlns='{INFO}' node='{node}'/>", DOMAIN, sender="mallory@example.com/x")
            assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None

    @pytest.mark.parametrize("namespace", [INFO, ITEMS])
    async def test_a_number_has_none(self, ask, namespace: str) -> None:
        answer = await ask(f"<query xmlns='{namespace}' node='{NODE}'/>", NUMBER)
        assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None
