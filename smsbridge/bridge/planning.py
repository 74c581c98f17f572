"""Into what a message is cut: the pieces that a carrier takes in one call each.

What comes with files is cut twice: when it is taken, into as many pieces as it may come to, and when the files are
there, or it is known that they will not be, into what leaves.
"""

from collections.abc import Sequence
from typing import Final

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import Kind, Media
from smsbridge.core.segments import split
from smsbridge.core.words.say import Say
from smsbridge.providers.contract import Capabilities

MAX_PARTS: Final = 10  # a slip of the clipboard should not cost a day's quota

_LINKS: Final = ("https://", "http://")
_AROUND: Final = "()<>[],;:!?.'\""  # what a sentence puts around a link

Piece = tuple[Kind, str, tuple[Media, ...]]


def goes_as_link(line: Line, capabilities: Capabilities) -> bool:
    """Whether files cannot be sent as such from this line."""
    return not (line.can_mms and capabilities.mms_text and capabilities.media_count)


def plan(text: str, media: tuple[Media, ...], line: Line, capabilities: Capabilities) -> list[Piece]:
    """Cut a message into what the carrier takes in one call; raises `Refused`.

    Text that fits goes as one SMS; longer text as text-only MMS where the line can, else as SMS parts. What comes with
    files is MMS: as many as they or their links may take, all of the text in the first, and the files not yet in them.
    Where they cannot be sent, each goes as its link, which is not cut if it fits at all.
    """
    if not all(item.url.startswith(_LINKS) for item in media):
        raise Refused(Reason.MEDIA_REFUSED)
    if not media and not text.strip():
        raise Refused(Reason.EMPTY)
    can_mms = line.can_mms and bool(capabilities.mms_text)
    if not media:
        pieces = _texts(text, capabilities, can_mms=can_mms)
    elif goes_as_link(line, capabilities):
        pieces = _linked(text, [item.url for item in media], capabilities, can_mms=can_mms)
    else:
        words = split(_joined(text, [item.url for item in media]), capabilities.mms_text)
        count = max(len(words), -(-len(media) // capabilities.media_count))
        pieces = [(Kind.MMS, "" if n else text, ()) for n in range(count)]
    if len(pieces) > MAX_PARTS:
        raise Refused(
            Reason.TOO_LONG,
            Say.TOO_MANY_PARTS(n=len(pieces), most=MAX_PARTS),
        )
    return pieces


def enclose(text: str, files: Sequence[Media], links: Sequence[str], capabilities: Capabilities) -> list[Piece]:
    """Cut a message whose files are there, but for those that go as links; from a line that can send files.

    As many files to each MMS as it takes, the words with the first.
    """
    if not files:
        return _linked(text, links, capabilities, can_mms=True)
    words = _joined(text, links)
    texts = split(words, capabilities.mms_text) if words else []
    groups = [tuple(files[n : n + capabilities.media_count]) for n in range(0, len(files), capabilities.media_count)]
    return [
        (Kind.MMS, texts[n] if n < len(texts) else "", groups[n] if n < len(groups) else ())
        for n in range(max(len(texts), len(groups)))
    ]


def _linked(text: str, links: Sequence[str], capabilities: Capabilities, *, can_mms: bool) -> list[Piece]:
    links = _unsaid(text, links)
    whole = _joined(text, links)
    is_one = can_mms or all(limit.holds(whole) for limit in capabilities.sms)
    words = [whole] if is_one else [*([text] if text else []), *links]
    return [piece for one in words for piece in _texts(one, capabilities, can_mms=can_mms)]


def _joined(text: str, links: Sequence[str]) -> str:
    return "\n".join([*([text] if text else []), *_unsaid(text, links)])


def _unsaid(text: str, links: Sequence[str]) -> list[str]:
    """The links that do not stand in the text already."""
    words = {word.strip(_AROUND) for word in text.split()}
    return [link for link in links if link not in words]


def _texts(text: str, capabilities: Capabilities, *, can_mms: bool) -> list[Piece]:
    if can_mms and not all(limit.holds(text) for limit in capabilities.sms):
        return [(Kind.MMS, piece, ()) for piece in split(text, capabilities.mms_text)]
    return [(Kind.SMS, piece, ()) for piece in split(text, capabilities.sms)]
