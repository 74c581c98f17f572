"""An owner's texts as JSON lines: all that we know of each, and read in again as it was."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import Kind, Media, ProviderMessageId
from smsbridge.core.story import Entry
from smsbridge.core.text import xml_clean
from smsbridge.keeping.archive import CannotKeep

LONGEST_LINE: Final = 1024 * 1024
_WAYS: Final = {"in": True, "out": False}


def line_of(entry: Entry) -> str:
    """One text, without the end of the line."""
    return json.dumps(
        {
            "id": entry.id,
            "direction": "in" if entry.is_inbound else "out",
            "kind": entry.kind,
            "did": entry.did,
            "peer": entry.peer,
            "at": entry.at.isoformat(timespec="milliseconds"),
            "text": entry.text,
            "media": [{"url": item.url, "mime": item.mime, "size": item.size} for item in entry.media],
            "provider": entry.provider,
            "provider_id": entry.provider_id,
            "state": entry.state,
        },
        ensure_ascii=False,
    )


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Read them again. Raises `CannotKeep` with the number of the line that is none."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _entry(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise CannotKeep(f"line {number} is no text as smsbridge export writes it") from None


def _entry(found: dict[str, Any]) -> Entry:
    at = datetime.fromisoformat(found["at"])
    text = found["text"]
    return Entry(
        id=str(found.get("id") or ""),
        is_inbound=_WAYS[found["direction"]],
        kind=Kind(found["kind"]),
        did=Did(_word(found["did"])),
        peer=Peer(_word(found["peer"])),
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        text=None if text is None else xml_clean(_word(text)),
        media=tuple(
            Media(url=str(item["url"]), mime=str(item.get("mime") or ""), size=item.get("size"))
            for item in found.get("media", ())
        ),
        provider=str(found.get("provider") or ""),
        provider_id=ProviderMessageId(str(found["provider_id"])) if found.get("provider_id") else None,
        state=str(found.get("state") or ""),
    )


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value
