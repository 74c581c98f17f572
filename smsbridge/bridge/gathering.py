"""What comes while a commit is on its way shares the next one: one statement for many rows, one sync for all.

Nobody waits for company that may come. Whoever comes alone goes at once; while each turn of the loop brings others,
they go together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from smsbridge.core.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


class Gathering(Generic[T, R]):
    """`await gathering(item)` returns what the commit of its batch came to for this item.

    A batch that fails for another reason than the store is done again one by one, so that a bad item fails alone.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]], limit: int) -> None:
        """`commit` is all or nothing and answers in the order of its items."""
        self._commit = commit
        self._limit = limit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None
        self._is_crowded = False  # the last one had company

    def __call__(self, item: T) -> asyncio.Future[R]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if self._running is None:
            # not in the caller's own task: it may be cancelled, and others wait
            self._running = loop.create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                seen = 0 if self._is_crowded else len(self._waiting)
                while seen < len(self._waiting) < self._limit:
                    seen = len(self._waiting)
                    await asyncio.sleep(0)  # a turn
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._settle(batch)
                self._is_crowded = len(batch) > 1 or bool(self._waiting)
                await asyncio.sleep(0)  # who is answered writes first: the next commit may take the loop for long
        finally:
            self._running = None

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._commit([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # it belongs to those who asked
            if len(batch) == 1 or isinstance(error, StoreUnavailable):
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for pair in batch:
                    await self._settle([pair])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # nor cancelled
                future.set_result(result)
