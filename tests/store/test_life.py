"""Whatever happens in whatever order, a row only ever takes a step that the tables of `core.state` name."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.message import DeliveryKind, MessageId, PartId, ProviderMessageId, ProviderName
from smsbridge.core.state import BLOCKING, DELIVERY, PART, DeliveryState, PartEvent, PartState
from smsbridge.store import deliveries, holds, retention
from smsbridge.store.database import Row
from smsbridge.store.deliveries import Draft
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase
from tests.fakes.waiting import PATIENCE

PART_EDGES = {(state, after) for (state, _), after in PART.items()}
DIDS, PEERS = (Did("+15551230001"), Did("+15551230002")), (Peer("+15559870002"), Peer("+15559870003"))
VOIPMS = ProviderName("voipms")

few = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("accept"), st.sampled_from(DIDS), st.sampled_from(PEERS), st.integers(1, 3)),
    st.tuples(st.just("claim"), st.booleans()),
    st.tuples(st.just("move"), few, st.sampled_from(PartEvent), st.sampled_from([None, 0, 1, 2]), few),
    st.tuples(st.just("hold"), st.sampled_from(Hold), st.sampled_from([*DIDS, holds.WHOLE_ACCOUNT])),
    st.tuples(st.just("lift"), st.sampled_from(DIDS)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 3600, 86_400])),
    st.tuples(st.sampled_from(["deliver", "fix", "hand", "quarantine", "bounce", "tell_again"]), few),
    st.tuples(st.just("forget"), few),
)


class Player:
    """Does what it is told, to rows that are there, and watches what becomes of all the others."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.before: dict[str, dict[str, str]] = {"outbox": {}, "delivery": {}}

    async def play(self, step: tuple[Any, ...]) -> None:
        house = self.house
        match step:
            case ("accept", did, peer, count):
                await house.accept(*map(str, range(count)), did=did, peer=peer)
            case ("claim", is_probe):
                await house.claim(is_probe=is_probe)
            case ("move", n, event, attempt, provider_id):
                if (part_id := self._nth("outbox", n)) is not None:
                    given_id = ProviderMessageId(str(provider_id)) if provider_id else None
                    hold = Hold.QUOTA if event is PartEvent.HOLD else None
                    if event is not PartEvent.CLAIM:  # only `claim` claims
                        await house.move(PartId(part_id), event, attempt=attempt, provider_id=given_id, hold=hold)
            case ("hold", kind, did):
                await house.hold(kind, did=did)
            case ("lift", did):
                await house.do(holds.lift, VOIPMS, did)
            case ("wait", seconds):
                house.clock.move(seconds=seconds)
            case ("forget", _):
                await house.forget(retention.Spans())
            case ("deliver", n):
                kind = list(DeliveryKind)[n]
                draft = Draft(
                    domain="d", kind=kind, to_jid="j@example.com", sender="", stanza_id=str(n),
                    message_id=MessageId("m"),
                )  # fmt: skip
                await house.do(deliveries.add, draft)
            case ("bounce", n):
                await house.do(deliveries.bounce, str(n), "j@example.com", "gone")
            case ("tell_again", _):
                await house.do(deliveries.tell_again, MessageId("m"), "j@example.com")
            case (verb, n):
                if (delivery_id := self._nth("delivery", n)) is not None:
                    await self._on_delivery(verb, delivery_id)

    async def _on_delivery(self, verb: str, delivery_id: str) -> None:
        match verb:
            case "fix":
                await self.house.do(deliveries.fix, [(delivery_id, b"<message/>")])
            case "hand":
                await self.house.do(deliveries.hand, [delivery_id])
            case "quarantine":
                await self.house.do(deliveries.quarantine, delivery_id, "why")

    def _nth(self, table: str, n: int) -> str | None:
        known = sorted(self.before[table])
        return known[n] if n < len(known) else None

    async def watch(self) -> None:
        rows = await self.house.rows("SELECT id, state, did, peer, provider, due_at FROM outbox")
        self._compare("outbox", {row["id"]: row["state"] for row in rows}, PART_EDGES, PartState.QUEUED)
        in_flight = [(row["did"], row["peer"]) for row in rows if row["state"] in BLOCKING]
        assert len(in_flight) == len(set(in_flight))
        await self._compare_heads(rows, set(in_flight))
        found = {row["id"]: row["state"] for row in await self.house.rows("SELECT id, state FROM delivery")}
        self._compare("delivery", found, DELIVERY, DeliveryState.WAITING)

    async def _compare_heads(self, rows: list[Row], in_flight: set[tuple[str, str]]) -> None:
        """What is kept as the head of a conversation is what a look at all its parts would find."""
        heads: dict[tuple[str, str], Row] = {}
        for row in sorted(rows, key=lambda row: str(row["id"]), reverse=True):
            if row["state"] in {PartState.QUEUED, PartState.HELD} and (row["did"], row["peer"]) not in in_flight:
                heads[row["did"], row["peer"]] = row
        kept = await self.house.rows("SELECT * FROM conversation WHERE head IS NOT NULL")
        assert {(row["did"], row["peer"]): (row["head"], row["provider"], row["due_at"]) for row in kept} == {
            key: (row["id"], row["provider"], row["due_at"]) for key, row in heads.items()
        }

    def _compare(self, table: str, after: dict[str, str], edges: Any, first: str) -> None:
        before = self.before[table]
        for row_id, state in after.items():
            was = before.get(row_id)
            if was is None:
                assert state == first
            elif was != state:
                assert (was, state) in edges, (table, was, state)
        self.before[table] = after


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=5, max_size=50))
def test_only_steps_of_the_tables_are_ever_taken(house_of, script):
    async def story() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with asyncio.timeout(PATIENCE):
                database = await SqliteDatabase.open(Path(directory) / "bridge.db")
                await migrate(database)
                player = Player(house_of(database))
                for step in script:
                    await player.play(step)
                    await player.watch()
                await database.close()

    asyncio.run(story())
