"""What comes with a text arrives after it, whatever happens on the way, or its owners read why not."""

import asyncio
import contextlib
import errno
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from smsbridge.bridge.attachments import Attachments
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.inbound import Inbound
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Kind
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Fault, NotMoved, open_courier, origin_of
from smsbridge.sim.pictures import tiny_jpeg
from tests.fakes.words import english

from .house import ANN, CARRIER, JOHN, OWN, PEER, SHARED, inbound, rules, with_line

LINK = "https://share.example.com/1/image.jpg"


class Shelf:
    """Takes files, or raises or returns what it is told."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.left = []

    async def leave(self, _id, file, name, *, is_last):
        answer = self.answers.pop(0) if self.answers else LINK
        if isinstance(answer, Fault):
            raise NotMoved(answer)
        self.left.append((file.kind, file.data, name))
        return answer


class Files:
    """A carrier's files, and what became of asking for them."""

    def __init__(self, origin):
        self.origin = origin
        self.status, self.data, self.asked = 200, tiny_jpeg(), 0

    async def answer(self, _request):
        self.asked += 1
        return web.Response(status=self.status, body=self.data)

    def url(self, n=1):
        return f"{self.origin}/{n}"

    def media(self, *numbers):
        return tuple(self.url(n) for n in numbers or (1,))


@pytest.fixture
async def files():
    app, its = web.Application(), Files("")
    app.router.add_get("/{n}", its.answer)
    async with TestServer(app) as server:
        its.origin = origin_of(str(server.make_url("/")))
        yield its


@pytest.fixture
def drawer(tmp_path):
    return Drawer(tmp_path / "media")


@asynccontextmanager
async def moving(house, files, shelf, drawer):
    house.rules = rules(media_places={CARRIER: frozenset({files.origin})})
    async with open_courier([files.origin]) as courier:
        yield Attachments(house.desk, Bell(), courier, shelf, drawer, roll=lambda: 0.0)


async def media_of(house):
    return [(row["state"], row["reason"]) for row in await house.rows("SELECT * FROM media ORDER BY id")]


async def shown(house):
    return [
        (row["kind"], row["to_jid"], row["media_url"] or row["body"])
        for row in await house.rows("SELECT * FROM delivery ORDER BY id")
    ]


async def test_the_text_is_there_at_once_and_the_picture_when_it_is_on_the_shelf(house, files, drawer):
    shelf = Shelf()
    async with moving(house, files, shelf, drawer) as attachments:
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        assert await shown(house) == [("text", JOHN, "look")]
        await attachments.look()
    assert shelf.left == [("image/jpeg", tiny_jpeg(), "image.jpg")]
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, LINK)]
    (row,) = await house.rows("SELECT body, sender FROM delivery WHERE kind = 'media'")
    assert row["body"].startswith(f"image/jpeg {len(tiny_jpeg())} ")
    assert row["sender"] == PEER
    assert await media_of(house) == [("published", "")]


async def test_every_owner_of_the_line_gets_it_once(house, files, drawer):
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("", did=SHARED, kind=Kind.MMS, media=files.media()))
        for _ in range(2):
            await attachments.look()
            await house.take(inbound("", did=SHARED, kind=Kind.MMS, media=files.media()))
    assert await shown(house) == [("media", JOHN, LINK), ("media", ANN, LINK)]


async def test_five_files_come_in_their_order(house, files, drawer):
    links = [f"https://share.example.com/{n}" for n in range(5)]
    async with moving(house, files, Shelf(*links), drawer) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media(1, 2, 3, 4, 5)))
        await attachments.look()
    assert [url for _, _, url in await shown(house)] == links


