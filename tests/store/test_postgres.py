"""PostgreSQL: what is known after a connection is lost at the worst moment, who may write, and what is refused."""

import asyncio
import math
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from smsbridge.core.errors import StoreUnavailable
from smsbridge.sim.postgres import GUARDED, Postgres
from smsbridge.store import leases, postgres_session
from smsbridge.store.database import Fenced, Transaction, sql
from smsbridge.store.migrations import migrate
from smsbridge.store.opening import open_database, open_postgres
from smsbridge.store.postgres import PostgresDatabase
from smsbridge.store.postgres_session import READ_COMMITTED
from tests.fakes.waiting import PATIENCE

from .between import Between, Trick

NAME = "sms.example.com"
SPAN = timedelta(seconds=15)


class Steps:
    """A transaction that counts how often it was begun, and writes a row that says which time it was."""

    def __init__(self) -> None:
        self.begun = 0

    def write(self, subject: str = "it") -> Transaction[int]:
        self.begun += 1
        begun = self.begun
        yield sql(
            "INSERT INTO history (id, subject, subject_id, at, who, state, attempt, provider_id, reason, code)"
            " VALUES ($1, $2, '', 0, '', '', $3, '', '', '')",
            *(str(uuid.uuid4()), subject, begun),
        )
        return begun


def attempts() -> Transaction[list[int]]:
    rows = yield sql("SELECT attempt FROM history ORDER BY attempt")
    return [row["attempt"] for row in rows]


def put(peer: str, did: str) -> Transaction[None]:
    yield sql("INSERT INTO binding (owner, peer, did, bound_at) VALUES ('o', $1, $2, 0)", peer, did)


def append(text: str) -> Transaction[str]:
    rows = yield sql("UPDATE binding SET did = did || $1 WHERE peer = 'p' RETURNING did", text)
    return str(rows[0]["did"])


def ask(text: str) -> Transaction[list[tuple[object, ...]]]:
    return [tuple(row) for row in (yield sql(text))]


@pytest.fixture
def steps() -> Steps:
    return Steps()


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[PostgresDatabase]:
    database = await PostgresDatabase.open(url, **options)
    try:
        async with asyncio.timeout(2 * PATIENCE):
            yield database
    finally:
        async with asyncio.timeout(PATIENCE):
            await database.close()


@pytest.fixture
async def other(empty_postgres) -> AsyncIterator[PostgresDatabase]:
    """Another node, with a way of its own."""
    async with opened(empty_postgres) as database:
        yield database


