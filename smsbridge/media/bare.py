"""A picture's file without what it says besides the picture, the picture itself untouched.

A camera writes where, when and with what a picture was made: EXIF, XMP, IPTC, comments, and whatever stands behind
the picture's end. Only the parts that draw the picture are kept: these lists say which, and what is on none is left
out, or the file is not understood. Nothing is decoded, so that hostile files meet no decoder here.
"""

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final


class NotUnderstood(ValueError):
    """Damaged, or of a form of which it cannot be told what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """`had_notes`: EXIF, XMP, IPTC or words were in it. `orientation`: what EXIF said, 1 to 8 (1: as it lies)."""

    content: bytes = field(repr=False)
    width: int
    height: int
    had_notes: bool = False
    orientation: int = 1
    is_animated: bool = False


def bare(kind: str, content: bytes) -> Bare:
    """Of a JPEG, PNG, GIF or WebP; raises `NotUnderstood`, also for any other kind."""
    read = _READERS.get(kind)
    if read is None:
        raise NotUnderstood(kind)
    try:
        found = read(content)
    except (IndexError, struct.error):
        raise NotUnderstood("cut off") from None
    if not (found.width and found.height):
        raise NotUnderstood("without a size")
    return found


def turned(jpeg: bytes, orientation: int) -> bytes:
    """A bare JPEG that says which way up it is, and nothing else."""
    entry = struct.pack(">4sIHHHIHHI", b"MM\0*", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
    body = _EXIF + entry
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


# ITU-T T.81, table B.1
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP13, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DRAWING: Final = frozenset({0xC4, 0xCC, _SOS, 0xDB, 0xDD}) | _SIZES
_NEXT_MARKER: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112  # EXIF 2.32, 4.6.4


def _jpeg(data: bytes) -> Bare:
    kept = bytearray(b"\xff\xd8")
    at, width, height, had_notes, orientation = 2, 0, 0, False, 1
    while True:
        if data[at] != 0xFF:
            raise NotUnderstood("no marker")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if marker == _EOI:
            return Bare(
                content=bytes(kept + b"\xff\xd9"),
                width=width,
                height=height,
                had_notes=had_notes,
                orientation=orientation,
            )
        (length,) = struct.unpack_from(">H", data, at + 1)
        body, end = data[at + 3 : at + 1 + length], at + 1 + length
        if length < 2 or end > len(data):
            raise NotUnderstood("cut off")
        if marker in _SIZES:
            height, width = struct.unpack_from(">HH", body, 1)
        if marker in _DRAWING or (marker == _APP14 and body[:5] == b"Adobe" and len(body) == 12):
            kept += data[at - 1 : end]
        elif marker == _APP0 and body[:5] == b"JFIF\0":
            kept += b"\xff\xe0\x00\x10" + struct.pack("12s2x", body)  # without its thumbnail
        elif marker == _APP2 and body[:12] == b"ICC_PROFILE\0":
            kept += data[at - 1 : end]
        elif not (0xE0 <= marker <= 0xEF or marker == _COM):
            raise NotUnderstood("a segment that is not known")
        elif marker in {_APP1, _APP13, _COM}:
            had_notes = True
            if body.startswith(_EXIF):
                orientation = _orientation(body[len(_EXIF) :])
        at = end
        if marker == _SOS:
            found = _NEXT_MARKER.search(data, at)
            if found is None:
                raise NotUnderstood("no end")
            kept += data[at : found.start()]
            at = found.start()


def _orientation(tiff: bytes) -> int:
    """TIFF 6.0, section 2."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


# PNG third edition, 11 and 13: what is drawn, and how colours are meant
_PNG_DRAWING: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs acTL fcTL fdAT".split(b" ")
)
_PNG_NOTES: Final = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})


