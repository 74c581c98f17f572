"""A phrase in a language: the one place where words become text."""

import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from smsbridge.core.words.english import ENGLISH
from smsbridge.core.words.french import FRENCH
from smsbridge.core.words.say import Language, Phrase, Plural, Words
from smsbridge.core.words.tongue import Tongue

TONGUES: Final[Mapping[Language, Tongue]] = {Language.ENGLISH: ENGLISH, Language.FRENCH: FRENCH}
MILLION: Final = 1_000_000


def worded(words: Words, language: Language) -> str:
    """The text. What is text already is somebody's own words, and stays as it is."""
    return words if isinstance(words, str) else _Writer(TONGUES[language]).write(words)


def begun(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def language_named(tag: str) -> Language | None:
    """The language of an `xml:lang` (RFC 5646), None if it is none of ours."""
    primary = tag.partition("-")[0].lower()
    return next((language for language in Language if language == primary), None)


class _Writer(string.Formatter):
    """Fills the places of sentences; `string.Formatter` is made to be subclassed."""

    def __init__(self, tongue: Tongue) -> None:
        self._tongue = tongue

    def write(self, phrase: Phrase) -> str:
        fields = dict(phrase.fields)
        entry = self._tongue.entries[phrase.key]
        if isinstance(entry, Plural):
            n = fields["n"]
            if not isinstance(n, int):
                raise TypeError(f"{phrase.key} is counted by n")
            entry = entry.none if n == 0 and entry.none else entry.one if self._tongue.is_one(n) else entry.many
        return self.vformat(entry, (), fields)

    def format_field(self, value: Any, format_spec: str) -> str:
        match value:
            case Phrase():
                return self.write(value)
            case tuple():
                return self._listed(value, format_spec)
            case datetime():
                return self._dated(value.astimezone(UTC), format_spec)
            case int() if format_spec == "money":
                return money(value).replace(".", self._tongue.point)
            case str() | int() if not format_spec:
                return str(value)
            case _:
                raise ValueError(f"{type(value).__name__} cannot be written as {format_spec!r}")

    def _listed(self, items: Sequence[Words], between: str) -> str:
        return (between or ", ").join(item if isinstance(item, str) else self.write(item) for item in items)

    def _dated(self, at: datetime, format_spec: str) -> str:
        day = self._tongue.first if at.day == 1 else str(at.day)
        match format_spec:
            case "clock":
                return self._tongue.clock.format(at)
            case "day":
                return f"{day} {self._tongue.months[at.month - 1]}"
            case "date":
                return f"{day} {self._tongue.months[at.month - 1]} {at.year}"
            case "isodate":
                return f"{at:%Y-%m-%d}"
            case "stamp":
                return f"{at:%Y-%m-%d %H:%M} UTC"
            case _:
                raise ValueError(f"an instant cannot be written as {format_spec!r}")


def money(millionths: int) -> str:
    """With two places, more where they say something."""
    text = f"{millionths / MILLION:.6f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
