"""The guarded GET and PUT: the only HTTP that leaves this house, besides the carriers' own.

    the URL ─▶ of a place that is allowed? ─▶ every address public? ─▶ connect to one of those ─▶ so much, so long

Addresses come from carriers and from what users write, so none is believed: https, a host of the list, public
addresses (`addresses`), no proxies, no cookies, nothing unpacked, each redirect looked at like the first. What a file
is, its own first bytes say. Errors hold no address: it lets whoever has it see the picture.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from smsbridge.core.words.say import Phrase, Say
from smsbridge.media.addresses import NotPublic, PublicResolver, is_number
from smsbridge.media.kinds import LOOKED_AT, UNKNOWN, kind_of

LARGEST: Final = 10 * 1024 * 1024
CONNECT: Final = 10.0
MOST_REDIRECTS: Final = 2

_PIECE: Final = 64 * 1024
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({404, 410})
_SHOWN: Final = ("image/", "video/", "audio/")
_HEADERS: Final = frozenset({"authorization", "cookie", "expires"})  # XEP-0363, 5: no others


class Fault(StrEnum):
    """Why a file could not be had or left."""

    URL = "url"
    PLACE = "place"
    ADDRESS = "address"
    REDIRECTED = "redirected"
    UNREACHABLE = "unreachable"
    SLOW = "slow"
    REFUSED = "refused"
    GONE = "gone"
    LARGE = "large"
    EMPTY = "empty"
    PACKED = "packed"
    KIND = "kind"
    FULL = "full"
    NOWHERE = "nowhere"

    @property
    def is_final(self) -> bool:
        """Whether it would be no different later."""
        return self in {Fault.URL, Fault.PLACE, Fault.LARGE, Fault.PACKED, Fault.KIND}

    @property
    def is_lasting(self) -> bool:
        """Whether it would be no different in some minutes."""
        return self.is_final or self in {Fault.GONE, Fault.EMPTY, Fault.ADDRESS, Fault.REDIRECTED}

    @property
    def words(self) -> Phrase:
        """For who waits for the file."""
        return Say[f"WHY_{self.name}"]()


class NotMoved(Exception):
    """The file was neither fetched nor left. `is_honest`: it is where it was said to be, and what its server says."""

    def __init__(self, fault: Fault, *, is_honest: bool = True) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.is_honest = is_honest


@dataclass(frozen=True, slots=True)
class File:
    """What was fetched; `kind` is its media type, from its own bytes."""

    kind: str
    data: bytes = field(repr=False)


def origin_of(url: str) -> str:
    """Scheme, host and port, in one form; raises ValueError for what is not fetched, whoever names it."""
    return str(_parsed(url).origin())


@asynccontextmanager
async def open_courier(
    near: Collection[str] = (), resolver: AbstractResolver | None = None
) -> AsyncIterator["Courier"]:
    """`near` are origins that the administrator has named: they may be at any address, and speak plain HTTP."""
    places = frozenset(origin_of(origin) for origin in near)
    hosts = {(url.raw_host or "", url.port or 0) for url in map(URL, places)}
    connector = aiohttp.TCPConnector(
        resolver=PublicResolver(resolver or ThreadedResolver(), hosts),
        use_dns_cache=False,  # what was looked at is what is connected to
        force_close=True,
        limit=8,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": "smsbridge", "Accept-Encoding": "identity"},
        read_bufsize=_PIECE,
    ) as session:
        yield Courier(session, places)


class Courier:
    """Fetches files, and leaves them where a server has made room."""

    def __init__(self, session: aiohttp.ClientSession, near: Collection[str]) -> None:
        self._session = session
        self._near = frozenset(near)

    async def get(self, url: str, places: Collection[str], *, most: int = LARGEST, seconds: float = 60.0) -> File:
        """The file at a URL of one of these places (origins), of `most` bytes; raises `NotMoved`."""
        way: list[str] = []
        try:
            async with _in_time(seconds):
                return await self._follow(url, places, most, way)
        except NotMoved as refusal:
            refusal.is_honest = refusal.is_honest and not way
            raise

    async def _follow(self, url: str, places: Collection[str], most: int, way: list[str]) -> File:
        """`way` is where it led on to."""
        target = self._checked(url, places)
        for _ in range(MOST_REDIRECTS + 1):
            async with self._session.get(target, allow_redirects=False) as answer:
                if answer.status not in _REDIRECTS:
                    return await _read(answer, most)
                way.append(_onward(target, answer.headers.get("Location", "")))
                target = self._checked(way[-1], places)
        raise NotMoved(Fault.REDIRECTED)

    async def put(
        self, url: str, places: Collection[str], file: File, headers: Mapping[str, str], *, seconds: float = 120.0
    ) -> None:
        """Leave a file there (XEP-0363, 5); raises `NotMoved`."""
        taken = {name: value for name, value in headers.items() if name.lower() in _HEADERS}
        if any(_has_break(value) for value in taken.values()):
            raise NotMoved(Fault.URL)
        async with _in_time(seconds):
            target = self._checked(url, places)
            async with self._session.put(
                target, data=BytesIO(file.data), headers={**taken, "Content-Type": file.kind}, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise NotMoved(Fault.REFUSED)

    def _checked(self, url: str, places: Collection[str]) -> URL:
        """The URL as it is called, and as it was looked at: there is no second reading of it."""
        try:
            target = _parsed(url)
        except ValueError:
            raise NotMoved(Fault.URL) from None
        origin = str(target.origin())
        is_near = origin in self._near
        if not is_near and (target.scheme != "https" or is_number(target.raw_host or "")):
            raise NotMoved(Fault.URL)
        if origin not in places:
            raise NotMoved(Fault.PLACE)
        return target


def _parsed(url: str) -> URL:
    if len(url) > 4096 or _ODD.search(url):
        raise ValueError("not a URL")
    target = URL(url, encoded=True)
    if target.scheme not in {"https", "http"} or not target.raw_host or target.raw_authority.count("@"):
        raise ValueError("not a URL that is fetched")
    if target.raw_host != target.raw_host.lower().rstrip("."):
        raise ValueError("not the usual form of a host")
    return target.with_fragment(None)


def _onward(target: URL, location: str) -> str:
    """Where a redirect leads, as text that is read like any other."""
    if not location or _ODD.search(location):
        raise NotMoved(Fault.REDIRECTED)
    try:
        return str(target.join(URL(location, encoded=True)))
    except ValueError:
        raise NotMoved(Fault.REDIRECTED) from None


async def _read(answer: aiohttp.ClientResponse, most: int) -> File:
    if answer.status in _GONE:
        raise NotMoved(Fault.GONE)
    if answer.status != 200:
        raise NotMoved(Fault.REFUSED)
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise NotMoved(Fault.PACKED)
    if (answer.content_length or 0) > most:
        raise NotMoved(Fault.LARGE)
    data = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        data += piece
        if len(data) > most:
            raise NotMoved(Fault.LARGE, is_honest=False)
    if not data:
        raise NotMoved(Fault.EMPTY)
    kind = kind_of(bytes(data[: 2 * LOOKED_AT]))
    if kind == UNKNOWN:
        raise NotMoved(Fault.KIND, is_honest=not answer.content_type.startswith(_SHOWN))
    return File(kind, bytes(data))


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """aiohttp's own errors quote URLs."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise NotMoved(Fault.SLOW) from None
    except aiohttp.ClientConnectorError as error:
        is_private = isinstance(error.os_error, NotPublic)
        raise NotMoved(Fault.ADDRESS if is_private else Fault.UNREACHABLE) from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise NotMoved(Fault.UNREACHABLE) from None


def _has_break(value: str) -> bool:
    return any(sign < " " or sign == "\x7f" for sign in value)
