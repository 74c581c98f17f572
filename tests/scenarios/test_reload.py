"""The bridge as a program takes a new configuration while it works: its stream stays, its texts go on."""

import asyncio
import contextlib
import itertools
import signal
import socket
from dataclasses import replace

import aiohttp
import pytest

from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import API_PASSWORD, DID, QUERY_KEY, SECOND_DID, Stage, StageConfig
from smsbridge.sim.xmpp_server import LOOPBACK
from tests.fakes.contrib import stage_on
from tests.fakes.radicale import PASSWORD, USER, radicale
from tests.fakes.waiting import PATIENCE

from .cues import receipt_for
from .running import Running
from .test_contacts import befriend

NEW_KEY = "pretended-query-key-0002"


@pytest.fixture
async def stage():
    """Everything but the bridge, which each test runs as a program. Which server it is makes no difference here."""
    config = StageConfig(
        public_port=free_port(),
        owners={"alice": (DID,), "bob": (SECOND_DID,)},
        extra_yaml="admins: [bob@example.com]\nlog: {format: json}\n",
    )
    async with Stage(stage_on("prosody", config)) as built:
        await built.stop_bridge()
        yield built


@pytest.fixture
async def bridge(stage):
    """The program, once its stream is open; it ends as it should."""
    async with await Running.start(stage.directory / "config.yaml") as running:
        await running.said("stream_opened")
        yield running
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0
    opened = [line for line in running.journal if '"stream_opened"' in line]
    assert len(opened) == 1


async def reload(stage, bridge, *edits, event="config_reloaded"):
    """Edit the configuration, hang up, and return what the journal says."""
    path = stage.directory / "config.yaml"
    text = path.read_text()
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    bridge.signal(signal.SIGHUP)
    return await bridge.said(event)


async def test_a_number_changes_hands_while_texts_come_in(stage, bridge, peer):
    alice, bob = await stage.client("alice"), await stage.client("bob")
    await stage.carrier.text_in(peer, SECOND_DID, "for bob")
    await bob.next(lambda stanza: stanza.body == "for bob")
    told = await reload(stage, bridge, (f'["{SECOND_DID}"]', "[]"), (f'["{DID}"]', f'["{DID}", "{SECOND_DID}"]'))
    assert told["changed"] == ["jids"]
    await stage.carrier.text_in(peer, SECOND_DID, "for alice")
    await alice.next(lambda stanza: stanza.body == "for alice")
    await bob.ping(stage.contact(peer))
    assert "for alice" not in [stanza.body for stanza in bob.received]


async def test_who_has_lost_his_numbers_sees_his_contacts_leave(stage, bridge, peer):
    bob, contact = await stage.client("bob"), stage.contact(peer)
    await befriend(bob, contact)
    await bob.next_presence(lambda presence: (presence.kind, presence.sender) == ("available", f"{contact}/phone"))
    await reload(stage, bridge, (f'["{SECOND_DID}"]', "[]"), (f'["{DID}"]', f'["{DID}", "{SECOND_DID}"]'))
    await bob.next_presence(
        lambda presence: (presence.kind, presence.sender) == ("unavailable", f"{contact}/phone"), timeout=30
    )
    await bob.send_presence("probe", contact)
    await bob.ping(contact)
    assert bob.presences[-1].kind == "unavailable"


async def test_who_lost_his_numbers_while_the_bridge_was_down_sees_his_contacts_leave(stage, peer):
    bob, contact = await stage.client("bob"), stage.contact(peer)
    config = stage.directory / "config.yaml"
    shown = ("unavailable", f"{contact}/phone")
    async with await Running.start(config) as bridge:
        await bridge.said("stream_opened")
        await befriend(bob, contact)
        await bob.next_presence(lambda presence: presence.sender == f"{contact}/phone")
        bridge.signal(signal.SIGKILL)  # it has no time to say goodbye
        await bridge.ended()
    config.write_text(config.read_text().replace(f'["{SECOND_DID}"]', "[]"))
    async with await Running.start(config) as bridge:
        await bridge.said("stream_opened")
        await bob.next_presence(lambda presence: (presence.kind, presence.sender) == shown)
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0


