"""An owner's texts as the Android app SMS Backup & Restore has them, both ways.

    <smses count="2"><sms address="+1555…" date="1772366400000" type="1" body="…" …/><mms …>…</mms></smses>

`type` (and `msg_box`) 1 is received, 2 is sent. The app writes what is beyond the basic plane as two references, which
XML forbids (`&#55357;&#56832;`): they are joined before the parser sees them. Media inside of a file are left
out: only texts are read, and what is written names media by their addresses. Our own
attributes begin with smsbridge.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from smsbridge.core.address import Did, normalise_peer
from smsbridge.core.message import Kind
from smsbridge.core.story import Entry
from smsbridge.core.text import xml_clean
from smsbridge.keeping.archive import CannotKeep

CHUNK: Final = 64 * 1024
LARGEST: Final = 64 * 1024 * 1024  # bytes of one element: an MMS with its pictures
MOST_TEXT: Final = 64 * 1024
_PAIR: Final = re.compile(rb"&#(5[5-6][0-9]{3});&#(5[6-7][0-9]{3});")
_HALF: Final = re.compile(rb"&#(5[5-7][0-9]{3});")
_CUT: Final = re.compile(  # what the next chunk may go on with: a high half, a reference without its end
    rb"(?=&)(?:&#(?:55[2-9][0-9]{2}|56[0-2][0-9]{2}|563[01][0-9]);)?(?:&[^;&]{0,12})?\Z"
)
_SENT, _RECEIVED = "2", "1"


def head(count: int) -> str:
    """How such a file begins."""
    return f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count=\"{count}\" type=\"full\">"


TAIL: Final = "</smses>"


def element_of(entry: Entry) -> str:
    """One text. What was forgotten is an empty one, since the app has no word for it."""
    box = _RECEIVED if entry.is_inbound else _SENT
    common = {
        "address": entry.peer, "date": str(_ms(entry.at)), "date_sent": str(_ms(entry.at)), "read": "1", "locked": "0",
        "sub_id": "-1", "readable_date": f"{entry.at:%Y-%m-%d %H:%M:%S} UTC", "contact_name": "(Unknown)",
        "smsbridge_id": entry.id, "smsbridge_did": entry.did,
    }  # fmt: skip
    if entry.kind is not Kind.MMS:
        return _tag("sms", {
            "protocol": "0", "type": box, "subject": "null", "body": entry.text or "", "toa": "null", "sc_toa": "null",
            "service_center": "null", "status": "-1", **common,
        }, is_empty=True)  # fmt: skip
    kind = "132" if entry.is_inbound else "128"  # OMA MMS encapsulation, 7.3.30: m-retrieve-conf, m-send-req
    body = "\n".join([*([entry.text] if entry.text else []), *(item.url for item in entry.media)])
    part = _tag("part", {"seq": "0", "ct": "text/plain", "name": "null", "chset": "106", "text": body}, is_empty=True)
    ends = [(entry.peer, entry.did) if entry.is_inbound else (entry.did, entry.peer)]
    addrs = "".join(
        _tag("addr", {"address": from_, "type": "137", "charset": "106"}, is_empty=True)
        + _tag("addr", {"address": to, "type": "151", "charset": "106"}, is_empty=True)
        for from_, to in ends
    )
    begin = _tag("mms", {"msg_box": box, "m_type": kind, "ct_t": "application/vnd.wap.multipart.related", "sub": "null",
                         "text_only": "1", "seen": "1", **common}, is_empty=False)  # fmt: skip
    return f"{begin}<parts>{part}</parts><addrs>{addrs}</addrs></mms>"


def entries(file: BinaryIO, did: Did) -> Iterator[Entry]:
    """Read such a file again, whatever app wrote it; `did` is whose telephone it was. Raises `CannotKeep`.

    What is no text between two parties (drafts, groups) is passed over.
    """
    reader = _Reader(did)
    rest = b""
    while chunk := file.read(CHUNK):
        whole = rest + chunk
        cut = _CUT.search(whole)
        rest = whole[cut.start() :] if cut else b""
        reader.feed(_joined(whole[: len(whole) - len(rest)]))
        yield from reader.taken()
    reader.feed(_joined(rest), is_last=True)
    yield from reader.taken()


class _Reader:
    """Expat, shut: no document type, no entity of anybody's, no element without bound."""

    def __init__(self, did: Did) -> None:
        self._did = did
        self._found: list[Entry] = []
        self._mms: dict[str, str] = {}
        self._texts: list[str] = []
        self._peers: set[str] = set()
        self._since = 0
        self._depth = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        self._since += len(data)
        if self._since > LARGEST:
            raise CannotKeep(f"an element is larger than {LARGEST >> 20} MiB")
        try:
            self._parser.Parse(data, is_last)
        except expat.ExpatError as error:
            raise CannotKeep(f"line {error.lineno} is no XML, or not of this kind") from None

    def taken(self) -> Iterator[Entry]:
        """What was read since the last time."""
        found, self._found = self._found, []
        return iter(found)

    def _refuse(self, *_: object) -> None:
        raise CannotKeep("a document type has no place in such a file")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._since = 0
        self._depth += 1
        if self._depth == 1 and name != "smses":
            raise CannotKeep("this is no file of SMS Backup & Restore")
        match name:
            case "sms":
                self._take(attributes, Kind.SMS, attributes.get("body", ""), attributes.get("type", ""))
            case "mms":
                self._mms, self._texts, self._peers = attributes, [], set()
            case "part" if attributes.get("ct") == "text/plain":
                self._texts.append(attributes.get("text", ""))
            case "addr":
                self._peers.add(attributes.get("address", ""))
            case _:
                pass

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "mms":
            self._take(self._mms, Kind.MMS, "\n".join(self._texts), self._mms.get("msg_box", ""))

    def _take(self, attributes: dict[str, str], kind: Kind, text: str, box: str) -> None:
        try:
            peer = normalise_peer(attributes.get("address", ""))
            at = datetime.fromtimestamp(int(attributes.get("date", "")) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return
        if box not in {_SENT, _RECEIVED} or at.year < 1990 or len(text) > MOST_TEXT or not text or "~" in peer:
            return
        self._found.append(
            Entry(
                id=attributes.get("smsbridge_id", ""),
                is_inbound=box == _RECEIVED,
                kind=kind,
                did=Did(attributes.get("smsbridge_did") or self._did),
                peer=peer,
                at=at,
                text=xml_clean(text),
                state="" if box == _RECEIVED else "sent",
            )
        )


def _joined(data: bytes) -> bytes:
    """With one reference where there were two halves, and none for a half alone."""

    def join(pair: re.Match[bytes]) -> bytes:
        high, low = int(pair[1]), int(pair[2])
        if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
            return pair[0]
        return b"&#%d;" % (0x10000 + (high - 0xD800 << 10) + (low - 0xDC00))

    def drop(half: re.Match[bytes]) -> bytes:
        return b"&#65533;" if 0xD800 <= int(half[1]) < 0xE000 else half[0]

    return _HALF.sub(drop, _PAIR.sub(join, data))


def _tag(name: str, attributes: dict[str, str], *, is_empty: bool) -> str:
    entities = {"\n": "&#10;", "\t": "&#9;"}
    inside = " ".join(f"{key}={quoteattr(xml_clean(value), entities)}" for key, value in attributes.items())
    return f"<{name} {inside}{' /' if is_empty else ''}>"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def lines(found: Iterable[Entry], count: int) -> Iterator[str]:
    """A whole file."""
    yield head(count)
    yield from map(element_of, found)
    yield TAIL
