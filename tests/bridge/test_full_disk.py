"""A disk that is full, nearly full or not to be written: nothing accepted is lost, and it gets well again."""

import asyncio
import random
import sqlite3
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest

from smsbridge.bridge import dispatcher
from smsbridge.bridge.room import Room
from smsbridge.core.errors import NoRoom, Reason, Refused, StoreUnavailable
from tests.fakes.disk import KINDS, Pages, Tmpfs, mounted

from .house import FRIEND, PEER, THIRD, House, inbound, outbound, report

PEERS = (PEER, FRIEND, THIRD)


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "tmpfs":
            yield Tmpfs(stack.enter_context(mounted()))
        else:
            yield Pages(tmp_path)


@pytest.fixture
async def small(disk, ticks, monkeypatch):
    """A house on that disk, which tries again at once."""
    monkeypatch.setattr(dispatcher, "AFTER_STORE_FAULT", 0.01)
    house = await House.open(f"sqlite:///{disk.directory}/bridge.db", ticks, "life-1")
    yield house
    await disk.drain(house.store._database)
    await house.kill()
    with closing(sqlite3.connect(disk.directory / "bridge.db")) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


class Crowd:
    """Carriers and owners who remember what was accepted from them."""

    def __init__(self, house, seed):
        self.house, self.roll = house, random.Random(seed)  # noqa: S311
        self.shown, self.sent, self.refused = set(), set(), set()

    async def act(self, n):
        text = f"text {n} " + "x" * self.roll.randrange(2000)
        try:
            if self.roll.random() < 0.5:
                await self.house.take(inbound(text, pid=str(n), peer=self.roll.choice(PEERS)))
                self.shown.add(text)
            else:
                text = text[:150]
                await self.house.outbound.accept(outbound(text, sid=str(n), to=self.roll.choice(PEERS)))
                self.sent.add(text)
        except StoreUnavailable:
            self.refused.add(text)


@pytest.mark.parametrize("seed", range(6))
async def test_a_disk_that_fills_at_any_moment_loses_nothing_that_was_accepted(small, disk, ticks, seed):
    crowd, database = Crowd(small, seed), small.store._database
    small.start()
    try:
        for n in range(150):
            if crowd.roll.random() < 0.04:
                await disk.fill(database)
            if crowd.roll.random() < 0.08:
                await disk.drain(database)
            await asyncio.gather(*(crowd.act(f"{n} {k}") for k in range(crowd.roll.randrange(4))))
        await disk.fill(database)
        for n in range(300):  # until the log is full as well
            await crowd.act(f"last {n}")
        assert crowd.refused
        await disk.drain(database)
        await small.accept("recovered")
        await settle(small, ticks)
    finally:
        await disk.drain(database)
        await small.drain()
    bodies = [body for kind, _, _, body in await small.told("text")]
    assert len(bodies) == len(set(bodies))
    assert crowd.shown <= set(bodies) <= crowd.shown | crowd.refused
    called = [call.text for call in small.provider.calls]
    assert len(called) == len(set(called))
    in_doubt = {row["text"] for row in await small.rows("SELECT text FROM outbox WHERE state = 'unsure'")}
    assert crowd.sent | {"recovered"} <= set(called) | in_doubt
    assert set(called) <= crowd.sent | crowd.refused | {"recovered"}


async def settle(house, ticks):
    """Until nothing is to be done any more."""

    async def is_done():
        house.senders_bell.ring()
        rows = await house.rows("SELECT 1 FROM outbox WHERE state IN ('queued', 'sending', 'held', 'unknown')")
        if rows:
            ticks.advance(timedelta(minutes=4))
            await house.reconciler.look()
            await asyncio.sleep(0.02)
            house.changed.set()
        return not rows

    await house.until(is_done)


async def overflow(house):
    """Until it raises: what is there of file and log is written over first."""
    for n in range(10_000):
        await house.take(inbound("x" * 1000, pid=f"overflow {n}"))


