"""A client that attaches something: it leaves the file on its server's upload service (XEP-0363), and sends the link.

Plain HTTP, for loopback.
"""

from collections.abc import Iterable
from io import BytesIO
from xml.etree import ElementTree as ET

import aiohttp

from smsbridge.sim.client import Client

SERVICE = "share.example.com"
UPLOAD = "{urn:xmpp:http:upload:0}"
OOB = "{jabber:x:oob}"
SHARING = "{urn:xmpp:sfs:0}"
URL_DATA = "{http://jabber.org/protocol/url-data}"


async def upload(client: Client, data: bytes, name: str, kind: str = "application/octet-stream") -> str:
    """The link to the file, as its sender's client gets it."""
    request = ET.Element(f"{UPLOAD}request", {"filename": name, "size": str(len(data)), "content-type": kind})
    answer = await client.request("get", SERVICE, request)
    slot = answer.find(f"{UPLOAD}slot")
    put = None if slot is None else slot.find(f"{UPLOAD}put")
    get = None if slot is None else slot.find(f"{UPLOAD}get")
    if put is None or get is None:
        raise ValueError("no slot")
    headers = {header.get("name", ""): header.text or "" for header in put.iter(f"{UPLOAD}header")}
    async with (
        aiohttp.ClientSession() as session,
        session.put(put.get("url", ""), data=BytesIO(data), headers={**headers, "Content-Type": kind}) as response,
    ):
        response.raise_for_status()
    return get.get("url", "")


def out_of_band(urls: Iterable[str]) -> list[ET.Element]:
    """As most clients attach a file (XEP-0066)."""
    found = []
    for url in urls:
        oob = ET.Element(f"{OOB}x")
        ET.SubElement(oob, f"{OOB}url").text = url
        found.append(oob)
    return found


def shared(url: str) -> ET.Element:
    """As newer ones do, beside a text (XEP-0447)."""
    sharing = ET.Element(f"{SHARING}file-sharing", {"disposition": "inline"})
    sources = ET.SubElement(sharing, f"{SHARING}sources")
    ET.SubElement(sources, f"{URL_DATA}url-data", {"target": url})
    return sharing
