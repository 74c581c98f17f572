"""A telephone's photo becomes one that fits into a card."""

import io

from PIL import Image

from smsbridge.contacts_room import shrinking
from smsbridge.core.faces import LARGEST_PICTURE


async def test_a_large_photo_becomes_a_small_jpeg_and_what_is_none_is_left_out():
    shrink, large = shrinking(), io.BytesIO()
    Image.effect_noise((900, 1200), 80).convert("RGB").save(large, "PNG")
    assert len(large.getvalue()) > LARGEST_PICTURE
    small = await shrink(large.getvalue())
    assert small.kind == "image/jpeg"
    assert len(small.data) <= LARGEST_PICTURE
    with Image.open(io.BytesIO(small.data)) as picture:
        assert picture.width * picture.height <= 320 * 320
    assert await shrink(large.getvalue()[:1000]) is None


async def test_without_what_makes_pictures_small_large_ones_are_left_out(monkeypatch):
    monkeypatch.setattr("smsbridge.contacts_room.can_convert", lambda: False)
    assert await shrinking()(b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_PICTURE)) is None
