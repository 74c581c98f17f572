"""Who comes while a commit is on its way shares the next one, and nobody pays for anybody else's fault."""

import asyncio

import pytest

from smsbridge.bridge.gathering import Gathering
from smsbridge.core.errors import StoreUnavailable


class Store:
    """Commits when it is told to."""

    def __init__(self):
        self.batches = []
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def commit(self, items):
        self.batches.append(list(items))
        await self.may_go.wait()
        if "down" in items:
            raise StoreUnavailable("no disk")
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


@pytest.fixture
async def store():
    return Store()


async def begun(*calls):
    """All of them under way."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_the_first_goes_at_once_and_those_that_come_meanwhile_together(store):
    gathering = Gathering(store.commit, limit=10)
    store.may_go.clear()
    (first,) = await begun(gathering("a"))
    assert store.batches == [["a"]]
    rest = await begun(gathering("b"), gathering("c"))
    assert store.batches == [["a"]]
    store.may_go.set()
    assert await asyncio.gather(first, *rest) == ["A", "B", "C"]
    assert store.batches == [["a"], ["b", "c"]]


async def test_who_comes_alone_waits_for_nobody(store):
    gathering = Gathering(store.commit, limit=10)
    for item in "ab":
        future = gathering(item)
        await asyncio.sleep(0)
        assert store.batches[-1] == [item]
        await future
        await asyncio.sleep(0)


async def test_after_company_each_turn_that_brings_others_is_waited_for(store):
    gathering = Gathering(store.commit, limit=10)
    first = gathering("a"), gathering("b")
    await asyncio.gather(*first)
    rest = [gathering("c")]
    for item in "de":
        await asyncio.sleep(0)
        rest.append(gathering(item))
    await asyncio.gather(*rest)
    assert store.batches == [["a", "b"], ["c", "d", "e"]]


async def test_a_batch_has_its_limit(store):
    gathering = Gathering(store.commit, limit=2)
    assert await asyncio.gather(*(gathering(item) for item in "abcde")) == list("ABCDE")
    assert store.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_bad_item_fails_alone(store):
    gathering = Gathering(store.commit, limit=10)
    results = await asyncio.gather(*(gathering(item) for item in ("a", "bad", "c")), return_exceptions=True)
    assert (results[0], results[2]) == ("A", "C")
    assert isinstance(results[1], ValueError)


async def test_a_store_that_cannot_is_not_asked_again_for_each(store):
    gathering = Gathering(store.commit, limit=10)
    results = await asyncio.gather(*(gathering(item) for item in ("a", "down")), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert len(store.batches) == 1


async def test_one_who_gives_up_costs_the_others_nothing(store):
    gathering = Gathering(store.commit, limit=10)
    store.may_go.clear()
    first, second = await begun(gathering("a"), gathering("b"))
    first.cancel()
    store.may_go.set()
    assert await second == "B"
    assert await gathering("c") == "C"
