"""Deliveries for a component that nobody speaks for any more: its JID was changed, or was mistyped and put right.

Nobody speaks for any name but one while a house is held (`leases.py`). They go over to that component, in their order,
and wait for its stream; what a server was handed and may have lost may still be doubted. Bytes that were fixed keep all
but whom they come from; the text of one that was written with its bytes stands nowhere else.
"""

from datetime import datetime
from typing import Final

from smsbridge.core.address import at_domain
from smsbridge.core.message import DeliveryKind
from smsbridge.core.state import DeliveryState
from smsbridge.store import history
from smsbridge.store.database import Row, Transaction, sql, sql_rows
from smsbridge.store.ids import Ids

# Before our name and behind it, so that an index finds them. What may be doubted comes first: whether its server has
# died is asked as soon as there is a stream.
_LEFT: Final = (
    (
        "SELECT * FROM delivery WHERE state = 'handed' AND proved_at IS NULL AND domain < $1"
        " ORDER BY domain, handed_at LIMIT $2"
    ),
    (
        "SELECT * FROM delivery WHERE state = 'handed' AND proved_at IS NULL AND domain > $1"
        " ORDER BY domain, handed_at LIMIT $2"
    ),
    "SELECT * FROM delivery WHERE state = 'handing' AND domain < $1 ORDER BY domain, id LIMIT $2",
    "SELECT * FROM delivery WHERE state = 'handing' AND domain > $1 ORDER BY domain, id LIMIT $2",
    "SELECT * FROM delivery WHERE state = 'waiting' AND domain < $1 ORDER BY domain, id LIMIT $2",
    "SELECT * FROM delivery WHERE state = 'waiting' AND domain > $1 ORDER BY domain, id LIMIT $2",
)
_BORN_WITH_BYTES: Final = {DeliveryKind.TEXT, DeliveryKind.MEDIA}


def adopt(ids: Ids, now: datetime, domain: str, limit: int) -> Transaction[int]:
    """Take over so many at most; how many there were, to be repeated until there are none."""
    rows: list[Row] = []
    for left in _LEFT:
        if len(rows) < limit:
            rows += yield sql(left, domain, limit - len(rows))
    yield from sql_rows(
        "UPDATE delivery SET domain = $1, state = ours.column2, sender = ours.column3, xml = NULLIF(ours.column4, '')"
        " FROM (VALUES $rows) AS ours WHERE id = ours.column1",
        [(row["id"], _state_of(row), _moved(row["sender"], domain), _bytes_of(row, domain)) for row in rows],
        domain,
    )
    steps = [
        history.Step(
            subject="delivery", subject_id=row["id"], who="janitor", state=_state_of(row), attempt=row["attempt"],
            code="adopted",
        )
        for row in rows
    ]  # fmt: skip
    yield from history.note(ids, now, *steps)
    return len(rows)


def _state_of(row: Row) -> DeliveryState:
    return DeliveryState.HANDED if row["state"] == DeliveryState.HANDED else DeliveryState.WAITING


def _moved(sender: str, domain: str) -> str:
    """The sender of an answer is a whole JID, with the resource that it was asked at; all others are localparts."""
    return at_domain(sender, domain) if "@" in sender else sender


def _bytes_of(row: Row, domain: str) -> str:
    """What is to be written, "" if it is to be drawn anew."""
    if not row["xml"] or row["kind"] not in _BORN_WITH_BYTES:
        return ""
    head, quote, rest = str(row["xml"]).partition(f'@{row["domain"]}"')  # `from` comes first
    return f'{head}@{domain}"{rest}' if quote else ""
