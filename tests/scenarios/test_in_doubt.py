"""A carrier that does not answer, or does not list what it took: no text goes twice, and its writer hears the truth."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from smsbridge.core import doubt
from smsbridge.providers.http import Deadlines
from smsbridge.providers.voipms import provider
from smsbridge.sim.faults import Fault, Moment, What
from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import Stage, StageConfig

from .cues import error_for, from_, receipt_for, sample

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
SETTLE = 0.5
LISTS = ("getSMS", "getMMS")

Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def enter(monkeypatch) -> AsyncIterator[Open]:
    """`await enter()`: a stage of one's own, whose bridge gives a call up after 2 seconds and settles in half a one."""
    monkeypatch.setattr(provider, "Deadlines", lambda **_: Deadlines(connect=1.0, whole=2.0))
    async with AsyncExitStack() as stack:

        async def build(account: str = "") -> Stage:
            config = StageConfig(
                strangers=("carol",),
                extra_yaml="admins: [carol@example.com]\n",
                account_yaml=f"    settle_seconds: {SETTLE}\n{account}",
            )
            return await stack.enter_async_context(Stage(config))

        yield build


def left_for(stage, peer):
    return [row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


def lose_answers(stage, times=1):
    """The next texts are taken, and nobody hears of it."""
    stage.carrier.config.faults.arm(Fault(when=AFTER, method="sendSMS", drop=True, times=times))


def spoil_lists(stage, **how):
    for method in LISTS:
        stage.carrier.config.faults.arm(Fault(when=BEFORE, method=method, times=None, **how))


async def test_a_carrier_that_takes_everything_and_never_answers(enter, peer, telephone):
    stage = await enter()
    alice = await stage.client("alice")
    stage.carrier.config.faults.arm(Fault(when=AFTER, method="sendSMS", stall_seconds=60, times=None))
    peers = [peer, telephone()]
    written = {to: [await alice.send_text(stage.contact(to), "ok") for _ in range(3)] for to in peers}
    for texts in written.values():
        for text in texts:
            await alice.next(receipt_for(text))
    assert [left_for(stage, to) for to in peers] == [["ok"] * 3] * 2
    assert stage.carrier.calls["sendSMS"] == 6


async def test_a_list_that_lags_a_little_is_waited_for(enter, peer):
    stage = await enter()
    alice, contact = await stage.client("alice"), stage.contact(peer)
    spoil_lists(stage, what=What.LAG, amount=SETTLE * 0.8)
    lose_answers(stage)
    await alice.next(receipt_for(await alice.send_text(contact, "doubtful")))
    assert left_for(stage, peer) == ["doubtful"]


@pytest.mark.parametrize(
    "how",
    [{"what": What.LAG, "amount": 600.0}, {"what": What.SHORT, "amount": 0.0}, {"what": What.ZONE, "amount": -9.0}],
)
async def test_a_list_that_hides_what_was_certainly_sent_is_not_believed(enter, peer, how):
    stage = await enter()
    alice, carol, contact = await stage.client("alice"), await stage.client("carol"), stage.contact(peer)
    await alice.next(receipt_for(await alice.send_text(contact, "certain")))
    spoil_lists(stage, **how)
    lose_answers(stage)
    doubtful, following = await alice.send_text(contact, "doubtful"), await alice.send_text(contact, "following")
    assert "may not have been sent" in (await alice.next(error_for(doubtful))).error.text
    await alice.next(receipt_for(following))
    assert left_for(stage, peer) == ["certain", "doubtful", "following"]
    assert "does not list" in (await carol.next(from_(stage.contact("").lstrip("@")))).body


async def test_a_list_of_one_row_shows_the_newest(enter, peer):
    stage = await enter()
    alice, contact = await stage.client("alice"), stage.contact(peer)
    await alice.next(receipt_for(await alice.send_text(contact, "certain")))
    spoil_lists(stage, what=What.SHORT, amount=1.0)
    lose_answers(stage)
    await alice.next(receipt_for(await alice.send_text(contact, "doubtful")))
    assert left_for(stage, peer) == ["certain", "doubtful"]


@pytest.mark.parametrize(
    "how", [{"http_status": 522}, {"what": What.HTML}, {"what": What.REFUSED, "status": "unavailable_info"}]
)
async def test_lists_that_fail_leave_it_open_until_the_writer_is_asked(enter, peer, how):
    stage = await enter()
    alice, contact = await stage.client("alice"), stage.contact(peer)
    spoil_lists(stage, **how)
    lose_answers(stage)
    doubtful, following = await alice.send_text(contact, "doubtful"), await alice.send_text(contact, "following")
    assert "may not have been sent" in (await alice.next(error_for(doubtful))).error.text
    await alice.next(receipt_for(following))
    assert left_for(stage, peer) == ["doubtful", "following"]


async def test_a_text_that_the_carrier_takes_after_it_was_sent_again_is_told_to_have_gone_twice(
    enter, peer, monkeypatch
):
    """What no look can exclude. Half a second is ten minutes and more, for who looks for such texts."""
    monkeypatch.setattr(doubt, "WATCH", tuple(timedelta(seconds=n / 2) for n in range(60)))
    stage = await enter()
    alice, carol, contact = await stage.client("alice"), await stage.client("carol"), stage.contact(peer)
    gate = asyncio.Event()
    stage.carrier.config.faults.arm(Fault(when=BEFORE, method="sendSMS", gate=gate))
    await alice.next(receipt_for(await alice.send_text(contact, "doubtful")))
    assert left_for(stage, peer) == ["doubtful"]
    gate.set()  # nobody has waited for that answer for long
    assert "went out twice" in (await alice.next(from_(contact))).body
    assert left_for(stage, peer) == ["doubtful"] * 2
    assert sample(stage, "duplicates_unavoidable_total", provider="voipms") == 1
    assert "went out twice" in (await carol.next(from_(stage.contact("").lstrip("@")))).body


async def test_where_the_operator_wants_it_so_the_writer_is_asked_at_once(enter, peer):
    stage = await enter("    on_unknown: hold\n")
    alice, contact = await stage.client("alice"), stage.contact(peer)
    lose_answers(stage)
    doubtful = await alice.send_text(contact, "doubtful")
    assert "may not have been sent" in (await alice.next(error_for(doubtful))).error.text
    assert "has left after all" in (await alice.next(from_(contact))).body
    assert left_for(stage, peer) == ["doubtful"]
