"""An owner's texts go out and come back, in either format, over each store; usage, why and audit tell what they may."""

import itertools
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.enclosures import Done
from smsbridge.core.message import DeliveryKind, InboundMessage, Kind, Media, ProviderMessageId, ProviderName, Source
from smsbridge.core.state import EnclosureState, PartEvent
from smsbridge.sim.stage import DID
from smsbridge.store import claims, deliveries, enclosures, inbox, outbox
from smsbridge.store.deliveries import Draft
from smsbridge.store.inbox import Verdict
from tests.test_cli_keeping import OWNER, PEER, Place

VOIPMS = ProviderName("voipms")
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)  # all within one month
IN_WORDS, OUT_WORDS = "came in 🍷 & <so>", "went \n out"


def message(text=IN_WORDS, pid="11", **changes):
    return InboundMessage(**{
        "provider": VOIPMS, "source": Source.WEBHOOK, "kind": Kind.SMS, "did": Did(DID), "peer": Peer(PEER),
        "provider_id": ProviderMessageId(pid), "text": text, "sent_at": NOW - timedelta(minutes=5), **changes,
    })  # fmt: skip


class Storied(Place):
    def __init__(self, *where):
        super().__init__(*where)
        self._moments = itertools.count()

    def now(self):
        """A moment later each time."""
        return NOW + timedelta(milliseconds=next(self._moments))

    def take(self, *messages, to=OWNER):
        def taking():
            found = yield from inbox.take_all(self.ids, self.now(), messages)
            for one in found:
                draft = Draft(
                    domain="d", kind=DeliveryKind.TEXT, to_jid=to, sender="", stanza_id=one.key, inbox_id=one.id
                )
                yield from deliveries.add(self.ids, self.now(), draft)
            return found

        return self.run(taking)

    def send(self, pid="77"):
        def sending():
            part = yield from claims.claim(self.ids, self.now(), VOIPMS, "bridge/1", timedelta(minutes=3))
            yield from outbox.move(
                self.ids, self.now(), "test", part.id, PartEvent.ACCEPT, provider_id=ProviderMessageId(pid)
            )

        self.run(sending)

    def counts(self):
        tables = ("inbox", "message", "outbox", "delivery", "media")
        return {table: len(self.rows(f"SELECT 1 FROM {table}")) for table in tables}  # noqa: S608

    def empty(self):
        for table in ("outbox_key", "outbox", "message", "media", "delivery", "inbox_key", "inbox", "history"):
            self.rows(f"DELETE FROM {table}")  # noqa: S608


@pytest.fixture
def place(tmp_path, store_url):
    return Storied(tmp_path, store_url)


@pytest.fixture
def full(place):
    """One text each way, and one of somebody else."""
    place.take(message(media=(Media(url="https://media.example.com/1.jpg", mime="image/jpeg"),)))
    place.accept(OUT_WORDS)
    place.send()
    place.take(message("not Alice's", "12"), to="ann@example.com")
    return place


