"""What kind of file this is, by its first bytes: what a server says of it, or its name, proves nothing."""

import re
from typing import Final

UNKNOWN: Final = ""
LAYOUT: Final = "application/smil"  # of a message: which of its files is shown where
LOOKED_AT: Final = 4096

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    *((beginning, "audio/amr-wb") for beginning in (b"#!AMR-WB\n", b"#!AMR-WB_MC1.0\n")),  # RFC 4867, 5
    *((beginning, "audio/amr") for beginning in (b"#!AMR\n", b"#!AMR_MC1.0\n")),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"%PDF-", "application/pdf"),
    (b"MThd", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
# ISO 14496-12, 4.3: the brand in the first box; what is not here is MP4
_BRANDS: Final = (
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    *((brand, "image/heic") for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")),
    (b"3g2", "video/3gpp2"),
    (b"3g", "video/3gpp"),
    (b"M4A", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
)
# MPEG audio without a tag: 11 bits of sync, and neither version nor layer is the reserved one
_MPEG_SYNC: Final = 0xE0
_ENDINGS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/tiff": "tiff",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "video/3gpp2": "3g2",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/amr": "amr",
    "audio/amr-wb": "awb",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/midi": "mid",
    "application/pdf": "pdf",
    "text/vcard": "vcf",
    "text/plain": "txt",
}


def kind_of(data: bytes) -> str:
    """The media type; `UNKNOWN` for what nobody would send to a telephone."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # reserved, and no text
        return "image/bmp"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], UNKNOWN)
    if data[4:8] == b"ftyp":
        return next((kind for brand, kind in _BRANDS if data[8:12].startswith(brand)), "video/mp4")
    if len(data) > 1 and data[0] == 0xFF and data[1] & _MPEG_SYNC == _MPEG_SYNC and data[1] & 0x18 != 8:
        return "audio/mpeg" if data[1] & 6 else UNKNOWN
    return _text(data)


def ending_of(kind: str) -> str:
    """What the name of such a file ends in."""
    return _ENDINGS.get(kind, "bin")


def is_harmless(kind: str) -> bool:
    """Whether a browser may show it in place: pictures that are no programs, sounds, films."""
    return kind in _ENDINGS and kind.startswith(("image/", "audio/", "video/"))


def _text(data: bytes) -> str:
    """A visiting card or plain text; not a web page, which could act where it is shown."""
    try:
        beginning = data[:LOOKED_AT].decode("utf-8-sig", "strict" if len(data) <= LOOKED_AT else "ignore").lstrip()
    except ValueError:
        return UNKNOWN
    if beginning.startswith("<smil"):
        return LAYOUT
    if not beginning or beginning.startswith("<") or _CONTROL.search(beginning):
        return UNKNOWN
    return "text/vcard" if beginning[:11].upper() == "BEGIN:VCARD" else "text/plain"
