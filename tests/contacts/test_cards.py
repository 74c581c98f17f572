"""vCards as phones, desktops and servers write them, good and bad."""

import base64

import pytest

from smsbridge.contacts.cards import LARGEST, LONGEST, MOST_NUMBERS, faces, read
from smsbridge.core.faces import LARGEST_PICTURE, Face, Picture
from tests.fakes.photos import JPEG, PNG

PHOTO = base64.b64encode(PNG).decode()
FOLDED = "\r\n ".join(PHOTO[start : start + 60] for start in range(0, len(PHOTO), 60))
PICTURE = Picture(kind="image/png", data=PNG)


def card(*lines, version="3.0", end="\r\n"):
    return end.join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])


def only(*lines, **options):
    (found,) = read(card(*lines, **options).encode())
    return found


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_plain_card_is_read_whatever_its_line_ends(end):
    found = only("FN:Ann", "TEL;TYPE=CELL:+1 555-987-0002", end=end)
    assert (found.name, found.numbers) == ("Ann", ("+1 555-987-0002",))


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["FN:Mum\\, dear\\; and\\n Dad"], "Mum, dear; and Dad"),
        (["FN:Jo", "  hn"], "Jo hn"),
        (["FN:Jo", "\thn"], "John"),
        (["fn;LANGUAGE=en:Ann"], "Ann"),
        (["item1.FN:Ann"], "Ann"),
        (["N:Smith;Ann;;Dr;"], "Ann Smith"),
        (["FN:", "N:Smith;Ann"], "Ann Smith"),
        (["N:Smi\\;th;A"], "A Smi;th"),
        (["NICKNAME:Annie"], "Annie"),
        (["ORG:Pizza & Co;Kitchen"], "Pizza & Co"),
        (["FN:+15559870002", "ORG:Pizza"], "Pizza"),
        (["FN:Ann", "FN:Other"], "Ann"),
        (['FN;X="a:b;c":Ann'], "Ann"),
        (["FN:A\u202en\u200bn"], "Ann"),
        (["FN:" + "x" * 5000], "x" * 64),
        (["TITLE:nobody"], ""),
    ],
)
def test_a_name_is_the_first_that_says_something(lines, name):
    assert only(*lines).name == name


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen M=C3=", "=BCller"], "Jürgen Müller"),
        (["FN;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:J=FCrgen"], "Jürgen"),
        (["FN;QUOTED-PRINTABLE:J=C3=BCrgen"], "Jürgen"),
        (["N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen;;;"], "Jürgen Müller"),
        (["FN;ENCODING=QUOTED-PRINTABLE:A=", "=", "nn"], "Ann"),
        (
            ["FN;ENCODING=QUOTED-PRINTABLE;CHARSET=utf-99:=E2=98=83"],
            "â",
        ),
    ],
)
def test_quoted_printable_of_old_phones_is_read(lines, name):
    assert only(*lines, version="2.1").name == name


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("TEL:5559870002", ("5559870002",)),
        ("TEL;CELL;VOICE:5559870002", ("5559870002",)),
        ("item2.TEL;type=CELL;type=pref:(555) 987-0002", ("(555) 987-0002",)),
        ('TEL;VALUE=uri;TYPE="voice,home":tel:+1-555-987-0002', ("+1-555-987-0002",)),
        ("TEL;VALUE=uri:tel:+1-555-987-0002;ext=5", ("+1-555-987-0002;ext=5",)),
        ("TEL;VALUE=uri:tel:987-0002;phone-context=+1555", ("987-0002",)),
        ("TEL;TYPE=FAX,WORK:5559870002", ()),
        ("TEL;FAX:5559870002", ()),
        ("TEL;TYPE=pager:5559870002", ()),
    ],
)
def test_numbers_are_read_in_every_version_and_what_takes_no_texts_is_left_out(line, numbers):
    assert only("FN:Ann", line).numbers == numbers


@pytest.mark.parametrize(
    "lines",
    [
        [f"PHOTO;ENCODING=b;TYPE=PNG:{FOLDED}"],
        [f"PHOTO;TYPE=PNG;ENCODING=BASE64:{FOLDED}", ""],
        [f"PHOTO;BASE64;PNG:\r\n {FOLDED}", ""],
        [f"PHOTO:data:image/png;base64,{FOLDED}"],
        [f"PHOTO:data:image/png;base64\\,{PHOTO}"],
        ["PHOTO;VALUE=uri:https://example.com/a.png", f"PHOTO;ENCODING=b:{PHOTO}"],
    ],
)
def test_a_picture_is_read_from_the_card_itself(lines):
    assert only("FN:Ann", *lines).picture == PICTURE