async def test_a_new_password_sets_free_what_the_old_one_held(stage, bridge, peer):
    alice, contact = await stage.client("alice"), stage.contact(peer)
    account = stage.carrier.account
    account.config = replace(account.config, password="another-password")
    text = await alice.send_text(contact, "held")
    await bridge.said("hold_raised")
    told = await reload(stage, bridge, (API_PASSWORD, "another-password"))
    assert told["changed"] == ["providers.voipms.password"]
    await alice.next(receipt_for(text))
    assert [row.message for row in stage.carrier.handset(peer)] == ["held"]
    assert (await bridge.said("provider_checked"))["provider"] == "voipms"


async def test_while_keys_are_changed_over_no_callback_is_refused(stage, bridge):
    url = f"http://{LOOPBACK}:{stage.config.public_port}/voipms"
    numbers = itertools.count(1)
    answers, is_over = {QUERY_KEY: [], NEW_KEY: []}, asyncio.Event()

    async def call(http, key):
        payload = {
            "id": next(numbers), "type": "SMS", "from": {"phone_number": "5559870002"},
            "to": [{"phone_number": DID}], "text": "x",
        }  # fmt: skip
        async with http.post(url, params={"key": key}, json={"data": {"payload": payload}}) as answer:
            answers[key].append(answer.status)

    async def keep_calling(http, key):
        while not is_over.is_set():
            await call(http, key)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        calling = asyncio.create_task(keep_calling(http, QUERY_KEY))
        line = f"query_key: {QUERY_KEY}"
        await reload(stage, bridge, (line, f"query_keys: [{QUERY_KEY}, {NEW_KEY}]"))
        await call(http, NEW_KEY)
        await call(http, QUERY_KEY)
        is_over.set()
        await calling
        assert set(answers[QUERY_KEY]) == set(answers[NEW_KEY]) == {200}
        await reload(stage, bridge, (f"query_keys: [{QUERY_KEY}, {NEW_KEY}]", f"query_key: {NEW_KEY}"))
        await call(http, NEW_KEY)
        await call(http, QUERY_KEY)
    assert (answers[NEW_KEY][-1], answers[QUERY_KEY][-1]) == (200, 403)


LOG = "log: {format: json}\n"


def shows(contact, name):
    return lambda presence: (presence.kind, presence.sender, presence.nick) == ("available", f"{contact}/phone", name)


async def named(client, contact, name):
    """Until the contact list says so."""
    async with asyncio.timeout(PATIENCE):
        while (entry := await client.roster_entry(contact)) is None or entry.name != name:
            pass


async def test_a_name_that_is_changed_is_shown_anew_and_no_other(stage, bridge, peer, telephone):
    alice, contact, other = await stage.client("alice"), stage.contact(peer), stage.contact(telephone())
    names = f'contacts: {{"{peer}": Mum, "{other.partition("@")[0]}": Bob}}\n'
    told = await reload(stage, bridge, (LOG, LOG + names))
    assert told["changed"] == ["contacts"]
    await named(alice, contact, "Mum")
    await alice.next_presence(shows(other, "Bob"))
    await reload(stage, bridge, ("Mum", "Mother"))
    await alice.next_presence(shows(contact, "Mother"))
    await named(alice, contact, "Mother")
    assert [one.nick for one in alice.presences if one.sender == f"{other}/phone"] == ["Bob"]


async def test_names_come_from_an_address_book_and_change_with_it(stage, bridge, peer, tmp_path):
    alice, contact = await stage.client("alice"), stage.contact(peer)
    await stage.carrier.text_in(peer, DID, "who is this?")
    await alice.next(lambda stanza: stanza.body == "who is this?")
    async with radicale(tmp_path) as book:
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Mum\r\nN:Mum;;;;\r\nTEL:{peer}\r\nEND:VCARD\r\n"
        await book.put("mum", card)
        its = f'{{url: "{book.url}", username: {USER}, password: {PASSWORD}}}'
        await reload(stage, bridge, (LOG, f"{LOG}address_books: {{home: {its}}}\n"))
        assert (await bridge.said("book_read"))["numbers"] == 1
        await named(alice, contact, "Mum")
        await book.put("mum", card.replace("FN:Mum", "FN:Mother"))
        await reload(stage, bridge, ("log: {format: json}", "log: {format: json, level: info}"))
        await named(alice, contact, "Mother")
    assert PASSWORD not in "".join(bridge.journal)
    assert "Mother" not in "".join(bridge.journal)


