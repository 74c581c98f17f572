"""Alice sends photos as telephones make them: the carrier gets what it passes, and never where they were taken."""

import pytest

from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, StageConfig
from smsbridge.sim.uploading import out_of_band, upload
from tests.media.pictures import PLACE, XMP, look, moving, noted, png, scene, written
from tests.media.test_films import FILM

from .cues import from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID,)})


async def send(stage, alice, peer, data, name, *, is_told):
    """What the carrier then has, and what Alice is told."""
    contact = stage.contact(peer)
    url = await upload(alice, data, name)
    written_ = await alice.send_text(contact, url, extra=out_of_band([url]))
    told = (await alice.next(from_(contact))).body if is_told else ""
    await alice.next(receipt_for(written_))
    [row] = [row for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]
    return row, told


def shown(row):
    """The one picture that the carrier has, with nothing in it that is not to be seen."""
    [item] = row.media
    assert item.content_type == "image/jpeg"
    assert len(item.content) <= 600_000
    picture = look(item.content)
    assert dict(picture.getexif()) == {}
    for mark in (b"Exif", b"xmpmeta", b"Example Phones", PLACE):
        assert mark not in item.content
    return picture


async def test_a_photo_of_twelve_megapixels_arrives_small_upright_and_without_its_place(stage, login, peer):
    photo = written(scene(4000, 3000), "JPEG", quality=95, exif=noted(6), xmp=XMP)
    assert len(photo) > 2_000_000
    row, told = await send(stage, await login("alice"), peer, photo, "IMG_0042.JPG", is_told=True)
    picture = shown(row)
    assert picture.width < picture.height
    assert picture.height >= 1600
    assert "smaller" in told


async def test_a_photo_as_iphones_make_them_arrives_as_a_jpeg(stage, login, peer):
    photo = written(scene(1200, 900), "HEIF", exif=noted())
    row, told = await send(stage, await login("alice"), peer, photo, "IMG_0043.HEIC", is_told=True)
    assert shown(row).size == (1200, 900)
    assert "format" in told


async def test_a_small_photo_loses_its_place_and_nothing_is_said(stage, login, peer):
    photo = written(scene(320, 240), "JPEG", exif=noted())
    row, _ = await send(stage, await login("alice"), peer, photo, "small.jpg", is_told=False)
    assert shown(row).size == (320, 240)


async def test_what_moves_arrives_moving(stage, login, peer):
    row, _ = await send(stage, await login("alice"), peer, moving(10), "dance.gif", is_told=False)
    [item] = row.media
    assert (item.content_type, look(item.content).n_frames) == ("image/gif", 10)


async def test_a_film_arrives_without_its_place(stage, login, peer):
    row, _ = await send(stage, await login("alice"), peer, FILM, "film.mp4", is_told=False)
    [item] = row.media
    assert (item.content_type, len(item.content), PLACE in item.content) == ("video/mp4", len(FILM), False)


async def test_a_bomb_goes_as_its_link_and_she_is_told_why(stage, login, peer):
    row, told = await send(stage, await login("alice"), peer, png(50_000, 50_000), "bomb.png", is_told=True)
    assert row.media == ()
    assert "memory" in told
