"""Who comes from Prosody's mod_voipms keeps every contact and every conversation, and the carrier its URL."""

import pytest

from smsbridge.sim.push import webhook_body
from smsbridge.sim.stage import DID, LOOPBACK, QUERY_KEY, StageConfig

from .cues import bodies_from, error_for, from_, receipt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "+15551230002"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID, SECOND)}, extra_yaml="address_style: with_did\n")


@pytest.mark.parametrize("did", [DID, SECOND])
async def test_a_text_comes_from_the_contact_that_names_both_numbers(stage, login, peer, did):
    alice = await login("alice")
    await stage.carrier.text_in(peer, did, "hello")
    assert (await alice.next(from_(stage.contact(f"{peer}%{did}")))).body == "hello"


async def test_each_number_keeps_a_conversation_of_its_own(stage, login, peer):
    alice = await login("alice")
    for did in (DID, SECOND, DID):
        await (await stage.carrier.text_in(peer, did, f"to {did}")).answered
    await alice.next(from_(stage.contact(f"{peer}%{SECOND}")))
    for _ in range(2):
        await alice.next(from_(stage.contact(f"{peer}%{DID}")))
    assert bodies_from(alice, stage.contact(f"{peer}%{DID}")) == [f"to {DID}"] * 2
    assert bodies_from(alice, stage.contact(f"{peer}%{SECOND}")) == [f"to {SECOND}"]


@pytest.mark.parametrize("did", [DID, SECOND])
async def test_a_text_to_such_a_contact_leaves_from_the_number_it_names_and_is_answered_by_it(stage, login, peer, did):
    alice, contact = await login("alice"), stage.contact(f"{peer}%{did}")
    receipt = await alice.next(receipt_for(await alice.send_text(contact, "hi")))
    assert receipt.sender == contact
    assert [(row.did, row.message) for row in stage.carrier.handset(peer)] == [(did.removeprefix("+1"), "hi")]


async def test_such_a_contact_hears_of_a_failure_from_the_same_address(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(f"{peer}%{SECOND}")
    stage.carrier.answer_next("sendSMS", "invalid_dst")
    failed = await alice.next(error_for(await alice.send_text(contact, "hi")))
    assert (failed.sender, failed.error.condition) == (contact, "item-not-found")


async def test_the_short_form_works_beside_it(stage, login, peer):
    alice = await login("alice")
    receipt = await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "hi")))
    assert receipt.sender == stage.contact(peer)
    await stage.carrier.text_in(peer, DID, "hi yourself")
    await alice.next(from_(stage.contact(f"{peer}%{DID}")))


async def test_the_carrier_keeps_the_url_that_it_has(stage, login, http, peer):
    alice = await login("alice")
    push = await stage.carrier.text_in(peer, DID, "first")
    await push.answered
    url = f"http://{LOOPBACK}:{stage.service.web.public_port}/voipms?key={QUERY_KEY}"
    settings = stage.carrier.account.dids[DID.removeprefix("+1")]
    body = webhook_body(push.row, settings)
    body["data"]["id"] = body["data"]["payload"]["id"] = push.row.id + 1_000_000
    body["data"]["payload"]["text"] = "by the old URL"
    async with http.post(url, json=body) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")
    await alice.next(lambda stanza: stanza.body == "by the old URL")
