"""What a text or a round costs does not grow with what is kept, what is on hold, or what waits for a dead server.

Counted in steps of SQLite's machine, which are the same on every computer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.message import DeliveryKind, InboundMessage, Kind, ProviderMessageId, ProviderName, Source
from smsbridge.core.state import PartEvent
from smsbridge.store import backlog, claims, deliveries, doubts, holds, inbox, orphans, outbox, overdue, retention
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase
from tests.bench import fill

FEW, MANY = 200, 4000
VOIPMS, PHONE = ProviderName("voipms"), ProviderName("phone")
DID, PEER = Did("+15551230001"), Peer("+15559870002")
OTHER_PEER = Peer("+15559870003")
DAY, LEASE = timedelta(days=1), timedelta(minutes=3)
MESSAGE = InboundMessage(
    provider=VOIPMS, source=Source.WEBHOOK, kind=Kind.SMS, did=DID, peer=PEER, provider_id=ProviderMessageId("1"),
    text="000000001 hello",
)  # fmt: skip


@dataclass
class Scale:
    """A house whose store has so many rows of each sort; `steps` of what is run in it."""

    house: object
    steps: int = 0

    async def cost(self, work, *args, **kwargs):
        connection = self.house.database._connection
        self.steps = 0

        def count():
            self.steps += 1
            return 0

        connection.set_progress_handler(count, 1)
        try:
            await self.house.run(work, *args, **kwargs)
        finally:
            connection.set_progress_handler(None, 1)
        return self.steps


@pytest.fixture
async def scales(tmp_path, house_of):
    made = []
    for rows in (FEW, MANY):
        path = tmp_path / f"{rows}.db"
        database = await SqliteDatabase.open(path)
        await migrate(database)
        house = house_of(database)
        house.clock.now = datetime.now(UTC)
        taken = await house.do(inbox.take, MESSAGE)
        draft = deliveries.Draft(
            domain="sms.example.com", kind=DeliveryKind.TEXT, to_jid="john@example.com", sender=f"{PEER}@x",
            stanza_id="s", body=MESSAGE.text, inbox_id=taken.id,
        )  # fmt: skip
        delivery = await house.do(deliveries.add, draft)
        await house.do(deliveries.fix, [(delivery, b"<message/>")])
        await house.do(deliveries.hand, [delivery])
        await house.accept("000000002 hello")
        fill.keep(path, rows)
        fill.wait_for_the_stream(path, rows, 10)
        fill.wait_on_hold(path, rows, VOIPMS)
        made.append(Scale(house))
    yield made
    for scale in made:
        await scale.house.database.close()


def texts(count):
    return [
        InboundMessage(
            provider=VOIPMS, source=Source.WEBHOOK, kind=Kind.SMS, did=DID, peer=PEER,
            provider_id=ProviderMessageId(f"new {n}"), text=f"new {n}",
        )
        for n in range(count)
    ]  # fmt: skip


WORKS = {
    "claim": lambda house: (claims.claim, house.ids, house.now, VOIPMS, "n/1", LEASE),
    "claim of another account": lambda house: (claims.claim, house.ids, house.now, PHONE, "n/1", LEASE),
    "next due": lambda house: (claims.next_due, house.now, VOIPMS),
    "next due of another account": lambda house: (claims.next_due, house.now, PHONE),
    "backlog": lambda house: (backlog.backlog,),
    "adopt": lambda house: (orphans.adopt, house.ids, house.now, "sms.example.com", 100),
    "abandoned": lambda house: (overdue.abandoned, house.now, "n/1"),
    "in doubt": lambda house: (doubts.undecided, VOIPMS, 100),
    "whose fate is unknown": lambda house: (doubts.providers,),
    "looks that are due": lambda house: (doubts.due, house.now, VOIPMS, 100),
    "a send that is known": lambda house: (doubts.known_send, house.now, VOIPMS, DAY),
    "expired": lambda house: (overdue.expired, house.now - 3 * DAY, 10),
    "of others": lambda house: (overdue.of_others, [(VOIPMS, DID)], 10),
    "waiting untold": lambda house: (overdue.waiting_untold, house.now, 10),
    "pull in": lambda house: (overdue.pull_in, house.now, DAY, DAY),
    "newest id": lambda house: (deliveries.newest_id,),
    "pending": lambda house: (deliveries.pending, "sms.example.com", 100),
    "take": lambda house: (inbox.take, house.ids, house.now, texts(1)[0]),
    "take several": lambda house: (inbox.take_all, house.ids, house.now, texts(5)),
}


@pytest.mark.parametrize("name", WORKS)
async def test_its_cost_does_not_grow_with_the_rows(scales, monkeypatch, name):
    monkeypatch.setattr(backlog, "MOST", 50)
    few, many = [await scale.cost(*WORKS[name](scale.house)) for scale in scales]
    assert many <= 1.3 * few + 50, (few, many)


@pytest.mark.parametrize("did", [holds.WHOLE_ACCOUNT, Did("+15551230001")], ids=["account", "line"])
async def test_a_text_leaves_beside_a_hold_at_the_same_cost(scales, did):
    """Another line of the same account if one line is on hold, another account if all of it is."""
    costs = []
    for scale in scales:
        house = scale.house
        await house.rows("DELETE FROM hold")
        await house.hold(Hold.ACCOUNT if did == holds.WHOLE_ACCOUNT else Hold.LINE, did=did)
        free = {"provider": PHONE} if did == holds.WHOLE_ACCOUNT else {"did": Did("+15551230002")}
        await house.accept("mine", peer=OTHER_PEER, **free)
        provider = free.get("provider", VOIPMS)
        claim = await scale.cost(claims.claim, house.ids, house.now, provider, "n/1", LEASE)
        (part,) = await house.rows("SELECT id, text, attempt FROM outbox WHERE state = 'sending'")
        assert part["text"] == "mine"
        move = await scale.cost(
            outbox.move, house.ids, house.now, "test", part["id"], PartEvent.ACCEPT, attempt=part["attempt"]
        )
        idle = await scale.cost(claims.claim, house.ids, house.now, provider, "n/1", LEASE)
        probe = await scale.cost(claims.claim, house.ids, house.now, provider, "n/1", LEASE, is_probe=True)
        due = await scale.cost(claims.next_due, house.now, provider)
        costs.append((claim, move, idle, probe, due))
    few, many = costs
    assert all(more <= 1.3 * less + 50 for less, more in zip(few, many, strict=True)), costs


async def test_a_text_goes_through_one_long_conversation_at_the_same_cost(scales):
    """The conversation with most that waits behind it; its parts leave in their order."""
    costs = []
    for scale in scales:
        house = scale.house
        await house.rows("DELETE FROM hold")
        await house.rows("UPDATE outbox SET peer = $1", PEER)
        await house.rows("UPDATE conversation SET head = NULL")
        await house.accept("last", peer=PEER)
        part = await house.claim()
        (oldest,) = await house.rows("SELECT min(id) AS id FROM outbox")
        assert part.id == oldest["id"]
        costs.append(await scale.cost(outbox.move, house.ids, house.now, "test", part.id, PartEvent.ACCEPT, attempt=1))
        costs.append(await scale.cost(claims.claim, house.ids, house.now, VOIPMS, "n/1", LEASE))
    assert costs[2] <= 1.3 * costs[0] + 50
    assert costs[3] <= 1.3 * costs[1] + 50


async def test_what_is_forgotten_is_forgotten_a_slice_at_a_time(scales):
    _, many = scales
    house, costs, place = many.house, [], retention.BEGIN
    later = house.now + timedelta(days=200)
    while place is not None:
        following = []

        def step(place=place, following=following):
            following.append((yield from retention.forget(later, retention.Spans(), place)))

        costs.append(await many.cost(step))
        place = following[0]
    assert (await house.rows("SELECT count(*) AS n FROM inbox"))[0]["n"] == 1  # whose deliveries still wait
    assert max(costs) < 400 * retention.SLICE
