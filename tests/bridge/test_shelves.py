"""Where a file is left, and for how long it is to be had."""

import asyncio
import contextlib
import re
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smsbridge.bridge.desk import Publishing
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.shelves import BELIEVED, DOUBTED, OwnShelf, Shelves, TriedShelf
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import Republish
from smsbridge.core.message import Kind, MediaId
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Fault, File, NotMoved
from smsbridge.sim.pictures import tiny_jpeg

from .house import JOHN, inbound, rules
from .test_attachments import files, media_of, moving, shown  # noqa: F401 - a fixture

URL = "https://sms.example.com"
LINK = re.compile(re.escape(URL) + r"/media/([A-Za-z0-9_-]{32})/image\.jpg")
SERVE = Publishing(how=Republish.SERVE, public_url=URL, serve_for=timedelta(days=7))
PICTURE = File("image/jpeg", tiny_jpeg())
FIRST, SECOND = (MediaId(f"0190a000-0000-7000-8000-00000000000{n}") for n in (1, 2))


def own_shelf(house, tmp_path, how=SERVE, *, has_room=lambda: True, most=10**6):
    house.rules = rules(publishing=how)
    return OwnShelf(house.desk, Drawer(tmp_path / "served", most), has_room)


def names(tmp_path):
    return sorted(one.name for one in (tmp_path / "served").iterdir())


async def found(shelf, link):
    one = await shelf.find(LINK.fullmatch(link)[1])
    return one and (one.path.read_bytes(), one.name, one.kind)


def refusing(fault):
    async def leave(_id, _file, _name):
        raise NotMoved(fault)

    return leave


def answering(link):
    async def leave(_id, _file, _name):
        return link

    return leave


async def test_whoever_has_the_link_has_the_file_and_the_token_is_written_nowhere(house, tmp_path):
    shelf = own_shelf(house, tmp_path)
    link = await shelf.leave(FIRST, PICTURE, "image.jpg")
    assert await found(shelf, link) == (tiny_jpeg(), "image.jpg", "image/jpeg")
    token = LINK.fullmatch(link)[1]
    (row,) = await house.rows("SELECT * FROM served")
    assert token not in str(row)
    assert token not in str(names(tmp_path))
    for other in (token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), token.swapcase(), "", row["token"]):
        assert await shelf.find(other) is None
    assert await shelf.leave(SECOND, PICTURE, "image.jpg") != link


async def test_a_link_lasts_its_days_and_then_the_janitor_throws_the_bytes_away(house, tmp_path):
    shelf = own_shelf(house, tmp_path)
    link = await shelf.leave(FIRST, PICTURE, "image.jpg")
    house.ticks.advance(timedelta(days=6))
    later = await shelf.leave(SECOND, PICTURE, "image.jpg")
    house.ticks.advance(timedelta(days=1) - timedelta(seconds=1))
    assert await found(shelf, link)
    house.ticks.advance(timedelta(seconds=1))
    assert await found(shelf, link) is None
    assert names(tmp_path) == [FIRST, SECOND]
    await Janitor(house.desk, shelf.forget).forget()
    assert names(tmp_path) == [SECOND]
    assert [row["id"] for row in await house.rows("SELECT id FROM served")] == [SECOND]
    assert await found(shelf, later)


async def test_many_are_forgotten_in_one_round(house, tmp_path, monkeypatch):
    monkeypatch.setattr("smsbridge.store.served.SLICE", 2)
    shelf = own_shelf(house, tmp_path)
    for n in range(5):
        await shelf.leave(MediaId(f"0190a000-0000-7000-8000-00000000001{n}"), PICTURE, "image.jpg")
    house.ticks.advance(timedelta(days=8))
    await shelf.forget()
    assert names(tmp_path) == []


async def test_a_link_outlives_the_bridge(reopen, tmp_path):
    house = await reopen()
    link = await own_shelf(house, tmp_path).leave(FIRST, PICTURE, "image.jpg")
    await house.kill()
    house = await reopen()
    assert await found(own_shelf(house, tmp_path), link)


