"""Deliveries for a component that nobody speaks for any more: its JID was changed, or was mistyped and put right.

Nobody speaks for any name but one while a house is held (`leases.py`). They go over to that component, in their order,
and wait for its stream. Bytes that were fixed keep all but whom they come from; the text of one that was written with
its bytes stands nowhere else.
"""

from datetime import datetime
from typing import Final

from smsbridge.core.message import DeliveryKind
from smsbridge.core.state import DeliveryState
from smsbridge.store import backlog, history
from smsbridge.store.database import Row, Transaction, sql, sql_rows
from smsbridge.store.ids import Ids

_BORN_WITH_BYTES: Final = {DeliveryKind.TEXT, DeliveryKind.MEDIA}


def adopt(ids: Ids, now: datetime, domain: str, limit: int) -> Transaction[int]:
    """Take over so many at most; how many there were, to be repeated until there are none."""
    others = yield from _others(domain)
    if not others:
        return 0
    old, rows = others[0], list[Row]()
    for state in ("handing", "waiting"):
        rows += yield sql(
            f"SELECT id, kind, sender, xml, attempt FROM delivery WHERE domain = $1 AND state = '{state}'"  # noqa: S608
            " ORDER BY id LIMIT $2",
            *(old, limit - len(rows)),
        )
    yield from sql_rows(
        "UPDATE delivery SET domain = $1, state = 'waiting', sender = ours.column2, xml = NULLIF(ours.column3, '')"
        " FROM (VALUES $rows) AS ours WHERE id = ours.column1",
        [(row["id"], _moved(row["sender"], old, domain), _bytes_of(row, old, domain)) for row in rows],
        domain,
    )
    steps = [
        history.Step(
            subject="delivery", subject_id=row["id"], who="janitor", state=DeliveryState.WAITING,
            attempt=row["attempt"], code="adopted",
        )
        for row in rows
    ]  # fmt: skip
    yield from history.note(ids, now, *steps)
    return len(rows)


def _others(domain: str) -> Transaction[list[str]]:
    found = [*(yield from backlog.domains("waiting")), *(yield from backlog.domains("handing"))]
    return sorted({name for name, _ in found} - {domain})


def _moved(sender: str, old: str, domain: str) -> str:
    """The sender of an answer is a whole JID, with the resource that it was asked at; all others are localparts."""
    bare, slash, resource = sender.partition("/")
    localpart, at, host = bare.rpartition("@")
    return f"{localpart}@{domain}{slash}{resource}" if at and host == old else sender


def _bytes_of(row: Row, old: str, domain: str) -> str:
    """What is to be written, "" if it is to be drawn anew."""
    if not row["xml"] or row["kind"] not in _BORN_WITH_BYTES:
        return ""
    head, quote, rest = str(row["xml"]).partition(f'@{old}"')  # `from` comes first
    return f'{head}@{domain}"{rest}' if quote else ""
