"""An address book on a CardDAV server is read when it has changed, and nothing that it answers does harm."""

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from smsbridge.contacts import carddav
from smsbridge.contacts.carddav import Account, Unread, fetch, open_session
from smsbridge.contacts.cards import faces, read
from tests.fakes.radicale import LOOPBACK, PASSWORD, USER, radicale

MUM, BOB = "+15559870002", "+15559870003"


def card(name, number, uid):
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\nTEL:{number}\r\nEND:VCARD\r\n"


@pytest.fixture
async def session():
    async with open_session() as opened:
        yield opened


@pytest.fixture
async def book(tmp_path):
    async with radicale(tmp_path) as made:
        yield made


def account(url, password=PASSWORD):
    return Account(url=url, username=USER, password=password)


async def test_a_real_server_gives_its_cards_once_and_again_when_they_have_changed(session, book):
    await book.put("mum", card("Mum & <Dad> ü", MUM, "1"))
    await book.put("bob", card("Bob", BOB, "2"))
    first = await fetch(session, account(book.url), "")
    found = faces(read(first.cards), "US")
    assert {peer: face.name for peer, face in found.items()} == {MUM: "Mum & <Dad> ü", BOB: "Bob"}
    assert first.tag
    assert await fetch(session, account(book.url), first.tag) is None
    await book.put("bob", card("Robert", BOB, "2"))
    await book.delete("mum")
    second = await fetch(session, account(book.url), first.tag)
    assert {peer: face.name for peer, face in faces(read(second.cards), "US").items()} == {BOB: "Robert"}


async def test_an_empty_book_is_a_book(session, book):
    assert (await fetch(session, account(book.url), "")).cards == b""


async def test_a_wrong_password_and_a_wrong_address_are_told_apart(session, book):
    with pytest.raises(Unread, match="refuses user or password"):
        await fetch(session, account(book.url, "wrong"), "")
    with pytest.raises(Unread, match="there is no address book at this URL"):
        await fetch(session, account(book.url.replace("contacts", "nothing")), "")


@asynccontextmanager
async def answering(*answers):
    """A server that says these bytes, in turn, and no more."""
    left, heard = list(answers), []

    async def serve(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if left:
            writer.write(left.pop(0))
            await writer.drain()
        else:
            await reader.read()  # until the other side has had enough
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    async with server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/book/", heard


def http(body, status="207 Multi-Status", headers=""):
    body = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


CUT_SHORT = (
    '<multistatus xmlns="DAV:"><response><href>/a.vcf</href><propstat><prop/><status>HTTP/1.1 200 OK</status>'
    "</propstat></response><response><href>/</href><status>HTTP/1.1 507 Insufficient Storage</status></response>"
    "</multistatus>"
)
EMPTY = '<multistatus xmlns="DAV:"/>'
BOMB = '<!DOCTYPE m [<!ENTITY a "SECRETSECRET">]><m xmlns="DAV:">&a;</m>'


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([http("SECRET", "200 OK")], "the server answered HTTP 200"),
        ([http("SECRET", "302 Found", "Location: http://SECRET.example.com/\r\n")], "write the address book's own URL"),
        ([http("SECRET", "500 Oh")], "the server answered HTTP 500"),
        ([http("<SECRET")], "is no XML"),
        ([http(EMPTY), http("<a></SECRET>")], "is no XML"),
        ([http(BOMB)], "document type"),
        ([http(EMPTY), http(BOMB)], "document type"),
        ([http(EMPTY), http(CUT_SHORT)], "a part of it only"),
        ([b"SECRET\r\n\r\n"], "cannot be reached"),
        ([b"HTTP/1.1 207 OK\r\nContent-Length: 9\r\n\r\nSECRE"], "cannot be reached"),
    ],
)
async def test_what_is_no_address_book_is_told_and_nothing_of_it_is_quoted(session, answers, words):
    async with answering(*answers) as (url, heard):
        with pytest.raises(Unread, match=words) as unread:
            await fetch(session, account(url), "")
    assert "SECRET" not in str(unread.value)
    assert len(heard) == len(answers)


async def test_an_answer_is_bounded_in_size_and_time(session, monkeypatch):
    monkeypatch.setattr(carddav, "LARGEST", 1000)
    async with answering(http(EMPTY), http("x" * 1001)) as (url, _):
        with pytest.raises(Unread, match="it is larger than"):
            await fetch(session, account(url), "")
    monkeypatch.setattr(carddav, "SECONDS", 0.2)
    async with answering() as (url, _):
        with pytest.raises(Unread, match="did not answer in time"):
            await fetch(session, account(url), "")


async def test_nobody_there_is_told(session):
    with pytest.raises(Unread, match="cannot be reached"):
        await fetch(session, account(f"http://{LOOPBACK}:1/"), "")


def md5(*words):
    return hashlib.md5(":".join(words).encode()).hexdigest()  # noqa: S324


def digest_of(header, method):
    """What a server finds in the answer to its challenge, and what should be there (RFC 7616, 3.4)."""
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', header))
    secret, place = md5(USER, "book", PASSWORD), md5(method, said["uri"])
    return said["response"], md5(secret, "abc", said["nc"], said["cnonce"], "auth", place)


@pytest.mark.parametrize(("password", "is_right"), [(PASSWORD, True), ("wrong", False)])
async def test_a_server_that_asks_for_a_digest_is_given_one(session, password, is_right):
    cards = f'<a xmlns="urn:ietf:params:xml:ns:carddav"><address-data>{card("Mum", MUM, "1")}</address-data></a>'

    async def answer(request):
        header = request.headers.get("Authorization", "")
        if header.startswith("Digest "):
            said, right = digest_of(header, request.method)
            if said == right:
                return web.Response(status=207, text=EMPTY if request.method == "PROPFIND" else cards)
        challenge = 'Digest realm="book", nonce="abc", qop="auth", opaque="x"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    app = web.Application()
    app.router.add_route("*", "/book/", answer)
    async with TestServer(app) as server:
        reading = fetch(session, account(str(server.make_url("/book/")), password), "")
        if is_right:
            assert list(faces(read((await reading).cards), "US")) == [MUM]
        else:
            with pytest.raises(Unread, match="refuses user or password"):
                await reading
