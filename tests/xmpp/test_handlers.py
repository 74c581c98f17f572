"""Messages and presence through a ComponentXMPP that is fed by hand: no server, no network."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from slixmpp import ComponentXMPP

from smsbridge.bridge.commands import COMMANDS, Command, Field, Option, Said
from smsbridge.bridge.desk import Rules
from smsbridge.clock import system_clock
from smsbridge.core.address import Did
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.faces import Face
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import OutboundMessage, ProviderName
from smsbridge.core.words.say import Language
from smsbridge.metrics import Metrics
from smsbridge.xmpp.errors import Envelope
from smsbridge.xmpp.handlers import Handlers
from smsbridge.xmpp.showing import Showing
from smsbridge.xmpp.vcards import VCards
from smsbridge.xmpp.wire import MAX_STANZA
from tests.fakes.outlooks import ScriptedOutlooks, look
from tests.fakes.waiting import PATIENCE

DOMAIN = "sms.example.com"
START = datetime(2026, 10, 5, 18, 0, tzinfo=UTC)
NUMBER = "+15559870002@sms.example.com"
FULL = "ann@example.com/Laptop"
ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
DIRECTORY = Directory([Line(did=Did("+15551230001"), provider=ProviderName("voipms"), owners=("ann@example.com",))])
BODY = "<body>hi</body>"
OMEMO = f"{BODY}<encrypted xmlns='eu.siacs.conversations.axolotl'/>"


class Transport(asyncio.Transport):
    """Keeps what slixmpp itself writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_answered = asyncio.Event()

    def write(self, data) -> None:
        self.written += data
        if b'id="last"' in self.written:
            self.is_answered.set()


@dataclass
class Bridge:
    """Both ends that the handlers call."""

    accepted: list[OutboundMessage] = field(default_factory=list)
    blocked: list[bool] = field(default_factory=list)
    bounced: list[tuple[str, str, str]] = field(default_factory=list)
    on_accept: Callable[[OutboundMessage], object] = lambda _message: None
    on_bounce: Callable[[], object] = lambda: None
    on_command: Callable[[], object] = lambda: None
    ran: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    options: tuple[Option, ...] = (Option("7", "[7] Your <text>"), Option("8", "[8]"))
    says: Said = field(default_factory=lambda: Said("It is done."))
    gate: asyncio.Event | None = None
    acknowledged: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    is_called: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, message: OutboundMessage) -> None:
        self.accepted.append(message)
        self.is_called.set()
        if self.gate:
            await self.gate.wait()
        self.on_accept(message)

    def offered(self, jid: str) -> tuple[Command, ...]:
        return COMMANDS if jid == "ann@example.com" else ()

    async def form(self, jid: str, name: str) -> tuple[Field, ...]:
        if not self.offered(jid):
            raise Refused(Reason.NOT_OWNER)
        self.on_command()
        (command,) = (each for each in COMMANDS if each.name == name)
        return tuple(Field(argument=each, options=self.options) for each in command.arguments)

    async def run(self, jid: str, name: str, values: dict[str, str]) -> Said:
        self.ran.append((jid, name, dict(values)))
        return self.says

    async def typed(self, jid: str, line: str, asked: str = "") -> None:
        self.ran.append((jid, line, {"lang": asked} if asked else {}))
        self.on_command()

    async def bounce(self, stanza_id: str, from_bare_jid: str, condition: str, is_blocked) -> bool:
        self.on_bounce()
        self.blocked.append(await is_blocked())
        self.bounced.append((stanza_id, from_bare_jid, condition))
        return False

    def hears(self, presence: Envelope) -> None:
        pass

    async def is_blocked(self, owner: str, number: str) -> bool:
        return (owner, number) == ("ann@example.com", NUMBER)

    def now(self) -> datetime:
        return START + timedelta(seconds=90)

    def started_at(self) -> datetime:
        return START

    async def last_text(self, owner: str, localpart: str) -> datetime | None:
        if owner != "ann@example.com":
            raise Refused(Reason.NOT_OWNER)
        return START if localpart == "+15559870002" else None

    def id_in(self, stanza: ET.Element) -> str:
        mark = stanza.find("{urn:smsbridge:hold:1}hold")
        return "" if mark is None else mark.get("id", "")

    def acknowledge(self, kept_as: str, *, is_taken: bool = False) -> None:
        if kept_as and kept_as not in self.acknowledged:
            self.acknowledged.append(kept_as)
            self.taken += [kept_as] if is_taken else []


