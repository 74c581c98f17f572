"""Whatever runs for each text or in each round finds its rows by an index, however many others there are."""

import re
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from smsbridge.bridge import answers, catching_up, enclosing
from smsbridge.bridge.janitor import PART_LIFE
from smsbridge.bridge.lately import Lately
from smsbridge.bridge.outlooks import Outlooks
from smsbridge.bridge.telling import PATIENCE
from smsbridge.core.address import Peer
from smsbridge.core.caps import Caps, Limits, Prices, Whose
from smsbridge.core.enclosures import Done, Why
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused, Rejected
from smsbridge.core.gate import Policy
from smsbridge.core.line import CatchUp, Mirror
from smsbridge.core.message import Kind, Source
from smsbridge.core.questions import Answer
from smsbridge.core.ration import Ration
from smsbridge.core.state import EnclosureState
from smsbridge.store import deliveries, enclosures, holds, listed, media, names, reports, watchers
from smsbridge.store.enclosures import Verdict as EnclosureVerdict
from smsbridge.store.names import Introduced

from .house import CARRIER, DOMAIN, FRIEND, JOHN, OWN, PEER, SHARED, THIRD, elsewhere, inbound, outbound, report, rules

FOURTH = Peer("+15559870005")
LONDON = Peer("+442079460123")
A_MOMENT = timedelta(seconds=1)
LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", hold=Hold.ACCOUNT)
NO_LINE = Deferred(Reason.LINE_FAULT, "invalid_did", hold=Hold.LINE)
# A row for each fault, lease, domain, account, STOP or name, not for each text.
SMALL = {"alert", "alert_kind", "cursor_at", "distrust", "hold", "lease", "name", "opt_out", "schema_version"}
# Indexes over what is in flight or has met a fault itself. They may be read whole.
SHORT = {
    "message_left",
    "media_due",
    "enclosure_due",
    "enclosure_kept",
    "outbox_in_flight",
    "outbox_held",
    "delivery_handing",
    "doubt_open",
    "doubt_due",
}
# Counted by an index up to a limit.
COUNTED = {"outbox", "delivery"}


class Recorder:
    """Remembers what is said to a store."""

    def __init__(self, database):
        self._database = database
        self.texts = {}

    async def run(self, work, /, *args, **kwargs):
        def recorded(*args, **kwargs):
            transaction, rows = work(*args, **kwargs), None
            while True:
                try:
                    statement = transaction.send(rows)
                except StopIteration as end:
                    return end.value
                self.texts.setdefault(statement.text, len(statement.params))
                rows = yield statement

        return await self._database.run(work if work.__name__ == "read" else recorded, *args, **kwargs)

    async def wipe(self):
        await self._database.wipe()

    run_short = run

    async def close(self):
        await self._database.close()


@pytest.fixture(params=["sqlite"])
def store_url(tmp_path):
    """The plans that are read here are SQLite's; the indexes are both drivers'."""
    return f"sqlite:///{tmp_path}/bridge.db"


@pytest.fixture
def recorder(house):
    house.store._database = Recorder(house.store._database)
    return house.store._database


LIMITED = Policy(
    limits=Limits(
        caps={whose: Caps(minute=1000, day=1000, new_peers_a_day=1000, spend_a_month=10**9) for whose in Whose},
        prices=Prices(sms=7_500, mms=20_000, currency="USD"),
    ),
    has_breaker=True,
    regions=frozenset({"US", "GB"}),
    usual=frozenset({"US"}),
)


async def live_through(house, ticks):
    """All that can happen to texts, in both directions, and each round of those who look after them."""
    house.rules = rules(policy=LIMITED, rations={CARRIER: Ration(limit=1000, zone=UTC, is_refusing=True)})
    await write_as_a_machine(house)
    await house.take(inbound(), inbound("again", pid="2", media=("https://media.example.com/1.jpg",)), inbound(pid=""))
    await wander(house)
    for peer, outcome in ((PEER, "pid"), (FRIEND, Rejected(Reason.CARRIER_REFUSED, "no")), (THIRD, Indeterminate("x"))):
        house.provider.script(peer, outcome)
        await house.accept("hello", to=peer)
    await house.dispatch()
    await house.accept("hello", to=PEER)  # a repeat
    await house.take(report("pid"))
    await attach(house)
    await read_list(house)
    await show(house)
    await call_names(house)
    await house.reconciler.look()
    for line in ("questions", "lockdown on", "resend 1"):
        await house.commands.typed(JOHN, line)
    await house.accept("locked in")
    await house.dispatch()
    await house.commands.typed(JOHN, "lockdown off")
    for fault in (Deferred(Reason.PROVIDER_DOWN, "down"), NO_LINE, LOGIN):
        house.provider.script(PEER, fault)
        await house.accept(f"after {fault.code}", f"more after {fault.code}")
        await house.accept(f"beside {fault.code}", to=f"{FRIEND}%{SHARED}")
        await house.dispatch()
        await house.progress.backlog()
        ticks.advance(PATIENCE + A_MOMENT)
        await house.janitor.tell_waiting()
        await house.dispatch()
        await house.dispatch()
    ticks.advance(-timedelta(hours=1))
    await house.janitor.pull_in()
    await house.store.run(holds.probe_soon, house.desk.now(), CARRIER)
    await house.accept("old")
    ticks.advance(PART_LIFE + timedelta(hours=3))
    await house.janitor.expire()
    await house.hand_all()
    ticks.advance(timedelta(days=400))
    await house.janitor.forget()
    await house.desk.database.run(media.due, ticks.now, 10)
    await house.desk.database.run(media.next_due)
    await house.desk.database.run(media.kept)
    await house.store.run(deliveries.newest_id)


