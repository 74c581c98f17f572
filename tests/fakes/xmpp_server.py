"""The server's side of a component port (XEP-0114) on loopback, scripted by the test. One stream at a time."""

import asyncio
import contextlib
import hashlib
from xml.etree import ElementTree as ET

from smsbridge.sim.ports import free_port
from tests.fakes.waiting import PATIENCE

NAMESPACE = "{jabber:component:accept}"
ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


class FakeServer:
    """`on_stanza(server, element)` may write an answer or end the stream; True means it dealt with the stanza."""

    def __init__(self, *, secret="s3cret", on_stanza=None):
        self.secret = secret
        self.on_stanza = on_stanza or (lambda _server, _element: False)
        self.answers_pings = True
        self.is_mute = False  # takes connections and says nothing
        self.refuses_with = ""
        self.uptime = 3600  # seconds; None: it does not tell
        self.stanzas = []
        self.connections = 0
        self.sessions = 0
        self.footers = 0
        self._server = None
        self._writer = None
        self._changed = asyncio.Event()
        self.port = free_port()  # it may stop, and come back there

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self):
        """Nobody listens any more, and the open stream is reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self):
        """Reset the open stream."""
        if self._writer is not None:
            self._writer.transport.abort()

    def fail(self, condition):
        """Send a stream error and close."""
        self.write(f"<stream:error><{condition} xmlns='{ERRORS}'/></stream:error></stream:stream>")
        self._writer.close()

    def write(self, xml):
        self._writer.write(xml.encode())

    def bodies(self):
        """The ids of the messages with a body that were read, in order."""
        return [stanza.get("id") for stanza in self.stanzas if stanza.find(f"{NAMESPACE}body") is not None]

    def pings(self):
        return [stanza for stanza in self.stanzas if stanza.find("{urn:xmpp:ping}ping") is not None]

    async def until(self, holds, seconds=PATIENCE):
        """Wait until something holds that what we read or answered can make true."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader, writer):
        self.connections += 1
        self._changed.set()
        self._writer = writer
        parser, depth = ET.XMLPullParser(("start", "end")), 0
        with contextlib.suppress(OSError):
            while octets := await reader.read(65536):
                if self.is_mute:
                    continue
                try:
                    parser.feed(octets)
                    for event, element in parser.read_events():
                        depth += 1 if event == "start" else -1
                        self._take(event, depth, element)
                except ET.ParseError:
                    self.fail("not-well-formed")
                self._changed.set()
        writer.close()

    def _take(self, event, depth, element):
        if event == "start" and depth == 1:
            self.write(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                "xmlns:stream='http://etherx.jabber.org/streams' from='sms.example.com' id='4711'>"
            )
            if self.refuses_with:
                self.fail(self.refuses_with)
        elif event == "end" and depth == 0:
            self.footers += 1
            self.write("</stream:stream>")
            self._writer.close()
        elif event == "end" and depth == 1:
            self._stanza(element)

    def _stanza(self, element):
        if self._writer.is_closing():
            return
        if element.tag == f"{NAMESPACE}handshake":
            digest = hashlib.sha1(b"4711" + self.secret.encode(), usedforsecurity=False).hexdigest()
            if element.text != digest:
                self.fail("not-authorized")
                return
            self.sessions += 1
            self.write("<handshake/>")
            return
        self.stanzas.append(element)
        if self.on_stanza(self, element):
            return
        if element.find("{urn:xmpp:ping}ping") is not None and self.answers_pings:
            self.write(
                f"<iq type='result' id='{element.get('id')}' from='{element.get('to')}' to='{element.get('from')}'/>"
            )
        elif element.find("{jabber:iq:version}query") is not None:
            self.write(
                f"<iq type='result' id='{element.get('id')}' from='{element.get('to')}' to='{element.get('from')}'>"
                "<query xmlns='jabber:iq:version'><name>Prosody</name></query></iq>"
            )
        elif element.find("{jabber:iq:last}query") is not None and self.uptime is not None:
            self.write(
                f"<iq type='result' id='{element.get('id')}' from='{element.get('to')}' to='{element.get('from')}'>"
                f"<query xmlns='jabber:iq:last' seconds='{self.uptime}'/></iq>"
            )
        elif element.get("to") == element.get("from"):
            self.write(ET.tostring(element, encoding="unicode"))
