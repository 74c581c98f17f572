"""Texts come in as no carrier should tell them: twice, fifty at once, late, garbled, huge. Each is shown, once."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from yarl import URL

from smsbridge import service
from smsbridge.clock import Clock, system_clock
from smsbridge.sim.faults import CALLBACK, WEBHOOK, Fault, Moment, What
from smsbridge.sim.pictures import PNG
from smsbridge.sim.stage import DID, StageConfig
from tests.fakes.waiting import PATIENCE

from .cues import curtain, from_, receipt_for, round_trips_until, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
CLASSIC = "+15551230002"  # it calls back by the classic GET, all others post
TEMPLATE = "&from={FROM}&to={TO}&message={MESSAGE}&id={ID}&date={TIMESTAMP}&media={MEDIA}"
DOORS = {"webhook": (WEBHOOK, DID), "callback": (CALLBACK, CLASSIC)}


class MovableClock:
    """The machine's clock, which somebody sets; what measures spans goes on as ever."""

    def __init__(self):
        self.ahead = timedelta(0)

    def clock(self):
        return Clock(now=self.now, monotonic=system_clock().monotonic)

    def now(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def machine():
    return MovableClock()


@pytest.fixture(scope="module", autouse=True)
def movable(machine):
    """The bridge on the stage lives by the machine's clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "system_clock", machine.clock)
        yield


@pytest.fixture(scope="module")
def on_server():
    """What a carrier does is the same to every XMPP server: one will do."""
    return lambda config: config


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID, CLASSIC)}, strangers=("carol",), extra_yaml="admins: [carol@example.com]\n"
    )


@pytest.fixture
def carrier(stage, machine):
    """It knows where the bridge is; back to its senses, and the clock right, with the end of the test."""
    point(stage)
    yield stage.carrier
    stage.carrier.config.faults.clear()
    machine.ahead = timedelta(0)


def point(stage):
    """Tell the carrier where the bridge is."""
    dids = stage.carrier.account.dids
    for number, settings in dids.items():
        is_classic = number == CLASSIC.removeprefix("+1")
        dids[number] = replace(
            settings,
            webhook=stage.webhook_url,
            webhook_enabled=not is_classic,
            sms_url_callback=stage.webhook_url + TEMPLATE,
            sms_url_callback_enabled=is_classic,
            sms_url_callback_retry=True,
        )


async def end_of(push):
    """What we said last, when the carrier is through with it."""
    async with asyncio.timeout(PATIENCE):
        return await push.answered


class TestRepeats:
    @pytest.mark.parametrize(("via", "did"), DOORS.values(), ids=DOORS)
    async def test_fifty_copies_at_once_are_all_thanked_and_shown_once(self, stage, carrier, login, peer, via, did):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=via, what=What.COPIES, amount=50))
        push = await carrier.text_in(peer, did, "only once")
        await end_of(push)
        assert [(attempt.status, attempt.body) for attempt in push.attempts] == [(200, "ok")] * 50
        assert await curtain(stage, alice, peer, did) == ["only once"]

    @pytest.mark.parametrize(("via", "did"), DOORS.values(), ids=DOORS)
    async def test_a_text_whose_thanks_were_lost_comes_again_and_is_shown_once(
        self, stage, carrier, login, peer, via, did
    ):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=AFTER, method=via, drop=True, times=2))
        push = await carrier.text_in(peer, did, "only once")
        await end_of(push)
        assert [attempt.status for attempt in push.attempts] == [None, None, 200]
        assert await curtain(stage, alice, peer, did) == ["only once"]

    async def test_a_text_that_is_lost_on_its_way_twice_is_shown_when_it_comes_at_last(
        self, stage, carrier, login, peer
    ):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, drop=True, times=2))
        push = await carrier.text_in(peer, DID, "at last")
        await end_of(push)
        assert [attempt.status for attempt in push.attempts] == [None, None, 200]
        assert await curtain(stage, alice, peer, DID) == ["at last"]

    async def test_of_many_texts_of_which_every_third_is_doubled_or_lost_each_is_shown_once(
        self, stage, carrier, login, peer
    ):
        alice, faults = await login("alice"), carrier.config.faults
        for what in ({"when": BEFORE, "drop": True}, {"when": AFTER, "drop": True}):
            faults.arm(Fault(method=WEBHOOK, share=0.15, times=None, **what))
        faults.arm(Fault(when=BEFORE, method=WEBHOOK, what=What.COPIES, amount=3, share=0.2, times=None))
        pushes = [await carrier.text_in(peer, DID, f"text {n:02}") for n in range(40)]
        for push in pushes:
            await end_of(push)
        faults.clear()
        assert sorted(await curtain(stage, alice, peer, DID)) == [f"text {n:02}" for n in range(40)], (
            f"seed {faults.seed}"
        )
        assert len({item.fault for item in carrier.ledger.met if item.method == WEBHOOK}) >= 3

    async def test_a_text_that_comes_again_after_months_is_thanked_and_not_shown_though_its_words_are_forgotten(
        self, stage, carrier, login, machine, peer
    ):
        alice, contact = await login("alice"), stage.contact(peer)
        await alice.send_presence(to=contact)
        await alice.ping(contact)  # the bridge knows her client, and can prove that she has what comes

        async def none_is_left(query):
            with closing(sqlite3.connect(stage.database)) as reader:
                await round_trips_until(alice, contact, lambda: reader.execute(query, (peer,)).fetchone() == (0,))

        push = await carrier.text_in(peer, DID, "happy new year")
        await end_of(push)
        await alice.next(from_(contact))
        # by the clock that jumps the server has been started since, so what is not proved would be handed again
        unproved = (
            "SELECT count(*) FROM delivery d JOIN inbox i ON i.id = d.inbox_id WHERE proved_at IS NULL AND peer = ?"
        )
        await none_is_left(unproved)
        await stage.stop_bridge()
        machine.ahead = timedelta(days=170)
        await stage.start_bridge()  # it forgets when it starts
        point(stage)
        await none_is_left("SELECT count(*) FROM inbox WHERE peer = ?")
        again = carrier.push(push.row)
        assert (await end_of(again)).body == "ok"
        assert await curtain(stage, alice, peer, DID) == ["happy new year"]


class TestOrderAndIdentity:
    async def test_texts_are_shown_in_the_order_in_which_they_came_to_us(self, stage, carrier, login, peer):
        alice, gate = await login("alice"), asyncio.Event()
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, gate=gate))
        first = await carrier.text_in(peer, DID, "first")
        await end_of(await carrier.text_in(peer, DID, "second"))
        gate.set()
        await end_of(first)
        assert await curtain(stage, alice, peer, DID) == ["second", "first"]

    async def test_a_text_that_was_held_up_for_an_hour_says_when_it_was_written(self, stage, carrier, login, peer):
        alice = await login("alice")
        push = await carrier.text_in(peer, DID, "now")
        await end_of(push)
        written_at = push.row.at.replace(microsecond=0) - timedelta(hours=1)
        await end_of(carrier.push(replace(push.row, id=carrier.ledger.next_id(push.row.kind), at=written_at)))
        now, late = [await alice.next(from_(stage.contact(peer))) for _ in range(2)]
        assert (now.delayed_at, late.delayed_at) == (None, written_at)

    async def test_another_text_under_an_id_that_was_used_is_shown_as_well(self, stage, carrier, login, peer):
        alice = await login("alice")
        conflicts = sample(stage, "inbound_conflicted_total", provider="voipms")
        push = await carrier.text_in(peer, DID, "the first")
        await end_of(push)
        for _ in range(3):
            assert (await end_of(carrier.push(replace(push.row, message="quite another")))).body == "ok"
        assert await curtain(stage, alice, peer, DID) == ["the first", "quite another"]
        assert sample(stage, "inbound_conflicted_total", provider="voipms") == conflicts + 1

    async def test_another_peer_under_an_id_that_was_used_is_shown_as_well(
        self, stage, carrier, login, peer, telephone
    ):
        alice, other = await login("alice"), telephone()
        push = await carrier.text_in(peer, DID, "hello")
        await end_of(push)
        await end_of(carrier.push(replace(push.row, peer=other.removeprefix("+1"))))
        assert await curtain(stage, alice, peer, DID) == await curtain(stage, alice, other, DID) == ["hello"]

    async def test_the_same_words_under_another_id_are_another_text(self, stage, carrier, login, peer):
        alice = await login("alice")
        push = await carrier.text_in(peer, DID, "ok")
        await end_of(push)
        await end_of(carrier.push(replace(push.row, id=carrier.ledger.next_id(push.row.kind))))
        assert await curtain(stage, alice, peer, DID) == ["ok", "ok"]


class TestClock:
    @pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-365), timedelta(hours=1)], ids=str)
    async def test_texts_go_both_ways_and_are_told_once_after_the_clock_has_jumped(
        self, stage, carrier, login, http, machine, peer, jump
    ):
        alice, contact = await login("alice"), stage.contact(peer)
        push = await carrier.text_in(peer, DID, "before")
        await end_of(push)
        await alice.next(receipt_for(await alice.send_text(contact, "also before")))
        for machine.ahead in (jump, timedelta(0)):
            await end_of(carrier.push(push.row))
            await end_of(await carrier.text_in(peer, DID, "hello"))
            await alice.next(receipt_for(await alice.send_text(contact, "hello to you")))
            async with http.get(f"http://127.0.0.1:{stage.service.web.internal_port}/readyz") as answer:
                assert answer.status == 200
        assert await curtain(stage, alice, peer, DID) == ["before", "hello", "hello"]
        sent = [row.message for row in carrier.ledger.sent if row.peer == peer.removeprefix("+1")]
        assert sent == ["also before", "hello to you", "hello to you"]


class TestBodies:
    async def test_a_flood_is_taken_to_the_last_text_and_nobody_else_is_shut_out(
        self, stage, carrier, login, peer, telephone
    ):
        alice, peers = await login("alice"), [telephone() for _ in range(8)]
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, what=What.COPIES, amount=40, times=len(peers)))
        pushes = [await carrier.text_in(peer, DID, "flood") for peer in peers]
        lone = await carrier.text_in(peer, DID, "and I?")
        for push in (*pushes, lone):
            assert (await end_of(push)).satisfied
        for flooded in peers:
            assert await curtain(stage, alice, flooded, DID) == ["flood"]
        assert await curtain(stage, alice, peer, DID) == ["and I?"]

    @pytest.mark.parametrize(("via", "did"), DOORS.values(), ids=DOORS)
    async def test_a_text_that_dribbles_in_is_shown_whole_and_others_do_not_wait_for_it(
        self, stage, carrier, login, peer, telephone, via, did
    ):
        alice, other, gate, met = await login("alice"), telephone(), asyncio.Event(), len(carrier.ledger.met)
        carrier.config.faults.arm(Fault(when=BEFORE, method=via, what=What.DRIBBLED, amount=0.5, gate=gate))
        push = await carrier.text_in(peer, did, "slow 🐌 but steady")
        await carrier.ledger.until(lambda: len(carrier.ledger.met) > met)
        assert await curtain(stage, alice, other, DID) == []
        assert push.attempts == []
        gate.set()
        assert (await end_of(push)).body == "ok"
        assert len(push.attempts) == 1
        assert await curtain(stage, alice, peer, did) == ["slow 🐌 but steady"]

    async def test_a_huge_body_is_turned_away_and_the_text_is_shown_when_it_comes_as_it_should(
        self, stage, carrier, login, peer
    ):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, what=What.PADDED, amount=1_000_000))
        push = await carrier.text_in(peer, DID, "slim")
        await end_of(push)
        assert [attempt.status for attempt in push.attempts] in ([413, 200], [None, 200])
        assert await curtain(stage, alice, peer, DID) == ["slim"]

    async def test_a_body_with_room_to_spare_is_taken(self, stage, carrier, login, peer):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, what=What.PADDED, amount=50_000))
        assert (await end_of(await carrier.text_in(peer, DID, "roomy"))).satisfied
        assert await curtain(stage, alice, peer, DID) == ["roomy"]

    async def test_a_body_in_bad_chunks_is_turned_away_and_the_text_is_shown_when_it_comes_as_it_should(
        self, stage, carrier, login, peer
    ):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=WEBHOOK, what=What.BAD_CHUNKS, times=2))
        push = await carrier.text_in(peer, DID, "whole")
        await end_of(push)
        assert [attempt.status for attempt in push.attempts] == [400, 400, 200]
        assert await curtain(stage, alice, peer, DID) == ["whole"]

    @pytest.mark.parametrize(("via", "did"), DOORS.values(), ids=DOORS)
    async def test_copies_in_one_breath_on_one_connection_are_shown_once(self, stage, carrier, login, peer, via, did):
        alice = await login("alice")
        carrier.config.faults.arm(Fault(when=BEFORE, method=via, what=What.PIPELINED, amount=5))
        push = await carrier.text_in(peer, did, "in one breath")
        await end_of(push)
        assert [attempt.body for attempt in push.attempts] == ["ok"] * 5
        assert await curtain(stage, alice, peer, did) == ["in one breath"]


class TestLetters:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            (b"caf\xc3\xa9", "café"),
            (b"caf\xe9", "café"),  # a carrier's old part writes Latin-1
            (b"&eacute; &amp; &lt;b&gt;", "&eacute; &amp; &lt;b&gt;"),
            (b"50%25 off+tax", "50%25 off+tax"),
            (b"\\ud83d\\ude42", "🙂"),
            (b"{ } [ ] ~ \\\\ | ^ \xe2\x82\xac", "{ } [ ] ~ \\ | ^ €"),
        ],
    )
    async def test_the_bytes_of_a_webhook_are_decoded_once(self, stage, login, http, carrier, peer, written, read):
        alice = await login("alice")
        number = carrier.ledger.next_id("sms")
        body = json.dumps({
            "data": {"payload": {
                "id": number, "type": "SMS", "from": {"phone_number": peer}, "to": [{"phone_number": DID}],
                "text": "LETTERS",
            }}
        }).encode()  # fmt: skip
        async with http.post(stage.webhook_url, data=body.replace(b"LETTERS", written)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        assert await curtain(stage, alice, peer, DID) == [read]

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("caf%C3%A9", "café"),
            ("caf%E9", "café"),
            ("two+words%20more", "two words more"),
            ("1%2B1", "1+1"),
            ("50%2525", "50%25"),
            ("%F0%9F%99%82", "🙂"),
            ("a%26b%3Dc%23d", "a&b=c#d"),
            ("one%0Atwo", "one\ntwo"),
            ("semi;colon", "semi;colon"),
        ],
    )
    async def test_the_query_of_a_callback_is_decoded_once(self, stage, login, http, carrier, peer, written, read):
        alice, number = await login("alice"), carrier.ledger.next_id("sms")
        url = f"{stage.webhook_url}&from={quote(peer)}&to={quote(CLASSIC)}&id={number}&message={written}"
        async with http.get(URL(url, encoded=True)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        assert await curtain(stage, alice, peer, CLASSIC) == [read]

    async def test_every_character_of_unicode_arrives_or_is_replaced(self, stage, carrier, login, peer):
        alice, streams = await login("alice"), sample(stage, "streams_opened_total")
        every = [chr(code) for code in range(0x110000) if code not in range(0xD800, 0xE000)]
        texts = ["." + "".join(every[n : n + 4000]) + "." for n in range(0, len(every), 4000)]
        for text in texts:
            await end_of(await carrier.text_in(peer, DID, text))
        bodies = await curtain(stage, alice, peer, DID)
        assert [len(body) for body in bodies] == [len(text) for text in texts]
        unlike = {
            f"{ord(sign):#x}": seen
            for text, body in zip(texts, bodies, strict=True)
            for sign, seen in zip(text, body, strict=True)
            if sign != seen
        }
        controls = {f"{code:#x}": "\ufffd" for code in range(0x20) if chr(code) not in "\t\n\r"}
        assert unlike == {**controls, "0xd": "\n", "0xfffe": "\ufffd", "0xffff": "\ufffd"}
        assert sample(stage, "streams_opened_total") == streams


class TestOddTexts:
    @pytest.mark.parametrize(
        ("sender", "localpart", "nick"),
        [
            ("BANK", "bank", "BANK"),
            ("29283", "29283", None),
            ("anonymous", "anonymous", "anonymous"),
            ("joe@example.com", "joe\\40example.com", "joe@example.com"),
            ("Ann & Bob's / Café", "ann\\20\\26\\20bob\\27s\\20\\2f\\20café", "Ann & Bob's / Café"),
            ("445559870002", "_445559870002", "445559870002"),  # of which country nobody knows
            ("+445559870002", "+445559870002", None),
        ],
    )
    async def test_whoever_writes_has_an_address(self, stage, carrier, login, sender, localpart, nick):
        alice = await login("alice")
        push = await carrier.text_in(sender, DID, f"from {sender}")
        assert (await end_of(push)).body == "ok"
        text = await alice.next(from_(stage.contact(localpart)))
        assert (text.body, text.nick) == (f"from {sender}", nick)

    async def test_an_empty_text_says_so(self, stage, carrier, login, peer):
        alice = await login("alice")
        await end_of(await carrier.text_in(peer, DID, ""))
        assert await curtain(stage, alice, peer, DID) == ["(an empty text)"]

    async def test_a_picture_without_words_is_its_link_alone(self, stage, carrier, login, peer):
        alice = await login("alice")
        push = await carrier.text_in(peer, DID, "", [PNG])
        await end_of(push)
        shown = await alice.next(from_(stage.contact(peer)))
        assert shown.body == shown.oob_url
        assert await curtain(stage, alice, peer, DID) == [shown.oob_url]

    @pytest.mark.parametrize("length", [2_000, 20_000, 60_000])
    async def test_a_long_text_is_shown_to_its_end(self, stage, carrier, login, peer, length):
        alice = await login("alice")
        words = " ".join(f"{n:07}" for n in range(length // 8))
        assert (await end_of(await carrier.text_in(peer, DID, words))).body == "ok"
        assert "".join(await curtain(stage, alice, peer, DID)) == words

    async def test_a_text_for_nobody_goes_to_the_administrator_and_is_thanked(self, stage, carrier, login, peer):
        carol = await login("carol")
        number = "5551230009"
        settings = carrier.account.dids[DID.removeprefix("+1")]
        carrier.account.dids[number] = replace(settings, did=number)
        try:
            assert (await end_of(await carrier.text_in(peer, number, "anybody?"))).body == "ok"
        finally:
            del carrier.account.dids[number]
        await carol.next(lambda stanza: "anybody?" in (stanza.body or ""))  # a jump of the clock may have been told too
