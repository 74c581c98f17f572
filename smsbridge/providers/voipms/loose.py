"""What the carrier writes loosely, read once for its callbacks and its listings.

Numbers come as numbers or strings, lists as lists or as their only entry, dates without a zone. A loose type never
costs a message.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from smsbridge.core.address import CACHED, Did, normalise_did
from smsbridge.core.text import join_surrogates

EASTERN: Final = ZoneInfo("America/New_York")
MEDIA_ROOT: Final = "https://voip.ms/"
UNFILLED: Final = frozenset({"{FROM}", "{TO}", "{ID}", "{TIMESTAMP}", "{MEDIA}"})


@lru_cache(CACHED)
def did_of(raw: str) -> Did | None:
    """One of our numbers; None for what cannot be one."""
    try:
        return normalise_did(raw)
    except ValueError:
        return None


def instant_of(raw: str) -> datetime | None:
    """A date; US-Eastern if it does not tell its zone, None if it is none."""
    try:
        moment = datetime.fromisoformat(raw)
        return (moment if moment.tzinfo else moment.replace(tzinfo=EASTERN)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def absolute(url: str) -> str:
    """The URL of an attachment, which may be written without its host."""
    return url if "://" in url else MEDIA_ROOT + url.lstrip("/")


def member(value: object, name: str) -> object:
    """What an object has under a name."""
    return value.get(name) if isinstance(value, dict) else None


def each(value: object, name: str) -> tuple[str, ...]:
    """The texts in a list, or in what should have been one; each may be wrapped as `{name: text}`."""
    if not value:
        return ()
    entries = value if isinstance(value, list) else [value]
    if len(entries) == 1:  # as it is nearly always
        text = _entry(entries[0], name).strip()
        return (text,) if text and text not in UNFILLED else ()
    return filled([_entry(entry, name) for entry in entries])


def _entry(entry: object, name: str) -> str:
    return text_of(entry.get(name) if isinstance(entry, dict) else entry)


def filled(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that say something."""
    return tuple([text for text in map(str.strip, texts) if text and text not in UNFILLED])


def text_of(value: object) -> str:
    """A text that may have been written as a number; "" for null and all else."""
    if type(value) is str:  # nearly always
        return join_surrogates(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return join_surrogates(str(value))
