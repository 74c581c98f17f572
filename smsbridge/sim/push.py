"""How the carrier tells its customer about a text: the JSON webhook, the classic URL callback, or both.

The callback is a GET of a template whose variables are percent-encoded; with its retry flag on, the same text comes
again (every 30 minutes in life) until the body is exactly `ok`. The JSON webhook is a POST shaped like Telnyx's;
variables in its URL stay as they are, and nothing shows that it is ever repeated, so that is an option.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from enum import StrEnum
from typing import Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.faults import CALLBACK, WEBHOOK, Fault, Moment, What
from smsbridge.sim.ledger import Acknowledgement, Kind, Ledger, Met, Row
from smsbridge.sim.listing import eastern_stamp

Answer = tuple[int | None, str]  # the status and the body
NO_ANSWER: Answer = (None, "")


class Via(StrEnum):
    WEBHOOK = WEBHOOK
    CALLBACK = CALLBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to the customer; no status: he was not to be reached or did not answer in time."""

    via: Via
    status: int | None
    body: str = ""

    @property
    def satisfied(self) -> bool:
        return self.status == 200 and (self.via is Via.WEBHOOK or self.body == "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One push as HTTP: a POST if it has a body."""

    via: Via
    url: URL
    body: bytes = field(repr=False, default=b"")

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    def padded(self, count: int) -> Self:
        """As much longer as asked, and still right: JSON may end in blanks, a query may have a field nobody reads."""
        if self.body:
            return replace(self, body=self.body + b" " * count)
        return replace(self, url=URL(f"{self.url}&padding={'x' * count}", encoded=True))

    def written(self) -> bytes:
        return self._head(f"Content-Length: {len(self.body)}\r\n" if self.body else "") + self.body

    def written_in_bad_chunks(self) -> bytes:
        return self._head("Transfer-Encoding: chunked\r\n") + b"no length\r\n" + self.body + b"\r\n0\r\n\r\n"

    def in_drops(self) -> list[bytes]:
        """The head at once, the body in twenty pieces; without one the head takes its time."""
        whole = self.written()
        head, slow = whole[: len(whole) - len(self.body)] if self.body else b"", self.body or whole
        size = -(-len(slow) // 20)
        return [piece for piece in (head, *(slow[n : n + size] for n in range(0, len(slow), size))) if piece]

    def _head(self, fields: str) -> bytes:
        kind = "Content-Type: application/json\r\n" if self.body else ""
        return (
            f"{self.method} {self.url.raw_path_qs} HTTP/1.1\r\nHost: {self.url.authority}\r\n{kind}{fields}\r\n"
        ).encode()


@dataclass(slots=True, kw_only=True, eq=False)
class Push:
    """A text on its way to the customer.

    `answered` ends when the carrier is through with it, satisfied or not, and gives the last attempt (None when
    the DID pushes nowhere); the carrier's stop cancels it.
    """

    row: Row
    attempts: list[Attempt] = field(default_factory=list)
    answered: asyncio.Task[Attempt | None] = field(init=False)

    @property
    def id(self) -> int:
        return self.row.id

    @property
    def status(self) -> int | None:
        return self.attempts[-1].status if self.attempts else None

    @property
    def body(self) -> str:
        return self.attempts[-1].body if self.attempts else ""


class Pushes:
    def __init__(self, config: CarrierConfig, ledger: Ledger, session: aiohttp.ClientSession) -> None:
        self._config = config
        self._ledger = ledger
        self._session = session
        self._in_flight = asyncio.Semaphore(config.pushes_in_flight)
        self._tasks: set[asyncio.Task[Attempt | None]] = set()

    def offer(self, row: Row, settings: DidSettings) -> Push:
        push = Push(row=row)
        push.answered = asyncio.create_task(self._carry(push, settings))
        self._tasks.add(push.answered)
        push.answered.add_done_callback(self._tasks.discard)
        return push

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, push: Push, settings: DidSettings) -> Attempt | None:
        row, config = push.row, self._config
        async with asyncio.TaskGroup() as channels:
            if settings.webhook_enabled and settings.webhook:
                body = json.dumps(webhook_body(row, settings)).encode()  # beyond ASCII: \u, emoji as surrogates
                request = Request(via=Via.WEBHOOK, url=URL(settings.webhook), body=body)
                channels.create_task(self._offer_until_satisfied(push, request, config.webhook_interval))
            if settings.sms_url_callback_enabled and settings.sms_url_callback:
                url = URL(callback_url(row, settings, config.unfilled), encoded=True)
                interval = config.callback_interval if settings.sms_url_callback_retry else None
                channels.create_task(self._offer_until_satisfied(push, Request(via=Via.CALLBACK, url=url), interval))
        return push.attempts[-1] if push.attempts else None

    async def _offer_until_satisfied(self, push: Push, request: Request, interval: float | None) -> None:
        while True:
            answers = await self._offer(request)
            for status, body in answers:
                attempt = Attempt(via=request.via, status=status, body=body)
                push.attempts.append(attempt)
                self._ledger.acknowledge(
                    Acknowledgement(
                        kind=push.row.kind, id=push.id, via=attempt.via, status=status, satisfied=attempt.satisfied
                    )
                )
            if any(attempt.satisfied for attempt in push.attempts[-len(answers) :]) or interval is None:
                return
            await asyncio.sleep(interval)

    async def _offer(self, request: Request) -> list[Answer]:
        """One attempt, with what befalls it: an answer for each copy that was made of it."""
        before = await self._meet(Moment.BEFORE_ACCEPT, request)
        if before is not None and before.drop:
            return [NO_ANSWER]
        async with self._in_flight:
            answers = await self._ask(request, before)
        after = await self._meet(Moment.AFTER_ACCEPT, request)
        return [NO_ANSWER] if after is not None and after.drop else answers

    async def _meet(self, moment: Moment, request: Request) -> Fault | None:
        fault = self._config.faults.take(moment, request.via)
        if fault is not None:
            at = self._config.clock().astimezone(UTC)
            self._ledger.meet(Met(method=request.via, fault=str(fault), at=at))
            if fault.what is not What.DRIBBLED:
                await fault.stall()
        return fault

    async def _ask(self, request: Request, fault: Fault | None) -> list[Answer]:
        count = int(fault.amount) if fault is not None else 1
        try:
            async with asyncio.timeout(self._config.push_seconds):
                match fault and fault.what:
                    case What.COPIES:
                        return list(await asyncio.gather(*(self._ask_once(request) for _ in range(count))))
                    case What.PADDED:
                        return [await self._ask_once(request.padded(count))]
                    case What.PIPELINED:
                        return await ask_by_hand(request, [request.written() * count], answers=count)
                    case What.BAD_CHUNKS:
                        return await ask_by_hand(request, [request.written_in_bad_chunks()])
                    case What.DRIBBLED if fault:
                        return await ask_by_hand(request, request.in_drops(), seconds=fault.amount, at_last=fault.stall)
                    case _:
                        return [await self._ask_once(request)]
        except OSError:  # a time-out is one
            return [NO_ANSWER]

    async def _ask_once(self, request: Request) -> Answer:
        headers = {"Content-Type": "application/json"} if request.body else {}
        try:
            async with self._session.request(
                request.method, request.url, data=request.body or None, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, OSError):
            return NO_ANSWER


async def _at_once() -> None:
    """Nothing is waited for."""


async def ask_by_hand(
    request: Request,
    pieces: Sequence[bytes],
    *,
    answers: int = 1,
    seconds: float = 0.0,
    at_last: Callable[[], Awaitable[None]] = _at_once,
) -> list[Answer]:
    """Write the pieces over so many seconds, the last after `at_last`, and read so many answers.

    Raises OSError; plain HTTP only.
    """
    reader, writer = await asyncio.open_connection(request.url.host, request.url.port)
    try:
        with suppress(ConnectionError):  # an answer may have come before all was written
            for left, piece in enumerate(pieces, 1 - len(pieces)):
                if left == 0:
                    await at_last()
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(seconds / len(pieces))
        return [await _read_answer(reader) for _ in range(answers)]
    finally:
        writer.transport.abort()


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        body = await reader.readexactly(int(length[1]) if length else 0)
        return int(head.split(maxsplit=2)[1]), body.decode(errors="replace")
    except (asyncio.IncompleteReadError, ConnectionError):
        return NO_ANSWER


def webhook_body(row: Row, settings: DidSettings) -> dict[str, object]:
    return {
        "data": {
            "id": row.id,
            "event_type": "message.received",
            "record_type": "event",
            "payload": {
                "id": row.id,
                "record_type": "message",
                "type": "SMS" if row.kind is Kind.SMS else "MMS",
                "from": {"phone_number": settings.shown(row.peer)},
                "to": [{"phone_number": settings.shown(row.did), "status": "webhook_delivered"}],
                "text": row.message,
                "media": [{"url": item.url} for item in row.media],
                "received_at": row.at.isoformat(timespec="microseconds"),
            },
        }
    }


def callback_url(row: Row, settings: DidSettings, unfilled: frozenset[str] = frozenset()) -> str:
    urls = [item.url for item in row.media]
    values = {
        "FROM": settings.shown(row.peer),
        "TO": settings.shown(row.did),
        "MESSAGE": row.message,
        "ID": str(row.id),
        "TIMESTAMP": eastern_stamp(row.at),
        # Unused slots keep their comma.
        "MEDIA": ",".join(urls + [""] * (3 - len(urls))) if urls else "",
    }
    url = settings.sms_url_callback
    for name, value in values.items():
        if name not in unfilled:
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
    return url
