"""The pump between the store and a stream, without a stream."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from smsbridge.bridge.handover import TIRED_ATTEMPTS, Boarded, Rendered
from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import system_clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import DeliveryKind
from smsbridge.core.state import DeliveryState
from smsbridge.xmpp import handing as handing_module
from smsbridge.xmpp.fence import Fence
from smsbridge.xmpp.handing import Handing
from smsbridge.xmpp.suspicion import Death
from smsbridge.xmpp.wire import Unrenderable
from tests.fakes.handover import FakeHandOver
from tests.fakes.waiting import PATIENCE, until


def render(delivery):
    if delivery.body == "unrenderable":
        raise Unrenderable("not XML")
    if delivery.body == "a bug":
        raise KeyError("a text")
    return f'<message id="{delivery.stanza_id}"><body>{delivery.body}</body></message>'.encode()


class Bench:
    """A pump whose stream is a list of writes; the test plays the server."""

    def __init__(self, handover, *, batch=10, window=50):
        self.handover = handover
        self.writes = []
        self.handed = []
        self.is_up = True
        self.fence = Fence(jid="sms.example.com", ping="example.com", prefix="f-", seconds=10.0, idle=30.0)
        self.handing = Handing(
            handover=handover,
            render=render,
            fence=self.fence,
            is_up=lambda: self.is_up,
            write=self.write,
            on_handed=self.handed.extend,
            pulse=Pulse(system_clock()),
            clock=system_clock(),
            roll=lambda: 0.9,
            batch=batch,
            window=window,
            idle=0.01,
        )
        self.settling = asyncio.create_task(self.handing.settle())
        self.pumping = asyncio.create_task(self.handing.pump())

    def write(self, octets):
        elements = list(ET.fromstring(b"<stream>" + octets + b"</stream>"))  # noqa: S314 - our own octets
        ids = [element.get("id") for element in elements]
        self.writes.append(SimpleNamespace(octets=octets, ids=ids[:-1], fence=ids[-1]))

    def pong(self, nth=-1):
        self.handing.pong(self.writes[nth].fence)

    async def die(self, death, meanwhile=lambda: None):
        """The stream ends, something happens, and the next one is up."""
        self.is_up = False
        await self.stop_pump()
        self.handing.lost(death)
        meanwhile()
        self.is_up = True
        self.writes.clear()
        self.pumping = asyncio.create_task(self.handing.pump())

    async def stop_pump(self):
        self.pumping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.pumping

    async def stop(self):
        await self.stop_pump()
        self.settling.cancel()

    async def answered(self, count):
        """What is written until there are so many, each batch answered before the next."""
        order = []
        while len(order) < count:
            await until(lambda: self.writes)
            assert len(self.writes) == 1
            order += self.writes[0].ids
            self.handing.pong(self.writes.pop().fence)
            await self.settled()
        return order

    async def settled(self):
        """Let everything run that can run now."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def written(self, count):
        await until(lambda: len(self.writes) >= count)
        await self.settled()
        assert len(self.writes) == count
        return [write.ids for write in self.writes]


@pytest.fixture
async def handover():
    return FakeHandOver()


@pytest.fixture
async def bench(handover):
    made = Bench(handover)
    yield made
    await made.stop()


def names(count, start=0):
    return [f"d{n:03}" for n in range(start, start + count)]


async def test_a_batch_is_one_write_with_a_fence_at_its_end(bench, handover):
    handover.put(*names(3))
    assert await bench.written(1) == [names(3)]
    assert bench.writes[0].octets.endswith(b"</iq>")


async def test_nothing_is_handed_before_the_pong(bench, handover):
    handover.put("a")
    await bench.written(1)
    assert handover.handed == []
    bench.pong()
    await until(lambda: handover.handed == ["a"])


async def test_what_is_handed_is_reported_with_its_recipient_after_the_commit(bench, handover):
    handover.put("a", to="ann@example.com")
    await bench.written(1)
    handover.failures_to_come = 1
    bench.pong()
    await bench.settled()
    assert bench.handed == []
    await until(lambda: bench.handed)
    assert [(row.id, row.to_jid, row.sender) for row in bench.handed] == [("a", "ann@example.com", "+15559870002")]
    assert handover.handed == ["a"]


async def test_the_bytes_are_fixed_before_they_are_written(bench, handover):
    fixed = []
    bench.handing._write = lambda _octets: fixed.append(handover.rows["a"].xml)
    handover.put("a")
    await until(lambda: fixed)
    assert fixed == [render(handover.rows["a"])]


