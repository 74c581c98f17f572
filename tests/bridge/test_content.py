"""Files that come inside a callback are committed with their text, and reach its owners like any other."""

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import aiohttp
import pytest

from smsbridge.bridge.desk import Publishing
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import Republish
from smsbridge.core.message import Kind, Media, MediaId
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Fault
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.store import media
from smsbridge.store.opening import open_database
from tests.fakes.pictures import KEY, PATH, callback_of
from tests.fakes.waiting import PATIENCE
from tests.fakes.words import english

from .house import ADMIN, ANN, JOHN, OTHERS, OWN, PEER, SHARED, House, inbound, rules
from .test_attachments import LINK, Shelf, drawer, files, media_of, moving, shown  # noqa: F401 - fixtures

LARGE = tiny_jpeg() + bytes(range(256)) * 3000  # more than one row
AMR = b"#!AMR\n" + b"\x3c" * 100


def mms(*contents, text="look", **others):
    files_of = tuple(Media(url="", content=content) for content in contents)
    return inbound(text, kind=Kind.MMS, **others)._replace(media=files_of)


async def contents(house):
    """The bytes that the store has of each attachment, in their order."""
    ids = [MediaId(row["id"]) for row in await house.rows("SELECT id FROM media ORDER BY id")]
    return [await house.store.run(media.content_of, media_id) for media_id in ids]


async def test_what_is_committed_has_all_its_bytes(house):
    await house.take(mms(LARGE, AMR, b""))
    assert await contents(house) == [LARGE, AMR, b""]
    assert await media_of(house) == [("fetched", "")] * 3
    assert await shown(house) == [("text", JOHN, "look")]


@pytest.mark.parametrize("statement", range(1, 13))
async def test_a_kill_while_it_is_taken_leaves_all_of_it_or_nothing(reopen, statement):
    house = await reopen()
    house.store.break_at(statement, of="_take")
    with suppress(StoreUnavailable):
        await house.take(mms(LARGE, AMR))
    await house.kill()
    house = await reopen()
    assert await contents(house) == [LARGE, AMR] if await house.rows("SELECT 1 FROM inbox") else await house.is_empty()
    await house.take(mms(LARGE, AMR))
    assert await contents(house) == [LARGE, AMR]
    assert await shown(house) == [("text", JOHN, "look")]


async def test_it_is_left_like_any_other_and_the_carrier_is_asked_for_nothing(house, files, drawer):  # noqa: F811
    shelf = Shelf(f"{LINK}?1", f"{LINK}?2")
    async with moving(house, files, shelf, drawer) as attachments:
        await house.take(mms(LARGE, AMR))
        await attachments.look()
    assert files.asked == 0
    assert shelf.left == [("image/jpeg", LARGE, "image.jpg"), ("audio/amr", AMR, "audio.amr")]
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, f"{LINK}?1"), ("media", JOHN, f"{LINK}?2")]
    assert await house.rows("SELECT * FROM media_piece") == []


async def test_a_callback_that_is_repeated_brings_nothing_twice_and_one_with_another_file_that(
    house, files, drawer  # noqa: F811
):  # fmt: skip
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(mms(AMR, did=SHARED))
        await house.take(mms(AMR, did=SHARED))
        await attachments.look()
        await house.take(mms(AMR, did=SHARED))
        await attachments.look()
        assert await shown(house) == [
            ("text", JOHN, "look"), ("text", ANN, "look"), ("media", JOHN, LINK), ("media", ANN, LINK),
        ]  # fmt: skip
        await house.take(mms(AMR, tiny_png(), did=SHARED))
        await attachments.look()
    assert [kind for kind, _, _ in await shown(house)] == ["text"] * 2 + ["media"] * 4


async def test_where_files_are_links_one_that_has_none_is_left_all_the_same(house, files, drawer):  # noqa: F811
    async with moving(house, files, Shelf(), drawer) as attachments:
        house.rules = rules(publishing=Publishing(how=Republish.LINK))
        await house.take(mms(AMR))
        await attachments.look()
    assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, LINK)]


async def test_without_any_place_it_waits_a_day_and_its_owner_is_told_without_a_link(
    house, files, drawer  # noqa: F811
):  # fmt: skip
    async with moving(house, files, Shelf(None, None), drawer) as attachments:
        await house.take(mms(AMR))
        await attachments.look()
        assert await contents(house) == [AMR]
        house.ticks.advance(timedelta(hours=25))
        await attachments.look()
    assert await shown(house) == [
        ("text", JOHN, "look"),
        ("text", JOHN, f"(an attachment is not available here: {english(Fault.NOWHERE.words)}.)"),
    ]
    assert await house.rows("SELECT * FROM media_piece") == []


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.REFUSED, Fault.FULL])
async def test_what_nobody_else_has_outlasts_some_days_without_a_server(house, files, drawer, fault):  # noqa: F811
    shelf = Shelf(fault, fault, fault)
    async with moving(house, files, shelf, drawer) as attachments:
        await house.take(mms(AMR))
        for _ in range(3):
            await attachments.look()
            house.ticks.advance(timedelta(days=2))
        await attachments.look()
        assert await shown(house) == [("text", JOHN, "look"), ("media", JOHN, LINK)]


