"""The carrier in a box: a VoIP.ms to talk to when there is none, on loopback, as strict and as odd as the real one.

It takes texts for pretended telephones, sends texts from them, hosts their pictures, keeps the ledger of what really
happened and misbehaves on request. It shares no code with our own VoIP.ms client, so that the two can disagree.
Tests hold it in-process (`Carrier.start`); as a process of its own (`python -m smsbridge.sim.carrier`) it prints one
JSON line with its `url` and `port` and ends on SIGTERM.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, cast

import aiohttp
from aiohttp import web

from smsbridge.sim.account import Account, CarrierConfig, DidSettings, ten_digits
from smsbridge.sim.control import Control
from smsbridge.sim.faults import CONNECTION, FaultPlan, Moment
from smsbridge.sim.ledger import Attachment, Direction, Kind, Ledger, Met, Row
from smsbridge.sim.ports import LOOPBACK, free_port
from smsbridge.sim.push import Push, Pushes
from smsbridge.sim.rest import RestEndpoint

PORTAL = "portal"  # in place of a method: what the customer sent by hand
LARGEST_REQUEST = 16 * 1024 * 1024
GRACE_SECONDS = 0.1  # a call that stalls when the carrier stops is cut off


class _HungUp(asyncio.Protocol):
    """A connection that is closed before anything is read of it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class Carrier:
    """Use `start`; `url` is its root, `api_url` what a VoIP.ms client is given."""

    def __init__(self, config: CarrierConfig) -> None:
        self.config = config
        self.account = Account(config)
        self.ledger = Ledger(first_sms_id=config.first_sms_id, first_mms_id=config.first_mms_id, journal=config.journal)
        self._rest = RestEndpoint(self.account, self.ledger)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=config.push_seconds))
        self._pushes = Pushes(config, self.ledger, self._session)
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=GRACE_SECONDS)
        self._socket: asyncio.Server | None = None
        self._port = config.port or free_port()  # it may be away, and come back there

    @classmethod
    async def start(cls, config: CarrierConfig) -> Self:
        carrier = cls(config)
        try:
            await carrier._runner.setup()
            await carrier._listen()
        except BaseException:
            await carrier.stop()
            raise
        carrier.account.url = f"http://{LOOPBACK}:{carrier.port}"
        return carrier

    async def stop(self) -> None:
        await self._pushes.close()
        if self._socket is not None:
            self._socket.close()
        await self._runner.cleanup()
        await self._rest.close()
        await self._session.close()
        self.ledger.close()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """For as long as this lasts every new connection is refused, as by a machine where nothing listens."""
        if self._socket is not None:
            self._socket.close()
        try:
            yield
        finally:
            if self._runner.server is not None:  # it may have stopped meanwhile
                await self._listen()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return self.account.url

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v1/rest.php"

    @property
    def calls(self) -> Counter[str]:
        """How often each method was called, refused and spoilt calls included."""
        return self._rest.calls

    def answer_next(self, method: str, status: str, times: int = 1) -> None:
        """Answer the next calls of a method (`*`: of any) with this status, doing nothing."""
        self.account.answer_next(method, status, times)

    def handset(self, peer: str) -> list[Row]:
        return self.ledger.handset(ten_digits(peer) or peer)

    def push(self, row: Row) -> Push:
        """Tell the customer of a row: once more, or with another text, or under another id, as the caller likes.

        The ledger takes no note of it: nobody has sent a text.
        """
        return self._pushes.offer(row, self.account.dids[row.did])

    async def text_in(
        self, peer: str, did: str, text: str, media: Sequence[Attachment] = (), kind: Kind | None = None
    ) -> Push:
        """A telephone texts one of the customer's numbers; `await push.answered` to learn what he said.

        `kind` follows from the media unless given. Raises ValueError for a DID that takes no texts.
        """
        settings = self.account.dids.get(ten_digits(did) or "")
        if settings is None or not settings.sms_enabled:
            raise ValueError("not a did with sms")
        kind = kind or (Kind.MMS if media else Kind.SMS)
        number = self.ledger.next_id(kind)
        row = Row(
            id=number,
            kind=kind,
            direction=Direction.RECEIVED,
            did=settings.did,
            peer=ten_digits(peer) or peer,
            message=text,
            media=tuple(self.account.host(item, number, part) for part, item in enumerate(media)),
            at=self.account.now(),
            method="text_in",
        )
        self.ledger.record(row)
        return self._pushes.offer(row, settings)

    def text_out(
        self, peer: str, did: str, text: str, media: Sequence[Attachment] = (), kind: Kind | None = None
    ) -> Row:
        """The customer texts from the portal; it is listed, and nobody is told. Raises ValueError for another DID."""
        settings = self.account.dids.get(ten_digits(did) or "")
        if settings is None:
            raise ValueError("not a did of this account")
        kind = kind or (Kind.MMS if media else Kind.SMS)
        number = self.ledger.next_id(kind)
        row = Row(
            id=number,
            kind=kind,
            direction=Direction.SENT,
            did=settings.did,
            peer=ten_digits(peer) or peer,
            message=text,
            media=tuple(self.account.host(item, number, part) for part, item in enumerate(media)),
            at=self.account.now(),
            method=PORTAL,
        )
        self.ledger.record(row)
        return row

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.add_routes(
            [
                web.get("/api/v1/rest.php", self._rest.answer, allow_head=False),
                web.post("/api/v1/rest.php", self._rest.answer),
                web.get("/media/{token}/{name}", self._show_media),
                *Control(self.account, self.ledger, self).routes(),
            ]
        )
        return app

    async def _listen(self) -> None:
        self._socket = await asyncio.get_running_loop().create_server(self._connected, LOOPBACK, self._port)

    def _connected(self) -> asyncio.BaseProtocol:
        fault = self.config.faults.take(Moment.BEFORE_ACCEPT, CONNECTION)
        if fault is None and self._runner.server is not None:
            return self._runner.server()
        if fault is not None:
            self.ledger.meet(Met(method=CONNECTION, fault=str(fault), at=self.account.now()))
        return _HungUp()

    async def _show_media(self, request: web.Request) -> web.Response:
        item = self.account.hosted.get(request.match_info["token"])
        if item is None:
            raise web.HTTPNotFound
        return web.Response(body=item.content, content_type=item.content_type)


