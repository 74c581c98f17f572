"""What becomes of an attachment before a carrier has it."""

import pytest
from PIL import Image, ImageChops

from smsbridge.media.convert import Change, Converted, Converter, Hindrance, Limit, Unconvertible
from tests.media.pictures import PLACE, XMP, look, moving, noted, scene, written

CARRIER = Limit(bytes=1_200_000, kinds=frozenset({"image/jpeg", "image/png", "image/gif", "video/mp4", "audio/mpeg"}))
PHOTO = scene(4000, 3000)
FILM = b"\0\0\0\x14ftypisom\0\0\0\0mp42"


async def fit(content: bytes, limit: Limit = CARRIER) -> Converted:
    return await Converter().fit(content, limit=limit)


async def unfit(content: bytes, limit: Limit = CARRIER) -> Hindrance:
    with pytest.raises(Unconvertible) as refusal:
        await fit(content, limit)
    return refusal.value.reason


async def test_a_large_photo_becomes_a_jpeg_that_carriers_pass_and_says_not_where_it_was_taken():
    taken = written(PHOTO, "JPEG", quality=95, exif=noted(), xmp=XMP, comment=PLACE)
    assert len(taken) > 2_000_000
    sent = await fit(taken)
    assert (sent.kind, len(sent.content) <= 600_000) == ("image/jpeg", True)
    assert sent.changes == {Change.SHRUNK, Change.RECODED, Change.LOCATION_REMOVED}
    shown = look(sent.content)
    assert shown.size == (sent.width, sent.height)
    assert max(shown.size) >= 1600
    assert (dict(shown.getexif()), set(shown.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}) == (
        {},
        set(),
    )
    assert PLACE not in sent.content


@pytest.mark.parametrize(
    ("form", "changes"),
    [("WEBP", set()), ("AVIF", set()), ("HEIF", set()), ("BMP", set()), ("TIFF", set()), ("PNG", {Change.SHRUNK})],
)
async def test_what_a_carrier_does_not_take_becomes_a_jpeg(form, changes):
    sent = await fit(written(scene(900, 640), form), Limit(bytes=600_000, kinds={"image/jpeg"}))
    assert (sent.kind, sent.width, sent.height) == ("image/jpeg", 900, 640)
    assert sent.changes - {Change.SHRUNK} == {Change.RECODED}
    assert colours_of(sent.content) == ["red", "blue"]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
async def test_a_photo_that_lies_on_its_side_is_put_upright(form, orientation):
    stored = scene(64, 48)
    back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    back[8] = Image.Transpose.ROTATE_270
    if orientation != 1:
        stored = stored.transpose(back[orientation])
    sent = await fit(written(stored, form, exif=noted(orientation)))
    assert (sent.width, sent.height) == (64, 48)
    assert colours_of(sent.content) == ["red", "blue"]
    assert Change.LOCATION_REMOVED in sent.changes
    assert (dict(look(sent.content).getexif()), PLACE in sent.content) == ({}, False)


def colours_of(content: bytes) -> list[str]:
    """At the top and at the bottom."""
    shown = look(content).convert("RGB")
    found = [shown.getpixel((shown.width // 2, y)) for y in (shown.height // 10, shown.height - shown.height // 10)]
    return ["red" if red > 180 and blue < 80 else "blue" if blue > 180 and red < 80 else "?" for red, _, blue in found]


async def test_a_small_photo_loses_its_place_and_not_a_pixel():
    for form in ("JPEG", "PNG"):
        taken = written(scene(320, 240), form, exif=noted())
        sent = await fit(taken)
        assert sent.changes == {Change.LOCATION_REMOVED}
        assert ImageChops.difference(look(taken), look(sent.content)).getbbox() is None


async def test_what_shows_through_is_white():
    drawn = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    drawn.paste((255, 0, 0, 255), (0, 0, 60, 10))
    for image in (drawn, drawn.quantize(8), drawn.convert("LA")):
        sent = await fit(written(image, "PNG"), Limit(bytes=600_000, kinds={"image/jpeg"}))
        assert look(sent.content).getpixel((30, 30)) == (255, 255, 255)


async def test_what_moves_goes_on_moving_if_it_fits_and_stands_still_if_not():
    film = moving(20)
    sent = await fit(film)
    assert (sent.kind, look(sent.content).n_frames, sent.changes) == ("image/gif", 20, {Change.LOCATION_REMOVED})
    still = await fit(film, Limit(bytes=len(film) // 2, kinds=CARRIER.kinds))
    assert (still.kind, {Change.FIRST_FRAME_ONLY, Change.RECODED} <= still.changes) == ("image/jpeg", True)


async def test_sound_and_film_go_as_they_are_or_not_at_all():
    assert await fit(FILM) == Converted(content=FILM, kind="video/mp4")
    assert await unfit(FILM + bytes(CARRIER.bytes)) is Hindrance.LARGE
    assert await unfit(b"OggS\0") is Hindrance.KIND
    assert await unfit(b"\x7fELF") is Hindrance.KIND


async def test_what_is_damaged_is_refused_and_what_is_no_picture_as_well():
    assert await unfit(written(PHOTO, "JPEG")[:400_000]) is Hindrance.DAMAGED
    assert await unfit(b"\xff\xd8\xff" + b"not a picture" * 100) is Hindrance.DAMAGED


async def test_what_fits_in_no_size_is_refused():
    assert await unfit(written(scene(600, 400), "JPEG"), Limit(bytes=700, kinds={"image/jpeg"})) is Hindrance.LARGE


async def test_what_takes_too_long_is_given_up_and_its_child_is_gone():
    with pytest.raises(Unconvertible) as refusal:
        await Converter(seconds=0.05).fit(written(PHOTO, "JPEG"), limit=CARRIER)
    assert refusal.value.reason is Hindrance.SLOW
