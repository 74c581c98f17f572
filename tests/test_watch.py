"""The watchdog is fed while there is progress, and the status line says how it stands."""

import asyncio
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from smsbridge import watch
from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.metrics import Metrics
from smsbridge.store.backlog import Backlog, backlog
from smsbridge.store.database import sql
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase
from smsbridge.watch import View, Watch, words_of
from tests.fakes.waiting import PATIENCE

NOON = datetime(2026, 10, 5, 12, 3, tzinfo=UTC)
FED = "WATCHDOG=1"


class Scene:
    """A watch over a real store, with a clock to set; `turn` is what the supervisor hears in one turn."""

    def __init__(self, database, supervisor):
        self.database = database
        self.supervisor = supervisor
        self.now, self.monotonic = NOON, 1000.0
        self.clock = Clock(now=lambda: self.now, monotonic=lambda: self.monotonic)
        self.pulse, self.metrics = Pulse(self.clock), Metrics()
        self.down_since = None
        self.refusal = ""
        self.watch = Watch(
            pulse=self.pulse,
            clock=self.clock,
            metrics=self.metrics,
            commit=lambda: database.run(commit),
            backlog=lambda: database.run(backlog),
            stream_down_since=lambda: self.down_since,
            refusal=lambda: self.refusal,
        )

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.monotonic += seconds

    async def turn(self):
        await self.watch.turn()
        return self.supervisor.recv(4096).decode().split("\n")


def commit():
    yield sql("CREATE TABLE IF NOT EXISTS proof (at INTEGER)")
    yield sql("INSERT INTO proof VALUES (1)")


