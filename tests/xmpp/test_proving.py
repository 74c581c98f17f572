"""When what the server has handled is safe from its death, and what happens to what is not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import DeliveryId
from smsbridge.xmpp import proving as proving_module
from smsbridge.xmpp.proving import EPOCH, MAX_CLIENTS, SETTLE, Handed, Proving, Reply
from tests.fakes.waiting import until

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PHONE, DESK = "john@example.com/phone", "john@example.com/desk"


class Stage:
    """A store that remembers, clients that answer as they are told, a server that tells its age."""

    def __init__(self):
        self.now = NOON
        self.seconds = 1000.0
        self.uptime = 3600.0
        self.replies = {}
        self.pinged = []
        self.proved = []
        self.before = []
        self.doubted = []
        self.guesses = []
        self.is_slow = False
        self.asked = 0
        self.failures = 0
        self.proving = Proving(
            prover=self,
            ping=self.ping,
            uptime=self.tell_uptime,
            starts_slowly=self.tell_slowness,
            clock=Clock(now=lambda: self.now, monotonic=lambda: self.seconds),
            roll=lambda: 0.0,
        )

    async def tell_slowness(self):
        self.asked += 1
        return self.is_slow

    async def tell_uptime(self):
        return self.uptime

    async def ping(self, sender, client):
        self.pinged.append((sender, client))
        reply = self.replies.get(client, Reply.ANSWERED)
        return await reply if isinstance(reply, asyncio.Future) else reply

    async def prove(self, ids, before):
        self._may_fail()
        self.proved += ids
        self.before.append(before)

    async def doubt(self, until, *, is_guess):
        self.guesses.append(is_guess)
        self._may_fail()
        self.doubted.append(until)
        return 0

    def _may_fail(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the test says so")

    def hand(self, *names, to="john@example.com"):
        self.proving.handed(
            [Handed(id=DeliveryId(name), to_jid=to, sender="+15559870002@sms.example.com") for name in names]
        )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(proving_module, "PACE_SECONDS", 0.001)
    monkeypatch.setattr(proving_module, "TICK_SECONDS", 0.005)


@pytest.fixture
async def stage(quick):
    made = Stage()
    running = asyncio.create_task(made.proving.run())
    yield made
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def rounds(stage, count=3):
    """So many commits from now on."""
    seen = len(stage.before)
    await until(lambda: len(stage.before) >= seen + count)


async def test_a_text_is_proved_when_its_client_has_answered(stage):
    stage.proving.see(PHONE, is_there=True)
    stage.hand("a", "b")
    await until(lambda: stage.proved == ["a", "b"])
    assert stage.pinged == [("+15559870002@sms.example.com", PHONE)]


async def test_every_client_has_to_answer(stage):
    slow = asyncio.get_running_loop().create_future()
    stage.replies = {DESK: slow}
    for client in (PHONE, DESK):
        stage.proving.see(client, is_there=True)
    stage.hand("a")
    await until(lambda: len(stage.pinged) == 2)
    await rounds(stage)
    assert stage.proved == []
    slow.set_result(Reply.ANSWERED)
    await until(lambda: stage.proved == ["a"])


@pytest.mark.parametrize("reply", [Reply.GONE, Reply.SILENT])
async def test_a_client_that_does_not_answer_proves_nothing(stage, reply):
    stage.replies = {PHONE: reply}
    stage.proving.see(PHONE, is_there=True)
    stage.hand("a")
    await until(lambda: stage.pinged)
    await rounds(stage)
    assert stage.proved == []


async def test_a_client_that_is_gone_is_not_pinged_again(stage):
    stage.replies = {PHONE: Reply.GONE}
    stage.proving.see(PHONE, is_there=True)
    stage.hand("a")
    await until(lambda: stage.pinged)
    await rounds(stage)
    stage.hand("b")
    await rounds(stage)
    assert len(stage.pinged) == 1


async def test_nobody_is_pinged_who_has_not_shown_a_client(stage):
    stage.proving.see(PHONE, is_there=True)
    stage.proving.see(PHONE, is_there=False)
    stage.proving.see("ann@example.com", is_there=True)
    stage.hand("a")
    await rounds(stage)
    assert (stage.pinged, stage.proved) == ([], [])


async def test_texts_that_come_while_a_ping_is_out_share_the_next_one(stage):
    slow = asyncio.get_running_loop().create_future()
    stage.replies = {PHONE: slow}
    stage.proving.see(PHONE, is_there=True)
    stage.hand("a")
    await until(lambda: stage.pinged)
    stage.hand("b")
    stage.hand("c")
    await rounds(stage)
    assert len(stage.pinged) == 1
    slow.set_result(Reply.ANSWERED)
    await until(lambda: stage.proved == ["a", "b", "c"])
    assert len(stage.pinged) == 2


async def test_what_was_handed_a_while_ago_is_safe(stage):
    stage.hand("a")
    await until(lambda: stage.before)
    assert set(stage.before) == {NOON - SETTLE}


async def test_a_clock_that_jumps_makes_nothing_look_older_than_it_is(stage):
    stage.hand("a")
    await rounds(stage)
    stage.now += timedelta(hours=1)
    await rounds(stage)
    seen = len(stage.before)
    await rounds(stage)
    assert set(stage.before[seen:]) == {EPOCH}
    stage.now += SETTLE
    stage.seconds += SETTLE.total_seconds()
    await until(lambda: stage.before[-1] == stage.now - SETTLE)


async def test_a_proof_that_cannot_be_committed_is_kept(stage):
    stage.failures = 2
    stage.proving.see(PHONE, is_there=True)
    stage.hand("a")
    await until(lambda: stage.proved == ["a"])


async def test_nothing_is_committed_when_all_is_settled(stage):
    stage.hand("a")
    await rounds(stage)
    stage.seconds += SETTLE.total_seconds() + 1
    before = len(stage.before)
    stage.hand()
    await rounds(stage, 1)
    stage.seconds += SETTLE.total_seconds() + 1
    await asyncio.sleep(0.05)  # that nothing happens has no event
    assert len(stage.before) <= before + 3


async def test_a_proof_by_time_that_failed_is_tried_again_though_nothing_is_new(stage):
    stage.hand("a")
    await rounds(stage)
    stage.seconds += SETTLE.total_seconds() + 11  # the last look is due
    stage.failures, seen = 1, len(stage.before)
    await until(lambda: not stage.failures)
    await until(lambda: len(stage.before) > seen)


async def test_a_proof_is_not_lost_with_the_stream(quick):
    stage, prove = Stage(), Stage.prove
    stage.prove = lambda _ids, _before: asyncio.Event().wait()
    stage.proving._proved = [DeliveryId("a")]
    await cut_short(stage.proving.run())
    stage.prove = lambda ids, before: prove(stage, ids, before)
    await stage.proving.judge(had_last_word=False)
    assert stage.proved == ["a"]


async def cut_short(work):
    """Begin it, and cancel it where it waits."""
    task = asyncio.create_task(work)
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_owner_has_at_most_so_many_clients():
    stage = Stage()
    for n in range(MAX_CLIENTS + 3):
        stage.proving.see(f"john@example.com/{n}", is_there=True)
    assert list(stage.proving._clients["john@example.com"]) == [
        f"john@example.com/{n}" for n in range(3, MAX_CLIENTS + 3)
    ]


class TestAnewStream:
    async def test_what_a_server_had_that_died_since_is_doubted(self, quick):
        stage = Stage()
        stage.uptime = 5.0
        await stage.proving.judge(had_last_word=False)
        assert stage.doubted == [NOON - timedelta(seconds=4)]  # its seconds may be cut on either side

    async def test_a_server_that_has_just_come_may_tell_a_whole_second_too_much(self, quick):
        stage = Stage()
        stage.uptime = 1.0
        await stage.proving.judge(had_last_word=False)
        assert stage.doubted == [NOON]

    async def test_a_server_that_does_not_tell_its_age_is_taken_to_have_died(self, quick):
        stage = Stage()
        stage.uptime = None
        await stage.proving.judge(had_last_word=False)
        assert stage.doubted == [NOON]

    async def test_a_server_that_said_why_it_closed_the_stream_has_not_died(self, quick):
        stage = Stage()
        stage.uptime = None
        await stage.proving.judge(had_last_word=True)
        assert stage.doubted == []

    async def test_a_server_that_starts_slowly_is_given_some_seconds(self, quick, monkeypatch):
        monkeypatch.setattr(proving_module, "YOUNG_SECONDS", 2.05)
        stage = Stage()
        stage.uptime, stage.is_slow = 2.0, True
        began = asyncio.get_running_loop().time()
        await stage.proving.judge(had_last_word=False)
        assert asyncio.get_running_loop().time() - began >= 0.05
        stage.uptime = 3.0
        await stage.proving.judge(had_last_word=False)
        assert stage.asked == 1

    async def test_a_death_that_is_only_guessed_is_said_to_be_a_guess(self, quick):
        stage = Stage()
        await stage.proving.judge(had_last_word=False)
        stage.uptime = None
        await stage.proving.judge(had_last_word=False)
        assert stage.guesses == [False, True]

    async def test_a_doubt_that_was_cut_short_is_not_forgotten_for_a_last_word(self, quick):
        stage = Stage()
        stage.uptime = None
        stage.proving._uptime = asyncio.Event().wait
        await cut_short(stage.proving.judge(had_last_word=False))
        stage.proving._uptime = stage.tell_uptime
        for _ in range(2):
            await stage.proving.judge(had_last_word=True)
            assert stage.doubted == [NOON]

    async def test_nothing_is_doubted_while_what_is_proved_cannot_be_committed(self, quick):
        stage = Stage()
        stage.failures = 1
        stage.proving._proved = [DeliveryId("a")]
        doubt, proved = stage.doubt, []

        async def doubting(until, *, is_guess):
            proved.append(tuple(stage.proved))
            return await doubt(until, is_guess=is_guess)

        stage.doubt = doubting
        await stage.proving.judge(had_last_word=False)
        assert proved == [("a",)]

    async def test_what_is_proved_already_is_committed_before_anything_is_doubted(self, quick):
        stage = Stage()
        stage.proving._proved = [DeliveryId("a")]
        await stage.proving.judge(had_last_word=False)
        assert (stage.proved, stage.before) == (["a"], [EPOCH])
        assert stage.doubted

    async def test_the_clients_of_a_server_that_died_are_forgotten(self, quick):
        stage = Stage()
        await stage.proving.judge(had_last_word=False)
        stage.proving.see(PHONE, is_there=True)
        stage.now += timedelta(minutes=1)
        stage.uptime += 59.0  # the same server: it counts whole seconds
        await stage.proving.judge(had_last_word=False)
        assert stage.proving._clients
        stage.uptime = 3.0
        await stage.proving.judge(had_last_word=False)
        assert not stage.proving._clients

    async def test_the_doubt_is_written_however_often_the_store_fails(self, quick, monkeypatch):
        monkeypatch.setattr(proving_module, "RECONNECT_BACKOFF", QUICK)
        stage = Stage()
        stage.failures = 4
        await stage.proving.judge(had_last_word=False)
        assert len(stage.doubted) == 1


class QUICK:
    """No waiting."""

    @staticmethod
    def delay(failures, roll):
        return 0.001
