"""A film without what is noted in it, and not a byte of the film moved."""

import random
import struct

import pytest

from smsbridge.media.bare import NotUnderstood
from smsbridge.media.convert import Change, Converter, Hindrance, Limit, Unconvertible
from smsbridge.media.films import bare_film
from tests.media.pictures import PLACE, spoiled

LIMIT = Limit(bytes=1_200_000, kinds=frozenset({"video/mp4", "video/3gpp"}))


def box(name: bytes, body: bytes = b"", *, is_long: bool = False) -> bytes:
    if is_long:
        return struct.pack(">I4sQ", 1, name, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, name) + body


TRACK = box(b"tkhd", b"a header") + box(b"mdia", box(b"hdlr") + b"how to play it") + box(b"udta", box(b"name", PLACE))
FILM = (
    box(b"ftyp", b"isom\0\0\2\0mp42")
    + box(b"moov", box(b"mvhd", b"a header") + box(b"trak", TRACK) + box(b"udta", box(b"\xa9xyz", PLACE)) + bytes(4))
    + box(b"free", PLACE)
    + box(b"mdat", b"what moves, " * 50, is_long=True)
    + box(b"uuid", b"an XMP packet: " + PLACE)
    + box(b"meta", bytes(4) + box(b"keys", b"location") + box(b"ilst", PLACE))
)


def test_the_place_is_gone_and_nothing_else_has_moved():
    film, had_notes = bare_film(FILM)
    assert had_notes
    assert PLACE in FILM
    assert PLACE not in film
    assert len(film) == len(FILM)
    for kept in (b"mvhda header", b"tkhda header", b"how to play it", b"what moves, " * 50):
        assert film.index(kept) == FILM.index(kept)
    assert bare_film(film) == (film, False)


def test_a_film_without_notes_goes_as_it_was():
    film = box(b"ftyp", b"3gp4") + box(b"moov", box(b"mvhd", b"a header")) + struct.pack(">I4s", 0, b"mdat") + b"moves"
    assert bare_film(film) == (film, False)


@pytest.mark.parametrize(
    "film",
    [
        FILM[:-1],
        FILM + b"more",
        box(b"ftyp") + b"\0\0\0\1mdat\0\0",
        box(b"ftyp") + b"\0\0\0\4mdat",
        box(b"ftyp") + box(b"moov", b"\0\0\1\0mvhd"),
        box(b"ftyp") + b"\0\0\0\1mdat\0\0\0\0\0\0\0\1",
    ],
)
def test_what_is_cut_off_is_not_vouched_for(film):
    with pytest.raises(NotUnderstood):
        bare_film(film)


@pytest.mark.parametrize("names", [(b"moov",), (b"moov", b"trak")])
async def test_boxes_in_boxes_without_end_are_followed_as_far_as_a_film_has_them(names):
    deep = 20_000
    boxes = b"".join(struct.pack(">I4s", 8 * (deep - n), names[n % len(names)]) for n in range(deep))
    sent = await Converter().fit(box(b"ftyp", b"isom\0\0\2\0mp42") + boxes, limit=LIMIT)
    assert len(sent.content.rstrip(b"\0")) < 100


async def test_a_film_reaches_the_carrier_without_its_place_or_not_at_all():
    sent = await Converter().fit(FILM, limit=LIMIT)
    assert (sent.kind, sent.changes) == ("video/mp4", {Change.LOCATION_REMOVED})
    assert sent.content == bare_film(FILM)[0]
    with pytest.raises(Unconvertible) as refusal:
        await Converter().fit(FILM[:-1], limit=LIMIT)
    assert refusal.value.reason is Hindrance.DAMAGED


def test_what_is_spoiled_is_not_understood_or_tells_nothing_more():
    rng = random.Random(1)  # noqa: S311
    understood = 0
    for _ in range(1000):
        try:
            film, _ = bare_film(spoiled(FILM, rng))
        except NotUnderstood:
            continue
        understood += 1
        assert bare_film(film) == (film, False)
    assert 0 < understood < 1000
