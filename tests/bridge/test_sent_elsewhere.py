"""What was sent over our numbers and not by us is shown to its owners once, and nothing of ours ever is."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge import restoring
from smsbridge.bridge.poller import USUAL
from smsbridge.core.line import Mirror
from smsbridge.core.message import DeliveryKind
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.pictures import JPEG
from smsbridge.store import outbox
from smsbridge.store.retention import Spans

from .account import account_of
from .house import ANN, CARRIER, FRIEND, JOHN, OWN, PEER, SHARED, outbound, rules


@pytest.fixture
async def account(house, ticks):
    """John's and Ann's server lets us speak for them; the dispatcher's carrier is the one in a box."""
    async with AsyncExitStack() as stack:
        account = await stack.enter_async_context(account_of(house, ticks))
        grant(account, JOHN, ANN)
        await account.begun()
        yield account


def grant(account, *owners, otherwise=False):
    """Whose server lets us speak for them."""
    house = account.house
    house.desk = replace(house.desk, speaks_for=lambda owner: True if owner in owners else otherwise)
    house.inbound._desk = house.desk
    account.poller = account.build_poller()


async def carbons(house):
    rows = await house.rows("SELECT * FROM delivery WHERE kind = 'carbon' ORDER BY id")
    return [(row["to_jid"], row["sender"], row["body"] or row["media_url"]) for row in rows]


async def test_a_text_from_the_portal_is_shown_once_and_has_its_own_time(account, house):
    row = account.carrier.text_out(PEER, OWN, "from the portal")
    for _ in range(3):
        await account.look()
    assert await carbons(house) == [(JOHN, PEER, "from the portal")]
    (delivery,) = await house.rows("SELECT stamp FROM delivery WHERE kind = 'carbon'")
    assert delivery["stamp"] == int(row.at.timestamp()) * 1000


async def test_it_is_not_shown_again_by_the_next_life(account, house, reopen, ticks):
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    next_life = await reopen()
    async with account_of(next_life, ticks) as later:
        later.carrier.ledger.record(account.carrier.ledger.sent[0])
        grant(later, JOHN, ANN)
        await later.look()
    assert len(await carbons(house)) == 1


async def test_a_restored_house_takes_what_was_sent_since_the_backup_for_its_own(account, house):
    await house.store.run(restoring.hold_back, house.desk, [CARRIER])
    account.carrier.text_out(PEER, OWN, "sent after the backup")
    await account.look()
    await house.rows("DELETE FROM hold")
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    assert await carbons(house) == [(JOHN, PEER, "from the portal")]


async def test_all_owners_of_a_shared_line_see_it_and_pictures_too(account, house):
    row = account.carrier.text_out(PEER, SHARED, "look", [JPEG])
    await account.look()
    url = row.media[0].url
    assert sorted(await carbons(house)) == sorted(
        (owner, PEER, body) for owner in (ANN, JOHN) for body in ("look", url)
    )


async def test_what_we_sent_ourselves_is_not_shown(account, house):
    await house.accept("ours", "ours too")
    await house.dispatch()
    assert len(account.carrier.ledger.sent) == 2
    await account.look()
    assert await carbons(house) == []


async def test_what_leaves_while_the_list_is_read_is_not_shown(account, house):
    gate = asyncio.Event()
    account.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", gate=gate))
    await house.accept("on its way")
    house.dispatcher = house.build_dispatcher()
    async with house.dispatching():
        await account.carrier.ledger.until(lambda: account.carrier.ledger.sent)
        assert await account.look() == USUAL.total_seconds()
        gate.set()
    await account.look()
    assert await carbons(house) == []


async def test_while_nobody_knows_of_a_text_nothing_of_its_conversation_is_shown(account, house):
    account.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    await house.accept("is it there?")
    await house.dispatch()
    assert await house.states() == ["unknown"]
    account.carrier.text_out(PEER, OWN, "from the portal")
    account.carrier.text_out(FRIEND, OWN, "to somebody else")
    assert await account.look() == USUAL.total_seconds()
    assert await carbons(house) == [(JOHN, FRIEND, "to somebody else")]


@pytest.mark.parametrize("is_found_first", [True, False])
async def test_a_text_that_was_given_the_id_of_another_is_not_shown(account, house, is_found_first):
    faults = account.carrier.config.faults
    faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    await house.accept("the first", to=FRIEND)
    await house.dispatch()
    faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", what=What.SAME_ID))
    await house.accept("the second")
    await house.dispatch()
    first, _ = account.carrier.ledger.sent
    assert [row["provider_id"] for row in await house.rows("SELECT provider_id FROM outbox ORDER BY id")] == [
        None,
        str(first.id),
    ]
    if is_found_first:
        await find(house, first)
    await account.look()
    await find(house, first)
    await account.look()
    assert await carbons(house) == []
    assert set(await house.states()) <= {"sent", "delivered"}
    trail = await house.rows("SELECT provider_id FROM history WHERE code = 'id_of_another'")
    assert [row["provider_id"] for row in trail] == [str(first.id)]


@pytest.mark.parametrize("receipt", [True, False])
async def test_a_text_that_was_unsure_is_found_and_its_writer_is_told(account, house, receipt):
    account.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    await house.accept("is it there?", receipt=receipt)
    await house.dispatch()
    await give_up(house)
    await account.look()
    (row,) = await house.rows("SELECT state, provider_id FROM outbox")
    assert row["state"] == "sent"
    assert row["provider_id"] == str(account.carrier.ledger.sent[0].id)
    assert await carbons(house) == []
    assert "has left after all" in (await house.told("notice"))[-1][3]
    assert len(await house.told("receipt")) == receipt