def arguments() -> argparse.ArgumentParser:
    usual = CarrierConfig()
    parser = argparse.ArgumentParser(prog="python -m smsbridge.sim.carrier", description="a pretended VoIP.ms")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--did", action="append", required=True, dest="dids", help="may be repeated")
    parser.add_argument("--webhook", default="", help="where texts are posted as JSON")
    parser.add_argument("--webhook-retry", type=float, default=None, metavar="SECONDS", help="post until 200")
    parser.add_argument("--callback", default="", help="a template with {FROM} {TO} {MESSAGE} {ID} …")
    parser.add_argument("--callback-retry", type=float, default=None, metavar="SECONDS", help="ask until ok")
    parser.add_argument("--username", default=usual.username)
    parser.add_argument("--password", default=usual.password)
    parser.add_argument("--quota", type=int, default=None, help="texts a day; without it no limit")
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--first-sms-id", type=int, default=usual.first_sms_id)
    parser.add_argument("--first-mms-id", type=int, default=usual.first_mms_id)
    parser.add_argument("--seed", type=int, default=0, help="of the chance in faults and of the loose types")
    parser.add_argument("--journal", type=Path, default=None, help="append the ledger here, line by line")
    parser.add_argument("--control-token", default=None)
    return parser


def config_of(options: argparse.Namespace) -> CarrierConfig:
    callback_interval = options.callback_retry
    return CarrierConfig(
        dids=tuple(
            DidSettings(
                did=did,
                webhook=options.webhook,
                webhook_enabled=bool(options.webhook),
                sms_url_callback=options.callback,
                sms_url_callback_enabled=bool(options.callback),
                sms_url_callback_retry=callback_interval is not None,
            )
            for did in options.dids
        ),
        port=options.port,
        username=options.username,
        password=options.password,
        daily_quota=options.quota,
        latency_ms=options.latency_ms,
        first_sms_id=options.first_sms_id,
        first_mms_id=options.first_mms_id,
        seed=options.seed,
        faults=FaultPlan(seed=options.seed),
        webhook_interval=options.webhook_retry,
        callback_interval=callback_interval if callback_interval is not None else 1800.0,
        journal=options.journal,
        control_token=options.control_token,
    )


async def serve(config: CarrierConfig) -> None:
    """Run until SIGTERM or SIGINT."""
    told_to_stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told_to_stop.set)
    carrier = await Carrier.start(config)
    print(json.dumps({"url": carrier.url, "port": carrier.port}), flush=True)
    await told_to_stop.wait()
    await carrier.stop()


def main() -> int:
    try:
        config = config_of(arguments().parse_args())
        asyncio.run(serve(config))
    except (ValueError, OSError) as error:
        print(f"carrier: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
