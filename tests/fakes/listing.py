"""A carrier's list of what it sent, as a test writes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsbridge.core.message import Kind
from smsbridge.providers.contract import Candidate, Traced


@dataclass(frozen=True, kw_only=True)
class Shown:
    provider_id: str
    text: str
    did: str
    peer: str
    kind: Kind
    at: datetime


class ScriptedList:
    """Shows what it was told to; `looked` has the texts that were looked for."""

    def __init__(self, now):
        self.rows: list[Shown] = []
        self.looked: list[str] = []
        self.code = ""  # why it shows nothing, or not all
        self.error: Exception | None = None
        self._now = now

    def show(self, provider_id, text, *, did, peer, kind=Kind.SMS, at=None):
        row = Shown(provider_id=provider_id, text=text, did=did, peer=peer, kind=kind, at=at or self._now())
        self.rows.append(row)

    def hide(self, provider_id):
        self.rows = [row for row in self.rows if row.provider_id != provider_id]

    async def trace(self, part, since, now):
        self.looked.append(part.text)
        if self.error is not None:
            raise self.error
        alike = [
            row
            for row in sorted(self.rows, key=lambda row: row.at)
            if (row.did, row.peer, row.text) == (part.did, part.peer, part.text)
            and since - timedelta(hours=1) <= row.at <= now
        ]
        candidates = tuple(Candidate(kind=row.kind, provider_id=row.provider_id) for row in alike)
        return Traced(candidates=candidates, is_whole=not self.code, code=self.code)