async def test_what_cannot_be_had_is_tried_for_a_day_and_then_told_of_with_its_link(house, files, drawer):
    files.status = 503
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        await attachments.look()
        assert await media_of(house) == [("wanted", "refused")]
        asked = files.asked
        await attachments.look()
        assert files.asked == asked
        house.ticks.advance(timedelta(hours=23))
        await attachments.look()
        assert await media_of(house) == [("wanted", "refused")]
        house.ticks.advance(timedelta(hours=1))
        await attachments.look()
    assert await media_of(house) == [("given_up", "refused")]
    kind, to, words = (await shown(house))[-1]
    assert (kind, to) == ("text", JOHN)
    assert english(Fault.REFUSED.words) in words
    assert files.url() in words


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("owners", [(ANN,), (ANN, JOHN), ()])
@pytest.mark.parametrize("words", ["look", ""])
async def test_a_picture_is_for_whom_it_came_to_whoever_has_the_number_by_then(
    house, files, drawer, owners, status, words
):
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound(words, kind=Kind.MMS, media=files.media()))
        house.rules = with_line(OWN, owners=owners)
        house.rules = replace(house.rules, media_places={CARRIER: frozenset({files.origin})})
        files.status = status
        await attachments.look()
        house.ticks.advance(timedelta(hours=25))
        await attachments.look()
    *texts, picture = await shown(house)
    assert texts == ([("text", JOHN, words)] if words else [])
    assert picture[:2] == ("media" if status == 200 else "text", JOHN)


@pytest.mark.parametrize("turn", range(1, 12))
@pytest.mark.parametrize("is_fetched_then", [True, False])
async def test_a_reload_in_the_midst_of_a_callback_loses_none(house, turn, is_fetched_then):
    """The store has a thread of its own: the rules may change between two questions of one transaction."""
    url = "https://media.example.com/1"
    fetched = rules(media_places={CARRIER: frozenset({"https://media.example.com"})})
    before, after = (rules(), fetched) if is_fetched_then else (fetched, rules())
    asked = itertools.count(1)
    desk = replace(house.desk, rules=lambda: before if next(asked) < turn else after)
    await Inbound(desk, house.lane).take(CARRIER, [inbound("look", kind=Kind.MMS, media=[url])])
    (its,) = await media_of(house)
    assert (its[0] == "wanted") != (("media", JOHN, url) in await shown(house))


@pytest.mark.parametrize("answers", [(), (Fault.SLOW,)])
async def test_a_clock_that_was_set_back_makes_none_wait_for_it(house, files, drawer, answers):
    """What was taken, or put off, by the clock that went ahead is due long before that time comes again."""
    async with moving(house, files, Shelf(*answers), drawer) as attachments:
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        if answers:
            await attachments.look()
        house.ticks.now -= timedelta(hours=1)
        await attachments.look()
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, LINK)]


async def test_one_that_is_late_holds_back_nothing(house, files, drawer):
    async with moving(house, files, Shelf(Fault.SLOW), drawer) as attachments:
        await house.take(inbound("one", kind=Kind.MMS, media=files.media(1)))
        await house.take(inbound("two", pid="2", kind=Kind.MMS, media=files.media(2)))
        await attachments.look()
    assert await shown(house) == [("text", JOHN, "one"), ("text", JOHN, "two"), ("media", JOHN, LINK)]


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x01", b"<html>"])
async def test_what_is_no_attachment_is_told_of_at_once(house, files, drawer, data):
    files.data = data
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media()))
        await attachments.look()
    assert await media_of(house) == [("given_up", "kind")]
    assert english(Fault.KIND.words) in (await shown(house))[-1][2]


async def test_a_place_that_is_not_the_carriers_is_not_called(house, files, drawer):
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=("https://elsewhere.example.com/1",)))
        await attachments.look()
    assert await media_of(house) == [("given_up", "place")]
    assert files.asked == 0


async def test_how_a_telephone_arranges_its_files_is_shown_to_nobody(house, files, drawer):
    files.data = b"<smil><body/></smil>"
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        await attachments.look()
    assert await media_of(house) == [("given_up", "layout")]
    assert await shown(house) == [("text", JOHN, "look")]


async def test_what_was_fetched_is_kept_until_the_shelf_takes_it_though_the_carrier_has_it_no_more(
    reopen, files, tmp_path
):
    house = await reopen()
    async with moving(house, files, Shelf(Fault.UNREACHABLE), Drawer(tmp_path / "media")) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media()))
        await attachments.look()
    assert await media_of(house) == [("fetched", "unreachable")]
    (kept,) = (tmp_path / "media").iterdir()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    files.status = 404
    house, shelf = await reopen(), Shelf()
    house.ticks.advance(timedelta(hours=1))
    async with moving(house, files, shelf, Drawer(tmp_path / "media")) as attachments:
        await attachments.look()
    assert shelf.left == [("image/jpeg", tiny_jpeg(), "image.jpg")]
    assert await shown(house) == [("media", JOHN, LINK)]
    assert list((tmp_path / "media").iterdir()) == []


