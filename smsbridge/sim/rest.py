"""The endpoint `/api/v1/rest.php`: one URL for all methods, by GET or by multipart POST.

An urlencoded POST lands in the SOAP handler and comes back as a fault with HTTP 500. A body of any other type is
not read at all, so the method is missing. Every other answer is JSON with HTTP 200, refusals too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from smsbridge.sim.account import Account
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.ledger import Called, Kind, Ledger, Met
from smsbridge.sim.listing import View, get_media_mms, get_mms, get_sms
from smsbridge.sim.portal import get_balance, get_dids_info, get_ip, set_sms
from smsbridge.sim.sending import send_mms, send_sms
from smsbridge.sim.statuses import Refusal, refused

SOAP_FAULT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
    "<faultcode>SOAP-ENV:Client</faultcode><faultstring>Bad Request</faultstring>"
    "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>\n"
)
HTML_PAGE = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body></body></html>\n"

Params = Mapping[str, str]
Answer = dict[str, object]


class RestEndpoint:
    def __init__(self, account: Account, ledger: Ledger) -> None:
        self.calls: Counter[str] = Counter()
        self._account = account
        self._ledger = ledger
        self._late: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.content_type == "application/x-www-form-urlencoded":
            return web.Response(status=500, text=SOAP_FAULT, content_type="text/xml")
        params = await _params(request)
        method, address = params.get("method", ""), request.remote or ""
        self.calls[method] += 1
        self._ledger.called.append(
            Called(
                method=method,
                at=self._account.now(),
                peer=params.get("dst", params.get("contact", "")),
                message=params.get("message", ""),
            )
        )
        before = await self._meet(Moment.BEFORE_ACCEPT, method, params)
        if before is not None:
            if before.what is What.LATE:
                self._carry_out_late(before.amount, method, params, address)
            if spoilt := await self._spoil(request, before, {"status": "success"}):
                return spoilt
        try:
            answer, accepted = self._carry_out(method, params, address, before), True
        except Refusal as refusal:
            answer, accepted = refused(refusal.status), False
        if self._account.config.latency_ms:
            await asyncio.sleep(self._account.config.latency_ms / 1000)
        after = await self._meet(Moment.AFTER_ACCEPT, method, params) if accepted else None
        if after is not None and (spoilt := await self._spoil(request, after, answer)):
            return spoilt
        return web.json_response(answer)

    async def close(self) -> None:
        """What was to be carried out late is not any more."""
        for task in (late := tuple(self._late)):
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _meet(self, moment: Moment, method: str, params: Params) -> Fault | None:
        """The fault of this call at this moment, written down and waited for."""
        fault = self._account.config.faults.take(moment, method)
        if fault is not None:
            met = Met(method=method, fault=str(fault), at=self._account.now(), peer=params.get("dst", ""))
            self._ledger.meet(met)
            await fault.stall()
        return fault

    def _carry_out_late(self, seconds: float, method: str, params: Params, address: str) -> None:
        async def carry_out() -> None:
            await asyncio.sleep(seconds)
            try:
                self._carry_out(method, params, address, None)
            except Refusal:
                return  # there is nobody to tell

        task = asyncio.create_task(carry_out())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _carry_out(self, method: str, params: Params, address: str, fault: Fault | None) -> Answer:
        account, ledger = self._account, self._ledger
        if not method:
            raise Refusal("missing_method")
        if fault is not None and fault.what is What.REFUSED:
            raise Refusal(fault.status)
        account.admit(method, params, address)
        match method:
            case "getIP":
                return get_ip(address)
            case "sendSMS":
                return send_sms(account, ledger, params)
            case "sendMMS":
                return send_mms(account, ledger, params)
            case "getSMS":
                return get_sms(account, ledger, params, _view(fault))
            case "getMMS":
                return get_mms(account, ledger, params, _view(fault))
            case "getMediaMMS":
                return get_media_mms(account, ledger, params)
            case "getBalance":
                return get_balance(account, params)
            case "getDIDsInfo":
                return get_dids_info(account, params)
            case "setSMS":
                return set_sms(account, params)
            case _:
                raise Refusal("invalid_method")

    async def _spoil(self, request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse | None:
        """The answer that a fault puts in place of the true one, if any."""
        if fault.drop:
            return _hang_up(request)
        if fault.http_status is not None:
            words = f"error code: {fault.http_status}"
            return web.Response(status=fault.http_status, text=words, content_type="text/plain")
        match fault.what:
            case What.HTML:
                return web.Response(text=HTML_PAGE, content_type="text/html")
            case What.EMPTY:
                return web.Response()
            case What.TRUNCATED:
                return web.Response(body=_half(answer), content_type="application/json")
            case What.CUT:
                return await _cut(request, answer)
            case What.SAME_ID | What.ZERO_ID | What.EMPTY_ID | What.NO_ID:
                return web.json_response(self._with_another_id(answer, fault.what))
            case _:
                return None

    def _with_another_id(self, answer: Answer, what: What) -> Answer:
        name = next((kind for kind in Kind if kind in answer), None)
        if name is None:
            return answer
        others = {key: value for key, value in answer.items() if key != name}
        match what:
            case What.ZERO_ID:
                return {**others, name: 0}
            case What.EMPTY_ID:
                return {**others, name: ""}
            case What.SAME_ID:
                given = [row.id for row in self._ledger.sent if row.kind is name]
                return {**others, name: given[max(0, len(given) - 2)]}
            case _:
                return others


async def _params(request: web.Request) -> dict[str, str]:
    params = dict(request.query)
    if request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            # A part with a file name is a file to the carrier, never a parameter.
            if isinstance(value, str):
                params[name] = value
            elif isinstance(value, bytes | bytearray):
                params[name] = value.decode(errors="replace")
    return params


def _view(fault: Fault | None) -> View:
    match fault and fault.what:
        case What.LAG if fault:
            return View(lag_seconds=fault.amount)
        case What.SHORT if fault:
            return View(most_rows=int(fault.amount))
        case What.ZONE if fault:
            return View(hours_off=fault.amount)
        case _:
            return View()


def _half(answer: Answer) -> bytes:
    whole = json.dumps(answer).encode()
    return whole[: len(whole) // 2]


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(json.dumps(answer))
    await response.prepare(request)
    await response.write(_half(answer))
    if request.transport is not None:
        request.transport.close()  # what was written arrives, and then nothing
    return response


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere
