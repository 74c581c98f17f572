"""What a broken call means, over real sockets."""

import asyncio
import contextlib
import socket
import ssl
import traceback
from datetime import timedelta
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason
from smsbridge.providers.http import LARGEST_ANSWER, Caller, Deadlines, Reply, form
from tests.fakes.aio import Answered
from tests.providers.conftest import reset

SECRET = "correct horse"
TEXT = "see you at nine"
USUAL = Deadlines()
SHORT = Deadlines(connect=0.2, whole=0.4)


def answering(head: str, body: bytes = b""):
    async def behave(server, reader, writer):
        await server.read(reader)
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return behave


async def ask(session: aiohttp.ClientSession, url: str, deadlines: Deadlines) -> object:
    caller = Caller(session, deadlines)
    return (await caller.post(f"{url}?key={SECRET}", form({"password": SECRET, "m": TEXT}))).json()


async def outcome_of(session: aiohttp.ClientSession, url: str, deadlines: Deadlines = USUAL) -> Outcome:
    """What the call raises, after making sure that it tells neither secret nor text."""
    with pytest.raises(Outcome) as caught:
        await ask(session, url, deadlines)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "correct" not in told
    assert TEXT not in told
    return caught.value


def is_unreachable(outcome: Outcome) -> bool:
    return isinstance(outcome, Deferred) and (outcome.reason, outcome.code) == (Reason.PROVIDER_DOWN, "unreachable")


async def test_a_refused_connection_never_left(session):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert is_unreachable(await outcome_of(session, f"http://127.0.0.1:{unused.getsockname()[1]}/"))


async def test_a_name_that_is_not_found_never_left():
    resolver = Mock()
    resolver.resolve.side_effect = OSError("no such name")
    resolver.close.side_effect = lambda: asyncio.sleep(0)
    connector = aiohttp.TCPConnector(resolver=resolver)
    async with aiohttp.ClientSession(connector=connector) as session:
        assert is_unreachable(await outcome_of(session, "http://sms.example.com/"))


async def test_a_connection_that_is_not_there_in_time_never_left(session):
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):  # fill the backlog: further SYNs are dropped
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        assert is_unreachable(await outcome_of(session, f"http://127.0.0.1:{deaf.getsockname()[1]}/", SHORT))


async def test_a_call_that_finds_no_free_connection_never_left(start):
    async def stall(server, reader, writer):
        await server.read(reader)
        await server.released.wait()

    server = await start(stall)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        first = asyncio.create_task(outcome_of(session, server.url, Deadlines(connect=1, whole=5)))
        await server.asked.wait()
        assert is_unreachable(await outcome_of(session, server.url, SHORT))
        server.released.set()
        assert isinstance(await first, Indeterminate)
    assert len(server.requests) == 1


