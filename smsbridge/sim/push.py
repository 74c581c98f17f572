"""How the carrier tells its customer about a text: the JSON webhook, the classic URL callback, or both.

The callback is a GET of a template whose variables are percent-encoded; with its retry flag on, the same text comes
again (every 30 minutes in life) until the body is exactly `ok`. The JSON webhook is a POST shaped like Telnyx's;
variables in its URL stay as they are, and nothing shows that it is ever repeated, so that is an option.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

import aiohttp
from yarl import URL

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.ledger import Acknowledgement, Kind, Ledger, Row
from smsbridge.sim.listing import eastern_stamp


class Via(StrEnum):
    WEBHOOK = "webhook"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to the customer; no status: he was not to be reached or did not answer in time."""

    via: Via
    status: int | None
    body: str = ""

    @property
    def satisfied(self) -> bool:
        return self.status == 200 and (self.via is Via.WEBHOOK or self.body == "ok")


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
        async with asyncio.TaskGroup() as channels:
            if settings.webhook_enabled and settings.webhook:
                channels.create_task(
                    self._offer_until_satisfied(
                        push, Via.WEBHOOK, self._config.webhook_interval, lambda: self._post(push.row, settings)
                    )
                )
            if settings.sms_url_callback_enabled and settings.sms_url_callback:
                interval = self._config.callback_interval if settings.sms_url_callback_retry else None
                channels.create_task(
                    self._offer_until_satisfied(push, Via.CALLBACK, interval, lambda: self._get(push.row, settings))
                )
        return push.attempts[-1] if push.attempts else None

    async def _offer_until_satisfied(
        self, push: Push, via: Via, interval: float | None, ask: Callable[[], Awaitable[tuple[int, str]]]
    ) -> None:
        while True:
            async with self._in_flight:
                try:
                    async with asyncio.timeout(self._config.push_seconds):
                        status, body = await ask()
                    attempt = Attempt(via=via, status=status, body=body)
                except (aiohttp.ClientError, OSError):  # a time-out is an OSError
                    attempt = Attempt(via=via, status=None)
            push.attempts.append(attempt)
            row = push.row
            self._ledger.acknowledge(
                Acknowledgement(kind=row.kind, id=row.id, via=via, status=attempt.status, satisfied=attempt.satisfied)
            )
            if attempt.satisfied or interval is None:
                return
            await asyncio.sleep(interval)

    async def _post(self, row: Row, settings: DidSettings) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"}
        body = json.dumps(webhook_body(row, settings)).encode()  # beyond ASCII: \u escapes, emoji as surrogates
        async with self._session.post(settings.webhook, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, await response.text(errors="replace")

    async def _get(self, row: Row, settings: DidSettings) -> tuple[int, str]:
        url = URL(callback_url(row, settings, self._config.unfilled), encoded=True)
        async with self._session.get(url, allow_redirects=False) as response:
            return response.status, await response.text(errors="replace")


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
