"""The endpoint `/api/v1/rest.php`: one URL for all methods, by GET or by multipart POST.

An urlencoded POST lands in the SOAP handler and comes back as a fault with HTTP 500. A body of any other type is
not read at all, so the method is missing. Every other answer is JSON with HTTP 200, refusals too.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web

from smsbridge.sim.account import Account
from smsbridge.sim.faults import Call, Fault
from smsbridge.sim.ledger import Ledger
from smsbridge.sim.listing import get_media_mms, get_mms, get_sms
from smsbridge.sim.portal import get_balance, get_dids_info, get_ip, set_sms
from smsbridge.sim.sending import send_mms, send_sms
from smsbridge.sim.statuses import Refusal, refused

SOAP_FAULT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
    "<faultcode>SOAP-ENV:Client</faultcode><faultstring>Bad Request</faultstring>"
    "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>\n"
)

Method = Callable[[Mapping[str, str]], dict[str, object]]


class RestEndpoint:
    def __init__(self, account: Account, ledger: Ledger) -> None:
        self.calls: Counter[str] = Counter()
        self._account = account
        self._methods: dict[str, Method] = {
            "sendSMS": partial(send_sms, account, ledger),
            "sendMMS": partial(send_mms, account, ledger),
            "getSMS": partial(get_sms, account, ledger),
            "getMMS": partial(get_mms, account, ledger),
            "getMediaMMS": partial(get_media_mms, account, ledger),
            "getBalance": partial(get_balance, account),
            "getDIDsInfo": partial(get_dids_info, account),
            "setSMS": partial(set_sms, account),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.content_type == "application/x-www-form-urlencoded":
            return web.Response(status=500, text=SOAP_FAULT, content_type="text/xml")
        params = await _params(request)
        call = Call(method=params.get("method", ""), params=params)
        self.calls[call.method] += 1
        faults = self._account.config.faults
        if spoilt := await _spoil(request, faults.before_accept(call)):
            return spoilt
        try:
            answer, accepted = self._carry_out(call, request.remote or ""), True
        except Refusal as refusal:
            answer, accepted = refused(refusal.status), False
        if self._account.config.latency_ms:
            await asyncio.sleep(self._account.config.latency_ms / 1000)
        if accepted and (spoilt := await _spoil(request, faults.after_accept(call))):
            return spoilt
        return web.json_response(answer)

    def _carry_out(self, call: Call, address: str) -> dict[str, object]:
        if not call.method:
            raise Refusal("missing_method")
        if scripted := self._account.scripted_status(call.method):
            raise Refusal(scripted)
        self._account.admit(call.method, call.params, address)
        if call.method == "getIP":
            return get_ip(address)
        if (method := self._methods.get(call.method)) is None:
            raise Refusal("invalid_method")
        return method(call.params)


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


async def _spoil(request: web.Request, fault: Fault | None) -> web.Response | None:
    """Do what the fault says; the answer it puts in place of the true one, if any."""
    if fault is None:
        return None
    await asyncio.sleep(fault.stall_seconds)
    if fault.gate is not None:
        await fault.gate.wait()
    if fault.drop:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # goes nowhere
    if fault.http_status is not None:
        return web.Response(
            status=fault.http_status, text=f"error code: {fault.http_status}", content_type="text/plain"
        )
    return None
