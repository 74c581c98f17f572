"""The test user against the throw-away servers."""

import asyncio
import re
import socket

import pytest

from smsbridge.sim.client import Client, LoginFailed, Refused
from smsbridge.sim.xmpp_server import LOOPBACK


async def test_a_user_logs_in_and_sees_its_own_presence(account, login):
    user = account("alice")
    client = await login(user, resource="phone")
    assert client.jid == f"{user.jid}/phone"
    assert client.is_online
    assert [presence.sender for presence in client.presences] == [client.jid]


async def test_a_wrong_password_fails_the_login(account, server):
    user = account("alice")
    with pytest.raises(LoginFailed, match="wrong name or password"):
        await Client.login(user.jid, "not it", port=server.c2s_port)


async def test_a_login_where_nobody_listens_fails_at_once():
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        with pytest.raises(LoginFailed, match="no connection"):
            await Client.login("alice@example.com", "pw", port=nobody.getsockname()[1])


async def test_a_login_that_the_server_lets_go_of_comes_again(account):
    """ejabberd does so while its first SQL queries race."""
    user, met, lines = account("alice"), [], []

    async def carry(reader, writer):
        while octets := await reader.read(65536):
            writer.write(octets)
        writer.close()

    async def answer(reader, writer):
        met.append(writer)
        if len(met) < 3:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, user.c2s_port)
        lines.extend(map(asyncio.create_task, (carry(reader, far_writer), carry(far_reader, writer))))

    async with await asyncio.start_server(answer, LOOPBACK, 0) as between:
        port = between.sockets[0].getsockname()[1]
        async with await Client.login(user.jid, user.password, port=port) as client:
            assert client.is_online
        await asyncio.gather(*lines)
    assert len(met) == 3


async def test_two_users_exchange_text_with_receipt_and_marker(account, login):
    alice, bob = await login(account("alice")), await login(account("bob"))
    sent = await alice.send_text(bob.bare_jid, "grüße & <tags> 👋")
    got = await bob.next()
    assert (got.stanza_id, got.sender, got.kind, got.body) == (sent, alice.jid, "chat", "grüße & <tags> 👋")
    assert got.receipt_requested
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sent)

    await bob.ping(alice.jid)
    assert alice.received == []  # no receipt by itself
    await bob.send_receipt(got)
    await bob.send_displayed(got)
    assert (await alice.next()).receipt_for == sent
    marker = await alice.next()
    assert (marker.displayed_for, marker.hints) == (sent, {"store"})


async def test_receipts_are_sent_by_themselves_when_asked_for(account, login):
    alice, bob = await login(account("alice")), await login(account("bob"), auto_receipts=True)
    sent = await alice.send_text(bob.bare_jid, "hello")
    assert (await alice.next()).receipt_for == sent


async def test_a_message_turned_down_by_one_call_stays_for_the_next(account, login):
    alice, bob = await login(account("alice")), await login(account("bob"))
    for body in ("one", "two", "three"):
        await alice.send_text(bob.bare_jid, body)
    assert (await bob.next(lambda m: m.body == "two")).body == "two"
    assert [(await bob.next()).body for _ in range(2)] == ["one", "three"]
    with pytest.raises(TimeoutError, match="unread: none"):
        await bob.next(timeout=0.01)
    assert [m.body for m in bob.received] == ["one", "two", "three"]


async def test_an_error_is_recorded_with_its_condition(account, login):
    alice = await login(account("alice"))
    sent = await alice.send_text("nobody-at-all@example.com", "hello?")
    bounce = await alice.next(lambda m: m.error is not None)
    assert (bounce.stanza_id, bounce.kind, bounce.error.condition) == (sent, "error", "service-unavailable")


async def test_a_text_for_a_user_who_is_away_arrives_with_a_stamp_at_login(account, login):
    alice, bob = await login(account("alice")), account("bob")
    sent = await alice.send_text(bob.jid, "for later")
    await alice.ping()
    late = await (await login(bob)).next()
    assert (late.stanza_id, late.body) == (sent, "for later")
    assert late.delayed_at.tzinfo is not None


async def test_the_archive_is_read_to_its_end_over_many_pages(account, login):
    alice, bob, carol = await login(account("alice")), await login(account("bob")), account("carol")
    ids = [await alice.send_text(bob.bare_jid, f"text {n}") for n in range(7)]
    await alice.send_text(carol.jid, "something else")
    await alice.ping()
    archived = await bob.archive(alice.bare_jid, page=3)
    assert [m.stanza_id for m in archived] == ids
    assert all(m.archive_id and m.archived_at for m in archived)
    assert len(await alice.archive()) == 8
    assert len(await alice.archive(carol.jid)) == 1
    assert len(bob.received) == 7  # the archive's copies are not messages


async def test_carbons_tell_which_way_the_copied_message_went(account, login):
    alice, bob = account("alice"), await login(account("bob"))
    phone, desk = await login(alice, resource="phone"), await login(alice, resource="desk", carbons=True)
    await phone.send_text(bob.bare_jid, "from the phone")
    copy = await desk.next()
    assert (copy.carbon, copy.recipient, copy.body) == ("sent", bob.bare_jid, "from the phone")
    await bob.send_text(phone.jid, "to the phone")
    copy = await desk.next()
    assert (copy.carbon, copy.sender, copy.body) == ("received", bob.jid, "to the phone")
    assert (await phone.next()).carbon is None


async def test_a_wrapper_from_a_stranger_is_not_unwrapped(account, login):
    alice, mallory = await login(account("alice")), await login(account("mallory"))
    mallory.send_raw(
        f"<message to='{alice.jid}' type='chat'><body>look</body><received xmlns='urn:xmpp:carbons:2'>"
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@example.com'>"
        "<body>forged</body></message></forwarded></received></message>"
    )
    got = await alice.next()
    assert (got.body, got.sender, got.carbon) == ("look", mallory.jid, None)


async def test_subscriptions_happen_only_when_both_sides_say_so(account, login):
    alice, bob = await login(account("alice")), await login(account("bob"))
    assert await alice.roster_entry(bob.bare_jid) is None
    await alice.subscribe(bob.bare_jid)
    await bob.next_presence(lambda p: p.kind == "subscribe" and p.sender == alice.bare_jid)
    await bob.ping(alice.jid)
    entry = await alice.roster_entry(bob.bare_jid)
    assert (entry.subscription, entry.is_pending) == ("none", True)
    await bob.accept(alice.bare_jid)
    await alice.next_presence(lambda p: p.sender == bob.jid and p.kind == "available")
    assert (await alice.roster_entry(bob.bare_jid)).subscription == "to"


async def test_the_server_tells_its_features_and_a_missing_component_is_refused(account, login, server):
    alice = await login(account("alice"))
    features = (await alice.disco_info(server.domain)).features
    assert "urn:xmpp:ping" in features
    share = await alice.disco_info("share.example.com")
    assert [one.category for one in share.identities] == ["store"]
    with pytest.raises(Refused) as refused:
        await alice.ping(server.component_jid)
    condition = {"prosody": "remote-server-timeout", "ejabberd": "forbidden"}[server.name]
    assert refused.value.error.condition == condition