async def test_a_handshake_with_something_that_is_not_tls_never_left(session, start):
    async def speak_plainly(server, reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    server = await start(speak_plainly)
    assert is_unreachable(await outcome_of(session, server.url.replace("http:", "https:")))


async def test_a_handshake_that_is_cut_never_left(session, start):
    async def cut(server, reader, writer):
        await reader.read(1)
        reset(writer)

    server = await start(cut)
    assert is_unreachable(await outcome_of(session, server.url.replace("http:", "https:")))


async def test_a_handshake_that_stalls_never_left(session, start):
    async def stall(server, reader, writer):
        await server.released.wait()

    server = await start(stall)
    assert is_unreachable(await outcome_of(session, server.url.replace("http:", "https:"), SHORT))


async def test_a_certificate_that_does_not_fit_never_left(session):
    error = aiohttp.ClientConnectorCertificateError(Mock(), ssl.CertificateError("not for this host"))
    with aioresponses() as wire:
        wire.post("https://sms.example.com/?key=correct%20horse", exception=error)
        assert is_unreachable(await outcome_of(session, "https://sms.example.com/"))


async def test_a_time_out_after_the_request_left_is_indeterminate(session, start):
    async def stall(server, reader, writer):
        await server.read(reader)
        await server.released.wait()

    server = await start(stall)
    outcome = await outcome_of(session, server.url, SHORT)
    assert isinstance(outcome, Indeterminate)
    assert outcome.code == "timeout"
    assert len(server.requests) == 1


async def test_an_answer_that_stalls_halfway_is_indeterminate(session, start):
    async def stall(server, reader, writer):
        await server.read(reader)
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status":')
        await server.released.wait()

    outcome = await outcome_of(session, (await start(stall)).url, SHORT)
    assert isinstance(outcome, Indeterminate)
    assert outcome.code == "timeout"


async def accept_and_reset(server, reader, writer):
    reset(writer)


async def reset_within_the_request(server, reader, writer):
    await reader.readexactly(10)
    reset(writer)


async def reset_after_the_request(server, reader, writer):
    await server.read(reader)
    reset(writer)


async def close_after_the_request(server, reader, writer):
    await server.read(reader)


async def speak_garbage(server, reader, writer):
    await server.read(reader)
    writer.write(b"\x00\x01 this is not HTTP\r\n\r\n")
    await writer.drain()


async def cut_the_answer(server, reader, writer):
    await server.read(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status":"success"}')
    await writer.drain()


@pytest.mark.parametrize(
    "behave",
    [
        accept_and_reset,
        reset_within_the_request,
        reset_after_the_request,
        close_after_the_request,
        speak_garbage,
        cut_the_answer,
    ],
)
async def test_a_connection_that_breaks_is_indeterminate_and_is_not_tried_again(session, start, behave):
    server = await start(behave)
    for calls in range(1, 4):
        outcome = await outcome_of(session, server.url)
        assert isinstance(outcome, Indeterminate)
        assert outcome.code == "reset"
        assert server.connections == calls


async def test_a_kept_connection_that_is_dropped_is_indeterminate_and_is_not_tried_again(start):
    async def answer_once(server, reader, writer):
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await server.read(reader)
        reset(writer)

    server = await start(answer_once)
    async with aiohttp.ClientSession() as keeping:
        async with keeping.post(server.url, data=b"x") as response:
            await response.read()
        outcome = await outcome_of(keeping, server.url)
    assert isinstance(outcome, Indeterminate)
    assert outcome.code == "reset"
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_every_call_has_a_connection_of_its_own(session, start):
    server = await start(answering("200 OK", b"{}"))
    caller = Caller(session, Deadlines())
    for _ in range(3):
        assert (await caller.post(server.url, form({"m": TEXT}))).json() == {}
    assert server.connections == 3
    assert all(b"\r\nConnection: close\r\n" in request for request in server.requests)


@pytest.mark.parametrize(
    ("head", "body", "code"),
    [
        ("200 OK", b"", "no_json"),
        ("200 OK", b"<html>welcome</html>", "no_json"),
        ("200 OK", b"[" * 100_000, "no_json"),
        ("204 No Content", b"", "no_json"),
        ("302 Found\r\nLocation: /elsewhere", b"", "http_302"),
        ("303 See Other\r\nLocation: /elsewhere", b"", "http_303"),
        ("400 Bad Request", b"<html>", "http_400"),
        ("408 Request Timeout", b"", "http_408"),
        ("500 Internal Server Error", b"<soap:Fault/>", "http_500"),
        ("503 Service Unavailable\r\nRetry-After: 5", b"{}", "http_503"),
        ("520 Origin Error", b"<html>error</html>", "http_520"),
        ("522 Origin Timeout", b"error code: 522", "http_522"),
    ],
)
async def test_an_answer_that_proves_nothing_is_indeterminate(session, start, head, body, code):
    server = await start(answering(head, body))
    outcome = await outcome_of(session, server.url)
    assert isinstance(outcome, Indeterminate)
    assert outcome.code == code
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 307, 308, 401, 403, 404, 405, 410])
async def test_a_call_that_the_web_server_turns_away_holds_the_account(session, start, status):
    server = await start(answering(f"{status} No\r\nLocation: /elsewhere", b"<html>"))
    outcome = await outcome_of(session, server.url)
    assert isinstance(outcome, Deferred)
    assert (outcome.reason, outcome.code, outcome.hold) == (Reason.ACCOUNT_FAULT, f"http_{status}", Hold.ACCOUNT)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("", 60),
        ("\r\nRetry-After: 7", 7),
        ("\r\nRetry-After: 0", 0),
        ("\r\nRetry-After: soon", 60),
        ("\r\nRetry-After: 99999999", 86_400),
        ("\r\nRetry-After: 99999999999999999999", 60),
        ("\r\nRetry-After: Mon, 05 Oct 2026 18:01:30 GMT\r\nDate: Mon, 05 Oct 2026 18:00:00 GMT", 90),
        ("\r\nRetry-After: Mon, 05 Oct 2026 17:00:00 GMT\r\nDate: Mon, 05 Oct 2026 18:00:00 GMT", 0),
        ("\r\nRetry-After: Mon, 05 Oct 2026 18:01:30 GMT\r\nDate: Mon, 05 Oct 2026 18:00:00 -0000", 60),
        ("\r\nRetry-After: Mon, 05 Oct 2026 18:01:30 GMT", 60),
    ],
)
async def test_a_429_says_how_long_to_wait(session, start, headers, seconds):
    server = await start(answering(f"429 Too Many Requests{headers}", b"{}"))
    outcome = await outcome_of(session, server.url)
    assert isinstance(outcome, Deferred)
    assert (outcome.reason, outcome.hold, outcome.after) == (Reason.THROTTLED, None, timedelta(seconds=seconds))