async def test_another_text_beside_one_that_is_unsure_is_shown_when_that_can_not_be_it_any_more(account, house):
    account.carrier.config.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendSMS", drop=True))
    await house.accept("never left")
    await house.dispatch()
    await give_up(house)
    account.carrier.text_out(PEER, OWN, "another")
    await account.look()
    assert await carbons(house) == []
    await account.pause(86_400)
    await account.look()
    assert await carbons(house) == [(JOHN, PEER, "another")]


async def test_a_first_attempt_that_turns_up_after_the_second_is_not_shown(account, house):
    account.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    await house.accept("twice, by misfortune")
    await house.dispatch()
    await prove_absent(house)
    await house.dispatch()
    assert len(account.carrier.ledger.sent) == 2
    await account.look()
    assert await carbons(house) == []


async def test_the_same_words_from_the_portal_are_a_text_of_their_own(account, house):
    await house.accept("ok")
    await house.dispatch()
    account.carrier.text_out(PEER, OWN, "ok")
    await account.look()
    assert await carbons(house) == [(JOHN, PEER, "ok")]


async def test_what_was_sent_before_the_first_start_is_not_shown(house, ticks):
    async with account_of(house, ticks) as account:
        grant(account, JOHN)
        account.carrier.text_out(PEER, OWN, "old")
        await account.pause(5)
        await account.look()
        assert await carbons(house) == []


async def test_without_a_grant_nothing_is_shown_and_a_later_grant_floods_nobody(account, house):
    grant(account)
    account.carrier.text_out(PEER, OWN, "unseen")
    await account.look()
    assert await carbons(house) == []
    grant(account, JOHN)
    await account.look()
    assert await carbons(house) == []


async def test_while_nobody_knows_what_the_server_allows_it_waits(account, house):
    grant(account, otherwise=None)
    account.carrier.text_out(PEER, OWN, "waits")
    assert await account.look() == USUAL.total_seconds()
    assert await carbons(house) == []
    await account.pause(5 * 86_400)
    grant(account, JOHN)
    await account.look()
    assert await carbons(house) == [(JOHN, PEER, "waits")]


@pytest.mark.parametrize(("mirror", "count"), [(Mirror.LINE, 1), (Mirror.OFF, 0)])
async def test_a_line_needs_no_grant_and_off_is_off(account, house, mirror, count):
    house.rules = rules(mirror=mirror)
    grant(account, otherwise=None)
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    assert len(await carbons(house)) == count


async def test_our_own_copy_coming_back_is_never_sent(account, house, reopen):
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    (delivery,) = await house.claim()
    assert delivery.kind is DeliveryKind.CARBON
    await house.kill()
    next_life = await reopen()
    copy = outbound("from the portal", sid=delivery.stanza_id)
    for _ in range(2):
        await next_life.outbound.accept(replace(copy, sender=JOHN))
    assert await next_life.states() == []
    assert await next_life.told("error") == []


async def test_only_the_owner_it_was_written_for_can_say_that_it_is_a_copy(account, house):
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    (delivery,) = await house.claim()
    await house.outbound.accept(outbound("my own text", to=f"{PEER}%{SHARED}", sid=delivery.stanza_id, owner=ANN))
    assert await house.states() == ["queued"]


async def test_a_server_that_refuses_to_let_us_speak_is_a_bounce(account, house):
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    (delivery,) = await house.hand_all()
    assert await house.handover.bounce(delivery.stanza_id, "example.com", "forbidden")
    assert not await house.handover.bounce(delivery.stanza_id, "example.net", "forbidden")


async def give_up(house):
    """As when a carrier cannot be asked."""
    await house.reconciler.look()
    if await house.states() == ["unknown"]:
        (row,) = await house.rows("SELECT id FROM outbox")
        await house.store.run(
            outbox.move, house.desk.ids, house.desk.now(), "test", row["id"], outbox.PartEvent.GIVE_UP
        )
    assert await house.states() == ["unsure"]


async def find(house, listed):
    for row in await house.rows("SELECT id FROM outbox WHERE state = 'unknown'"):
        await house.store.run(
            outbox.move, house.desk.ids, house.desk.now(), "test", row["id"], outbox.PartEvent.FIND,
            provider_id=str(listed.id),
        )  # fmt: skip


async def prove_absent(house):
    (row,) = await house.rows("SELECT id FROM outbox")
    await house.store.run(
        outbox.move, house.desk.ids, house.desk.now(), "test", row["id"], outbox.PartEvent.PROVE_ABSENT
    )


async def test_what_is_older_than_our_own_trail_may_be_ours_and_is_not_shown(account, house, ticks):
    house.desk = replace(house.desk, rules=lambda: rules(spans=Spans(rows=timedelta(days=7))))
    house.inbound._desk = house.desk
    account.poller = account.build_poller()
    account.carrier.text_out(PEER, OWN, "sent by us, and forgotten")
    ticks.advance(timedelta(days=8))
    account.carrier.text_out(PEER, OWN, "from the portal")
    await account.look()
    assert await carbons(house) == [(JOHN, PEER, "from the portal")]
