"""Pictures, voice memos and films of a friend are had at the bridge's own door, by whoever was given the link."""

import re

import aiohttp
import pytest

from smsbridge.sim.ledger import Attachment, Kind
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, LOOPBACK, StageConfig

from .cues import bodies_from, curtain, from_

pytestmark = pytest.mark.asyncio(loop_scope="module")

METADATA = "urn:xmpp:file:metadata:0"
FILM = b"\0\0\0\x18ftyp3gp5\0\0\0\0isom" + bytes(500)
FILES = (
    Attachment(content_type="image/jpeg", content=tiny_jpeg()),
    Attachment(content_type="audio/amr", content=b"#!AMR\n" + b"\x3c" * 400),
    Attachment(content_type="audio/amr-wb", content=b"#!AMR-WB\n" + b"\x44" * 400),
    Attachment(content_type="video/3gpp", content=FILM),
    Attachment(content_type="image/png", content=tiny_png()),
)
NAMES = ("image.jpg", "audio.amr", "audio.awb", "video.3gp", "image.png")


@pytest.fixture(scope="module")
def stage_config():
    port = free_port()
    return StageConfig(
        public_port=port,
        http_yaml=f"  public_url: http://{LOOPBACK}:{port}\n",
        media_yaml="  inbound: serve\n",
    )


async def test_five_files_follow_their_caption_each_as_a_message_that_is_its_link(stage, login, http, peer):
    alice = await login("alice")
    await stage.carrier.text_in(peer, DID, "from the beach", kind=Kind.MMS, media=FILES)
    assert (await alice.next(from_(stage.contact(peer)))).body == "from the beach"
    for file, name in zip(FILES, NAMES, strict=True):
        shown = await alice.next(from_(stage.contact(peer)))
        assert shown.body == shown.oob_url
        port = stage.service.web.public_port
        assert re.fullmatch(rf"http://{LOOPBACK}:{port}/media/[A-Za-z0-9_-]{{32}}/{re.escape(name)}", shown.oob_url)
        told = {child.tag: child.text for child in shown.element.iter() if child.tag.startswith(f"{{{METADATA}}}")}
        assert told[f"{{{METADATA}}}media-type"] == file.content_type
        assert told[f"{{{METADATA}}}name"] == name
        async with http.get(shown.oob_url) as answer:
            assert answer.status == 200
            assert answer.content_type == file.content_type
            assert await answer.read() == file.content
    assert len(await curtain(stage, alice, peer, DID)) == 1 + len(FILES)


async def test_a_link_outlives_the_bridge_and_the_text_is_shown_once(stage, login, http, peer):
    alice = await login("alice")
    await stage.carrier.text_in(peer, DID, "", kind=Kind.MMS, media=FILES[:1])
    link = (await alice.next(from_(stage.contact(peer)))).oob_url
    await stage.stop_bridge()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(link)
    await stage.start_bridge()
    async with http.get(link, headers={"Range": "bytes=0-1"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"\xff\xd8")
    await curtain(stage, alice, peer, DID)
    assert bodies_from(alice, stage.contact(peer)).count(link) == 1
    for file in (stage.directory / "bridge.db.served").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert link.split("/")[4] not in str(file)
