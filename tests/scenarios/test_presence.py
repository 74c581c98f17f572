"""A number's presence says whether a text would leave: in plain words, to who sees it, when it has lasted, and once."""

from datetime import timedelta
from types import MappingProxyType
from xml.etree import ElementTree as ET

import pytest

from smsbridge.bridge import outlooks, settling
from smsbridge.core.outlook import Calm
from smsbridge.core.pacing import Backoff
from smsbridge.sim.client import Refused
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.stage import DID, StageConfig

from .cues import error_for, from_, receipt_for, round_trips_until
from .test_contacts import befriend

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOBS, DAVES = "+15551230005", "+15551230006"
LIMITS = """\
caps: {per_owner: {minute: null, day: 12, new_peers_a_day: null}}
loop_breaker: false
"""
CAPS = "{http://jabber.org/protocol/caps}c"


@pytest.fixture
def faults(stage):
    """The carrier's; none is left armed."""
    yield stage.carrier.config.faults
    stage.carrier.config.faults.clear()


class Patience(Calm):
    """The bridge's own; what has lasted is for a play to say, and what was seen for it to know."""

    seconds = 0.3  # half a minute is long for a play
    seen = MappingProxyType({})

    def look(self, now, seen):
        self._span, Patience.seen = self.seconds, seen
        return super().look(now, seen)


@pytest.fixture(scope="module")
def stage_config(one_day):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlooks, "Calm", Patience)
        patch.setattr(outlooks, "ROUND", timedelta(seconds=0.1))
        patch.setattr(settling, "MIN_PROBE", timedelta(seconds=0.3))
        patch.setattr(settling, "SEND_BACKOFF", Backoff(first=0.2, factor=2.0, cap=0.8, jitter=0.2))
        owners = {"alice": (DID,), "bob": (BOBS,), "dave": (DAVES,)}
        yield StageConfig(owners=owners, strangers=("mallory",), limits_yaml=LIMITS)


async def sees(client, contact, show=None, *, kind="available"):
    """The number's next presence that is so; what it was before is over."""
    while True:
        presence = await client.next_presence(lambda presence: presence.sender == f"{contact}/phone")
        if (presence.kind, presence.show) == (kind, show):
            return presence


def shows(client, contact):
    """All that this client was shown of a number, but for what was said again."""
    told = [presence.show for presence in client.presences if presence.sender == f"{contact}/phone"]
    return [show for show, before in zip(told, ["", *told], strict=False) if show != before]


def shows_since_it_left(client, contact):
    """What this client was shown of a number since its bridge went."""
    told = [presence for presence in client.presences if presence.sender == f"{contact}/phone"]
    last = max(n for n, presence in enumerate(told) if presence.kind == "unavailable")
    return [presence.show for presence in told[last + 1 :]]


async def settle(client, contact):
    """Friends, and the bridge has heard what the server told it of that. What it shows now may be the same again."""
    await befriend(client, contact)
    await sees(client, contact)
    for _ in range(2):
        await client.ping(contact)


async def tell(client, stage, line):
    """Say something to the bridge itself, and hear its answer."""
    await client.send_text(stage.server.component_jid, line)
    return (await client.next(from_(stage.server.component_jid))).body


async def test_a_presence_says_what_can_be_done_and_all_numbers_are_alike(stage, login, telephone):
    alice, seen = await login("alice"), []
    for contact in (stage.contact(telephone()), stage.contact(telephone())):
        await befriend(alice, contact)
        seen.append(await sees(alice, contact))
    first, second = (presence.element.find(CAPS).attrib for presence in seen)
    assert first == second
    asked = await alice.disco_info(seen[0].sender, f"{first['node']}#{first['ver']}")
    assert asked == await alice.disco_info(seen[1].sender)
    assert "urn:xmpp:receipts" in asked.features


async def test_a_lockdown_is_shown_to_its_owner_when_it_has_lasted_and_its_end_too(stage, login, peer):
    alice, bob, contact = await login("alice"), await login("bob"), stage.contact(peer)
    for client in (alice, bob):
        await settle(client, contact)
    await tell(alice, stage, "lockdown on")
    try:
        locked = await sees(alice, contact, "dnd")
    finally:
        await tell(alice, stage, "lockdown off")
    assert "locked by an owner" in locked.status
    assert "waits" in locked.status
    free = await sees(alice, contact)
    assert free.status is None
    await alice.ping(contact)
    await bob.ping(contact)
    assert shows(alice, contact) == [None, "dnd", None]
    assert shows(bob, contact) == [None]


async def test_what_passes_in_a_moment_is_not_shown(stage, login, peer, monkeypatch):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)

    def is_line_seen():
        return any(not conversation for _, conversation in Patience.seen)

    with monkeypatch.context() as patch:
        patch.setattr(Patience, "seconds", 3600)  # on a slow machine a moment is long
        await tell(alice, stage, "lockdown on")
        try:
            await round_trips_until(alice, contact, is_line_seen)
        finally:
            await tell(alice, stage, "lockdown off")
        await round_trips_until(alice, contact, lambda: not is_line_seen())
    await stage.carrier.text_in(peer, DID, "STOP")
    await sees(alice, contact, "dnd")  # long after
    assert shows(alice, contact) == [None, "dnd"]


