"""mod_smsbridge in a real Prosody, spoken to over a bare component stream: what it drops, and what it keeps."""

import asyncio
import contextlib
import re
import subprocess
import uuid
from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest

from smsbridge.sim import prosody as prosody_module
from smsbridge.sim.client import Client
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from tests.fakes.contrib import FILES, JID, MODULE, secret_in, server_of
from tests.fakes.waiting import PATIENCE, until

from .component import component

HOLD = "urn:smsbridge:hold:1"
NUMBER = "+15559870002@sms.example.com"


@dataclass
class Stream:
    """A component's stream, and all that came over it so far."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    came: bytes = b""

    def write(self, xml):
        self.writer.write(xml.encode())

    async def see(self, what):
        """Read until this has come, and the rest of its stanza."""
        await self._until(re.compile(re.escape(what.encode()) + rb".*?</(message|iq)>", re.DOTALL))

    async def ask(self, payload, *, kind="set", to="sms.example.com"):
        """The answer to an iq, as it was written."""
        name = uuid.uuid4().hex
        self.write(f'<iq type="{kind}" id="{name}" from="sms.example.com" to="{to}">{payload}</iq>')
        pattern = re.compile(rf"<iq[^>]*\bid='{name}'[^>]*?(/>|>.*?</iq>)".encode(), re.DOTALL)
        return (await self._until(pattern))[0].decode()

    async def _until(self, pattern):
        async with asyncio.timeout(PATIENCE):
            while not (found := pattern.search(self.came)):
                chunk = await self.reader.read(65536)
                assert chunk, "the stream has ended"
                self.came += chunk
        return found

    async def fence(self):
        """What was written before is handled, and what the server wrote before is here."""
        await self.ask('<ping xmlns="urn:xmpp:ping"/>', kind="get", to="example.com")

    async def enable(self):
        """Ask for what is held; it has come when this returns."""
        assert "type='result'" in await self.ask(f'<enable xmlns="{HOLD}"/>')
        await self.fence()

    async def acknowledge(self, *ids, is_taken=False):
        taken = ' taken="true"' if is_taken else ""
        holds = "".join(f'<hold id="{each}"{taken}/>' for each in ids)
        assert "type='result'" in await self.ask(f'<ack xmlns="{HOLD}">{holds}</ack>')

    def text(self, to, stanza_id, body="hello", *, sender=NUMBER, kind="chat"):
        self.write(f'<message type="{kind}" id="{stanza_id}" from="{sender}" to="{to}"><body>{body}</body></message>')

    @property
    def all(self):
        return self.came.decode()

    @property
    def texts(self):
        """The bodies that came, in order."""
        return re.findall(r"<body>(.*?)</body>", self.all, re.DOTALL)

    @property
    def ids(self):
        """The hold ids that came, in order."""
        tags = re.findall(r"<hold [^>]*>", self.all)
        assert all(f"xmlns='{HOLD}'" in tag for tag in tags)
        return [re.search(r"\bid='([^']+)'", tag)[1] for tag in tags]


@contextlib.asynccontextmanager
async def connected(server, *, holding=True):
    """A stream, that asks for what is held unless told otherwise. It ends without a word."""
    async with component(server, server.component_secret) as attempt:
        stream = Stream(attempt.reader, attempt.writer)
        if holding:
            await stream.enable()
        yield stream


@contextlib.asynccontextmanager
async def online(server, name="alice"):
    async with await Client.login(server.add_account(name, "pw"), "pw", port=server.c2s_port) as client:
        yield client


def prosody_with(tmp_path, *, module=MODULE, echo_jid=None, **settings):
    """A Prosody with the file for administrators, in which these settings have other values than their defaults."""
    text = FILES["prosody"].read_text()
    for name, value in settings.items():
        text, count = re.subn(rf"-- {name} = \S+", f"{name} = {value}", text)
        assert count == 1
    path = tmp_path / "smsbridge.cfg.lua"
    path.write_text(text)
    return Prosody(
        ProsodyConfig(
            include=path, component_jid=JID, component_secret=secret_in("prosody"), module=module, echo_jid=echo_jid
        )
    )  # fmt: skip


async def archived(server, name="alice"):
    async with online(server, name) as reader:
        return Counter(message.stanza_id for message in await reader.archive())


@pytest.fixture
async def server():
    """A Prosody with the module, that a test may kill."""
    async with server_of("prosody") as server:
        yield server


async def test_what_the_module_can_is_told_to_the_component_alone(server):
    async with connected(server) as stream, online(server) as alice:
        told = await stream.ask('<query xmlns="http://jabber.org/protocol/disco#info"/>', kind="get")
        assert HOLD in told
        asked = asyncio.create_task(alice.disco_info(server.component_jid))
        await stream.see(f"from='{alice.jid}'")  # who asks is answered by the component
        asked.cancel()


async def test_what_is_written_in_a_users_name_goes_once_too(server):
    async with connected(server) as stream, online(server) as alice:
        for stanza_id in ("a", "a", "b", "a"):
            stream.write(in_the_name_of(alice.bare_jid, stanza_id))
        await stream.fence()
        assert Counter(message.stanza_id for message in await alice.archive()) == Counter(a=1, b=1)
        assert len(stream.texts) == 2


def in_the_name_of(user, stanza_id):
    return (
        f'<message id="{stanza_id}" from="{JID}" to="example.com"><privilege xmlns="urn:xmpp:privilege:2">'
        '<forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" type="chat"'
        f' id="{stanza_id}" from="{user}" to="{NUMBER}"><body>hello</body></message></forwarded>'
        "</privilege></message>"
    )


async def test_what_was_written_in_a_users_name_is_known_after_the_servers_death_and_what_is_not_stored_comes(server):
    alice = server.add_account("alice", "pw")
    async with connected(server) as stream:
        for stanza_id in ("a", "b"):
            stream.write(in_the_name_of(alice, stanza_id))
        await stream.fence()
        await server.kill()
    archive = server.directory / "data" / "example%2ecom" / "archive" / "alice.list"
    items = archive.read_text().split("item(")
    assert len(items) == 3
    archive.write_text("item(".join(items[:2]))  # as if it had died between remembering b and storing it
    await server.restart()
    async with connected(server) as stream:
        for stanza_id in ("a", "b", "b"):
            stream.write(in_the_name_of(alice, stanza_id))
        await stream.fence()
    assert await archived(server) == {"a": 1, "b": 1}


async def test_a_text_that_comes_again_goes_no_further(server):
    async with connected(server) as stream, online(server) as alice:
        for stanza_id in ("a", "b", "a", "a", "c"):
            stream.text(alice.bare_jid, stanza_id)
        await stream.fence()
        await alice.ping()
        assert [message.stanza_id for message in alice.received] == ["a", "b", "c"]
    assert await archived(server) == {"a": 1, "b": 1, "c": 1}


async def test_answers_may_come_again_and_so_may_what_differs_or_has_no_id(server):
    async with connected(server) as stream, online(server) as alice:
        for _ in range(2):
            stream.write(
                f'<message id="r" from="{NUMBER}" to="{alice.jid}"><received xmlns="urn:xmpp:receipts"/></message>'
            )
            stream.text(alice.jid, "e", kind="error")
            stream.write(f'<message from="{NUMBER}" to="{alice.bare_jid}"><body>no id</body></message>')
        stream.text(alice.bare_jid, "a")
        stream.text(alice.bare_jid, "a", sender="+15559870003@sms.example.com")
        stream.text(alice.jid, "a")
        await stream.fence()
        await alice.ping()
        assert Counter(message.stanza_id or message.body for message in alice.received) == {
            "r": 2, "e": 2, "no id": 2, "a": 3
        }  # fmt: skip


@pytest.mark.parametrize("end", ["kill", "stop"])
@pytest.mark.parametrize("storage", ["internal", "sql"])
async def test_a_repeat_is_known_after_the_server_was_gone(end, storage):
    async with Prosody(ProsodyConfig(module=MODULE, storage=storage)) as server:
        alice = server.add_account("alice", "pw")
        async with connected(server) as stream:
            for n in range(20):
                stream.text(alice, f"t{n}")
            await stream.fence()
            await (server.kill() if end == "kill" else server.stop(keep=True))
        for _ in range(2):
            await server.restart()
            async with connected(server) as stream:
                for n in range(25):
                    stream.text(alice, f"t{n}")
                await stream.fence()
                await server.kill()
        await server.restart()
        assert await archived(server) == {f"t{n}": 1 for n in range(25)}


async def test_what_was_remembered_and_not_stored_before_the_death_is_stored_when_it_comes_again(server):
    alice = server.add_account("alice", "pw")
    async with connected(server) as stream:
        stream.text(alice, "a")
        stream.text(alice, "b")
        await stream.fence()
        await server.kill()
    archive = server.directory / "data" / "example%2ecom" / "archive" / "alice.list"
    offline = server.directory / "data" / "example%2ecom" / "offline" / "alice.list"
    for path in (archive, offline):  # as if it had died between remembering b and storing it
        items = path.read_text().split("item(")
        path.write_text("item(".join(items[:2]))
    await server.restart()
    async with connected(server) as stream:
        stream.text(alice, "a")
        stream.text(alice, "b")
        stream.text(alice, "b")
        await stream.fence()
    assert await archived(server) == {"a": 1, "b": 1}


async def test_kills_in_the_middle_of_a_stream_lose_nothing_and_repeat_nothing(server):
    alice = server.add_account("alice", "pw")
    for kill in range(10):
        async with connected(server) as stream:
            for n in range(200):
                stream.text(alice, f"t{n}")
            with contextlib.suppress(ConnectionError):
                await stream.writer.drain()
            await asyncio.sleep(0.004 * kill)  # somewhere among them
            await server.kill()
        await server.restart()
    async with connected(server) as stream:
        for n in range(200):
            stream.text(alice, f"t{n}")
        await stream.fence()
    assert await archived(server) == {f"t{n}": 1 for n in range(200)}


async def test_nothing_is_held_for_a_component_that_does_not_ask(server):
    async with online(server) as alice:
        async with connected(server, holding=False) as stream:
            await alice.send_text(NUMBER, "hello")
            await stream.see("hello")
            assert stream.ids == []
        sent = await alice.send_text(NUMBER, "is anybody there?")
        assert (await alice.next(lambda message: message.error is not None)).stanza_id == sent


async def test_what_is_acknowledged_does_not_come_again_and_the_rest_does_in_order(server):
    async with online(server) as alice:
        async with connected(server) as stream:
            for n in range(5):
                await alice.send_text(NUMBER, f"text {n}\nline & <tag/> \\n é🙂")
            await stream.see("text 4")
            assert len(stream.ids) == 5
            await stream.acknowledge(stream.ids[1], stream.ids[3], "unknown")
        async with connected(server) as again:
            assert again.texts == [stream.texts[n] for n in (0, 2, 4)]
            assert again.ids == [stream.ids[n] for n in (0, 2, 4)]
            await again.acknowledge(*again.ids)
        async with connected(server) as third:
            await third.fence()
            assert third.texts == []
    held = server.directory / "data" / "sms%2eexample%2ecom" / "smsbridge_held.log"
    assert held.read_bytes() == b""  # no text is left behind


@pytest.mark.parametrize("is_killed", [False, True])
async def test_while_the_component_is_away_texts_wait(server, is_killed):
    async with connected(server):
        pass
    async with online(server) as alice:
        sent = [await alice.send_text(NUMBER, f"text {n}") for n in range(3)]
        await alice.ping()
        assert [message for message in alice.received if message.error] == []
        if is_killed:
            await server.kill()
            await server.restart()
    async with connected(server) as stream:
        assert stream.texts == ["text 0", "text 1", "text 2"]
        assert all(f"id='{stanza_id}'" in stream.all for stanza_id in sent)


async def test_a_component_that_has_not_asked_yet_gets_what_comes_when_it_asks(server):
    async with connected(server):
        pass
    async with online(server) as alice, connected(server, holding=False) as stream:
        await alice.send_text(NUMBER, "early")
        await alice.ping()
        await stream.fence()
        assert stream.texts == []
        await stream.enable()
        await stream.see("early")
        await alice.send_text(NUMBER, "later")
        await stream.see("later")
        assert stream.texts == ["early", "later"]


async def test_what_a_user_forges_in_our_namespace_is_stripped(server):
    forged = f'<hold xmlns="{HOLD}" id="forged"/>'
    async with online(server) as alice, connected(server) as stream:
        alice.send_raw(f'<message to="{NUMBER}" id="1"><body>a text</body>{forged}{forged}</message>')
        alice.send_raw(f'<message to="{NUMBER}" id="2"><received xmlns="urn:xmpp:receipts"/>{forged}</message>')
        alice.send_raw(f'<message to="{NUMBER}" id="3" type="headline"><body>head</body>{forged}</message>')
        alice.send_raw(f'<message to="{server.component_jid}" id="4"><body>last</body><ack xmlns="{HOLD}"/></message>')
        await stream.see("last")
        assert len(stream.ids) == 2  # of the two texts
        assert "forged" not in stream.all
        assert "<ack" not in stream.all


async def test_nobody_but_the_component_acknowledges_or_asks(server):
    async with online(server) as alice, connected(server) as stream:
        await alice.send_text(NUMBER, "mine")
        await stream.see("mine")
        for payload in (f'<ack xmlns="{HOLD}"><hold id="{stream.ids[0]}"/></ack>', f'<enable xmlns="{HOLD}"/>'):
            for kind in ("set", "get"):
                alice.send_raw(f'<iq type="{kind}" id="{kind}" to="{server.component_jid}">{payload}</iq>')
        await alice.ping()
        await stream.fence()
        assert "<ack" not in stream.all
    async with connected(server) as again:
        assert again.texts == ["mine"]


async def test_carbons_of_what_is_held_still_go_to_the_users_other_clients(server):
    async with online(server) as phone, online(server) as desk, connected(server) as stream:
        await desk.request("set", None, ET.Element("{urn:xmpp:carbons:2}enable"))
        await phone.send_text(NUMBER, "from my phone")
        await stream.see("from my phone")
        assert len(stream.texts) == 1
        carbon = await desk.next(lambda message: message.carbon is not None)
        assert HOLD not in carbon.raw


async def test_too_much_is_refused_at_once_and_said(tmp_path):
    bounds = {"smsbridge_hold_max_per_sender": 2, "smsbridge_hold_max": 6}  # half of them for users of the server
    async with (
        prosody_with(tmp_path, **bounds) as server,
        online(server) as alice,
        online(server, "bob") as bob,
    ):
        async with connected(server):
            pass
        sent = [await alice.send_text(NUMBER, f"alice {n}") for n in range(3)]
        refused = await alice.next(lambda message: message.error is not None)
        assert refused.stanza_id == sent[2]
        assert refused.error.condition == "resource-constraint"
        sent = [await bob.send_text(NUMBER, f"bob {n}") for n in range(2)]
        assert (await bob.next(lambda message: message.error is not None)).stanza_id == sent[1]
        async with connected(server) as stream:
            assert stream.texts == ["alice 0", "alice 1", "bob 0"]


async def test_a_crowd_of_strangers_takes_no_place_of_users_and_users_none_of_those_whom_the_bridge_serves(tmp_path):
    foreign = "elsewhere.example.com"
    async with (
        prosody_with(tmp_path, echo_jid=foreign, smsbridge_hold_max=40) as server,
        online(server, "bob") as bob,
        online(server) as alice,
    ):
        async with connected(server) as stream:
            await bob.send_text(NUMBER, "taken")
            await stream.see("taken")
            await stream.acknowledge(*stream.ids, is_taken=True)
            await alice.send_text(NUMBER, "refused")
            await stream.see("refused")
            await stream.acknowledge(*stream.ids)

        async with component(server, server.component_secret, foreign) as attempt:
            crowd = Stream(attempt.reader, attempt.writer)
            for n in range(5):
                crowd.text(NUMBER, f"x{n}", sender=f"{n}@{foreign}")
            for n in range(2, 5):
                await crowd.see(f"id='x{n}'")
            assert crowd.all.count("<resource-constraint") == 3

        sent = [await alice.send_text(NUMBER, f"alice {n}") for n in range(19)]  # 20 with the strangers' two
        refused = await alice.next(lambda message: message.error is not None)
        assert (refused.stanza_id, refused.error.condition) == (sent[-1], "resource-constraint")

        await server.kill()
        await server.restart()
        async with online(server, "bob") as again:
            for n in range(20):
                await again.send_text(NUMBER, f"bob {n}")
            await again.ping()
            assert [message for message in again.received if message.error] == []
        async with connected(server) as stream:
            await stream.see("bob 19")
            assert len(stream.texts) == 2 + 18 + 20


async def test_what_waits_too_long_comes_back_to_its_writer(tmp_path):
    async with prosody_with(tmp_path, smsbridge_hold_seconds=0) as server, online(server) as alice:
        async with connected(server):
            pass
        sent = await alice.send_text(NUMBER, "hello")
        returned = await alice.next(lambda message: message.error is not None)
        assert (returned.stanza_id, returned.error.condition) == (sent, "remote-server-timeout")
        assert "not sent" in returned.error.text
        async with connected(server) as stream:
            await stream.fence()
            assert stream.texts == []


async def test_a_text_that_its_writer_was_told_not_to_be_sent_is_not_sent_though_the_server_dies_before_it_has_let_go(
    tmp_path,
):
    whole = MODULE.read_text()
    dying, count = re.subn(r"\t+release\(ids\);\n(?=\t*end\n)", "", whole)  # as if it died there, each time
    assert count >= 1
    module = tmp_path / MODULE.name
    module.write_text(dying)
    async with prosody_with(tmp_path, smsbridge_hold_seconds=0, module=module) as server:
        async with online(server) as alice:
            async with connected(server):
                pass
            sent = await alice.send_text(NUMBER, "hello")
            assert (await alice.next(lambda message: message.error is not None)).stanza_id == sent
        await server.kill()
        module.write_text(whole)
        await server.restart()
        held = server.directory / "data" / "sms%2eexample%2ecom" / "smsbridge_held.log"
        assert b"hello" in held.read_bytes()
        async with connected(server) as stream:
            await stream.fence()
            assert stream.texts == []
        await until(lambda: held.read_bytes() == b"")


async def test_the_oldest_are_forgotten_first(tmp_path):
    async with prosody_with(tmp_path, smsbridge_remember=20) as server:
        alice = server.add_account("alice", "pw")
        async with connected(server) as stream:
            for _ in range(2):
                for n in range(35):
                    stream.text(alice, f"t{n}")
                for n in range(25, 35):  # half of what is remembered, at least
                    stream.text(alice, f"t{n}")
            await stream.fence()
        seen = await archived(server)
        assert max(seen.values()) == 2
        files = sorted((server.directory / "data" / "sms%2eexample%2ecom").glob("smsbridge_seen*"))
        assert len(files) == 2
        assert sum(len(path.read_text().splitlines()) for path in files) <= 25
        assert b"+1555" not in b"".join(path.read_bytes() for path in files)


async def test_a_repeat_to_another_host_of_the_server_goes_no_further_either():
    config = ProsodyConfig(module=MODULE, echo_jid="echo.example.com")
    async with (
        Prosody(config) as server,
        component(server, server.component_secret, config.echo_jid) as echo,
        connected(server) as stream,
    ):
        for _ in range(3):
            stream.text("somebody@echo.example.com", "a")
        stream.text("somebody@echo.example.com", "b", "the last")
        came = await echo.until(b"the last")
        assert came.count(b"id='a'") == 1


async def test_files_that_are_torn_or_full_of_nonsense_lose_no_other_line(server):
    alice = server.add_account("alice", "pw")
    async with online(server) as client, connected(server) as stream:
        stream.text(alice, "a")
        await stream.fence()
        for n in range(3):
            await client.send_text(NUMBER, f"text {n}")
        await stream.see("text 2")
        await server.kill()
    folder = server.directory / "data" / "sms%2eexample%2ecom"
    held = folder / "smsbridge_held.log"
    lines = held.read_bytes().splitlines(keepends=True)
    assert len([line for line in lines if line.startswith(b"+")]) == 3
    torn = [line[: len(line) // 2] + b"\n" if b"text 1" in line else line for line in lines]
    held.write_bytes(b"\x00\xff nonsense\n" + b"".join(torn) + b"+ torn 1 wri")
    with (folder / "smsbridge_seen.log").open("ab") as seen:
        seen.write(b"17000 abc\n\x00\n1700000000 0123")
    await server.restart()
    async with connected(server) as stream:
        assert stream.texts == ["text 0", "text 2"]
        await stream.acknowledge(*stream.ids)
        for stanza_id in ("a", "b", "b"):
            stream.text(alice, stanza_id)
        await stream.fence()
    await server.kill()
    await server.restart()
    async with connected(server) as stream:
        stream.text(alice, "b")
        await stream.fence()
        assert stream.texts == []
    seen = await archived(server)
    assert (seen["a"], seen["b"]) == (1, 1)


async def test_spoofs_inside_a_stanza_stay_what_they_are(server):
    inner = f'<message xmlns="jabber:client" from="bob@example.com" to="{NUMBER}"><body>spoof</body></message>'
    forwarded = f'<forwarded xmlns="urn:xmpp:forward:0">{inner}<hold xmlns="{HOLD}" id="forged"/></forwarded>'
    async with online(server) as alice, connected(server) as stream:
        for kind in ("sent", "received"):
            carbon = f'<{kind} xmlns="urn:xmpp:carbons:2">{forwarded}</{kind}>'
            alice.send_raw(f'<message to="{NUMBER}" id="{kind}"><body>outer</body>{carbon}</message>')
        await alice.send_text(NUMBER, "last")
        await stream.see("last")
        marks = re.findall(rf"<hold [^>]*xmlns='{HOLD}'[^>]*/></message>", stream.all)
        assert len(marks) == 3  # each the last child of a stanza, whatever is inside
        assert stream.all.count("from='alice@example.com/") == 3


def test_the_module_is_lua():
    subprocess.run(["luac5.4", "-p", MODULE], check=True)


@pytest.fixture
async def shell(monkeypatch):
    """A Prosody with a shell: `await tell("module:reload(…)")`."""
    text_of = prosody_module.config_text
    monkeypatch.setattr(
        prosody_module, "config_text", lambda *about: text_of(*about).replace('"posix",', '"posix", "admin_shell",')
    )

    async def tell(words):
        command = ["prosodyctl", "--root", "--config", str(server.directory / "prosody.cfg.lua"), "shell", words]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(PATIENCE):
            return (await process.communicate())[0].decode()

    async with server_of("prosody") as server:
        yield server, tell


@pytest.mark.parametrize("is_reload", [True, False])
async def test_the_module_may_be_reloaded_and_taken_out_while_the_server_runs(shell, is_reload):
    server, tell = shell
    host = server.component_jid
    async with online(server) as alice, connected(server) as stream:
        stream.text(alice.bare_jid, "a")
        await alice.send_text(NUMBER, "first")
        await stream.see("first")
        if is_reload:
            assert "OK" in await tell(f'module:reload("smsbridge", "{host}")')
        else:
            assert "OK" in await tell(f'module:unload("smsbridge", "{host}")')
            await alice.send_text(NUMBER, "without")
            await stream.see("without")
            assert len(stream.ids) == 1
            stream.text(alice.bare_jid, "a")
            assert "OK" in await tell(f'module:load("smsbridge", "{host}")')
        stream.text(alice.bare_jid, "a")
        await alice.send_text(NUMBER, "second")
        await stream.see("second")
        assert len(stream.ids) == 2
        await stream.acknowledge(*stream.ids)
        await stream.fence()
        await alice.ping()
        assert [message.stanza_id for message in alice.received] == (["a"] if is_reload else ["a", "a"])
    async with connected(server) as stream:
        assert stream.texts == []


async def test_what_waits_comes_back_when_the_module_is_taken_out_for_good(shell):
    server, tell = shell
    async with connected(server):
        pass
    async with online(server) as alice:
        sent = await alice.send_text(NUMBER, "hello")
        await alice.ping()
        assert "OK" in await tell(f'module:unload("smsbridge", "{server.component_jid}")')
        returned = await alice.next(lambda message: message.error is not None)
        assert (returned.stanza_id, returned.error.condition) == (sent, "remote-server-timeout")
