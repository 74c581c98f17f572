"""What the parts can do at most on this machine at this moment: same load, same reader, nothing of ours between.

echo    aiohttp reads JSON and answers ok
insert  one row a transaction, 64 tasks, each released after its commit is on disk
raw     a component that only writes, Prosody, the reader
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from smsbridge.store.database import Transaction, sql
from smsbridge.store.sqlite import SqliteDatabase
from tests.bench.house import OWNER, RAW_COMPONENT, SECRET
from tests.bench.posts import closed_loop, open_loop, text_of
from tests.bench.process import giving_way
from tests.bench.streams import RawComponent, Reader

TASKS = 64


async def echo(port: int, *, first: int, count: int) -> float:
    """Requests a second over 64 connections."""
    found = await closed_loop(port, "/", first=first, count=count, connections=TASKS)
    if found.refused:
        raise RuntimeError("the echo has refused requests")
    return found.accepted_per_second


async def lone_echo(port: int, *, first: int, count: int, every: float) -> list[float]:
    """How long one request takes now and then, in seconds: most of it is the machine that wakes up."""
    found = await open_loop(port, "/", first=first, count=count, connections=TASKS, per_second=1 / every)
    if found.refused:
        raise RuntimeError("the echo has refused requests")
    return found.answer_seconds()


async def insert(path: Path, *, count: int) -> float:
    """Durable rows a second."""
    database = await SqliteDatabase.open(path)
    numbers = iter(range(count))
    try:
        await database.run(_create)
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(TASKS):
                tasks.create_task(_insert_all(database, numbers))
        return count / (time.monotonic() - began)
    finally:
        await database.close()


async def _insert_all(database: SqliteDatabase, numbers: Iterator[int]) -> None:
    for n in numbers:
        await database.run(_insert, n)


def _create() -> Transaction[None]:
    yield sql("CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    yield sql("DELETE FROM bare")


def _insert(n: int) -> Transaction[None]:
    yield sql("INSERT INTO bare (id, text) VALUES ($1, $2)", n, text_of(n))


async def raw(port: int, reader: Reader, *, first: int, count: int, clothes: str = "") -> float:
    """Stanzas a second, from the first byte written to the last one read."""
    numbers = range(first, first + count)
    component = await RawComponent.connect(RAW_COMPONENT, SECRET, port)
    try:
        with giving_way():
            began = await component.write_texts(OWNER, numbers, clothes)
            return count / (await reader.until_texts(numbers) - began)
    finally:
        component.close()
