"""`/control/…`: the hand that moves the carrier when it runs as a process of its own. JSON, loopback only.

    POST   /control/text    {peer, did, text, media?}   media: "jpeg", "png" or {content_type, base64}
    POST   /control/portal  {peer, did, text, media?}   the customer texts by hand, in the portal
    POST   /control/again   {kind, id, text?, new_id?}  a text that came in is told once more, changed or not
    POST   /control/answer  {method, status, times?}
    POST   /control/fault   {when, method?, skip?, times?, share?, stall_seconds?, drop?, http_status?, what?, amount?,
                            status?}                    see `smsbridge.sim.faults`
    DELETE /control/fault                               all of them
    POST   /control/away    {seconds}                   refuse connections for so long
    GET    /control/ledger                              with the faults that were met, and the seed of their chance
    GET    /control/handset?peer=…

With a token configured every request carries it in `X-Control-Token`. A request that makes no sense gets 400.
"""

import asyncio
import base64
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol

from aiohttp import web

from smsbridge.sim.account import Account, ten_digits
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.ledger import Attachment, Direction, Kind, Ledger, Row
from smsbridge.sim.pictures import JPEG, PNG
from smsbridge.sim.push import Push

TOKEN_HEADER = "X-Control-Token"

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Moved(Protocol):
    """The carrier, as far as this hand reaches."""

    def push(self, row: Row) -> Push: ...

    def away(self) -> AbstractAsyncContextManager[None]: ...

    async def text_in(self, peer: str, did: str, text: str, media: Sequence[Attachment] = ()) -> Push: ...

    def text_out(self, peer: str, did: str, text: str, media: Sequence[Attachment] = ()) -> Row: ...


class Control:
    def __init__(self, account: Account, ledger: Ledger, carrier: Moved) -> None:
        self._account = account
        self._ledger = ledger
        self._carrier = carrier
        self._absence: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/control/text", self._guarded(self._text)),
            web.post("/control/portal", self._guarded(self._portal)),
            web.post("/control/again", self._guarded(self._again)),
            web.post("/control/answer", self._guarded(self._answer)),
            web.post("/control/fault", self._guarded(self._fault)),
            web.delete("/control/fault", self._guarded(self._mend)),
            web.post("/control/away", self._guarded(self._away)),
            web.get("/control/ledger", self._guarded(self._show_ledger)),
            web.get("/control/handset", self._guarded(self._show_handset)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.Response:
            token = self._account.config.control_token
            if request.remote is None or not ipaddress.ip_address(request.remote).is_loopback:
                raise web.HTTPForbidden
            offered = request.headers.get(TOKEN_HEADER, "")
            if token is not None and not hmac.compare_digest(offered.encode(), token.encode()):
                raise web.HTTPForbidden
            try:
                return await handler(request)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

        return guard

    async def _text(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        media = [_attachment(item) for item in asked.get("media", [])]
        push = await self._carrier.text_in(asked["peer"], asked["did"], asked["text"], media)
        return web.json_response({"id": push.id, "kind": push.row.kind})

    async def _portal(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        media = [_attachment(item) for item in asked.get("media", [])]
        row = self._carrier.text_out(asked["peer"], asked["did"], asked["text"], media)
        return web.json_response({"id": row.id, "kind": row.kind})

    async def _answer(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        self._account.answer_next(str(asked["method"]), str(asked["status"]), int(asked.get("times", 1)))
        return web.json_response({})

    async def _again(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        row = self._ledger.row_of(Kind(asked["kind"]), int(asked["id"]))
        if row is None or row.direction is not Direction.RECEIVED:
            raise ValueError("no such text came in")
        push = self._carrier.push(
            replace(row, message=str(asked.get("text", row.message)), id=int(asked.get("new_id", row.id)))
        )
        return web.json_response({"id": push.id, "kind": push.row.kind})

    async def _fault(self, request: web.Request) -> web.Response:
        self._account.config.faults.arm(_fault(await request.json()))
        return web.json_response({})

    async def _mend(self, request: web.Request) -> web.Response:
        self._account.config.faults.clear()
        return web.json_response({})

    async def _away(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        self._absence = asyncio.create_task(self._be_away(float(asked["seconds"])))
        return web.json_response({})

    async def _be_away(self, seconds: float) -> None:
        async with self._carrier.away():
            await asyncio.sleep(seconds)

    async def _show_ledger(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "sent": [row.as_json() for row in self._ledger.sent],
                "received": [row.as_json() for row in self._ledger.received],
                "answered": [item.as_json() for item in self._ledger.answered],
                "met": [item.as_json() for item in self._ledger.met],
                "seed": self._account.config.faults.seed,
            }
        )

    async def _show_handset(self, request: web.Request) -> web.Response:
        peer = request.query["peer"].replace(" ", "+")  # a plus sign that nobody escaped
        rows = self._ledger.handset(ten_digits(peer) or peer)
        return web.json_response({"handset": [row.as_json() for row in rows]})


def _fault(asked: dict[str, Any]) -> Fault:
    """Raises ValueError or TypeError for what makes no sense, an unknown word among it."""
    readers: dict[str, Callable[[Any], Any]] = {
        "when": Moment, "method": str, "skip": int, "times": int, "share": float, "stall_seconds": float, "drop": bool,
        "http_status": int, "what": What, "amount": float, "status": str,
    }  # fmt: skip
    if unknown := asked.keys() - readers.keys():
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    read: dict[str, Any] = {name: None if value is None else readers[name](value) for name, value in asked.items()}
    return Fault(**read)


def _attachment(item: str | dict[str, str]) -> Attachment:
    if isinstance(item, str):
        return {"jpeg": JPEG, "png": PNG}[item]
    content = base64.b64decode(item["base64"], validate=True)
    return Attachment(content_type=item["content_type"], content=content)
