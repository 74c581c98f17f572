"""The embedded store: what is committed when, who learns of it, and what happens when it cannot."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store import soundness, sqlite
from smsbridge.store.database import Conflict, Transaction, sql
from smsbridge.store.sqlite import BUSY_SECONDS, MAX_GROUP, SqliteDatabase
from tests.fakes.waiting import PATIENCE, until


def create() -> Transaction[None]:
    yield sql("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def write(number: int, text: str = "") -> Transaction[int]:
    rows = yield sql("INSERT INTO note (id, text) VALUES ($1, $2) RETURNING id", number, text)
    return int(rows[0]["id"])


def numbers() -> Transaction[list[int]]:
    return [row["id"] for row in (yield sql("SELECT id FROM note ORDER BY id"))]


def ask(text: str, *params: object) -> Transaction[list[tuple[object, ...]]]:
    return [tuple(row) for row in (yield sql(text, *params))]


def seen(path: Path) -> list[int]:
    """What another connection sees."""
    with closing(sqlite3.connect(path)) as reader:
        return [number for (number,) in reader.execute("SELECT id FROM note ORDER BY id")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "notes.db"


@pytest.fixture
def commits() -> list[float]:
    return []


@pytest.fixture
def busy_seconds() -> float:
    """How long another writer is waited for."""
    return 0.2


@pytest.fixture
async def store(path, commits, busy_seconds) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(path, commits.append, busy_seconds=busy_seconds)
    async with asyncio.timeout(PATIENCE):
        await opened.run(create)
        commits.clear()
        yield opened
        await opened.close()


@pytest.fixture
def broken(monkeypatch, store):
    """Let the file system fail for some statements from now on."""

    def breaking(*prefixes: str, times: int = 1) -> None:
        real, left = store._connection, dict.fromkeys(prefixes, times)

        class Failing:
            in_transaction = property(lambda _: real.in_transaction)

            def execute(self, text, params=()):
                for prefix in left:
                    if text.startswith(prefix) and left[prefix]:
                        left[prefix] -= 1
                        raise sqlite3.OperationalError("disk I/O error")
                return real.execute(text, params)

            def close(self):
                real.close()

        monkeypatch.setattr(store, "_connection", Failing())

    return breaking


class TestGroups:
    async def test_transactions_that_come_together_share_a_commit(self, store, commits, gather):
        async with gather(store):
            tasks = [asyncio.ensure_future(store.run(write, n)) for n in range(100)]
        assert await asyncio.gather(*tasks) == list(range(100))
        assert len(commits) == 2  # the one that held them up, and theirs
        assert all(seconds >= 0 for seconds in commits)

    async def test_a_group_has_a_bound(self, store, commits, gather):
        async with gather(store):
            tasks = [asyncio.ensure_future(store.run(write, n)) for n in range(3 * MAX_GROUP)]
        await asyncio.gather(*tasks)
        assert len(commits) == 4  # the one that held them up, and theirs
        assert await store.run(numbers) == list(range(3 * MAX_GROUP))

    async def test_a_failing_transaction_leaves_the_others_of_its_group_committed(self, store, path, gather):
        def fail() -> Transaction[None]:
            yield from write(50)
            raise RuntimeError("mine alone")

        async with gather(store):
            tasks = [
                asyncio.ensure_future(work)
                for work in (store.run(write, 1), store.run(fail), store.run(write, 1), store.run(write, 2))
            ]
        first, mine, conflict, second = await asyncio.gather(*tasks, return_exceptions=True)
        assert (first, second) == (1, 2)
        assert isinstance(mine, RuntimeError)
        assert isinstance(conflict, Conflict)
        assert seen(path) == [1, 2]

    async def test_a_result_is_released_only_after_the_commit(self, store, path, gather):
        early: list[object] = []

        def spy(task: asyncio.Future[int]) -> Transaction[None]:
            early.extend([task.done(), seen(path)])
            yield sql("SELECT 1")

        async with gather(store):
            task = asyncio.ensure_future(store.run(write, 1))
            await asyncio.sleep(0)
            spying = asyncio.ensure_future(store.run(spy, task))
        await asyncio.gather(task, spying)
        assert early == [False, []]
        assert seen(path) == [1]

    async def test_a_caller_who_goes_away_does_not_break_the_group(self, store, gather):
        async with gather(store):
            tasks = [asyncio.ensure_future(store.run(write, n)) for n in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
        await asyncio.wait(tasks)
        assert (tasks[0].result(), tasks[1].cancelled(), tasks[2].result()) == (0, True, 2)
        assert await store.run(numbers) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("statement", "error"),
        [
            (sql("SELECT $1, $2", 1), ValueError),
            (sql("SELECT $1", 1 << 70), OverflowError),
            (sql("SELECT * FROM nowhere"), StoreUnavailable),
        ],
    )
    async def test_a_faulty_statement_hurts_nobody_else(self, store, statement, error, gather):
        def faulty() -> Transaction[None]:
            yield from write(50)
            yield statement

        async with gather(store):
            good, bad = (asyncio.ensure_future(work) for work in (store.run(write, 1), store.run(faulty)))
        with pytest.raises(error):
            await bad
        assert await good == 1
        assert await store.run(numbers) == [1]

    async def test_what_is_no_transaction_is_the_callers_error(self, store):
        with pytest.raises(TypeError):
            await store.run(lambda: None)
        assert await store.run(write, 1) == 1

    async def test_an_observer_that_fails_stops_nothing(self, path):
        def fail(_seconds: float) -> None:
            raise RuntimeError("no metrics today")

        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        async with asyncio.timeout(PATIENCE):
            store = await SqliteDatabase.open(path, fail)
            await store.run(create)
            assert await store.run(write, 1) == 1
            await store.close()
        assert len(complaints) == 2


class TestFaults:
    async def test_a_failing_commit_is_told_to_all_of_the_group(self, store, path, broken, gather):
        def break_the_commit() -> Transaction[None]:
            broken("COMMIT")
            yield sql("SELECT 1")

        async with gather(store):
            tasks = [asyncio.ensure_future(store.run(write, n)) for n in range(3)]
            tasks.append(asyncio.ensure_future(store.run(break_the_commit)))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert isinstance(outcomes[0].__cause__, sqlite3.OperationalError)
        assert seen(path) == []
        assert await store.run(write, 7) == 7
        assert seen(path) == [7]

    async def test_a_failing_rollback_is_made_good_by_the_next_group(self, store, broken):
        broken("COMMIT", "ROLLBACK")
        for number in (1, 2):  # the second finds the first one's transaction still open
            with pytest.raises(StoreUnavailable):
                await store.run(write, number)
        assert await store.run(write, 3) == 3
        assert await store.run(numbers) == [3]

    async def test_a_savepoint_that_cannot_be_undone_fails_the_group(self, store, broken):
        await store.run(write, 1)
        broken("ROLLBACK TO")
        with pytest.raises(StoreUnavailable):
            await store.run(write, 1)
        assert await store.run(numbers) == [1]

    async def test_a_full_disk_refuses_and_keeps_what_was_there(self, store, path):
        await store.run(write, 1)
        (pages,) = (await store.run(ask, "PRAGMA page_count"))[0]
        await store.run(ask, f"PRAGMA max_page_count = {pages + 3}")
        outcomes = await asyncio.gather(
            *(store.run(write, number, "x" * 5000) for number in range(2, 12)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
        assert refused
        assert all("SQLITE_FULL" in str(error) for error in refused)
        assert seen(path) == [1, *(outcome for outcome in outcomes if isinstance(outcome, int))]
        await store.run(ask, "DELETE FROM note WHERE id > 1")
        assert await store.run(write, 100, "x" * 5000) == 100
        assert seen(path) == [1, 100]

    async def test_when_the_whole_group_is_rolled_back_all_of_it_is_refused(self, store, path, gather):
        def roll_back() -> Transaction[None]:
            yield sql("ROLLBACK")  # as SQLite does by itself on a full disk or an I/O error
            yield sql("SELECT * FROM nowhere")

        async with gather(store):
            tasks = [asyncio.ensure_future(work) for work in (store.run(write, 1), store.run(roll_back))]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
        assert seen(path) == []
        assert await store.run(write, 2) == 2

    async def test_another_writer_is_waited_for_not_long(self, store, path):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
                await store.run(write, 1)
            other.execute("ROLLBACK")
        assert await store.run(write, 2) == 2
        assert await store.run(numbers) == [2]

    async def test_a_carrier_gives_up_later_than_the_store(self):
        assert BUSY_SECONDS <= 3

    @pytest.mark.parametrize("busy_seconds", [15.0])
    async def test_another_writer_who_is_done_in_time_is_not_noticed(self, store, path):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.ensure_future(store.run(write, 1))
            await asyncio.sleep(0)
            other.execute("COMMIT")
            assert await task == 1

    async def test_a_file_that_is_locked_cannot_be_opened(self, store, path):
        with closing(sqlite3.connect(path.with_name("other.db"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await SqliteDatabase.open(path.with_name("other.db"), busy_seconds=0.1)


class TestClosing:
    async def test_what_was_begun_is_finished(self, store, path, gather):
        async with gather(store):
            tasks = [asyncio.ensure_future(store.run(write, n)) for n in range(5)]
            await asyncio.sleep(0)
            closing_task = asyncio.ensure_future(store.close())
        await closing_task
        assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]
        assert seen(path) == [0, 1, 2, 3, 4]

    async def test_a_closed_store_takes_nothing(self, store):
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.run(write, 1)

    async def test_it_is_closed_as_often_as_one_likes(self, store, path):
        await asyncio.gather(store.close(), store.close())
        await store.close()
        assert not path.with_name("notes.db-wal").exists()

    async def test_what_was_written_is_there_when_it_is_opened_again(self, store, path):
        await store.run(write, 1)
        await store.close()
        async with asyncio.timeout(PATIENCE):
            again = await SqliteDatabase.open(path)
            assert await again.run(numbers) == [1]
            await again.close()


class TestOpening:
    async def test_every_commit_is_synced_to_a_write_ahead_log(self, store):
        assert await store.run(ask, "PRAGMA journal_mode") == [("wal",)]
        assert await store.run(ask, "PRAGMA synchronous") == [(2,)]  # FULL
        assert await store.run(ask, "PRAGMA foreign_keys") == [(1,)]

    async def test_nobody_else_on_the_machine_can_read_the_file(self, store, path):
        await store.run(write, 1)
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0

    async def test_what_is_no_database_is_refused_and_left_as_it_is(self, tmp_path):
        file = tmp_path / "photo.db"
        file.write_bytes(b"this is no database at all " * 200)
        before = file.read_bytes()
        with pytest.raises(StoreUnavailable, match="cannot open"):
            await SqliteDatabase.open(file)
        assert file.read_bytes() == before

    async def test_a_damaged_database_is_refused_and_left_as_it_is(self, store, path):
        for number in range(50):
            await store.run(write, number, "x" * 500)
        await store.run(ask, "DELETE FROM note WHERE id > 10")
        await store.close()
        damaged = bytearray(path.read_bytes())
        damaged[36:40] = (1).to_bytes(4)  # the count of free pages, as no writer would leave it
        path.write_bytes(damaged)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await SqliteDatabase.open(path)
        assert path.read_bytes() == damaged

    async def test_torn_pages_are_refused(self, store, path):
        for number in range(50):
            await store.run(write, number, "x" * 500)
        await store.close()
        damaged = bytearray(path.read_bytes())
        damaged[4096:8192] = os.urandom(4096)
        path.write_bytes(damaged)
        with pytest.raises(StoreUnavailable):
            await SqliteDatabase.open(path)

    async def damage(self, store, path):
        for number in range(50):
            await store.run(write, number, "x" * 500)
        await store.run(ask, "DELETE FROM note WHERE id > 10")
        await store.close()
        sound = path.read_bytes()
        path.write_bytes(sound[:36] + (1).to_bytes(4) + sound[40:])
        return sound

    async def test_a_large_file_is_looked_through_beside_the_work_and_refused_from_then_on(
        self, store, path, monkeypatch
    ):
        sound = await self.damage(store, path)
        monkeypatch.setattr(soundness, "AT_ONCE_BYTES", 0)
        large = await SqliteDatabase.open(path)
        assert await asyncio.to_thread(large._inspection.wait, 10)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await large.run(ask, "SELECT 1")
        with pytest.raises(StoreUnavailable, match="damaged"):
            large.inspect()
        await large.close()
        for _ in range(2):  # and from now on at once, however large it is, until another file is in its place
            with pytest.raises(StoreUnavailable, match="damaged"):
                await SqliteDatabase.open(path)
        path.write_bytes(sound)
        restored = await SqliteDatabase.open(path)
        assert await restored.run(ask, "SELECT count(*) FROM note") == [(11,)]
        await restored.close()
        assert [file.name for file in path.parent.glob("*.damaged")] == []

    async def test_a_large_file_that_is_sound_is_used_from_the_start(self, store, path, monkeypatch):
        await store.run(write, 1)
        await store.close()
        monkeypatch.setattr(soundness, "AT_ONCE_BYTES", 0)
        large = await SqliteDatabase.open(path)
        await large.run(write, 2)
        assert await asyncio.to_thread(large._inspection.wait, 10)
        assert await large.run(ask, "SELECT count(*) FROM note") == [(2,)]
        large.inspect()
        await large.close()

    async def test_a_place_that_cannot_be_written_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreUnavailable, match="cannot open"):
            await SqliteDatabase.open(tmp_path / "file" / "bridge.db")


WRITER = """
import asyncio, sys
from pathlib import Path
from smsbridge.store.database import sql
from smsbridge.store.sqlite import SqliteDatabase

