"""Where pictures are neither left nor given out anew, they are the carrier's own links."""

import pytest

from smsbridge.sim.ledger import Attachment, Kind
from smsbridge.sim.pictures import tiny_jpeg, tiny_png
from smsbridge.sim.stage import DID, StageConfig

from .cues import curtain, from_

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = (
    Attachment(content_type="image/jpeg", content=tiny_jpeg()),
    Attachment(content_type="image/png", content=tiny_png()),
)


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(media_yaml="  inbound: link\n")


async def test_pictures_follow_their_caption_each_as_the_carriers_link_and_clients_show_it(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    push = await stage.carrier.text_in(peer, DID, "from the beach", kind=Kind.MMS, media=FILES)
    assert (await alice.next(from_(contact))).body == "from the beach"
    for media in push.row.media:
        shown = await alice.next(from_(contact))
        assert shown.body == shown.oob_url == media.url
    assert len(await curtain(stage, alice, peer, DID)) == 1 + len(FILES)
