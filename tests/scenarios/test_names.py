"""A number has a name and a face: in its card, in its presence, and in the contact list of whoever named it."""

import asyncio
import base64
import hashlib
import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import pytest

from smsbridge.sim.client import Refused
from smsbridge.sim.stage import DID, SECOND_DID, StageConfig
from tests.fakes.photos import PNG
from tests.fakes.waiting import PATIENCE

from .commanding import run
from .cues import from_, round_trips_until
from .test_contacts import befriend

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUM, PLUMBER, SHOP = "+15559880002", "+15559880003", "+15559880004"  # none of `telephone`
VCARD, VCARD4, PUBSUB = "{vcard-temp}", "{urn:ietf:params:xml:ns:vcard-4.0}", "{http://jabber.org/protocol/pubsub}"
UPDATE, EXCHANGE = "{vcard-temp:x:update}", "{http://jabber.org/protocol/rosterx}"
SHA1 = hashlib.sha1(PNG).hexdigest()  # noqa: S324


@pytest.fixture(scope="module")
def stage_config(tmp_path_factory):
    photo = tmp_path_factory.mktemp("photos") / "shop.png"
    photo.write_bytes(PNG)
    return StageConfig(
        owners={"alice": (DID, SECOND_DID), "bob": (DID,)},
        strangers=("mallory",),
        extra_yaml=f"""\
contacts:
  "{SHOP}": {{name: Corner shop, photo: {photo}}}
contacts_of:
  bob@example.com: {{"{PLUMBER}": Pipes}}
""",
    )


async def card_of(client, contact):
    return (await client.request("get", contact, ET.Element(f"{VCARD}vCard"))).find(f"{VCARD}vCard")


async def name_of(client, contact):
    """What both kinds of card say."""
    fn = (await card_of(client, contact)).findtext(f"{VCARD}FN")
    card4 = await client.request("get", contact, ET.Element(f"{VCARD4}vcard"))
    assert card4.findtext(f"{VCARD4}vcard/{VCARD4}fn/{VCARD4}text") == fn
    assert card4.findtext(f"{VCARD4}vcard/{VCARD4}tel/{VCARD4}uri") == f"tel:{contact.partition('@')[0]}"
    return fn


async def item_of(client, contact, node):
    query = ET.Element(f"{PUBSUB}pubsub")
    ET.SubElement(query, f"{PUBSUB}items", {"node": node})
    return (await client.request("get", contact, query)).find(f"{PUBSUB}pubsub/{PUBSUB}items/{PUBSUB}item")


def offers_in(stanza, action):
    """What a stanza tells the contact list to do with whom (XEP-0144)."""
    items = stanza.element.iterfind(f"{EXCHANGE}x/{EXCHANGE}item")
    return {(item.get("jid"), item.get("name")) for item in items if item.get("action") == action}


def shown(contact, name):
    """A presence of the contact under this name."""
    return lambda presence: (presence.kind, presence.sender, presence.nick) == ("available", f"{contact}/phone", name)


async def entry_of(client, contact, name):
    """The entry of the contact list, as soon as it has this name."""
    async with asyncio.timeout(PATIENCE):
        while True:
            entry = await client.roster_entry(contact)
            if entry is not None and entry.name == name:
                return entry


async def test_a_number_that_its_owner_names_has_that_name_in_card_presence_and_contact_list(stage, login):
    alice, contact = await login("alice"), stage.contact(MUM)
    await alice.roster()
    assert await name_of(alice, contact) == "+1 555-988-0002"
    assert await run(stage, alice, "name", number=MUM, **{"as": "Mum"}) == f"{MUM} is called Mum for you now."
    assert await name_of(alice, contact) == "Mum"
    presence = await alice.next_presence(shown(contact, "Mum"))
    assert presence.element.find(f"{UPDATE}x/{UPDATE}photo").text is None
    if stage.server.name == "prosody":
        entry = await entry_of(alice, contact, "Mum")
        assert (entry.groups, entry.subscription) == (frozenset({"SMS"}), "both")
    else:
        # the corner shop may be offered before it, and with it
        offered = await alice.next(lambda stanza: (contact, "Mum") in offers_in(stanza, "add"))
        [item] = [
            each for each in offered.element.iterfind(f"{EXCHANGE}x/{EXCHANGE}item") if each.get("jid") == contact
        ]
        assert offered.sender == stage.server.component_jid
        assert dict(item.attrib) == {"action": "add", "jid": contact, "name": "Mum"}
        assert item.findtext(f"{EXCHANGE}group") == "SMS"
        asked = await alice.next_presence(lambda each: each.kind == "subscribe" and each.sender == contact)
        assert asked.nick == "Mum"

    await alice.send_text(stage.server.component_jid, f"name {MUM} Mother \u202eof mine", request_receipt=False)
    answer = await alice.next(from_(stage.server.component_jid))
    assert answer.body == f"{MUM} is called Mother of mine for you now."
    assert await name_of(alice, contact) == "Mother of mine"
    await alice.next_presence(shown(contact, "Mother of mine"))
    if stage.server.name == "prosody":
        await entry_of(alice, contact, "Mother of mine")