async def test_the_window_bounds_what_is_in_flight(bench, handover):
    handover.put(*names(80))
    assert await bench.written(5) == [names(10, start) for start in range(0, 50, 10)]
    bench.pong(0)
    assert (await bench.written(6))[5] == names(10, 50)


async def test_a_delivery_in_flight_is_not_claimed_again(bench, handover):
    handover.put("a")
    await bench.written(1)
    handover.put("b")
    assert await bench.written(2) == [["a"], ["b"]]


async def test_a_new_delivery_wakes_the_pump(bench, handover):
    bench.handing._idle = 3600.0
    await until(lambda: handover.claims > 1)
    handover.put("a")
    assert await bench.written(1) == [["a"]]


async def test_what_was_not_proved_goes_again_unchanged_and_in_order_before_what_is_new(bench, handover):
    handover.put(*names(12))
    await bench.written(2)
    first = bench.writes[0].octets.rpartition(b"<iq")[0]
    handover.put("new")
    await bench.written(3)
    await bench.die(Death.OTHER)
    assert await bench.written(2) == [names(10), [*names(2, 10), "new"]]
    assert bench.writes[0].octets.rpartition(b"<iq")[0] == first


async def test_what_was_proved_is_settled_though_the_stream_is_gone_and_does_not_go_again(bench, handover):
    handover.put("a", "b")
    await bench.written(1)
    handover.failures_to_come = 1
    bench.pong()
    await bench.die(Death.CUT)
    await until(lambda: handover.handed == ["a", "b"])
    await bench.settled()
    assert bench.writes == []


async def test_a_pong_of_an_earlier_stream_hands_nothing(bench, handover):
    handover.put("a")
    await bench.written(1)
    stale = bench.writes[0].fence
    await bench.die(Death.OTHER)
    await bench.written(1)
    bench.handing.pong(stale)
    await bench.settled()
    assert handover.handed == []


async def test_a_delivery_that_cannot_be_rendered_is_set_aside_and_the_others_go(bench, handover):
    handover.put("bad", body="unrenderable")
    handover.put("worse", body="a bug")
    handover.put("good")
    assert await bench.written(1) == [["good"]]
    assert handover.quarantined == ["bad", "worse"]
    assert handover.why == {"bad": "not XML", "worse": "rendering failed: KeyError"}


async def test_a_store_that_fails_is_asked_again(bench, handover):
    handover.failures_to_come = 2
    handover.put("a")
    assert await bench.written(1) == [["a"]]


async def test_what_a_failing_claim_may_have_committed_goes_all_the_same(bench, handover):
    commit = handover.claim

    async def claim(*asked):
        handover.claim = commit
        await commit(*asked)
        raise StoreUnavailable("the commit may have happened")

    handover.claim = claim
    handover.put("a")
    assert await bench.written(1) == [["a"]]


async def test_a_settle_that_fails_is_repeated(bench, handover):
    handover.put("a")
    await bench.written(1)
    handover.failures_to_come = 2
    bench.pong()
    await until(lambda: handover.handed == ["a"])


async def test_after_a_fault_the_suspects_go_in_halves_alone(bench, handover):
    handover.put(*names(8))
    await bench.written(1)
    await bench.die(Death.FAULT)
    handover.put("new")
    assert await bench.written(1) == [names(4)]
    bench.pong()
    assert (await bench.written(2))[1] == names(4, 4)
    await bench.die(Death.FAULT)
    assert await bench.written(1) == [names(2, 4)]


async def test_the_guilty_one_is_quarantined_and_everything_else_is_handed_in_order(bench, handover):
    handover.put(*names(8))
    handed = []
    for _ in range(40):
        await until(lambda: bench.writes or handover.is_empty)
        if handover.is_empty:
            break
        if any("d005" in write.ids for write in bench.writes):
            await bench.die(Death.FAULT)
        else:
            handed += bench.writes[0].ids
            fence = bench.writes.pop(0).fence
            bench.handing.pong(fence)
            await bench.settled()
    assert handover.quarantined == ["d005"]
    assert handover.why["d005"] == "the server closes the stream over this stanza"
    assert handed == [name for name in names(8) if name != "d005"]
    assert handover.handed == handed


async def test_a_suspect_that_is_no_longer_ours_to_send_holds_nobody_up(bench, handover):
    handover.put("a", "b")
    await bench.written(1)
    await bench.die(Death.FAULT)
    await until(lambda: bench.writes)
    await bench.die(Death.FAULT)
    await handover.quarantine("a", "by somebody else")
    await until(lambda: ["b"] in [write.ids for write in bench.writes])


