"""A store with a past: rows by the million, made inside SQLite out of the rows that real texts have left.

What a column holds comes from such a row, but for what makes a row itself: ids, keys, numbers and times. So a new
column needs nothing here. Times are spread over the last six days, so that nothing is old enough to be forgotten.
"""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tests.bench.posts import MARK, text_of

SPAN_MS = 6 * 86_400_000
FIRST_HISTORIC = 3  # ids of the trail come after those of inbox (0), delivery (1) and message (2)


def keep(path: Path, rows: int) -> int:
    """A past of texts that came in and were handed over, so many rows in all; how many texts that is."""
    with closing(_open(path)) as store:
        steps = store.execute("SELECT id, subject FROM history WHERE subject IN ('inbox', 'delivery')").fetchall()
        texts = rows // (3 + len(steps))
        _begin(store, texts)
        _multiply(store, "inbox", {
            "id": _id(0), "provider_id": "'old-' || k", "peer": "'+1555988' || printf('%04d', k % 1000)",
            "text": "printf('%09d', k) || substr(text, 10)", "text_hash": "printf('%064x', k)", "taken_at": "ms",
            "sent_at": "ms",
        })  # fmt: skip
        _multiply(store, "inbox_key", {
            "key": "'old' || char(31) || k", "inbox_id": _id(0), "text_hash": "printf('%064x', k)", "seen_at": "ms",
        })  # fmt: skip
        _multiply(store, "delivery", {
            "id": _id(1), "inbox_id": _id(0), "stanza_id": _id(1), "created_at": "ms", "handed_at": "ms",
            "proved_at": "ms",
        })  # fmt: skip
        for n, (step, subject) in enumerate(steps):
            _multiply(store, "history", {
                "id": _id(FIRST_HISTORIC + n), "subject_id": _id(0 if subject == "inbox" else 1), "at": "ms",
            }, step)  # fmt: skip
        store.execute("COMMIT")
        return texts


def wait_for_the_stream(path: Path, rows: int, first: int) -> None:
    """Deliveries of texts that came in while the XMPP server was gone: as of n, in order."""
    words = text_of(0)
    with closing(_open(path)) as store:
        _begin(store, rows)
        _multiply(store, "delivery", {
            "id": _id(1), "stanza_id": _id(1), "sender": "'+1555988' || printf('%04d', k % 1000)",
            "body": f"'{MARK}' || printf('%09d', k - 1 + {first}) || '{words[len(MARK) + 9 :]}'",
            "state": "'waiting'", "xml": "NULL", "attempt": "0", "created_at": "ms", "handed_at": "NULL",
            "proved_at": "NULL",
        })  # fmt: skip
        store.execute("COMMIT")


def wait_on_hold(path: Path, rows: int, provider: str) -> None:
    """Parts in 1000 conversations, behind the hold of an account that its carrier has closed."""
    with closing(_open(path)) as store:
        _begin(store, rows)
        _multiply(store, "message", {
            "id": _id(2), "stanza_id": "'old-' || k", "told": "'waiting'", "accepted_at": "ms",
        })  # fmt: skip
        _multiply(store, "outbox", {
            "id": _id(0), "message_id": _id(2), "provider": f"'{provider}'", "state": "'queued'", "attempt": "0",
            "tries": "0", "peer": "'+1555988' || printf('%04d', k % 1000)", "provider_id": "NULL",
            "due_at": "ms", "queued_at": "now - 60000", "changed_at": "ms", "claimed_at": "NULL", "claimed_by": "''",
            "lease_until": "NULL",
        })  # fmt: skip
        store.execute(
            "INSERT OR IGNORE INTO conversation (did, peer, touched_at) SELECT DISTINCT did, peer, 0 FROM outbox"
        )
        store.execute(
            "UPDATE conversation SET (head, provider, due_at) = (SELECT id, provider, due_at FROM outbox p"
            " WHERE p.did = conversation.did AND p.peer = conversation.peer AND p.state IN"
            " ('queued', 'held', 'sending', 'unknown') AND p.state = 'queued' ORDER BY id LIMIT 1)"
        )
        now = int(time.time() * 1000)
        store.execute(
            "INSERT INTO hold (provider, did, hold, reason, code, words, since, probe_at, probes)"
            " VALUES (?, '', 'account', 'account_fault', 'api_not_enabled', '', ?, ?, 0)",
            (provider, now, now + 3_600_000),
        )
        store.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA cache_size = -500000")
    return store


def _begin(store: sqlite3.Connection, count: int) -> None:
    now = int(time.time() * 1000)
    store.execute("BEGIN")
    store.execute("CREATE TEMP TABLE past (k INTEGER PRIMARY KEY, ms INTEGER NOT NULL, now INTEGER NOT NULL)")
    store.execute(
        "WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?1)"
        " INSERT INTO past SELECT k, ?2 - ?3 + k * ?3 / (?1 + 1), ?2 FROM n",
        (count, now, SPAN_MS),
    )


def _multiply(store: sqlite3.Connection, table: str, changed: Mapping[str, str], model: str = "") -> None:
    """One row for each k of the past, like the row whose id is `model` (or any), but for what is changed."""
    names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
    unknown = changed.keys() - set(names)
    if unknown:
        raise ValueError(f"{table} has no {', '.join(sorted(unknown))}")
    values = ", ".join(changed.get(name, f"m.{name}") for name in names)
    which = "WHERE id = ?1" if model else ""
    store.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values}"  # noqa: S608  # our own names
        f" FROM past, (SELECT * FROM {table} {which} LIMIT 1) AS m ORDER BY k",
        (model,) if model else (),
    )


def _id(which: int) -> str:
    """A UUIDv7 of its time; the last digits tell rows of one k apart."""
    return f"printf('%08x-%04x-7000-8000-%012x', ms >> 16, ms & 65535, k * 16 + {which})"
