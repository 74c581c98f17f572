"""What makes a language: its sentences, and how it counts, dates and writes amounts.

A place of a sentence is `{name}`, or says how its value is written:

    {at:clock}   18:10 UTC, 18 h 10 UTC           an instant
    {at:day}     1 December, 1er décembre
    {at:date}    1 December 2026
    {at:isodate} 2026-12-01                       in every language
    {at:stamp}   2026-12-01 18:10 UTC             likewise
    {cost:money} 5.00, 5,00                       millionths
    {items:; }   what stands between the items of a tuple; ", " if nothing is said
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from smsbridge.core.words.say import Key, Plural

Entries: TypeAlias = Mapping[Key, str | Plural]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """`is_one` says whether a count is singular; `first` is the first of a month, `point` the decimal sign."""

    entries: Entries
    is_one: Callable[[int], bool]
    months: tuple[str, ...]
    clock: str
    first: str
    point: str
