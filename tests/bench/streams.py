"""Raw XMPP, as little of it as will do: a client that counts what it reads, and a component that only writes.

No XML is parsed, so the reader can keep up with any server: texts are found by their mark, receipts by their id. Pings
are answered, as clients do.
"""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Iterable
from typing import Self

from tests.bench.posts import text_of

_FOUND = re.compile(
    rb"<(?:body>n(\d{9})|received [^>]*id=['\"]o(\d{9})"
    rb"|(iq [^>]*type=['\"]get['\"][^>]*>)\s*<ping xmlns=['\"]urn:xmpp:ping['\"])"
)
_ATTRIBUTE = re.compile(rb"(id|from)=(['\"])(.*?)\2")
_LONGEST = 256  # of what is looked for
_LOGIN_SECONDS = 10.0
_PIECE = 256 * 1024


class Reader:
    """Somebody who is online and reads. `texts` and `receipts`: number to the instant of its first coming."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.texts: dict[int, float] = {}
        self.receipts: dict[int, float] = {}
        self.repeats = 0
        self.errors = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def login(cls, jid: str, password: str, port: int) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
        self = cls(reader, writer)
        name, _, domain = jid.partition("@")
        header = (
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
            f" to='{domain}' version='1.0'>"
        )
        plain = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        async with asyncio.timeout(_LOGIN_SECONDS):
            await self._ask(header, b"</stream:features>")
            sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
            await self._ask(f"<auth xmlns='{sasl}' mechanism='PLAIN'>{plain}</auth>", b"<success")
            await self._ask(header, b"</stream:features>")
            await self._ask(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>bench</resource></bind></iq>", b"</iq>",
            )  # fmt: skip
            await self._ask("<presence/>", b"<presence")
        self._task = asyncio.create_task(self._read())
        return self

    def type(self, to: str, n: int) -> None:
        """Write a text to somebody, and want a receipt."""
        self._writer.write(
            f"<message to='{to}' type='chat' id='o{n:09}'><body>{text_of(n)}</body>"
            "<request xmlns='urn:xmpp:receipts'/></message>".encode()
        )

    async def until_texts(self, numbers: Iterable[int], seconds: float = 120.0) -> float:
        """Return when all of these were read; the instant of the last."""
        return await self._until(self.texts, set(numbers), seconds)

    async def until_more(self, count: int, seconds: float = 120.0) -> float:
        """Return when so many texts more were read, whichever; the instant of the last."""
        wanted = len(self.texts) + count
        try:
            async with asyncio.timeout(seconds):
                while len(self.texts) < wanted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise RuntimeError(f"{wanted - len(self.texts)} of {count} never came") from None
        return time.monotonic()

    async def until_receipts(self, numbers: Iterable[int], seconds: float = 120.0) -> float:
        return await self._until(self.receipts, set(numbers), seconds)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._writer.close()

    async def _until(self, seen: dict[int, float], numbers: set[int], seconds: float) -> float:
        missing = numbers - seen.keys()
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    self._changed.clear()
                    await self._changed.wait()
                    missing -= seen.keys() if len(missing) > 1000 else {n for n in missing if n in seen}
        except TimeoutError:
            raise RuntimeError(f"{len(missing)} of {len(numbers)} never came") from None
        return max(seen[n] for n in numbers)

    async def _ask(self, words: str, until: bytes) -> None:
        self._writer.write(words.encode())
        await self._reader.readuntil(until)

    async def _read(self) -> None:
        rest = b""
        while chunk := await self._reader.read(_PIECE):
            now = time.monotonic()
            data = rest + chunk
            end = 0
            for found in _FOUND.finditer(data):
                end = found.end()
                text, receipt, ping = found.groups()
                if ping:
                    self._answer(ping)
                else:
                    self._note(self.texts if text else self.receipts, int(text or receipt), now)
            if b"type='error'" in chunk:
                self.errors += chunk.count(b"type='error'")
            rest = data[max(end, len(data) - _LONGEST) :]
            self._changed.set()

    def _note(self, seen: dict[int, float], n: int, now: float) -> None:
        if n in seen:
            self.repeats += 1
        else:
            seen[n] = now

    def _answer(self, ping: bytes) -> None:
        said = {name: value for name, _, value in _ATTRIBUTE.findall(ping)}
        self._writer.write(b"<iq type='result' id='%s' to='%s'/>" % (said[b"id"], said[b"from"]))


class RawComponent:
    """The least that a component can be: what it writes is what the server can take."""

    def __init__(self, jid: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._jid = jid
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, jid: str, secret: str, port: int) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"
            f" to='{jid}'>".encode()
        )
        answer = await reader.readuntil(b"<stream:stream")
        answer += await reader.readuntil(b">")
        stream_id = re.search(rb"\sid=(['\"])(.*?)\1", answer)
        assert stream_id is not None
        digest = hashlib.sha1(stream_id[2] + secret.encode()).hexdigest()  # noqa: S324  # XEP-0114, 3
        writer.write(f"<handshake>{digest}</handshake>".encode())
        await reader.readuntil(b"<handshake/>")
        return cls(jid, reader, writer)

    async def write_texts(self, to: str, numbers: Iterable[int], clothes: str = "") -> float:
        """One message each; `clothes`: what stands beside the body. The instant of the first byte."""
        began = time.monotonic()
        for n in numbers:
            self._writer.write(
                f'<message from="+15559870002@{self._jid}" to="{to}" type="chat" id="raw-{n}"><body>{text_of(n)}</body>'
                f"{clothes}</message>".encode()
            )
            if not n % 50:
                await self._writer.drain()
        await self._writer.drain()
        return began

    def close(self) -> None:
        self._writer.close()
