"""A picture without what is noted in it, the picture untouched."""

import random
import struct

import pytest
from PIL import Image, ImageChops

from smsbridge.media.bare import NotUnderstood, bare, turned
from smsbridge.media.kinds import kind_of
from tests.media.pictures import PLACE, XMP, chunk, look, moving, noted, png, scene, spoiled, written

SCENE = scene(96, 64)
FILES: dict[str, bytes] = {
    "baseline": written(SCENE, "JPEG", exif=noted(), xmp=XMP, comment=PLACE, icc_profile=b"a profile"),
    "progressive": written(SCENE, "JPEG", progressive=True, exif=noted(), comment=PLACE),
    "cmyk": written(SCENE.convert("CMYK"), "JPEG", exif=noted()),
    "restarting": written(SCENE, "JPEG", restart_marker_blocks=2, exif=noted()),
    "several": written(SCENE, "MPO", save_all=True, append_images=[SCENE], exif=noted()),
    "png": written(SCENE, "PNG", exif=noted()),
    "palette": written(SCENE.quantize(16), "PNG", exif=noted()),
    "gif": written(SCENE, "GIF", comment=PLACE),
    "moving": moving(5),
    "webp": written(SCENE, "WEBP", exif=noted(), xmp=XMP),
    "lossless": written(SCENE.convert("RGBA"), "WEBP", lossless=True, exif=noted(), xmp=XMP),
}


@pytest.mark.parametrize("name", FILES)
def test_the_notes_are_gone_and_every_pixel_is_there(name):
    content = FILES[name]
    assert b"45 deg" in content
    found = bare(kind_of(content), content)
    assert found.had_notes
    for mark in (b"45 deg", b"Exif", b"EXIF", b"XMP", b"xmpmeta", b"Example Phones"):
        assert mark not in found.content
    before, after = look(content), look(found.content)
    assert (found.width, found.height) == after.size == before.size
    for frame in range(getattr(after, "n_frames", 1)):
        before.seek(frame)
        after.seek(frame)
        assert before.mode == after.mode
        assert ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox() is None
    again = bare(kind_of(found.content), found.content)
    assert (again.content, again.had_notes) == (found.content, False)


def test_colours_keep_their_meaning():
    assert look(bare("image/jpeg", FILES["baseline"]).content).info["icc_profile"] == b"a profile"


def test_what_stands_behind_the_end_of_a_picture_is_gone():
    for name, content in FILES.items():
        kind = kind_of(content)
        assert bare(kind, content + b"\xff\xe1 a film, and " + PLACE).content == bare(kind, content).content, name


def test_the_thumbnail_that_jfif_may_hold_is_gone():
    plain = written(SCENE, "JPEG")
    assert plain[2:4] == b"\xff\xe0"
    body = plain[6:18] + b"\x08\x08" + PLACE.ljust(192)
    stuffed = plain[:2] + b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body + plain[20:]
    assert bare("image/jpeg", stuffed).content == plain


def test_a_png_is_left_only_with_what_draws_it():
    told = png(8, 8, (b"tEXt", b"Comment\0" + PLACE), (b"prVt", PLACE), (b"gAMA", bytes((0, 0, 0xB1, 0x8F))))
    found = bare("image/png", told)
    assert found.content == png(8, 8, (b"gAMA", bytes((0, 0, 0xB1, 0x8F))))
    assert found.had_notes


def test_a_gif_keeps_how_often_it_turns_and_no_other_application_has_a_say():
    film = moving(3)
    at = film.index(b"\x21\xff\x0bNETSCAPE2.0")
    told = film[:at] + b"\x21\xff\x0bXMP DataXMP" + bytes((len(XMP),)) + XMP + b"\0" + film[at:]
    assert bare("image/gif", told).content == bare("image/gif", film).content
    assert b"NETSCAPE2.0" in bare("image/gif", film).content
    assert bare("image/gif", film).is_animated


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_which_way_up_it_is_is_known(form, orientation):
    content = written(SCENE, form, exif=noted(orientation))
    assert bare(kind_of(content), content).orientation == orientation


def test_a_jpeg_may_say_which_way_up_it_is_and_nothing_else():
    content = written(SCENE, "JPEG", exif=noted(6))
    said = turned(bare("image/jpeg", content).content, 6)
    assert dict(look(said).getexif()) == {0x0112: 6}
    assert bare("image/jpeg", said).orientation == 6


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image/heic", b"\0\0\0\x18ftypheic"),
        ("image/jpeg", b"\xff\xd8\xff\xd9"),
        ("image/jpeg", b"\xff\xd8\xff\x01\0\2\xff\xd9"),
        ("image/png", b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b"")),
        ("image/png", png(8, 8, (b"CRit", b"who knows"))),
        ("image/png", png(0, 8)),
        ("image/gif", b"GIF89a\1\0\1\0\0\0\0;"),
        ("image/gif", b"GIF89a\1\0\1\0\0\0\0\x21\x01\0;"),
        ("image/webp", written(Image.new("RGB", (8, 8)), "WEBP", save_all=True, append_images=[SCENE.resize((8, 8))])),
    ],
)
def test_what_is_not_known_is_not_vouched_for(kind, content):
    with pytest.raises(NotUnderstood):
        bare(kind, content)


@pytest.mark.parametrize("name", FILES)
def test_what_is_spoiled_is_not_understood_or_is_bare_all_the_same(name):
    rng = random.Random(name)  # noqa: S311
    understood = 0
    for _ in range(400):
        content = spoiled(FILES[name], rng)
        try:
            found = bare(kind_of(content), content)
        except NotUnderstood:
            continue
        understood += 1
        assert bare(kind_of(found.content), found.content).content == found.content
        assert len(found.content) <= len(content)
    assert understood < 400
