"""A number is a contact like any other: it says what it is, it is there, and it stays in the contact list."""

import pytest

from smsbridge.sim.client import Refused
from smsbridge.sim.received import Identity
from smsbridge.sim.stage import DID, StageConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID,)}, strangers=("mallory",))


async def befriend(client, contact):
    """As a client does it: fetch the roster, ask, and agree when the number asks back."""
    await client.roster()  # the server tells of subscriptions only to those who did
    await client.subscribe(contact)
    await client.next_presence(lambda presence: (presence.kind, presence.sender) == ("subscribed", contact))
    await client.next_presence(lambda presence: (presence.kind, presence.sender) == ("subscribe", contact))
    await client.accept(contact)


async def test_the_gateway_says_that_it_is_one(stage, login):
    alice = await login("alice")
    gateway = await alice.disco_info(stage.server.component_jid)
    assert gateway.identities == (Identity(category="gateway", kind="sms", name="SMS gateway"),)
    assert {"urn:xmpp:ping", "jabber:iq:version", "jabber:iq:last", "jabber:iq:gateway"} <= gateway.features
    await alice.ping(stage.server.component_jid)


@pytest.mark.parametrize("form", ["{}", "{}%" + DID])
async def test_a_number_says_that_it_is_a_telephone(stage, login, form):
    alice = await login("alice")
    number = await alice.disco_info(stage.contact(form.format("+15559870002")))
    assert number.identities == (Identity(category="client", kind="phone", name="SMS"),)
    assert {"urn:xmpp:receipts", "jabber:x:oob"} <= number.features
    assert not any("omemo" in feature for feature in number.features)


async def test_what_is_no_number_is_not_there(stage, login):
    alice = await login("alice")
    with pytest.raises(Refused) as refused:
        await alice.disco_info(stage.contact("+1"))
    assert refused.value.error.condition == "item-not-found"


async def test_a_number_that_is_added_is_online_and_both_sides_agree(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await befriend(alice, contact)
    await alice.next_presence(lambda presence: (presence.kind, presence.sender) == ("available", f"{contact}/phone"))
    entry = await alice.roster_entry(contact)
    assert (entry.subscription, entry.is_pending) == ("both", False)


async def test_a_contact_stays_one_when_the_bridge_starts_again_and_its_friend_comes_back(stage, login, peer):
    contact = stage.contact(peer)
    alice = await login("alice")
    await befriend(alice, contact)
    await alice.next_presence(lambda presence: presence.sender == f"{contact}/phone")
    await alice.logout()

    await stage.stop_bridge()
    await stage.start_bridge()

    for _ in range(2):
        alice = await login("alice")
        seen = await alice.next_presence(lambda presence: presence.sender.startswith(contact))
        assert (seen.kind, seen.sender) == ("available", f"{contact}/phone")
        await alice.ping(contact)
        assert (await alice.roster_entry(contact)).subscription == "both"
        assert not [presence for presence in alice.presences if presence.kind in {"unsubscribe", "unsubscribed"}]
        await alice.logout()


async def test_a_contact_leaves_with_the_bridge_and_comes_back_with_it(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await befriend(alice, contact)

    async def sees(kind):
        while (await alice.next_presence(lambda presence: presence.sender == f"{contact}/phone")).kind != kind:
            pass

    await alice.ping(contact)  # her server knows by now that the number may see her, and can tell it when it is back
    for _ in range(2):
        await stage.stop_bridge()
        try:
            await sees("unavailable")
        finally:
            await stage.start_bridge()
        await sees("available")


async def test_a_number_that_is_let_go_does_not_ask_again(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await befriend(alice, contact)
    await alice.send_presence("unsubscribe", contact)
    await alice.send_presence("unsubscribed", contact)
    await alice.ping(contact)
    assert (await alice.roster_entry(contact)).subscription == "none"
    asked = [presence.kind for presence in alice.presences if presence.sender == contact]
    assert asked == ["subscribed", "subscribe"]


async def test_a_stranger_gets_no_contact_and_no_presence(stage, login, peer):
    mallory, contact = await login("mallory"), stage.contact(peer)
    await mallory.subscribe(contact)
    refused = await mallory.next_presence(lambda presence: presence.sender == contact)
    assert (refused.kind, refused.error.condition) == ("error", "forbidden")
    await mallory.send_presence("probe", contact)
    await mallory.ping(contact)
    assert [presence.kind for presence in mallory.presences if presence.sender.startswith(contact)] == ["error"]
    assert (await mallory.roster_entry(contact)).subscription == "none"
