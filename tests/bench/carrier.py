"""A carrier as fast as can be: says success with a new id to everything, after a latency that can be set.

    GET /latency/0.15   every answer takes so long from now on
    GET /ledger         [[number of a text, when its request was complete], …] since the last time, as JSON

The one in `smsbridge.sim` is as strict and as slow as the real one; here it would be what is measured.
"""

import asyncio
import json
import re
import signal
import sys
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TEXT = re.compile(rb"\r\n\r\nn(\d{9}) ")


class Ledger:
    """What came, in order."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.rows: list[tuple[int, float]] = []
        self._last_id = 110_997_000

    def take(self, body: bytes) -> bytes:
        """Note the text of a request, if it has one; the answer serves every method that the bridge calls."""
        if text := _TEXT.search(body):
            self.rows.append((int(text[1]), time.monotonic()))
        self._last_id += 1
        answer = {
            "status": "success",
            "sms": self._last_id,
            "ip": "127.0.0.1",
            "balance": {"current_balance": "100.00"},
            "dids": [{"did": "5551230001", "sms_enabled": 1}],
        }
        return json.dumps(answer).encode()

    def control(self, path: str) -> bytes:
        if path == "/ledger":
            rows, self.rows = self.rows, []
            return json.dumps(rows).encode()
        self.latency = float(path.removeprefix("/latency/"))
        return b"{}"


class _Connection(asyncio.Protocol):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._transport: asyncio.Transport
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, ends, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not ends or (length and len(body) < int(length[1])):
            return
        request, self._data = self._data, b""
        if request.startswith(b"GET "):
            self._answer(self._ledger.control(request.split(b" ", 2)[1].decode()))
            return
        answer = self._ledger.take(request)
        if self._ledger.latency:
            asyncio.get_running_loop().call_later(self._ledger.latency, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def serve(port: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    ledger = Ledger()
    listener = await loop.create_server(lambda: _Connection(ledger), "127.0.0.1", port, backlog=1024)
    await stop.wait()
    listener.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
