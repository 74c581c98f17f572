"""What is said: a key of the catalogue, with what fills the places of its sentence."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class Language(StrEnum):
    """Named as `xml:lang` and the configuration name them."""

    ENGLISH = "en"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Plural:
    """A sentence that depends on a count, `n`. Without `none`, nought is said as the language counts it."""

    one: str
    many: str
    none: str = ""


class Key(StrEnum):
    """A key of the catalogue. To call one gives its phrase."""

    def __call__(self, **fields: "Field") -> "Phrase":
        return Phrase(self, tuple(fields.items()))


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence, or a piece of one, with what fills its places."""

    key: Key
    fields: tuple[tuple[str, "Field"], ...] = ()


Words: TypeAlias = Phrase | str
Field: TypeAlias = str | int | datetime | Phrase | tuple[Words, ...]
