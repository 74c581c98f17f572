"""What may be a name, and whose word counts for it."""

import pytest

from smsbridge.core.address import Peer
from smsbridge.core.faces import Book, Face, Picture, face_in
from smsbridge.core.text import MOST_NAME, clean_name

MUM, PLUMBER = Peer("+15559870002"), Peer("+15559870003")
JOHN, ANN = "john@example.com", "ann@example.com"
PICTURE = Picture(kind="image/png", data=b"abc")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Mum", "Mum"),
        ("  Aunt \t Jo\nof  the\r\nhills ", "Aunt Jo of the hills"),
        ("Mum\u202ehcnup\u202c", "Mumhcnup"),
        ("\u2066Bank\u2069\u200f", "Bank"),
        ("B\u200bank\ufeff\u00ad", "Bank"),
        ("a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("e\u0301", "\u00e9"),
        ("👩\u200d🔧 Jo", "👩\u200d🔧 Jo"),
        ("מאמא", "מאמא"),
        ("🍕", "🍕"),
        ("\ud800x", "\ufffdx"),
    ],
)
def test_a_name_is_one_line_of_what_shows(raw: str, name: str) -> None:
    assert clean_name(raw) == name


@pytest.mark.parametrize(
    "raw", ["", " ", "\n", "\u202e", "\u200d", "+15559870003", "555-987 0003", "29283", "٣٤٥", "\ue000"]
)
def test_what_does_not_show_or_is_a_number_is_no_name(raw: str) -> None:
    assert clean_name(raw) == ""


def test_a_name_is_bounded() -> None:
    assert clean_name("x" * 10**6) == "x" * MOST_NAME
    assert clean_name(clean_name("ab " * 500)) == clean_name("ab " * 500)


def test_the_first_book_that_knows_it_tells_the_name_and_another_may_tell_the_picture() -> None:
    books = (
        Book({MUM: Face(name="Mum")}, [JOHN]),
        Book({MUM: Face(name="Grandma", picture=PICTURE)}),
        Book({MUM: Face(name="Mrs Smith"), PLUMBER: Face(name="Pipes")}, [ANN]),
    )
    assert face_in(books, JOHN, MUM) == Face(name="Mum", picture=PICTURE)
    assert face_in(books, ANN, MUM).name == "Grandma"
    assert face_in(books, ANN, PLUMBER).name == "Pipes"
    assert face_in(books, JOHN, PLUMBER) == Face()


def test_a_picture_is_known_by_its_sha_1() -> None:
    assert PICTURE.sha1 == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert "abc" not in repr(Face(name="Mum", picture=PICTURE))
    assert "Mum" not in repr(Face(name="Mum", picture=PICTURE))
