"""The commands that take out of the house and bring back: what they say, and with which exit code."""

import asyncio
import os
import stat
from datetime import UTC, datetime

import pytest

from smsbridge import cli_keeping
from smsbridge.bridge import catching_up
from smsbridge.cli import main
from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.line import Receipts
from smsbridge.core.message import Kind, MessageId, ProviderName
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, LOOPBACK, bridge_yaml
from smsbridge.store import outbox
from smsbridge.store.database import sql
from smsbridge.store.ids import Ids
from smsbridge.store.migrations import migrate
from smsbridge.store.opening import open_database
from smsbridge.store.outbox import StoredMessage
from smsbridge.tenure import lock_file

SECRET = "what they wrote to each other"
OWNER, PEER = "alice@example.com", "+15559870002"


class Place:
    """A configuration, and the store that it names."""

    def __init__(self, directory, store_url):
        self.directory, self.url = directory, store_url
        self.config = directory / "config.yaml"
        text = bridge_yaml(
            component_jid="sms.example.com",
            component_port=free_port(),
            secret="s3cret",
            api_url=f"http://{LOOPBACK}:{free_port()}/",
            public_port=0,
            database=directory / "none.db",
            owners={"alice": (DID,)},
        )
        self.config.write_text(text.replace(f"sqlite:///{directory}/none.db", store_url))
        self.kept = directory / "kept"
        self.kept.mkdir()
        self.ids = Ids(lambda: to_ms(self.now()))

    def now(self):
        """When what is written is written."""
        return datetime.now(UTC)

    def do(self, *words):
        return main([words[0], "-c", str(self.config), *map(str, words[1:])])

    def run(self, work, *args):
        async def running():
            database = await open_database(self.url)
            await migrate(database)
            try:
                return await database.run(work, *args)
            finally:
                await database.close()

        return asyncio.run(running())

    def rows(self, text):
        return self.run(lambda: [dict(row) for row in (yield sql(text))])

    def accept(self, *texts):
        def accepting():
            for n, text in enumerate(texts):
                message = StoredMessage(
                    id=MessageId(self.ids.new()), domain="sms.example.com", owner=OWNER, sender=f"{OWNER}/phone",
                    addressed=f"{PEER}@sms.example.com", stanza_id=f"s{n}", did=Did(DID), receipts=Receipts.ACCEPTED,
                    wants_receipt=True, told="", accepted_at=self.now(),
                )  # fmt: skip
                pieces = [(Kind.SMS, text, ())]
                yield from outbox.accept(
                    self.ids, self.now(), message, text, pieces, ProviderName("voipms"), Peer(PEER)
                )

        self.run(accepting)


@pytest.fixture
def place(tmp_path, store_url):
    return Place(tmp_path, store_url)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "backup.key"
    path.write_text("0f" * 32)
    return path


class TestBackup:
    def test_it_is_written_for_its_owner_alone(self, place, capsys):
        place.accept(SECRET)
        file = place.kept / "house"
        assert place.do("backup", file) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "not encrypted" in capsys.readouterr().out
        assert place.do("restore", "--check", file) == 0
        assert "sms.example.com" in capsys.readouterr().out

    def test_with_a_key_it_is_sealed(self, place, key, capsys):
        place.accept(SECRET)
        file = place.kept / "house"
        assert place.do("backup", file, "--key-file", key) == 0
        assert "sealed" in capsys.readouterr().out
        assert place.do("restore", "--check", file) == 1
        assert "--key-file" in capsys.readouterr().err
        assert place.do("restore", "--check", "--key-file", key, file) == 0

    def test_a_directory_keeps_the_newest(self, place, monkeypatch, capsys):
        place.accept(SECRET)
        (place.kept / "somebody's own file").touch()
        for day in range(1, 5):
            monkeypatch.setattr(cli_keeping, "_now", lambda day=day: datetime(2026, 3, day, tzinfo=UTC))
            assert place.do("backup", place.kept, "--keep", 2) == 0
        assert sorted(file.name for file in place.kept.iterdir()) == [
            "sms.example.com-20260303T000000Z.smsbridge",
            "sms.example.com-20260304T000000Z.smsbridge",
            "somebody's own file",
        ]

    def test_what_cannot_be_done_is_told(self, place, key, capsys):
        assert place.do("backup", place.kept / "house", "--keep", 3) == 2
        assert place.do("backup", place.kept, "--keep", 0) == 2
        place.accept("x")
        assert place.do("backup", place.kept / "nowhere" / "house") == 1
        key.write_text("short")
        assert place.do("backup", place.kept / "house", "--key-file", key) == 1
        assert "64 hexadecimal digits" in capsys.readouterr().err
        place.config.write_text("nonsense: 1\n")
        assert place.do("backup", place.kept / "house") == 2
        assert list(place.kept.iterdir()) == []


