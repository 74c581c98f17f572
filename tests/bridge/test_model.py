"""The whole life of texts as a model: whatever happens in whatever order, in the end the promises hold.

A real store and the real use cases; a carrier, an XMPP server, a place for files and a clock that do what the rules
say. `MODEL_STEPS` makes the runs longer (`make model STEPS=…`).

    accepted is shown, or its writer is told      each text leaves once at the most     each carrier id is claimed once
    a conversation keeps its order                only owners of a line send over it    what is forgotten is gone
    a cap is met exactly                          STOP and a lockdown are heeded        what went twice is told, counted
    a file goes with its text, or its link        what is on hold is asked one by one
"""

import asyncio
import itertools
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsbridge.bridge import lockdown
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.enclosures import Enclosures
from smsbridge.core.caps import Caps, Limits, Whose
from smsbridge.core.doubt import Unknowns
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.gate import Policy
from smsbridge.core.words.say import Say
from smsbridge.media.drawer import Drawer
from tests.fakes.words import english

from .house import (
    ADMIN,
    ANN,
    CARRIER,
    FRIEND,
    JOHN,
    OWN,
    PEER,
    SHARED,
    House,
    Ticks,
    inbound,
    outbound,
    rules,
    with_line,
)
from .world import ANSWERS, DOUBTFUL, FETCHES, PLACE, Carrier, Shelf, is_complete, name_of

