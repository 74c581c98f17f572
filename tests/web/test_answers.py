"""Answers written by themselves, and one timer for many who wait."""

import asyncio

import pytest

from smsbridge.web.answers import Patience


async def never() -> None:
    await asyncio.Event().wait()


async def test_work_that_is_done_in_time_is_done():
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    patience = Patience(5)
    await asyncio.gather(*(patience.wait(work()) for _ in range(100)))
    assert len(done) == 100


async def test_what_takes_longer_ends_with_a_time_out_and_is_cancelled():
    cancelled = []

    async def work() -> None:
        try:
            await never()
        finally:
            cancelled.append(1)

    patience = Patience(0.05)
    results = await asyncio.gather(*(patience.wait(work()) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 3
    assert len(cancelled) == 3


async def test_who_comes_later_has_as_long():
    loop, patience, ends = asyncio.get_running_loop(), Patience(0.1), []

    async def waited(delay: float) -> None:
        await asyncio.sleep(delay)
        began = loop.time()
        with pytest.raises(TimeoutError):
            await patience.wait(never())
        ends.append(loop.time() - began)

    await asyncio.gather(waited(0), waited(0.05))
    assert all(end >= 0.099 for end in ends)


async def test_somebody_elses_cancelling_is_no_time_out():
    task = asyncio.create_task(Patience(5).wait(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_fault_of_the_work_is_its_own():
    async def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await Patience(5).wait(work())
