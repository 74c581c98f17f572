"""Requests that two readers could take for different requests: refused, and nothing behind them is read."""

import pytest

from .station import KEY, Start

POST = f"POST /hook?key={KEY} HTTP/1.1\r\nHost: sms.example.com\r\n".encode()
BEHIND = f"GET /hook?key={KEY} HTTP/1.1\r\nHost: sms.example.com\r\n\r\n".encode()
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
EMPTY = b"0\r\n\r\n"

SHAPES = {
    "both lengths": POST + LENGTH + CHUNKED + b"\r\n" + EMPTY,
    "both lengths, turned round": POST + CHUNKED + LENGTH + b"\r\n" + EMPTY,
    "two codings": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + EMPTY,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + EMPTY,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "compressed chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + EMPTY,
    "chunks compressed": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + EMPTY,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + EMPTY,
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + EMPTY,
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + EMPTY,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + EMPTY,
    "a folded header": POST + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\nhello",
    "a NUL": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n" + EMPTY,
    "chunks in HTTP/1.0": POST.replace(b"/1.1", b"/1.0") + CHUNKED + b"\r\n" + EMPTY,
    "two lengths": POST + LENGTH + b"Content-Length: 6\r\n\r\nhello",
    "the same length twice": POST + LENGTH + LENGTH + b"\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a plus": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "an underlined length": POST + b"Content-Length: 1_0\r\n\r\nhello",
    "an empty length": POST + b"Content-Length: \r\n\r\nhello",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551617\r\n\r\nhello",
    "bare line feeds": (POST + LENGTH + b"\r\nhello").replace(b"\r\n", b"\n"),
    "one bare line feed": POST + b"X-A: b\n" + LENGTH + b"\r\nhello",
    "a bare line feed at the end": POST + LENGTH + b"\nhello",
    "a bare carriage return": POST + b"X-A: b\r" + LENGTH + b"\r\nhello",
    "a chunk's bare line feed": POST + CHUNKED + b"\r\n5\nhello\r\n" + EMPTY,
    "a bare line feed behind a chunk": POST + CHUNKED + b"\r\n5\r\nhello\n" + EMPTY,
    "no number of a chunk": POST + CHUNKED + b"\r\nzz\r\nhello\r\n" + EMPTY,
    "a prefixed chunk": POST + CHUNKED + b"\r\n0x5\r\nhello\r\n" + EMPTY,
    "a negative chunk": POST + CHUNKED + b"\r\n-5\r\nhello\r\n" + EMPTY,
    "an underlined chunk": POST + CHUNKED + b"\r\n0_5\r\nhello\r\n" + EMPTY,
    "a chunk beyond 64 bits": POST + CHUNKED + b"\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n" + EMPTY,
    "a chunk longer than told": POST + CHUNKED + b"\r\n3\r\nhello\r\n" + EMPTY,
    "a line feed in a chunk's extension": POST + CHUNKED + b"\r\n5;a\nb\r\nhello\r\n" + EMPTY,
    "a length in the trailer": POST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "two hosts": POST + b"Host: other.example.com\r\n" + LENGTH + b"\r\nhello",
    "a blank in the target": POST.replace(b" HTTP", b" &x=1 HTTP") + LENGTH + b"\r\nhello",
    "HTTP/2's greeting": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_ambiguous_request_is_refused_and_ends_the_connection(start: Start, shape: str):
    station = await start(header_seconds=60, idle_seconds=60, body_seconds=60)
    wire = await station.connect()
    wire.send(SHAPES[shape] + BEHIND)
    came = await wire.end()
    assert came.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert came.count(b"HTTP/1.") == 1
    assert b"Server:" not in came
    assert station.take.taken == []


async def test_a_request_of_before_headers_were_invented_is_not_taken(start: Start):
    station = await start()
    wire = await station.connect()
    wire.send(f"GET /hook?key={KEY}\r\n\r\n".encode())
    assert b" 400 " in await wire.end()
    assert station.take.taken == []


async def test_a_coding_may_be_written_in_capitals(start: Start):
    station = await start()
    wire = await station.connect()
    wire.send(POST + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n" + EMPTY)
    assert (await wire.reply()).body == b"ok"
    assert station.take.texts == ["hello"]