async def test_a_file_whose_row_was_not_committed_is_thrown_away_and_no_other(house, tmp_path):
    shelf = own_shelf(house, tmp_path)
    link = await shelf.leave(FIRST, PICTURE, "image.jpg")
    house.store.refuse(1, of="put")
    with pytest.raises(StoreUnavailable):
        await shelf.leave(SECOND, PICTURE, "image.jpg")
    assert names(tmp_path) == [FIRST, SECOND]
    await shelf.forget()
    assert names(tmp_path) == [FIRST]
    assert await found(shelf, link)


async def test_a_file_that_is_being_left_is_not_taken_for_a_leftover(house, tmp_path):
    shelf = own_shelf(house, tmp_path)
    links = await asyncio.gather(
        *(shelf.leave(MediaId(f"0190a000-0000-7000-8000-00000000001{n}"), PICTURE, "image.jpg") for n in range(5)),
        *(shelf.forget() for _ in range(5)),
    )
    assert all([await found(shelf, link) for link in links[:5]])


async def test_nothing_is_kept_where_the_disk_or_the_drawer_is_short_of_room(house, tmp_path):
    for shelf in (own_shelf(house, tmp_path, has_room=lambda: False), own_shelf(house, tmp_path, most=10)):
        with pytest.raises(NotMoved) as refusal:
            await shelf.leave(FIRST, PICTURE, "image.jpg")
        assert refusal.value.fault is Fault.FULL
    assert await house.rows("SELECT * FROM served") == []


async def test_many_small_files_fill_a_drawer_as_well(house, tmp_path):
    shelf = own_shelf(house, tmp_path, most=2 * 64 * 1024)
    for media_id in (FIRST, SECOND):
        await shelf.leave(media_id, File("text/plain", b"x"), "text.txt")
    with pytest.raises(NotMoved):
        await shelf.leave(MediaId("0190a000-0000-7000-8000-000000000003"), File("text/plain", b"x"), "text.txt")


@pytest.mark.parametrize(
    ("how", "upload", "public_url", "is_last", "outcome"),
    [
        (Republish.UPLOAD, answering("theirs"), URL, False, "theirs"),
        (Republish.UPLOAD, answering(None), URL, False, "ours"),
        (Republish.UPLOAD, answering(None), None, False, None),
        (Republish.UPLOAD, refusing(Fault.LARGE), URL, False, "ours"),
        (Republish.UPLOAD, refusing(Fault.LARGE), None, False, Fault.LARGE),
        (Republish.UPLOAD, refusing(Fault.UNREACHABLE), URL, False, Fault.UNREACHABLE),
        (Republish.UPLOAD, refusing(Fault.UNREACHABLE), URL, True, "ours"),
        (Republish.UPLOAD, refusing(Fault.UNREACHABLE), None, True, Fault.UNREACHABLE),
        (Republish.SERVE, answering("theirs"), URL, False, "ours"),
        (Republish.LINK, answering("theirs"), URL, False, "theirs"),
        (Republish.LINK, answering(None), URL, False, "ours"),
    ],
)
async def test_the_shelf_of_choice_comes_first_and_ours_where_that_fails_for_good(
    house, tmp_path, how, upload, public_url, is_last, outcome
):
    own = own_shelf(house, tmp_path, Publishing(how=how, public_url=public_url))
    shelves = Shelves(lambda: house.rules.publishing.how, upload=upload, own=own.leave)
    try:
        left = await shelves.leave(FIRST, PICTURE, "image.jpg", is_last=is_last)
    except NotMoved as refusal:
        left = refusal.fault
    assert ("ours" if isinstance(left, str) and LINK.fullmatch(left) else left) == outcome


