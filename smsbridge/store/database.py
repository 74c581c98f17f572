"""What every driver offers: a transaction is a generator that yields statements and receives rows.

    def rename(old: str, new: str) -> Transaction[int]:
        rows = yield sql("UPDATE … SET name = $2 WHERE name = $1 RETURNING id", old, new)
        return len(rows)

    count = await database.run(rename, "a", "b")      # committed and synced when it returns

The logic exists once and does no I/O; transactions compose with `yield from`. A driver may run one again from
the start (a serialisation failure), so a transaction has no side effects beyond its statements. A result is
released only after the commit. A statement that violates a constraint ends its transaction with `Conflict`: one
that may meet what is there already says `ON CONFLICT`.
"""

import functools
import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from smsbridge.core.errors import SmsbridgeError, StoreUnavailable

Value = str | int | float | bytes | None
Row = Mapping[str, Any]
T = TypeVar("T")
P = ParamSpec("P")


class Statement(NamedTuple):
    """SQL with `$1`… and its parameters."""

    text: str
    params: tuple[Value, ...]


Transaction = Generator[Statement, Sequence[Row], T]


class Conflict(SmsbridgeError):
    """A constraint of the schema was violated; nothing of the transaction was written."""


class Fenced(StoreUnavailable):
    """The lease is not ours any more: nothing was written, or its result comes too late to be acted upon."""


def sql(text: str, *params: Value) -> Statement:
    """One statement of a transaction. What no database takes in a text (NUL, lone surrogates) is replaced."""
    return Statement(text, tuple(_storable(param) if isinstance(param, str) else param for param in params))


def sql_rows(text: str, rows: Sequence[tuple[Value, ...]], *params: Value) -> Statement:
    """One statement with many rows in the place of `$rows`; its other parameters come first.

    `VALUES $rows` takes a row each, `IN $rows` a single one. There must be one at least.
    """
    return sql(_with_rows(text, len(rows), len(rows[0]), len(params)), *params, *itertools.chain.from_iterable(rows))


@functools.lru_cache(maxsize=512)
def _with_rows(text: str, count: int, width: int, before: int) -> str:
    numbers = itertools.count(before + 1)
    rows = (", ".join(f"${next(numbers)}" for _ in range(width)) for _ in range(count))
    return text.replace("$rows", ", ".join(f"({row})" for row in rows))


def _storable(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


class Database(Protocol):
    """A store that commits. Raises `StoreUnavailable` when it could not, or cannot tell."""

    async def run(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction; it is on disk when this returns."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
        ...
