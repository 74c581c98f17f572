"""A phrase as the text of a column, and back.

What is no packed phrase is somebody's own words, or was written before there were phrases, and stays text. A key or a
form that this version does not know (a newer one may have written it) is as good as no words: there is always
something else to say.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from smsbridge.core.words.say import Field, Key, Language, Phrase, Say, Words
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.wording import worded

KEYS: Final[Mapping[str, Key]] = MappingProxyType({key.value: key for key in (*Say, *Tell)})
_MARK: Final = '{"say":'


def pack(words: Words) -> str:
    """Text for a column."""
    return words if isinstance(words, str) else json.dumps(_packed(words), ensure_ascii=False, separators=(",", ":"))


def unpack(text: str) -> Words:
    """The words of a column; "" for a phrase that this version does not know."""
    if not text.startswith(_MARK):
        return text
    try:
        phrase = _phrase(json.loads(text))
        worded(phrase, Language.ENGLISH)  # the sentence may have other places by now
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return ""
    return phrase


def _packed(field: Field) -> Any:
    match field:
        case Phrase(key, fields):
            return {"say": key} | ({"with": {name: _packed(value) for name, value in fields}} if fields else {})
        case tuple():
            return [_packed(item) for item in field]
        case datetime():
            return {"ms": round(field.timestamp() * 1000)}
        case _:
            return field


def _phrase(found: Any) -> Phrase:
    return Phrase(KEYS[found["say"]], tuple((name, _field(value)) for name, value in found.get("with", {}).items()))


def _field(found: Any) -> Field:
    match found:
        case str() | int():
            return found
        case {"ms": int(ms)}:
            return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
        case list():
            return tuple(item if isinstance(item, str) else _phrase(item) for item in found)
        case _:
            return _phrase(found)
