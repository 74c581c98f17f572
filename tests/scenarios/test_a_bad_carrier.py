"""A carrier at its worst: texts leave once at most, their writers hear the truth, and nobody else has to wait."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest

from smsbridge.bridge import alerts, settling
from smsbridge.core.pacing import Backoff
from smsbridge.providers.http import Deadlines
from smsbridge.providers.voipms import provider
from smsbridge.sim.faults import CONNECTION, Fault, Moment, What
from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, Stage, StageConfig
from tests.fakes.waiting import PATIENCE, until

from .cues import error_for, from_, judged, receipt_for, round_trips_until, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
GIVEN_UP = 2.0  # seconds until a call is given up
BETWEEN_PROBES = timedelta(seconds=0.3)  # at least
IN_FLIGHT = 4
SETTLE = 0.6  # seconds between the looks that prove something


@pytest.fixture(scope="module", autouse=True)
def hurry():
    """A bridge whose minutes are seconds: it gives up calls, tries again and probes as it does in life, but sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider, "Deadlines", lambda **_: Deadlines(connect=1.0, whole=GIVEN_UP))
        patch.setattr(provider, "CAPABILITIES", replace(provider.CAPABILITIES, calls_per_second=50.0))
        patch.setattr(settling, "SEND_BACKOFF", Backoff(first=0.2, factor=2.0, cap=0.8, jitter=0.2))
        patch.setattr(settling, "MIN_PROBE", BETWEEN_PROBES)
        patch.setattr(alerts, "SPAN", timedelta(0))  # in life these faults would be hours apart
        yield


@pytest.fixture(scope="module")
def on_server():
    """What a carrier does is the same to every XMPP server: one will do."""
    return lambda config: config


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        strangers=("carol",), extra_yaml="admins: [carol@example.com]\n", account_yaml=f"    settle_seconds: {SETTLE}\n"
    )


@pytest.fixture
def carrier(stage):
    """Back to its senses with the end of the test."""
    yield stage.carrier
    stage.carrier.config.faults.clear()


def left_for(carrier, peer):
    """The words that the carrier took for the peer, in order."""
    return [row.message for row in carrier.handset(peer) if row.direction is Direction.SENT]


def told_about(client, stanza_id):
    """All that the writer was told of a text: `tick`, or the condition of an error."""
    return [
        "tick" if stanza.receipt_for == stanza_id else stanza.error.condition
        for stanza in client.received
        if stanza.receipt_for == stanza_id or (stanza.error is not None and stanza.stanza_id == stanza_id)
    ]


class Doubt(NamedTuple):
    """A fault that leaves a text's fate open, and whether it was taken."""

    fault: Fault
    is_taken: bool


def before(**what):
    return Doubt(Fault(when=BEFORE, method="sendSMS", **what), is_taken=False)


def after(**what):
    return Doubt(Fault(when=AFTER, method="sendSMS", **what), is_taken=True)


DOUBTS = {
    "the connection is closed before anything is read": Doubt(
        Fault(when=BEFORE, method=CONNECTION, drop=True), is_taken=False
    ),
    "the connection is reset before the text is taken": before(drop=True),
    "the connection is reset after the text was taken": after(drop=True),
    "500 before": before(http_status=500),
    "500 after": after(http_status=500),
    "502 before": before(http_status=502),
    "522 after": after(http_status=522),
    "503 after": after(http_status=503),
    "no answer in time, and the text was not taken": before(stall_seconds=GIVEN_UP + 1, drop=True),
    "no answer in time, and the text was taken": after(stall_seconds=GIVEN_UP + 1),
    "half an answer, and the text was not taken": before(what=What.TRUNCATED),
    "half an answer, and the text was taken": after(what=What.TRUNCATED),
    "the answer breaks off": after(what=What.CUT),
    "a page in place of an answer, and the text was not taken": before(what=What.HTML),
    "a page in place of an answer, and the text was taken": after(what=What.HTML),
    "an empty answer, and the text was not taken": before(what=What.EMPTY),
    "an empty answer, and the text was taken": after(what=What.EMPTY),
    "success with 0 for an id": after(what=What.ZERO_ID),
    "success with an empty id": after(what=What.EMPTY_ID),
    "success without an id": after(what=What.NO_ID),
    "a status that nobody knows": before(what=What.REFUSED, status="never_heard_of"),
}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
async def test_what_became_of_a_text_is_found_out_and_it_leaves_once_before_what_follows(
    stage, carrier, login, peer, doubt
):
    alice, contact = await login("alice"), stage.contact(peer)
    calls = carrier.calls["sendSMS"]
    carrier.config.faults.arm(doubt.fault)
    doubtful, following = await alice.send_text(contact, "doubtful"), await alice.send_text(contact, "following")
    await alice.next(receipt_for(doubtful))
    await alice.next(receipt_for(following))
    assert left_for(carrier, peer) == ["doubtful", "following"]
    assert len(carrier.ledger.met) > 0
    assert carrier.ledger.met[-1].fault == str(doubt.fault)
    was_read = doubt.fault.method != CONNECTION
    assert carrier.calls["sendSMS"] - calls == 2 + (was_read and not doubt.is_taken)
    assert told_about(alice, doubtful) == told_about(alice, following) == ["tick"]


