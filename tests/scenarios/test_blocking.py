"""An owner blocks a number in her client: nothing of it comes, nothing is tried again, and nobody is alarmed."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.sim.stage import DID, StageConfig

from .cues import bodies_from, from_, round_trips_until, sample
from .test_contacts import befriend

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID,)}, extra_yaml="admins: [alice@example.com]\n")


def item(tag, jid):
    element = ET.Element(f"{{urn:xmpp:blocking}}{tag}")
    ET.SubElement(element, "{urn:xmpp:blocking}item", {"jid": jid})
    return element


async def test_what_comes_from_a_blocked_number_is_refused_and_nobody_is_alarmed(stage, login, telephone):
    alice, contact, friend = (
        await login("alice"),
        stage.contact(peer := telephone()),
        stage.contact(other := telephone()),
    )
    for each in (contact, friend):
        await befriend(alice, each)
    await stage.carrier.text_in(peer, DID, "one")
    await alice.next(from_(contact))
    await alice.request("set", None, item("block", contact))
    for n in range(1, 4):
        await stage.carrier.text_in(peer, DID, f"unwanted {n}")
        await round_trips_until(
            alice, friend, lambda n=n: sample(stage, "deliveries_total", kind="text", state="bounced") == n
        )
    await stage.carrier.text_in(other, DID, "two")
    await alice.next(from_(friend))
    assert bodies_from(alice, contact) == ["one"]
    assert bodies_from(alice, stage.server.component_jid) == []
    assert sample(stage, "alerts", kind="bounce") == 0

    await alice.request("set", None, item("unblock", contact))
    await stage.carrier.text_in(peer, DID, "three")
    await alice.next(lambda stanza: from_(contact)(stanza) and stanza.body == "three")
    assert bodies_from(alice, contact) == ["one", "three"]