async def test_a_full_disk_is_said_to_be_one(small, disk):
    await disk.fill(small.store._database)
    with pytest.raises(NoRoom, match="SQLITE_FULL"):
        await overflow(small)
    await disk.drain(small.store._database)
    await small.take(inbound("there is room", pid="again"))


async def test_what_cannot_be_written_is_refused_and_taken_when_it_can_be(small):
    def set_query_only(to):  # beside the thread that owns it, which is idle: no transaction could begin
        small.store._database._connection.execute(f"PRAGMA query_only = {to}")

    await small.accept("before")
    set_query_only("ON")
    for n in range(3):
        with pytest.raises(StoreUnavailable, match="SQLITE_READONLY") as refused:
            await small.take(inbound(pid=str(n)))
        assert not isinstance(refused.value, NoRoom)
        with pytest.raises(StoreUnavailable):
            await small.accept(f"during {n}")
    set_query_only("OFF")
    await small.take(inbound("after", pid="after"))
    await small.dispatch()
    assert [call.text for call in small.provider.calls] == ["before"]
    assert [body for *_, body in await small.told("text")] == ["after"]


async def test_a_dispatcher_whose_disk_is_full_does_not_spin(small, disk, monkeypatch):
    monkeypatch.setattr(dispatcher, "AFTER_STORE_FAULT", 0.2)
    await small.accept("waits")
    await disk.fill(small.store._database)
    with pytest.raises(StoreUnavailable):
        await overflow(small)
    tries = 0
    run = small.store._database.run

    async def count(work, *args, **kwargs):
        nonlocal tries
        tries += 1
        return await run(work, *args, **kwargs)

    monkeypatch.setattr(small.store._database, "run", count)
    small.start()
    await asyncio.sleep(1)
    assert tries < 20
    monkeypatch.undo()
    await disk.drain(small.store._database)
    await small.quiet()
    await small.drain()


class TestFloor:
    @pytest.fixture
    def level(self, house):
        """`level(free)` in MiB, of which ten is the floor."""
        free = [100.0]

        def set_free(mib):
            free[0] = mib
            house.ticks.monotonic += 1

        room = Room(lambda: int(free[0] * 2**20), 10 * 2**20, house.desk.clock)
        object.__setattr__(house.desk, "has_room", room.is_there)
        set_free.room = room
        return set_free

    async def test_below_it_nothing_new_is_taken(self, house, level):
        level(9)
        with pytest.raises(NoRoom):
            await house.take(inbound())
        with pytest.raises(Refused) as refused:
            await house.accept("hello")
        assert refused.value.reason is Reason.NO_ROOM
        assert await house.is_empty()

    async def test_below_it_what_was_taken_is_finished(self, house, level):
        await house.accept("hello")
        await house.take(inbound())
        level(9)
        await house.dispatch()
        assert await house.states() == ["sent"]
        assert len(await house.hand_all()) == 2  # the text and the tick
        (row,) = await house.rows("SELECT provider_id FROM outbox")
        await house.take(report(row["provider_id"]))
        assert await house.states() == ["delivered"]

    async def test_below_it_a_stanza_that_is_repeated_is_answered_as_the_first(self, house, level):
        await house.accept("hello")
        level(9)
        await house.accept("hello")
        assert len(await house.states()) == 1

    async def test_it_is_taken_again_from_a_little_above_it_on(self, house, level):
        for free, is_there in ((100, True), (10, True), (9.9, False), (10.1, False), (11.2, False), (11.3, True)):
            level(free)
            assert level.room.is_there() is is_there
        level(11.3)
        await house.accept("hello")

    async def test_the_operator_is_told_how_much_there_is_and_has_to_be(self, level):
        assert level.room.words() == ""
        level(9)
        assert level.room.words() == "the disk has 9 MiB left, new texts are taken from 10 MiB on"

    async def test_what_cannot_be_measured_is_no_reason_to_refuse(self, house):
        def fail():
            raise OSError("gone")

        assert Room(fail, 10, house.desk.clock).is_there()
        assert Room(lambda: None, 10, house.desk.clock).is_there()
