"""The first text to an unusual destination waits until its writer has said that it is meant."""

import pytest

from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, SECOND_DID, StageConfig

from .commanding import run
from .cues import error_for, from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID,), "bob": (SECOND_DID,)},
        limits_yaml="destinations: [US, GB]\nusual_destinations: [GB]\n",
    )


def left_for(stage, peer):
    return [row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def write(stage, client, peer, text):
    await client.send_text(stage.contact(peer), text, stanza_id=f"id of {text}")


async def number_of_question(stage, client):
    question = await client.next(from_(stage.server.component_jid))
    assert "Is it meant?" in question.body
    return question.body.partition("]")[0].removeprefix("[")


async def answer(stage, client, way, word, number):
    if way == "ad-hoc":
        return await run(stage, client, word, number=number)
    await client.send_text(stage.server.component_jid, f"{word} {number}", request_receipt=False)
    return (await client.next(from_(stage.server.component_jid))).body


@pytest.mark.parametrize(("who", "way"), [("alice", "chat"), ("bob", "ad-hoc")])
async def test_it_leaves_once_it_is_meant_and_never_while_it_is_not(stage, login, telephone, who, way):
    writer = await login(who)
    wrong, right, other = telephone(), telephone(), telephone()
    await write(stage, writer, wrong, "Wrong number")
    first = await number_of_question(stage, writer)
    assert (await answer(stage, writer, way, "discard", first)) == f"[{first}] It was not sent."
    await writer.next(error_for("id of Wrong number"))
    await write(stage, writer, right, "Good morning")  # a no is not remembered
    second = await number_of_question(stage, writer)
    assert left_for(stage, right) == []
    assert await answer(stage, writer, way, "confirm", second) == (
        f"[{second}] What waited is sent as soon as it can be. You are not asked about numbers in US again."
    )
    await writer.next(receipt_for("id of Good morning"))
    await write(stage, writer, other, "And to you")
    await writer.next(receipt_for("id of And to you"))
    assert [left_for(stage, peer) for peer in (wrong, right, other)] == [[], ["Good morning"], ["And to you"]]
