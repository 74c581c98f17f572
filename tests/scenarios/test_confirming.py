"""The first text to an unusual destination waits until its writer has said that it is meant."""

import pytest
import pytest_asyncio

from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import StageConfig

from .cues import from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(limits_yaml="destinations: [US, GB]\nusual_destinations: [GB]\n")


@pytest_asyncio.fixture(loop_scope="module")
async def alice(login):
    return await login("alice")


def left_for(stage, peer):
    return [row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def write(stage, client, peer, text):
    await client.send_text(stage.contact(peer), text, stanza_id=f"id of {text}")


async def number_of_question(stage, client):
    question = await client.next(from_(stage.server.component_jid))
    assert "Is it meant?" in question.body
    return question.body.partition("]")[0].removeprefix("[")


async def say(stage, client, line):
    await client.send_text(stage.server.component_jid, line, request_receipt=False)
    return (await client.next(from_(stage.server.component_jid))).body


async def test_it_leaves_once_it_is_meant_and_never_while_it_is_not(stage, alice, telephone):
    wrong, right, other = telephone(), telephone(), telephone()
    await write(stage, alice, wrong, "Wrong number")
    first = await number_of_question(stage, alice)
    assert (await say(stage, alice, f"discard {first}")) == f"[{first}] It was not sent."
    await write(stage, alice, right, "Good morning")  # a no is not remembered
    second = await number_of_question(stage, alice)
    assert left_for(stage, right) == []
    assert await say(stage, alice, f"confirm {second}") == (
        f"[{second}] What waited is sent. You are not asked about numbers in US again."
    )
    await alice.next(receipt_for("id of Good morning"))
    await write(stage, alice, other, "And to you")
    await alice.next(receipt_for("id of And to you"))
    assert [left_for(stage, peer) for peer in (wrong, right, other)] == [[], ["Good morning"], ["And to you"]]