def _png(data: bytes) -> Bare:
    kept = bytearray(data[:8])
    at, width, height, had_notes, orientation, is_animated = 8, 0, 0, False, 1, False
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        body, end = data[at + 8 : at + 8 + length], at + 12 + length
        if struct.unpack_from(">I", data, end - 4) != (zlib.crc32(body, zlib.crc32(name)),):
            raise NotUnderstood("damaged")
        if (at == 8) != (name == b"IHDR"):
            raise NotUnderstood("not in order")
        if name == b"IHDR":
            width, height = struct.unpack_from(">II", body)
        if name in _PNG_DRAWING:
            kept += data[at:end]
        elif not name[0] & 0x20:  # 5.4: who does not know it cannot draw the picture
            raise NotUnderstood("a chunk that is not known")
        had_notes = had_notes or name in _PNG_NOTES
        is_animated = is_animated or name == b"acTL"
        if name == b"eXIf":
            orientation = _orientation(body)
        if name == b"IEND":
            return Bare(
                content=bytes(kept),
                width=width,
                height=height,
                had_notes=had_notes,
                orientation=orientation,
                is_animated=is_animated,
            )
        at = end


_GIF_LOOPS: Final = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})


def _gif(data: bytes) -> Bare:
    """GIF89a, 18 to 27."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colours(flags)
    kept, frames, had_notes = bytearray(data[:at]), 0, False
    while True:
        block = data[at]
        if block == 0x3B:
            if not frames:
                raise NotUnderstood("no picture")
            content = bytes(kept + b";")
            return Bare(content=content, width=width, height=height, had_notes=had_notes, is_animated=frames > 1)
        if block == 0x2C:
            end = _past_pieces(data, at + 11 + _colours(data[at + 9]))
            frames += 1
            kept += data[at:end]
        elif block == 0x21:
            label = data[at + 1]
            end = _past_pieces(data, at + 2)
            if label == 0xF9 or (label == 0xFF and data[at + 3 : at + 14] in _GIF_LOOPS and end <= at + 19):
                kept += data[at:end]
            elif label in {0xFE, 0xFF}:
                had_notes = True
            else:
                raise NotUnderstood("an extension that is not known")
        else:
            raise NotUnderstood("a block that is not known")
        at = end


def _colours(flags: int) -> int:
    """Bytes of the table that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _past_pieces(data: bytes, at: int) -> int:
    """Where a row of pieces, each behind its length, is over."""
    while data[at]:
        at += 1 + data[at]
    return at + 1


_WEBP_DRAWING: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ICCP"})
_HAS_XMP, _HAS_EXIF, _IS_ANIMATED = 0x04, 0x08, 0x02


def _webp(data: bytes) -> Bare:
    """RFC 9649. One that moves is not understood here: its frames have parts of their own."""
    (size,) = struct.unpack_from("<I", data, 4)
    kept, at, over = bytearray(), 12, size + 8
    width, height, had_notes, orientation = 0, 0, False, 1
    if over > len(data):
        raise NotUnderstood("cut off")
    while at < over:
        name, length = struct.unpack_from("<4sI", data, at)
        body, end = data[at + 8 : at + 8 + length], at + 8 + length + (length & 1)
        if end > over:
            raise NotUnderstood("cut off")
        if name == b"VP8X":
            if body[0] & _IS_ANIMATED or length != 10:
                raise NotUnderstood("it moves")
            kept += data[at : at + 8] + bytes((body[0] & ~(_HAS_XMP | _HAS_EXIF),)) + body[1:]
        elif name in _WEBP_DRAWING:
            kept += data[at:end]
        else:
            had_notes = had_notes or name in {b"EXIF", b"XMP "}
        if name == b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 6))
        if name == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if name == b"EXIF":
            orientation = _orientation(body.removeprefix(_EXIF))
        at = end
    content = b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + bytes(kept)
    return Bare(content=content, width=width, height=height, had_notes=had_notes, orientation=orientation)


_READERS: Final[Mapping[str, Callable[[bytes], Bare]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
}