@pytest.mark.parametrize("form", ["jsonl", "sbr"])
class TestThereAndBack:
    def test_all_of_an_owners_texts_and_nobody_elses(self, full, form):
        file = full.kept / "texts"
        assert full.do("export", "--owner", OWNER, "--format", form, "-o", file) == 0
        text = file.read_text()
        assert "went" in text
        assert "not Alice's" not in text
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert full.do("export", "--owner", OWNER, "--format", form, "-o", file) == 1  # nothing is overwritten

    def test_to_take_them_in_where_they_are_changes_nothing(self, full, form, capsys):
        file, before = full.kept / "texts", full.counts()
        full.do("export", "--owner", OWNER, "--format", form, "-o", file)
        assert full.do("import", "--owner", OWNER, "--format", form, file) == 0
        assert "2 texts read, 0 of them new" in capsys.readouterr().out
        assert full.counts() == before

    def test_elsewhere_they_are_taken_once_and_nothing_is_sent_or_handed(self, full, form, capsys):
        file = full.kept / "texts"
        full.do("export", "--owner", OWNER, "--format", form, "-o", file)
        full.empty()
        for fresh in (2, 0):
            assert full.do("import", "--owner", OWNER, "--format", form, file) == 0
            assert f"2 texts read, {fresh} of them new" in capsys.readouterr().out
        assert {row["text"].split("\n")[0] for row in full.rows("SELECT text FROM inbox")} == {IN_WORDS}
        assert [row["text"] for row in full.rows("SELECT text FROM outbox")] == [OUT_WORDS]
        assert {row["state"] for row in full.rows("SELECT state FROM outbox")} == {"sent"}
        (row,) = full.rows("SELECT state, proved_at FROM delivery")
        assert row["state"] == "handed"
        assert row["proved_at"] is not None
        again = full.kept / "again"
        full.do("export", "--owner", OWNER, "--format", form, "-o", again)
        assert len(again.read_text().splitlines()) == len(file.read_text().splitlines())

    def test_the_same_words_a_minute_later_are_another_text(self, place, form, capsys):
        place.take(*(message("ok", f"2{n}", sent_at=NOW - timedelta(minutes=n)) for n in range(2)))
        place.accept("fine", "fine, too")
        place.rows("UPDATE outbox SET text = 'fine'")
        place.send("81")
        place.send("82")
        file, before = place.kept / "texts", place.counts()
        place.do("export", "--owner", OWNER, "--format", form, "-o", file)
        assert place.do("import", "--owner", OWNER, "--format", form, file) == 0
        assert place.counts() == before
        place.empty()
        for fresh in (4, 0):
            assert place.do("import", "--owner", OWNER, "--format", form, file) == 0
            assert f"4 texts read, {fresh} of them new" in capsys.readouterr().out
        other = place.kept / "other"
        form = {"jsonl": "sbr", "sbr": "jsonl"}[form]
        place.do("export", "--owner", OWNER, "--format", form, "-o", other)
        assert place.do("import", "--owner", OWNER, "--format", form, other) == 0
        assert "4 texts read, 0 of them new" in capsys.readouterr().out

    def test_a_list_that_has_them_too_does_not_bring_them_again(self, full, form):
        file = full.kept / "texts"
        full.do("export", "--owner", OWNER, "--format", form, "-o", file)
        full.empty()
        full.do("import", "--owner", OWNER, "--format", form, file)
        text = full.rows("SELECT text FROM inbox")[0]["text"]
        (again,) = full.take(message(text, source=Source.POLL))
        assert again.verdict is Verdict.REPEATED
        (another,) = full.take(message(text, "13", source=Source.POLL, sent_at=NOW - timedelta(hours=5)))
        assert another.verdict is Verdict.FRESH

    def test_it_is_noted_who_did_so(self, full, form, capsys):
        full.do("export", "--owner", OWNER, "--format", form)
        full.do("audit")
        line = capsys.readouterr().out.splitlines()[-1]
        assert OWNER in line
        assert "exported by" in line
        assert form in line

    def test_a_forgotten_text_is_exported_without_words(self, full, form):
        full.rows("UPDATE inbox SET text = NULL")
        file = full.kept / "texts"
        assert full.do("export", "--owner", OWNER, "--format", form, "-o", file) == 0
        assert IN_WORDS not in file.read_text()


LINE = {
    "id": "", "direction": "in", "kind": "sms", "did": DID, "peer": PEER, "at": "2026-03-01T12:00:00+00:00",
    "text": "x",
}  # fmt: skip


class TestImport:
    @pytest.mark.parametrize(
        "changes",
        [
            {"did": "+15551239999"},
            {"at": "2999-01-01T00:00:00+00:00"},
            {"id": "ffffffff-ffff-ffff-ffff-ffffffffffff"},
            {"direction": "sideways"},
            {"kind": "fax"},
            {"at": "yesterday"},
            {"text": 5},
            {"peer": None},
        ],
    )
    def test_what_is_no_text_of_this_owner_is_refused(self, place, changes, capsys):
        file = place.kept / "texts"
        file.write_text(json.dumps(LINE | changes) + "\n")
        place.rows("SELECT 1 AS one")
        assert place.do("import", "--owner", OWNER, file) == 1
        assert place.counts()["inbox"] == 0
        assert place.do("import", "--owner", "nobody@example.com", file) == 1

    def test_a_shared_line_gives_a_text_to_each_of_its_owners(self, place):
        file = place.kept / "texts"
        file.write_text(json.dumps(LINE) + "\n")
        place.rows("SELECT 1 AS one")
        place.config.write_text(place.config.read_text() + f'  ann@example.com: ["{DID}"]\n')
        for owner in (OWNER, "ann@example.com"):
            assert place.do("import", "--owner", owner, file) == 0
        assert {row["to_jid"] for row in place.rows("SELECT to_jid FROM delivery")} <= {OWNER, "ann@example.com"}


