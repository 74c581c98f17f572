"""An address book on a CardDAV server (RFC 6352): has it changed, and if so, all of it.

    PROPFIND, Depth 0 ─▶ its tag (getctag, else sync-token) ─ the same: nothing more
                                                            └ another, or none: REPORT addressbook-query ─▶ vCards

The URL is the administrator's and is called as it stands: no redirect is followed, and the password goes nowhere else.
It is said as Basic has it, and as Digest to a server that asks for that (Baïkal, unless it is told otherwise).
Answers are bounded and read by a parser that takes no document type. No error quotes what was answered.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

import aiohttp

LARGEST: Final = 32 * 1024 * 1024  # bytes of an answer
SECONDS: Final = 120.0
CONNECT: Final = 10.0
_DAV, _CARDDAV, _CS = "DAV:", "urn:ietf:params:xml:ns:carddav", "http://calendarserver.org/ns/"
TAGS: Final = (f"{_CS} getctag", f"{_DAV} sync-token")
STATUS: Final = f"{_DAV} status"
DATA: Final = f"{_CARDDAV} address-data"
_WHICH: Final = f'<propfind xmlns="{_DAV}"><prop><sync-token/><getctag xmlns="{_CS}"/></prop></propfind>'
_ALL: Final = (
    f'<C:addressbook-query xmlns:C="{_CARDDAV}" xmlns="{_DAV}"><prop><getetag/><C:address-data/></prop>'
    "<C:filter/></C:addressbook-query>"
)


class Unread(Exception):
    """The address book could not be had; the text says why, for the administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where it is, and who asks ("" for nobody)."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """All cards, and what the book is known by; "" where the server says nothing of it."""

    cards: bytes = field(repr=False)
    tag: str


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """For all address books; each call is a connection of its own."""
    timeout = aiohttp.ClientTimeout(total=SECONDS, connect=CONNECT)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=timeout,
        headers={"User-Agent": "smsbridge"},
    ) as session:
        yield session


async def fetch(session: aiohttp.ClientSession, account: Account, known: str) -> Fetched | None:
    """The book, None if it is as it was when it had the tag `known` ("" never was). Raises `Unread`."""
    told = texts(await _call(session, account, "PROPFIND", _WHICH, depth=0), TAGS)
    tag = next((tag for name in TAGS for tag in told[name]), "")
    if tag and tag == known:
        return None
    found = texts(await _call(session, account, "REPORT", _ALL, depth=1), (DATA, STATUS))
    if any(status.split()[1:2] == ["507"] for status in found[STATUS]):  # RFC 6352, 8.6.2: there is more
        raise Unread("the server gives a part of it only (HTTP 507): whoever is in the rest would lose his name")
    return Fetched(cards="\n".join(found[DATA]).encode(), tag=tag)


def texts(data: bytes, wanted: tuple[str, ...]) -> dict[str, list[str]]:
    """What these elements (namespace, blank, name) contain, by name, if anything. Raises `Unread`."""
    reader = _Reader(wanted)
    reader.read(data)
    return {name: list(filter(None, found)) for name, found in reader.found.items()}


async def _call(session: aiohttp.ClientSession, account: Account, method: str, body: str, *, depth: int) -> bytes:
    headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": str(depth)}
    logins = []
    if account.username:  # RFC 7617, 7616
        pair = f"{account.username}:{account.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        logins.append(aiohttp.DigestAuthMiddleware(account.username, account.password, preemptive=False))
    try:
        async with (
            asyncio.timeout(SECONDS),
            session.request(
                method, account.url, data=f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode(), headers=headers,
                allow_redirects=False, middlewares=logins,
            ) as answer,
        ):  # fmt: skip
            if answer.status != 207:  # RFC 4918, 11.1: multi-status
                raise Unread(_words(answer.status))
            found = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                found += piece
                if len(found) > LARGEST:
                    raise Unread(f"it is larger than {LARGEST >> 20} MiB")
            return bytes(found)
    except TimeoutError:
        raise Unread("the server did not answer in time") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unread(f"the server cannot be reached ({type(error).__name__})") from None


def _words(status: int) -> str:
    if status in {401, 403}:
        return f"the server refuses user or password (HTTP {status})"
    if 300 <= status < 400:
        return f"the server sends us elsewhere (HTTP {status}): write the address book's own URL"
    if status in {404, 405, 501}:
        return f"there is no address book at this URL (HTTP {status})"
    return f"the server answered HTTP {status}"


class _Reader:
    """Expat, shut: no document type, no entity of anybody's."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        self.found: dict[str, list[str]] = {name: [] for name in wanted}
        self._inside: list[str] | None = None
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        self._parser.buffer_text = True

    def read(self, data: bytes) -> None:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError:
            raise Unread("the server's answer is no XML") from None

    def _start(self, name: str, _attributes: object) -> None:
        if name in self.found:
            self._inside = []

    def _end(self, name: str) -> None:
        if name in self.found and self._inside is not None:
            self.found[name].append("".join(self._inside).strip())
            self._inside = None

    def _text(self, text: str) -> None:
        if self._inside is not None:
            self._inside.append(text)

    def _refuse(self, *_: object) -> None:
        raise Unread("the server's answer has a document type, which is not read")