@pytest.mark.parametrize(
    "line",
    [
        "PHOTO;VALUE=uri:https://example.com/a.png",
        "PHOTO;ENCODING=b:!!!",
        "PHOTO;ENCODING=b:" + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(),
        "PHOTO:data:image/png,abc",
        "PHOTO;ENCODING=b:" + base64.b64encode(PNG.ljust(LARGEST + 1)).decode(),
        "PHOTO;ENCODING=b:" + "A" * (LONGEST + 1),
        "PHOTO:",
    ],
)
def test_what_is_no_picture_is_left_out_and_the_rest_is_read(line):
    found = only(line, "FN:Ann", "TEL:5559870002")
    assert (found.name, found.numbers, found.picture, found.large) == ("Ann", ("5559870002",), None, b"")


@pytest.mark.parametrize("data", [PNG.ljust(LARGEST_PICTURE + 1), b"\0\0\0\x18ftypheic" + b"x" * 99])
def test_a_picture_that_is_too_large_or_of_another_kind_may_be_made_fit(data):
    found = only("FN:Ann", "PHOTO;ENCODING=b:" + base64.b64encode(data).decode())
    assert (found.picture, found.large) == (None, data)


BAD = {
    "a line that is none": card("FN:Bad", "nonsense", "TEL:5559870009"),
    "no end": card("FN:Bad").replace("END:VCARD\r\n", ""),
    "bytes of no encoding": "BEGIN:VCARD\r\nFN;ENCODING=QUOTED-PRINTABLE:=FF=FE=\r\n=ZZ\r\nEND:VCARD\r\n",
    "an end too many": "END:VCARD\r\nEND:VCARD\r\n",
    "nothing in it": "BEGIN:VCARD\r\nEND:VCARD\r\n",
    "a card in a card": "BEGIN:VCARD\r\nFN:Boss\r\nAGENT:\r\n"
    "BEGIN:VCARD\r\nFN:Secretary\r\nTEL:5559870008\r\nEND:VCARD\r\nEND:VCARD\r\n",
    "a line without end": f"BEGIN:VCARD\r\nFN:Bad\r\nNOTE:{'x' * (2 * LONGEST)}\r\nEND:VCARD\r\n",
    "quotes that stay open": 'BEGIN:VCARD\r\nFN;X="a:b\r\nEND:VCARD\r\n',
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_card_does_not_stop_the_others(bad):
    good = [card("FN:Ann", "TEL:5559870002"), card("FN:Bob", "TEL:5559870003")]
    found = faces(read((good[0] + BAD[bad] + good[1]).encode()), "US")
    assert found["+15559870002"].name == "Ann"
    assert found["+15559870003"].name == "Bob"
    assert "+15559870008" not in found


def test_bytes_that_are_no_utf_8_are_read_as_old_programs_meant_them():
    (found,) = read(b"\xef\xbb\xbf" + card("FN:J\xfcrgen").encode("latin-1"))
    assert found.name == "Jürgen"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_known_by_its_first_bytes(encoding):
    (found,) = read(f"\ufeff{card('FN:Jürgen Łoś')}".encode(encoding))
    assert found.name == "Jürgen Łoś"


def test_of_several_names_of_one_number_the_first_by_name_counts_in_whatever_order():
    cards = [card("FN:Zoe", "TEL:5559870002"), card("FN:ann", "TEL:+15559870002"), card("FN:Bob", "TEL:1-555-987-0002")]
    cards[1] = cards[1].replace("END", f"PHOTO;ENCODING=b:{base64.b64encode(JPEG).decode()}\r\nEND")
    for order in (cards, cards[::-1]):
        found = faces(read("".join(order).encode()), "US")
        assert found == {"+15559870002": Face(name="ann", picture=Picture(kind="image/jpeg", data=JPEG))}


@pytest.mark.parametrize(
    ("written", "region", "peer"),
    [
        ("(555) 987-0002", "US", "+15559870002"),
        ("1 555 987 0002", "CA", "+15559870002"),
        ("020 7946 0123", "GB", "+442079460123"),
        ("0044 20 7946 0123", "DE", "+442079460123"),
        ("+44 20 7946 0123", "US", "+442079460123"),
        ("+44 (0)20 7946 0123", "US", "+442079460123"),
        ("011 44 20 7946 0123", "CA", "+442079460123"),
        ("29283", "US", "29283"),
        ("987-0002", "US", None),  # of a town
        ("7946 0123", "GB", None),
        ("555-987-0002 x12", "US", None),
        ("+1-555-987-0002;ext=5", "US", None),
        ("5559870002,,123#", "US", None),
        ("call me", "US", None),
        ("", "US", None),
        ("+", "US", None),
    ],
)
def test_a_number_is_that_of_the_books_country(written, region, peer):
    found = faces(read(card("FN:Ann", f"TEL:{written}").encode()), region)
    assert list(found) == ([peer] if peer else [])


def test_a_card_has_so_many_numbers_at_most():
    assert len(only("FN:Ann", *(f"TEL:+1555987{n:04}" for n in range(100))).numbers) == MOST_NUMBERS