async def read_list(house):
    """What the poller does with a carrier's list."""
    shown = [inbound("hell?", source=Source.POLL, pid=pid, sent_at=house.desk.now()) for pid in ("1", "8")]
    sent = [elsewhere(text, peer=peer) for text, peer in (("hello", PEER), ("hello", FRIEND), ("hi", FOURTH))]
    await house.store.run(catching_up.reach, house.desk.now(), CARRIER, [OWN], CatchUp(), timedelta(days=180))
    await house.store.run(catching_up.advance, house.desk.now(), CARRIER, house.desk.now())
    await house.store.run(listed.known, shown)
    await house.store.run(listed.unjudged, sent)
    await house.store.run(reports.awaited, CARRIER)
    await house.store.run(reports.give_up, house.desk.now())
    await house.store.run(reports.news, CARRIER, [report("pid")])
    house.rules = replace(house.rules, mirror=Mirror.LINE)
    await house.inbound.take_listed([*shown, *sent, inbound(kind=Kind.UNTOLD, pid="8")])


async def show(house):
    """What presence and the questions of clients take."""
    outlooks, pair = Outlooks(house.desk), (JOHN, f"{PEER}@{DOMAIN}")
    await outlooks.look()
    await outlooks.of(JOHN, "29283")
    await outlooks.remember(*pair)
    await outlooks.watched(("", ""))
    await outlooks.forget(*pair)
    await Lately(house.desk).last_text(JOHN, PEER)


async def call_names(house):
    """What names take, and contact lists."""
    for line in (f"name {PEER} Mum", f"name {PEER}"):
        await house.commands.typed(JOHN, line)
    await house.store.run(names.all_names)
    told = Introduced(owner=JOHN, contact=PEER, name="Mum", photo="")
    await house.store.run(names.introduce, house.desk.now(), [told])
    await house.store.run(names.introduced_to, JOHN)
    await house.store.run(names.conversations_of, JOHN)
    await house.store.run(watchers.seen_by, JOHN)


async def attach(house):
    """What becomes of files that go out."""
    able = house.provider.capabilities
    kept = EnclosureVerdict(state=EnclosureState.KEPT, mime="image/jpeg", size=1)
    linked = EnclosureVerdict(state=EnclosureState.LINKED, done=Done.LINKED, why=Why.KIND)
    refused = EnclosureVerdict(state=EnclosureState.REFUSED, why=Why.GONE)
    pictures = tuple(f"https://upload.example.com/{n}.jpg" for n in range(4))
    for number, verdicts in enumerate(([kept, linked, kept, kept], [kept, kept, kept, refused], [kept] * 4)):
        await house.outbound.accept(outbound("look", sid=f"picture {number}", media=pictures, to=f"{FRIEND}%{SHARED}"))
        for one, verdict in zip(
            await house.desk.database.run(enclosures.due, house.desk.now(), 10), verdicts, strict=True
        ):
            now = house.desk.now()
            await house.desk.database.run(enclosures.put_off, now, one, "slow", now, is_all=True)
            await house.desk.database.run(enclosing.settle, house.desk, one, verdict, able)
    await house.dispatch()  # their bytes are nowhere
    for one in await house.desk.database.run(enclosures.due, house.desk.now(), 10):
        await house.desk.database.run(enclosing.settle, house.desk, one, kept, able)
    await house.outbound.accept(outbound("look", sid="unusual", media=pictures, to=LONDON))
    for word in (Answer.CONFIRM, Answer.DISCARD):
        await house.commands.typed(JOHN, f"{word} 3")
    await house.desk.database.run(enclosures.next_due)
    await house.desk.database.run(enclosures.let_go)
    await house.desk.database.run(enclosures.kept)


async def write_as_a_machine(house):
    """Until the breaker opens."""
    lines = [f"line {n}" for n in range(12)]
    with pytest.raises(Refused):
        await house.accept(*lines, to=f"{FOURTH}%{SHARED}")
    await house.dispatch()
    for number, word in enumerate((Answer.DISCARD, Answer.CONFIRM), start=1):
        await house.accept(f"{word}?", to=LONDON)
        await house.store.run(answers.answer, house.desk, JOHN, number, word)
    await house.take(
        inbound("STOP", did=SHARED, peer=FOURTH, pid="3"), inbound("START", did=SHARED, peer=FOURTH, pid="4")
    )


async def wander(house):
    """What may become of deliveries."""
    first, second, *others = await house.claim()
    await house.handover.put_back([first.id])
    await house.handover.quarantine(second.id, "poison")
    await house.handover.hand([first.id, *(row.id for row in await house.claim())])
    await house.handover.prove([first.id], house.desk.now())
    await house.handover.doubt(house.desk.now(), is_guess=False)
    await house.hand_all()
    await house.handover.bounce(first.stanza_id, JOHN, "gone")
    await house.hand_all()
    assert others


def is_whole(step, text):
    """Whether a step of a plan reads all of a table that grows with the texts."""
    scanned = re.match(r"SCAN (\w+)(?: USING (COVERING )?INDEX (\w+))?$", step)
    if scanned is None:
        return False
    table, is_covering, index = scanned.groups()
    if table in COUNTED and is_covering and text.startswith("SELECT count(*)") and "LIMIT" in text:
        return False
    is_of_the_statement = f") AS {table}" in text  # the rows that it brings itself, or has found
    return index not in SHORT and table not in SMALL and not is_of_the_statement


async def test_no_statement_reads_a_table_whole(house, recorder, ticks):
    await live_through(house, ticks)
    said = dict(recorder.texts)
    assert len(said) > 80
    found = []
    for text, count in said.items():
        plan = await house.rows(f"EXPLAIN QUERY PLAN {text}", *[None] * count)
        found += [(step["detail"], text) for step in plan if is_whole(step["detail"], text)]
    assert not found
