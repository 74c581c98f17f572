"""What was answered outlasts the power; `make powerloss` tries more states."""

import random

import pytest

from tests.bench import powerloss
from tests.bench.crashing.disk import Disk, Loss
from tests.bench.crashing.trace import Create, Sync, Truncate, Unlink, Write


async def test_whatever_of_the_unsynced_is_lost_nothing_that_was_answered_is_and_nothing_is_sent_twice():
    report = await powerloss.run(100, seed=7)
    assert report.wrong == []
    assert report.states.total() == 100
    assert set(report.states) == set(Loss)
    assert min(report.promises, report.unsynced) > 1000


async def test_a_store_that_answers_before_it_has_synced_is_found_out():
    report = await powerloss.run(20, seed=7, is_synced=False)
    assert any("lost: answered" in words for words in report.wrong)


def test_what_was_synced_is_kept_and_the_rest_is_as_chance_leaves_it():
    disk = Disk()
    for event in (Create("a"), Sync(""), Write("a", 0, b"x" * 1024), Sync("a"), Write("a", 0, b"y" * 1024)):
        disk.play(event)
    found = {disk.crash(Loss.TORN, random.Random(seed))["a"] for seed in range(40)}  # noqa: S311
    assert found == {first * 512 + second * 512 for first in (b"x", b"y") for second in (b"x", b"y")}
    assert disk.crash(Loss.EVERYTHING, random.Random(1))["a"] == b"x" * 1024  # noqa: S311
    assert disk.crash(Loss.NOTHING, random.Random(1))["a"] == b"y" * 1024  # noqa: S311


@pytest.mark.parametrize("is_synced", [False, True])
def test_a_file_is_there_for_certain_once_its_directory_was_synced(is_synced):
    disk = Disk()
    disk.play(Create("a"))
    if is_synced:
        disk.play(Sync(""))
    disk.play(Write("a", 0, b"abc"))
    disk.play(Sync("a"))
    assert disk.crash(Loss.EVERYTHING, random.Random(1)) == ({"a": b"abc"} if is_synced else {})  # noqa: S311
    disk.play(Unlink("a"))
    assert disk.crash(Loss.NOTHING, random.Random(1)) == {}  # noqa: S311


def test_a_file_that_was_cut_and_written_further_has_zeros_between():
    disk = Disk()
    for event in (Create("a"), Write("a", 0, b"abcdef"), Truncate("a", 2), Write("a", 4, b"g"), Sync("a"), Sync("")):
        disk.play(event)
    assert disk.crash(Loss.EVERYTHING, random.Random(1)) == {"a": b"ab\0\0g"}  # noqa: S311
