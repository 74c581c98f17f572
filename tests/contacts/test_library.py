"""Which address books are in force: what was read stays until something better is there."""

import base64
import json
from dataclasses import replace

import pytest

from smsbridge.contacts.carddav import Account, open_session
from smsbridge.contacts.kept import Keeper, Source
from smsbridge.contacts.library import Library
from smsbridge.core.address import Peer
from smsbridge.core.faces import LARGEST_PICTURE, Picture
from tests.fakes.photos import JPEG, PNG
from tests.fakes.radicale import LOOPBACK, PASSWORD, USER, radicale

MUM = Peer("+15559870002")
JOHN = "john@example.com"
LARGE = PNG.ljust(LARGEST_PICTURE + 1, b"x")
SMALL = Picture(kind="image/jpeg", data=JPEG)


def card(name, number=MUM, photo=b""):
    picture = f"PHOTO;ENCODING=b:{base64.b64encode(photo).decode()}\n" if photo else ""
    return f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nN:{name};;;;\nUID:1\nTEL:{number}\n{picture}END:VCARD\n"


class Shelf:
    """A library, and the configuration that it follows."""

    def __init__(self, session, directory):
        self.session, self.path = session, directory / "contacts.vcf"
        self.directory = directory / "kept"
        self.sources = {"phone": Source(file=self.path)}
        self.shrunk = []
        self.begin()

    def begin(self):
        """As after a restart."""
        self.library = Library(lambda: self.sources, Keeper(self.directory), self.shrink)

    async def shrink(self, large):
        self.shrunk.append(large)
        return SMALL if large == LARGE else None

    def known(self):
        return [book.face(MUM).name for book in self.library.books()]

    async def names(self):
        await self.library.look(self.session)
        return self.known()


@pytest.fixture
async def shelf(tmp_path):
    async with open_session() as session:
        yield Shelf(session, tmp_path)


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
    await shelf.library.look(shelf.session)
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


async def test_what_was_read_is_known_after_a_restart_before_anything_is_read(shelf):
    shelf.path.write_text(card("Mum", photo=PNG) + card("Bob", "+15559870003"))
    await shelf.names()
    shelf.path.unlink()
    shelf.begin()
    await shelf.library.recall()
    assert shelf.known() == ["Mum"]
    assert shelf.library.books()[0].face(MUM).picture == Picture(kind="image/png", data=PNG)
    assert shelf.library.missing() == ()
    assert await shelf.names() == ["Mum"]


async def test_what_is_kept_is_for_us_alone_and_goes_with_its_book(shelf):
    shelf.path.write_text(card("Mum"))
    await shelf.names()
    (kept,) = shelf.directory.iterdir()
    assert (kept.stat().st_mode & 0o777, shelf.directory.stat().st_mode & 0o777) == (0o600, 0o700)
    shelf.sources = {}
    await shelf.names()
    assert list(shelf.directory.iterdir()) == []


@pytest.mark.parametrize("how", ["cut", "empty", "nothing", "odd", "another source", "not there"])
async def test_what_is_kept_and_damaged_or_of_another_source_is_as_good_as_none(shelf, how):
    shelf.path.write_text(card("Mum", photo=PNG))
    await shelf.names()
    (kept,) = shelf.directory.iterdir()
    text = kept.read_text()
    if how == "another source":
        shelf.sources = {"phone": replace(shelf.sources["phone"], owners=(JOHN,))}
    elif how == "not there":
        kept.unlink()
    else:
        odd = json.dumps(json.loads(text) | {"faces": [[1, 2]]})
        kept.write_text({"cut": text[:-9], "empty": "", "nothing": "[]", "odd": odd}[how])
    shelf.begin()
    await shelf.library.recall()
    assert shelf.known() == []
    assert len(shelf.library.missing()) == 1
    assert await shelf.names() == ["Mum"]


async def test_a_large_picture_is_made_small_once(shelf):
    shelf.path.write_text(card("Mum", photo=LARGE))
    await shelf.names()
    assert shelf.library.books()[0].face(MUM).picture == SMALL
    shelf.path.write_text(card("Mother", photo=LARGE))
    shelf.begin()
    await shelf.library.recall()
    assert await shelf.names() == ["Mother"]
    assert shelf.library.books()[0].face(MUM).picture == SMALL
    assert shelf.shrunk == [LARGE]


async def test_one_that_cannot_be_made_small_is_left_out(shelf):
    shelf.path.write_text(card("Mum", photo=LARGE + b"x"))
    assert await shelf.names() == ["Mum"]
    assert shelf.library.books()[0].face(MUM).picture is None


async def test_where_there_is_no_room_nothing_is_kept_and_names_are_there(shelf):
    shelf.directory.write_text("in the way")
    shelf.path.write_text(card("Mum"))
    assert await shelf.names() == ["Mum"]