@pytest.mark.parametrize(
    "late",
    [
        Fault(when=BEFORE, method="sendSMS", drop=True, what=What.LATE, amount=0.5),
        Fault(when=BEFORE, method="sendSMS", http_status=504, what=What.LATE, amount=0.5),
    ],
    ids=str,
)
async def test_a_text_that_is_taken_long_after_the_call_was_given_up_is_not_sent_a_second_time(
    stage, carrier, login, peer, late
):
    alice, contact = await login("alice"), stage.contact(peer)
    carrier.config.faults.arm(late)
    doubtful = await alice.send_text(contact, "doubtful")
    await alice.next(receipt_for(doubtful))
    await alice.next(receipt_for(await alice.send_text(contact, "following")))
    assert left_for(carrier, peer) == ["doubtful", "following"]
    assert told_about(alice, doubtful) == ["tick"]


async def test_a_text_that_is_taken_once_the_call_was_given_up_is_not_sent_a_second_time(stage, carrier, login, peer):
    alice, contact, gate = await login("alice"), stage.contact(peer), asyncio.Event()

    def given_up():
        return sample(stage, "part_outcomes_total", provider="voipms", outcome="indeterminate")

    before_it = given_up()
    carrier.config.faults.arm(Fault(when=BEFORE, method="sendSMS", gate=gate))
    doubtful = await alice.send_text(contact, "doubtful")
    await until(lambda: given_up() > before_it)  # a question over the stream may take until it is sent once more
    gate.set()
    await alice.next(receipt_for(doubtful))
    await alice.next(receipt_for(await alice.send_text(contact, "following")))
    assert left_for(carrier, peer) == ["doubtful", "following"]
    assert told_about(alice, doubtful) == ["tick"]


async def test_an_id_that_the_carrier_gives_twice_costs_nobody_his_tick(stage, carrier, login, peer, telephone):
    alice, other = await login("alice"), telephone()
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "first")))
    carrier.config.faults.arm(Fault(when=AFTER, method="sendSMS", what=What.SAME_ID, times=2))
    for contact in (stage.contact(peer), stage.contact(other)):
        await alice.next(receipt_for(await alice.send_text(contact, "again")))
    assert (left_for(carrier, peer), left_for(carrier, other)) == (["first", "again"], ["again"])


def tries_in_vain(stage):
    return sample(stage, "part_outcomes_total", provider="voipms", outcome="deferred")


async def test_while_nobody_listens_there_texts_wait_without_a_word_and_leave_once_each_in_order(
    stage, carrier, login, peer, telephone
):
    alice, other = await login("alice"), telephone()
    tries, began = tries_in_vain(stage), time.monotonic()
    async with asyncio.timeout(PATIENCE), carrier.away():
        written = [await alice.send_text(stage.contact(peer), words) for words in ("first", "second", "third")]
        written.append(await alice.send_text(stage.contact(other), "elsewhere"))
        await round_trips_until(alice, stage.contact(peer), lambda: tries_in_vain(stage) >= tries + 4)
        conversations, shortest_wait = 2, 0.15
        most = conversations * ((time.monotonic() - began) / shortest_wait + 1)
        assert tries_in_vain(stage) - tries <= most
        assert [told_about(alice, text) for text in written] == [[], [], [], []]
    for text in written:
        await alice.next(receipt_for(text))
    assert left_for(carrier, peer) == ["first", "second", "third"]
    assert left_for(carrier, other) == ["elsewhere"]


async def test_what_the_other_side_refuses_once_is_tried_once_more(stage, carrier, login, peer):
    alice, calls = await login("alice"), carrier.calls["sendSMS"]
    carrier.answer_next("sendSMS", "provider_outofservice")
    await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "hello")))
    assert left_for(carrier, peer) == ["hello"]
    assert carrier.calls["sendSMS"] - calls == 2


async def test_one_conversation_stalls_and_the_others_go_on(peer, telephone, monkeypatch):
    monkeypatch.setattr(provider, "Deadlines", Deadlines)  # as in life: it is not given up meanwhile
    async with Stage() as stage:
        alice, carrier, gate = await stage.client("alice"), stage.carrier, asyncio.Event()
        carrier.config.faults.arm(Fault(when=AFTER, method="sendSMS", gate=gate))
        slow = [await alice.send_text(stage.contact(peer), words) for words in ("slow", "after it")]
        await carrier.ledger.until(lambda: left_for(carrier, peer) == ["slow"])
        for _ in range(3):
            await alice.next(receipt_for(await alice.send_text(stage.contact(telephone()), "quick")))
        await carrier.text_in(peer, DID, "can you hear me?")
        assert (await alice.next(from_(stage.contact(peer)))).body == "can you hear me?"
        assert left_for(carrier, peer) == ["slow"]
        gate.set()
        for text in slow:
            await alice.next(receipt_for(text))
        assert left_for(carrier, peer) == ["slow", "after it"]


