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
from bisect import bisect_right
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple, ParamSpec, Protocol, TypeVar

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

MOST_ROWS: Final = 64
# so many rows have a statement of their own; of any other number, a few are left for another one
_PIECES: Final = tuple(sorted({*range(1, 9), *range(12, 33, 4), *range(40, MOST_ROWS + 1, 8)}))
_PLAIN: Final = frozenset({str, int, float, bytes, type(None)})
MOST_VALUES: Final = 512


class Conflict(SmsbridgeError):
    """A constraint of the schema was violated; nothing of the transaction was written."""


class Fenced(StoreUnavailable):
    """The lease is not ours any more: nothing was written, or its result comes too late to be acted upon."""


def sql(text: str, *params: Value) -> Statement:
    """One statement of a transaction. What no database takes in a text (NUL, lone surrogates) is replaced."""
    if _PLAIN.issuperset(map(type, params)):  # a text takes a hundred of these
        texts = "".join([param for param in params if type(param) is str])
        if texts.isascii() and "\0" not in texts:
            return Statement(text, params)
    return Statement(text, tuple([_storable(param) for param in params]))


def sql_rows(text: str, rows: Sequence[tuple[Value, ...]], *params: Value) -> Transaction[list[Row]]:
    """A statement with `VALUES $rows` over many rows, some at a time; its other parameters come first.

    A piece has one of a few counts of rows, so that a database keeps these statements ready, not one for each count.
    """
    found: list[Row] = []
    start = 0
    while start < len(rows):
        count = _PIECES[bisect_right(_PIECES, len(rows) - start) - 1]
        piece = rows[start : start + count]
        template = _with_rows(text, count, len(piece[0]), len(params))
        found += yield sql(template, *params, *itertools.chain.from_iterable(piece))
        start += count
    return found


def sql_among(text: str, values: Sequence[Value], *params: Value) -> Transaction[list[Row]]:
    """A statement with `IN $among` over many values; its other parameters come first. Repeats fill a piece up."""
    found: list[Row] = []
    for start in range(0, len(values), MOST_VALUES):
        piece = values[start : start + MOST_VALUES]
        width = 1 << (len(piece) - 1).bit_length()
        template = _with_rows(text.replace("$among", "$rows"), 1, width, len(params))
        found += yield sql(template, *params, *piece, *itertools.repeat(piece[0], width - len(piece)))
    return found


@functools.lru_cache(maxsize=1024)
def _with_rows(text: str, count: int, width: int, before: int) -> str:
    numbers = itertools.count(before + 1)
    rows = (", ".join(f"${next(numbers)}" for _ in range(width)) for _ in range(count))
    return text.replace("$rows", ", ".join(f"({row})" for row in rows))


def _storable(param: Value) -> Value:
    if not isinstance(param, str):
        return param
    # str() of an enum is its value: a driver would look for an adapter
    param = str(param)
    if param.isascii() and "\0" not in param:
        return param
    return param.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


class Database(Protocol):
    """A store that commits. Raises `StoreUnavailable` when it could not, or cannot tell."""

    async def run(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction; it is on disk when this returns."""
        ...

    async def run_short(self, work: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for what reads and writes few rows by their keys: it may be done by the caller's own thread."""
        ...

    async def wipe(self) -> None:
        """See to it that what was forgotten leaves the files as well, as far as it is the driver's to do."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
        ...
