"""The file that administrators are told to put into Prosody's configuration, as it is."""

import asyncio
import re
from pathlib import Path

import pytest

from smsbridge.sim.client import Client
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from tests.live.test_sim_prosody import component_handshake

FILE = Path(__file__).parents[2] / "contrib" / "prosody" / "smsbridge.cfg.lua"


@pytest.fixture
async def server():
    text = FILE.read_text()
    jid = re.search(r'^Component "([^"]+)"', text, re.MULTILINE)[1]
    secret = re.search(r'^  component_secret = "([^"]+)"', text, re.MULTILINE)[1]
    async with Prosody(ProsodyConfig(include=FILE, component_jid=jid, component_secret=secret)) as server:
        yield server


async def test_a_component_is_let_in_with_the_secret_of_the_file_and_no_other(server):
    written = (server.directory / "prosody.cfg.lua").read_text()
    assert "component_secret" not in written  # the definition is the file's alone
    _, writer, answer = await component_handshake(server, "not it")
    writer.close()
    assert "not-authorized" in answer
    _, writer, answer = await component_handshake(server, server.component_secret)
    writer.close()
    assert answer.startswith("<handshake")


async def test_a_connection_that_died_does_not_keep_the_next_one_out(server):
    first, dead, _ = await component_handshake(server, server.component_secret)
    _, writer, answer = await component_handshake(server, server.component_secret)
    assert answer.startswith("<handshake")
    async with asyncio.timeout(5):
        assert b"conflict" in await first.readuntil(b"</stream:stream>")
    for each in (dead, writer):
        each.close()


async def test_a_user_of_the_server_reaches_the_component(server):
    jid = server.add_account("alice", "pw")
    reader, writer, _ = await component_handshake(server, server.component_secret)
    async with await Client.login(jid, "pw", port=server.c2s_port) as alice:
        await alice.send_text(f"+15559870002@{server.component_jid}", "hello")
        async with asyncio.timeout(5):
            assert b"<body>hello</body>" in await reader.readuntil(b"</message>")
    writer.close()