async def test_a_carrier_that_cannot_be_reached_is_away_until_it_can(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)
    async with stage.carrier.away():
        written = await alice.send_text(contact, "are you there?")
        away = await sees(alice, contact, "away")
        assert away.status == "The carrier cannot be reached. What you write waits."
    await alice.next(receipt_for(written))
    await sees(alice, contact)
    assert shows(alice, contact) == [None, "away", None]


async def test_a_day_that_is_used_up_is_shown_as_it_is_refused(stage, login, peer):
    dave, alice, contact = await login("dave"), await login("alice"), stage.contact(peer)
    for client in (dave, alice):
        await settle(client, contact)
    for n in range(12):
        await dave.send_text(contact, f"line {n}")
    spent = await sees(dave, contact, "xa")
    limit = "the limit of 12 texts a day for you is used up."
    assert spent.status == f"What you write is refused for now: {limit}"
    refused = await dave.next(error_for(await dave.send_text(contact, "one more")))
    assert limit in refused.error.text
    await alice.ping(contact)
    assert shows(alice, contact) == [None]


async def test_after_stop_that_contact_is_do_not_disturb_and_says_why(stage, login, telephone):
    alice, contact, other = await login("alice"), stage.contact(peer := telephone()), stage.contact(telephone())
    for each in (contact, other):
        await settle(alice, each)
    await stage.carrier.text_in(peer, DID, "STOP")
    stopped = await sees(alice, contact, "dnd")
    assert stopped.status == "STOP came from here: no more texts are wanted."
    await alice.next(error_for(await alice.send_text(contact, "but")))
    await stage.carrier.text_in(peer, DID, "START")
    await sees(alice, contact)
    assert shows(alice, other) == [None]


async def test_who_comes_later_sees_it_at_once_and_a_stranger_nothing(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)
    await alice.logout()
    await stage.carrier.text_in(peer, DID, "STOP")
    mallory = await login("mallory")
    await mallory.send_presence("probe", contact)
    await mallory.ping(contact)
    assert not [p for p in mallory.presences if p.sender.startswith(contact)]
    alice = await login("alice")
    await sees(alice, contact, "dnd")


async def test_a_new_life_of_the_bridge_shows_it_to_who_is_there_already(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)
    await stage.stop_bridge()
    await stage.start_bridge()
    await sees(alice, contact, kind="unavailable")
    await sees(alice, contact)
    assert shows_since_it_left(alice, contact) == [None]


async def test_a_new_life_of_the_server_shows_it_to_who_comes_back(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)
    await tell(alice, stage, "lockdown on")
    try:
        await sees(alice, contact, "dnd")
        await stage.server.restart()
        alice = await login("alice")
        await sees(alice, contact, "dnd")
    finally:
        await tell(alice, stage, "lockdown off")
    await sees(alice, contact)


async def test_the_gateway_answers_what_people_and_clients_ask(stage, login, peer):
    alice, mallory, contact = await login("alice"), await login("mallory"), stage.contact(peer)
    gateway = stage.server.component_jid
    version = await mallory.request("get", gateway, ET.Element("{jabber:iq:version}query"))
    assert [child.tag for child in version[0]] == ["{jabber:iq:version}name", "{jabber:iq:version}version"]
    last = await mallory.request("get", gateway, ET.Element("{jabber:iq:last}query"))
    assert int(last[0].get("seconds")) >= 0
    typed = ET.Element("{jabber:iq:gateway}query")
    ET.SubElement(typed, "{jabber:iq:gateway}prompt").text = peer[2:]
    answer = await alice.request("set", gateway, typed)
    assert answer.findtext("{jabber:iq:gateway}query/{jabber:iq:gateway}jid") == contact
    with pytest.raises(Refused):
        await alice.request("get", contact, ET.Element("{jabber:iq:version}query"))
    await alice.next(receipt_for(await alice.send_text(contact, "now")))
    last = await alice.request("get", contact, ET.Element("{jabber:iq:last}query"))
    assert 0 <= int(last[0].get("seconds")) < 60
    with pytest.raises(Refused) as refused:
        await mallory.request("get", contact, ET.Element("{jabber:iq:last}query"))
    assert refused.value.error.condition == "forbidden"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("limit_reached", "Today's messages at VoIP.ms are used up. What you write waits."),
        ("non_sufficient_funds", "The balance at VoIP.ms is too low to send. What you write waits."),
    ],
)
async def test_an_account_that_may_not_send_is_extended_away_after_a_new_start_too(
    stage, login, peer, faults, status, words
):
    alice, contact = await login("alice"), stage.contact(peer)
    await settle(alice, contact)
    faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendSMS", what=What.REFUSED, status=status, times=None))
    written = await alice.send_text(contact, "are you there?")
    held = await sees(alice, contact, "xa")
    assert held.status == words
    await stage.stop_bridge()
    await stage.start_bridge()
    await sees(alice, contact, kind="unavailable")
    await sees(alice, contact, "xa")
    assert set(shows_since_it_left(alice, contact)) == {"xa"}
    faults.clear()
    await alice.next(receipt_for(written))
    await sees(alice, contact)
