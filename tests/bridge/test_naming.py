"""An owner names a number for himself: kept, known to nobody else, and taken back."""

import pytest

from smsbridge.bridge import naming
from smsbridge.bridge.commands import Commands
from smsbridge.bridge.naming import MOST_NAMES, Faces
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.faces import Book, Face, Shelf
from smsbridge.core.words.say import Say
from smsbridge.store import names
from smsbridge.store.names import Introduced, Named
from tests.fakes.words import english

from .house import ADMIN, ANN, JOHN, PEER
from .test_commands import do, say

NO_NUMBER = english(Say.NO_NUMBER_TO_NAME())
NO_NAME = english(Say.NO_NAME())
CONFIGURED = Book({PEER: Face(name="Mrs Smith")})


@pytest.fixture
def faces(house):
    faces = Faces(house.desk, lambda: Shelf(named=(CONFIGURED,)))

    async def follow(command):
        if command == naming.NAME:
            await faces.refresh()

    house.commands = Commands(house.desk, follow)
    return faces


async def test_his_own_name_comes_before_what_is_configured_and_is_his_alone(house, faces):
    assert await say(house, f"name {PEER} Mum, dear") == [f"{PEER} is called Mum, dear for you now."]
    assert faces.face(JOHN, PEER).name == "Mum, dear"
    assert faces.face(ANN, PEER).name == "Mrs Smith"
    assert list(faces.named_by(JOHN)) == [PEER]
    assert list(faces.named_by(ANN)) == []


async def test_a_name_is_kept_as_it_is_written_and_outlives_the_bridge(house, faces):
    await say(house, f"NAME {PEER}   O'Brien  & Söhne \u202e(GmbH)")
    again = Faces(house.desk, Shelf)
    await again.refresh()
    assert again.face(JOHN, PEER).name == "O'Brien & Söhne (GmbH)"


async def test_without_a_name_his_own_is_taken_back_and_to_do_so_twice_changes_nothing(house, faces):
    await say(house, f"name {PEER} Mum")
    for _ in range(2):
        assert await say(house, f"name {PEER}") == [f"{PEER} has no name of yours any more."]
        assert faces.face(JOHN, PEER).name == "Mrs Smith"


@pytest.mark.parametrize(
    "written", ["555-987-0002", f"{PEER}@sms.example.com", f"{PEER}%+15551230001", "[+15559870002]"]
)
async def test_a_number_may_be_written_carelessly(house, faces, written):
    await say(house, f"name {written} Mum")
    assert faces.face(JOHN, PEER).name == "Mum"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("name +1 Mum", NO_NUMBER),
        ("name +15559870002,+15559870003 Us", NO_NUMBER),
        (f"name {PEER} +15559870009", NO_NAME),
        (f"name {PEER} \u202e\u200b", NO_NAME),
        ("name", "Write name NUMBER [NAME]."),
    ],
)
async def test_what_is_no_number_or_no_name_is_refused_in_words(house, faces, line, said):
    assert await say(house, line) == [said]
    assert await house.store.run(names.count, JOHN) == 0


async def test_by_a_form_it_is_the_same(house, faces):
    assert (
        english((await do(house, "name", number=PEER, **{"as": "Mum"})).words) == f"{PEER} is called Mum for you now."
    )
    assert faces.face(JOHN, PEER).name == "Mum"
    assert not (await do(house, "name", number="", **{"as": "Mum"})).is_done
    assert english((await do(house, "name", number=PEER)).words) == f"{PEER} has no name of yours any more."


async def test_who_has_no_number_has_no_names(house, faces):
    with pytest.raises(Refused) as refused:
        await do(house, "name", "mallory@example.com", number=PEER, **{"as": "Mum"})
    assert refused.value.reason is Reason.NOT_OWNER
    with pytest.raises(Refused):
        await do(house, "name", ADMIN, number=PEER, **{"as": "Mum"})


async def test_there_is_an_end_to_the_names_of_one_owner(house, faces):
    def fill():
        for n in range(MOST_NAMES):
            yield from names.put(house.desk.now(), Named(owner=JOHN, peer=f"+1555{n:07}", name="x"))

    await house.store.run(fill)
    assert await say(house, f"name {PEER} Mum") == [english(Say.TOO_MANY_NAMES(most=MOST_NAMES))]
    assert await say(house, "name +15550000001 Mum") == ["+15550000001 is called Mum for you now."]
    assert await say(house, f"name {PEER} Mum", ANN) == [f"{PEER} is called Mum for you now."]


async def test_a_name_that_was_not_committed_is_not_known(house, faces):
    house.store.break_at(3)
    with pytest.raises(StoreUnavailable):
        await do(house, "name", number=PEER, **{"as": "Mum"})
    assert faces.face(JOHN, PEER).name == "Mrs Smith"


async def test_what_was_told_is_kept_for_each_owner(house):
    told = [Introduced(owner=JOHN, contact=PEER, name="Mum", photo="abc"), Introduced(owner=ANN, contact=PEER)]
    for _ in range(2):
        await house.store.run(names.introduce, house.desk.now(), told)
    assert await house.store.run(names.introduced_to, JOHN) == told[:1]
    changed = Introduced(owner=JOHN, contact=PEER, name="Mother")
    await house.store.run(names.introduce, house.desk.now(), [changed])
    assert await house.store.run(names.introduced_to, JOHN) == [changed]
