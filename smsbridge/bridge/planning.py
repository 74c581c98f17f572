"""Into what a message is cut: the pieces that a carrier takes in one call each."""

from typing import Final

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import Kind, Media
from smsbridge.core.segments import split
from smsbridge.providers.contract import Capabilities

MAX_PARTS: Final = 10  # a slip of the clipboard should not cost a day's quota

Piece = tuple[Kind, str, tuple[Media, ...]]


def plan(text: str, media: tuple[Media, ...], line: Line, capabilities: Capabilities) -> list[Piece]:
    """Cut a message into what the carrier takes in one call; raises `Refused`.

    Text that fits goes as one SMS; longer text as text-only MMS where the line can, else as SMS parts. Media go
    as MMS, as many to each as it takes, the text with the first.
    """
    can_mms = line.can_mms and bool(capabilities.mms_text)
    if media and not (can_mms and capabilities.media_count):
        raise Refused(Reason.MEDIA_REFUSED)
    if not media and not text.strip():
        raise Refused(Reason.EMPTY)
    fits_sms = all(limit.holds(text) for limit in capabilities.sms)
    if media:
        texts = split(text, capabilities.mms_text) if text else []
        groups = [media[n : n + capabilities.media_count] for n in range(0, len(media), capabilities.media_count)]
        count = max(len(texts), len(groups))
        pieces = [
            (Kind.MMS, texts[n] if n < len(texts) else "", groups[n] if n < len(groups) else ()) for n in range(count)
        ]
    elif fits_sms or not can_mms:
        pieces = [(Kind.SMS, piece, ()) for piece in split(text, capabilities.sms)]
    else:
        pieces = [(Kind.MMS, piece, ()) for piece in split(text, capabilities.mms_text)]
    if len(pieces) > MAX_PARTS:
        raise Refused(
            Reason.TOO_LONG,
            f"This text would be {len(pieces)} messages, and {MAX_PARTS} is the most. It was not sent; shorten it.",
        )
    return pieces
