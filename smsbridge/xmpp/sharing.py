"""Files in messages: as clients show them, and as they send them.

One message is one file. Dino, Conversations and Gajim show it only if the body is the very URL of XEP-0066; what is
known of the file beforehand stands beside it (XEP-0447, XEP-0446). Dino announces a file in a message without a word,
and tells where it is in a second one (XEP-0447, 3.2): that one is the text, and the first is what its user sees.
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
ATTACHING: Final = "urn:xmpp:message-attaching:1"

_HTTP: Final = ("https://", "http://")
_ABOUT: Final = re.compile(r"([\w.+-]+/[\w.+-]+) ([0-9]+) ([A-Za-z0-9+/]{43}=)")


def files_in(element: ET.Element) -> tuple[str, ...]:
    """The URLs of what somebody attached, each file once; a link in the words of a message is none."""
    urls = [(url.text or "").strip() for url in element.iterfind(f"{{{OOB}}}x/{{{OOB}}}url")]
    for sources in shares(element):
        targets = [source.get("target", "").strip() for source in sources.iterfind(f"{{{URL_DATA}}}url-data")]
        if set(targets).isdisjoint(urls):  # one file may be at several places
            urls += sorted(targets, key=lambda target: not target.startswith(_HTTP))[:1]
    return tuple(dict.fromkeys(filter(None, urls)))


def shares(element: ET.Element) -> list[ET.Element]:
    """Where the files of a message are, and those that an earlier message announced (XEP-0447)."""
    here = element.iterfind(f"{{{SHARING}}}file-sharing/{{{SHARING}}}sources")
    return [*here, *element.iterfind(f"{{{SHARING}}}sources")]


def announced_by(element: ET.Element) -> str:
    """The id of the message that announced the file whose place this one tells; "" if none did."""
    attached = element.find(f"{{{ATTACHING}}}attach-to")
    is_place = element.find(f"{{{SHARING}}}sources") is not None
    return "" if attached is None or not is_place else attached.get("id", "")


def caption(text: str, urls: Collection[str]) -> str:
    """What stands beside the files: the text without their links, which are for clients that know no attachments."""
    lines = [line for line in text.split("\n") if line.strip() not in urls]
    kept = "\n".join(lines).strip() if urls else text
    return kept if kept.strip() else ""


def is_encrypted(element: ET.Element, urls: Iterable[str]) -> bool:
    """Whether a file is attached that only its key makes one (XEP-0454, XEP-0448)."""
    is_secret = any(url[:7].lower() == "aesgcm:" and len(url.split()) == 1 for url in urls)
    return is_secret or any(sources.find(f"{{{ENCRYPTED}}}encrypted") is not None for sources in shares(element))


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
