"""What of a carrier's list is not known yet: a look shows again most of what the looks before have shown.

Many rows by few statements; whatever is not certainly known goes through the door, which looks at it closely.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smsbridge.core.message import InboundMessage, Kind, ProviderName, SentElsewhere
from smsbridge.store.database import Transaction, sql_among
from smsbridge.store.elsewhere import key_of
from smsbridge.store.inbox import id_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A listed message, and the attachments that are known of it; None if itself is not known."""

    message: InboundMessage
    urls: frozenset[str] | None


def known(messages: Sequence[InboundMessage]) -> Transaction[list[Known]]:
    """What is known of each."""
    names = {message: _names(message) for message in messages}
    keys = list(dict.fromkeys(key for its in names.values() for key in its))
    taken = yield from sql_among(
        "SELECT k.key, i.peer FROM inbox_key k LEFT JOIN inbox i ON i.id = k.inbox_id WHERE k.key IN $among", keys
    )
    peers = {row["key"]: row["peer"] for row in taken}
    urls: defaultdict[str, set[str]] = defaultdict(set)
    for row in (yield from sql_among(
        "SELECT k.key, m.url FROM inbox_key k JOIN media m ON m.inbox_id = k.inbox_id WHERE k.key IN $among",
        list(peers),
    )):  # fmt: skip
        urls[row["key"]].add(row["url"])
    return [
        Known(
            message=message,
            urls=frozenset().union(*(urls[key] for key in its))
            if any(key in peers and peers[key] in {None, message.peer} for key in its)
            else None,
        )
        for message, its in names.items()
    ]


def unjudged(texts: Sequence[SentElsewhere]) -> Transaction[list[SentElsewhere]]:
    """Those that are no part's by their id and number, and were not judged before."""
    judged = yield from sql_among("SELECT key FROM elsewhere_key WHERE key IN $among", [key_of(text) for text in texts])
    done = {row["key"] for row in judged}
    ours: set[tuple[ProviderName, Kind, str, str, str]] = set()
    for provider, kind in dict.fromkeys((text.provider, text.kind) for text in texts):
        ids = [text.provider_id for text in texts if (text.provider, text.kind) == (provider, kind)]
        rows = yield from sql_among(
            "SELECT provider_id, did, peer FROM outbox WHERE provider = $1 AND kind = $2 AND provider_id IN $among",
            ids,
            *(provider, kind),
        )
        ours |= {(provider, kind, row["provider_id"], row["did"], row["peer"]) for row in rows}
    return [
        text
        for text in texts
        if key_of(text) not in done and (text.provider, text.kind, text.provider_id, text.did, text.peer) not in ours
    ]


def _names(message: InboundMessage) -> Iterable[str]:
    return (id_key(message, message.kind), id_key(message, Kind.UNTOLD)) if message.provider_id else ()
