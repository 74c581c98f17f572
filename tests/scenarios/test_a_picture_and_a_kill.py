"""A kill on the way of a picture costs nobody anything: it leaves once, whole, and is ticked."""

import signal

import pytest

from smsbridge import failpoints
from smsbridge.sim.ledger import Direction
from smsbridge.sim.pictures import tiny_jpeg
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import Stage, StageConfig
from smsbridge.sim.uploading import shared, upload

from .cues import receipt_for
from .running import Running


@pytest.mark.parametrize(
    "place",
    [
        "outbound.accepted",  # taken, and nothing of it fetched
        "dispatcher.claimed",  # fetched, released, and not sent
        "settling.settling",  # sent, and not written down
    ],
)
async def test_a_picture_leaves_once_whenever_the_bridge_is_killed(on_server, peer, monkeypatch, place):
    config = StageConfig(
        public_port=free_port(), extra_yaml="log: {format: json}\n", account_yaml="    settle_seconds: 0.4\n"
    )
    async with Stage(on_server(config)) as stage:
        await stage.stop_bridge()
        alice, contact = await stage.client("alice"), stage.contact(peer)
        url = await upload(alice, tiny_jpeg(), "wine.jpg", "image/jpeg")
        monkeypatch.setenv(failpoints.VARIABLE, f"{place}=kill")
        async with await Running.start(stage.directory / "config.yaml") as bridge:
            await bridge.said("stream_opened")
            written = await alice.send_text(contact, "look", extra=[shared(url)])
            assert await bridge.ended() == -signal.SIGKILL
        monkeypatch.delenv(failpoints.VARIABLE)
        async with await Running.start(stage.directory / "config.yaml") as bridge:
            await bridge.said("stream_opened")
            await alice.next(receipt_for(written))
        sent = [row for row in stage.carrier.handset(peer[2:]) if row.direction is Direction.SENT]
        assert [(row.message, [item.content for item in row.media]) for row in sent] == [("look", [tiny_jpeg()])]
