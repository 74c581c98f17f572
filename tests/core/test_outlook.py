"""What flickers is not shown, and the gravest counts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.outlook import FINE, Calm, Outlook, Show, gravest

SPAN = timedelta(seconds=30)
BAD = {"line": "held"}


@pytest.fixture
def calm():
    """One that has looked, and seen nothing."""
    calm = Calm(SPAN)
    assert not calm.look(0.0, {})
    return calm


def test_what_is_there_at_the_first_look_is_believed_at_once():
    calm = Calm(SPAN)
    assert calm.look(0.0, BAD)
    assert calm.settled == BAD


def test_a_change_settles_when_it_has_lasted(calm):
    assert not calm.look(1.0, BAD)
    assert not calm.look(30.9, BAD)
    assert calm.settled == {}
    assert calm.look(31.0, BAD)
    assert calm.settled == BAD
    assert not calm.look(32.0, BAD)


def test_what_comes_and_goes_is_never_shown(calm):
    for second in range(0, 600, 5):
        assert not calm.look(float(second), BAD if second % 25 < 15 else {})
    assert calm.settled == {}


def test_another_reason_begins_anew(calm):
    calm.look(1.0, BAD)
    calm.look(20.0, {"line": "locked"})
    assert not calm.look(31.0, {"line": "locked"})
    assert calm.look(50.0, {"line": "locked"})


def test_the_end_has_to_last_as_well(calm):
    calm.look(1.0, BAD)
    calm.look(31.0, BAD)
    assert not calm.look(40.0, {})
    assert calm.settled == BAD
    assert calm.look(70.0, {})
    assert calm.settled == {}


@given(st.lists(st.tuples(st.floats(0.1, 60), st.sampled_from([None, "a", "b"])), max_size=40))
def test_what_is_settled_has_been_seen_for_the_whole_span(looks):
    calm, now, since, seen = Calm(SPAN), 0.0, 0.0, None
    calm.look(now, {})
    for step, value in looks:
        now += step
        if value != seen:
            seen, since = value, now
        before = calm.settled.get("k")
        calm.look(now, {} if value is None else {"k": value})
        if calm.settled.get("k") != before:
            assert calm.settled.get("k") == value
            assert now - since >= SPAN.total_seconds()


def test_the_gravest_counts():
    away, dnd = Outlook(show=Show.AWAY, words="a"), Outlook(show=Show.DND, words="d")
    assert gravest([FINE, away, dnd]) == dnd
    assert gravest([]) == FINE
