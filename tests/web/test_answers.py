"""Answers written by themselves, and one timer for many who wait."""

import asyncio
from collections.abc import Coroutine

import pytest

from smsbridge.web.answers import Patience


async def never() -> None:
    await asyncio.Event().wait()


async def limited(patience: Patience, work: Coroutine[None, None, None]) -> None:
    task = asyncio.ensure_future(work)
    patience.limit(task)
    await task


async def test_work_that_is_done_in_time_is_done():
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    patience = Patience(5)
    await asyncio.gather(*(limited(patience, work()) for _ in range(100)))
    assert len(done) == 100


async def test_what_takes_longer_is_cancelled_and_what_does_not_is_done():
    cancelled, done = [], []

    async def long() -> None:
        try:
            await never()
        finally:
            cancelled.append(1)

    async def short() -> None:
        await asyncio.sleep(0)
        done.append(1)

    patience = Patience(0.05)
    works = (long(), short(), long(), short(), long())
    results = await asyncio.gather(*(limited(patience, work) for work in works), return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)] * 2 + [asyncio.CancelledError]
    assert (len(cancelled), len(done)) == (3, 2)


async def test_who_comes_later_has_as_long():
    loop, patience, ends = asyncio.get_running_loop(), Patience(0.1), []

    async def waited(delay: float) -> None:
        await asyncio.sleep(delay)
        began = loop.time()
        with pytest.raises(asyncio.CancelledError):
            await limited(patience, never())
        ends.append(loop.time() - began)

    await asyncio.gather(waited(0), waited(0.05))
    assert all(end >= 0.099 for end in ends)


async def test_a_fault_of_the_work_is_its_own():
    async def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await limited(Patience(5), work())
