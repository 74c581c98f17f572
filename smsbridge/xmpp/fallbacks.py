"""What in a body is not its writer's words (XEP-0428): a quotation, or what is there for clients that know no better.

    replies (0461), reactions (0444)   the quotation, the reaction as a text
    files (0066, 0447)                 Cheogram puts the link right behind the words; Kaidan sends words and files in
                                       one message, and then each file's link in one of its own, for other clients

A mark is believed where it costs nobody a word.
"""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.xmpp import sharing

FALLBACK: Final = "urn:xmpp:fallback:0"
REPLY: Final = "urn:xmpp:reply:0"
REACTIONS: Final = "urn:xmpp:reactions:0"

_OFFSET: Final = re.compile("[0-9]{1,9}")

Span = tuple[int, int]


def words_of(element: ET.Element, body: str, urls: Sequence[str]) -> str:
    """The body without what is marked as a quotation, a reaction or the link of one of the files at `urls`.

    Ranges count code points. A reply must tell its range: read as "all of it", a mark without one would lose a text;
    so would that of a file whose link is not in there.
    """
    files = {sharing.OOB, sharing.SHARING} if urls else set()
    is_linked = any(url in body for url in urls)
    spans: list[Span] = []
    for about, ranges in _marks(element):
        if about not in {REPLY, REACTIONS, *files}:
            continue
        spans += ranges
        if not ranges and (about == REACTIONS or (about in files and is_linked)):
            spans.append((0, len(body)))
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(body[at : max(at, start)])
        at = max(at, end)
    return "".join([*kept, body[at:]])


def repeats_files(element: ET.Element) -> bool:
    """Whether this is nothing but a file of an earlier message, for clients that could not read that one."""
    is_all = any(about == sharing.SHARING and not ranges for about, ranges in _marks(element))
    return is_all and not sharing.shares(element)


def _marks(element: ET.Element) -> list[tuple[str, list[Span]]]:
    """What each mark is for, and its ranges."""
    return [
        (mark.get("for", ""), [span for body in mark.iterfind(f"{{{FALLBACK}}}body") if (span := _span(body))])
        for mark in element.iterfind(f"{{{FALLBACK}}}fallback")
    ]


def _span(mark: ET.Element) -> Span | None:
    start, end = mark.get("start", ""), mark.get("end", "")
    if not (_OFFSET.fullmatch(start) and _OFFSET.fullmatch(end)):
        return None
    return int(start), int(end)
