"""What the bridge asks an owner, and what he may answer."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smsbridge.core.words.say import Phrase, Say


class QuestionKind(StrEnum):
    """`unsure`: a part that may have been sent; `confirm`: a text that waits for its writer's word"""

    UNSURE = "unsure"
    CONFIRM = "confirm"
    STOP = "stop"


class Answer(StrEnum):
    """Their names, which are typed in any language."""

    RESEND = "resend"
    ARRIVED = "arrived"
    CONFIRM = "confirm"
    DISCARD = "discard"

    @property
    def typed(self) -> Phrase:
        """What else is typed for it."""
        return Say[f"WORD_{self.name}"]()


# In the order in which they are offered.
CHOICES: Final[Mapping[QuestionKind, tuple[Answer, ...]]] = MappingProxyType(
    {
        QuestionKind.UNSURE: (Answer.RESEND, Answer.ARRIVED, Answer.DISCARD),
        QuestionKind.CONFIRM: (Answer.CONFIRM, Answer.DISCARD),
        QuestionKind.STOP: (Answer.CONFIRM, Answer.DISCARD),
    }
)


def choices(kind: QuestionKind, number: int) -> Phrase:
    """What may be typed: `resend 7, arrived 7 or discard 7`."""
    *first, last = (Say.USAGE(word=answer.typed, signs=str(number)) for answer in CHOICES[kind])
    return Say.ONE_OF(first=tuple(first), last=last)
