"""When to look for a text of unknown fate, and what a look proves."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.doubt import MOST_TRIES, PATIENCE, WATCH, Doubt, Plan, Step, Unknowns, Verdict, next_watch, plan

NOW = datetime(2026, 10, 5, 18, 0, tzinfo=UTC)
SETTLE = Unknowns().settle
LOOKS = st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60)


def doubt(**changes) -> Doubt:
    return Doubt(**{"attempt": 1, "tried_at": NOW, "opened_at": NOW, "verdict": Verdict.OPEN, **changes})


def follow(looks, tries=1):
    """Looks that find nothing: (settle times until it, whether the list is whole). The end, when, and the looks."""
    one, at, made = doubt(), NOW, []
    for settles, is_absent in looks:
        at += settles * SETTLE
        found = plan(one, is_absent=is_absent, tries=tries, now=at, settle=SETTLE)
        made.append((at, is_absent, found))
        if found.step is not Step.WAIT:
            break
        one = doubt(looks=found.looks, absent_at=found.absent_at)
    return made


@given(LOOKS)
def test_nothing_is_sent_again_but_after_two_whole_lists_a_settle_time_apart(looks):
    made = follow(looks)
    if made and made[-1][2].step is Step.RESEND:
        whole = [at for at, is_absent, _ in made if is_absent and at >= NOW + SETTLE]
        assert whole[-1] - whole[0] >= SETTLE
        assert made[-1][1]


@given(LOOKS, st.integers(MOST_TRIES, 9))
def test_nothing_is_tried_more_than_three_times(looks, tries):
    assert all(found.step is not Step.RESEND for _, _, found in follow(looks, tries))


@given(LOOKS)
def test_nobody_gives_up_before_twenty_settle_times_are_over(looks):
    made = follow(looks)
    for at, _, found in made:
        assert (found.step is Step.GIVE_UP) <= (at >= NOW + PATIENCE * SETTLE)


@given(LOOKS)
def test_a_next_look_is_always_to_come_and_not_later_than_the_end(looks):
    for at, is_absent, found in follow(looks):
        if found.step is Step.WAIT:
            assert found.look_at > at
            assert is_absent or found.look_at <= max(NOW + PATIENCE * SETTLE, at + SETTLE)


def test_lists_that_fail_are_asked_ever_more_rarely():
    at, one, waits = NOW, doubt(), []
    while (found := plan(one, is_absent=False, tries=1, now=at, settle=SETTLE)).step is Step.WAIT:
        waits.append((found.look_at - at).total_seconds())
        at, one = found.look_at, doubt(looks=found.looks)
    assert waits == [30, 60, 120, 240, 480, 870]
    assert at == NOW + timedelta(minutes=30)


def test_an_early_look_that_shows_nothing_counts_for_nothing():
    found = plan(doubt(), is_absent=True, tries=1, now=NOW + Unknowns().early, settle=SETTLE)
    assert found == Plan(step=Step.WAIT, look_at=NOW + SETTLE)


def test_a_doubt_of_the_future_is_of_now():
    one = doubt(opened_at=NOW + timedelta(days=300), absent_at=NOW + timedelta(days=300))
    found = plan(one, is_absent=True, tries=1, now=NOW, settle=SETTLE)
    assert found.look_at == NOW + SETTLE


def test_what_has_ended_is_watched_for_a_day():
    at, moments = NOW, []
    while (following := next_watch(NOW, at, SETTLE)) is not None:
        moments.append(following - NOW - 4 * SETTLE)
        at = following
    assert tuple(moments) == WATCH
    assert moments[-1] == timedelta(days=1)
