"""The bridge as a program: it stops in order, starts where it stopped, and its journal keeps everybody's secrets."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import aiohttp
import pytest

from smsbridge.sim.account import DidSettings
from smsbridge.sim.client import Refused
from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Attachment
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import API_PASSWORD, DID, LOOPBACK, QUERY_KEY, Stage, StageConfig
from tests.fakes.waiting import PATIENCE

from .cues import error_for, from_, judged, locked, receipt_for
from .running import Running

NOBODY_THERE = {
    "prosody": "remote-server-timeout",
    "ejabberd": "forbidden",
}  # what a server says of us when we are gone


@pytest.fixture
async def stage(on_server):
    """Everything but the bridge, which each test runs as a program."""
    config = StageConfig(
        public_port=free_port(),
        strangers=("mallory",),
        extra_yaml="admins: [mallory@example.com]\nlog: {format: json, level: debug}\n",
        account_yaml="    settle_seconds: 0.4\n",
    )
    # What mod_smsbridge adds has tests of its own: here the server knows nobody when the stream is closed.
    async with Stage(replace(on_server(config), component_module=None)) as built:
        await built.stop_bridge()
        yield built


async def run(stage):
    """The program, once its stream is open."""
    bridge = await Running.start(stage.directory / "config.yaml")
    await bridge.said("stream_opened")
    return bridge


async def gone(client, contact):
    """Until the server knows of no bridge any more. A ping into the very moment of parting gets no answer."""
    while True:
        try:
            async with asyncio.timeout(1):
                await client.ping(contact)
        except TimeoutError:
            continue
        except Refused:
            return


async def test_the_stream_goes_first_and_the_call_in_flight_is_finished_and_settled(stage, peer):
    alice, contact, gate = await stage.client("alice"), stage.contact(peer), asyncio.Event()
    async with await run(stage) as bridge:
        stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", gate=gate))
        in_flight = await alice.send_text(contact, "in flight")
        await stage.carrier.ledger.until(lambda: bool(stage.carrier.handset(peer)))
        bridge.signal(signal.SIGTERM)
        await gone(alice, contact)
        late = await alice.send_text(contact, "too late")
        bounced = await alice.next(error_for(late))
        assert bounced.error.condition == NOBODY_THERE[stage.server.name]
        assert bridge.is_alive
        gate.set()
        assert await bridge.ended() == 0
    assert not [stanza for stanza in alice.received if stanza.receipt_for]
    async with await run(stage) as bridge:
        await alice.next(receipt_for(in_flight))
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    assert [row.message for row in stage.carrier.handset(peer)] == ["in flight"]


async def test_a_text_typed_in_the_moment_of_stopping_is_either_kept_or_returned(stage, peer):
    """ejabberd forgets what it routed between reading our goodbye and taking back the route: no later, no earlier."""
    alice, contact = await stage.client("alice"), stage.contact(peer)
    async with await run(stage) as bridge:
        typed = [await alice.send_text(contact, f"text {n}") for n in range(20)]
        await alice.ping()
        typed += [await alice.send_text(contact, f"text {n}") for n in range(20, 40)]
        bridge.signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):  # that she writes on and on does not keep it
            while not any(stanza.error for stanza in alice.received):
                typed.append(await alice.send_text(contact, f"text {len(typed)}"))
                await alice.ping()
        assert await bridge.ended() == 0
    await alice.ping()
    returned = {stanza.stanza_id for stanza in alice.received if stanza.error}
    with closing(sqlite3.connect(stage.database)) as reader:
        kept = {row[0] for row in reader.execute("SELECT stanza_id FROM message")}
    fates = [(each in kept, each in returned) for each in typed]
    forgotten = fates.count((False, False)) if stage.server.name == "ejabberd" else 0
    first = [(True, False)] * len(kept)
    last = [(False, True)] * len(returned)
    assert fates == [*first, *[(False, False)] * forgotten, *last]
    assert len(kept) >= 20
    # What reached the bridge was kept: it turned nothing away that nobody heard of.
    assert not [line for line in bridge.journal if '"text_refused"' in line or '_failed"' in line]


async def test_what_waited_when_it_stopped_goes_on_when_it_starts(stage, peer):
    contact = stage.contact(peer)
    async with await run(stage) as bridge:
        await stage.server.stop(keep=True)
        await bridge.said("stream_lost")
        push = await stage.carrier.text_in(peer, DID, "for later")
        assert (await push.answered).body == "ok"
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    await stage.server.restart()
    alice = await stage.client("alice")
    async with await run(stage):
        assert (await alice.next(from_(contact))).body == "for later"


async def test_what_came_while_the_components_name_was_mistyped_is_there_once_it_is_right(stage, peer):
    config = stage.directory / "config.yaml"
    right = config.read_text()
    config.write_text(right.replace(stage.server.component_jid, "typo.example.com"))
    alice, contact = await stage.client("alice"), stage.contact(peer)
    async with await Running.start(config) as bridge:
        await bridge.said("stream_refused")
        push = await stage.carrier.text_in(peer, DID, "to a typo")
        assert (await push.answered).body == "ok"
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    config.write_text(right)
    async with await run(stage):
        assert (await alice.next(from_(contact))).body == "to a typo"


async def test_a_kill_between_the_carriers_yes_and_ours_is_found_out_and_never_sent_again(stage, peer):
    alice, contact, gate = await stage.client("alice"), stage.contact(peer), asyncio.Event()
    async with await run(stage) as bridge:
        stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", gate=gate))
        doubtful = await alice.send_text(contact, "doubtful")
        await stage.carrier.ledger.until(lambda: bool(stage.carrier.handset(peer)))
        bridge.signal(signal.SIGKILL)
        assert await bridge.ended() == -signal.SIGKILL
    gate.set()
    async with await run(stage):
        await alice.next(receipt_for(doubtful))
        await alice.next(receipt_for(await alice.send_text(contact, "following")))
    assert [row.message for row in stage.carrier.handset(peer)] == ["doubtful", "following"]


SECRETS = {
    "the API password": API_PASSWORD,
    "the query key": QUERY_KEY,
    "a key that was tried": "a-key-that-was-tried",
    "the number": "5551230001",
    "a friend's number": "5559870002",
    "a wrongly typed number": "5559870003",
    "a number in a configuration": "5551230008",
    "a number nobody has": "5551230009",
    "a text": "canary",
    "a sender's name": "kingfisher",
    "a link": "share.example.com",
}


async def test_the_journal_holds_no_secret_no_number_and_no_text(stage):
    alice, mallory = await stage.client("alice"), await stage.client("mallory")
    async with await run(stage) as bridge:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            await what_comes_in(stage, alice, http)
        await what_goes_out(stage, alice, mallory)
        await what_breaks(stage, alice, bridge)
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    journal = "\n".join(bridge.journal).lower()
    secrets = {**SECRETS, "the component's secret": stage.server.component_secret}
    assert [what for what, secret in secrets.items() if secret.lower() in journal] == []
    events = (
        "message_taken message_unrouted message_conflicted callback_refused callback_failed text_accepted text_refused "
        "part_sent part_failed part_unknown part_found part_proved_absent part_deferred part_held stream_lost"
        " store_failed config_refused"
    )
    assert [event for event in events.split() if f'"{event}"' not in journal] == []


async def what_comes_in(stage, alice, http):
    root = f"http://{LOOPBACK}:{stage.config.public_port}"
    picture = Attachment(content_type="image/png", content=b"a canary")
    await stage.carrier.text_in("+15559870002", DID, "canary\0 \ud83d", media=[picture])
    await alice.next(from_(stage.contact("+15559870002")))
    await stage.carrier.text_in("Kingfisher", DID, "canary")
    await alice.next(from_(stage.contact("kingfisher")))
    nobodys = DidSettings(did="5551230009", webhook=stage.webhook_url, webhook_enabled=True)
    stage.carrier.account.dids[nobodys.did] = nobodys
    await (await stage.carrier.text_in("+15559870002", nobodys.did, "canary")).answered
    message = {
        "from": {"phone_number": "5559870002"}, "to": [{"phone_number": "5551230001"}], "type": "SMS", "id": 7,
    }  # fmt: skip
    for text in ("canary", "another canary"):
        async with http.post(stage.webhook_url, json={"data": {"payload": {**message, "text": text}}}) as answer:
            assert answer.status == 200
    for url, body, status in (
        (f"{root}/voipms?key=a-key-that-was-tried&from=5559870002", b'"canary"', 403),
        (f"{root}/voipms?key={QUERY_KEY}", b'{"canary": 5559870002', 400),
        (f"{root}/voipms?key={QUERY_KEY}", b'{"data": {"payload": {"text": "canary", "from": "5559870002"}}}', 400),
        (f"{root}/canary/5559870002?key={QUERY_KEY}", b"canary", 404),
    ):
        async with http.post(url, data=body) as answer:
            assert answer.status == status


async def what_goes_out(stage, alice, mallory):
    contact = stage.contact("+15559870002")
    await alice.next(receipt_for(await alice.send_text(contact, "canary")))
    stage.carrier.answer_next("sendSMS", "invalid_dst")
    await alice.next(error_for(await alice.send_text(contact, "canary")))
    stage.carrier.answer_next("sendSMS", "The canary 5559870002 is unheard of")
    await alice.next(receipt_for(await alice.send_text(contact, "canary")))
    stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    await alice.next(receipt_for(await alice.send_text(contact, "canary")))
    await alice.next(error_for(await alice.send_text(stage.contact("5559870003"), "canary")))
    await mallory.next(error_for(await mallory.send_text(contact, "canary")))
    alice.send_raw(
        f"<message to='{contact}' id='x'><body>canary</body><forwarded xmlns='urn:xmpp:forward:0'/></message>"
    )
    alice.send_raw(f"<iq to='{contact}' type='set' id='y'><canary xmlns='urn:canary'>5559870002</canary></iq>")
    link = "<x xmlns='jabber:x:oob'><url>https://share.example.com/canary.png</url></x>"
    other = stage.contact("+15559870005")  # what is attached is fetched first, and holds up what comes after it
    alice.send_raw(f"<message to='{other}' id='picture'><body>canary</body>{link}</message>")
    await judged(stage, alice)


async def what_breaks(stage, alice, bridge):
    contact = stage.contact("+15559870002")
    with locked(stage.database):
        await alice.next(error_for(await alice.send_text(contact, "canary")))
        push = await stage.carrier.text_in("+15559870002", DID, "canary")
        await bridge.said("callback_failed")
    await push.answered
    path = stage.directory / "config.yaml"
    good = path.read_text()
    for bad in (
        f"{good}canary: 5551230008\n",
        good.replace(DID, "+15551230008").replace('"', ""),
        f"{good}x: 'canary\n",
    ):
        path.write_text(bad)
        bridge.signal(signal.SIGHUP)
        await bridge.said("config_refused")
    path.write_text(good)
    stage.carrier.answer_next("sendSMS", "method_maintenance")
    await alice.send_text(contact, "canary")
    await bridge.said("part_deferred")
    stage.carrier.answer_next("sendSMS", "invalid_credentials")
    await alice.send_text(stage.contact("+15559870004"), "canary")
    await bridge.said("part_held")
    await stage.server.kill()
    await bridge.said("stream_lost")
    await stage.server.restart()
    await bridge.said("stream_opened")
