"""Two bridges wired to each other, whose owners' clients answer everything: twelve texts leave, and then it is quiet.

Alice's carrier brings what she sends to Bob's number, and his carrier what he sends to hers.
"""

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from smsbridge.sim.stage import SECOND_DID, Stage, StageConfig

from .cues import error_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICES, BOBS = "+15551230001", SECOND_DID
MOST = 12
STOPPED = "This text was not sent: this looks like two machines answering each other."
CAPS = "caps: {per_owner: {minute: null, day: null, new_peers_a_day: null}}\n"


class House:
    """A stage with its owner's client, and the texts that have left."""

    def __init__(self, stage, client, did):
        self.stage, self.client, self.did = stage, client, did

    @property
    def left(self):
        return self.stage.carrier.ledger.sent

    async def carry_to(self, other):
        """What leaves here arrives there."""
        for n in itertools.count():
            await self.stage.carrier.ledger.until(lambda n=n: len(self.left) > n, within=3600)
            await other.stage.carrier.text_in(self.did, other.did, self.left[n].message)

    async def answer(self, peer, words):
        """A client that answers each text with `words(text)`; it ends with the first answer that is refused."""
        contact = self.stage.contact(peer)
        while True:
            text = await self.client.next(
                lambda stanza: stanza.sender == contact and stanza.body is not None and stanza.error is None,
                timeout=60,
            )
            written = await self.client.send_text(contact, words(text.body))
            settled = await self.client.next(
                lambda stanza, written=written: error_for(written)(stanza) or stanza.receipt_for == written, timeout=60
            )
            if settled.error is not None:
                return settled.error


@pytest_asyncio.fixture(loop_scope="module")
async def houses(on_server):
    async with AsyncExitStack() as stack:
        built = []
        for name, did in (("alice", ALICES), ("bob", BOBS)):
            config = StageConfig(owners={name: (did,)}, limits_yaml=f"{CAPS}loop_breaker: true\n")
            stage = await stack.enter_async_context(Stage(on_server(config)))
            built.append(House(stage, await stage.client(name), did))
        first, second = built
        wires = [asyncio.create_task(first.carry_to(second)), asyncio.create_task(second.carry_to(first))]
        yield built
        for wire in wires:
            wire.cancel()
        await asyncio.gather(*wires, return_exceptions=True)


@pytest.fixture(params=["echo", "never the same"])
def words(request):
    """What the clients answer."""
    numbers = itertools.count(1)
    return (lambda text: text) if request.param == "echo" else lambda _: f"answer {next(numbers)}"


async def test_at_most_twelve_texts_leave_and_one_of_them_is_told_why(houses, words):
    first, second = houses
    await first.client.send_text(first.stage.contact(BOBS), "hello")
    answering = [asyncio.create_task(one.answer(other.did, words)) for one, other in ((first, second), (second, first))]
    try:
        done, waiting = await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        (error,) = [task.result() for task in done]
    finally:
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
    assert (error.condition, error.kind) == ("policy-violation", "wait")
    assert error.text.startswith(STOPPED)
    assert len(waiting) == 1  # the other waits for an answer that does not come
    assert 4 <= len(first.left) + len(second.left) <= MOST
    assert {row.message[:6] for row in (*first.left, *second.left)} <= {"hello", "answer"}
