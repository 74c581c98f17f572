"""Ids that sort by their making, and stanza ids that never change."""

import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from smsbridge.clock import from_ms
from smsbridge.store.ids import STANZAS, Ids, least_id, stanza_id

NOW = 1_772_366_400_000


def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front():
    fresh = uuid.UUID(Ids(lambda: NOW).new())
    assert (fresh.version, fresh.variant) == (7, uuid.RFC_4122)
    assert fresh.int >> 80 == NOW


@given(st.integers(1, 2**40), st.binary(min_size=10, max_size=10))
def test_the_least_id_of_an_instant_parts_what_was_made_before_from_what_was_made_since(ms, noise):
    before, since = (Ids(lambda at=at: at, lambda _: noise).new() for at in (ms - 1, ms))
    assert before < least_id(from_ms(ms)) <= since


def test_all_random_bits_are_used():
    assert uuid.UUID(Ids(lambda: NOW, lambda n: b"\xff" * n).new()).int & ((1 << 80) - 1) == (
        0x7FFF << 64 | 0xBFFF_FFFF_FFFF_FFFF
    )


@given(st.lists(st.integers(min_value=0, max_value=2 * NOW), min_size=2, max_size=50))
def test_ids_only_ever_grow_whatever_the_clock_does(times):
    clock = iter(times)
    ids = Ids(lambda: next(clock))
    made = [ids.new() for _ in times]
    assert made == sorted(set(made))
    assert all((uuid.UUID(one).version, uuid.UUID(one).variant) == (7, uuid.RFC_4122) for one in made)


@given(st.sampled_from([b"\x00", b"\xff", b"\x7f"]), st.integers(2, 20))
def test_ids_of_one_instant_grow_even_when_the_random_bits_run_over(byte, count):
    ids = Ids(lambda: NOW, lambda n: byte * n)
    made = [ids.new() for _ in range(count)]
    assert made == sorted(set(made))
    assert all((uuid.UUID(one).version, uuid.UUID(one).variant) == (7, uuid.RFC_4122) for one in made)


def test_a_carry_goes_through_the_middle_into_the_time():
    ids = Ids(lambda: NOW, lambda n: b"\xff" * n)
    first, second = uuid.UUID(ids.new()).int, uuid.UUID(ids.new()).int
    assert (first >> 80, second >> 80) == (NOW, NOW + 1)


def test_a_clock_set_back_does_not_bring_ids_before_those_stored():
    stored = Ids(lambda: NOW).new()
    ids = Ids(lambda: NOW - 86_400_000)
    ids.start_after("")
    assert ids.new() < stored
    ids.start_after(stored)
    assert stored < ids.new() < ids.new()
    ids.start_after("00000000-0000-7000-8000-000000000000")
    assert ids.new() > stored


def test_threads_never_get_the_same_id():
    ids, made = Ids(lambda: NOW), [[] for _ in range(4)]
    threads = [threading.Thread(target=lambda own=own: own.extend(ids.new() for _ in range(500))) for own in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert all(own == sorted(own) for own in made)
    assert len({one for own in made for one in own}) == 2000


def test_a_stanza_id_never_changes():
    assert str(STANZAS) == "0b0d3c5e-2f5e-5d8a-9c0f-6a4f4d1c7e21"
    names = ("voipms\x1fsms\x1f+15551230001\x1f1234", "john@example.com", "0")
    assert stanza_id(*names) == "c0a73a71-5ba0-8e45-84d9-04579aba4ca3"
    assert stanza_id(*names, order="1234") == "000004d2-5ba0-8e45-84d9-04579aba4ca3"
    assert stanza_id("a", "b") != stanza_id("ab") != stanza_id("b", "a")


def test_stanza_ids_sort_as_what_they_are_about():
    made = [stanza_id("key", order=str(n)) for n in (7, 99, 110_997_001, 110_997_002)]
    assert made == sorted(made)
    assert stanza_id("key", order="01a10d38-f900-70a4-806a-c20a9bf2d15d").startswith("01a10d38-")
    assert len({one[8:] for one in made}) == 1
    assert {uuid.UUID(one).version for one in made} == {8}


def test_an_order_that_is_none_leaves_the_id_to_its_names():
    assert stanza_id("key", order="") == stanza_id("key")
    assert uuid.UUID(stanza_id("key", order="x1")).version == 8


@given(st.integers(0, 40), st.sampled_from([b"\x00", b"\x7f", b"\xff"]), st.integers(0, 3))
def test_ids_made_together_are_those_that_would_be_made_one_after_another(count, byte, before):
    together, alone = (Ids(lambda: NOW, lambda n: byte * n) for _ in range(2))
    for ids in (together, alone):
        for _ in range(before):
            ids.new()
    assert together.some(count) == [alone.new() for _ in range(count)]
    assert together.new() == alone.new()
