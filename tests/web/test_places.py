"""Who has to go when every place is taken."""

from hypothesis import given
from hypothesis import strategies as st

from smsbridge.web.places import MAX_FRIENDS, Places


def entered(places: Places[str], *guests: str, **options: bool) -> list[str | None]:
    """Each guest's first letter is its source."""
    return [places.enter(guest, guest[0], **options) for guest in guests]


def test_while_there_is_room_nobody_has_to_go():
    assert entered(Places(total=3, per_source=2), "a1", "b1", "a2") == [None, None, None]


def test_under_the_cap_of_a_source_its_own_oldest_has_to_go():
    places = Places[str](total=10, per_source=2)
    entered(places, "b1", "a1", "a2")
    assert entered(places, "a3", "a4", "b2") == ["a1", "a2", None]


def test_a_source_that_is_exempt_is_held_by_the_cap_on_all():
    places = Places[str](total=3, per_source=1)
    assert entered(places, "a1", "a2", "a3", "a4", is_exempt=True) == [None, None, None, "a1"]


def test_when_all_places_are_taken_the_source_with_most_of_them_gives_one_up():
    places = Places[str](total=4, per_source=3)
    entered(places, "b1", "a1", "a2", "c1")
    assert entered(places, "d1") == ["a1"]
    assert entered(places, "e1") == ["b1"]  # all equal: the oldest
    assert len(places) == 4


def test_who_is_seated_stays_and_waits_as_the_youngest_afterwards():
    places = Places[str](total=2, per_source=2)
    entered(places, "a1", "b1")
    places.seat("a1")
    assert entered(places, "b2") == ["b1"]
    places.seat("b2")
    assert entered(places, "c1", "a2") == ["c1", "a2"]  # no place for the newcomer
    places.wait("b2")
    places.wait("a1")
    assert entered(places, "a2") == ["b2"]


def test_a_source_that_was_a_carriers_once_is_not_crowded_out_by_strangers():
    places = Places[str](total=3, per_source=2)
    entered(places, "f1", "f2", "a1")
    places.seat("f1")
    places.wait("f1")
    assert entered(places, "b1", "c1", "d1") == ["a1", "b1", "c1"]
    places.seat("d1")
    assert entered(places, "e1") == ["e1"]  # only friends wait, and a stranger does not displace one
    places.leave("f1")
    assert entered(places, "d2", "d3") == [None, "d2"]  # its own cap
    places.seat("d3")
    assert entered(places, "f3") == ["f2"]  # a friend may, of a friend


def test_a_friend_may_have_half_of_all_places_however_little_a_stranger_may():
    places = Places[str](total=8, per_source=1)
    entered(places, "f1")
    places.seat("f1")
    assert entered(places, "f2", "f3", "f4", "f5") == [None, None, None, "f2"]
    assert entered(places, "a1", "a2") == [None, "a1"]


def test_the_friend_that_called_longest_ago_is_forgotten():
    places = Places[str](total=2, per_source=2)
    for n in range(MAX_FRIENDS + 1):
        guest = chr(1000 + n) + "1"
        entered(places, guest)
        places.seat(guest)
        places.wait(guest)
        if n:
            places.leave(guest)
    first = chr(1000) + "1"
    assert entered(places, "a1", "b1") == [None, first]


def test_a_place_is_given_back_once():
    places = Places[str](total=1, per_source=1)
    entered(places, "a1")
    places.leave("a1")
    places.leave("a1")
    assert entered(places, "a2") == [None]
    places.seat("a1")
    places.wait("a1")  # who has left changes nothing
    assert entered(places, "b1") == ["a2"]


acts = st.lists(st.tuples(st.sampled_from(["enter", "exempt", "seat", "wait", "leave"]), st.sampled_from("abc")))


@given(acts)
def test_the_caps_hold_and_the_seated_stay_whatever_happens(acts: list[tuple[str, str]]):
    places, inside, seated = Places[str](total=5, per_source=2), dict[str, bool](), set[str]()
    for n, (act, source) in enumerate(acts):
        guest = next((each for each in inside if each[0] == source), "nobody")
        match act:
            case "enter" | "exempt":
                newcomer = f"{source}{n}"
                leaver = places.enter(newcomer, source, is_exempt=act == "exempt")
                assert leaver not in seated
                inside[newcomer] = act == "exempt"
                if leaver is not None:
                    del inside[leaver]
                if act == "enter" and newcomer in inside and leaver is None:
                    assert sum(each[0] == source for each in inside) <= 2
            case "seat":
                places.seat(guest)
                seated |= {guest} & set(inside)
            case "wait":
                places.wait(guest)
                seated.discard(guest)
            case "leave":
                places.leave(guest)
                inside.pop(guest, None)
                seated.discard(guest)
        assert len(places) == len(inside) <= 5