async def test_a_delivery_tried_too_often_goes_alone(bench, handover):
    handover.put("first")
    handover.put("tired", xml=b'<message id="tired"/>', attempt=TIRED_ATTEMPTS)
    handover.put("last")
    assert await bench.written(1) == [["first"]]
    bench.pong()
    assert (await bench.written(2))[1] == ["tired"]
    bench.pong()
    assert (await bench.written(3))[2] == ["last"]


async def test_a_stream_that_dies_during_the_commit_is_not_written_to(bench, handover):
    commit = handover.claim

    async def claim(*asked):
        claimed = await commit(*asked)
        bench.is_up = claimed.is_empty
        return claimed

    handover.claim = claim
    handover.put("a")
    async with asyncio.timeout(PATIENCE):
        await bench.pumping
    assert bench.writes == []
    assert bench.fence.in_flight == []


async def test_draining_takes_nothing_new_and_waits_for_what_is_in_flight(bench, handover):
    handover.put("a")
    await bench.written(1)
    draining = asyncio.create_task(bench.handing.drain(5.0))
    await bench.settled()
    handover.put("b")
    await bench.settled()
    assert not draining.done()
    bench.pong()
    await draining
    assert handover.handed == ["a"]
    assert len(bench.writes) == 1


async def test_draining_ends_in_time_though_no_pong_comes(bench, handover):
    handover.put("a")
    await bench.written(1)
    await bench.handing.drain(0.05)
    assert handover.handed == []


async def test_what_a_dead_server_had_goes_before_the_suspects_of_its_death(bench, handover):
    handover.put(*names(2))
    await bench.written(1)
    bench.pong()
    await until(lambda: bench.handed)
    handover.put(*names(4, 2))
    await bench.written(2)

    def doubt():
        for name in names(2):
            handover._move(name, DeliveryState.WAITING)

    await bench.die(Death.CUT, doubt)
    assert await bench.answered(6) == names(6)


async def test_one_that_is_tired_goes_before_younger_suspects(bench, handover):
    handover.put("a", xml=b'<message id="a"/>', attempt=TIRED_ATTEMPTS)
    handover.states["a"] = DeliveryState.HANDED
    handover.put("b", "c")
    await bench.written(1)
    await bench.die(Death.CUT, lambda: handover._move("a", DeliveryState.WAITING))
    assert await bench.answered(3) == ["a", "b", "c"]


async def test_suspects_wait_for_room_as_well(handover):
    bench = Bench(handover, batch=2, window=4)
    hand, repaired = handover.hand, asyncio.Event()

    async def late(ids, at=None):
        await repaired.wait()
        await hand(ids, at)

    def doubt():
        for name in ("x", "y"):
            handover._move(name, DeliveryState.WAITING)

    handover.hand = late
    handover.put("a", "b", "x", "y", "c", "d")
    for name in ("x", "y"):
        handover.states[name] = DeliveryState.HANDED
    try:
        await bench.written(2)
        bench.pong(0)
        await bench.settled()
        await bench.die(Death.CUT, doubt)
        assert await bench.written(1) == [["x", "y"]]
        bench.pong()
        await bench.settled()
        assert not bench.pumping.done()
        repaired.set()
        assert await bench.written(2) == [["x", "y"], ["c"]]
    finally:
        repaired.set()
        await bench.stop()


async def test_a_claim_that_is_committed_later_than_it_is_looked_for_goes_all_the_same(bench, handover, monkeypatch):
    monkeypatch.setattr(handing_module, "LATE_SECONDS", 0.5)  # longer than the first pause after a fault
    claim, put_back = handover.claim, handover.put_back

    async def fail(*_):
        handover.claim = claim
        raise StoreUnavailable("nobody knows")

    async def commit_after(besides):
        handover.put_back = put_back
        await put_back(besides)
        handover._move("a", DeliveryState.HANDING)

    await until(lambda: handover.claims)
    handover.claim, handover.put_back = fail, commit_after
    handover.put("a")
    assert await bench.written(1) == [["a"]]


async def test_what_is_settled_late_was_handed_when_its_pong_came(bench, handover):
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    instants = iter([noon, noon + timedelta(minutes=1)])
    bench.handing._clock = replace(system_clock(), now=lambda: next(instants))
    handover.put("a")
    await bench.written(1)
    handover.failures_to_come = 1
    bench.pong()
    bench.fence.seal((), 0.0)
    bench.handing.pong("f-2")  # of a fence with nothing before it
    await until(lambda: bench.handed)
    assert handover.handed_at["a"] == noon


async def test_settled_is_when_nothing_is_left_that_was_proved(bench, handover):
    handover.put("a")
    await bench.written(1)
    handover.failures_to_come = 1
    bench.pong()
    settled = asyncio.create_task(bench.handing.settled())
    await bench.settled()
    assert not settled.done()
    await settled
    assert handover.handed == ["a"]


