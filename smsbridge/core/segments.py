"""GSM-7 and UCS-2: choose, count and split.

A message goes out in the GSM 7-bit default alphabet when every character is in it or in its extension table, else
in UCS-2 (UTF-16 in practice). One segment carries 140 octets: 160 septets or 70 UTF-16 units. Segments of a longer
text each give 6 octets to the header that joins them: 153 or 67. What needs two units (an extension character
behind its escape, a surrogate pair) never straddles two segments, so a unit may stay unused.

Clusters follow UAX #29 as far as `unicodedata` tells. Where they differ on purpose: every spacing mark stays with its
letter, all arrows count as pictographs; prepended marks and the halves of an Indic conjunct may stand alone.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Final, assert_never

# 3GPP TS 23.038, 6.2.1: the index is the septet; 0x1B is the escape to the extension table, not a character
DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# 3GPP TS 23.038, 6.2.1.1: each costs the escape and a septet (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, … 0x65)
EXTENSION_TABLE: Final = "\f^{}\\[~]|€"

_EXTENSION: Final = frozenset(EXTENSION_TABLE)
_GSM7: Final = (frozenset(DEFAULT_ALPHABET) - {"\x1b"}) | _EXTENSION


class Encoding(StrEnum):
    """What a carrier puts on the air."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


class LimitUnit(StrEnum):
    """In what a carrier measures a text."""

    GSM_SEPTETS = "gsm_septets"
    UTF16_UNITS = "utf16_units"
    UTF8_BYTES = "utf8_bytes"
    CHARACTERS = "characters"


_WIDEST: Final = {
    LimitUnit.GSM_SEPTETS: 2,
    LimitUnit.UTF16_UNITS: 2,
    LimitUnit.UTF8_BYTES: 4,
    LimitUnit.CHARACTERS: 1,
}
_SEGMENT: Final = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}  # 3GPP TS 23.040, 9.2.3.24.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The units of a text in its encoding, and the segments it is billed as; an empty text has none."""

    encoding: Encoding
    units: int
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most so many units in one part. ValueError where not even every single code point would fit."""

    units: int
    unit: LimitUnit

    def __post_init__(self) -> None:
        if self.units < _WIDEST[self.unit]:
            raise ValueError(f"a limit of {self.units} {self.unit} cannot hold every character")

    def holds(self, text: str) -> bool:
        return measure(text, self.unit) <= self.units


def encoding_of(text: str) -> Encoding:
    """GSM-7 if all of the text can be written in it, else UCS-2."""
    return Encoding.GSM7 if _GSM7.issuperset(text) else Encoding.UCS2


def measure(text: str, unit: LimitUnit) -> int:
    """The length of a text in a carrier's unit. Septets do not apply to a text that is not GSM-7: 0."""
    match unit:
        case LimitUnit.GSM_SEPTETS:
            return len(text) + sum(map(_EXTENSION.__contains__, text)) if _GSM7.issuperset(text) else 0
        case LimitUnit.UTF16_UNITS:
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        case LimitUnit.UTF8_BYTES:
            return len(text.encode("utf-8", "surrogatepass"))
        case LimitUnit.CHARACTERS:
            return len(text)
        case _:
            assert_never(unit)


def count(text: str) -> Count:
    """How the text is encoded, its units (septets or UTF-16 units) and its segments."""
    encoding = encoding_of(text)
    unit = LimitUnit.GSM_SEPTETS if encoding is Encoding.GSM7 else LimitUnit.UTF16_UNITS
    units = measure(text, unit)
    alone, joined = _SEGMENT[encoding]
    if units <= alone:
        return Count(encoding=encoding, units=units, segments=min(units, 1))
    segments, room = 1, joined
    for char in text:
        cost = 2 if (char in _EXTENSION and encoding is Encoding.GSM7) or char > "\uffff" else 1
        if cost > room:
            segments, room = segments + 1, joined
        room -= cost
    return Count(encoding=encoding, units=units, segments=segments)


def split(text: str, limits: Sequence[Limit]) -> list[str]:
    """Cut a text into pieces that each keep all the limits; a text that keeps them is its own only piece.

    A piece ends at a line break in its last half, else at a space in its last third, else between two clusters; a
    cluster larger than a limit is cut between code points. The whole run of whitespace at such a line break or space
    is dropped (and with it a piece that would be blank); nothing else is lost. No-break spaces are letters here. An
    empty text has no pieces.
    """
    if not text or all(limit.holds(text) for limit in limits):
        return [text] if text else []
    atoms = _atoms(text, limits)
    # Septets of a piece that turns out not to be GSM-7 are summed as well: it can come out short, never too long.
    totals = [_running_total(atoms, limit.unit) for limit in limits]
    pieces: list[str] = []
    start = 0
    while start < len(atoms):
        end = min(
            bisect_right(total, total[start] + limit.units) - 1 for limit, total in zip(limits, totals, strict=True)
        )
        cut, resume = (end, end) if end == len(atoms) else _break(atoms, start, end)
        if cut > start:
            pieces.append("".join(atoms[start:cut]))
        start = resume
    return pieces


