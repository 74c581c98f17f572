"""Parts whose carrier has not said yet how they fared. After a while nobody waits for its word any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.message import DeliveryReport, Kind, ProviderMessageId, ProviderName
from smsbridge.core.state import PartState
from smsbridge.store.database import Transaction, sql, sql_among

AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A part that its writer sees a tick for as soon as the carrier says that it arrived."""

    kind: Kind
    provider_id: ProviderMessageId
    accepted_at: datetime


def awaited(provider: ProviderName) -> Transaction[tuple[Awaited, ...]]:
    """Those of an account, the newest first."""
    rows = yield sql(
        "SELECT p.kind, p.provider_id, m.accepted_at FROM message m JOIN outbox p ON p.message_id = m.id"
        " WHERE m.told = 'left' AND m.receipts = 'delivered' AND m.wants_receipt = 1 AND m.stanza_id <> ''"
        " AND p.provider = $1 AND p.state = 'sent' AND p.provider_id IS NOT NULL"
        " ORDER BY m.accepted_at DESC, m.id DESC LIMIT $2",
        *(provider, AT_ONCE),
    )
    return tuple(
        Awaited(
            kind=Kind(row["kind"]),
            provider_id=ProviderMessageId(row["provider_id"]),
            accepted_at=from_ms(row["accepted_at"]),
        )
        for row in rows
    )


def give_up(before: datetime) -> Transaction[int]:
    """Nobody waits for reports on texts from before an instant; how many there were, at most `AT_ONCE`."""
    rows = yield sql(
        "UPDATE message SET told = 'unreported' WHERE id IN (SELECT m.id FROM message m WHERE m.told = 'left'"
        " AND m.accepted_at < $1 ORDER BY m.accepted_at LIMIT $2) RETURNING id",
        *(to_ms(before), AT_ONCE),
    )
    return len(rows)


def news(provider: ProviderName, reports: Sequence[DeliveryReport]) -> Transaction[list[DeliveryReport]]:
    """Those about a part of ours of which this is not known yet."""
    open_: set[tuple[Kind, str]] = set()
    for kind in dict.fromkeys(report.kind for report in reports):
        rows = yield from sql_among(
            "SELECT provider_id, state FROM outbox WHERE provider = $1 AND kind = $2 AND provider_id IN $among",
            [report.provider_id for report in reports if report.kind is kind],
            *(provider, kind),
        )
        open_ |= {(kind, row["provider_id"]) for row in rows if row["state"] == PartState.SENT}
    return [report for report in reports if (report.kind, report.provider_id) in open_]
