"""The tables: what may follow what, and what a message's parts amount to."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.state import (
    BLOCKING,
    DELIVERY,
    LIVE,
    PART,
    DeliveryState,
    Fold,
    IllegalTransition,
    PartEvent,
    PartState,
    advance,
    fold,
)

P, V = PartState, PartEvent
ILLEGAL = [pair for pair in product(PartState, PartEvent) if pair not in PART]


@pytest.mark.parametrize(("state", "event"), sorted(PART))
def test_what_the_table_names_is_carried_out(state, event):
    assert advance(state, event) is PART[state, event]


@pytest.mark.parametrize(("state", "event"), ILLEGAL)
def test_what_the_table_does_not_name_is_illegal(state, event):
    with pytest.raises(IllegalTransition, match=f"^{event} in {state}$"):
        advance(state, event)


def test_every_state_is_live_or_done_or_waits_for_the_writers_word():
    done = {P.SENT, P.DELIVERED, P.FAILED, P.CANCELLED, P.EXPIRED}
    assert LIVE | done | {P.UNSURE} == set(PartState)
    assert not LIVE & done
    assert BLOCKING < LIVE


def test_every_state_is_reached_and_every_event_is_used():
    assert set(PART.values()) == set(PartState)
    assert {event for _, event in PART} == set(PartEvent)


def test_nothing_leaves_an_end_but_what_was_cancelled_behind_a_doubt():
    left = {state for state, _ in PART}
    assert left == LIVE | {P.UNSURE, P.SENT, P.CANCELLED}
    assert {event for state, event in PART if state is P.CANCELLED} == {V.RESEND}


def test_only_a_claim_leads_to_sending_and_only_from_what_waits():
    assert {pair for pair, state in PART.items() if state is P.SENDING} == {(P.QUEUED, V.CLAIM), (P.HELD, V.CLAIM)}


def test_an_unknown_part_is_queued_again_only_on_proof():
    assert {event for (state, event), to in PART.items() if state is P.UNKNOWN and to in {P.QUEUED, P.HELD}} == {
        V.PROVE_ABSENT,
        V.DEFER,
        V.HOLD,
    }
    assert {event for (state, event), to in PART.items() if state is P.UNSURE and to is P.QUEUED} == {V.RESEND}


def test_a_late_yes_is_never_dropped():
    for state in (P.SENDING, P.UNKNOWN, P.UNSURE, P.QUEUED, P.HELD):
        assert advance(state, V.ACCEPT) is P.SENT


def test_a_delivery_is_handed_only_with_fixed_bytes():
    assert {before for before, after in DELIVERY if after is DeliveryState.HANDED} == {DeliveryState.HANDING}
    assert {before for before, after in DELIVERY if after is DeliveryState.WAITING} == {
        DeliveryState.HANDING,  # its stream died
        DeliveryState.HANDED,  # its server died
    }


TRUTHS = [
    ((), Fold.PENDING, 0),
    ((P.QUEUED,), Fold.PENDING, 0),
    ((P.HELD,), Fold.PENDING, 0),
    ((P.SENDING,), Fold.PENDING, 0),
    ((P.UNKNOWN,), Fold.PENDING, 0),
    ((P.UNSURE,), Fold.UNSURE, 0),
    ((P.SENT,), Fold.ACCEPTED, 1),
    ((P.DELIVERED,), Fold.DELIVERED, 1),
    ((P.FAILED,), Fold.FAILED, 0),
    ((P.EXPIRED,), Fold.FAILED, 0),
    ((P.CANCELLED,), Fold.FAILED, 0),
    ((P.SENT, P.QUEUED), Fold.PENDING, 1),
    ((P.SENT, P.UNKNOWN, P.QUEUED), Fold.PENDING, 1),
    ((P.SENT, P.SENT), Fold.ACCEPTED, 2),
    ((P.SENT, P.DELIVERED), Fold.ACCEPTED, 2),
    ((P.DELIVERED, P.DELIVERED), Fold.DELIVERED, 2),
    ((P.SENT, P.FAILED, P.QUEUED), Fold.FAILED, 1),
    ((P.SENT, P.FAILED, P.CANCELLED), Fold.FAILED, 1),
    ((P.UNSURE, P.FAILED), Fold.FAILED, 0),
    ((P.DELIVERED, P.EXPIRED), Fold.FAILED, 1),
    ((P.SENT, P.UNSURE, P.CANCELLED), Fold.UNSURE, 1),
    ((P.UNSURE, P.SENT), Fold.UNSURE, 1),
    ((P.SENT, P.CANCELLED), Fold.FAILED, 1),
]


@pytest.mark.parametrize(("states", "verdict", "left"), TRUTHS)
def test_a_message_is_the_fold_of_its_parts(states, verdict, left):
    tally = fold(states)
    assert (tally.fold, tally.left, tally.of) == (verdict, left, len(states))


@given(st.lists(st.sampled_from(PartState), min_size=1, max_size=6))
def test_a_tick_means_that_every_part_left(states):
    tally = fold(states)
    assert (tally.fold in {Fold.ACCEPTED, Fold.DELIVERED}) == (tally.left == tally.of)
    assert (tally.fold is Fold.PENDING) == (set(states) <= LIVE | {P.SENT, P.DELIVERED} and bool(LIVE & set(states)))
