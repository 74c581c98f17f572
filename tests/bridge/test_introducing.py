"""Named numbers come into contact lists once, and what an owner does there himself stands."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from smsbridge.bridge.introducing import A_MOMENT, AFTER_FAULT, LOOK_AGAIN, Entry, Introducing
from smsbridge.bridge.naming import Faces
from smsbridge.core.address import Did
from smsbridge.core.faces import Book, Face, Picture, Roster, Shelf
from smsbridge.core.line import AddressStyle
from smsbridge.store import bindings, names, watchers
from smsbridge.store.names import Named
from tests.fakes.waiting import until

from .house import ANN, FRIEND, JOHN, OWN, PEER, SHARED, THIRD, WatchedBell

LOST = Did("+15551230009")
PICTURE = Picture(kind="image/png", data=b"abc")


class Lists:
    """Contact lists in memory, and all that was done."""

    def __init__(self):
        self.is_granted = True
        self.is_there = True
        self.refuses = set()
        self.entries = {}
        self.done = []
        self.looks = 0

    async def ready(self):
        self.looks += 1

    def may_keep(self, _owner):
        return self.is_granted

    async def read(self, owner):
        return dict(self.entries.get(owner, {})) if self.is_there else None

    async def write(self, owner, entry, *, is_new):
        if entry.contact in self.refuses:
            return False
        self.done.append(("add" if is_new else "rename", owner, entry.contact, entry.name))
        self.entries.setdefault(owner, {})[entry.contact] = entry
        return True

    def offer(self, owner, entries, *, is_new):
        self.done += [("offer" if is_new else "modify", owner, entry.contact, entry.name) for entry in entries]

    def ask(self, owner, contact):
        self.done.append(("ask", owner, contact))

    async def appear(self, owner, contact):
        self.done.append(("appear", owner, contact))

    def told(self):
        done, self.done = self.done, []
        return done


class Room:
    """The loop, its lists and its books."""

    def __init__(self, house):
        self.house, self.lists, self.shelf = house, Lists(), Shelf()
        self.faces = Faces(house.desk, lambda: self.shelf)
        self.bell = WatchedBell(lambda: None)
        self.loop = Introducing(house.desk, self.bell, self.faces, lambda: self.shelf, self.lists)

    async def name(self, owner, peer, name):
        put = names.put(self.house.desk.now(), Named(owner=owner, peer=peer, name=name))
        await self.house.store.run(lambda: put)

    async def look(self):
        await self.faces.refresh()
        await self.loop.look()
        return self.lists.told()

    def name_all(self, peer, name, owners=None, **face):
        self.shelf = replace(self.shelf, named=(Book({peer: Face(name=name, **face)}, owners),))

    def write_down(self, faces, owners=None):
        self.shelf = replace(self.shelf, address_books=(Book(faces, owners),))


@pytest.fixture
def room(house):
    return Room(house)


async def test_what_an_owner_names_comes_into_his_list_once(room):
    await room.name(JOHN, PEER, "Mum")
    assert await room.look() == [("add", JOHN, PEER, "Mum"), ("appear", JOHN, PEER)]
    assert room.lists.entries[JOHN][PEER].groups == ("SMS",)
    assert await room.look() == []
    assert room.loop._wait == LOOK_AGAIN


async def test_what_the_configuration_names_comes_to_those_it_is_meant_for(room):
    room.name_all(PEER, "Mum", [ANN])
    assert await room.look() == [("add", ANN, PEER, "Mum"), ("appear", ANN, PEER)]
    room.name_all(FRIEND, "Plumber")
    assert [one[:3] for one in await room.look() if one[0] == "add"] == [("add", ANN, FRIEND), ("add", JOHN, FRIEND)]


async def test_a_new_name_takes_the_place_of_ours_and_leaves_the_groups(room):
    await room.name(JOHN, PEER, "Mum")
    await room.look()
    room.lists.entries[JOHN][PEER] = Entry(contact=PEER, name="Mum", groups=("Family",))
    await room.name(JOHN, PEER, "Mother")
    assert await room.look() == [("rename", JOHN, PEER, "Mother"), ("appear", JOHN, PEER)]
    assert room.lists.entries[JOHN][PEER].groups == ("Family",)


async def test_a_name_that_he_has_given_in_his_list_stands(room):
    room.lists.entries[JOHN] = {PEER: Entry(contact=PEER, name="Mamma")}
    await room.name(JOHN, PEER, "Mum")
    assert await room.look() == [("appear", JOHN, PEER)]
    await room.name(JOHN, PEER, "Mother")
    assert await room.look() == [("appear", JOHN, PEER)]
    assert room.lists.entries[JOHN][PEER].name == "Mamma"


async def test_an_entry_without_a_name_is_given_one(room):
    room.lists.entries[JOHN] = {PEER: Entry(contact=PEER)}
    await room.name(JOHN, PEER, "Mum")
    assert ("rename", JOHN, PEER, "Mum") in await room.look()


async def test_what_he_has_removed_does_not_come_back_and_nothing_is_ever_removed(room, house):
    await room.name(JOHN, PEER, "Mum")
    await room.look()
    del room.lists.entries[JOHN][PEER]
    await room.name(JOHN, PEER, "Mother")
    assert await room.look() == [("appear", JOHN, PEER)]
    await room.name(JOHN, FRIEND, "Bob")
    await room.look()
    await house.store.run(names.drop, JOHN, FRIEND)
    assert await room.look() == []
    assert room.lists.entries[JOHN][FRIEND].name == "Bob"


async def test_of_an_address_book_those_come_with_whom_there_is_a_conversation(room, house):
    room.write_down({PEER: Face(name="Mum"), FRIEND: Face(name="Bob"), THIRD: Face(picture=PICTURE)}, [JOHN])
    assert await room.look() == []
    await house.store.run(bindings.bind, house.desk.now(), JOHN, FRIEND, OWN)
    assert await room.look() == [("add", JOHN, FRIEND, "Bob"), ("appear", JOHN, FRIEND)]
    house.rules = replace(house.rules, roster=Roster.ALL)
    assert await room.look() == [("add", JOHN, PEER, "Mum"), ("appear", JOHN, PEER), ("appear", JOHN, THIRD)]


async def test_where_it_is_turned_off_lists_are_left_alone_and_presence_still_says_what_changed(room, house):
    house.rules = replace(house.rules, roster=Roster.OFF)
    await room.name(JOHN, PEER, "Mum")
    assert await room.look() == [("appear", JOHN, PEER)]
    assert await room.look() == []


async def test_another_picture_is_shown_once(room):
    room.name_all(PEER, "Mum", [JOHN], picture=PICTURE)
    await room.look()
    room.name_all(PEER, "Mum", [JOHN], picture=Picture(kind="image/png", data=b"abd"))
    assert await room.look() == [("appear", JOHN, PEER)]
    room.name_all(PEER, "Mum", [JOHN])
    assert await room.look() == [("appear", JOHN, PEER)]
    assert await room.look() == []


async def test_without_the_grant_names_are_offered_and_their_numbers_ask(room, house):
    room.lists.is_granted = False
    await room.name(JOHN, PEER, "Mum")
    await house.store.run(bindings.bind, house.desk.now(), JOHN, FRIEND, OWN)
    room.write_down({FRIEND: Face(name="Bob")}, [JOHN])
    assert await room.look() == [
        ("offer", JOHN, PEER, "Mum"), ("offer", JOHN, FRIEND, "Bob"), ("ask", JOHN, PEER),
        ("appear", JOHN, PEER), ("appear", JOHN, FRIEND),
    ]  # fmt: skip
    await room.name(JOHN, PEER, "Mother")
    assert await room.look() == [("modify", JOHN, PEER, "Mother"), ("appear", JOHN, PEER)]


@pytest.mark.parametrize(("hinder", "wait"), [("is_granted", A_MOMENT), ("is_there", AFTER_FAULT)])
async def test_what_could_not_be_told_is_told_later(room, hinder, wait):
    await room.name(JOHN, PEER, "Mum")
    setattr(room.lists, hinder, None)
    assert await room.look() == []
    assert room.loop._wait == wait
    setattr(room.lists, hinder, True)
    assert await room.look() == [("add", JOHN, PEER, "Mum"), ("appear", JOHN, PEER)]


async def test_one_that_is_refused_does_not_hinder_the_others(room):
    await room.name(JOHN, PEER, "Mum")
    await room.name(JOHN, FRIEND, "Bob")
    room.lists.refuses = {PEER}
    assert await room.look() == [("add", JOHN, FRIEND, "Bob"), ("appear", JOHN, FRIEND)]
    room.lists.refuses = set()
    assert await room.look() == [("add", JOHN, PEER, "Mum"), ("appear", JOHN, PEER)]


async def test_while_a_book_cannot_be_read_nothing_is_taken_for_gone(room):
    room.name_all(PEER, "Mum", [JOHN], picture=PICTURE)
    await room.name(JOHN, PEER, "Mother")
    await room.look()
    room.shelf = Shelf(missing=(Book({}, [JOHN]),))
    assert await room.look() == []
    await room.name(JOHN, FRIEND, "Bob")
    assert await room.look() == [("add", JOHN, FRIEND, "Bob"), ("appear", JOHN, FRIEND)]
    room.shelf = Shelf()
    assert await room.look() == [("appear", JOHN, PEER)]


async def test_what_changes_together_is_told_together(room, monkeypatch):
    is_over = asyncio.Event()

    async def moment(seconds):
        assert seconds == A_MOMENT
        await is_over.wait()

    monkeypatch.setattr("smsbridge.bridge.introducing.asyncio", SimpleNamespace(sleep=moment))
    running = asyncio.create_task(room.loop.run())
    try:
        await until(lambda: room.bell.is_awaited)
        for peer, name in ((PEER, "Mum"), (FRIEND, "Bob"), (PEER, "Mother")):
            await room.name(JOHN, peer, name)
            await room.faces.refresh()
            room.bell.ring()
        is_over.set()
        await until(lambda: len(room.lists.entries.get(JOHN, {})) == 2)
        assert [one for one in room.lists.done if one[0] != "appear"] == [
            ("add", JOHN, PEER, "Mother"),
            ("add", JOHN, FRIEND, "Bob"),
        ]
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_contact_is_written_as_its_texts_come(room, house):
    house.rules = replace(house.rules, address_style=AddressStyle.WITH_DID)
    await room.name(ANN, PEER, "Mum")
    assert ("add", ANN, f"{PEER}%{SHARED}", "Mum") in await room.look()


async def test_one_that_has_texted_is_a_contact_over_the_line_of_its_texts(room, house):
    house.rules = replace(house.rules, address_style=AddressStyle.WITH_DID)
    await house.store.run(bindings.bind, house.desk.now(), JOHN, PEER, SHARED)
    await room.name(JOHN, PEER, "Mum")
    assert ("add", JOHN, f"{PEER}%{SHARED}", "Mum") in await room.look()
    await house.store.run(bindings.bind, house.desk.now(), JOHN, FRIEND, LOST)
    await room.name(JOHN, FRIEND, "Bob")
    assert ("add", JOHN, f"{FRIEND}%{OWN}", "Bob") in await room.look()


async def sees(house, owner, *contacts):
    for contact in contacts:
        await house.store.run(watchers.add, owner, f"{contact}@{house.desk.domain}")


async def test_what_he_has_added_over_another_line_is_called_the_same(room, house):
    other = f"{PEER}%{SHARED}"
    await sees(house, JOHN, other, f"{FRIEND},{PEER}", "+1", FRIEND)
    await house.store.run(watchers.add, JOHN, f"{PEER}%{OWN}@elsewhere.example.com")
    room.lists.entries[JOHN] = {other: Entry(contact=other)}
    await room.name(JOHN, PEER, "Mum")
    assert await room.look() == [
        ("add", JOHN, PEER, "Mum"), ("rename", JOHN, other, "Mum"), ("appear", JOHN, PEER), ("appear", JOHN, other),
    ]  # fmt: skip
    assert await room.look() == []
    await room.name(JOHN, PEER, "Mother")
    assert ("rename", JOHN, other, "Mother") in await room.look()
    del room.lists.entries[JOHN][other]
    await room.name(JOHN, PEER, "Mamma")
    assert [one for one in await room.look() if one[2] == other] == [("appear", JOHN, other)]


async def test_without_the_grant_what_he_has_added_is_not_offered_as_new_and_does_not_ask(room, house):
    room.lists.is_granted, other = False, f"{PEER}%{SHARED}"
    await sees(house, JOHN, other)
    await room.name(JOHN, PEER, "Mum")
    assert await room.look() == [
        ("offer", JOHN, PEER, "Mum"), ("modify", JOHN, other, "Mum"), ("ask", JOHN, PEER),
        ("appear", JOHN, PEER), ("appear", JOHN, other),
    ]  # fmt: skip


async def test_who_was_added_and_has_not_texted_is_called_as_the_address_book_has_it(room, house):
    await sees(house, JOHN, FRIEND)
    room.lists.entries[JOHN] = {FRIEND: Entry(contact=FRIEND)}
    room.write_down({FRIEND: Face(name="Bob"), PEER: Face(name="Mum")}, [JOHN])
    assert await room.look() == [("rename", JOHN, FRIEND, "Bob"), ("appear", JOHN, FRIEND)]
    room.write_down({FRIEND: Face(name="Robert"), PEER: Face(name="Mum")}, [JOHN])
    assert await room.look() == [("rename", JOHN, FRIEND, "Robert"), ("appear", JOHN, FRIEND)]
