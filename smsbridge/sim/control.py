"""`/control/…`: the hand that moves the carrier when it runs as a process of its own. JSON, loopback only.

    POST /control/text    {peer, did, text, media?}   media: "jpeg", "png" or {content_type, base64}
    POST /control/answer  {method, status, times?}
    POST /control/fault   {when, method?, stall_seconds?, drop?, http_status?, times?}
    GET  /control/ledger
    GET  /control/handset?peer=…

With a token configured every request carries it in `X-Control-Token`. A request that makes no sense gets 400.
"""

import base64
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from aiohttp import web

from smsbridge.sim.account import Account, ten_digits
from smsbridge.sim.faults import ANY_METHOD, Fault, FaultPlan, Moment
from smsbridge.sim.ledger import Attachment, Ledger
from smsbridge.sim.pictures import JPEG, PNG
from smsbridge.sim.push import Push

TOKEN_HEADER = "X-Control-Token"

Handler = Callable[[web.Request], Awaitable[web.Response]]


class TextIn(Protocol):
    async def __call__(self, peer: str, did: str, text: str, media: Sequence[Attachment] = ()) -> Push: ...


class Control:
    def __init__(self, account: Account, ledger: Ledger, text_in: TextIn) -> None:
        self._account = account
        self._ledger = ledger
        self._text_in = text_in

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/control/text", self._guarded(self._text)),
            web.post("/control/answer", self._guarded(self._answer)),
            web.post("/control/fault", self._guarded(self._fault)),
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
        push = await self._text_in(asked["peer"], asked["did"], asked["text"], media)
        return web.json_response({"id": push.id, "kind": push.row.kind})

    async def _answer(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        self._account.answer_next(str(asked["method"]), str(asked["status"]), int(asked.get("times", 1)))
        return web.json_response({})

    async def _fault(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        plan = self._account.config.faults
        if not isinstance(plan, FaultPlan):
            raise TypeError("the carrier's faults are not a plan")
        http_status, times = asked.get("http_status"), asked.get("times", 1)
        plan.arm(
            Fault(
                when=Moment(asked["when"]),
                method=str(asked.get("method", ANY_METHOD)),
                stall_seconds=float(asked.get("stall_seconds", 0)),
                drop=bool(asked.get("drop", False)),
                http_status=None if http_status is None else int(http_status),
                times=None if times is None else int(times),
            )
        )
        return web.json_response({})

    async def _show_ledger(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "sent": [row.as_json() for row in self._ledger.sent],
                "received": [row.as_json() for row in self._ledger.received],
                "answered": [item.as_json() for item in self._ledger.answered],
            }
        )

    async def _show_handset(self, request: web.Request) -> web.Response:
        peer = request.query["peer"].replace(" ", "+")  # a plus sign that nobody escaped
        rows = self._ledger.handset(ten_digits(peer) or peer)
        return web.json_response({"handset": [row.as_json() for row in rows]})


def _attachment(item: str | dict[str, str]) -> Attachment:
    if isinstance(item, str):
        return {"jpeg": JPEG, "png": PNG}[item]
    content = base64.b64decode(item["base64"], validate=True)
    return Attachment(content_type=item["content_type"], content=content)
