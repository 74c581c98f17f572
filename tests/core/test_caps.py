"""Caps: what a text takes of them, when it is too much, and in which words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.caps import Caps, Limits, Load, Prices, Span, Whose, alerts, demands, judge, opening, window
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.wording import money
from tests.fakes.words import english

JOHN, DID = "john@example.com", "+15551230001"
NOW = datetime(2026, 10, 5, 18, 0, 18, tzinfo=UTC)
PRICES = Prices(sms=7_500, mms=20_000, currency="USD")
ONE = Load(texts=1, is_new_peer=False, cost=7_500)


def limits(owner: Caps | None = None, did: Caps | None = None, whole: Caps | None = None) -> Limits:
    caps = {Whose.OWNER: owner, Whose.DID: did, Whose.WHOLE: whole}
    return Limits(caps={whose: its for whose, its in caps.items() if its}, prices=PRICES)


def refusal(its: Limits, before: int, load: Load = ONE, now: datetime = NOW) -> str:
    asked = demands(its, JOHN, DID, load, now)
    with pytest.raises(Refused) as caught:
        judge(asked, {demand.scope: before + demand.amount for demand in asked}, its, now)
    assert caught.value.reason is Reason.OVER_CAP
    return english(caught.value.words).removeprefix("This text was not sent: ")


class TestWindows:
    instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

    @given(instants, st.sampled_from(Span))
    def test_every_instant_is_in_its_window(self, now, span):
        begins, ends = window(span, now)
        assert begins <= now < ends

    @given(instants, st.sampled_from(Span))
    def test_where_one_ends_the_next_begins(self, now, span):
        _, ends = window(span, now)
        assert window(span, ends)[0] == ends
        assert window(span, ends - timedelta(microseconds=1))[1] == ends

    def test_a_month_ends_with_the_month(self):
        assert window(Span.MONTH, NOW) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
        assert window(Span.MONTH, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))[1] == datetime(2027, 1, 1, tzinfo=UTC)


class TestDemands:
    def test_a_text_demands_of_each_cap_that_concerns_it(self):
        its = limits(Caps(minute=30, new_peers_a_day=20), Caps(day=5), Caps(spend_a_month=100_000_000))
        asked = demands(its, JOHN, DID, Load(texts=2, is_new_peer=True, cost=15_000), NOW)
        assert {demand.scope: demand.amount for demand in asked} == {
            f"per_owner/minute/{JOHN}": 2,
            f"per_owner/new_peers_a_day/{JOHN}": 1,
            f"per_did/day/{DID}": 2,
            "whole/spend_a_month/": 15_000,
        }

    def test_a_number_that_was_texted_before_takes_nothing_of_new_numbers(self):
        assert demands(limits(Caps(new_peers_a_day=20)), JOHN, DID, ONE, NOW) == ()

    def test_what_costs_nothing_takes_no_money(self):
        free = Load(texts=1, is_new_peer=False, cost=0)
        assert demands(limits(Caps(spend_a_day=1)), JOHN, DID, free, NOW) == ()


class TestWords:
    def test_of_an_owner(self):
        assert refusal(limits(Caps(minute=30)), 30) == (
            "the limit of 30 texts a minute for you is used up. It opens again in 42 seconds."
        )

    def test_of_a_number(self):
        assert refusal(limits(did=Caps(day=1)), 1) == (
            "the limit of 1 text a day for this number is used up. It opens again in 6 hours (at 00:00 UTC)."
        )

    def test_of_all(self):
        assert refusal(limits(whole=Caps(spend_a_month=5_000_000)), 5_000_000) == (
            "the limit of 5.00 USD a month for everybody here is used up. It opens again on 1 November."
        )

    def test_of_new_numbers(self):
        new = Load(texts=1, is_new_peer=True, cost=0)
        assert refusal(limits(Caps(new_peers_a_day=20)), 20, new).startswith(
            "the limit of 20 new numbers a day for you"
        )

    def test_of_a_text_that_is_too_long_for_what_is_left(self):
        three = Load(texts=3, is_new_peer=False, cost=0)
        assert refusal(limits(Caps(day=10)), 8, three).startswith(
            "the limit of 10 texts a day for you would be passed."
        )

    def test_the_one_that_opens_last_is_named(self):
        assert "texts a day" in refusal(limits(Caps(minute=3, day=3)), 3)

    @pytest.mark.parametrize(
        ("left", "words"),
        [
            (timedelta(milliseconds=1), "in 1 second"),
            (timedelta(seconds=99), "in 99 seconds"),
            (timedelta(minutes=12), "in 12 minutes (at 18:12 UTC)"),
            (timedelta(hours=5), "in 5 hours (at 23:00 UTC)"),
            (timedelta(days=27), "on 1 November"),
        ],
    )
    def test_when_it_opens(self, left, words):
        now = NOW.replace(second=0)
        assert english(opening(now + left, now)) == words

    @pytest.mark.parametrize(
        ("millionths", "shown"), [(5_000_000, "5.00"), (7_500, "0.0075"), (12_345_600, "12.3456"), (0, "0.00")]
    )
    def test_money_has_two_places_or_more(self, millionths, shown):
        assert money(millionths) == shown


class TestCounting:
    @given(st.integers(1, 50), st.lists(st.integers(1, 5), max_size=60))
    def test_never_more_is_let_through_than_the_cap_and_each_alert_comes_once(self, most, loads):
        its, used, told = limits(Caps(day=most)), 0, []
        for texts in loads:
            asked = demands(its, JOHN, DID, Load(texts=texts, is_new_peer=False, cost=0), NOW)
            after = {demand.scope: used + texts for demand in asked}
            try:
                judge(asked, after, its, NOW)
            except Refused:
                assert used + texts > most
                continue
            told += [percent for _, percent in alerts(asked, after)]
            used += texts
        assert used <= most
        assert told == sorted(set(told))
        assert (100 in told) == (used == most)
        assert not told or used * 100 >= most * told[-1]

    def test_of_a_minute_nothing_is_said_before_it_is_used_up(self):
        its = limits(Caps(minute=2))
        asked = demands(its, JOHN, DID, ONE, NOW)
        (scope,) = (demand.scope for demand in asked)
        assert [[percent for _, percent in alerts(asked, {scope: used})] for used in (1, 2)] == [[], [100]]