class TestUsage:
    def test_what_left_is_counted_and_priced(self, full, capsys):
        full.config.write_text(full.config.read_text() + "prices: {sms: 0.01, mms: 0.02}\n")
        full.accept("y" * 200)
        full.send("78")
        full.accept("still waits")
        assert full.do("usage", "--json") == 0
        uses = {use["owner"]: use for use in json.loads(capsys.readouterr().out)["usage"]}
        alice = uses[OWNER]
        assert (alice["texts_in"], alice["texts_out"], alice["sms"], alice["segments"], alice["mms"]) == (1, 3, 2, 3, 0)
        assert alice["cost"] == "0.03"
        assert uses["ann@example.com"]["texts_in"] == 1
        assert full.do("usage", "--owner", OWNER, "--month", f"{NOW:%Y-%m}") == 0
        table = capsys.readouterr().out.splitlines()
        assert len(table) == 2
        assert "0.0300" in table[1]
        assert full.do("usage", "--month", "2020-01") == 0
        assert len(capsys.readouterr().out.splitlines()) == 1

    def test_what_is_not_known_stays_unknown(self, full, capsys):
        full.do("usage", "--json")
        assert {use["cost"] for use in json.loads(capsys.readouterr().out)["usage"]} == {None}
        full.config.write_text(full.config.read_text() + "prices: {sms: 0.01, mms: 0.02}\n")
        full.rows("UPDATE outbox SET segments = NULL")
        full.do("usage", "--owner", OWNER)
        assert capsys.readouterr().out.splitlines()[1].rstrip().endswith("?")

    def test_what_was_imported_costs_nothing(self, full, capsys):
        file = full.kept / "texts"
        full.do("export", "--owner", OWNER, "-o", file)
        full.empty()
        full.do("import", "--owner", OWNER, file)
        capsys.readouterr()
        full.do("usage", "--json")
        assert json.loads(capsys.readouterr().out)["usage"] == []


class TestWhy:
    def test_the_trail_of_a_text_is_told_without_its_words(self, full, capsys):
        message_id = full.rows("SELECT id FROM message")[0]["id"]
        assert full.do("why", message_id) == 0
        out = capsys.readouterr().out
        assert "carrier's id 77" in out
        assert out.index("sending by dispatcher") < out.index("sent by test")
        assert "went" not in out
        assert full.do("why", full.rows("SELECT id FROM inbox")[0]["id"]) == 0
        assert IN_WORDS not in capsys.readouterr().out

    def test_what_became_of_its_files_is_told_and_not_where_they_lie(self, full, capsys):
        message_id, url = full.rows("SELECT id FROM message")[0]["id"], "https://share.example.com/1.jpg"
        full.run(lambda: enclosures.wish(full.ids, full.now(), message_id, (Media(url=url),), is_due=True))
        kept = enclosures.Verdict(state=EnclosureState.KEPT, mime="image/jpeg", size=1, done=Done.SHRUNK)
        file_id = full.rows("SELECT id FROM enclosure")[0]["id"]
        full.run(lambda: enclosures.settle(full.ids, full.now(), file_id, kept))
        assert full.do("why", message_id) == 0
        out = capsys.readouterr().out
        assert "kept by enclosures, shrunk" in out
        assert "share.example.com" not in out

    def test_a_number_has_its_newest_texts(self, full, capsys):
        assert full.do("why", "555-987-0002") == 0
        assert len(capsys.readouterr().out.splitlines()) == 3

    def test_what_nobody_knows_is_told(self, full, capsys):
        assert full.do("why", "+15550000000") == 1
        assert "nothing is known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("usage", "--month", "soon"), "argument --month: a month is expected, such as 2026-11"),
        (("usage", "--month", "2026-13"), "argument --month: a month is expected, such as 2026-11"),
        (("usage", "--owner", "alice"), "argument --owner: not a person's JID: a name and @ are missing"),
        (("export",), "the following arguments are required: --owner"),
    ],
)
def test_a_month_or_an_owner_that_is_none_is_the_commands_fault(place, capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        place.do(*words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [("usage",), ("why", "+15559870002"), ("audit",)])
class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ("INSERT INTO schema_version (version, name) VALUES (99, 'later')", "upgrade smsbridge"),
            ("DELETE FROM schema_version WHERE version > 3", "start this smsbridge once"),
        ],
    )
    def test_a_store_of_another_version_is_not_misread(self, tmp_path, capsys, words, change, told):
        place = Storied(tmp_path, f"sqlite:///{tmp_path}/bridge.db")
        place.rows(change)
        assert place.do(*words) == 1
        assert told in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("content", "told"),
        [(b"somebody's letter " * 99, "file is not a database"), (b"", "start this smsbridge once")],
    )
    def test_a_file_that_is_no_database_is_told_in_a_sentence(self, tmp_path, capsys, words, content, told):
        (tmp_path / "bridge.db").write_bytes(content)
        assert Storied(tmp_path, f"sqlite:///{tmp_path}/bridge.db").do(*words) == 1
        assert told in capsys.readouterr().err
