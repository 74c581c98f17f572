"""What the carrier really took and what it really offered: the judge of every delivery test.

A row is recorded, and its journal line flushed, before anything is answered, so that a customer who was told
`success` always finds his row. SMS and MMS ids are two sequences, each shared by both directions.
A journal line is a JSON object: `event` is `sent` or `received` (the row's fields), `answered` (what the
customer said to one attempt: `kind`, `id`, `via`, `status`, `satisfied`) or `met` (a call and the fault that it met).
"""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    SMS = "sms"
    MMS = "mms"


class Direction(StrEnum):
    """Seen from the customer, as everywhere."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A picture; `content` is empty when it was handed in as a URL, which the carrier does not fetch."""

    content_type: str
    content: bytes = field(repr=False, default=b"")
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message; `did` is ten digits, `peer` ten digits or as the carrier knows it (short codes)."""

    id: int
    kind: Kind
    direction: Direction
    did: str
    peer: str
    message: str
    media: tuple[Attachment, ...]
    at: datetime
    method: str

    @property
    def dst(self) -> str:
        """Where a sent row went: the carrier's own word for the peer."""
        return self.peer

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "kind": self.kind,
            "direction": self.direction,
            "did": self.did,
            "peer": self.peer,
            "message": self.message,
            "media": [
                {"url": item.url, "content_type": item.content_type, "bytes": len(item.content)} for item in self.media
            ],
            "at": self.at.isoformat(),
            "method": self.method,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What the customer said to one attempt at handing him a row; no status: he was not to be reached."""

    kind: Kind
    id: int
    via: str
    status: int | None
    satisfied: bool

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "id": self.id,
            "via": self.via,
            "status": self.status,
            "satisfied": self.satisfied,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A call (or a push, or a connection) and the fault that it met; `peer` as the caller wrote it, if he did."""

    method: str
    fault: str
    at: datetime
    peer: str = ""

    def as_json(self) -> dict[str, object]:
        return {"method": self.method, "fault": self.fault, "at": self.at.isoformat(), "peer": self.peer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call as it came in, whatever became of it; `peer` and `message` as the caller wrote them, if he did."""

    method: str
    at: datetime
    peer: str = ""
    message: str = ""


class Ledger:
    def __init__(self, *, first_sms_id: int, first_mms_id: int, journal: Path | None = None) -> None:
        self.rows: list[Row] = []
        self.sent: list[Row] = []
        self.received: list[Row] = []
        self.answered: list[Acknowledgement] = []
        self.met: list[Met] = []
        self.called: list[Called] = []  # not in the journal
        self._by_id: dict[tuple[Kind, int], Row] = {}
        self._delivery_status: dict[tuple[Kind, int], str] = {}
        self._ids = {Kind.SMS: itertools.count(first_sms_id), Kind.MMS: itertools.count(first_mms_id)}
        self._changed = asyncio.Event()
        # Line buffering flushes each line: a reader in another process sees a row before its answer.
        self._journal = journal.open("a", buffering=1, encoding="utf-8") if journal else None

    def next_id(self, kind: Kind) -> int:
        return next(self._ids[kind])

    def record(self, row: Row) -> None:
        self._write(row.direction, row.as_json())
        self.rows.append(row)
        (self.sent if row.direction is Direction.SENT else self.received).append(row)
        self._by_id[row.kind, row.id] = row
        self._changed.set()

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self._write("answered", acknowledgement.as_json())
        self.answered.append(acknowledgement)
        self._changed.set()

    def meet(self, met: Met) -> None:
        self._write("met", met.as_json())
        self.met.append(met)
        self._changed.set()

    def row_of(self, kind: Kind, number: int) -> Row | None:
        return self._by_id.get((kind, number))

    def handset(self, peer: str) -> list[Row]:
        """The conversation as the peer's telephone shows it, in order."""
        return [row for row in self.rows if row.peer == peer]

    def carrier_status(self, row: Row) -> str:
        if row.direction is Direction.RECEIVED:
            return "received"
        usual = "Message delivered to handset." if row.kind is Kind.SMS else "Information not available"
        return self._delivery_status.get((row.kind, row.id), usual)

    def set_carrier_status(self, row: Row, words: str) -> None:
        self._delivery_status[row.kind, row.id] = words

    async def until(self, holds: Callable[[], bool], *, within: float = 60.0) -> None:
        """Return once `holds()`; it is asked again after every row, acknowledgement and fault."""
        async with asyncio.timeout(within):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        if self._journal:
            self._journal.close()

    def _write(self, event: str, line: dict[str, object]) -> None:
        if self._journal:
            self._journal.write(json.dumps({"event": event, **line}) + "\n")
