"""Into what a message is cut: the pieces that a carrier takes in one call each."""

from typing import Final

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import Kind, Media
from smsbridge.core.segments import split
from smsbridge.providers.contract import Capabilities

MAX_PARTS: Final = 10  # a slip of the clipboard should not cost a day's quota

_LINKS: Final = ("https://", "http://")

Piece = tuple[Kind, str, tuple[Media, ...]]


def goes_as_link(line: Line, capabilities: Capabilities) -> bool:
    """Whether files cannot be sent as such from this line."""
    return not (line.can_mms and capabilities.mms_text and capabilities.media_count)


def plan(text: str, media: tuple[Media, ...], line: Line, capabilities: Capabilities) -> list[Piece]:
    """Cut a message into what the carrier takes in one call; raises `Refused`.

    Text that fits goes as one SMS; longer text as text-only MMS where the line can, else as SMS parts. Media go
    as MMS, as many to each as it takes, the text with the first; where they cannot, each as its link, which is not cut
    if it fits at all.
    """
    if not all(item.url.startswith(_LINKS) for item in media):
        raise Refused(Reason.MEDIA_REFUSED)
    if not media and not text.strip():
        raise Refused(Reason.EMPTY)
    can_mms = line.can_mms and bool(capabilities.mms_text)
    if not media:
        pieces = _texts(text, capabilities, can_mms=can_mms)
    elif goes_as_link(line, capabilities):
        words = [*([text] if text else []), *(item.url for item in media)]
        whole = "\n".join(words)
        if all(limit.holds(whole) for limit in capabilities.sms):
            words = [whole]
        pieces = [piece for one in words for piece in _texts(one, capabilities, can_mms=can_mms)]
    else:
        texts = split(text, capabilities.mms_text) if text else []
        groups = [media[n : n + capabilities.media_count] for n in range(0, len(media), capabilities.media_count)]
        count = max(len(texts), len(groups))
        pieces = [
            (Kind.MMS, texts[n] if n < len(texts) else "", groups[n] if n < len(groups) else ()) for n in range(count)
        ]
    if len(pieces) > MAX_PARTS:
        raise Refused(
            Reason.TOO_LONG,
            f"This text would be {len(pieces)} messages, and {MAX_PARTS} is the most. It was not sent; shorten it.",
        )
    return pieces


def _texts(text: str, capabilities: Capabilities, *, can_mms: bool) -> list[Piece]:
    if can_mms and not all(limit.holds(text) for limit in capabilities.sms):
        return [(Kind.MMS, piece, ()) for piece in split(text, capabilities.mms_text)]
    return [(Kind.SMS, piece, ()) for piece in split(text, capabilities.sms)]
