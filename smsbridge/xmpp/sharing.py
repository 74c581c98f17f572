"""Files in messages: as clients show them, and as they send them.

One message is one file. Dino, Conversations and Gajim show it only if the body is the very URL of XEP-0066; what is
known of the file beforehand stands beside it (XEP-0447, XEP-0446).
"""

import re
from collections.abc import Collection, Iterable
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.xmpp import wire

OOB: Final = "jabber:x:oob"
SHARING: Final = "urn:xmpp:sfs:0"
METADATA: Final = "urn:xmpp:file:metadata:0"
URL_DATA: Final = "http://jabber.org/protocol/url-data"
ENCRYPTED: Final = "urn:xmpp:esfs:0"
HASHES: Final = "urn:xmpp:hashes:2"

_ABOUT: Final = re.compile(r"([\w.+-]+/[\w.+-]+) ([0-9]+) ([A-Za-z0-9+/]{43}=)")


def files_in(element: ET.Element) -> tuple[str, ...]:
    """The URLs of what somebody attached, each once; a link in the words of a message is none."""
    urls = [url.text or "" for url in element.iterfind(f"{{{OOB}}}x/{{{OOB}}}url")]
    for shared in element.iterfind(f"{{{SHARING}}}file-sharing"):
        source = shared.find(f"{{{SHARING}}}sources/{{{URL_DATA}}}url-data")
        urls += [] if source is None else [source.get("target", "")]
    return tuple(dict.fromkeys(url.strip() for url in urls if url.strip()))


def caption(text: str, urls: Collection[str]) -> str:
    """What stands beside the files: the text without their links, which are for clients that know no attachments."""
    lines = [line for line in text.split("\n") if line.strip() not in urls]
    kept = text if len(lines) == len(text.split("\n")) else "\n".join(lines).strip()
    return kept if kept.strip() else ""


def is_encrypted(element: ET.Element, urls: Iterable[str]) -> bool:
    """Whether a file is attached that only its key makes one (XEP-0454, XEP-0448)."""
    secret = any(url[:7].lower() == "aesgcm:" and len(url.split()) == 1 for url in urls)
    return (
        secret or element.find(f"{{{SHARING}}}file-sharing/{{{SHARING}}}sources/{{{ENCRYPTED}}}encrypted") is not None
    )


def add_file(element: ET.Element, url: str, about: str) -> None:
    """The file at a URL; `about` is its type, size and SHA-256 in base64, or "" where nothing is known."""
    wire.add(element, "body", text=url)
    wire.add(wire.add(element, "x", OOB), "url", text=url)
    if (known := _ABOUT.fullmatch(about)) is None:
        return
    kind, size, digest = known.groups()
    shared = wire.add(element, "file-sharing", SHARING, disposition="inline")
    file = wire.add(shared, "file", METADATA)
    wire.add(file, "media-type", text=kind)
    wire.add(file, "name", text=url.partition("?")[0].rpartition("/")[2])
    wire.add(file, "size", text=size)
    wire.add(file, "hash", HASHES, text=digest, algo="sha-256")
    wire.add(wire.add(shared, "sources"), "url-data", URL_DATA, target=url)
