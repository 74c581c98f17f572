"""A file of lines is whole or not there, and its owner's alone."""

import shutil
import stat
from types import SimpleNamespace

import pytest

from smsbridge.keeping import archive
from smsbridge.keeping.archive import CannotKeep, reading, writing
from smsbridge.keeping.sealing import CannotUnseal, Key

KEY = Key(b"k" * 32)
LINES = [f"line {number} äöü" for number in range(20_000)]


def write(path, lines=LINES, key=None):
    with writing(path, key) as out:
        for line in lines:
            out.add(line)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
class TestBoth:
    def test_what_was_written_is_read(self, tmp_path, key):
        path = tmp_path / "kept"
        write(path, key=key)
        assert [line.rstrip("\n") for line in reading(path, key)] == LINES
        assert [file.name for file in tmp_path.iterdir()] == ["kept"]

    def test_nobody_else_can_read_it(self, tmp_path, key):
        path = tmp_path / "kept"
        path.write_text("old, and open to all")
        path.chmod(0o644)
        with writing(path, key) as out:
            (partial,) = tmp_path.glob("*.partial")
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
            out.add("x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_what_fails_leaves_the_old_one_and_nothing_else(self, tmp_path, key):
        path = tmp_path / "kept"
        write(path, ["old"], key)
        (tmp_path / "kept.partial").write_text("of a run that was killed")
        with pytest.raises(AttributeError):
            write(path, ["new", None], key)
        assert list(reading(path, key)) == ["old\n"]
        assert [file.name for file in tmp_path.iterdir()] == ["kept"]

    def test_it_stops_before_the_disk_is_full(self, tmp_path, key, monkeypatch):
        monkeypatch.setattr(archive, "LOOK_EVERY", 10_000)
        free = iter([10**12, 10**12])
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _: SimpleNamespace(total=usage.total, free=next(free, archive.LEAVE_FREE - 1))
        )
        with pytest.raises(CannotKeep, match="there is no room"):
            write(tmp_path / "kept", [str(hash(line) ** 9) for line in LINES], key)
        assert list(tmp_path.iterdir()) == []

    def test_a_cut_off_or_changed_file_is_refused(self, tmp_path, key):
        path = tmp_path / "kept"
        write(path, key=key)
        whole = path.read_bytes()
        for broken in (whole[:-1], whole[: len(whole) // 2], whole[:1000] + b"\0" * 50 + whole[1050:]):
            path.write_bytes(broken)
            with pytest.raises((CannotKeep, CannotUnseal)):
                list(reading(path, key))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CannotKeep, match="No such file or directory"):
        write(tmp_path / "nowhere" / "kept")


def test_a_sealed_file_asks_for_its_key_and_a_plain_one_does_not(tmp_path):
    write(tmp_path / "sealed", key=KEY)
    with pytest.raises(CannotUnseal, match="--key-file"):
        list(reading(tmp_path / "sealed"))
    write(tmp_path / "plain", ["x"])
    assert list(reading(tmp_path / "plain", KEY)) == ["x\n"]


def test_what_is_no_backup_is_told(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CannotKeep, match="no backup"):
        list(reading(tmp_path / "text"))
    with pytest.raises(CannotKeep, match="cannot be read"):
        list(reading(tmp_path / "missing"))
