"""What several kinds of account may say in their section of the configuration, and how it is written."""

from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from smsbridge.core.line import CatchUp

MOST_DAYS: Final = 90


def _catch_up(written: object) -> CatchUp:
    match written:
        case CatchUp():
            return written
        case "since":
            return CatchUp()
        case "none":
            return CatchUp(is_on=False)
        case {"days": int(days), **rest} if not (rest or isinstance(days, bool)) and 1 <= days <= MOST_DAYS:
            return CatchUp(days=days)
    raise ValueError(f"since, none or {{days: 7}} is expected, with 1 to {MOST_DAYS} days")


_CATCH_UP_SCHEMA: Final = {
    "oneOf": [
        {"enum": ["since", "none"]},
        {
            "type": "object",
            "properties": {"days": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS}},
            "required": ["days"],
            "additionalProperties": False,
        },
    ]
}

CatchUpChoice = Annotated[CatchUp, PlainValidator(_catch_up), WithJsonSchema(_CATCH_UP_SCHEMA)]
