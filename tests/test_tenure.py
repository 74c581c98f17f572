"""Who holds the house, over each driver: one at a time, for as long as the lease lasts, and systemd is told."""

import asyncio
import contextlib
import os
import socket
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from smsbridge import tenure
from smsbridge.clock import system_clock
from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.log import Event
from smsbridge.sim.postgres import Postgres
from smsbridge.store import leases, migrations
from smsbridge.store.database import Fenced, sql
from smsbridge.store.migrations import Migration
from smsbridge.tenure import AlreadyRunning, Place, settle_in
from tests.fakes.waiting import PATIENCE, until


def place(url, life="life-1"):
    return Place(
        url=url,
        password=None,
        name="sms.example.com",
        holder=f"sms.example.com/{life}",
        clock=system_clock(),
        observe_commit=lambda _: None,
    )


def rows(text):
    return [tuple(row) for row in (yield sql(text))]


@pytest.fixture
def brisk(monkeypatch):
    """What is done every few seconds is done at once; a lease lasts as long as a busy machine may stand still."""
    monkeypatch.setattr(tenure, "SHARED_SPAN", timedelta(seconds=PATIENCE))
    monkeypatch.setattr(tenure, "SHARED_RENEW_SECONDS", 0.1)
    monkeypatch.setattr(tenure, "ALONE_RENEW_SECONDS", 0.1)
    monkeypatch.setattr(tenure, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(tenure, "POLL_SECONDS", 0.05)


@pytest.fixture
def brief(brisk, monkeypatch):
    """And a lease of two seconds, for who is to lose it."""
    monkeypatch.setattr(tenure, "SHARED_SPAN", timedelta(seconds=2))


async def renewed(database):
    """Until the lease is renewed, and again."""
    for _ in range(2):
        before = await database.run(leases.found, "sms.example.com")
        async with asyncio.timeout(PATIENCE):
            while await database.run(leases.found, "sms.example.com") == before:
                pass


@pytest.fixture
def supervisor(monkeypatch, tmp_path):
    """What systemd was told, so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        heard = []

        def hear():
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.extend(ear.recv(4096).decode().splitlines())
            return heard

        yield hear


class Waiting:
    """Somebody who stands by."""

    def __init__(self, url, life="life-2", **where):
        self.stop, self.is_in, self.is_over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.tenure = None
        self.task = asyncio.create_task(self._run(replace(place(url, life), **where)))

    async def _run(self, where):
        async with settle_in(where, self.stop) as held:
            self.tenure = held
            if held is not None:
                self.is_in.set()
                await self.is_over.wait()


async def test_a_new_store_is_brought_to_the_newest_version_and_is_ours(store_url, postgres):
    if store_url.startswith("postgres"):
        store_url = await postgres.create_database("fresh")
    try:
        async with asyncio.timeout(PATIENCE), settle_in(place(store_url), asyncio.Event()) as held:
            assert await held.renew()
            assert await migrations.current(held.database) == migrations.newest()
            assert held.lease.epoch == 1
    finally:
        await postgres.drop_database("fresh")


async def test_a_store_of_an_older_version_is_brought_up_under_the_lease(postgres, tmp_path, brisk):
    urls = (f"sqlite:///{tmp_path}/old.db", await postgres.create_database("old"))
    try:
        for url in urls:
            database = await tenure.open_postgres(url) if url.startswith("p") else await opened(url)
            await migrations.migrate(database, migrations.migrations()[:1])
            await database.close()
            async with asyncio.timeout(PATIENCE), settle_in(place(url), asyncio.Event()) as held:
                assert await migrations.current(held.database) == migrations.newest()
                assert await held.renew()
    finally:
        await postgres.drop_database("old")


async def test_a_migration_may_take_longer_than_the_lease_which_is_renewed_and_the_watchdog_fed(
    copied_postgres, brisk, supervisor, monkeypatch
):
    # it takes until the lease that it began under would have ended, if that had not been renewed meanwhile
    outlasting = (
        "DO $$ DECLARE began BIGINT := (SELECT until FROM lease); BEGIN"
        " WHILE (SELECT until FROM lease) = began OR clock_timestamp() < to_timestamp(began / 1000.0) LOOP"
        " PERFORM pg_sleep(0.05); END LOOP; END $$"
    )
    statements = ("CREATE TABLE newest (number INTEGER)", outlasting, "INSERT INTO newest SELECT 1")
    longest = Migration(version=migrations.newest() + 1, name="longest", statements=statements)
    known = (*migrations.migrations(), longest)
    monkeypatch.setattr(migrations, "migrations", lambda: known)
    monkeypatch.setattr(tenure, "SHARED_SPAN", timedelta(seconds=4))
    async with asyncio.timeout(PATIENCE), settle_in(place(copied_postgres), asyncio.Event()) as held:
        assert held.lease.epoch == 1
        assert await held.renew()
        assert await held.database.run(rows, "SELECT number FROM newest") == [(1,)]
    assert supervisor().count("WATCHDOG=1") > 3


async def test_while_a_migration_runs_the_lease_is_renewed_so_often_that_a_stall_does_not_cost_it(
    copied_postgres, monkeypatch
):
    statements = ("CREATE TABLE newest (number INTEGER)", "INSERT INTO newest SELECT 1 FROM pg_sleep(2)")
    longest = Migration(version=migrations.newest() + 1, name="longest", statements=statements)
    known = (*migrations.migrations(), longest)
    monkeypatch.setattr(migrations, "migrations", lambda: known)
    monkeypatch.setattr(tenure, "MIGRATING_SECONDS", 0.1)
    renewed, renew = [], tenure.Tenure.renew

    async def count(held):
        renewed.append(await renew(held))
        return renewed[-1]

    monkeypatch.setattr(tenure.Tenure, "renew", count)
    async with asyncio.timeout(PATIENCE), settle_in(place(copied_postgres), asyncio.Event()):
        assert len(renewed) > 2
        assert all(renewed)


async def test_a_migration_whose_lease_is_lost_is_undone_and_not_waited_for(copied_postgres, brisk, monkeypatch):
    statements = ("CREATE TABLE newest (number INTEGER)", "INSERT INTO newest SELECT 1 FROM pg_sleep(120)")
    longest = Migration(version=migrations.newest() + 1, name="longest", statements=statements)
    known = (*migrations.migrations(), longest)
    database = await tenure.open_postgres(copied_postgres)
    try:
        await database.run(leases.take_by_its_clock, "sms.example.com", "b", -timedelta(seconds=1))
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "migrations", lambda: known)
            second = Waiting(copied_postgres)
            async with asyncio.timeout(PATIENCE):
                while not await database.run(rows, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
                    pass
            await database.run(by_force, "c")
            done, _ = await asyncio.wait([second.task], timeout=PATIENCE / 2)
            assert done
            with pytest.raises(ExceptionGroup) as ended:
                await second.task
        assert ended.group_contains((AlreadyRunning, Fenced))
        assert not second.is_in.is_set()
    finally:
        await database.close()


def by_force(holder):
    yield from leases.take(system_clock().now(), "sms.example.com", holder, timedelta(minutes=1), by_force=True)


async def test_who_has_failed_lets_go_of_the_lease(empty_postgres):
    with pytest.raises(LookupError):
        async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()):
            raise LookupError("a port is taken, say")
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres, "life-2"), asyncio.Event()) as held:
            assert held.lease.epoch == 2
    assert Event.STANDING_BY not in [line["event"] for line in logs]


async def test_a_table_that_somebody_has_locked_does_not_cost_the_lease(empty_postgres, brisk):
    refused = []

    async def insist(database):
        try:
            return await database.run(rows, "DELETE FROM binding RETURNING peer")
        except StoreUnavailable:
            refused.append(0)
        return await insist(database)

    outsider = await asyncpg.connect(empty_postgres)
    async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()) as held:
        held.database._seconds = 1.0
        await outsider.execute("BEGIN; LOCK TABLE binding")
        keeping = asyncio.create_task(held.keep())
        writers = [asyncio.create_task(insist(held.database)) for _ in range(3)]
        await until(lambda: len(refused) > len(writers))  # the second round of refusals has begun
        looking = await tenure.open_postgres(empty_postgres)
        await renewed(looking)
        await looking.close()
        assert not keeping.done()
        await outsider.close()
        await asyncio.gather(*writers)
        keeping.cancel()


async def opened(url):
    return await tenure.SqliteDatabase.open(tenure.Path(url.removeprefix("sqlite:///")))


async def test_a_store_of_a_newer_version_is_refused_and_its_lease_left_alone(copied_postgres):
    newer = Migration(version=migrations.newest() + 1, name="newer", statements=("SELECT 1",))
    database = await tenure.open_postgres(copied_postgres)
    await migrations.migrate(database, [*migrations.migrations(), newer])
    with pytest.raises(StoreUnavailable, match="upgrade smsbridge"):
        async with asyncio.timeout(PATIENCE), settle_in(place(copied_postgres), asyncio.Event()):
            pass
    assert await database.run(rows, "SELECT * FROM lease") == []
    await database.close()


async def test_a_second_one_on_the_same_file_is_refused_at_once(tmp_path):
    url = f"sqlite:///{tmp_path}/bridge.db"
    async with asyncio.timeout(PATIENCE), settle_in(place(url), asyncio.Event()):
        with pytest.raises(AlreadyRunning, match="has .* open"):
            async with settle_in(place(url, "life-2"), asyncio.Event()):
                pass


async def test_after_a_kill_the_file_is_ours_at_once(tmp_path):
    url = f"sqlite:///{tmp_path}/bridge.db"
    for epoch in (1, 2):
        async with asyncio.timeout(PATIENCE), settle_in(place(url, f"life-{epoch}"), asyncio.Event()) as held:
            assert held.lease.epoch == epoch  # never released


async def test_who_stands_by_tells_the_supervisor_and_waits_until_the_lease_is_released(
    empty_postgres, supervisor, brisk
):
    async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()) as held:
        keeping = asyncio.create_task(held.keep())
        second = Waiting(empty_postgres)
        await until(lambda: "READY=1" in supervisor())
        await renewed(held.database)
        fed = supervisor().count("WATCHDOG=1")
        await until(lambda: supervisor().count("WATCHDOG=1") > fed + 2)  # it has looked again since
        assert supervisor().count("READY=1") == 1
        assert any(line.startswith("STATUS=standing by") for line in supervisor())
        assert not second.is_in.is_set()
        keeping.cancel()
        await held.release()
        await second.is_in.wait()
        assert second.tenure.lease.epoch == 2
        second.is_over.set()
        await second.task


async def test_a_bridge_for_another_component_stands_by_too_and_says_whose_the_database_is(
    empty_postgres, supervisor, brisk
):
    async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()) as held:
        with capture_logs() as logs:
            other = Waiting(empty_postgres, name="other.example.com")
            await until(lambda: "READY=1" in supervisor())
        [line] = [line for line in logs if line["event"] == Event.STANDING_BY]
        assert (line["name"], line["spoken_for"]) == ("other.example.com", "sms.example.com")
        assert any(line.endswith("has this database, and speaks for sms.example.com") for line in supervisor())
        await held.release()
        await other.is_in.wait()
        assert other.tenure.lease.name == "other.example.com"
        other.is_over.set()
        await other.task


async def test_who_stands_by_ends_when_it_is_told_to(empty_postgres, supervisor, brisk):
    async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()):
        second = Waiting(empty_postgres)
        await until(lambda: "READY=1" in supervisor())
        second.stop.set()
        await second.task
        assert second.tenure is None


async def test_who_is_not_heard_of_for_the_span_of_a_lease_has_lost_it_and_learns_so(empty_postgres, brief):
    async with asyncio.timeout(PATIENCE), settle_in(place(empty_postgres), asyncio.Event()) as held:
        second = Waiting(empty_postgres)
        await second.is_in.wait()  # nobody renews
        with pytest.raises(StoreUnavailable):
            await held.database.run(rows, "SELECT 1")
        with pytest.raises((AlreadyRunning, StoreUnavailable)):
            await held.keep()
        second.is_over.set()
        await second.task


async def test_who_stands_by_outlasts_a_restart_of_the_server(brisk, supervisor, monkeypatch):
    monkeypatch.setattr(tenure, "SHARED_SPAN", timedelta(seconds=4))  # a server that has just started is slow
    async with Postgres() as server, asyncio.timeout(PATIENCE):
        url = await server.create_database("mine")
        async with settle_in(place(url), asyncio.Event()) as held:
            keeping = asyncio.create_task(held.keep())
            second = Waiting(url)
            await until(lambda: "READY=1" in supervisor())
            keeping.cancel()
            await server.kill()
            await server.restart()
            await second.is_in.wait()
            second.is_over.set()
            await second.task


async def test_who_cannot_renew_in_time_ends(brief):
    async with Postgres() as server, asyncio.timeout(PATIENCE):
        url = await server.create_database("mine")
        async with settle_in(place(url), asyncio.Event()) as held:
            held.database._seconds = 1.0  # so long is what was begun insisted on, at the end
            keeping = asyncio.create_task(held.keep())
            await server.kill()
            with pytest.raises(StoreUnavailable, match="could not be renewed in time"):
                await keeping


async def test_a_database_file_that_was_replaced_ends_it(tmp_path, brisk):
    async with asyncio.timeout(PATIENCE), settle_in(place(f"sqlite:///{tmp_path}/bridge.db"), asyncio.Event()) as held:
        keeping = asyncio.create_task(held.keep())
        (tmp_path / "bridge.db").rename(tmp_path / "moved.db")
        with pytest.raises(StoreUnavailable, match="moved away or replaced"):
            await keeping


class TestAStoreThatRefuses:
    """It is only seen by its renewals."""

    @pytest.fixture
    def impatient(self, monkeypatch):
        monkeypatch.setattr(tenure, "FAILING_SECONDS", 0.3)
        monkeypatch.setattr(tenure, "RETRY_SECONDS", 0.05)
        monkeypatch.setattr(tenure, "ALONE_RENEW_SECONDS", 0.05)

    @pytest.fixture
    async def held(self, tmp_path, impatient):
        async with settle_in(place(f"sqlite:///{tmp_path}/bridge.db"), asyncio.Event()) as held:
            yield held

    async def test_for_too_long_ends_it_so_that_it_is_opened_anew(self, held, tmp_path):
        with contextlib.closing(sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(StoreUnavailable, match=r"nothing was committed for 0 s: .*SQLITE_BUSY"):
                    await held.keep()

    async def test_for_want_of_room_is_waited_for(self, held, monkeypatch):
        tries = []

        async def renew():
            tries.append(0)
            raise NoRoom("full")

        monkeypatch.setattr(held, "renew", renew)
        keeping = asyncio.create_task(held.keep())
        await until(lambda: len(tries) > 12)
        assert not keeping.done()
        keeping.cancel()


class TestAnOldCopy:
    """A file that was put in place of a newer one by hand, as `cp` does it."""

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "bridge.db"

    @contextlib.asynccontextmanager
    async def life(self, path, life, **where):
        async with settle_in(replace(place(f"sqlite:///{path}", life), **where), asyncio.Event()) as held:
            yield held

    def copy(self, path, to):
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(to)) as target:
            source.backup(target)

    def put_back(self, copy, path):
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        path.write_bytes(copy.read_bytes())

    async def test_what_was_there_all_the_time_is_none(self, path):
        for name in ("one", "two", "three"):
            async with self.life(path, name) as held:
                assert not held.is_old_copy
                assert await held.renew()

    @pytest.mark.parametrize("lives_since", [0, 1, 2])
    async def test_it_is_known_whenever_it_was_made(self, path, tmp_path, monkeypatch, lives_since):
        async with self.life(path, "one") as held:
            self.copy(path, tmp_path / "copy")
            monkeypatch.setattr(tenure, "ALONE_SPAN", tenure.ALONE_SPAN + timedelta(seconds=20))  # time goes by
            assert await held.renew()
        for n in range(lives_since):
            async with self.life(path, f"since {n}"):
                pass
        self.put_back(tmp_path / "copy", path)
        async with self.life(path, "next") as held:
            assert held.is_old_copy

    @pytest.mark.parametrize("spoken_for", [("a", "b", "b"), ("a", "b", "a"), ("b", "a", "b"), ("a", "b", "c")])
    async def test_it_is_known_whatever_component_was_spoken_for_meanwhile(self, path, tmp_path, spoken_for):
        then, since, now = spoken_for
        async with self.life(path, "one", name=then):
            pass
        self.copy(path, tmp_path / "copy")
        async with self.life(path, "two", name=since) as held:
            assert not held.is_old_copy
        self.put_back(tmp_path / "copy", path)
        async with self.life(path, "three", name=now) as held:
            assert held.is_old_copy
        async with self.life(path, "four", name=since) as held:
            assert held.is_old_copy  # until what has to be done is done
            held.accept_copy()
        async with self.life(path, "five", name=then) as held:
            assert not held.is_old_copy

    async def test_none_is_seen_whatever_component_is_spoken_for(self, path):
        for n, name in enumerate("abbcaacb"):
            async with self.life(path, f"life {n}", name=name) as held:
                assert not held.is_old_copy
                assert await held.renew()

    async def test_nor_where_a_kill_came_between_the_lease_and_its_mark(self, path, monkeypatch):
        for n, name in enumerate("abacbb"):
            with monkeypatch.context() as patch:
                patch.setattr(tenure._Mark, "remember", lambda *_: None)
                async with self.life(path, f"killed {n}", name=name) as held:
                    assert not held.is_old_copy
            async with self.life(path, f"life {n}", name=name) as held:
                assert not held.is_old_copy

    async def test_nor_where_a_kill_cut_the_mark_short(self, path, monkeypatch):
        async with self.life(path, "one", name="a.long.name.example.com"):
            pass
        monkeypatch.setattr(os, "ftruncate", lambda *_: None)
        async with self.life(path, "two", name="b"):
            pass
        self.copy(path, path.with_name("copy"))
        async with self.life(path, "three", name="b"):
            pass
        self.put_back(path.with_name("copy"), path)
        async with self.life(path, "four", name="b") as held:
            assert held.is_old_copy

    async def test_nor_in_a_new_file(self, path):
        async with self.life(path, "one"):
            pass
        path.unlink()
        async with self.life(path, "two", name="other.example.com") as held:
            assert not held.is_old_copy

    async def test_nor_if_the_clock_was_set_back_and_the_mark_lost(self, path, monkeypatch):
        instants = [datetime(2026, 10, 5, 18, tzinfo=UTC), datetime(2026, 10, 5, 17, tzinfo=UTC)]
        clock = replace(system_clock(), now=lambda: instants[0])
        async with self.life(path, "one", clock=clock) as held:
            mark = path.with_name("bridge.db.lock").read_bytes()
            instants.pop(0)
            for _ in range(2):
                assert await held.renew()
            monkeypatch.setattr(held, "_left", lambda: 0)  # killed
        path.with_name("bridge.db.lock").write_bytes(mark)  # which no power failure spared
        async with self.life(path, "two", clock=clock) as held:
            assert not held.is_old_copy

    async def test_once_it_is_accepted_a_kill_does_not_make_it_one_again(self, path, tmp_path, monkeypatch):
        async with self.life(path, "one"):
            self.copy(path, tmp_path / "copy")
        self.put_back(tmp_path / "copy", path)
        async with self.life(path, "two") as held:
            held.accept_copy()
            monkeypatch.setattr(held, "_left", lambda: 0)  # killed: it lets go of nothing
        async with self.life(path, "three") as held:
            assert not held.is_old_copy

    async def test_what_cannot_be_written_beside_the_file_is_a_full_disk_as_any(self):
        with open("/dev/full", "r+b", buffering=0) as full, pytest.raises(NoRoom):  # noqa: ASYNC230, PTH123
            tenure._Mark(full.fileno()).remember("a", 1, 1)

    async def test_it_is_known_until_what_has_to_be_done_is_done(self, path, tmp_path):
        async with self.life(path, "one"):
            self.copy(path, tmp_path / "copy")
        self.put_back(tmp_path / "copy", path)
        async with self.life(path, "killed before it could do anything") as held:
            assert await held.renew()
        async with self.life(path, "next") as held:
            assert held.is_old_copy
            held.accept_copy()
        async with self.life(path, "the one after") as held:
            assert not held.is_old_copy

    async def test_what_the_lock_says_may_be_nonsense(self, path, tmp_path):
        async with self.life(path, "one"):
            pass
        for nonsense in (b"", b"\xff\xfe\0", b"sms.example.com x y\n", b"a 1 \n", b"sms.example.com 999 999 1\n"):
            tmp_path.joinpath("bridge.db.lock").write_bytes(nonsense)
            async with self.life(path, repr(nonsense)) as held:
                assert not held.is_old_copy