async def test_a_carrier_that_stalls_on_everything_is_called_three_times_for_each_text_and_everybody_hears_it(
    stage, carrier, login, telephone
):
    alice, calls = await login("alice"), carrier.calls["sendSMS"]
    carrier.config.faults.arm(Fault(when=BEFORE, method="sendSMS", stall_seconds=GIVEN_UP + 1, drop=True, times=None))
    contacts = [stage.contact(telephone()) for _ in range(IN_FLIGHT + 2)]
    written = [await alice.send_text(contact, "anybody?") for contact in contacts]
    for text in written:
        told = await alice.next(error_for(text), timeout=2 * PATIENCE)  # of what is looked for several times, each
        assert "may not have been sent" in told.error.text
    assert carrier.calls["sendSMS"] - calls == 3 * len(written)
    assert not any(left_for(carrier, contact.partition("@")[0]) for contact in contacts)
    carrier.config.faults.clear()
    for contact in contacts:
        await alice.next(receipt_for(await alice.send_text(contact, "now?")))


@pytest.mark.parametrize("status", ["limit_reached", "non_sufficient_funds", "invalid_credentials", "ip_not_enabled"])
async def test_what_ails_the_account_is_told_once_and_asked_about_rarely_and_all_texts_leave_when_it_is_mended(
    stage, carrier, login, telephone, status
):
    alice, carol = await login("alice"), await login("carol")
    bridge = stage.contact("").lstrip("@")
    peers = [telephone() for _ in range(6)]
    before_it = len(carrier.ledger.met)
    carrier.config.faults.arm(Fault(when=BEFORE, method="sendSMS", what=What.REFUSED, status=status, times=None))
    written = [await alice.send_text(stage.contact(peer), words) for words in ("first", "second") for peer in peers]
    notice = await carol.next(from_(bridge))
    assert status in notice.body
    # so many may have been in flight when the first was refused, and may arrive after that: what follows are probes
    await carrier.ledger.until(lambda: len(carrier.ledger.met) >= before_it + IN_FLIGHT + 3)
    probes = [met.at for met in carrier.ledger.met[before_it + IN_FLIGHT :]]
    assert all(later - earlier >= BETWEEN_PROBES for earlier, later in pairwise(probes))
    assert [told_about(alice, text) for text in written] == [[]] * len(written)

    carrier.config.faults.clear()
    for text in written:
        await alice.next(receipt_for(text))
    assert [left_for(carrier, peer) for peer in peers] == [["first", "second"]] * len(peers)
    assert "sends again" in (await carol.next(from_(bridge))).body
    await carol.ping()
    assert len([stanza for stanza in carol.received if stanza.sender == bridge]) == 2


async def test_a_carrier_that_fails_at_random_gets_no_text_twice_and_leaves_nobody_without_the_truth(
    stage, carrier, login, telephone
):
    alice, faults = await login("alice"), carrier.config.faults
    for doubt in (before(drop=True), after(drop=True), after(http_status=502), after(what=What.TRUNCATED)):
        faults.arm(replace(doubt.fault, share=0.12, times=None))
    for status in ("provider_outofservice", "invalid_dst"):
        faults.arm(Fault(when=BEFORE, method="sendSMS", what=What.REFUSED, status=status, share=0.12, times=None))
    peers, written = [telephone() for _ in range(6)], {}
    for n in range(60):
        words = f"text {n:02}"
        written[await alice.send_text(stage.contact(peers[n % len(peers)]), words)] = words
    for text in written:
        await alice.next(lambda stanza, text=text: error_for(text)(stanza) or receipt_for(text)(stanza))
    faults.clear()
    await judged(stage, alice)

    left = Counter(words for peer in peers for words in left_for(carrier, peer))
    verdicts = {words: told_about(alice, text) for text, words in written.items()}
    assert {len(verdict) for verdict in verdicts.values()} == {1}
    for words, [verdict] in verdicts.items():
        allowed = {"tick": {1}, "item-not-found": {0}, "remote-server-timeout": {0, 1}}
        assert left[words] in allowed[verdict], (words, verdict, f"seed {faults.seed}")
    assert {"tick", "item-not-found"} <= {verdict for [verdict] in verdicts.values()}
    assert sample(stage, "duplicates_unavoidable_total", provider="voipms") == 0
    for peer in peers:
        assert left_for(carrier, peer) == sorted(left_for(carrier, peer))


@pytest.mark.parametrize("nonsense", [What.HTML, What.EMPTY, What.TRUNCATED, What.CUT], ids=str)
async def test_a_carrier_that_talks_nonsense_when_we_start_does_not_keep_us_from_starting(peer, nonsense):
    async with Stage() as stage:
        await stage.stop_bridge()
        stage.carrier.config.faults.arm(Fault(when=AFTER, what=nonsense, times=None))
        await stage.start_bridge()
        await stage.carrier.ledger.until(lambda: bool(stage.carrier.ledger.met))
        stage.carrier.config.faults.clear()
        alice = await stage.client("alice")
        await alice.next(receipt_for(await alice.send_text(stage.contact(peer), "hello")))
        assert left_for(stage.carrier, peer) == ["hello"]
