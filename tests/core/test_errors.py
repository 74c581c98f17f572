"""What an error carries, and how little it says by itself."""

from datetime import timedelta

import pytest

from smsbridge.core.errors import (
    Deferred,
    Hold,
    Indeterminate,
    Outcome,
    Reason,
    Refused,
    Rejected,
    SmsbridgeError,
    StoreUnavailable,
)


def test_a_refusal_says_why_and_where_to_go_instead():
    error = Refused(Reason.MOVED_ADDRESS, "Write to the full number.", instead="+15559870002")
    assert (error.reason, error.words, error.instead) == (
        Reason.MOVED_ADDRESS,
        "Write to the full number.",
        "+15559870002",
    )
    assert str(error) == "moved_address"


def test_an_outcome_carries_the_carriers_code_and_words():
    error = Rejected(Reason.INVALID_DESTINATION, "invalid_dst", "No such number.")
    assert (error.reason, error.code, error.words) == (Reason.INVALID_DESTINATION, "invalid_dst", "No such number.")
    assert str(error) == "invalid_destination (invalid_dst)"


def test_a_deferral_may_name_a_time_and_a_hold():
    assert (Deferred(Reason.THROTTLED, "http_429").after, Deferred(Reason.THROTTLED, "http_429").hold) == (None, None)
    error = Deferred(Reason.QUOTA, "limit_reached", after=timedelta(hours=1), hold=Hold.QUOTA)
    assert (error.after, error.hold) == (timedelta(hours=1), Hold.QUOTA)


def test_what_cannot_be_trusted_is_unsure():
    assert Indeterminate("timeout").reason is Reason.UNSURE


@pytest.mark.parametrize("error", [Rejected, Deferred])
def test_every_outcome_is_caught_as_one(error):
    with pytest.raises(Outcome):
        raise error(Reason.PROVIDER_DOWN, "http_502")
    assert issubclass(StoreUnavailable, SmsbridgeError)
    assert not issubclass(StoreUnavailable, Outcome)
