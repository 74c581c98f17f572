"""Finding the delivery that kills the stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.xmpp.suspicion import DEATHS_ALONE, STANZA_FAULTS, Death, Suspicion, death_of


def names(count):
    return [f"d{n}" for n in range(count)]


def send_until_calm(suspicion, waiting, poison, death, window=50):
    """Play the pump and a server that dies over `poison`; what got through in order, what was convicted, deaths."""
    waiting, through, convicted, deaths = list(waiting), [], [], 0
    while waiting:
        if (guilty := suspicion.convicted) is not None:
            suspicion.forget(guilty)
            convicted.append(guilty)
            waiting.remove(guilty)
            continue
        flight = suspicion.chunk or tuple(waiting[:window])
        assert flight == tuple(waiting[: len(flight)])
        if poison.intersection(flight):
            deaths += 1
            suspicion.died(death, flight)
        else:
            suspicion.acquit(flight)
            through += flight
            del waiting[: len(flight)]
    assert suspicion.chunk == ()
    return through, convicted, deaths


@pytest.mark.parametrize("death", [Death.FAULT, Death.CUT])
def test_one_bad_delivery_among_fifty_is_found_and_the_others_get_through_in_order(death):
    through, convicted, deaths = send_until_calm(Suspicion(), names(50), {"d17"}, death)
    assert convicted == ["d17"]
    assert through == [name for name in names(50) if name != "d17"]
    assert deaths <= 6 + DEATHS_ALONE[death]


@given(st.integers(1, 120), st.sets(st.integers(0, 119), max_size=6), st.sampled_from([Death.FAULT, Death.CUT]))
def test_exactly_the_bad_ones_are_convicted(count, bad, death):
    poison = {f"d{n}" for n in bad if n < count}
    through, convicted, _ = send_until_calm(Suspicion(), names(count), poison, death)
    assert set(convicted) == poison
    assert through == [name for name in names(count) if name not in poison]


@pytest.mark.parametrize(("death", "deaths"), [(Death.FAULT, 2), (Death.CUT, 5)])
def test_a_delivery_alone_is_convicted_at_its_last_death_and_not_before(death, deaths):
    suspicion = Suspicion()
    for _ in range(deaths - 1):
        suspicion.died(death, ["a"])
        assert suspicion.convicted is None
        assert suspicion.chunk == ("a",)
    suspicion.died(death, ["a"])
    assert suspicion.convicted == "a"
    assert suspicion.chunk == ()


def test_deaths_of_two_kinds_are_counted_apart():
    suspicion = Suspicion()
    for _ in range(4):
        suspicion.died(Death.CUT, ["a"])
    suspicion.died(Death.FAULT, ["a"])
    assert suspicion.convicted is None


def test_a_delivery_that_got_through_starts_again_with_a_clean_record():
    suspicion = Suspicion()
    suspicion.died(Death.FAULT, ["a"])
    suspicion.acquit(["a"])
    suspicion.died(Death.FAULT, ["a"])
    assert suspicion.convicted is None


def test_a_shutdown_accuses_nobody():
    suspicion = Suspicion()
    suspicion.died(Death.OTHER, names(10))
    assert suspicion.chunk == ()


def test_a_stream_that_dies_with_nothing_in_flight_accuses_nobody():
    suspicion = Suspicion()
    suspicion.died(Death.FAULT, [])
    assert suspicion.chunk == ()
    assert suspicion.convicted is None


def test_a_server_that_goes_down_in_the_middle_changes_no_chunk():
    suspicion = Suspicion()
    suspicion.died(Death.FAULT, names(4))
    suspicion.died(Death.OTHER, suspicion.chunk)
    assert suspicion.chunk == ("d0", "d1")


def test_a_tired_delivery_goes_alone():
    suspicion = Suspicion()
    suspicion.accuse("a")
    suspicion.accuse("a")
    assert suspicion.chunk == ("a",)
    suspicion.acquit(["a"])
    assert suspicion.chunk == ()


@pytest.mark.parametrize("condition", sorted(STANZA_FAULTS))
def test_an_error_that_a_stanza_causes_is_a_fault(condition):
    assert death_of(condition, by_us=False) is Death.FAULT


@pytest.mark.parametrize("condition", ["system-shutdown", "conflict", "not-authorized", "reset", "undefined-condition"])
def test_any_other_stream_error_is_no_evidence(condition):
    assert death_of(condition, by_us=False) is Death.OTHER


def test_a_bare_end_is_a_cut_unless_we_hung_up():
    assert death_of("", by_us=False) is Death.CUT
    assert death_of("", by_us=True) is Death.OTHER