async def test_after_a_week_its_owner_is_told(house, files, drawer):  # noqa: F811
    async with moving(house, files, Shelf(Fault.UNREACHABLE, Fault.UNREACHABLE), drawer) as attachments:
        await house.take(mms(AMR))
        await attachments.look()
        house.ticks.advance(timedelta(days=8))
        await attachments.look()
    assert "not available here" in (await shown(house))[1][2]


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01", b"<html>", b""])
async def test_what_is_no_attachment_is_told_of_at_once(house, files, drawer, content):  # noqa: F811
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(mms(content))
        await attachments.look()
    assert (await shown(house))[1][2] == f"(an attachment is not available here: {english(Fault.KIND.words)}.)"


async def test_how_a_telephone_arranges_its_files_is_shown_to_nobody(house, files, drawer):  # noqa: F811
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(mms(b"<smil><body/></smil>"))
        await attachments.look()
    assert await shown(house) == [("text", JOHN, "look")]


async def test_a_file_for_a_number_that_nobody_has_reaches_the_admins(house, files, drawer):  # noqa: F811
    nobodys = "+15551230009"
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(mms(AMR, did=nobodys))
        await attachments.look()
    (text, file) = await shown(house)
    assert text[:2] == file[:2] == ("notice", ADMIN)
    assert text[2].endswith("look")
    assert file[2] == f"With a text from {PEER} for {nobodys}, which nobody has, came a file: {LINK}"


@pytest.mark.parametrize("commit", ["_publish", "_give_up"])
@pytest.mark.parametrize("statement", [1, 2, 3, 4, 5])
async def test_a_kill_on_its_last_step_costs_nothing_and_tells_nothing_twice(
    reopen, files, tmp_path, commit, statement  # noqa: F811
):  # fmt: skip
    house = await reopen()
    content = AMR if commit == "_publish" else b"\x7fELF"
    async with moving(house, files, Shelf(), Drawer(tmp_path / "media")) as attachments:
        await house.take(mms(content))
        house.store.break_at(statement, of=commit)
        with suppress(StoreUnavailable):
            await attachments.look()
    await house.kill()
    house = await reopen()
    async with moving(house, files, Shelf(), Drawer(tmp_path / "media")) as attachments:
        await attachments.look()
    assert len(await shown(house)) == 2
    assert await media_of(house) == [("published", "")] if commit == "_publish" else [("given_up", "kind")]
    assert await house.rows("SELECT * FROM media_piece") == []


# the whole bridge, as a process that is killed, behind its own door

CONFIG = """\
xmpp:
  jid: sms.example.com
  server: 127.0.0.1:1
  secret: pretended-secret
http:
  listen: 127.0.0.1:0
  internal: null
store:
  url: {store}
providers:
  pictures:
    kind: pictures
    key: {key}
jids:
  {john}: ["{did}"]
"""


@asynccontextmanager
async def living(config, plan=""):
    """The process, and where its door is."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.pictures", str(config), plan),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            said = b""
            while not said.strip().isdigit():
                said = await program.stdout.readline()
                assert said, "it ended"
        yield program, f"http://127.0.0.1:{int(said)}{PATH}?key={KEY}"
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


@pytest.mark.parametrize("plan", ["inbound.taking=kill", "inbound.recorded=kill", "inbound.committed=kill"])
async def test_a_killed_bridge_has_taken_a_text_with_its_files_or_not_at_all(store_url, ticks, tmp_path, plan):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(store=store_url, key=KEY, john=JOHN, did=OWN))
    body = callback_of("7", OWN, PEER, "look", LARGE, AMR)
    async with aiohttp.ClientSession() as session:
        async with living(config, plan) as (program, url):
            with pytest.raises(aiohttp.ClientError):
                await session.post(url, data=body)
            assert await program.wait() < 0
        house = House(await open_database(store_url), ticks, "looking")
        is_taken = bool(await house.rows("SELECT 1 FROM inbox"))
        assert is_taken == (plan == "inbound.committed=kill")
        assert await contents(house) == ([LARGE, AMR] if is_taken else [])
        await house.kill()
        async with living(config) as (_, url), session.post(url, data=body) as answer:
            assert (answer.status, await answer.read()) == (200, b"kept")
    house = House(await open_database(store_url), ticks, "looking again")
    assert len(await house.rows("SELECT 1 FROM inbox")) == 1
    assert await contents(house) == [LARGE, AMR]
    await house.kill()


async def test_a_file_from_another_account_than_that_of_the_number_reaches_the_admins_alone(house, files, drawer):  # noqa: F811
    async with moving(house, files, Shelf(), drawer) as attachments:
        await house.take(mms(AMR, did=OTHERS))  # the line is over another account
        await attachments.look()
    assert {to for _, to, _ in await shown(house)} == {ADMIN}