async def test_what_the_owner_calls_it_in_his_list_stands(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await befriend(alice, contact)
    roster = ET.Element("{jabber:iq:roster}query")
    ET.SubElement(roster, "{jabber:iq:roster}item", {"jid": contact, "name": "My own"})
    await alice.request("set", None, roster)
    await run(stage, alice, "name", number=peer, **{"as": "Another"})
    await alice.next_presence(shown(contact, "Another"))
    entry = await alice.roster_entry(contact)
    assert (entry.name, entry.subscription) == ("My own", "both")


async def test_who_is_in_the_list_over_another_line_too_is_called_the_same_there(stage, login, peer):
    alice, other = await login("alice"), stage.contact(f"{peer}%{SECOND_DID}")
    await befriend(alice, other)
    await alice.next_presence(lambda presence: presence.sender == f"{other}/phone")
    for name in ("Once", "Twice"):
        await run(stage, alice, "name", number=peer, **{"as": name})
        await alice.next_presence(shown(other, name))
        if stage.server.name == "prosody":
            entry = await entry_of(alice, other, name)
            assert (entry.groups, entry.subscription) == (frozenset(), "both")
        else:
            told = await alice.next(lambda stanza, name=name: (other, name) in offers_in(stanza, "modify"))
            assert (other, name) not in offers_in(told, "add")


async def test_another_owner_of_the_line_does_not_see_it(stage, login, peer):
    alice, bob, contact = await login("alice"), await login("bob"), stage.contact(peer)
    await run(stage, alice, "name", number=peer, **{"as": "Secret friend"})
    await alice.next_presence(shown(contact, "Secret friend"))
    assert "Secret" not in await name_of(bob, contact)
    await bob.send_presence(None, contact)
    seen = await bob.next_presence(lambda presence: presence.sender == f"{contact}/phone")
    assert seen.nick is None
    assert "Secret" not in "".join(each.raw for each in (*bob.received, *bob.presences))
    assert await bob.roster_entry(contact) is None
    assert await name_of(bob, stage.contact(PLUMBER)) == "Pipes"
    assert await name_of(alice, stage.contact(PLUMBER)) == "+1 555-988-0003"


async def test_a_picture_shows_in_presence_card_and_avatar(stage, login):
    alice, contact = await login("alice"), stage.contact(SHOP)
    await alice.send_presence(None, contact)
    seen = await alice.next_presence(shown(contact, "Corner shop"))
    assert seen.element.findtext(f"{UPDATE}x/{UPDATE}photo") == SHA1
    photo = (await card_of(alice, contact)).find(f"{VCARD}PHOTO")
    assert photo.findtext(f"{VCARD}TYPE") == "image/png"
    assert base64.b64decode(photo.findtext(f"{VCARD}BINVAL")) == PNG
    metadata = await item_of(alice, contact, "urn:xmpp:avatar:metadata")
    assert metadata.get("id") == metadata[0][0].get("id") == SHA1
    assert (await item_of(alice, contact, "urn:xmpp:avatar:data")).get("id") == SHA1
    assert (await item_of(alice, contact, "urn:xmpp:vcard4")).get("id") == "current"
    assert (await item_of(alice, contact, "http://jabber.org/protocol/nick"))[0].text == "Corner shop"
    with pytest.raises(Refused):
        await item_of(alice, stage.contact(PLUMBER), "urn:xmpp:avatar:data")


async def test_a_stranger_sees_the_number_alone(stage, login):
    mallory, alice = await login("mallory"), await login("alice")
    assert await name_of(mallory, stage.contact(SHOP)) == "+1 555-988-0004"
    assert (await card_of(mallory, stage.contact(SHOP))).find(f"{VCARD}PHOTO") is None
    with pytest.raises(Refused):
        await item_of(mallory, stage.contact(SHOP), "urn:xmpp:avatar:data")
    gateway = stage.server.component_jid
    assert (await card_of(mallory, gateway)).findtext(f"{VCARD}FN") == "SMS gateway"
    assert {"vcard-temp", "urn:ietf:params:xml:ns:vcard-4.0"} <= (await alice.disco_info(gateway)).features
    with pytest.raises(Refused) as refused:
        await alice.request("set", stage.contact(SHOP), ET.Element(f"{VCARD}vCard"))
    assert refused.value.error.condition == "forbidden"


def told(stage, contact):
    """When the contact list was told of it, and in which words."""
    with closing(sqlite3.connect(stage.database)) as database:
        query = "SELECT name, told_at FROM introduced WHERE owner LIKE 'alice@%' AND contact = ?"
        return database.execute(query, (contact.partition("@")[0],)).fetchall()


async def test_after_a_restart_the_name_is_there_and_the_list_is_not_told_again(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await run(stage, alice, "name", number=peer, **{"as": "Lasting"})
    await alice.next_presence(shown(contact, "Lasting"))
    await round_trips_until(alice, contact, lambda: bool(told(stage, contact)))
    before = told(stage, contact)
    await stage.stop_bridge()
    await stage.start_bridge()
    assert await name_of(alice, contact) == "Lasting"
    await run(stage, alice, "name", number=MUM, **{"as": "Last"})  # what comes of this comes after
    await alice.next_presence(shown(stage.contact(MUM), "Last"))
    await round_trips_until(alice, contact, lambda: [row[0] for row in told(stage, stage.contact(MUM))] == ["Last"])
    assert told(stage, contact) == before