class TestRestore:
    def test_what_is_there_is_not_replaced_without_force_and_all_is_on_hold_after(self, place, key, capsys):
        place.accept("one", "two")
        file = place.kept / "house"
        place.do("backup", file, "--key-file", key)
        place.accept("since")
        assert place.do("restore", file, "--key-file", key) == 1
        assert "--force" in capsys.readouterr().err
        assert place.do("restore", file, "--key-file", key, "--force") == 0
        assert "2 parts of texts wait for you" in capsys.readouterr().out
        assert [row["hold"] for row in place.rows("SELECT hold FROM outbox")] == ["restore", "restore"]
        assert [row["hold"] for row in place.rows("SELECT hold FROM hold")] == ["restore"]
        assert place.do("release", "--send") == 1
        assert "voipms has sent since the backup was not looked up yet" in capsys.readouterr().err
        assert [row["state"] for row in place.rows("SELECT state FROM outbox")] == ["held", "held"]
        assert place.do("release", "--send", "--force") == 0
        assert [row["state"] for row in place.rows("SELECT state FROM outbox")] == ["queued", "queued"]
        assert place.rows("SELECT hold FROM hold") == []

    @pytest.mark.parametrize("is_since", [True, False])
    def test_what_waited_is_sent_once_the_list_was_read_whole_since(self, place, is_since):
        place.accept("one")
        place.do("backup", place.kept / "house")
        now = datetime.now(UTC)
        assert place.do("restore", place.kept / "house", "--force") == 0
        place.run(catching_up.advance, now, ProviderName("voipms"), datetime.now(UTC) if is_since else now)
        assert place.do("release", "--send") == (0 if is_since else 1)
        state = "queued" if is_since else "held"
        assert [row["state"] for row in place.rows("SELECT state FROM outbox")] == [state]

    def test_of_an_account_whose_list_nobody_reads_it_is_sent_at_once(self, place):
        place.accept("one")
        place.do("backup", place.kept / "house")
        place.config.write_text(place.config.read_text().replace("daily_limit:", "catch_up: none\n    daily_limit:"))
        assert place.do("restore", place.kept / "house", "--force") == 0
        assert place.do("release", "--send") == 0

    def test_what_was_discarded_is_given_back(self, place, capsys):
        place.accept("one")
        place.do("backup", place.kept / "house")
        place.do("restore", place.kept / "house", "--force")
        assert place.do("release", "--discard") == 0
        assert [row["state"] for row in place.rows("SELECT state FROM outbox")] == ["cancelled"]
        assert [row["kind"] for row in place.rows("SELECT kind FROM delivery")] == ["error"]

    def test_a_damaged_backup_changes_nothing(self, place, capsys):
        place.accept("one")
        file = place.kept / "house"
        place.do("backup", file)
        file.write_bytes(file.read_bytes()[:-20])
        assert place.do("restore", file, "--force") == 1
        assert [row["state"] for row in place.rows("SELECT state FROM outbox")] == ["queued"]

    def test_the_backup_of_another_bridge_is_not_taken_by_mistake(self, place, capsys):
        place.accept("one")
        place.do("backup", place.kept / "house")
        place.config.write_text(place.config.read_text().replace("jid: sms.", "jid: mms."))
        assert place.do("restore", place.kept / "house") == 1
        assert "not a backup of mms.example.com" in capsys.readouterr().err

    def test_release_asks_what_is_to_become_of_it(self, place):
        with pytest.raises(SystemExit) as ended:
            place.do("release")
        assert ended.value.code == 2


@pytest.fixture
def sqlite_place(tmp_path):
    return Place(tmp_path, f"sqlite:///{tmp_path}/bridge.db")


def test_a_file_that_a_bridge_has_open_is_not_replaced(sqlite_place, capsys):
    place = sqlite_place
    place.accept("one")
    place.do("backup", place.kept / "house")
    lock = lock_file(place.directory / "bridge.db")
    try:
        assert place.do("restore", place.kept / "house", "--force") == 1
    finally:
        os.close(lock)
    assert "another smsbridge has" in capsys.readouterr().err


def test_a_restored_file_is_its_owners_alone_and_no_old_copy(sqlite_place):
    place, database = sqlite_place, sqlite_place.directory / "bridge.db"
    place.accept("one")
    place.do("backup", place.kept / "house")
    (place.directory / "bridge.db.lock").write_text("sms.example.com 99 99999999999999\n")
    assert place.do("restore", place.kept / "house", "--force") == 0
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert (place.directory / "bridge.db.lock").read_text() == ""
    names = {file.name for file in place.directory.iterdir()}
    assert "bridge.db.before-restore" in names
    assert not {name for name in names if "restoring" in name} | {"bridge.db-wal", "bridge.db-shm"} & names


def test_nothing_is_released_in_a_store_of_another_version(sqlite_place, capsys):
    place = sqlite_place
    place.accept("one")
    place.rows("UPDATE schema_version SET version = 99 WHERE version = (SELECT max(version) FROM schema_version)")
    assert place.do("release", "--send") == 1
    assert "upgrade smsbridge" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("release", "--send"), ("export", "--owner", OWNER), ("import", "--owner", OWNER, "config.yaml")]
)
def test_where_there_is_no_database_none_is_made(sqlite_place, capsys, words):
    place = sqlite_place
    *given, last = words
    assert place.do(*given, place.directory / last if last.endswith(".yaml") else last) == 1
    assert "there is no database at" in capsys.readouterr().err
    assert not (place.directory / "bridge.db").exists()
