"""The head of each conversation, the part that may leave next: so a claim looks at what can be sent, not at what waits.

A conversation with a part in flight has none. Whoever changes the state or the time of a waiting part calls `renew` in
the same transaction. A line is a provider's did.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from smsbridge.core.address import Did
from smsbridge.core.message import ProviderName
from smsbridge.store.database import Row, Transaction, sql

# A part that was sent again by its writer's word may be older than the one in flight.
_RENEW: Final = (
    "UPDATE conversation SET (head, provider, due_at) = (SELECT p.id, p.provider, p.due_at FROM outbox p WHERE p.id ="
    " (SELECT f.id FROM outbox f WHERE f.did = $1 AND f.peer = $2 AND f.state IN ('queued', 'held', 'sending',"
    " 'unknown') AND f.state IN ('queued', 'held') ORDER BY f.id LIMIT 1) AND NOT EXISTS (SELECT 1 FROM outbox e"
    " WHERE e.did = $1 AND e.peer = $2 AND e.state IN ('sending', 'unknown'))) WHERE did = $1 AND peer = $2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A provider's did for which something waits; `since` in epoch milliseconds."""

    provider: ProviderName
    did: Did
    since: int


def renew(conversations: Iterable[tuple[str, str]]) -> Transaction[None]:
    """Find the heads of these (did, peer) anew."""
    for did, peer in sorted(set(conversations)):
        yield sql(_RENEW, did, peer)


def of_lines(provider: ProviderName) -> Transaction[list[tuple[int, Did]]]:
    """When the first head of each line is due, the earliest first."""
    found: list[tuple[int, Did]] = []
    did = ""
    while rows := (
        yield sql(
            "SELECT did, due_at FROM conversation WHERE head IS NOT NULL AND provider = $1 AND did > $2"
            " ORDER BY did, due_at LIMIT 1",
            *(provider, did),
        )
    ):
        did = rows[0]["did"]
        found.append((rows[0]["due_at"], Did(did)))
    return sorted(found)


def first_due(provider: ProviderName, did: Did, after: int) -> Transaction[int | None]:
    """When the next head of a line (of the whole account, if `did` is "") is due after an instant."""
    rows = yield (
        sql(
            "SELECT min(due_at) AS due FROM conversation WHERE head IS NOT NULL AND provider = $1 AND did = $2"
            " AND due_at > $3",
            *(provider, did, after),
        )
        if did
        else sql(
            "SELECT min(due_at) AS due FROM conversation WHERE head IS NOT NULL AND provider = $1 AND due_at > $2",
            *(provider, after),
        )
    )
    due: int | None = rows[0]["due"]
    return due


def put_off(provider: ProviderName, after: int, throttled_after: int, limit: int) -> Transaction[list[Row]]:
    """Heads that are due later than this; those that their carrier throttled, only if later than that."""
    return list((yield sql(
        "SELECT p.id, p.did, p.peer FROM conversation c JOIN outbox p ON p.id = c.head WHERE c.head IS NOT NULL"
        " AND c.provider = $1 AND c.due_at > $2 AND (c.due_at > $3 OR p.reason <> 'throttled')"
        " ORDER BY c.due_at LIMIT $4",
        *(provider, after, throttled_after, limit),
    )))  # fmt: skip


def providers() -> Transaction[list[ProviderName]]:
    """Those over which something may leave next."""
    found: list[ProviderName] = []
    name = ""
    while rows := (
        yield sql(
            "SELECT provider FROM conversation WHERE head IS NOT NULL AND provider > $1 ORDER BY provider LIMIT 1", name
        )
    ):
        name = rows[0]["provider"]
        found.append(ProviderName(name))
    return found


def queued_lines() -> Transaction[list[Line]]:
    """The lines for which parts are queued, and since when the oldest is."""
    found: list[Line] = []
    provider = did = ""
    while True:
        rows = yield sql(
            "SELECT provider, did, queued_at FROM outbox WHERE state = 'queued' AND provider = $1 AND did > $2"
            " ORDER BY did, queued_at LIMIT 1",
            *(provider, did),
        )
        if not rows:  # on to the next provider
            rows = yield sql(
                "SELECT provider, did, queued_at FROM outbox WHERE state = 'queued' AND provider > $1"
                " ORDER BY provider, did, queued_at LIMIT 1",
                provider,
            )
        if not rows:
            return found
        provider, did = rows[0]["provider"], rows[0]["did"]
        found.append(Line(provider=ProviderName(provider), did=Did(did), since=rows[0]["queued_at"]))