@pytest.mark.parametrize("commit", ["fetched", "put", "_publish"])
@pytest.mark.parametrize("statement", [1, 2, 3])
async def test_a_kill_on_the_way_to_our_own_shelf_leaves_one_picture_and_one_link(
    reopen, files, tmp_path, commit, statement  # noqa: F811
):  # fmt: skip
    house, drawer = await reopen(), Drawer(tmp_path / "media")
    own = own_shelf(house, tmp_path)
    shelves = Shelves(lambda: Republish.SERVE, upload=answering(None), own=own.leave)
    async with moving(house, files, shelves, drawer) as attachments:
        house.rules = rules(media_places=house.rules.media_places, publishing=SERVE)
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        house.store.break_at(statement, of=commit)
        with contextlib.suppress(StoreUnavailable):
            await attachments.look()
    await house.kill()
    house = await reopen()
    own = own_shelf(house, tmp_path)
    shelves = Shelves(lambda: Republish.SERVE, upload=answering(None), own=own.leave)
    async with moving(house, files, shelves, drawer) as attachments:
        house.rules = rules(media_places=house.rules.media_places, publishing=SERVE)
        await attachments.look()
    await own.forget()
    (text, (kind, to, link)) = await shown(house)
    assert text == ("text", JOHN, "look")
    assert (kind, to) == ("media", JOHN)
    assert await found(own, link) == (tiny_jpeg(), "image.jpg", "image/jpeg")
    assert len(names(tmp_path)) == 1
    assert await media_of(house) == [("published", "")]


class Outside:
    """What fetches links from outside, as long as it is let in."""

    def __init__(self, shelf):
        self.shelf = shelf
        self.fault = None
        self.other = None
        self.tried = []

    async def get(self, link):
        self.tried.append(link)
        if self.fault is not None:
            raise NotMoved(self.fault)
        data, _, kind = await found(self.shelf, link)
        return self.other or File(kind, data)


async def test_our_own_door_is_tried_now_and_then_by_the_link_itself(house, tmp_path):
    own = own_shelf(house, tmp_path, Publishing(public_url=URL))
    outside = Outside(own)
    tried = TriedShelf(house.desk, own, outside.get)
    links = [await tried.leave(FIRST, PICTURE, "image.jpg") for _ in range(3)]
    assert outside.tried == links[:1]
    house.ticks.advance(timedelta(seconds=BELIEVED))
    links.append(await tried.leave(FIRST, PICTURE, "image.jpg"))
    assert outside.tried == [links[0], links[3]]


@pytest.mark.parametrize(
    "obstacle", [{"fault": Fault.GONE}, {"fault": Fault.ADDRESS}, {"other": File("text/plain", b"hello")}]
)
async def test_a_link_that_does_not_lead_here_is_given_to_nobody_who_did_not_ask_for_it(house, tmp_path, obstacle):
    own = own_shelf(house, tmp_path, Publishing(public_url=URL))
    outside = Outside(own)
    tried = TriedShelf(house.desk, own, outside.get)
    for name, value in obstacle.items():
        setattr(outside, name, value)
    assert [await tried.leave(FIRST, PICTURE, "image.jpg") for _ in range(2)] == [None, None]
    assert len(outside.tried) == 1
    await own.forget()
    assert names(tmp_path) == []
    outside.fault = outside.other = None
    house.ticks.advance(timedelta(seconds=DOUBTED))
    assert await found(own, await tried.leave(FIRST, PICTURE, "image.jpg"))


async def test_a_link_that_was_asked_for_is_given_out_and_the_journal_tells_that_it_does_not_lead_here(
    house, tmp_path
):  # fmt: skip
    own = own_shelf(house, tmp_path)
    outside = Outside(own)
    outside.fault = Fault.GONE
    tried = TriedShelf(house.desk, own, outside.get)
    link = await tried.leave(FIRST, PICTURE, "image.jpg")
    await tried.leave(SECOND, PICTURE, "image.jpg")
    assert await found(own, link)
    house.ticks.advance(timedelta(seconds=DOUBTED))
    await tried.leave(SECOND, PICTURE, "image.jpg")
    assert len(outside.tried) == 2
    with capture_logs() as told:
        again = TriedShelf(house.desk, own, outside.get)
        for _ in range(2):
            await again.leave(SECOND, PICTURE, "image.jpg")
    assert [(line["event"], line["why"]) for line in told] == [("own_door_missed", "gone")]


async def test_without_an_address_there_is_no_door_to_try(house, tmp_path):
    own = own_shelf(house, tmp_path, Publishing())
    outside = Outside(own)
    assert await TriedShelf(house.desk, own, outside.get).leave(FIRST, PICTURE, "image.jpg") is None
    assert outside.tried == []
