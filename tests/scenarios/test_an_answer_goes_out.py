"""Alice answers: her text leaves once, in order, from her number, and she learns what really became of it."""

import asyncio

import pytest

from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Direction, Kind
from smsbridge.sim.stage import DID, Stage, StageConfig
from smsbridge.sim.uploading import out_of_band

from .cues import error_for, from_, judged, locked, receipt_for, round_trips_until, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "+15551230002"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID, SECOND)}, account_yaml="    settle_seconds: 0.4\n")


def left_for(stage, peer):
    """The words that the carrier took for the peer, in order."""
    return [row.message for row in sent_to(stage, peer)]


def sent_to(stage, peer):
    return [row for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def test_a_reply_leaves_once_from_the_number_that_was_texted_and_gets_its_tick(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await stage.carrier.text_in(peer, SECOND, "Dinner at 7?")
    await alice.next(from_(contact))
    written = await alice.send_text(contact, "Yes! I bring the wine 🍷")
    receipt = await alice.next(receipt_for(written))
    assert (receipt.sender, receipt.recipient) == (contact, alice.jid)
    assert "store" in receipt.hints
    [row] = sent_to(stage, peer)
    assert (row.message, row.did, row.kind) == ("Yes! I bring the wine 🍷", SECOND.removeprefix("+1"), Kind.SMS)


async def test_a_new_conversation_is_sent_from_the_first_number(stage, login, peer):
    alice = await login("alice")
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "hello")))
    assert [row.did for row in sent_to(stage, peer)] == [DID.removeprefix("+1")]


async def test_the_tick_comes_only_after_the_carrier_has_said_yes(stage, login, peer):
    alice, contact, gate = await login("alice"), stage.contact(peer), asyncio.Event()
    stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", gate=gate))
    written = await alice.send_text(contact, "are you in?")
    await stage.carrier.ledger.until(lambda: bool(sent_to(stage, peer)))
    await alice.ping(contact)
    assert [stanza for stanza in alice.received if stanza.sender == contact] == []
    gate.set()
    assert (await alice.next(receipt_for(written))).error is None


@pytest.mark.parametrize("kind", ["chat", "normal"])
async def test_a_message_of_either_kind_is_a_text(stage, login, peer, kind):
    alice = await login("alice")
    written = await alice.send_text(stage.contact(peer), "in whatever way", kind=kind)
    await alice.next(receipt_for(written))
    assert left_for(stage, peer) == ["in whatever way"]


async def test_who_asks_for_no_receipt_gets_none_and_the_text_leaves_all_the_same(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    await alice.send_text(contact, "quietly", request_receipt=False)
    await alice.next(receipt_for(await alice.send_text(contact, "aloud")))
    assert left_for(stage, peer) == ["quietly", "aloud"]
    assert len([stanza for stanza in alice.received if stanza.sender == contact]) == 1


async def test_a_long_text_leaves_whole_as_one_mms(stage, login, peer):
    alice, words = await login("alice"), " ".join(f"word{n}" for n in range(200))
    assert 160 < len(words) < 2048
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), words)))
    [row] = sent_to(stage, peer)
    assert (row.kind, row.message) == (Kind.MMS, words)


@pytest.mark.parametrize(("count", "kind"), [(40, Kind.SMS), (41, Kind.MMS)])
async def test_an_emoji_counts_the_four_bytes_that_it_has(stage, login, peer, count, kind):
    alice = await login("alice")
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "🍷" * count)))
    [row] = sent_to(stage, peer)
    assert (row.kind, row.message) == (kind, "🍷" * count)


async def test_texts_that_are_written_fast_leave_in_their_order(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    written = [await alice.send_text(contact, words) for words in ("first", "second", "third")]
    told = [(await alice.next(lambda stanza: stanza.receipt_for is not None)).receipt_for for _ in written]
    assert told == written
    assert left_for(stage, peer) == ["first", "second", "third"]


async def test_a_stanza_that_the_client_repeats_is_answered_again_and_not_sent_again(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    written = await alice.send_text(contact, "did you get this?")
    first = await alice.next(receipt_for(written))
    await alice.send_text(contact, "did you get this?", stanza_id=written)
    assert (await alice.next(receipt_for(written))).stanza_id == first.stanza_id
    await alice.next(receipt_for(await alice.send_text(contact, "next")))
    assert left_for(stage, peer) == ["did you get this?", "next"]


async def test_a_refusal_is_told_in_words_and_nothing_left(stage, login, peer):
    alice = await login("alice")
    stage.carrier.answer_next("sendSMS", "invalid_dst")
    written = await alice.send_text(stage.contact(peer), "is this a landline?")
    failed = await alice.next(error_for(written))
    assert failed.sender == stage.contact(peer)
    assert (failed.error.condition, failed.error.text) == (
        "item-not-found",
        "VoIP.ms says this number cannot receive texts.",
    )
    assert sent_to(stage, peer) == []


async def test_when_the_answer_is_lost_the_text_is_found_and_ticked_and_not_sent_twice(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    stage.carrier.config.faults.arm(Fault(when=Moment.AFTER_ACCEPT, method="sendSMS", drop=True))
    doubtful, following = await alice.send_text(contact, "doubtful"), await alice.send_text(contact, "following")
    await alice.next(receipt_for(doubtful))
    await alice.next(receipt_for(following))
    assert left_for(stage, peer) == ["doubtful", "following"]
    await alice.send_text(contact, "doubtful", stanza_id=doubtful)
    await alice.next(receipt_for(doubtful))
    assert left_for(stage, peer) == ["doubtful", "following"]


async def test_a_picture_that_is_encrypted_is_refused_in_words_and_nothing_leaves(stage, login, peer):
    alice, url = await login("alice"), f"aesgcm://share.example.com/abc/wine.jpg#{'0' * 88}"
    written = await alice.send_text(stage.contact(peer), url, extra=out_of_band([url]))
    told = await alice.next(error_for(written))
    assert "encrypted" in told.error.text
    assert sent_to(stage, peer) == []


async def test_nothing_is_taken_while_it_cannot_be_stored_and_the_writer_hears_it(stage, login, peer):
    alice, contact = await login("alice"), stage.contact(peer)
    with locked(stage.database):
        lost = await alice.send_text(contact, "into the void")
        told = await alice.next(error_for(lost))
    assert told.error.condition == "internal-server-error"
    assert "could not store it" in told.error.text
    await alice.next(receipt_for(await alice.send_text(contact, "again")))
    assert left_for(stage, peer) == ["again"]


async def test_a_carrier_that_is_not_there_is_waited_for(on_server, peer):
    async with Stage(on_server(StageConfig())) as stage:
        alice, contact = await stage.client("alice"), stage.contact(peer)
        await stage.stop_carrier()
        written = await alice.send_text(contact, "patience")
        await judged(stage, alice)
        await round_trips_until(
            alice, contact, lambda: sample(stage, "part_outcomes_total", provider="voipms", outcome="deferred") > 0
        )
        assert [stanza for stanza in alice.received if stanza.sender == contact] == []
        await stage.start_carrier()
        await alice.next(receipt_for(written))  # each try is twice as far from the last
        assert left_for(stage, peer) == ["patience"]
