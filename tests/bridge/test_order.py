"""Whatever carriers answer: the order of a conversation is kept, and nothing is called again that may have left."""

import asyncio
import tempfile
from datetime import timedelta
from itertools import groupby

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Rejected
from tests.fakes.waiting import PATIENCE

from .house import FRIEND, PEER, SHARED, THIRD, House, Ticks

CONVERSATIONS = (PEER, FRIEND, f"{PEER}%{SHARED}", THIRD)
OUTCOMES = {
    "accepted": lambda: None,
    "rejected": lambda: Rejected(Reason.INVALID_DESTINATION, "invalid_dst"),
    "deferred": lambda: Deferred(Reason.PROVIDER_DOWN, "down"),
    "throttled": lambda: Deferred(Reason.THROTTLED, "busy", after=timedelta(minutes=1)),
    "account": lambda: Deferred(Reason.FUNDS, "funds", hold=Hold.ACCOUNT),
    "line": lambda: Deferred(Reason.LINE_FAULT, "invalid_did", hold=Hold.LINE),
    "indeterminate": lambda: Indeterminate("timeout"),
    "crash": lambda: RuntimeError("a bug"),
}
AGAIN = {"deferred", "throttled", "account", "line"}  # only after these may a part be called again
ENDS = {"sent", "failed", "unsure", "cancelled"}


class Dice:
    """A carrier whose answers are drawn; past the last of them it accepts."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.calls = []

    async def send(self, part):
        answer = self.answers.pop() if self.answers else "accepted"
        self.calls.append((part, answer))
        await asyncio.sleep(0)  # let the others go on
        outcome = OUTCOMES[answer]()
        if outcome is not None:
            raise outcome
        return f"pid-{len(self.calls)}"


async def play(url, texts, answers):
    house = await House.open(url, Ticks(), "life")
    try:
        dice = Dice(answers)
        house.dispatcher._sends = dice
        for n, (to, size) in enumerate(texts):
            await house.accept(f"{n} ".ljust(size, "x"), to=CONVERSATIONS[to])
        parts = await house.rows("SELECT id, did, peer FROM outbox ORDER BY id")
        async with house.dispatching(), asyncio.timeout(PATIENCE):
            await house.quiet()
            while set(await house.states()) - ENDS:
                await house.reconciler.look()
                await house.later(minutes=16)
        return parts, dice.calls, await house.states(), await house.told("receipt", "error")
    finally:
        await house.kill()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([5, 2100, 4100])), min_size=1, max_size=6),
    answers=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=15),
)
def test_parts_leave_in_order_and_never_twice(texts, answers):
    with tempfile.TemporaryDirectory() as folder:
        parts, calls, states, told = asyncio.run(play(f"sqlite:///{folder}/smsbridge.db", texts, answers))
    conversations = {part["id"]: (part["did"], part["peer"]) for part in parts}
    for conversation in set(conversations.values()):
        called = [part.id for part, _ in calls if conversations[part.id] == conversation]
        once = [part_id for part_id, _ in groupby(called)]
        assert once == sorted(set(called))  # ids sort by the order of acceptance
    for part in parts:
        answered = [answer for called, answer in calls if called.id == part["id"]]
        assert set(answered[:-1]) <= AGAIN
    assert states.count("sent") == sum(answer == "accepted" for _, answer in calls)
    assert len(told) == len(texts)  # every text ends in one tick or one error
