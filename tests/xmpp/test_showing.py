"""Who is shown what, and when: each change once, to those who are there."""

import asyncio
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from smsbridge.core.address import Did
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import ProviderName
from smsbridge.core.outlook import FINE, Outlook, Show
from smsbridge.core.words.say import Say
from smsbridge.xmpp.caps import verification
from smsbridge.xmpp.disco import profile_of
from smsbridge.xmpp.errors import Envelope
from smsbridge.xmpp.showing import Showing
from tests.fakes.outlooks import ScriptedOutlooks, look
from tests.fakes.waiting import PATIENCE

DOMAIN = "sms.example.com"
ANN, PHONE, LAPTOP = "ann@example.com", "ann@example.com/Phone", "ann@example.com/Laptop"
LOCALPART = "+15559870002"
NUMBER = f"{LOCALPART}@{DOMAIN}"
FROM = f"{NUMBER}/phone"
FRENCH = "fay@example.com"
BAD = Outlook(show=Show.XA, words="The <carrier> is closed.")
LINE = Line(did=Did("+15551230001"), provider=ProviderName("voipms"), owners=(ANN,))


class Play:
    def __init__(self):
        self.outlooks = ScriptedOutlooks()
        self.sent = []
        self.wrote, self.asked = asyncio.Event(), asyncio.Event()
        self.directory = Directory([LINE])
        self.showing = self.new_life()

    def new_life(self):
        async def pause(_seconds):
            self.asked.set()
            await asyncio.sleep(0)

        return Showing(
            outlooks=self.outlooks,
            directory=lambda: self.directory,
            look=look(FRENCH),
            send=self.send,
            pause=pause,
        )

    def send(self, xml):
        self.sent.append(xml)
        self.wrote.set()

    async def hears(self, kind="", sender=PHONE, to=NUMBER):
        await self.showing.take(Envelope(name="presence", sender=sender, addressed=to, id="p", type=kind))
        return self.said()

    def said(self):
        """What went out since, as (type, from, to, show, status)."""
        stanzas = [ET.XML(xml) for xml in self.sent]
        self.sent.clear()
        return [
            (
                stanza.get("type", ""),
                stanza.get("from"),
                stanza.get("to"),
                stanza.findtext("show"),
                stanza.findtext("status"),
            )
            for stanza in stanzas
        ]

    async def tells(self, outlook, owner=ANN):
        self.outlooks.now[owner, LOCALPART] = outlook
        await self.showing.tell()
        return self.said()


@pytest.fixture
async def play():
    return Play()


def available(to, outlook=FINE):
    show = None if outlook is FINE else outlook.show.value
    return ("", FROM, to, show, outlook.words or None)


async def test_who_comes_is_shown_how_things_are(play):
    assert await play.hears() == [available(PHONE)]
    play.outlooks.now[ANN, LOCALPART] = BAD
    assert await play.hears(sender=LAPTOP) == [available(LAPTOP, BAD)]


async def test_each_is_told_in_his_language(play):
    play.directory = Directory([replace(LINE, owners=(FRENCH,))])
    play.outlooks.now[FRENCH, LOCALPART] = Outlook(show=Show.DND, words=Say.OUTLOOK_STOPPED(word="STOP"))
    ((*_, status),) = await play.hears(sender=f"{FRENCH}/x")
    assert status == "Ce numéro a répondu STOP\N{NO-BREAK SPACE}: il ne veut plus de textos."


async def test_each_available_presence_says_what_its_sender_can_do(play):
    await play.showing.take(Envelope(name="presence", sender=PHONE, addressed=NUMBER, id="p", type=""))
    caps = ET.XML(play.sent[0]).find("{http://jabber.org/protocol/caps}c")
    assert caps.get("ver") == verification(profile_of(LOCALPART))


async def test_who_is_there_and_was_shown_it_is_not_told_again(play):
    await play.hears()
    assert await play.hears() == []  # he is away from his desk, which is none of our business
    assert await play.tells(FINE) == []


async def test_a_probe_is_answered_always(play):
    await play.hears()
    assert await play.hears("probe", ANN) == [available(ANN)]
    assert await play.hears("probe") == [available(PHONE)]


async def test_a_change_is_told_once_to_all_his_clients(play):
    await play.hears()
    await play.hears(sender=LAPTOP)
    assert await play.tells(BAD) == [available(ANN, BAD)]
    assert await play.tells(BAD) == []
    assert await play.tells(FINE) == [available(ANN)]


async def test_who_has_left_or_never_came_is_told_nothing(play):
    assert await play.tells(BAD) == []
    await play.hears()
    assert await play.hears("unavailable") == []
    assert await play.tells(FINE) == []


async def test_who_subscribes_is_shown_it_too_and_in_order(play):
    play.outlooks.now[ANN, LOCALPART] = BAD
    said = await play.hears("subscribe", ANN)
    assert [kind for kind, *_ in said] == ["subscribed", "", "subscribe"]
    assert said[1] == available(ANN, BAD)


