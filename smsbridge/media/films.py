"""A film's file (MP4, 3GP, QuickTime) without what it says besides the film: a telephone writes the place into it.

Its boxes point at each other by their place in the file, so nothing is cut out: what does not play is filled with
zeros and called free space (ISO 14496-12, 8.1.2). These lists say what plays.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from smsbridge.media.bare import NotUnderstood

KINDS: Final = frozenset({"video/mp4", "video/3gpp", "video/3gpp2", "video/quicktime", "audio/mp4"})

_FREE: Final = frozenset({b"free", b"skip"})
_FILE: Final = frozenset(b"ftyp styp moov mdat moof mfra sidx ssix pdin prft wide".split(b" "))
_MOVIE: Final = frozenset(b"mvhd trak mvex iods pssh ctab clip prfl".split(b" "))
_TRACK: Final = frozenset(b"tkhd mdia edts tref trgr tapt clip matt load imap prfl txas".split(b" "))
_INSIDE: Final = {b"moov": _MOVIE, b"trak": _TRACK}


class _Box(NamedTuple):
    name: bytes
    start: int
    body: int
    end: int


def bare_film(content: bytes) -> tuple[bytes, bool]:
    """The film, as long as it was, and whether there was anything else in it; raises `NotUnderstood`."""
    film = bytearray(content)
    had_notes = _blank(film, _Box(b"", 0, 0, len(film)), _FILE)
    return bytes(film), had_notes


def _blank(film: bytearray, outer: _Box, playing: frozenset[bytes]) -> bool:
    had_notes = False
    for box in _boxes(film, outer):
        if box.name not in playing:
            had_notes = had_notes or box.name not in _FREE
            film[box.start + 4 : box.start + 8] = b"free"
            film[box.body : box.end] = bytes(box.end - box.body)
        elif box.name in _INSIDE:  # where it belongs: a movie has tracks, and neither has a movie
            had_notes = _blank(film, box, _INSIDE[box.name]) or had_notes
    return had_notes


def _boxes(film: bytearray, outer: _Box) -> Iterator[_Box]:
    """ISO 14496-12, 4.2."""
    at = outer.body
    while at < outer.end:
        body = at + 8
        if body > outer.end:
            if film[at : outer.end].strip(b"\0"):  # QuickTime ends some lists with four zeros
                raise NotUnderstood("cut off")
            return
        size, name = struct.unpack_from(">I4s", film, at)
        if size == 1:
            body = at + 16
            if body > outer.end:
                raise NotUnderstood("cut off")
            (size,) = struct.unpack_from(">Q", film, at + 8)
        end = at + size if size else outer.end
        if end < body or end > outer.end:
            raise NotUnderstood("cut off")
        yield _Box(name, at, body, end)
        at = end
