"""What an owner sends in the carrier's portal shows as their own message, and never leaves a second time.

Prosody lets us speak for its users, with the file that administrators are told to use; ejabberd 23.01 does not.
"""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge import failpoints
from smsbridge.bridge import poller
from smsbridge.clock import to_ms
from smsbridge.core.message import DeliveryKind
from smsbridge.sim.pictures import JPEG
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, Stage, StageConfig
from smsbridge.store import deliveries
from smsbridge.store.ids import Ids, stanza_id
from smsbridge.store.opening import open_database

from .cues import from_, receipt_for, round_trips_until
from .running import Running

FROM_THE_PORTAL = "you, from the portal: "

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOMENT = timedelta(seconds=0.3)


@pytest.fixture(scope="module")
def stage_config():
    """The list is looked at all the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SETTLE", "USUAL", "PROVEN", "RAREST"):
            patch.setattr(poller, name, MOMENT)
        yield StageConfig(extra_yaml="sent_elsewhere: line\nadmins: [alice@example.com]\n")


def by_alice(stage, contact):
    """What Alice's own clients are shown as hers."""
    if stage.server.name == "prosody":
        return lambda stanza: stanza.carbon == "sent" and stanza.recipient == contact
    return lambda stanza: from_(contact)(stanza) and stanza.body.startswith(FROM_THE_PORTAL)


async def test_it_shows_on_every_client_as_their_own_message(stage, login, peer):
    phone, desk = (
        await login("alice", resource="phone", carbons=True),
        await login("alice", resource="desk", carbons=True),
    )
    # What is older than the first look is not shown.
    await round_trips_until(phone, stage.contact(peer), lambda: stage.carrier.calls["getMMS"] > 0)
    row = stage.carrier.text_out(peer, DID, "from the portal")
    own = by_alice(stage, stage.contact(peer))
    for client in (phone, desk):
        shown = await client.next(own)
        assert shown.body.removeprefix(FROM_THE_PORTAL) == "from the portal"
        assert shown.kind == "chat"
        if stage.server.name == "prosody":
            assert shown.sender == "alice@example.com"
    await asks_again(stage, phone, peer)
    assert len([one for one in phone.received if own(one)]) == 1
    assert [sent.id for sent in stage.carrier.handset(peer[2:]) if sent.method != "text_in"] == [row.id]


async def test_who_was_away_finds_it_in_the_archive(stage, login, peer):
    stage.carrier.text_out(peer, DID, "while you were away", [JPEG])
    contact = stage.contact(peer)
    alice = await login("alice", carbons=True)
    await asks_again(stage, alice, peer)
    archived = [one for one in await alice.archive(contact) if one.body != "(curtain)"]
    is_own = stage.server.name == "prosody"
    words = "" if is_own else FROM_THE_PORTAL
    url = stage.carrier.handset(peer[2:])[0].media[0].url
    assert [one.body for one in archived] == [f"{words}while you were away", f"{words}{url}"]
    assert {one.sender.partition("/")[0] for one in archived} == {alice.bare_jid if is_own else contact}


async def test_an_answer_in_the_same_conversation_still_leaves_and_is_not_shown_twice(stage, login, peer):
    alice = await login("alice", carbons=True)
    contact = stage.contact(peer)
    stage.carrier.text_out(peer, DID, "from the portal")
    await alice.next(by_alice(stage, contact))
    stanza_id = await alice.send_text(contact, "from a client")
    await alice.next(receipt_for(stanza_id))
    await asks_again(stage, alice, peer)
    assert [one.body for one in alice.received if by_alice(stage, contact)(one)][1:] == []
    sent = [row.message for row in stage.carrier.handset(peer[2:]) if row.method != "text_in"]
    assert sent == ["from the portal", "from a client"]


async def asks_again(stage, client, peer):
    """Until the list was read twice more, and what came of that was handed over."""
    calls = stage.carrier.calls
    wanted = calls["getMMS"] + 3
    await round_trips_until(client, stage.contact(peer), lambda: calls["getMMS"] >= wanted)
    await stage.carrier.text_in(peer, DID, "(curtain)")
    await client.next(lambda one: from_(stage.contact(peer))(one) and one.body == "(curtain)")


async def test_a_copy_of_what_was_sent_elsewhere_comes_back_after_a_kill_and_is_not_sent(on_server, peer, monkeypatch):
    """Prosody's module keeps the copy for us while we are dead, as it does with whatever a user writes."""
    config = StageConfig(public_port=free_port(), extra_yaml="log: {format: json}\n")
    async with Stage(on_server(config)) as stage:
        await stage.stop_bridge()
        copy = stanza_id("test", peer)
        await write_carbon(stage, peer, copy)
        monkeypatch.setenv(failpoints.VARIABLE, "handing.written=kill")
        async with await Running.start(stage.directory / "config.yaml") as bridge:
            assert await bridge.ended() == -signal.SIGKILL
        monkeypatch.delenv(failpoints.VARIABLE)
        alice, contact = await stage.client("alice"), stage.contact(peer)
        async with await Running.start(stage.directory / "config.yaml") as bridge:
            await bridge.said("stream_opened")
            if stage.server.name == "prosody":
                await bridge.said("copy_returned")
            answer = await alice.send_text(contact, "an answer")
            await alice.next(receipt_for(answer))
            assert [row.message for row in stage.carrier.handset(peer[2:])] == ["an answer"]
            shown = [one for one in await alice.archive(contact) if one.stanza_id == copy]
            assert len(shown) == 1 or stage.server.name != "prosody"
            assert {one.body for one in shown} == (
                {"from the portal"} if stage.server.name == "prosody" else {f"{FROM_THE_PORTAL}from the portal"}
            )


async def write_carbon(stage, peer, stanza_id):
    """As the look into the carrier's list does."""
    database = await open_database(f"sqlite:///{stage.database}")
    try:
        now = datetime.now(UTC)
        ids = Ids(lambda: to_ms(now))
        ids.start_after(await database.run(deliveries.newest_id))
        draft = deliveries.Draft(
            domain=stage.server.component_jid,
            kind=DeliveryKind.CARBON,
            to_jid="alice@example.com",
            sender=peer,
            stanza_id=stanza_id,
            body="from the portal",
        )
        await database.run(deliveries.add, ids, now, draft)
    finally:
        await database.close()
