"""Who owns which number."""

from smsbridge.core.address import Did
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import ProviderName

ONE, TWO, THREE = Did("+15551230001"), Did("+15551230002"), Did("+15551230003")
JOHN, ANN, EVE = "john@example.com", "ann@example.com", "eve@example.com"


def line(did: Did, *owners: str) -> Line:
    return Line(did=did, provider=ProviderName("voipms"), owners=owners)


def test_a_line_is_found_by_its_did_and_by_its_owners():
    one, two = line(ONE, JOHN, ANN), line(TWO, ANN)
    directory = Directory([one, two])
    assert list(directory) == [one, two]
    assert directory.line_of(ONE) is one
    assert directory.line_of(THREE) is None
    assert directory.lines_of(JOHN) == (one,)
    assert directory.lines_of(ANN) == (one, two)
    assert directory.lines_of(EVE) == ()


def test_only_an_exact_owner_owns():
    directory = Directory([line(ONE, JOHN), line(TWO, ANN)])
    assert directory.is_owner(JOHN, ONE)
    assert not directory.is_owner(ANN, ONE)
    assert not directory.is_owner(JOHN, THREE)
    assert not directory.is_owner("john@example.com.", ONE)
    assert not directory.is_owner("JOHN@example.com", ONE)


def test_the_configuration_chooses_an_owners_first_line_and_the_rest_keep_their_order():
    directory = Directory([line(ONE, ANN), line(TWO, ANN, JOHN), line(THREE, ANN)], {ANN: THREE, JOHN: TWO})
    assert [found.did for found in directory.lines_of(ANN)] == [THREE, ONE, TWO]
    assert [found.did for found in directory.lines_of(JOHN)] == [TWO]
