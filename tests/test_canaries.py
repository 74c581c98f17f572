"""The canaries sing: what would be found, and what would not."""

import asyncio

import pytest

from tests.canaries import demand_silence, leaks


@pytest.mark.parametrize(
    "line", ["to +15559870002", "peer=5559870002", '{"peer": "15559870002"}', "password: pretended-password"]
)
def test_a_line_with_a_secret_or_a_whole_number_is_found(line: str) -> None:
    assert list(leaks(f"fine\n{line}\nfine")) == [line]


def test_masked_numbers_and_ids_are_not_found() -> None:
    random = "inbox=01a10d38-f900-7c84-91bd-15550477733d id=fence-0015559870002abc0123456-7"
    assert list(leaks(random)) == []
    assert list(leaks("peer=…02 did=…01\nid=01a10d3b-b820-7e2d-5557-c58b19580753\nat=1555987000200")) == []


@pytest.mark.parametrize("said", ["peer=+15559870002", "text=what they wrote to each other"])
def test_what_a_process_said_may_hold_neither_a_number_nor_a_text(said: str) -> None:
    demand_silence("peer=…02", ["what they wrote to each other", "ok"])
    with pytest.raises(AssertionError, match="holds a secret, a number or a text"):
        demand_silence(said, ["what they wrote to each other"])


async def test_another_thread_than_that_of_the_loop_is_refused() -> None:
    loop = asyncio.get_running_loop()
    for call in (lambda: loop.call_soon(print), lambda: loop.call_later(0, print)):
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            await asyncio.to_thread(call)
