"""The loop breaker: do two machines answer each other?

Three signs, each of one number of ours and one other party: more texts than a person writes; more answers, each to
another text, than a person gives; one text again and again as the answer to one text. What was sent lately is carried
along, oldest first; what was heard is only needed where `listen_since` says so.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

BURST: Final = 10  # texts within QUICK are what a person may write
ANSWERS: Final = 5  # of them, each with another text of the other party before it
ALIKE: Final = 4  # the same text again, after the same text again
QUICK: Final = timedelta(seconds=30)
LONG: Final = timedelta(minutes=5)
CLOSED: Final = timedelta(minutes=10)

_QUICK, _LONG = (round(span.total_seconds() * 1000) for span in (QUICK, LONG))


@dataclass(frozen=True, slots=True)
class Said:
    """A text that went or came: when, in epoch milliseconds, and a mark that equal texts share."""

    at: int
    mark: str


def mark_of(*texts: str) -> str:
    """Equal texts have equal marks."""
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def remember(sent: Sequence[Said], text: Said) -> str:
    """What is to be carried along after one more text."""
    kept = [*(said for said in sent if 0 <= text.at - said.at < _LONG), text][-BURST:]
    return " ".join(f"{said.at}:{said.mark}" for said in kept)


def remembered(carried: str) -> tuple[Said, ...]:
    """What `remember` gave."""
    return tuple(Said(int(at), mark) for at, _, mark in (item.partition(":") for item in carried.split()))


def is_burst(sent: Sequence[Said], text: Said) -> bool:
    """More than a person writes."""
    return len(_within(sent, text, _QUICK)) >= BURST


def listen_since(sent: Sequence[Said], text: Said) -> int | None:
    """From when on it matters what the other party said; None if it does not."""
    if len(_alike(sent, text)) >= ALIKE - 1:
        return text.at - _LONG
    return text.at - _QUICK if len(_within(sent, text, _QUICK)) >= ANSWERS else None


def is_loop(sent: Sequence[Said], text: Said, heard: Sequence[Said]) -> bool:
    """Two machines, by what the other party said meanwhile."""
    lately = [Said(text.at - _QUICK, ""), *_within(sent, text, _QUICK), text]
    if sum(any(_between(heard, *gap)) for gap in pairwise(lately)) > ANSWERS:
        return True
    alike = [*_alike(sent, text)[1 - ALIKE :], text]
    if len(alike) < ALIKE:
        return False
    return bool(set.intersection(*({said.mark for said in _between(heard, *gap)} for gap in pairwise(alike))))


def _within(sent: Sequence[Said], text: Said, span: int) -> list[Said]:
    return [said for said in sent if 0 <= text.at - said.at < span]


def _alike(sent: Sequence[Said], text: Said) -> list[Said]:
    return [said for said in _within(sent, text, _LONG) if said.mark == text.mark]


def _between(heard: Sequence[Said], before: Said, after: Said) -> list[Said]:
    return [said for said in heard if before.at < said.at <= after.at]