@pytest.mark.parametrize("commit", ["fetched", "_publish"])
@pytest.mark.parametrize("statement", [1, 2, 3])
async def test_a_kill_on_the_way_costs_no_picture_and_shows_none_twice(reopen, files, tmp_path, commit, statement):
    house, shelf, drawer = await reopen(), Shelf(), Drawer(tmp_path / "media")
    async with moving(house, files, shelf, drawer) as attachments:
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        house.store.break_at(statement, of=commit)
        with contextlib.suppress(StoreUnavailable):  # `fetched` has two statements
            await attachments.look()
    await house.kill()
    house = await reopen()
    async with moving(house, files, shelf, Drawer(tmp_path / "media")) as attachments:
        await attachments.look()
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, LINK)]
    assert await media_of(house) == [("published", "")]


async def test_where_there_is_no_shelf_the_carriers_link_is_passed_on(house, files, drawer):
    async with moving(house, files, Shelf(None), drawer) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media()))
        await attachments.look()
    assert await shown(house) == [("media", JOHN, files.url())]


async def test_a_fault_of_the_store_loses_no_picture_and_shows_none_twice(house, files, drawer):
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media()))
        house.store.lose_answers(1, of="_publish")
        with pytest.raises(StoreUnavailable):
            await attachments.look()
        await attachments.look()
    assert await shown(house) == [("media", JOHN, LINK)]


async def test_a_full_drawer_makes_them_wait(house, files, tmp_path):
    async with moving(house, files, Shelf(), Drawer(tmp_path / "media", most=10)) as attachments:
        await house.take(inbound("", kind=Kind.MMS, media=files.media()))
        await attachments.look()
    assert await media_of(house) == [("wanted", "full")]


class LastBell:
    """Ends the loop where it would wait."""

    async def wait(self, _seconds):
        raise asyncio.CancelledError


async def test_a_drawer_that_cannot_be_opened_ends_nothing_and_what_goes_into_it_waits(house, files, drawer, tmp_path):
    (tmp_path / "media").write_bytes(b"no directory")
    async with moving(house, files, Shelf(), drawer) as attachments:
        attachments._bell = LastBell()
        await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
        for _ in range(2):
            with pytest.raises(asyncio.CancelledError):
                await attachments.run()
            assert await media_of(house) == [("wanted", "full")]
            house.ticks.advance(timedelta(minutes=1))
        house.ticks.advance(timedelta(hours=25))
        with pytest.raises(asyncio.CancelledError):
            await attachments.run()
    _, (kind, to, words) = await shown(house)
    assert (kind, to) == ("text", JOHN)
    assert files.url() in words


async def test_a_file_that_cannot_be_dropped_ends_nothing(house, files, drawer, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    async with moving(house, files, Shelf(), drawer) as attachments:
        attachments._bell = LastBell()
        await house.take(inbound("look", kind=Kind.MMS, media=files.media(1, 2)))
        monkeypatch.setattr(Path, "unlink", fail)
        with pytest.raises(asyncio.CancelledError):
            await attachments.run()
    assert await shown(house) == [("text", JOHN, "look"), *[("media", JOHN, LINK)] * 2]


async def test_what_nobody_wants_any_more_is_thrown_away(tmp_path):
    (tmp_path / "media").mkdir()
    for name in ("a", "b", "c.new"):
        (tmp_path / "media" / name).write_bytes(b"x")
    await Drawer(tmp_path / "media").drop_others({"b"})
    assert [one.name for one in (tmp_path / "media").iterdir()] == ["b"]


async def test_without_a_place_to_fetch_from_a_picture_is_its_link_at_once(house, files):
    await house.take(inbound("look", kind=Kind.MMS, media=files.media()))
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, files.url())]
    assert files.asked == 0
