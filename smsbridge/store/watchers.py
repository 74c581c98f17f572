"""Who sees a number's presence: an owner's JID and the number as he has it. After a start they are asked for anew."""

from smsbridge.store.database import Transaction, sql


def add(owner: str, number: str) -> Transaction[None]:
    """This owner's server has told us of him, as it does to his contacts."""
    yield sql(
        "INSERT INTO watcher (owner, number) VALUES ($1, $2) ON CONFLICT (owner, number) DO NOTHING", owner, number
    )


def remove(owner: str, number: str) -> Transaction[None]:
    """It is no contact of his any more."""
    yield sql("DELETE FROM watcher WHERE owner = $1 AND number = $2", owner, number)


def seen_by(owner: str) -> Transaction[tuple[str, ...]]:
    """The numbers that he sees, in their order."""
    rows = yield sql("SELECT number FROM watcher WHERE owner = $1 ORDER BY number", owner)
    return tuple(row["number"] for row in rows)


def after(owner: str, number: str, limit: int) -> Transaction[tuple[tuple[str, str], ...]]:
    """The next of all, in their order; both "" is the beginning."""
    rows = yield sql(
        "SELECT owner, number FROM watcher WHERE (owner, number) > ($1, $2) ORDER BY owner, number LIMIT $3",
        *(owner, number, limit),
    )
    return tuple((row["owner"], row["number"]) for row in rows)
