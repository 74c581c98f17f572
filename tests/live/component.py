"""A component over a bare socket."""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from smsbridge.sim.xmpp_server import LOOPBACK, XmppServer, component_header
from tests.fakes.waiting import PATIENCE


class Attempt(NamedTuple):
    """The stream, and what the server said to the handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: str

    async def until(self, words: bytes) -> bytes:
        """What came before these words, and they."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(words)


@contextlib.asynccontextmanager
async def component(server: XmppServer, secret: str, jid: str | None = None) -> AsyncIterator[Attempt]:
    """Log in as a component. At the end of the block the server has taken leave of it, and routes nothing to it."""
    reader, writer = await asyncio.open_connection(LOOPBACK, server.component_port)
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await _shake_hands(reader, writer, jid or server.component_jid, secret)
        yield Attempt(reader, writer, answer)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):  # it has left already
                writer.write(b"</stream:stream>")
                await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, jid: str, secret: str) -> str:
    writer.write(component_header(jid).encode())
    header = await reader.readuntil(b"<stream:stream")
    header += await reader.readuntil(b">")
    found = re.search(r"\bid='([^']+)'", header.decode())
    assert found
    digest = hashlib.sha1((found[1] + secret).encode(), usedforsecurity=False).hexdigest()
    writer.write(f"<handshake>{digest}</handshake>".encode())
    answer = await reader.readuntil(b">")
    if answer.startswith(b"<stream:error"):
        answer += await reader.readuntil(b"</stream:error>")
    return answer.decode()