class Fed:
    """The component with its handlers, and what they sent."""

    def __init__(self) -> None:
        self.bridge = Bridge()
        self.metrics = Metrics()
        self.sent: list[bytes] = []
        self.is_stream_broken = False
        self.is_directory_broken = False
        self.handlers = Handlers(
            outbound=self.bridge,
            handover=self.bridge,
            commands=self.bridge,
            safekeeping=self.bridge,
            vcards=VCards(
                face=lambda owner, _: Face(name=f"friend of {owner}"),
                directory=lambda: DIRECTORY,
                language_of=lambda _jid, _asked: Language.ENGLISH,
                domain=DOMAIN,
            ),
            language_of=Rules(directory=Directory([]), languages={"fay@example.com": Language.FRENCH}).language_of,
            showing=Showing(
                outlooks=ScriptedOutlooks(),
                directory=self.directory,
                look=look(),
                send=self.send,
            ),
            blocking=self.bridge,
            memory=self.bridge,
            profile=look().profile,
            domain=DOMAIN,
            send=self.send,
            metrics=self.metrics,
            clock=system_clock(),
        )
        self.stream = ComponentXMPP(DOMAIN, "secret", "127.0.0.1", 1, fix_error_ns=True)
        self.handlers.install(self.stream)
        self.transport = Transport()
        self.stream._current_connection_attempt = True
        self.stream.connection_made(self.transport)
        self.stream._run_out_filters = asyncio.ensure_future(self.stream.run_filters())
        self.stream.data_received(
            b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
        )
        self.stream.data_received(b"<handshake/>")

    def directory(self) -> Directory:
        if self.is_directory_broken:
            raise RuntimeError("a bug")
        return DIRECTORY

    def send(self, xml: bytes) -> None:
        if self.is_stream_broken:
            raise RuntimeError("a bug")
        self.sent.append(xml)

    def feed(self, children: str = BODY, kind: str = "chat", stanza_id: str = "m1", to: str = NUMBER) -> None:
        xml = f"<message type='{kind}' id='{stanza_id}' from='{FULL}' to='{to}'>{children}</message>"
        self.stream.data_received(xml.encode())

    def presence(self, kind: str, sender: str = FULL) -> None:
        self.stream.data_received(f"<presence type='{kind}' from='{sender}' to='{NUMBER}'/>".encode())

    async def drain(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.handlers.drain()

    async def written(self) -> bytes:
        """What slixmpp wrote, after it answered a ping that came last."""
        self.stream.data_received(
            b"<iq type='get' id='last' from='ann@example.com/x' to='sms.example.com'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        async with asyncio.timeout(PATIENCE):
            await self.transport.is_answered.wait()
        return bytes(self.transport.written)

    def refusals(self, reason: str) -> float:
        return self.metrics.outbound_refused.labels(reason=reason)._value.get()


@pytest.fixture
async def fed():
    fed = Fed()
    yield fed
    fed.stream._run_out_filters.cancel()


def condition_of(xml: bytes) -> str:
    return ET.XML(xml)[0][0].tag.removeprefix(f"{{{ERRORS}}}")


async def test_a_text_reaches_the_bridge_once_and_is_not_answered(fed: Fed) -> None:
    fed.feed()
    await fed.drain()
    assert [message.text for message in fed.bridge.accepted] == ["hi"]
    assert fed.sent == []


async def test_texts_reach_the_bridge_in_the_order_in_which_they_came(fed: Fed) -> None:
    fed.bridge.gate = asyncio.Event()
    for n in range(50):
        fed.feed(stanza_id=f"m{n}")
    fed.bridge.gate.set()
    await fed.drain()
    assert [message.stanza_id for message in fed.bridge.accepted] == [f"m{n}" for n in range(50)]


async def test_draining_waits_for_what_is_being_taken(fed: Fed) -> None:
    fed.bridge.gate = asyncio.Event()
    fed.feed()
    draining = asyncio.create_task(fed.drain())
    async with asyncio.timeout(PATIENCE):
        await fed.bridge.is_called.wait()
    assert not draining.done()
    fed.bridge.gate.set()
    await draining


async def test_draining_does_not_wait_for_what_comes_meanwhile(fed: Fed) -> None:
    is_over = asyncio.Event()

    async def keep_coming() -> None:
        while not is_over.is_set():
            fed.feed(stanza_id=f"m{len(fed.bridge.accepted)}")
            await asyncio.sleep(0)

    writing = asyncio.create_task(keep_coming())
    async with asyncio.timeout(PATIENCE):
        await fed.bridge.is_called.wait()
        await fed.drain()
    is_over.set()
    await writing


async def test_slixmpp_itself_does_nothing_with_messages_and_presence(fed: Fed) -> None:
    seen = []
    for event in ("message", "message_error", "presence", "presence_probe", "presence_subscribe"):
        fed.stream.add_event_handler(event, seen.append)
    before = bytes(fed.transport.written)
    fed.feed("<body>hi</body><request xmlns='urn:xmpp:receipts'/>")
    fed.feed(f"{BODY}<error><gone xmlns='{ERRORS}'/></error>", "error")
    for kind in ("probe", "subscribe", "unsubscribe", "unavailable"):
        fed.presence(kind)
    await fed.drain()
    assert seen == []
    after = (await fed.written()).removeprefix(before)
    assert after.count(b"<iq") == 1
    assert b"<message" not in after
    assert b"<presence" not in after


@pytest.mark.parametrize(
    ("raised", "condition", "reason"),
    [
        (Refused(Reason.NOT_OWNER), "forbidden", "not_owner"),
        (Refused(Reason.MOVED_ADDRESS, instead="+15559870002"), "gone", "moved_address"),
        (StoreUnavailable("disk full"), "internal-server-error", "not_stored"),
        (Refused(Reason.NO_ROOM), "resource-constraint", "no_room"),
        (KeyError("a body perhaps"), "internal-server-error", "bug"),
    ],
)
async def test_whatever_goes_wrong_the_sender_hears_of_it_and_it_is_counted(
    fed: Fed, raised: Exception, condition: str, reason: str
) -> None:
    def refuse(_message: OutboundMessage) -> None:
        raise raised

    fed.bridge.on_accept = refuse
    fed.feed(to=f"{NUMBER}/phone")
    await fed.drain()
    (xml,) = fed.sent
    assert ET.XML(xml).attrib == {"type": "error", "id": "m1", "from": f"{NUMBER}/phone", "to": FULL}
    assert condition_of(xml) == condition
    assert fed.refusals(reason) == 1


@pytest.mark.parametrize(
    ("sender", "tag", "lang", "start"),
    [
        ("ann@example.com/x", "fr-CA", "fr", "Ce message n’a pas été envoyé\u00a0: "),
        ("ann@example.com/x", "de", "en", "This message was not sent: "),
        ("fay@example.com/x", "en", "fr", "Ce message n’a pas été envoyé\u00a0: "),  # as the operator wrote
    ],
)
async def test_a_refusal_is_said_in_the_language_of_who_wrote(
    fed: Fed, sender: str, tag: str, lang: str, start: str
) -> None:
    encrypted = "<encrypted xmlns='eu.siacs.conversations.axolotl'/>"
    xml = f"<message type='chat' id='m1' from='{sender}' to='{NUMBER}' xml:lang='{tag}'>{encrypted}</message>"
    fed.stream.data_received(xml.encode())
    await fed.drain()
    text = ET.XML(fed.sent[0]).find(f"error/{{{ERRORS}}}text")
    assert text is not None
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang") == lang
    assert (text.text or "").startswith(start)


async def test_the_language_of_a_line_to_the_bridge_comes_with_it(fed: Fed) -> None:
    xml = f"<message type='chat' id='m1' from='{FULL}' to='{DOMAIN}' xml:lang='fr'><body>help</body></message>"
    fed.stream.data_received(xml.encode())
    await fed.drain()
    assert fed.bridge.ran == [("ann@example.com", "help", {"lang": "fr"})]


WANTED = "<request xmlns='urn:xmpp:receipts'/>"


async def test_a_line_to_the_bridge_has_its_receipt_when_it_has_been_acted_on(fed: Fed) -> None:
    fed.feed("<body>help</body>" + WANTED, to=DOMAIN)
    await fed.drain()
    assert fed.bridge.ran == [("ann@example.com", "help", {})]
    (tick,) = map(ET.XML, fed.sent)
    assert (tick.get("from"), tick.get("to"), tick.get("type")) == (DOMAIN, FULL, "chat")
    assert [received.get("id") for received in tick.iter("{urn:xmpp:receipts}received")] == ["m1"]


@pytest.mark.parametrize(
    ("wanted", "stanza_id"),
    [("", "m1"), (WANTED, ""), (WANTED, "m" * MAX_STANZA)],
    ids=["not asked for", "names nothing", "too long"],
)
async def test_a_line_to_the_bridge_without_a_receipt_is_done_all_the_same(
    fed: Fed, wanted: str, stanza_id: str
) -> None:
    fed.feed("<body>help</body>" + wanted, to=DOMAIN, stanza_id=stanza_id)
    await fed.drain()
    assert len(fed.bridge.ran) == 1
    assert fed.sent == []


async def test_what_cannot_be_a_text_never_reaches_the_bridge(fed: Fed) -> None:
    fed.feed(OMEMO)
    await fed.drain()
    assert fed.bridge.accepted == []
    assert [condition_of(xml) for xml in fed.sent] == ["bad-request"]
    assert fed.refusals("encrypted") == 1


async def test_nothing_is_said_about_a_stanza_that_is_ignored(fed: Fed) -> None:
    fed.feed("<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    fed.feed(f"{BODY}<sent xmlns='urn:xmpp:carbons:2'/>")
    fed.feed(kind="headline")
    await fed.drain()
    assert (fed.bridge.accepted, fed.sent) == ([], [])


async def test_a_bounce_reaches_the_bridge_with_or_without_a_body(fed: Fed) -> None:
    error = f"<error type='cancel'><service-unavailable xmlns='{ERRORS}'/></error>"
    fed.feed(error, "error")
    fed.feed(BODY + error, "error", "m2")
    await fed.drain()
    assert fed.bridge.accepted == []
    assert fed.bridge.bounced == [(each, "ann@example.com", "service-unavailable") for each in ("m1", "m2")]
    assert fed.bridge.blocked == [True, True]
    assert fed.sent == []


async def test_a_number_is_blocked_only_if_it_was_refused_as_those_are(fed: Fed) -> None:
    fed.feed(f"<error type='wait'><resource-constraint xmlns='{ERRORS}'/></error>", "error")
    await fed.drain()
    assert fed.bridge.blocked == [False]


@pytest.mark.parametrize("raised", [StoreUnavailable("disk full"), KeyError("x"), Refused(Reason.BUG)])
async def test_an_error_is_never_answered_whatever_goes_wrong(fed: Fed, raised: Exception) -> None:
    def fail() -> None:
        raise raised

    fed.bridge.on_bounce = fail
    fed.feed("", "error")
    await fed.drain()
    assert fed.sent == []
    assert fed.refusals("bug") == 0


async def test_an_answer_that_cannot_be_made_or_sent_harms_nobody(fed: Fed) -> None:
    fed.feed(OMEMO, stanza_id="i" * 70_000)
    fed.is_stream_broken = True
    fed.feed(OMEMO)
    fed.feed()
    await fed.drain()
    assert fed.sent == []
    assert len(fed.bridge.accepted) == 1


async def test_a_localpart_longer_than_a_jid_may_be_is_survived(fed: Fed) -> None:
    fed.feed(to=f"{'1' * 1100}@{DOMAIN}")
    fed.feed()
    await fed.drain()
    assert len(fed.bridge.accepted) == 1
    assert fed.sent == []


async def test_presence_is_answered_in_order(fed: Fed) -> None:
    fed.presence("subscribe")
    await fed.drain()
    assert [ET.XML(xml).get("type") for xml in fed.sent] == ["subscribed", None, "subscribe"]


async def test_a_presence_that_fails_harms_nobody(fed: Fed) -> None:
    fed.is_directory_broken = True
    fed.presence("probe")
    await fed.drain()
    fed.is_directory_broken = False
    fed.presence("probe")
    await fed.drain()
    assert len(fed.sent) == 1


HELD = "<hold xmlns='urn:smsbridge:hold:1' id='h1'/>"


async def test_what_the_server_keeps_is_acknowledged_only_when_it_is_committed(fed):
    fed.bridge.gate = asyncio.Event()
    fed.feed(BODY + HELD)
    await fed.bridge.is_called.wait()
    assert fed.bridge.acknowledged == []
    assert fed.bridge.accepted[0].kept_as == "h1"
    fed.bridge.gate.set()
    await fed.drain()
    assert fed.bridge.acknowledged == fed.bridge.taken == ["h1"]


@pytest.mark.parametrize("children", ["", OMEMO, "<body> </body>", "<x xmlns='jabber:x:conference'/>"])
async def test_what_is_no_text_is_acknowledged_too(fed, children):
    fed.feed(children + HELD)
    await fed.drain()
    assert (fed.bridge.acknowledged, fed.bridge.taken) == (["h1"], [])
    assert fed.bridge.accepted == []


@pytest.mark.parametrize("error", [Refused(Reason.NOT_OWNER), StoreUnavailable("gone"), RuntimeError("a bug")])
async def test_what_is_refused_is_acknowledged_after_its_writer_was_told(fed, error):
    def refuse(_message):
        raise error

    fed.bridge.on_accept = refuse
    fed.feed(BODY + HELD)
    await fed.drain()
    assert len(fed.sent) == 1
    assert (fed.bridge.acknowledged, fed.bridge.taken) == (["h1"], [])


async def test_a_refusal_that_could_not_be_told_is_not_acknowledged(fed):
    fed.is_stream_broken = True
    fed.feed(OMEMO + HELD)
    await fed.drain()
    assert fed.bridge.acknowledged == []


class TestCommands:
    """XEP-0050, as it stands on the wire."""

    @staticmethod
    async def ask(fed: Fed, command: str, *, kind: str = "set", to: str = DOMAIN, sender: str = FULL) -> ET.Element:
        xml = f"<iq type='{kind}' id='c1' from='{sender}' to='{to}'>{command}</iq>"
        fed.stream.data_received(xml.encode())
        await fed.drain()
        answer = ET.XML(fed.sent.pop())
        assert (answer.get("from"), answer.get("to"), answer.get("id")) == (to, sender, "c1")
        return answer

    async def test_one_without_arguments_is_done_at_once(self, fed: Fed) -> None:
        command = (await self.ask(fed, execute("help"))).find(COMMAND)
        assert (command.get("status"), command.get("node")) == ("completed", "help")
        note = command.find(f"{{{NAMESPACE}}}note")
        assert (note.get("type"), note.text) == ("info", "It is done.")
        assert fed.bridge.ran == [("ann@example.com", "help", {})]

    async def test_one_with_arguments_asks_with_a_form_first(self, fed: Fed) -> None:
        command = (await self.ask(fed, execute("resend"))).find(COMMAND)
        assert command.get("status") == "executing"
        assert command.get("sessionid")
        actions = command.find(f"{{{NAMESPACE}}}actions")
        assert actions.get("execute") == "complete"
        assert actions.find(f"{{{NAMESPACE}}}complete") is not None
        form = command.find("{jabber:x:data}x")
        (asked,) = form.findall("{jabber:x:data}field")
        assert (form.get("type"), asked.get("var"), asked.get("type")) == ("form", "number", "list-single")
        assert [option.get("label") for option in asked.findall("{jabber:x:data}option")] == ["[7] Your <text>", "[8]"]
        assert fed.bridge.ran == []

    @pytest.mark.parametrize("action", ["", "action='complete'", "action='execute'", "action='next'"])
    async def test_the_form_that_comes_back_does_it(self, fed: Fed, action: str) -> None:
        form = "<x xmlns='jabber:x:data' type='submit'><field var='number'><value> 7 </value></field></x>"
        xml = f"<command xmlns='{NAMESPACE}' node='resend' sessionid='abc' {action}>{form}</command>"
        command = (await self.ask(fed, xml)).find(COMMAND)
        assert (command.get("status"), command.get("sessionid")) == ("completed", "abc")
        assert fed.bridge.ran == [("ann@example.com", "resend", {"number": "7"})]

    async def test_a_form_may_be_cancelled(self, fed: Fed) -> None:
        xml = f"<command xmlns='{NAMESPACE}' node='resend' sessionid='abc' action='cancel'/>"
        assert (await self.ask(fed, xml)).find(COMMAND).get("status") == "canceled"
        assert fed.bridge.ran == []

    async def test_with_nothing_to_choose_there_is_no_form(self, fed: Fed) -> None:
        fed.bridge.options = ()
        command = (await self.ask(fed, execute("resend"))).find(COMMAND)
        assert command.get("status") == "completed"
        assert "no open question" in command.findtext(f"{{{NAMESPACE}}}note")

    async def test_what_was_refused_is_a_note_of_an_error(self, fed: Fed) -> None:
        fed.bridge.says = Said("That cannot be.", is_done=False)
        note = (await self.ask(fed, execute("help"))).find(f"{COMMAND}/{{{NAMESPACE}}}note")
        assert (note.get("type"), note.text) == ("error", "That cannot be.")

    @pytest.mark.parametrize("node", ["help", "resend", "lockdown", "nothing"])
    async def test_a_stranger_hears_the_same_of_every_command(self, fed: Fed, node: str) -> None:
        answer = await self.ask(fed, execute(node), sender="mallory@example.com/x")
        assert answer.find(f".//{{{ERRORS}}}forbidden") is not None
        assert fed.bridge.ran == []

    @pytest.mark.parametrize(("kind", "to"), [("get", DOMAIN), ("set", NUMBER), ("get", NUMBER)])
    @pytest.mark.parametrize("sender", [FULL, "mallory@example.com/x"])
    async def test_numbers_have_none(self, fed: Fed, kind: str, to: str, sender: str) -> None:
        answer = await self.ask(fed, execute("help"), kind=kind, to=to, sender=sender)
        assert answer.find(f".//{{{ERRORS}}}item-not-found") is not None
        assert fed.bridge.ran == []

    @pytest.mark.parametrize(("kind", "sender"), [("result", FULL), ("error", FULL), ("set", f"x@{DOMAIN}/y")])
    async def test_what_is_no_request_is_not_answered(self, fed: Fed, kind: str, sender: str) -> None:
        fed.stream.data_received(
            f"<iq type='{kind}' id='c' from='{sender}' to='{DOMAIN}'>{execute('help')}</iq>".encode()
        )
        await fed.drain()
        assert (fed.sent, fed.bridge.ran) == ([], [])

    async def test_a_command_inside_something_else_is_none(self, fed: Fed) -> None:
        inside = f"<forwarded xmlns='urn:xmpp:forward:0'>{execute('help')}</forwarded>"
        fed.stream.data_received(f"<iq type='set' id='c' from='{FULL}' to='{DOMAIN}'>{inside}</iq>".encode())
        await fed.drain()
        assert fed.bridge.ran == []

    @pytest.mark.parametrize(
        ("raised", "condition"),
        [(StoreUnavailable("disk"), "internal-server-error"), (KeyError("a bug"), "internal-server-error")],
    )
    async def test_whatever_goes_wrong_the_asker_hears_of_it(self, fed: Fed, raised, condition) -> None:
        def fail():
            raise raised

        fed.bridge.on_command = fail
        answer = await self.ask(fed, execute("help"))
        assert answer.find(f".//{{{ERRORS}}}{condition}") is not None

    @pytest.mark.parametrize("to", [DOMAIN, f"{DOMAIN}/x"])
    async def test_a_line_to_the_domain_is_for_the_bridge_itself(self, fed: Fed, to: str) -> None:
        fed.feed("<body>resend 7</body>", to=to)
        await fed.drain()
        assert fed.bridge.ran == [("ann@example.com", "resend 7", {})]
        assert (fed.bridge.accepted, fed.sent) == ([], [])

    async def test_a_line_to_a_number_is_for_the_number(self, fed: Fed) -> None:
        fed.feed("<body>resend 7</body>")
        await fed.drain()
        assert fed.bridge.ran == []
        assert [message.text for message in fed.bridge.accepted] == ["resend 7"]


NAMESPACE = "http://jabber.org/protocol/commands"
COMMAND = f"{{{NAMESPACE}}}command"


def execute(node: str) -> str:
    return f"<command xmlns='{NAMESPACE}' node='{node}' action='execute'/>"


LAST = "<query xmlns='jabber:iq:last'/>"
VERSION = "<query xmlns='jabber:iq:version'/>"


@pytest.mark.parametrize(
    ("payload", "to", "sender", "kind", "found"),
    [
        (LAST, DOMAIN, FULL, "get", 'seconds="90"'),
        (LAST, NUMBER, FULL, "get", 'seconds="90"'),
        (LAST, f"+15559870003@{DOMAIN}", FULL, "get", "item-not-found"),
        (LAST, NUMBER, "eve@example.com/x", "get", "forbidden"),
        (LAST, NUMBER, FULL, "set", "feature-not-implemented"),
        (VERSION, DOMAIN, "eve@example.com/x", "get", "smsbridge"),
        (VERSION, NUMBER, FULL, "get", "feature-not-implemented"),
    ],
)
async def test_a_question_has_one_answer(fed: Fed, payload: str, to: str, sender: str, kind: str, found: str) -> None:
    fed.stream.data_received(f"<iq id='q7' type='{kind}' from='{sender}' to='{to}'>{payload}</iq>".encode())
    await fed.drain()
    said = b"".join(fed.sent) + await fed.written()
    assert said.count(b'id="q7"') == 1
    assert found in said.decode()