async def test_whose_number_it_is_no_more_sees_it_leave(play):
    await play.hears()
    assert await play.tells(None) == [("unavailable", FROM, ANN, None, None)]
    assert await play.tells(None) == []
    assert await play.hears("probe") == []


async def test_who_is_there_sees_the_bridge_go(play):
    await play.hears()
    await play.hears(sender=LAPTOP)
    play.showing.leave()
    assert play.said() == [("unavailable", FROM, ANN, None, None)]
    assert play.outlooks.watchers == [(ANN, NUMBER)]  # to be asked about when it is back


@pytest.mark.parametrize("kind", ["subscribe", "probe"])
async def test_who_sees_a_number_sees_the_bridge_go_though_no_client_of_his_is_known(play, kind):
    await play.hears(kind, ANN)
    play.showing.leave()
    assert play.said() == [("unavailable", FROM, ANN, None, None)]


async def test_who_let_a_number_go_is_not_told_that_the_bridge_goes(play):
    await play.hears()
    await play.hears("unsubscribe", ANN)
    play.showing.leave()
    assert play.said() == []


@pytest.mark.parametrize("kind", ["subscribe", "probe"])
async def test_whose_number_it_is_no_more_sees_it_leave_though_no_client_of_his_is_known(play, kind):
    await play.hears(kind, ANN)
    assert await play.tells(FINE) == []
    play.directory = Directory([])
    assert await play.tells(None) == [("unavailable", FROM, ANN, None, None)]
    assert play.outlooks.watchers == []
    assert await play.tells(None) == []


async def test_strangers_are_shown_and_remembered_nothing(play):
    for kind in ("", "probe", "unavailable", "unsubscribe", "unsubscribed"):
        assert await play.hears(kind, "eve@example.com/x") == []
    assert play.outlooks.watchers == []


async def test_the_gateway_is_shown_under_its_own_name(play):
    play.outlooks.now[ANN, ""] = BAD
    assert await play.hears(to=DOMAIN) == [("", DOMAIN, PHONE, "xa", BAD.words)]


async def test_with_a_new_stream_the_servers_are_asked_who_is_there(play):
    await play.hears()
    others = (ANN, "+15559870002@other.example.com")
    play.outlooks.watchers += [others, ("bob@example.com", NUMBER)]
    play.outlooks.now["bob@example.com", LOCALPART] = None
    play.said()
    play.wrote.clear()
    play.showing = play.new_life()
    running = asyncio.create_task(play.showing.run())
    play.showing.opened()
    async with asyncio.timeout(PATIENCE):
        await play.wrote.wait()
        await play.asked.wait()
    running.cancel()
    assert play.said() == [
        ("probe", NUMBER, ANN, None, None),
        ("unavailable", FROM, "bob@example.com", None, None),
    ]
    assert set(play.outlooks.watchers) == {(ANN, NUMBER), others}  # whose number it is no more is forgotten
    assert await play.hears() == [available(PHONE)]  # the answer of his server


async def test_a_new_stream_forgets_who_was_shown_what(play):
    await play.hears()
    play.showing.opened()
    assert await play.tells(BAD) == []
    assert await play.hears() == [available(PHONE, BAD)]


@pytest.mark.parametrize("kind", ["unsubscribe", "unsubscribed"])
async def test_who_lets_a_number_go_is_forgotten(play, kind):
    await play.hears()
    assert play.outlooks.watchers == [(ANN, NUMBER)]
    await play.hears(kind, ANN)
    assert play.outlooks.watchers == []
    assert await play.tells(BAD) == []


async def test_who_comes_back_while_he_is_forgotten_is_remembered(play):
    """A server answers a probe that comes before its user's word with `unsubscribed`, and then lets us hear of him."""
    await play.hears()
    play.outlooks.slow_store = asyncio.Event()
    going = asyncio.create_task(play.hears("unsubscribed", ANN))
    await asyncio.sleep(0)
    coming = asyncio.create_task(play.hears())
    await asyncio.sleep(0)
    play.outlooks.slow_store.set()
    await going
    await coming
    assert play.outlooks.watchers == [(ANN, NUMBER)]


async def test_all_are_asked_though_the_store_fails_at_first(play):
    await play.hears()
    play.said()
    play.wrote.clear()
    play.showing = play.new_life()
    play.outlooks.fails = 1
    running = asyncio.create_task(play.showing.run())
    play.showing.opened()
    async with asyncio.timeout(PATIENCE):
        await play.wrote.wait()
    running.cancel()
    assert play.said() == [("probe", NUMBER, ANN, None, None)]


async def test_a_pair_is_remembered_once(play):
    for sender in (PHONE, LAPTOP, PHONE):
        await play.hears("probe", sender)
    assert play.outlooks.watchers == [(ANN, NUMBER)]
