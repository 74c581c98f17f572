"""What is counted within a minute, and what the journal hears."""

from ipaddress import ip_address

from structlog.testing import capture_logs

from smsbridge.log import Event
from smsbridge.web.refusals import MAX_SOURCES, Journal, Tally
from tests.fakes.waiting import until

from .station import Ticks


def test_a_limit_is_for_each_source_and_each_minute():
    ticks = Ticks()
    tally = Tally(2, ticks.clock())
    assert [tally.count("a") for _ in range(3)] == [True, True, False]
    assert tally.count("b")
    ticks.seconds += 45
    assert not tally.count("a")
    assert 15 <= tally.seconds_left <= 16
    ticks.seconds += tally.seconds_left
    assert tally.count("a")


def test_sources_beyond_the_table_are_counted_as_one():
    tally = Tally(1, Ticks().clock())
    assert all(tally.count(str(ip_address(n))) for n in range(MAX_SOURCES))
    assert [tally.count(f"198.51.100.{n}") for n in range(3)] == [True, False, False]
    assert len(tally._counts) == MAX_SOURCES + 1


async def test_the_first_refusals_are_told_and_the_rest_is_one_line_at_the_end_of_the_period():
    journal = Journal(seconds=0.05)
    with capture_logs() as logs:
        for status in (403, 403, 403, 403, 429, 429):
            journal.refuse("a", status=status, path="/hook")
        journal.refuse("b", status=403, path="/hook")
        assert [entry["status"] for entry in logs] == [403, 403, 403, 403]
        await until(lambda: len(logs) > 4)
    assert logs[4:] == [
        {"event": Event.CALLBACKS_REFUSED, "log_level": "warning", "room": "web",
         "count": 3, "statuses": {"403": 1, "429": 2}}
    ]  # fmt: skip


async def test_a_new_period_begins_with_lines_again():
    journal = Journal(seconds=0.05)
    with capture_logs() as logs:
        for _ in range(5):
            journal.refuse("a", status=403)
        await until(lambda: logs[-1]["event"] == Event.CALLBACKS_REFUSED)
        journal.refuse("a", status=403)
        assert logs[-1]["event"] == Event.CALLBACK_REFUSED
        journal.close()
        journal.close()
    assert len(logs) == 5