STEPS = int(os.environ.get("MODEL_STEPS", "0"))
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # nothing here loses power
PEERS = st.sampled_from((PEER, FRIEND))
OWNERS = st.sampled_from((JOHN, ANN))
TROUBLES = st.sampled_from((None, None, None, "answer lost", 1, 4, 7, 10))  # of the store; a number: at that statement
PENDING = "('queued', 'held', 'sending', 'unknown')"
GONE = {"failed", "expired", "cancelled"}
KEYS_KEPT = timedelta(days=6)  # after which a stanza that is repeated may be a new text


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A text that was accepted."""

    owner: str
    peer: str
    text: str
    url: str
    at: datetime

    def stanza(self, sid):
        return outbound(self.text, to=self.peer, sid=sid, owner=self.owner, media=[self.url] if self.url else ())


class Life(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory(prefix="smsbridge-model-", dir=FAST)
        self.ticks, self.lives, self.numbers = Ticks(), itertools.count(1), itertools.count(1)
        self.carrier, self.shelf = Carrier(lambda: self.ticks.now), Shelf()
        self.files = Path(self.directory.name) / "outgoing"
        self.rules = rules()
        self.house = None
        self.answered = {}  # what was thanked: id to (did, peer, text)
        self.typed = {}  # whatever was tried to send, by its text
        self.accepted = {}  # of these what was accepted, by stanza id
        self.used = Counter()  # of each owner's cap, by owner and day
        self.stopped = set()  # (did, peer)
        self.is_locked = False
        self.twice = 0  # as counted by earlier lives
        self.seen = []  # what the server showed: (to, sender, stanza id, body)
        self.doubted = set()  # stanzas that may be shown again
        self.carrier.may = self._may
        self.allows(10)
        self.run(self._open())

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def _open(self):
        url = f"sqlite:///{Path(self.directory.name) / 'bridge.db'}"
        house = await House.open(url, self.ticks, f"life-{next(self.lives)}")
        house.rules = self.rules
        house.look_up(self.carrier)
        house.drawer = Drawer(self.files)
        house.provider.send = self._send
        capabilities = house.provider.capabilities = replace(house.provider.capabilities, media_types={"image/png"})
        self.enclosures = Enclosures(
            house.desk, Bell(), self.shelf, self.shelf, house.drawer, self.shelf, lambda: {CARRIER: capabilities},
            roll=lambda: 0.0,
        )  # fmt: skip
        self.house, self.rules = house, house.rules
        await house.handover.put_back(())

    async def _send(self, part):
        self.house.provider.calls.append(part)
        self.house.changed.set()
        return await self.carrier.send(part)

    def _may(self, part):
        typed = self.typed[name_of(part)]
        return (
            typed.owner in self.rules.directory.line_of(part.did).owners
            and not self.is_locked
            and (part.did, part.peer) not in self.stopped
            and is_complete(part, typed.url)
        )

    def _rule(self, **changes):
        self.rules = replace(self.rules, **changes)
        if self.house:
            self.house.rules = self.rules

    # what comes in

    @rule(peer=PEERS, did=st.sampled_from((OWN, SHARED)), count=st.integers(1, 3))
    def hooks(self, peer, did, count):
        for _ in range(count):
            pid = str(next(self.numbers))
            self.run(self.house.take(inbound(f"in {pid}", pid=pid, peer=peer, did=did)))
            self.answered[pid] = (did, peer, f"in {pid}", self.rules.directory.line_of(did).owners)

    @rule(data=st.data())
    def hook_again(self, data):
        if self.answered:
            pid = data.draw(st.sampled_from(sorted(self.answered)))
            did, peer, text, _ = self.answered[pid]
            self.run(self.house.take(inbound(text, pid=pid, peer=peer, did=did)))

    @rule(peer=PEERS, did=st.sampled_from((OWN, SHARED)), is_stop=st.sampled_from((True, False, False)))
    def wishes(self, peer, did, is_stop):
        word = "STOP" if is_stop else "START"
        self.run(self.house.take(inbound(word, pid=str(next(self.numbers)), peer=peer, did=did)))
        (self.stopped.add if is_stop else self.stopped.discard)((did, peer))

    # what is typed

    @initialize()
    def begins(self):
        """Without a text out and one in a run has nothing to show."""
        self.types(PEER, JOHN, 2)
        self.hooks(PEER, SHARED, 1)

    @rule(peer=PEERS, owner=OWNERS, count=st.integers(1, 3), has_file=st.sampled_from((False, False, True)))
    def types(self, peer, owner, count, has_file=False):
        for _ in range(count):
            self._type(peer, owner, has_file=has_file)

    @rule(peer=PEERS, owner=OWNERS, trouble=TROUBLES)
    def types_into_trouble(self, peer, owner, trouble):
        """What became of the commit nobody knows; we are killed, and the stanza is sent again."""
        self._type(peer, owner, trouble=trouble)

    def _type(self, peer, owner, *, has_file=False, trouble=None):
        number = next(self.numbers)
        sid, text, url = f"s{number}", f"out {number}", f"{PLACE}/{number}" if has_file else ""
        typed = self.typed[text] = Typed(owner=owner, peer=peer, text=text, url=url, at=self.ticks.now)
        day = owner, self.ticks.now.date()
        is_over = self.used[day] >= self.cap
        try:
            self._accept(typed.stanza(sid), trouble)
        except Refused as refused:
            reason = refused.reason
        else:
            reason = None
            self.used[day] += 1
            self.accepted[sid] = typed
        may_be = {Reason.OVER_CAP} if is_over else {None}
        if {(OWN, peer), (SHARED, peer)} & self.stopped:
            may_be.add(Reason.OPTED_OUT)
        assert reason in may_be

    def _accept(self, message, trouble):
        store = self.house.store
        if trouble == "answer lost":
            store.lose_answers(1, of="_accept")
        elif trouble:
            store.break_at(trouble, of="_accept")
        try:
            self.run(self.house.outbound.accept(message))
        except StoreUnavailable:
            self.crash()
            self.run(self.house.outbound.accept(message))
        finally:
            store.lose_answers(0)

    @rule(data=st.data())
    def types_again(self, data):
        """A client that sends the same stanza again; of what has failed that is a new try, and none of this model's."""
        recent = sorted(sid for sid, typed in self.accepted.items() if self.ticks.now - typed.at < KEYS_KEPT)
        if recent:
            sid = data.draw(st.sampled_from(recent))
            states = self.run(self._states(sid))
            if states and not GONE & set(states):
                self.run(self.house.outbound.accept(self.accepted[sid].stanza(sid)))

    async def _states(self, sid):
        rows = await self.house.rows(
            "SELECT o.state FROM message m JOIN outbox o ON o.message_id = m.id WHERE m.stanza_id = $1", sid
        )
        return [row["state"] for row in rows]

    # what the carrier does

    @rule(answer=st.sampled_from(ANSWERS))
    def sends(self, answer):
        self._send_all(answer)

    @rule(answer=st.sampled_from(DOUBTFUL), looks=st.integers(0, 3))
    def sends_in_doubt(self, answer, looks):
        self._send_all(answer)
        self.looks(looks)

    def _send_all(self, answer):
        self.carrier.answer = answer
        is_held = bool(self.run(self.house.rows("SELECT 1 FROM hold WHERE provider = $1 AND did = ''", CARRIER)))
        before = len(self.carrier.asked)
        self.run(self._hanging() if answer == "hangs" else self.house.dispatch())
        if is_held and answer != "taken":
            assert len(self.carrier.asked) - before <= 1

    async def _hanging(self):
        """The carrier takes a text and says nothing; we are killed."""
        before, house = len(self.carrier.taken), self.house
        house.dispatcher = house.build_dispatcher()
        house.start()

        async def done():
            return house.senders_bell.is_awaited or len(self.carrier.taken) > before

        await house.until(done)
        await house.kill()
        self._count_twice()
        await self._open()

    @rule(times=st.integers(1, 3))
    def looks(self, times):
        for _ in range(times):
            self.run(self.house.reconciler.look())
            self.ticks.advance(Unknowns().settle)

    @precondition(lambda self: self.carrier.dawdling)
    @rule()
    def catches_up(self):
        self.carrier.catch_up()

    # what the server does

    @rule(answer=st.sampled_from(FETCHES))
    def fetches(self, answer):
        self.shelf.answer = answer
        self.run(self.enclosures.look())
        self.run(self.enclosures.tidy())

    @rule(limit=st.integers(1, 5), ends=st.sampled_from(("ponged", "ponged", "stream lost", "killed")))
    def hands(self, limit, ends):
        batch = self.run(self.house.claim(limit))
        self.seen += [(row.to_jid, row.sender, row.stanza_id, row.body) for row in batch]
        if ends == "ponged":
            self.run(self.house.handover.hand([row.id for row in batch]))
            return
        self.doubted |= {row.stanza_id for row in batch}
        if ends == "killed":
            self.crash()
        else:
            self.run(self.house.handover.put_back(()))

    @rule(has_files=st.sampled_from((True, True, False)))
    def crash(self, has_files=True):
        """The next life may be on another machine, where the files are not."""
        self.run(self.house.kill())
        if not has_files:
            for file in self._kept():
                file.unlink()
        self._count_twice()
        self.run(self._open())

    def _kept(self):
        return list(self.files.iterdir()) if self.files.exists() else []

    def _count_twice(self):
        self.twice += self.house.metrics.duplicates_unavoidable.labels(CARRIER)._value.get()

    # what time and the administrator do

    @rule(minutes=st.sampled_from((1, 10, 300)))
    def time_goes_by(self, minutes):
        self.ticks.advance(timedelta(minutes=minutes))

    @rule(minutes=st.sampled_from((1, 20)))
    def clock_is_set_back(self, minutes):
        """Not over midnight: a cap's day that begins once more counts from nothing."""
        back = self.ticks.now - timedelta(minutes=minutes)
        if back.date() == self.ticks.now.date():
            self.ticks.now = back

    @rule(owners=st.sampled_from(((JOHN,), (ANN,), (JOHN, ANN))))
    def line_moves(self, owners):
        self._rule(directory=with_line(OWN, owners=owners).directory)

    @rule(most=st.sampled_from((3, 10, 100)))
    def allows(self, most):
        self.cap = most
        self._rule(policy=Policy(limits=Limits(caps={Whose.OWNER: Caps(day=most)})))

    @rule(is_locked=st.sampled_from((True, False, False)))
    def locks(self, is_locked):
        self.is_locked = is_locked
        self.run(self._switch())

    async def _switch(self):
        house = self.house
        await house.store.run(lockdown.switch, house.desk, ADMIN, is_admin=True, is_on=self.is_locked)

    @rule()
    def forgets(self):
        self.run(self.house.janitor.expire())
        self.run(self.house.janitor.forget())

    # what always holds

    @invariant()
    def no_text_leaves_twice(self):
        """But for what the carrier takes long after it has shown that it had not."""
        assert len(set(self.carrier.taken)) == len(self.carrier.taken)

    @invariant()
    def nothing_leaves_that_must_not(self):
        assert self.carrier.wrong == []

    @invariant()
    def nothing_is_shown_twice_but_what_was_in_doubt(self):
        """A receipt may be: who sends a stanza again is answered again."""
        ids = [each for _, _, each, body in self.seen if body.startswith("in ") and each not in self.doubted]
        assert len(ids) == len(set(ids))

    def teardown(self):
        try:
            self.run(self._end())
        finally:
            self.run(self.house.kill())
            self.loop.close()
            self.directory.cleanup()

    async def _end(self):
        """From now on all goes well, and in the end everything is told."""
        house, self.carrier.answer, self.shelf.answer, self.is_locked = self.house, "taken", "there", False
        await self._switch()
        for n in range(60):
            await house.janitor.pull_in()
            await house.reconciler.look()
            await self.enclosures.look()
            await house.dispatch()
            await self._show()
            if not await house.rows(f"SELECT 1 FROM outbox WHERE state IN {PENDING}"):  # noqa: S608
                break
            self.ticks.advance(Unknowns().settle if n < 40 else timedelta(minutes=30))
        for _ in range(3):  # what the carrier may have taken late is looked for a day long
            self.ticks.advance(timedelta(hours=9))
            await house.reconciler.look()
        await self._show()
        self.no_text_leaves_twice()
        self.nothing_leaves_that_must_not()
        self._everything_was_shown()
        self._in_order()
        states = await self._everybody_was_told()
        self._what_left_late_was_told(states)
        await self._all_is_forgotten()

    async def _show(self):
        while batch := await self.house.hand_all():
            self.seen += [(row.to_jid, row.sender, row.stanza_id, row.body) for row in batch]

    def _everything_was_shown(self):
        shown = {(to, body) for to, _, _, body in self.seen}
        for _, _, text, owners in self.answered.values():
            assert {(owner, text) for owner in owners} <= shown

    def _in_order(self):
        first = {}
        for to, _, _, body in self.seen:
            if body.startswith("in "):
                first.setdefault((to, body), len(first))
        for did, peer in itertools.product((OWN, SHARED), (PEER, FRIEND)):
            for owner in (JOHN, ANN):
                said = [
                    text for d, p, text, owners in self.answered.values() if (d, p) == (did, peer) and owner in owners
                ]
                places = [first[owner, text] for text in said]
                assert places == sorted(places)
            left = [text for d, p, text in self.carrier.taken if (d, p) == (did, peer)]
            assert left == sorted(left, key=lambda text: int(text.split()[1]))

    async def _everybody_was_told(self):
        rows = await self.house.rows(
            "SELECT m.stanza_id, o.state, o.provider_id FROM message m JOIN outbox o ON o.message_id = m.id"
        )
        states = {row["stanza_id"]: row["state"] for row in rows}
        told = {(row["kind"], row["about"]) for row in await self.house.rows("SELECT kind, about FROM delivery")}
        taken, late = ({text for *_, text in them} for them in (self.carrier.taken, self.carrier.late))
        for sid, typed in self.accepted.items():
            if sid not in states:
                continue  # forgotten by now
            match states[sid]:
                case "sent":
                    assert typed.text in taken | late
                    assert ("receipt", sid) in told
                case "unsure":
                    assert typed.text not in taken | late
                    assert ("error", sid) in told
                case state:
                    assert state in GONE
                    assert typed.text not in taken
                    assert ("error", sid) in told
        claimed = [row["provider_id"] for row in rows if row["provider_id"]]
        assert len(claimed) == len(set(claimed))
        return states

    def _what_left_late_was_told(self, states):
        left = Counter(self.carrier.taken + self.carrier.late)
        self._count_twice()
        assert self.twice == left.total() - len(left)
        late = {text for *_, text in self.carrier.late}
        called_off = [sid for sid, typed in self.accepted.items() if typed.text in late and states.get(sid) in GONE]
        for words, count in ((Say.WENT_TWICE(), self.twice), (Say.CALLED_OFF(), len(called_off))):
            assert len({sid for _, _, sid, body in self.seen if body == english(words)}) == count

    async def _all_is_forgotten(self):
        for days in (40, 360):  # first what was written, then that something was
            self.ticks.advance(timedelta(days=days))
            await self.house.janitor.forget()
            await self.enclosures.tidy()
        assert self._kept() == []
        for query in ("SELECT text AS t FROM inbox", "SELECT text AS t FROM outbox", "SELECT body AS t FROM delivery"):
            assert not [
                row for row in await self.house.rows(query) if row["t"] and row["t"].startswith(("in ", "out "))
            ]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=max(120, STEPS // 50),
    stateful_step_count=50 if STEPS else 30,
    deadline=None,
    derandomize=not STEPS,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


class TestPaths:
    """A short run may not come by here."""

    def test_a_text_goes_twice(self):
        life = Life()
        life.begins()
        life.sends_in_doubt("dawdles", 3)
        life.sends("taken")
        life.catches_up()
        life.teardown()
        assert life.twice == 1

    def test_what_was_proved_absent_is_called_off_by_stop_and_leaves_all_the_same(self):
        life = Life()
        life.begins()
        life.sends_in_doubt("dawdles", 0)
        life.wishes(PEER, OWN, is_stop=True)
        life.looks(3)
        life.sends("taken")
        life.catches_up()
        life.teardown()
        assert len(life.carrier.late) == 1
        assert life.carrier.taken == []
