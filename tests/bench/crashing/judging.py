"""Is everything there that somebody was told before the power went? Each state is opened as the service would."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.state import DeliveryState, PartState
from smsbridge.store import deliveries
from smsbridge.tenure import settle_in
from tests.bench.crashing.worker import FILE, place
from tests.bridge.house import SHARED, House, Ticks, inbound, outbound

NEVER_AGAIN = "a text that the carrier was called for would be sent again"


class Said:
    """What somebody outside could know."""

    def __init__(self, words: Iterable[str]) -> None:
        self.answered, self.accepted, self.handed = list[str](), list[str](), list[str]()
        self.called: dict[str, int] = defaultdict(int)
        self.settled: dict[str, str] = {}
        for line in words:
            match line.split():
                case ["answered", number]:
                    self.answered.append(number)
                case ["accepted", number]:
                    self.accepted.append(number)
                case ["called", number, attempt]:
                    self.called[number] = int(attempt)
                case ["settled", number, state]:
                    self.settled[number] = state
                case ["handed", row]:
                    self.handed.append(row)
                case other:
                    raise ValueError(other)

    def __len__(self) -> int:
        return len(self.answered) + len(self.accepted) + len(self.settled) + len(self.handed)


async def judge(directory: Path, said: Said) -> list[str]:
    """What is wrong, in words; nothing is the answer that there should be."""
    try:
        async with settle_in(place(directory, ticks := Ticks(), "heir"), asyncio.Event()) as tenure:
            assert tenure is not None
            wrong = ["it was taken for an old copy"] if tenure.is_old_copy else []
            house = House(tenure.database, ticks, "heir")
            house.ids.start_after(await tenure.database.run(deliveries.newest_id))
            wrong += await _missing(house, said)
            wrong += await _halves(house)
            wrong += await _repeats(house, said)
    except StoreUnavailable as error:
        return [f"it does not start: {error}"]
    with closing(sqlite3.connect(directory / FILE)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    return wrong if verdict == "ok" else [*wrong, f"integrity_check: {verdict}"]


async def _missing(house: House, said: Said) -> list[str]:
    wrong = []
    taken = {row["provider_id"] for row in await house.rows("SELECT provider_id FROM inbox")}
    rows = await house.rows("SELECT inbox_id, count(*) AS n FROM delivery WHERE inbox_id IS NOT NULL GROUP BY inbox_id")
    if any(row["n"] != 2 for row in rows):  # one for each owner
        wrong.append("a text is not for every owner")
    wrong += [f"lost: answered {number}" for number in said.answered if number not in taken]
    parts = {
        row["stanza_id"]: row
        for row in await house.rows(
            "SELECT m.stanza_id, o.state, o.attempt FROM message m JOIN outbox o ON o.message_id = m.id"
        )
    }
    wrong += [f"lost: accepted {number}" for number in said.accepted if number not in parts]
    for number, attempt in said.called.items():
        if number not in parts or parts[number]["attempt"] < attempt:
            wrong.append(f"{NEVER_AGAIN}: {number}")
        elif parts[number]["attempt"] == attempt and parts[number]["state"] == PartState.QUEUED:
            # put off by the carrier's own word: that was heard, or it is `sending` still
            deferred = await house.rows("SELECT 1 FROM outbox WHERE text LIKE $1 AND tries > 0", f"{number} %")
            wrong += [] if deferred else [f"{NEVER_AGAIN}: {number}"]
    for number, state in said.settled.items():
        if number not in parts or parts[number]["state"] != state:
            wrong.append(f"lost: settled {number} {state}")
    states = {row["id"]: row["state"] for row in await house.rows("SELECT id, state FROM delivery")}
    wrong += [f"lost: handed {row}" for row in said.handed if states.get(row) != DeliveryState.HANDED]
    return wrong


async def _halves(house: House) -> list[str]:
    """What a transaction writes is there whole or not at all."""
    halves = {
        "a text without a key": "SELECT id FROM inbox WHERE id NOT IN (SELECT inbox_id FROM inbox_key)",
        "a key without a text": "SELECT key FROM inbox_key WHERE inbox_id NOT IN (SELECT id FROM inbox)",
        "a text without a delivery": "SELECT id FROM inbox WHERE id NOT IN (SELECT inbox_id FROM delivery"
        " WHERE inbox_id IS NOT NULL)",
        "a message without a part": "SELECT id FROM message WHERE id NOT IN (SELECT message_id FROM outbox)",
        "a part without a message": "SELECT id FROM outbox WHERE message_id NOT IN (SELECT id FROM message)",
        "a message without a key": "SELECT id FROM message WHERE id NOT IN (SELECT message_id FROM outbox_key)",
    }
    return [words for words, query in halves.items() if await house.rows(query)]


async def _repeats(house: House, said: Said) -> list[str]:
    """What the carrier posts again, and a client sends again, is known; what is new is taken."""
    wrong = []
    for number in said.answered[-2:]:
        before = await house.rows("SELECT id FROM delivery")
        (row,) = await house.rows("SELECT text, peer FROM inbox WHERE provider_id = $1", number) or [None]
        if row is None:
            continue
        await house.take(inbound(row["text"], pid=number, peer=row["peer"], did=SHARED))
        if await house.rows("SELECT id FROM delivery") != before:
            wrong.append(f"shown twice: {number}")
    for number in said.accepted[-2:]:
        (row,) = await house.rows("SELECT text, peer, state FROM outbox WHERE text LIKE $1", f"{number} %") or [None]
        if row is None or row["state"] == PartState.FAILED:  # who sends that again wants it to be tried again
            continue
        await house.outbound.accept(outbound(row["text"], to=row["peer"], sid=number))
        if len(await house.rows("SELECT id FROM outbox WHERE text LIKE $1", f"{number} %")) != 1:
            wrong.append(f"accepted twice: {number}")
    await house.take(inbound("the first after it", pid="99999", did=SHARED))
    if not await house.rows("SELECT id FROM inbox WHERE provider_id = '99999'"):
        wrong.append("nothing new is taken")
    return wrong