class TestFreshDeliveries:
    """Those that are fixed in the commit that writes them."""

    def commit(self, bench, reservation, *names):
        """What the transaction of a text does, and what follows it."""
        fresh = bench.handover.be_born(*names[: reservation.room])
        bench.handover.put(*names[reservation.room :])
        bench.handing.use(reservation, Boarded(tuple(Rendered(row, row.xml) for row in fresh)))

    async def test_they_are_written_when_their_commit_returns(self, bench):
        await bench.settled()
        self.commit(bench, bench.handing.reserve(10), "a", "b")
        assert [write.ids for write in bench.writes] == [["a", "b"]]
        bench.pong()
        await until(lambda: bench.handover.handed == ["a", "b"])
        assert [row.id for row in bench.handed] == ["a", "b"]

    async def test_there_is_no_room_before_what_a_dead_stream_left_is_put_back(self, bench):
        await bench.die(Death.OTHER)
        assert bench.handing.reserve(10).room == 0  # the next pump has not begun
        await bench.settled()
        reservation = bench.handing.reserve(10)
        assert reservation.room == 10
        bench.is_up = False
        assert bench.handing.reserve(10).room == 0
        bench.handing.use(reservation, Boarded())

    async def test_room_ends_with_the_window(self, bench):
        await bench.settled()
        first, second = bench.handing.reserve(30), bench.handing.reserve(30)
        assert (first.room, second.room) == (30, 20)
        assert bench.handing.reserve(30).room == 0
        self.commit(bench, first, *(f"a{n}" for n in range(30)))
        bench.handing.use(second, Boarded())
        assert bench.handing.reserve(30).room == 20

    async def test_what_seemed_to_fail_is_looked_for_when_nothing_else_is_on_its_way(self, bench):
        await bench.settled()
        lost, other = bench.handing.reserve(5), bench.handing.reserve(5)
        bench.handover.be_born("lost")  # it was committed all the same
        bench.handing.doubt(lost)
        assert bench.handing.reserve(5).room == 0
        await bench.settled()
        assert bench.handover.in_state(DeliveryState.HANDING) == ["lost"]  # or the other's would be put back with it
        self.commit(bench, other, "b")
        await until(lambda: len(bench.writes) == 2)
        assert [write.ids for write in bench.writes] == [["b"], ["lost"]]

    async def test_what_was_meant_for_a_dead_stream_is_not_written_to_the_next(self, bench):
        await bench.settled()
        reservation = bench.handing.reserve(5)
        await bench.die(Death.CUT)
        await bench.settled()
        assert bench.handing.reserve(5).room == 0
        self.commit(bench, reservation, "a")
        assert bench.writes == []
        assert await bench.answered(1) == ["a"]  # it was put back, and claimed

    async def test_a_suspect_goes_alone(self, bench):
        bench.handover.put("poison")
        await bench.written(1)
        await bench.die(Death.FAULT)
        assert bench.handing.reserve(5).room == 0

    async def test_what_was_answered_meanwhile_is_settled_in_their_commit(self, bench):
        await bench.settled()
        self.commit(bench, bench.handing.reserve(5), "a")
        blocking = bench.handing.reserve(5)
        bench.pong()
        await bench.settled()
        assert bench.handover.handed == []  # a commit is on its way; the next may take it along
        bench.handing.use(blocking, Boarded())
        riding = bench.handing.reserve(5)
        assert riding.handed == ("a",)
        await bench.settled()
        assert bench.handover.handed == []
        await bench.handover.hand(riding.handed)
        bench.handing.use(riding, Boarded(settled=(DeliveryKind.TEXT,)))
        assert [row.id for row in bench.handed] == ["a"]
        assert bench.handover.counted == [DeliveryKind.TEXT]

    async def test_what_rode_on_a_commit_that_failed_is_settled_by_itself(self, bench):
        await bench.settled()
        self.commit(bench, bench.handing.reserve(5), "a")
        bench.handing.pong(bench.writes[0].fence)
        riding = bench.handing.reserve(5)
        assert riding.handed == ("a",)
        bench.handing.doubt(riding)
        await until(lambda: bench.handover.handed == ["a"])

    async def test_draining_waits_for_what_is_reserved(self, bench):
        await bench.settled()
        reservation = bench.handing.reserve(5)
        draining = asyncio.create_task(bench.handing.drain(5))
        await bench.settled()
        assert not draining.done()
        assert bench.handing.reserve(5).room == 0
        self.commit(bench, reservation, "a")
        bench.pong()
        await draining
        assert bench.handover.handed == ["a"]
