"""Which address books are in force: what was read stays until something better is there."""

from dataclasses import replace

import pytest

from smsbridge.contacts.carddav import Account, open_session
from smsbridge.contacts.library import Library, Source
from smsbridge.core.address import Peer
from tests.fakes.radicale import LOOPBACK, PASSWORD, USER, radicale

MUM = Peer("+15559870002")
JOHN = "john@example.com"


def card(name, number=MUM):
    return f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nN:{name};;;;\nUID:1\nTEL:{number}\nEND:VCARD\n"


class Shelf:
    """A library, and the configuration that it follows."""

    def __init__(self, session, path):
        self.path = path
        self.sources = {"phone": Source(file=path)}
        self.library = Library(lambda: self.sources, session)

    async def names(self):
        await self.library.look()
        return [book.face(MUM).name for book in self.library.books()]


@pytest.fixture
async def shelf(tmp_path):
    async with open_session() as session:
        yield Shelf(session, tmp_path / "contacts.vcf")


async def test_a_file_is_read_and_read_again_when_it_has_changed(shelf):
    shelf.path.write_text(card("Mum"))
    assert await shelf.names() == ["Mum"]
    shelf.path.write_text(card("Mother"))
    assert await shelf.names() == ["Mother"]


async def test_one_that_cannot_be_read_any_more_stays_as_it_was_and_is_told_once(shelf, capsys):
    shelf.path.write_text(card("Mum"))
    await shelf.names()
    shelf.path.rename(shelf.path.with_suffix(".away"))
    for _ in range(2):
        assert await shelf.names() == ["Mum"]
    assert capsys.readouterr().out.count("book_failed") == 1
    assert shelf.library.missing() == ()


async def test_one_that_never_could_be_read_is_missing_for_its_owners(shelf):
    shelf.sources = {"phone": Source(file=shelf.path, owners=(JOHN,))}
    assert await shelf.names() == []
    (missing,) = shelf.library.missing()
    assert missing.is_for(JOHN)
    assert not missing.is_for("ann@example.com")


async def test_a_book_that_is_for_others_now_is_another_book(shelf):
    shelf.path.write_text(card("Mum"))
    await shelf.names()
    shelf.sources = {"phone": replace(shelf.sources["phone"], owners=(JOHN,))}
    assert shelf.library.books() == ()
    assert await shelf.names() == ["Mum"]
    shelf.sources = {}
    assert await shelf.names() == []


async def test_a_country_is_that_of_the_book(shelf):
    shelf.path.write_text(card("Mum", "020 7946 0123"))
    shelf.sources = {"phone": Source(file=shelf.path, region="GB")}
    await shelf.library.look()
    assert shelf.library.books()[0].face(Peer("+442079460123")).name == "Mum"


async def test_a_book_on_a_server_and_a_file_stand_side_by_side_and_one_that_fails_hinders_none(shelf, tmp_path):
    shelf.path.write_text(card("of the file"))
    (tmp_path / "dav").mkdir()
    async with radicale(tmp_path / "dav") as book:
        await book.put("mum", card("of the server"))
        there = Account(url=book.url, username=USER, password=PASSWORD)
        nowhere = Account(url=f"http://{LOOPBACK}:1/")
        shelf.sources = {
            "nowhere": Source(account=nowhere),
            "home": Source(account=there),
            "phone": Source(file=shelf.path),
        }
        assert await shelf.names() == ["of the server", "of the file"]
        await book.put("mum", card("of the server still"))
        assert await shelf.names() == ["of the server still", "of the file"]
    assert await shelf.names() == ["of the server still", "of the file"]
