"""On a line whose tick means that it arrived: the carrier's list says so later, and what it says is told, once."""

from dataclasses import replace

import pytest

from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, StageConfig

from .cues import error_for, from_, receipt_for, round_trips_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "+15551230002"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID, SECOND)},
        account_yaml="    settle_seconds: 0.4\n",
        extra_yaml=f'lines: {{"{DID}": {{receipts: delivered}}}}\n',
    )


@pytest.fixture
def lag(stage):
    """`lag(None)`: the list says nothing of what was sent; `lag(0)`: it does."""
    account = stage.carrier.account

    def set_lag(seconds):
        account.config = replace(account.config, status_lag=seconds)

    yield set_lag
    set_lag(0.0)


def sent_to(stage, peer):
    return [row for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def test_the_tick_comes_when_the_list_says_that_it_arrived(stage, login, peer, lag):
    alice, contact = await login("alice"), stage.contact(peer)
    lag(None)
    written = await alice.send_text(contact, "are you home?")
    calls, before = stage.carrier.calls, stage.carrier.calls["getSMS"]
    await round_trips_until(alice, contact, lambda: calls["getSMS"] > before + 2)
    assert len(sent_to(stage, peer)) == 1
    assert [stanza for stanza in alice.received if stanza.sender == contact] == []
    lag(0.0)
    receipt = await alice.next(receipt_for(written))
    assert (receipt.sender, receipt.recipient, receipt.kind) == (contact, alice.jid, "chat")
    assert "store" in receipt.hints
    asked = calls["getSMS"]
    await alice.next(receipt_for(await alice.send_text(stage.contact(f"{peer}%{SECOND}"), "the other line")))
    assert calls["getSMS"] <= asked + 1  # nobody waits any more


async def test_a_text_that_does_not_arrive_is_an_error_on_it_and_a_line_that_says_which(stage, login, peer, lag):
    alice, contact = await login("alice"), stage.contact(f"{peer}%{SECOND}")
    written = await alice.send_text(contact, "Dinner at 7?")
    await alice.next(receipt_for(written))  # this line ticks what the carrier took
    plain = stage.contact(peer)
    lag(None)
    doomed = await alice.send_text(plain, "Dinner at 8?")
    await stage.carrier.ledger.until(lambda: len(sent_to(stage, peer)) == 2)
    for row in sent_to(stage, peer):
        stage.carrier.ledger.set_carrier_status(row, "Message rejected by carrier.")
    lag(0.0)
    failed = await alice.next(error_for(doomed))
    assert (failed.sender, failed.error.condition) == (plain, "not-allowed")
    assert "not delivered" in failed.error.text
    late = await alice.next(error_for(written))
    assert late.sender == contact
    line = await alice.next(from_(contact))
    assert line.body.startswith("Your text “Dinner at 7?”: This text was not delivered")
    await alice.next(receipt_for(await alice.send_text(plain, "curtain")))
    assert len([stanza for stanza in alice.received if stanza.error is not None]) == 2


async def test_what_may_not_have_been_sent_is_put_right_when_it_is_found_and_ticked_when_it_arrived(
    stage, login, peer, lag
):
    alice, contact = await login("alice"), stage.contact(peer)
    lag(None)
    stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    written = await alice.send_text(contact, "doubtful")
    await stage.carrier.ledger.until(lambda: bool(sent_to(stage, peer)))
    lag(0.0)
    await alice.next(receipt_for(written))
    assert len(sent_to(stage, peer)) == 1
