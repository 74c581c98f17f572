"""`carrier_status`: how a sent text fared, as the list tells it, minutes later and in words of no fixed form.

Message delivered to handset.      delivered
words that say it never will be    failed
Information not available, empty, anything else: nothing is known, now or ever (an MMS hardly ever gets more)
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from smsbridge.core.address import Did
from smsbridge.core.message import DeliveryReport, ProviderName, ReportState
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.listing import Direction, Query, Row, eastern_day, list_texts

_DELIVERED: Final = frozenset(
    {"message delivered to handset", "delivered to handset", "message delivered", "delivered"}
)
# COMPAT(voip.ms, 2026-03): nobody has written down a failure's words; these mean one at every carrier.
_FAILED: Final = re.compile(r"\b(not delivered|undelivered|undeliverable|delivery failed|rejected|failed|expired)\b")
_HOPEFUL: Final = re.compile(r"\b(retry|retrying|pending|queued|temporar\w*)\b")


def state_of(carrier_status: str) -> ReportState | None:
    """What these words say for certain; None where that is nothing."""
    words = " ".join(carrier_status.casefold().strip(" .!").split())
    if words in _DELIVERED:
        return ReportState.DELIVERED
    if _FAILED.search(words) and not _HOPEFUL.search(words):
        return ReportState.FAILED
    return None


def reports_in(provider: ProviderName, rows: Iterable[Row]) -> tuple[DeliveryReport, ...]:
    """What the list knows of the texts that were sent."""
    return tuple(
        DeliveryReport(
            provider=provider, kind=row.kind, provider_id=row.provider_id, state=state, code=f"listed_{state}"
        )
        for row in rows
        if row.direction is Direction.OUT and (state := state_of(row.carrier_status)) is not None
    )


async def reports(
    api: Api, provider: ProviderName, since: datetime, until: datetime, dids: Collection[Did]
) -> tuple[DeliveryReport, ...]:
    """Of all that was sent between two instants; raises the `Outcome` that a call met."""
    query = Query(first=eastern_day(since), last=eastern_day(until + timedelta(days=1)), direction=Direction.OUT)
    return reports_in(provider, (await list_texts(api, query, dids)).rows)
