"""vCards, as address books and telephones write them: 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350), good and bad.

    bytes ─▶ lines, unfolded ─▶ cards ─▶ names, numbers, pictures ─▶ number: face

Nothing raises: what cannot be read is passed over, a line at a time, and a card without its end ends where the next one
begins. Everything is bounded, and no line of a card is ever quoted anywhere.
"""

import base64
import binascii
import codecs
import quopri
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from smsbridge.core.address import Peer, number_in
from smsbridge.core.faces import LARGEST_PICTURE, PICTURES, Face, Picture
from smsbridge.core.text import clean_name, decode
from smsbridge.media.kinds import kind_of

MOST_CARDS: Final = 20_000
MOST_NUMBERS: Final = 32  # of a card
LARGEST: Final = 1024 * 1024  # bytes of a picture that may be made smaller
LONGEST: Final = 2 * LARGEST  # characters of an unfolded line; longer ones are passed over
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Outlook's
_NOT_TEXTED: Final = frozenset({"FAX", "PAGER", "MODEM", "TEXTPHONE"})
_NAMES: Final = ("FN", "N", "NICKNAME", "ORG")  # the first that says something


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Who it is, and the numbers as they are written there. `large` is a picture that may not be shown as it is."""

    name: str = field(default="", repr=False)
    numbers: tuple[str, ...] = field(default=(), repr=False)
    picture: Picture | None = None
    large: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """`NAME;PARAM=a,b;BARE:value`; a bare parameter (2.1) has no name. Names and parameters are in capitals."""

    name: str
    params: tuple[tuple[str, str], ...]
    value: str = field(repr=False)

    def all_of(self, *names: str) -> set[str]:
        return {one for name, value in self.params if name in names for one in value.upper().split(",")}

    @property
    def text(self) -> str:
        """The value, out of quoted-printable."""
        if "QUOTED-PRINTABLE" not in self.all_of("ENCODING", ""):
            return self.value
        raw = quopri.decodestring(self.value.encode("utf-8", "replace"))
        charset = next(iter(self.all_of("CHARSET")), "")
        if charset in {"", "UTF-8", "UTF8"}:
            return decode(raw)
        try:
            return raw.decode(charset if charset.startswith(("ISO-8859", "WINDOWS-", "US-ASCII")) else "latin-1")
        except (LookupError, ValueError):
            return decode(raw)


def read(data: bytes) -> Iterator[Card]:
    """The cards of a file, in its order; of a card that is broken, what can be read."""
    lines: list[_Line] | None = None
    inside = count = 0  # cards in a card (AGENT, 2.1)
    text = data.decode("utf-16", "replace") if data.startswith(_UTF_16) else decode(data.removeprefix(codecs.BOM_UTF8))
    for written in _unfolded(text):
        line = _parsed(written)
        if line is None:
            continue
        match line.name, line.value.strip().upper():
            case "BEGIN", "VCARD":
                if lines and lines[-1].name == "AGENT" and not lines[-1].value.strip():
                    inside += 1
                    continue
                if lines:
                    yield _card(lines)
                lines, inside = [], 0
                count += 1
                if count > MOST_CARDS:
                    return
            case "END", "VCARD" if inside:
                inside -= 1
            case "END", "VCARD":
                if lines:
                    yield _card(lines)
                lines = None
            case _ if lines is not None and not inside:
                lines.append(line)
    if lines:
        yield _card(lines)


def faces(cards: Iterable[Card], region: str) -> dict[Peer, Face]:
    """Who has which number; `region` is the country of numbers that name none.

    Of several cards with one number the first by its name counts, in whatever order they come.
    """
    found: dict[Peer, Face] = {}
    for card in sorted(cards, key=lambda card: (card.name.casefold(), card.name, card.picture is None)):
        for written in card.numbers:
            peer = number_in(written, region)
            if peer is not None and (card.name or card.picture):
                known = found.get(peer, Face())
                if not known.name or known.name == card.name:
                    found[peer] = Face(name=card.name or known.name, picture=known.picture or card.picture)
    return found


def picture_of(data: bytes) -> Picture | None:
    """The bytes of a file as a picture that may be shown, or None."""
    kind = kind_of(data)
    return Picture(kind=kind, data=data) if kind in PICTURES and len(data) <= LARGEST_PICTURE else None


def _unfolded(text: str) -> Iterator[str]:
    """Lines as they were before they were folded (RFC 6350, 3.2), or broken by quoted-printable (vCard 2.1, 2.1.3)."""
    parts: list[str] = []
    length, is_soft = 0, False
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        is_more = is_soft or line[:1] in {" ", "\t"}
        if not is_more:
            if length <= LONGEST:
                yield "".join(parts)
            parts, length = [], 0
        more = line if is_soft or not is_more else line[1:]
        is_soft = line.endswith("=") and (is_soft or "QUOTED-PRINTABLE" in line.partition(":")[0].upper())
        if is_soft:
            more = more[:-1]
        length += len(more)
        if length <= LONGEST:
            parts.append(more)
    if length <= LONGEST:
        yield "".join(parts)


def _parsed(written: str) -> _Line | None:
    head, colon, value = written.partition(":")
    while colon and head.count('"') % 2:  # a colon in quotes
        more, colon, value = value.partition(":")
        head += f":{more}"
    if not colon:
        return None
    name, *params = _apart(head, ";")
    name = name.rpartition(".")[2].strip().upper()  # a group (item1.TEL) says nothing to us
    return _Line(name=name, params=tuple(map(_param, params)), value=value) if name else None


def _param(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    return (name.strip().upper(), value.replace('"', "").strip()) if equals else ("", written.strip())


def _apart(text: str, separator: str) -> list[str]:
    """What stands between separators that are not in quotes."""
    if '"' not in text:
        return text.split(separator)
    found, is_quoted = [""], False
    for sign in text:
        is_quoted ^= sign == '"'
        if sign == separator and not is_quoted:
            found.append("")
        else:
            found[-1] += sign
    return found


def _card(lines: Iterable[_Line]) -> Card:
    names: dict[str, str] = {}
    numbers: list[str] = []
    photo = b""
    for line in lines:
        if line.name in _NAMES:
            names.setdefault(line.name, _name_in(line))
        elif line.name == "TEL" and not line.all_of("TYPE", "") & _NOT_TEXTED:
            numbers.append(_number_in(line))
        elif line.name == "PHOTO" and not photo:
            photo = _photo_in(line)
    name = next(filter(None, (names.get(each, "") for each in _NAMES)), "")
    picture = picture_of(photo)
    large = b"" if picture else photo
    return Card(name=name, numbers=tuple(numbers[:MOST_NUMBERS]), picture=picture, large=large)


def _name_in(line: _Line) -> str:
    parts = [_unescaped(part) for part in _fields(line.text)]
    if line.name == "N":  # family; given; additional; prefixes; suffixes
        family, given, *_ = (*parts, "", "")
        return clean_name(f"{given} {family}")
    return clean_name(parts[0] if line.name == "ORG" else ";".join(parts))


def _fields(text: str) -> list[str]:
    """What stands between semicolons that are not escaped."""
    found = [""]
    signs = iter(text[:4096])
    for sign in signs:
        if sign == "\\":
            found[-1] += sign + next(signs, "")
        elif sign == ";":
            found.append("")
        else:
            found[-1] += sign
    return found


def _unescaped(text: str) -> str:
    """RFC 6350, 3.4."""
    plain, signs = "", iter(text)
    for sign in signs:
        if sign == "\\":
            after = next(signs, "")
            plain += " " if after in {"n", "N"} else after
        else:
            plain += sign
    return plain


def _number_in(line: _Line) -> str:
    text = line.text.strip()[:256]
    if text[:4].lower() != "tel:":
        return text
    number, _, params = text[4:].partition(";")  # RFC 3966
    extension = next((one for one in params.lower().split(";") if one.startswith("ext=")), "")
    return f"{number};{extension}" if extension else number


def _photo_in(line: _Line) -> bytes:
    """The bytes of a picture, whatever its size and kind; none for anything else."""
    text = line.value.strip().replace("\\", "")  # 3.0 escapes the comma of an address
    if text[:5].lower() == "data:":  # RFC 2397
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            return b""
    elif not line.all_of("ENCODING", "") & {"B", "BASE64"}:
        return b""  # an address: nobody is called for it
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if len(data) <= LARGEST and kind_of(data).startswith("image/") else b""
