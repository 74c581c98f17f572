"""Back-off and token bucket: how long, how often, never more than allowed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsbridge.core.pacing import (
    CONFIG_FAULT_BACKOFF,
    RECONNECT_BACKOFF,
    SEND_BACKOFF,
    Backoff,
    TokenBucket,
)

SCHEDULES = [(SEND_BACKOFF, 5.0, 900.0), (RECONNECT_BACKOFF, 0.2, 30.0), (CONFIG_FAULT_BACKOFF, 5.0, 60.0)]


def test_each_step_is_the_factor_times_the_last_up_to_the_cap():
    backoff = Backoff(first=5.0, factor=3.0, cap=100.0, jitter=0.0)
    assert [backoff.delay(attempt, 0.9) for attempt in range(1, 6)] == [5.0, 15.0, 45.0, 100.0, 100.0]


def test_jitter_takes_off_its_share_of_a_step():
    backoff = Backoff(first=10.0, factor=2.0, cap=60.0, jitter=0.5)
    assert backoff.delay(1, 0.0) == 10.0
    assert backoff.delay(1, 0.5) == 7.5
    assert backoff.delay(9, 0.5) == 45.0


@pytest.mark.parametrize(("backoff", "first", "cap"), SCHEDULES)
def test_a_schedule_begins_and_ends_where_it_should(backoff, first, cap):
    assert backoff.delay(1, 0.0) == first
    assert backoff.delay(50, 0.0) == cap
    assert backoff.jitter > 0


@given(st.sampled_from(SCHEDULES), st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_no_attempt_however_late_waits_beyond_the_cap_or_not_at_all(schedule, attempt, roll):
    backoff, _, cap = schedule
    assert 0 < backoff.delay(attempt, roll) <= cap
    assert backoff.delay(attempt, roll) <= backoff.delay(attempt + 1, roll)


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt):
    with pytest.raises(ValueError, match="counted from 1"):
        SEND_BACKOFF.delay(attempt, 0.0)


@pytest.mark.parametrize(
    ("first", "factor", "cap", "jitter"),
    [(0.0, 2.0, 1.0, 0.1), (2.0, 2.0, 1.0, 0.1), (1.0, 0.5, 2.0, 0.1), (1.0, 2.0, 2.0, -0.1), (1.0, 2.0, 2.0, 1.1)],
)
def test_a_back_off_that_makes_no_sense_is_refused(first, factor, cap, jitter):
    with pytest.raises(ValueError, match="a back-off needs"):
        Backoff(first=first, factor=factor, cap=cap, jitter=jitter)


def test_a_burst_is_free_and_the_next_call_waits():
    bucket = TokenBucket(rate=2.0, burst=3)
    assert [bucket.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_refused_call_takes_nothing():
    bucket = TokenBucket(rate=1.0, burst=1)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(10.25) == 0.75
    assert bucket.take(10.5) == 0.5
    assert bucket.take(11.0) == 0.0


def test_an_idle_bucket_fills_no_higher_than_its_burst():
    bucket = TokenBucket(rate=10.0, burst=2)
    bucket.take(0.0)
    assert [bucket.take(5000.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_bucket_that_never_gives_is_refused(rate, burst):
    with pytest.raises(ValueError, match="a token bucket needs"):
        TokenBucket(rate=rate, burst=burst)


RATES = st.floats(0.01, 500)
BURSTS = st.integers(1, 20)
STARTS = st.floats(0, 1e8)


@given(RATES, BURSTS, STARTS)
@settings(deadline=None)
def test_who_waits_as_told_gets_the_token(rate, burst, start):
    bucket = TokenBucket(rate=rate, burst=burst)
    now = start
    for _ in range(burst + 5):
        wait = bucket.take(now)
        if wait:
            now += wait
            assert bucket.take(now) == 0.0


@given(RATES, BURSTS, STARTS, st.lists(st.floats(0, 2), max_size=80))
@settings(deadline=None)
def test_no_span_of_time_gives_more_than_burst_and_rate_allow(rate, burst, start, steps):
    bucket = TokenBucket(rate=rate, burst=burst)
    now, taken = start, []
    for step in steps:
        now += step
        if bucket.take(now) == 0.0:
            taken.append(now)
    for i, first in enumerate(taken):
        for n, last in enumerate(taken[i:], start=1):
            assert n <= burst + rate * (last - first + 1e-5)
