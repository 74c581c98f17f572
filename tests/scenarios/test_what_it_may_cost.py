"""What is over is refused on the very message, with the sentence that says which limit it was and when it opens."""

import re

import pytest

from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, SECOND_DID, StageConfig

from .cues import bodies_from, error_for, from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

THIRD_DID = "+15551230003"
LIMITS = """\
caps: {per_owner: {minute: null, day: 12, new_peers_a_day: 2}}
admins: [carol@example.com]
"""
OPENS = r"It opens again (in \d+ (seconds?|minutes|hours)|on \d).*\."


@pytest.fixture(scope="module")
def stage_config(one_day):
    owners = {"alice": (DID,), "bob": (SECOND_DID,), "dave": (THIRD_DID,)}
    return StageConfig(owners=owners, strangers=("carol",), limits_yaml=LIMITS)


async def refusal(client, to, body):
    return (await client.next(error_for(await client.send_text(to, body)))).error


def left_for(stage, peer):
    return [row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def test_two_new_numbers_a_day_and_no_third(stage, login, telephone):
    alice, carol = await login("alice"), await login("carol")
    first, second, third = telephone(), telephone(), telephone()
    for peer in (first, second):
        await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "hello")))
    error = await refusal(alice, stage.contact(third), "hello")
    assert (error.condition, error.kind) == ("resource-constraint", "wait")
    words = "This text was not sent: the limit of 2 new numbers a day for you is used up"
    assert re.fullmatch(rf"{words}\. {OPENS}", error.text)
    assert left_for(stage, third) == []
    await alice.next(receipt_for(await alice.send_text(stage.contact(first), "again")))
    bridge = stage.server.component_jid
    await carol.next(lambda stanza: from_(bridge)(stanza) and "new numbers" in stanza.body and "used up" in stanza.body)
    heard = [body for body in bodies_from(carol, bridge) if "new numbers" in body and "alice@example.com" in body]
    assert [re.search(r"is (used.*?);", body)[1] for body in heard] == ["used to 50 %", "used up"]


async def test_twelve_texts_a_day_and_ten_of_them_in_a_row(stage, login, telephone):
    bob = await login("bob")
    first, second = telephone(), telephone()
    for n in range(10):
        await bob.next(receipt_for(await bob.send_text(stage.contact(first), f"line {n}")))
    for n in range(2):
        await bob.next(receipt_for(await bob.send_text(stage.contact(second), f"line {n}")))
    error = await refusal(bob, stage.contact(second), "one more")
    assert error.condition == "resource-constraint"
    assert re.fullmatch(
        rf"This text was not sent: the limit of 12 texts a day for you is used up\. {OPENS}", error.text
    )
    assert len(left_for(stage, first)) + len(left_for(stage, second)) == 12


async def test_who_has_written_stop_gets_no_more_until_start(stage, login, peer):
    dave = await login("dave")
    contact, bridge = stage.contact(peer), stage.server.component_jid
    await stage.carrier.text_in(peer, THIRD_DID, "Stop")
    await dave.next(lambda stanza: from_(contact)(stanza) and stanza.body == "Stop")
    told = await dave.next(from_(bridge))
    assert told.body.startswith(f"[1] {peer} has written STOP, which asks for no more texts from {THIRD_DID}.")
    assert told.body.endswith("Was it only talk, and may you go on? Answer here: confirm 1 or discard 1.")
    error = await refusal(dave, contact, "are you there?")
    assert (error.condition, error.kind) == ("policy-violation", "cancel")
    assert error.text.startswith(f"This text was not sent: {peer} has written STOP")
    await stage.carrier.text_in(peer, THIRD_DID, "START")
    await dave.next(lambda stanza: from_(bridge)(stanza) and "wants texts" in stanza.body)
    await dave.next(receipt_for(await dave.send_text(contact, "there you are")))
    assert left_for(stage, peer) == ["there you are"]


async def test_a_stop_that_was_only_talk_is_lifted_by_a_line_to_the_bridge(stage, login, peer):
    dave = await login("dave")
    contact, bridge = stage.contact(peer), stage.server.component_jid
    await stage.carrier.text_in(peer, THIRD_DID, "Stop!")
    number = (await dave.next(from_(bridge))).body.partition("]")[0].removeprefix("[")
    await refusal(dave, contact, "haha")
    await dave.send_text(bridge, f"confirm {number}", request_receipt=False)
    assert (await dave.next(from_(bridge))).body == f"[{number}] You can write to {peer} again."
    await dave.next(receipt_for(await dave.send_text(contact, "haha, no")))
    assert left_for(stage, peer) == ["haha, no"]
