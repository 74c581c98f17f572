"""The bare limit of the web side: aiohttp, reading JSON and answering ok, on the bridge's kind of loop."""

import asyncio
import signal
import sys

import uvloop
from aiohttp import web


async def _echo(request: web.BaseRequest) -> web.Response:
    await request.json()
    return web.Response(text="ok")


async def serve(port: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = web.Server(_echo, access_log=None)
    listener = await loop.create_server(server, "127.0.0.1", port)
    await stop.wait()
    listener.close()
    await server.shutdown(1)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
