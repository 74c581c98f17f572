"""The corpus of spoofs on real servers: whatever a stanza claims, it leaves as its own writer's, or not at all."""

import pytest

from smsbridge.sim.stage import DID, SECOND_DID, StageConfig
from tests.fakes.spoofs import CONTACT, SPOOFS, End

from .cues import CARELESS, judged

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    """Alice, in whose name the spoofs claim to be; Bob, who has a number too; Mallory, who has none."""
    return StageConfig(owners={"alice": (DID,), "bob": (SECOND_DID,)}, strangers=("mallory",))


def write_all(stage, client, first):
    """Each spoof to a contact of its own; the stanzas' ids, with the contacts' numbers."""
    written = {}
    for n, spoof in enumerate(SPOOFS):
        peer = f"+1555987{first + n:04}"
        stanza_id = f"spoof-{first + n}"
        client.send_raw(spoof.stanza(to=stage.contact(peer), stanza_id=stanza_id))
        written[stanza_id] = peer
    return written


def errors_to(client):
    """Errors of the bridge to this session, but for what `judged` asks."""
    return {
        each.stanza_id: each.error.condition
        for each in client.received
        if each.error is not None and CARELESS not in each.sender
    }


async def test_whoever_has_no_number_sends_nothing_whatever_the_stanza_says(stage, login):
    mallory = await login("mallory")
    written = write_all(stage, mallory, 1000)
    await judged(stage, mallory)
    assert stage.carrier.ledger.sent == []
    refused = [stanza_id for stanza_id, spoof in zip(written, SPOOFS, strict=True) if spoof.leaves]
    assert {errors_to(mallory)[stanza_id] for stanza_id in refused} == {"forbidden"}


async def test_whoever_has_one_sends_from_that_alone(stage, login):
    bob, alice = await login("bob"), await login("alice")
    written = write_all(stage, bob, 2000)
    await judged(stage, bob)
    expected = {peer: spoof.leaves for peer, spoof in zip(written.values(), SPOOFS, strict=True) if spoof.leaves}
    await stage.carrier.ledger.until(lambda: len(stage.carrier.ledger.sent) >= len(expected))
    await judged(stage, bob)
    sent = stage.carrier.ledger.sent
    assert {row.did for row in sent} == {SECOND_DID.removeprefix("+1")}
    found = {f"+1{row.dst}": (row.message.strip() or row.media[0].url,) for row in sent}
    assert found == expected
    assert len(sent) == len(expected)
    assert CONTACT.partition("@")[0] not in found
    ends = {
        stanza_id: spoof.end for stanza_id, spoof in zip(written, SPOOFS, strict=True) if spoof.end is not End.IGNORED
    }
    assert errors_to(bob) == ends
    await judged(stage, alice)
    assert [each.body for each in alice.received if each.body and each.error is None] == []


async def test_a_from_of_somebody_else_gets_no_further_than_the_server(stage, login):
    """Prosody writes the true sender there, whose own text it then is; ejabberd ends the stream."""
    bob = await login("bob")
    spoof = next(each for each in SPOOFS if each.leaves)
    bob.send_raw(spoof.stanza(to=stage.contact("+15559873000"), stanza_id="outer", sender="alice@example.com/phone"))
    alice = await login("alice")
    await judged(stage, alice)
    assert {row.did for row in stage.carrier.ledger.sent} <= {SECOND_DID.removeprefix("+1")}
