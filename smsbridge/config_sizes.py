"""Sizes as an operator writes them: `64M`, `2G`, or 0."""

import re
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

_FORM: Final = re.compile(r"([0-9]{1,6})([MG])")
_UNITS: Final = {"M": 2**20, "G": 2**30}
_PATTERN: Final = r"^([0-9]{1,6}[MG]|0|.*\$\{\w+\}.*)$"


def size(text: object) -> int:
    """Bytes; raises ValueError."""
    if text == "0" or (text == 0 and not isinstance(text, bool)):
        return 0
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("a size is expected, such as 64M or 2G")
    return int(found[1]) * _UNITS[found[2]]


Size = Annotated[
    int,
    PlainValidator(size),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PATTERN}, {"const": 0}]}),
]
