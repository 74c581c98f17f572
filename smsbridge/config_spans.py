"""Spans of time as an operator writes them: `7d`, `12h`, `30m`, or 0."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

LONGEST: Final = timedelta(days=3650)
_FORM: Final = re.compile(r"([0-9]{1,6})([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
_PATTERN: Final = r"^([0-9]{1,6}[dhm]|0|.*\$\{\w+\}.*)$"


def span(text: object) -> timedelta:
    """What was written; raises ValueError."""
    if isinstance(text, timedelta):
        return text
    if text == "0" or (text == 0 and not isinstance(text, bool)):
        return timedelta()
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("a span of time is expected, such as 7d, 12h or 30m")
    if (spanned := timedelta(**{_UNITS[found[2]]: int(found[1])})) > LONGEST:
        raise ValueError(f"at most {LONGEST.days}d")
    return spanned


Span = Annotated[
    timedelta,
    PlainValidator(span),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PATTERN}, {"const": 0}]}),
]