def write(number):
    yield sql("INSERT INTO note (id, text) VALUES ($1, '')", number)

async def one(store, number):
    await store.run(write, number)
    print(number, flush=True)

async def main():
    store = await SqliteDatabase.open(Path(sys.argv[1]))
    async with asyncio.timeout(60):
        for start in range(0, 1_000_000, 20):
            await asyncio.gather(*(one(store, number) for number in range(start, start + 20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 137, 400])
async def test_what_was_said_to_be_committed_survives_kill_9(store, path, lines):
    await store.close()
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        said = [int(await writer.stdout.readline()) for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        rest = (await writer.stdout.read()).decode()
        await writer.wait()
        said += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        again = await SqliteDatabase.open(path)
        kept = await again.run(numbers)
        await again.close()
    assert set(said) <= set(kept)
    assert len(kept) - len(said) <= 20


class TestWiping:
    SECRET = "what they wrote to each other"

    def traces(self, path: Path) -> list[str]:
        return [file.name for file in path.parent.iterdir() if self.SECRET.encode() in file.read_bytes()]

    async def test_what_was_deleted_is_in_no_file_any_more(self, store, path):
        for number in range(200):
            await store.run(write, number, self.SECRET)
        assert "notes.db-wal" in self.traces(path)
        await store.run(ask, "UPDATE note SET text = '' WHERE id < 100")
        await store.run(ask, "DELETE FROM note WHERE id >= 100")
        await store.wipe()
        assert self.traces(path) == []
        await store.run(write, 1000)
        assert await store.run(numbers) == [*range(100), 1000]

    @pytest.mark.parametrize("busy_seconds", [5 * PATIENCE])  # that is what it would take
    async def test_who_reads_meanwhile_is_not_waited_for_and_nothing_is_lost(self, store, path):
        await store.run(write, 1, self.SECRET)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM note").fetchall()
            await store.run(ask, "UPDATE note SET text = ''")
            async with asyncio.timeout(PATIENCE):
                await store.wipe()
            assert self.traces(path)
        await store.wipe()
        assert self.traces(path) == []

    async def test_a_closed_store_has_nothing_to_wipe(self, store):
        await store.close()
        await store.wipe()


class TestMerging:
    def in_the_file_alone(self, path: Path) -> list[int]:
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as reader:
            if not reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'note'").fetchall():
                return []
            return [number for (number,) in reader.execute("SELECT id FROM note ORDER BY id")]

    async def test_in_a_quiet_moment_what_the_log_holds_goes_into_the_file(self, store, path, monkeypatch):
        monkeypatch.setattr(sqlite, "MERGED_PAGES", 1)
        await store.run(write, 1)
        await until(lambda: self.in_the_file_alone(path) == [1])
        await store.run(write, 2)
        await until(lambda: self.in_the_file_alone(path) == [1, 2])

    async def test_it_does_not_while_somebody_waits(self, store, path):
        writing = asyncio.ensure_future(store.run(write, 1))
        await asyncio.sleep(0)
        store._merge_if_quiet()
        await writing
        await store.run(numbers)  # the owner has done all that was asked of it
        assert self.in_the_file_alone(path) == []
        store._merge_if_quiet()
        await store.run(numbers)
        assert self.in_the_file_alone(path) == [1]

    async def test_nothing_is_merged_once_it_is_closed(self, store, path, monkeypatch):
        monkeypatch.setattr(sqlite, "MERGED_PAGES", 1)
        await store.run(write, 1)
        assert store._merging is not None
        await store.close()
        assert store._merging.cancelled()
        store._merge_if_quiet()
        assert seen(path) == [1]


class TestShortTransactions:
    """Those whose statements may run on the caller's own thread."""

    async def test_one_is_on_disk_when_it_returns(self, store, path):
        assert await store.run_short(write, 1) == 1
        assert seen(path) == [1]

    async def test_it_runs_at_once_and_is_committed_by_the_owner_with_what_comes_meanwhile(self, store, commits):
        first = asyncio.ensure_future(store.run_short(write, 1))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(store.run_short(write, n)) for n in range(2, 50)]
        assert await asyncio.gather(first, *others) == [*range(1, 50)]
        assert len(commits) < 10

    async def test_they_and_the_others_keep_their_order(self, store):
        async with asyncio.TaskGroup() as tasks:
            for n in range(300):
                tasks.create_task((store.run_short if n % 3 else store.run)(write, n))
        assert await store.run_short(numbers) == [*range(300)]

    async def test_a_failing_one_is_rolled_back_alone(self, store, path):
        await store.run(write, 1)
        results = await asyncio.gather(
            store.run_short(write, 2), store.run_short(write, 1), store.run(write, 3), return_exceptions=True
        )
        assert [type(result) for result in results] == [int, Conflict, int]
        assert seen(path) == [1, 2, 3]

    async def test_a_conflict_at_once_leaves_nothing_open(self, store, path):
        await store.run_short(write, 1)
        with pytest.raises(Conflict):
            await store.run_short(write, 1)
        assert await store.run_short(write, 2) == 2
        assert seen(path) == [1, 2]

    async def test_a_disk_that_fails_meanwhile_is_told_and_leaves_nothing_open(self, store, broken):
        broken("SAVEPOINT")
        with pytest.raises(StoreUnavailable):
            await store.run_short(write, 1)
        assert await store.run_short(write, 2) == 2
        assert await store.run(numbers) == [2]

    async def test_a_commit_that_fails_is_told(self, store, broken):
        broken("COMMIT")
        with pytest.raises(StoreUnavailable):
            await store.run_short(write, 1)
        assert await store.run_short(write, 2) == 2

    @pytest.mark.parametrize("busy_seconds", [15.0])
    async def test_another_writer_is_waited_for_without_the_loop(self, store, path):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(store.run_short(write, 1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            other.execute("COMMIT")
            assert await waiting == 1

    async def test_another_writer_is_waited_for_without_the_loop_and_not_long(self, store, path):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await store.run_short(write, 2)

    async def test_one_that_nobody_waits_for_any_more_is_committed_all_the_same(self, store, path):
        task = asyncio.ensure_future(store.run_short(write, 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await store.run_short(write, 2) == 2
        assert seen(path) == [1, 2]