async def test_a_4xx_with_json_is_left_to_the_carriers_own_table(session, start):
    server = await start(answering("403 Forbidden", b'{"status":"ip_not_enabled"}'))
    reply = await Caller(session, Deadlines()).post(server.url, form({"m": TEXT}))
    assert (reply.status, reply.json()) == (403, {"status": "ip_not_enabled"})


async def test_an_oversized_answer_is_indeterminate(session, start):
    async def flood(server, reader, writer):
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(LARGEST_ANSWER // 65_536 + 2):
            writer.write(bytes(65_536))
            await writer.drain()

    outcome = await outcome_of(session, (await start(flood)).url)
    assert isinstance(outcome, Indeterminate)
    assert outcome.code == "oversized"


async def test_an_answer_in_latin_letters_is_read(session):
    with aioresponses() as wire:
        wire.post("https://sms.example.com/", body='{"message":"café"}'.encode("cp1252"), response_class=Answered)
        reply = await Caller(session, Deadlines()).post("https://sms.example.com/", form({}))
    assert reply.json() == {"message": "café"}


async def test_a_form_is_multipart_and_keeps_every_byte(session, start):
    text = "  \r\nHello 🙂 – 100% & more=?\n--\n"
    server = await start(answering("200 OK", b"{}"))
    await Caller(session, Deadlines()).post(server.url, form({"message": text, "empty": ""}))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    boundary = head.partition(b"multipart/form-data; boundary=")[2].partition(b"\r\n")[0]
    assert body == (
        b"--%b\r\n" % boundary
        + b'Content-Disposition: form-data; name="message"\r\n\r\n'
        + text.encode()
        + b"\r\n--%b\r\n" % boundary
        + b'Content-Disposition: form-data; name="empty"\r\n\r\n'
        + b"\r\n--%b--\r\n" % boundary
    )


async def test_half_a_character_does_not_stop_a_form():
    assert b"a?b" in await form({"message": "a\ud83db"}).as_bytes()


def test_a_reply_does_not_show_its_body():
    assert "secret" not in repr(Reply(status=200, headers={}, body=b"secret"))


@pytest.mark.parametrize(("connect", "whole"), [(60, 60), (61, 60), (0, 60)])
def test_the_deadline_to_connect_must_come_first(connect, whole):
    with pytest.raises(ValueError, match="must come before"):
        Deadlines(connect=connect, whole=whole)
