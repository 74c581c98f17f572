"""A stream without a server: octets in by hand, what it writes collected."""

import asyncio

from tests.fakes.waiting import PATIENCE

HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
    b"xmlns:stream='http://etherx.jabber.org/streams' from='sms.example.com' id='4711'>"
)


class FakeTransport:
    def __init__(self, stream):
        self.written = b""
        self.is_closed = False
        self._stream = stream

    def get_extra_info(self, _name, default=None):
        return default

    def write(self, octets):
        self.written += octets

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.abort()

    def abort(self):
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self._stream.connection_lost, None)


def open_session(stream):
    """Connect the stream to nobody and complete the handshake; returns the transport."""
    stream._current_connection_attempt = True
    transport = FakeTransport(stream)
    stream.connection_made(transport)
    if stream._run_out_filters is None:
        stream._run_out_filters = asyncio.ensure_future(stream.run_filters())
    stream.data_received(HEADER)
    stream.data_received(b"<handshake/>")
    return transport


async def lose_session(stream, transport):
    """Cut the connection and wait until the stream knows."""
    lost = stream.disconnected
    transport.abort()
    async with asyncio.timeout(PATIENCE):
        await lost


async def written_by(stream, transport):
    """Everything the stream wrote, its queue included."""
    async with asyncio.timeout(PATIENCE):
        await stream.waiting_queue.join()
    return transport.written.decode()