@pytest.fixture
async def database(tmp_path):
    database = await SqliteDatabase.open(tmp_path / "smsbridge.db", busy_seconds=0.01)
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
async def scene(database, tmp_path, monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(5)
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        scene = Scene(database, supervisor)
        scene.pulse.beat(watch.ANSWERS, watch.SILENT_SECONDS)
        scene.pulse.beat(watch.COMMITS, watch.FAILING_SECONDS)
        yield scene


async def test_while_all_goes_well_the_watchdog_is_fed(scene):
    for _ in range(100):
        assert await scene.turn() == [FED, "STATUS=up"]
        scene.advance(10)


async def test_a_server_that_is_down_for_days_starves_nobody(scene):
    scene.down_since = NOON
    scene.advance(3 * 86_400)
    assert await scene.turn() == [FED, "STATUS=XMPP server unreachable since 2026-10-05 12:03 UTC"]


async def test_a_loop_that_breaks_its_promise_stops_the_feeding_until_it_turns_again(scene):
    scene.pulse.beat("dispatcher voipms", 30)
    scene.advance(29)
    assert FED in await scene.turn()
    scene.advance(2)
    with capture_logs() as journal:
        assert await scene.turn() == ["STATUS=no progress: dispatcher voipms; up"]
        assert await scene.turn() == ["STATUS=no progress: dispatcher voipms; up"]
        assert scene.metrics.loops_late._value.get() == 1
        scene.pulse.beat("dispatcher voipms", 30)
        assert await scene.turn() == [FED, "STATUS=up"]
    assert [line["event"] for line in journal] == ["progress_lost", "progress_regained"]
    assert journal[0]["loops"] == ("dispatcher voipms",)
    assert scene.metrics.loops_late._value.get() == 0


async def test_a_loop_that_has_ended_owes_nothing(scene):
    scene.pulse.beat("dispatcher voipms", 30)
    scene.pulse.rest("dispatcher voipms")
    scene.pulse.rest("somebody else")
    scene.advance(100)
    assert FED in await scene.turn()


async def test_a_store_whose_thread_hangs_stops_the_feeding_within_a_minute(scene, database, monkeypatch):
    monkeypatch.setattr(watch, "ASK_SECONDS", 0.05)
    begun, go = threading.Event(), threading.Event()

    def hang():
        yield sql("SELECT 1")
        begun.set()
        go.wait(30)

    hanging = asyncio.create_task(database.run(hang))
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        scene.advance(50)
        assert await scene.turn() == [FED, "STATUS=the store fails since 12:03 UTC; up"]
        assert scene.metrics.store_failing._value.get() == 1
        scene.advance(11)
        assert await scene.turn() == ["STATUS=no progress: store; the store fails since 12:03 UTC; up"]
    finally:
        go.set()
        await hanging
    monkeypatch.undo()
    assert scene.watch._failing_since is not None


async def test_a_store_that_only_says_no_is_given_five_minutes(scene, monkeypatch):
    async def refuse():
        raise StoreUnavailable("the test says so")

    commits = scene.watch._commit
    scene.watch._commit = refuse
    for _ in range(29):
        scene.advance(10)
        assert FED in await scene.turn()
    scene.advance(20)
    assert await scene.turn() == ["STATUS=no progress: commits; the store fails since 12:03 UTC; up"]
    scene.watch._commit = commits
    assert await scene.turn() == [FED, "STATUS=up"]
    assert scene.metrics.store_failing._value.get() == 0


async def test_an_hour_in_which_the_machine_slept_is_nobodys_fault(scene, monkeypatch):
    turned = asyncio.Event()
    naps = []

    async def nap(seconds):
        naps.append(seconds)
        scene.advance(3600 if len(naps) == 2 else seconds)
        if len(naps) == 3:
            turned.set()
            await asyncio.Event().wait()

    scene.pulse.beat("janitor", 60)
    monkeypatch.setattr(watch.asyncio, "sleep", nap)
    watching = asyncio.create_task(scene.watch.run())
    async with asyncio.timeout(PATIENCE):
        await turned.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    heard = [scene.supervisor.recv(4096).decode().split("\n")[0] for _ in range(3)]
    assert heard == [FED] * 3
    assert set(naps) == {watch.TURN_SECONDS}


async def test_the_watchdog_is_fed_as_often_as_it_wants(scene, monkeypatch):
    naps = []

    async def nap(seconds):
        naps.append(seconds)
        await asyncio.Event().wait()

    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    monkeypatch.setattr(watch.asyncio, "sleep", nap)
    watching = asyncio.create_task(scene.watch.run())
    async with asyncio.timeout(PATIENCE):
        while not naps:
            await asyncio.wait({watching}, timeout=0.01)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert naps == [3.0]


async def test_what_waits_is_counted_from_the_store(scene):
    rows = {("outbox", "queued"): 2, ("delivery", "handing"): 1, ("outbox", "held"): 4, ("outbox", "sending"): 9}

    async def some():
        return Backlog(states=rows, oldest_delivery=None, oldest_part=None)

    scene.watch._backlog = some
    assert await scene.turn() == [FED, "STATUS=up; 3 texts wait; 4 on hold"]


async def test_what_takes_long_to_count_is_counted_seldom(scene):
    counted = []

    async def slowly():
        counted.append(scene.monotonic)
        scene.advance(1)
        return Backlog(states={("outbox", "queued"): len(counted)}, oldest_delivery=None, oldest_part=None)

    scene.watch._backlog = slowly
    for _ in range(30):
        told = await scene.turn()
        scene.advance(10)
    assert len(counted) == 3
    assert told == [FED, "STATUS=up; 3 texts wait"]


async def test_what_cannot_be_counted_in_time_is_no_fault_of_the_store(scene, monkeypatch):
    monkeypatch.setattr(watch, "ASK_SECONDS", 0.05)
    counted = []

    async def for_ever():
        counted.append(scene.monotonic)
        try:
            await asyncio.Event().wait()
        finally:
            scene.advance(5)

    async def commit_at_once():
        pass

    scene.watch._commit, scene.watch._backlog = commit_at_once, for_ever
    for _ in range(60):
        assert await scene.turn() == [FED, "STATUS=up"]
        scene.advance(10)
    assert scene.metrics.store_failing._value.get() == 0
    assert len(counted) == 2


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View(now=NOON), "up"),
        (View(now=NOON, rows={("outbox", "queued"): 1}), "up; 1 text waits"),
        (View(now=NOON, stream_down_since=NOON, rows={("delivery", "waiting"): 2}),
         "XMPP server unreachable since 12:03 UTC; 2 texts wait"),
        (View(now=NOON, refusal="reload refused at 12:03 UTC: line 3 xmpp.jid takes a restart"),
         "up; reload refused at 12:03 UTC: line 3 xmpp.jid takes a restart"),
        (View(now=NOON, late=("janitor", "store"), store_failing_since=NOON),
         "no progress: janitor, store; the store fails since 12:03 UTC; up"),
    ],
)  # fmt: skip
def test_the_status_line_is_one_short_sentence(view, words):
    assert words_of(view) == words
