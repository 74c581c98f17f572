"""What every driver offers: a transaction is a generator that yields statements and receives rows.

    def rename(old: str, new: str) -> Transaction[int]:
        rows = yield sql("UPDATE … SET name = $2 WHERE name = $1 RETURNING id", old, new)
        return len(rows)

    count = await database.run(rename, "a", "b")      # committed and synced when it returns

The logic exists once and does no I/O; transactions compose with `yield from`. A driver may run one again from
the start (a serialisation failure), so a transaction has no side effects beyond its statements. A result is
released only after the commit.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

Value = str | int | float | bytes | None
Row = Mapping[str, Any]
T = TypeVar("T")
P = ParamSpec("P")


class Statement(NamedTuple):
    """SQL with `$1`… and its parameters."""

    text: str
    params: tuple[Value, ...]


Transaction = Generator[Statement, Sequence[Row], T]


def sql(text: str, *params: Value) -> Statement:
    """One statement of a transaction."""
    return Statement(text, params)


class Database(Protocol):
    """A store that commits. Raises `StoreUnavailable` when it could not, or cannot tell."""

    async def run(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction; it is on disk when this returns."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
        ...
