"""What XML and the carriers can carry: decode, sanitise, fold, compare.

One character that XML forbids closes the whole component stream, so every body passes `xml_clean`. Everything that
XML allows, including noncharacters of the higher planes, stays as it was written.
"""

import html
import re
import unicodedata
from typing import Final

# XML 1.0, 2.2: the complement of Char
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"
MOST_NAME: Final = 64
MOST_RAW: Final = 1024  # characters of a name that are looked at


def xml_clean(text: str) -> str:
    """The text with U+FFFD for each code point XML 1.0 forbids, and LF for CR and CRLF as a parser reads them."""
    return _newlines(_FORBIDDEN.sub(_REPLACEMENT, text))


def decode(raw: bytes) -> str:
    """Bytes of a carrier as text: UTF-8 (surrogate halves written as UTF-8 are joined), else cp1252; never fails."""
    try:
        return join_surrogates(raw.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def join_surrogates(text: str) -> str:
    """Each high and low surrogate side by side as the character they mean; a half alone becomes U+FFFD."""
    if text.isascii():  # nearly all that comes
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def fold_to_gsm7(text: str) -> str:
    """The text composed, with typographic quotes, dashes, dots and spaces in their GSM-7 form; all else as it is."""
    return unicodedata.normalize("NFC", text).translate(_FOLDED)


def normalise_body(text: str) -> str:
    """The form in which two copies of a text are compared: LF, NFC, no blanks at line ends or around the text."""
    composed = unicodedata.normalize("NFC", _newlines(text))
    return "\n".join(line.rstrip() for line in composed.split("\n")).strip()


def is_alike(text: str, listed: str) -> bool:
    """Whether a text may be what a carrier's list made of the other.

    Lists have been seen to hold entities, backslashes before quotes, question marks for what is not Latin.
    """
    if normalise_body(text) == normalise_body(listed):
        return True
    bare = _bare(text)
    return bool(bare) and bare == _bare(listed)


def clean_name(raw: str) -> str:
    """A person's name as it may be shown: one line of at most 64 characters, nothing that is not seen; "" if none.

    What turns or hides the writing around it is left out (controls, directions, formats but the joiners that scripts
    and emoji need), and so is a name that is a number: it would pose as somebody else.
    """
    composed = unicodedata.normalize("NFC", xml_clean(raw[:MOST_RAW]))
    kept = "".join(" " if one.isspace() else one for one in composed if one.isspace() or _is_shown(one))
    name = " ".join(kept.split())[:MOST_NAME].strip(f" {_JOINERS}")
    return name if any(map(str.isalpha, name)) or not any(map(str.isdigit, name)) else ""


def close_bidi(text: str) -> str:
    """The text with every open embedding, override and isolate closed at its end (UAX #9, 3.3.2), else unchanged.

    A closer without its opener stays: it has no effect. The whole message counts as one paragraph.
    """
    closers: list[str] = []  # those still owed, innermost last
    isolates = 0
    for control in _BIDI.findall(text):
        if control in _ISOLATES:
            closers.append(_PDI)
            isolates += 1
        elif control in _EMBEDDINGS:
            closers.append(_PDF)
        elif control == _PDI and isolates:
            while closers.pop() != _PDI:
                pass  # the end of an isolate ends the embeddings inside it
            isolates -= 1
        elif control == _PDF and closers and closers[-1] == _PDF:
            closers.pop()
    return text + "".join(reversed(closers))


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}


def _bare(text: str) -> str:
    """What is left of a text whatever a list does to it."""
    plain = html.unescape(text)
    while plain != text:
        text, plain = plain, html.unescape(plain)
    composed = unicodedata.normalize("NFC", text)
    return "".join(one for one in composed if one.isascii() and not one.isspace() and one not in "\\?")


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_EMBEDDINGS: Final = "\u202a\u202b\u202d\u202e"
_ISOLATES: Final = "\u2066\u2067\u2068"
_PDF: Final = "\u202c"
_PDI: Final = "\u2069"

_FOLDED: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‹›", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\t\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
        "…": "...",
    }
)