async def test_names_of_an_address_book_are_there_after_a_restart_though_its_server_is_not(stage, peer, tmp_path):
    alice, contact = await stage.client("alice"), stage.contact(peer)
    config = stage.directory / "config.yaml"
    async with radicale(tmp_path) as book:
        await book.put("mum", f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Mum\r\nN:;;;;\r\nTEL:{peer}\r\nEND:VCARD\r\n")
        its = f'{{url: "{book.url}", username: {USER}, password: {PASSWORD}}}'
        config.write_text(f"{config.read_text()}address_books: {{home: {its}}}\n")
        async with await Running.start(config) as bridge:
            await bridge.said("book_read")
            bridge.signal(signal.SIGKILL)
            await bridge.ended()
    async with await Running.start(config) as bridge:
        await bridge.said("stream_opened")
        await alice.send_presence(None, contact)
        await alice.next_presence(shows(contact, "Mum"))
        if not any('"book_failed"' in line for line in bridge.journal):  # it may come before the stream, and after
            await bridge.said("book_failed")
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
        assert not any('"book_read"' in line for line in bridge.journal)


async def test_a_storm_of_reloads_good_and_bad_loses_nothing(stage, bridge, peer):
    alice, contact = await stage.client("alice"), stage.contact(peer)
    path = stage.directory / "config.yaml"
    good = path.read_text()
    sent = []
    for n in range(30):
        text = good.replace("admins: [bob@", f"admins: [bob{n}@")
        path.write_text([text, f"{text}nonsense: 1\n", text.replace("jid: sms.", "jid: mms."), ""][n % 4])
        bridge.signal(signal.SIGHUP)
        if n % 3 == 0:
            sent.append(await alice.send_text(contact, f"text {n}"))
            await stage.carrier.text_in(peer, DID, f"answer {n}")
    path.write_text(f"{good}destinations: [US, GB]\n")
    bridge.signal(signal.SIGHUP)
    while "destinations" not in (await bridge.said("config_reloaded"))["changed"]:
        pass
    for stanza_id in sent:
        await alice.next(receipt_for(stanza_id))
    for n in range(0, 30, 3):
        await alice.next(lambda stanza, n=n: stanza.body == f"answer {n}")
    left = [row.message for row in stage.carrier.handset(peer) if row.method == "sendSMS"]
    assert sorted(left) == sorted(f"text {n}" for n in range(0, 30, 3))


async def test_the_supervisor_hears_of_it_and_is_fed_though_server_and_carrier_are_gone(stage, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.setblocking(False)
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)

        async def heard(*parts):
            async with asyncio.timeout(PATIENCE):
                while True:
                    told = (await asyncio.get_running_loop().sock_recv(supervisor, 4096)).decode()
                    if all(part in told for part in parts):
                        return told

        async with await Running.start(stage.directory / "config.yaml") as bridge:
            await heard("READY=1")
            assert (await heard("WATCHDOG=1", "STATUS=up")).split("\n") == ["WATCHDOG=1", "STATUS=up"]
            await stage.stop_carrier()
            await stage.server.kill()
            for _ in range(5):
                await heard("WATCHDOG=1", "STATUS=XMPP server unreachable since ")
            bridge.signal(signal.SIGHUP)
            began = await heard("RELOADING=1")
            assert int(began.partition("MONOTONIC_USEC=")[2]) > 0
            assert await heard("READY=1") == "READY=1\nSTATUS=reloaded"
            path = stage.directory / "config.yaml"
            path.write_text(path.read_text().replace("jid: sms.", "jid: mms."))
            bridge.signal(signal.SIGHUP)
            refusal = (await heard("READY=1")).removeprefix("READY=1\nSTATUS=")
            assert "line 2 xmpp.jid" in refusal
            assert "takes a restart" in refusal
            assert refusal in await heard("WATCHDOG=1")
            bridge.signal(signal.SIGTERM)
            await heard("STOPPING=1")
            assert await bridge.ended() == 0
        with contextlib.suppress(BlockingIOError):
            while True:
                assert "STATUS=no progress" not in supervisor.recv(4096).decode()
