"""One call to a carrier: its deadlines, and what it means when it breaks. Once for all carriers.

What decides is whether the request can have left this machine, and whether an answer says that it was turned away:

    refused, DNS, TLS, not connected in time          it never left      Deferred(PROVIDER_DOWN)
    429                                               turned away        Deferred(THROTTLED, after)
    301, 307, 308; 401, 403, 404, 405, 410 sans JSON  turned away        Deferred(ACCOUNT_FAULT), all must wait
    time-out, reset, cut or oversized answer, no JSON, any other status  Indeterminate

A 4xx with a JSON body is handed to the carrier's own table. 302 and 303 are not in the third row: a server that has
carried out a POST may answer so. In an `open_session` every call has a connection of its own, because one that was
kept may be dropped by the server while we write, and a text that never left would have to count as unknown. Only
POST: aiohttp repeats a GET or PUT by itself. Its exceptions quote URLs, so ours replace them (`from None`) and hold
neither URL nor body.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Final

import aiohttp
from aiohttp.payload import BytesIOPayload, BytesPayload, Payload

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason
from smsbridge.core.text import decode
from smsbridge.core.words.say import Phrase, Say
from smsbridge.failpoints import failpoint

LARGEST_ANSWER: Final = 8 * 1024 * 1024
RETRY_AFTER: Final = timedelta(seconds=60)  # where a 429 does not say
_AT_ONCE: Final = 64 * 1024
LONGEST_RETRY_AFTER: Final = timedelta(days=1)

# aiohttp raises these only before it has a connection to write to
_NEVER_LEFT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_MOVED: Final = frozenset({301, 307, 308})
_TURNED_AWAY: Final = frozenset({401, 403, 404, 405, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds until connected, and for the whole call; a time-out of the latter proves that a connection was there."""

    connect: float = 10.0
    whole: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.connect < self.whole:
            raise ValueError("the deadline to connect must come before that of the whole call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with status 2xx or 4xx (never 429)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> object:
        """The body as JSON; raises what an answer of this status without JSON means."""
        try:
            answer: object = json.loads(decode(self.body))
        except (ValueError, RecursionError):
            raise _speechless(self.status) from None
        return answer


class Caller:
    """Calls a carrier; does not repeat, does not follow redirects, does not log."""

    def __init__(self, session: aiohttp.ClientSession, deadlines: Deadlines) -> None:
        self._session = session
        self._whole = deadlines.whole
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=deadlines.connect, sock_connect=deadlines.connect, sock_read=None
        )

    def within(self, deadlines: Deadlines) -> "Caller":
        """The same way out, with other deadlines."""
        return Caller(self._session, deadlines)

    async def post(self, url: str, body: Payload) -> Reply:
        """Raises `Deferred` or `Indeterminate` after the table above."""
        try:
            failpoint("http.calling", OSError)
            async with (
                asyncio.timeout(self._whole),
                self._session.post(
                    url,
                    data=body,
                    timeout=self._timeout,
                    allow_redirects=False,
                    raise_for_status=False,
                ) as response,
            ):
                return await _read(response)
        except _NEVER_LEFT:
            raise Deferred(Reason.PROVIDER_DOWN, "unreachable", Say.CARRIER_DOWN()) from None
        except TimeoutError:
            raise Indeterminate("timeout") from None
        except (aiohttp.ClientError, OSError):
            raise Indeterminate("reset") from None


def open_session() -> aiohttp.ClientSession:
    """The session for calls to carriers; the caller closes it.

    A `Connection: close` header of ours would not do: aiohttp keeps the connection unless the answer has one, too.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar())


def form(fields: Mapping[str, str]) -> aiohttp.MultipartWriter:
    """`multipart/form-data` as a browser writes it; aiohttp's own FormData without a file goes out urlencoded."""
    writer = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        # aiohttp writes a large BytesPayload at once, and warns of it
        part: Payload = BytesPayload(data) if len(data) <= _AT_ONCE else BytesIOPayload(BytesIO(data))
        part.headers.clear()
        part.set_content_disposition("form-data", name=name)
        writer.append_payload(part)
    return writer


async def _read(response: aiohttp.ClientResponse) -> Reply:
    failpoint("http.answered", OSError)
    if not _is_worth_reading(response.status):
        raise _refusal(response.status, response.headers)
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise Indeterminate("oversized")
    return Reply(status=response.status, headers=response.headers, body=bytes(body))


def _is_worth_reading(status: int) -> bool:
    return 200 <= status < 300 or (400 <= status < 500 and status != 429)


def _refusal(status: int, headers: Mapping[str, str]) -> Outcome:
    if status == 429:
        return Deferred(
            Reason.THROTTLED,
            "http_429",
            Say.CARRIER_BUSY(),
            after=_retry_after(headers),
        )
    if status in _MOVED:
        return _account_fault(status, Say.CARRIER_MOVED())
    return Indeterminate(f"http_{status}")


def _speechless(status: int) -> Outcome:
    if status in _TURNED_AWAY:
        return _account_fault(status, Say.CARRIER_REFUSES_US())
    return Indeterminate("no_json" if status < 300 else f"http_{status}")


def _account_fault(status: int, words: Phrase) -> Deferred:
    return Deferred(Reason.ACCOUNT_FAULT, f"http_{status}", words, hold=Hold.ACCOUNT)


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    """RFC 9110, 10.2.3: seconds, or a date, which is measured by the server's own `Date`."""
    written = headers.get("Retry-After", "")
    try:
        if written.isdecimal():
            wait = timedelta(seconds=int(written))
        else:
            wait = parsedate_to_datetime(written) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):  # TypeError: only one of the dates names its zone
        return RETRY_AFTER
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)