@pytest.fixture
async def between(postgres) -> AsyncIterator[Between]:
    async with Between(postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def store(empty_postgres, between, postgres) -> AsyncIterator[PostgresDatabase]:
    """A node whose way to the server can be disturbed."""
    async with opened(empty_postgres.replace(f":{postgres.port}/", f":{between.port}/")) as database:
        yield database


class TestALostConnection:
    async def test_a_commit_whose_answer_is_lost_is_found_and_not_repeated(self, store, between, steps, other):
        between.play(Trick.CUT_AFTER, "COMMIT")
        assert await store.run(steps.write) == 1
        assert between.played.is_set()
        assert await other.run(attempts) == [1]

    async def test_a_commit_that_did_not_arrive_is_made_again(self, store, between, steps, other):
        between.play(Trick.CUT_BEFORE, "COMMIT")
        assert await store.run(steps.write) == 2
        assert await other.run(attempts) == [2]

    async def test_an_answer_that_never_comes_is_not_waited_for(self, store, between, steps, other):
        between.play(Trick.SWALLOW, "COMMIT")
        assert await store.run(steps.write) == 1
        assert await other.run(attempts) == [1]

    async def test_a_commit_that_arrives_late_commits_nothing(self, store, between, steps, other, postgres):
        between.play(Trick.KEEP, "COMMIT")
        assert await store.run(steps.write) == 2
        ended = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        between.let_go()
        async with asyncio.timeout(PATIENCE):
            while await postgres.execute(ended) != "0":
                pass
        assert await other.run(attempts) == [2]

    async def test_what_a_lost_session_has_locked_does_not_hold_up_the_next_for_long(self, store, between, other):
        between.play(Trick.KEEP, "COMMIT")
        await store.run(put, "p", "once")
        assert await other.run(ask, "SELECT did FROM binding") == [("once",)]

    @pytest.mark.parametrize("trick", [Trick.CUT_BEFORE, Trick.CUT_AFTER])
    async def test_it_may_be_cut_in_the_middle(self, store, between, steps, other, trick):
        between.play(trick, "INSERT INTO history")
        assert await store.run(steps.write) == 2
        assert await other.run(attempts) == [2]

    async def test_what_only_reads_is_read_again(self, store, between, steps):
        await store.run(steps.write)
        between.play(Trick.CUT_BEFORE, "COMMIT")
        assert await store.run(attempts) == [1]

    async def test_all_of_a_group_share_its_fate(self, store, between, steps, other):
        between.play(Trick.CUT_AFTER, "COMMIT")
        assert await asyncio.gather(*(store.run(steps.write) for _ in range(9))) == [*range(1, 10)]
        assert await other.run(attempts) == [*range(1, 10)]

    async def test_old_keys_are_purged_and_young_ones_kept(self, store, steps, other, postgres):
        await store.run(steps.write)
        await postgres.execute("UPDATE commit_key SET at = at - interval '11 minutes'", database="played")
        store._session._purge_at = 0.0
        await store.run(steps.write)
        assert await other.run(ask, "SELECT outcome FROM commit_key") == [("done",)]


class TestAServerThatDies:
    async def test_nothing_that_was_promised_is_lost_and_nothing_is_doubled(self, steps):
        async with Postgres() as server:
            url = await server.create_database("mine")
            async with opened(url) as store:
                await migrate(store)
                promised, refused = set(), set()
                is_over, is_busy = asyncio.Event(), asyncio.Event()

                async def writer(name: int) -> None:
                    for n in range(10_000):
                        if is_over.is_set():
                            return
                        subject = f"{name} {n}"
                        try:
                            await store.run(steps.write, subject)
                            promised.add(subject)
                            is_busy.set()
                        except StoreUnavailable:
                            refused.add(subject)

                writers = [asyncio.create_task(writer(name)) for name in range(20)]
                for _ in range(2):
                    is_busy.clear()
                    await is_busy.wait()
                    await server.kill()
                    await server.restart()
                is_busy.clear()
                await is_busy.wait()
                is_over.set()
                await asyncio.gather(*writers)
                kept = Counter(subject for (subject,) in await store.run(ask, "SELECT subject FROM history"))
        assert promised
        assert promised <= set(kept)
        assert set(kept) <= promised | refused
        assert set(kept.values()) == {1}

    async def test_while_it_is_away_all_is_refused_in_time_and_afterwards_all_is_well(self):
        async with Postgres() as server:
            url = await server.create_database("mine")
            async with opened(url, seconds=1.0) as store:
                await server.kill()
                async with asyncio.timeout(PATIENCE):
                    with pytest.raises(StoreUnavailable):
                        await store.run(ask, "SELECT 1")
                await server.restart()
                store._seconds = PATIENCE
                assert await store.run(ask, "SELECT 1") == [(1,)]

    async def test_one_that_is_just_starting_is_waited_for(self):
        async with Postgres() as server:
            await server.kill()
            opening = asyncio.create_task(PostgresDatabase.open(server.url()))
            await server.restart()
            await (await opening).close()

    async def test_one_that_is_not_there_is_not_waited_for_long_and_named_as_the_fault(self):
        with pytest.raises(StoreUnavailable, match="PostgreSQL cannot be reached: ConnectionRefusedError"):
            await PostgresDatabase.open("postgresql://smsbridge@127.0.0.1:9/none", open_seconds=0.2)

    async def test_one_that_does_not_sync_is_refused(self):
        async with Postgres(("fsync = off",)) as server:
            with pytest.raises(StoreUnavailable, match="fsync"):
                await PostgresDatabase.open(server.url())


class TestOthersAtTheSameTime:
    async def test_a_conflict_is_resolved_by_doing_it_again(self, store, empty_postgres, postgres):
        await store.run(put, "p", "a")
        outsider = await asyncpg.connect(empty_postgres)
        try:
            await outsider.execute("BEGIN; UPDATE binding SET did = did || 'b' WHERE peer = 'p'")
            appending = asyncio.create_task(store.run(append, "c"))
            async with asyncio.timeout(PATIENCE):
                while await outsider.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                    pass
            await outsider.execute("COMMIT")
            assert await appending == "abc"
        finally:
            await outsider.close()

    async def test_what_goes_ahead_does_not_wait_for_a_lock_that_others_wait_for(self, store, empty_postgres):
        outsider = await asyncpg.connect(empty_postgres)
        await outsider.execute("BEGIN; LOCK TABLE binding")
        blocked = [asyncio.create_task(store.run(put, f"p{n}", "a")) for n in range(3)]
        async with asyncio.timeout(PATIENCE):
            while await outsider.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                pass
        assert await store.run_ahead(ask, "SELECT 1") == [(1,)]
        assert not any(task.done() for task in blocked)
        await outsider.close()
        await asyncio.gather(*blocked)

    async def test_a_lock_that_is_not_let_go_of_is_refused_in_time(self, store, empty_postgres):
        await store.run(put, "p", "a")
        outsider = await asyncpg.connect(empty_postgres)
        try:
            await outsider.execute("BEGIN; UPDATE binding SET did = did || 'b' WHERE peer = 'p'")
            store._seconds = 1.0
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(StoreUnavailable):
                    await store.run(append, "c")
            await outsider.execute("ROLLBACK")
            store._seconds = PATIENCE
            assert await store.run(append, "d") == "ad"
        finally:
            await outsider.close()

    async def test_a_migration_beside_it_is_no_fault(self, copied_postgres):
        async with opened(copied_postgres) as store, opened(copied_postgres) as newer:
            await store.run(put, "p", "a")
            everything = "SELECT * FROM binding"
            (before,) = await store.run(ask, everything)
            await newer.run(ask, "ALTER TABLE binding ADD COLUMN mood TEXT")
            assert await store.run(ask, everything) == [(*before, None)]

    async def test_each_asks_the_same_clock(self, store, other):
        first, second, third = await store.now(), await other.now(), await store.now()
        assert first <= second <= third
        assert abs(datetime.now(UTC) - first) < timedelta(seconds=30)


@pytest.fixture
async def take(store):
    """`await take(node, "a/1")`: the lease, if it is free."""

    async def taking(node: PostgresDatabase, holder: str, span: timedelta = SPAN):
        return await node.run(leases.take, await node.now(), NAME, holder, span)

    return taking


class TestTheFence:
    async def test_a_holder_writes_and_renews(self, store, take, steps):
        lease = await take(store, "a/1")
        store.fence(lease, math.inf)
        await store.run(steps.write)
        assert await take(store, "a/1") == lease
        await store.run(steps.write)
        assert await store.run(attempts) == [1, 2]

    async def test_who_has_lost_the_lease_writes_and_reads_nothing(self, store, other, take, steps):
        store.fence(await take(store, "a/1", timedelta(milliseconds=-1)), math.inf)
        assert (await take(other, "b/1")).epoch == 2
        for work in (steps.write, attempts):
            with pytest.raises(Fenced):
                await store.run(work)
        assert await other.run(attempts) == []
        assert steps.begun == 0

    @pytest.mark.parametrize("word", ["INSERT INTO history", "COMMIT"])
    async def test_who_loses_it_in_the_middle_of_a_transaction_cannot_commit(
        self, store, other, take, steps, between, word
    ):
        store.fence(await take(store, "a/1", timedelta(milliseconds=-1)), math.inf)
        between.play(Trick.DELAY, word)
        writing = asyncio.create_task(store.run(steps.write))
        await between.played.wait()
        other.fence(await take(other, "b/1"), math.inf)
        between.let_go()
        with pytest.raises(Fenced):
            await writing
        assert await other.run(attempts) == []

    async def test_so_it_is_for_a_migration_which_bears_a_renewal_beside_it(
        self, other, take, steps, between, empty_postgres, postgres, monkeypatch
    ):
        monkeypatch.setattr(postgres_session, "COMMIT_SECONDS", PATIENCE)  # and it may stand in its transaction as long
        monkeypatch.setitem(postgres_session._SETTINGS, "idle_in_transaction_session_timeout", "0")
        url = empty_postgres.replace(f":{postgres.port}/", f":{between.port}/")
        async with opened(url, isolation=READ_COMMITTED) as migrating:
            migrating.fence(await take(other, "a/1"), math.inf)
            for holder in ("a/1", "b/1"):
                between.play(Trick.DELAY, "COMMIT")
                writing = asyncio.create_task(migrating.run(steps.write))
                await between.played.wait()
                await other.run(leases.take, datetime.now(UTC), NAME, holder, SPAN, by_force=True)
                between.let_go()
                if holder == "a/1":
                    assert await writing == 1
                else:
                    with pytest.raises(Fenced):
                        await writing
        assert await other.run(attempts) == [1]

    async def test_a_result_that_comes_after_the_lease_has_run_out_is_not_released(self, store, take, steps):
        store.fence(await take(store, "a/1"), time.monotonic())
        with pytest.raises(Fenced, match="ran out"):
            await store.run(steps.write)

    async def test_the_one_who_stands_by_does_not_disturb_the_holder(self, store, other, take, steps):
        store.fence(await take(store, "a/1", timedelta(minutes=5)), math.inf)  # nobody renews it
        is_over = asyncio.Event()

        async def stand_by() -> None:
            while not is_over.is_set():
                assert await take(other, "b/1", timedelta(minutes=5)) is None

        standing = asyncio.create_task(stand_by())
        for n in range(1, 100):
            assert await store.run(steps.write) == n
        is_over.set()
        await standing

    async def test_what_is_released_is_free_at_once(self, store, other, take):
        lease = await take(store, "a/1")
        store.fence(lease, math.inf)
        await store.run(leases.release, lease)
        assert (await take(other, "b/1")).epoch == 2

    async def test_so_it_is_if_another_name_was_taken(self, store, other, take, steps):
        store.fence(await take(store, "a/1", timedelta(milliseconds=-1)), math.inf)
        assert (await other.run_ahead(leases.take_by_its_clock, "two.example.com", "b/1", SPAN)).epoch == 1
        for work in (steps.write, attempts):
            with pytest.raises(Fenced):
                await store.run(work)
        assert steps.begun == 0

    async def test_of_two_names_that_are_taken_at_once_one_is(self, store, other):
        for _ in range(10):
            leased = await asyncio.gather(
                store.run_ahead(leases.take_by_its_clock, "one.example.com", "a/1", SPAN),
                other.run_ahead(leases.take_by_its_clock, "two.example.com", "b/1", SPAN),
            )
            [lease] = [lease for lease in leased if lease is not None]
            assert await store.run(leases.newest) == lease.name
            await store.run(leases.release, lease)

    async def test_names_are_no_sql(self, store, take):
        lease = await store.run(leases.take, await store.now(), "it's", "a'; DROP TABLE lease; --/1", SPAN)
        store.fence(lease, math.inf)
        assert await store.run(ask, "SELECT name FROM lease") == [("it's",)]


class TestSessions:
    async def test_they_are_synced_and_serializable_whatever_the_database_says(self, copied_postgres, postgres):
        await postgres.execute(
            "ALTER DATABASE copied SET synchronous_commit = off; ALTER DATABASE copied SET"
            " default_transaction_isolation = 'read committed'"
        )
        async with opened(copied_postgres) as store:
            assert await store.run(ask, "SHOW synchronous_commit") == [("on",)]
            assert await store.run(ask, "SHOW transaction_isolation") == [("serializable",)]

    async def test_a_password_is_asked_for_and_never_told(self, postgres, empty_postgres):
        await postgres.execute(
            f"DROP ROLE IF EXISTS {GUARDED}; CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD 'open sesame'"
        )
        url = postgres.url("played", user=GUARDED)
        await (await open_database(url, "open sesame")).close()
        for wrong in (None, "open barley"):
            with pytest.raises(StoreUnavailable, match="does not let this user in") as caught:
                await PostgresDatabase.open(url, wrong)
            assert "barley" not in str(caught.value)

    async def test_a_database_that_is_not_there_is_named_as_the_fault(self, postgres):
        with pytest.raises(StoreUnavailable, match="no database of this name"):
            await PostgresDatabase.open(postgres.url("nowhere"))

    async def test_what_is_not_installed_is_said(self, monkeypatch):
        for module in ("smsbridge.store.postgres", "smsbridge.store.postgres_session"):
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "asyncpg", None)
        with pytest.raises(StoreUnavailable, match=r"pip install 'smsbridge\[postgres\]'"):
            await open_postgres("postgresql://smsbridge@127.0.0.1/none")

    async def test_every_group_is_observed(self, empty_postgres, steps):
        seconds: list[float] = []
        async with opened(empty_postgres, observe_commit=seconds.append) as store:
            await asyncio.gather(*(store.run(steps.write) for _ in range(9)))
            await store.run(attempts)
        assert len(seconds) == 2
        assert all(second > 0 for second in seconds)

    async def test_an_observer_that_fails_stops_nothing(self, empty_postgres, steps):
        def fail(_seconds: float) -> None:
            raise RuntimeError("no metrics today")

        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        async with opened(empty_postgres, observe_commit=fail) as store:
            assert [await store.run(steps.write), await store.run(steps.write)] == [1, 2]
        assert len(complaints) == 2
