"""A throw-away CardDAV server: Radicale, on loopback, with a user and an address book."""

import asyncio
import base64
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from smsbridge.sim.ports import LOOPBACK, free_port
from tests.fakes.waiting import PATIENCE

USER, PASSWORD = "john", "pretended-dav-password"
MAKE_BOOK = (
    '<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><set><prop><resourcetype><collection/>'
    "<C:addressbook/></resourcetype></prop></set></mkcol>"
)


class AddressBook:
    """One address book, and how a telephone changes it."""

    def __init__(self, session, url):
        self.url = url
        self._session = session

    async def put(self, name, text):
        async with self._session.put(
            f"{self.url}{name}.vcf", data=text.encode(), headers={"Content-Type": "text/vcard"}
        ) as answer:
            assert answer.status in {201, 204}, await answer.text()

    async def delete(self, name):
        async with self._session.delete(f"{self.url}{name}.vcf") as answer:
            assert answer.status == 200


@asynccontextmanager
async def radicale(directory: Path):
    """An empty address book of `USER`; the server ends with it."""
    port = free_port()
    (directory / "users").write_text(f"{USER}:{PASSWORD}\n")
    (directory / "config").write_text(
        f"[server]\nhosts = {LOOPBACK}:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {directory}/users\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {directory}/store\n[logging]\nlevel = critical\n"
    )
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "radicale", "--config", str(directory / "config")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(server, port)
        url = f"http://{LOOPBACK}:{port}/{USER}/contacts/"
        signed_in = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        async with aiohttp.ClientSession(headers={"Authorization": signed_in}) as session:
            async with session.request("MKCOL", url, data=MAKE_BOOK) as answer:
                assert answer.status == 201, await answer.text()
            yield AddressBook(session, url)
    finally:
        with suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def _listening(server, port):
    async with asyncio.timeout(PATIENCE):
        while True:
            assert server.returncode is None, "radicale ended"
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
