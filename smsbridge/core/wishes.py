"""STOP and START: what a text says about further texts.

A text counts if it is nothing but the word (CTIA's, and Canada's French one), in any case, perhaps with a full stop.
"""

from enum import StrEnum
from typing import Final

from smsbridge.core.message import InboundMessage


class Wish(StrEnum):
    """What the other side wants."""

    STOP = "stop"
    START = "start"


_LONGEST: Final = 16
_WORDS: Final = {
    **dict.fromkeys(("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"), Wish.STOP),
    **dict.fromkeys(("ARRET", "ARRÊT"), Wish.STOP),
    **dict.fromkeys(("START", "UNSTOP"), Wish.START),
}


def wish_of(message: InboundMessage) -> Wish | None:
    """None for all that is no such word, has something beside it, or was said to a group."""
    if len(message.text) > _LONGEST or message.media or message.others:
        return None
    return _WORDS.get(word_of(message))


def word_of(message: InboundMessage) -> str:
    """The text as it would be one of the words."""
    return message.text.strip().rstrip(".!").upper()
