"""The carrier's day, and how much of it is used."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.ration import Ration

EASTERN = ZoneInfo("America/New_York")
RATION = Ration(limit=100, zone=EASTERN)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_the_day_is_of_the_carriers_zone_and_may_have_23_hours():
    assert RATION.day(utc(2026, 10, 5, 3, 59)) == (utc(2026, 10, 4, 4), utc(2026, 10, 5, 4))
    assert RATION.day(utc(2026, 10, 5, 4, 0)) == (utc(2026, 10, 5, 4), utc(2026, 10, 6, 4))
    assert RATION.day(utc(2026, 3, 8, 12, 0)) == (utc(2026, 3, 8, 5), utc(2026, 3, 9, 4))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_instant_is_in_its_day_and_the_next_begins_where_it_ends(now):
    begins, ends = RATION.day(now)
    assert begins <= now < ends
    assert RATION.day(ends)[0] == ends
    assert timedelta(hours=23) <= ends - begins <= timedelta(hours=25)


@given(st.integers(1, 500))
def test_each_alert_comes_once_in_a_day(limit):
    ration = Ration(limit=limit, zone=UTC)
    told = [(used, percent) for used in range(1, limit + 50) if (percent := ration.alert(used))]
    assert [percent for _, percent in told] == ([80, 100] if limit > 4 else [100])
    assert told[-1][0] == limit
    assert all(used * 100 >= limit * percent for used, percent in told)