def graphemes(text: str) -> list[str]:
    """The text as extended grapheme clusters: what a reader takes for one character."""
    if text.isascii() and "\r\n" not in text:
        return list(text)
    classes = "".join(map(_break_class, text))
    return [text[match.start() : match.end()] for match in _CLUSTER.finditer(classes)]


def _atoms(text: str, limits: Sequence[Limit]) -> list[str]:
    atoms: list[str] = []
    for cluster in graphemes(text):
        if len(cluster) == 1 or all(limit.holds(cluster) for limit in limits):
            atoms.append(cluster)
        else:
            atoms.extend(cluster)
    return atoms


def _running_total(atoms: list[str], unit: LimitUnit) -> list[int]:
    cost = {atom: measure(atom, unit) for atom in set(atoms)}
    return list(accumulate((cost[atom] for atom in atoms), initial=0))


def _break(atoms: list[str], start: int, end: int) -> tuple[int, int]:
    """Where a piece that may reach `end` stops (at `start` if all of it is blank), and where the next one starts."""
    room = end - start
    at = next((i for i in range(end, start + room // 2, -1) if atoms[i] in _LINE_BREAKS), None)
    if at is None:
        at = next((i for i in range(end, start + room * 2 // 3, -1) if _is_blank(atoms[i])), None)
    if at is None:
        return end, end
    cut, resume = at, at + 1
    while cut > start and _is_blank(atoms[cut - 1]):
        cut -= 1
    while resume < len(atoms) and _is_blank(atoms[resume]):
        resume += 1
    return cut, resume


_LINE_BREAKS: Final = frozenset({"\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"})
_NO_BREAK_SPACES: Final = frozenset("\u00a0\u2007\u202f")


def _is_blank(atom: str) -> bool:
    return atom.isspace() and atom not in _NO_BREAK_SPACES


# One letter per code point, then UAX #29 table 1c as an expression over the letters: C control, R CR, N LF, E extend,
# Z ZWJ, S spacing mark, F flag letter, P pictograph, L V T Hangul jamo, H LV and K LVT syllables, O any other.
# Possessive, so that no run is read twice.
_CLUSTER: Final = re.compile(
    r"RN|[CRN]|(?:L*+(?:V++|HV*+|K)T*+|L++|T++|FF|P(?:E*+ZP)*+|[^CRN])[EZS]*+",
)
_BY_CATEGORY: Final = {"Mn": "E", "Me": "E", "Mc": "S", "Cc": "C", "Cf": "C", "Cs": "C", "Zl": "C", "Zp": "C"}
_BY_RANGE: Final = (
    (0x0A, 0x0A, "N"),
    (0x0D, 0x0D, "R"),
    (0xA9, 0xA9, "P"),
    (0xAE, 0xAE, "P"),
    (0x0E33, 0x0E33, "S"),  # Thai and Lao sara am: letters that belong to the one before
    (0x0EB3, 0x0EB3, "S"),
    (0x1100, 0x115F, "L"),
    (0x1160, 0x11A7, "V"),
    (0x11A8, 0x11FF, "T"),
    (0x200C, 0x200C, "E"),
    (0x200D, 0x200D, "Z"),
    (0x203C, 0x203C, "P"),
    (0x2049, 0x2049, "P"),
    (0x2122, 0x2122, "P"),
    (0x2139, 0x2139, "P"),
    (0x2190, 0x21FF, "P"),
    (0x2300, 0x23FF, "P"),
    (0x24C2, 0x24C2, "P"),
    (0x25A0, 0x27BF, "P"),
    (0x2900, 0x297F, "P"),
    (0x2B00, 0x2BFF, "P"),
    (0x3030, 0x3030, "P"),
    (0x303D, 0x303D, "P"),
    (0x3297, 0x3299, "P"),
    (0xA960, 0xA97C, "L"),
    (0xD7B0, 0xD7C6, "V"),
    (0xD7CB, 0xD7FB, "T"),
    (0xFF9E, 0xFF9F, "E"),  # halfwidth voiced sound marks
    (0x1F1E6, 0x1F1FF, "F"),
    (0x1F3FB, 0x1F3FF, "E"),  # skin tones
    (0x1F000, 0x1FAFF, "P"),
    (0x1FC00, 0x1FFFD, "P"),
    (0xE0020, 0xE007F, "E"),  # tags, as in the flags of Scotland and Wales
)


@lru_cache(maxsize=8192)
def _break_class(char: str) -> str:
    code = ord(char)
    if 0xAC00 <= code <= 0xD7A3:
        return "K" if (code - 0xAC00) % 28 else "H"
    for first, last, letter in _BY_RANGE:
        if first <= code <= last:
            return letter
    return _BY_CATEGORY.get(unicodedata.category(char), "O")
