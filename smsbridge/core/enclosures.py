"""What was done to files that go out with a text, and what their writer is told of it."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from smsbridge.core.words.say import Phrase, Say


class Done(StrEnum):
    """What was done to a file so that it could go. Closed."""

    NOTHING = ""
    SHRUNK = "shrunk"
    RECODED = "recoded"
    STILLED = "stilled"
    LINKED = "linked"


class Why(StrEnum):
    """Why a file goes as its link, or not at all. Closed."""

    URL = "url"
    PLACE = "place"
    ADDRESS = "address"
    REDIRECTED = "redirected"
    UNREACHABLE = "unreachable"
    SLOW = "slow"
    REFUSED = "refused"
    GONE = "gone"
    LARGE = "large"
    EMPTY = "empty"
    PACKED = "packed"
    KIND = "kind"
    FULL = "full"
    FALSE = "false"
    ENDLESS = "endless"
    DAMAGED = "damaged"
    BOMB = "bomb"
    UNMADE = "unmade"
    TOOL = "tool"
    LOST = "lost"

    @property
    def words(self) -> Phrase:
        """For who sent the file."""
        return _WORDS[self]()

    @property
    def is_passing(self) -> bool:
        """Whether to send it once more may help."""
        return self in {Why.UNREACHABLE, Why.SLOW, Why.REFUSED, Why.FULL}


_WORDS: Final = {
    Why.URL: Say.WHY_URL,
    Why.PLACE: Say.WHY_PLACE,
    Why.ADDRESS: Say.WHY_ADDRESS,
    Why.REDIRECTED: Say.WHY_REDIRECTED,
    Why.UNREACHABLE: Say.WHY_UNREACHABLE,
    Why.SLOW: Say.WHY_SLOW,
    Why.REFUSED: Say.WHY_REFUSED,
    Why.GONE: Say.WHY_GONE,
    Why.LARGE: Say.FILE_TOO_LARGE,
    Why.EMPTY: Say.WHY_EMPTY,
    Why.PACKED: Say.WHY_PACKED,
    Why.KIND: Say.FILE_KIND_NOT_TAKEN,
    Why.FULL: Say.WHY_FULL,
    Why.FALSE: Say.WHY_FALSE,
    Why.ENDLESS: Say.WHY_ENDLESS,
    Why.DAMAGED: Say.FILE_DAMAGED,
    Why.BOMB: Say.FILE_BOMB,
    Why.UNMADE: Say.FILE_SLOW,
    Why.TOOL: Say.FILE_NO_TOOL,
    Why.LOST: Say.WHY_LOST,
}
_ONE: Final = {Done.SHRUNK: Say.FILE_SHRUNK, Done.RECODED: Say.FILE_RECODED, Done.STILLED: Say.FILE_STILLED}
_MANY: Final = {Done.SHRUNK: Say.FILES_SHRUNK, Done.RECODED: Say.FILES_RECODED, Done.STILLED: Say.FILES_STILLED}


def in_words(files: Iterable[tuple[Done, Why | None]]) -> Phrase | None:
    """One line on what was done to all files of a text; None if they go as they are. `Why` of those that are links."""
    found = Counter(files)
    told = [(done, why, n) for (done, why), n in found.items() if done]
    if not told:
        return None
    if found.total() > 1:
        pieces = tuple(
            Say.FILES_LINKED(n=n, why=why.words) if why is not None else _MANY[done](n=n) for done, why, n in told
        )
        return Say.FILES_GO(of=found.total(), done=pieces)
    ((done, why, _),) = told
    return Say.FILE_LINKED(why=why.words) if why is not None else _ONE[done]()
