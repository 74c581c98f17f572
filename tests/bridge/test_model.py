"""The whole life of texts as a model: whatever happens in whatever order, in the end the promises hold.

A real store and the real use cases; a carrier, an XMPP server and a clock that do what the rules say. `MODEL_STEPS`
makes the runs longer (`make model STEPS=…`).

    accepted is shown, or its writer is told      each text leaves once at the most     each carrier id is claimed once
    a conversation keeps its order                only owners of a line send over it    what is forgotten is gone
"""

import asyncio
import itertools
import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smsbridge.core.doubt import Unknowns
from smsbridge.core.errors import Deferred, Indeterminate, Reason, Refused, Rejected
from smsbridge.core.message import Kind, ProviderMessageId
from smsbridge.providers.contract import Candidate, Traced

from .house import ANN, CARRIER, FRIEND, JOHN, OWN, PEER, SHARED, House, Ticks, inbound, outbound, rules, with_line

STEPS = int(os.environ.get("MODEL_STEPS", "0"))
PEERS = st.sampled_from((PEER, FRIEND))
ANSWERS = ("taken", "taken", "refused", "later", "lost on its way", "lost on its way back", "hangs")
PENDING = "('queued', 'held', 'sending', 'unknown')"


class Carrier:
    """Takes texts, and lists what it took; its answers get lost."""

    def __init__(self):
        self.answer = "taken"
        self.taken = []  # (did, peer, text), oldest first
        self.ids = {}
        self.stolen = []  # what left over a line that is not its writer's
        self.may = lambda _did, _text: True
        self._ids = itertools.count(1)

    async def send(self, part):
        if not self.may(part.did, part.text):
            self.stolen.append(part.text)
        if self.answer == "refused":
            raise Rejected(Reason.INVALID_DESTINATION, "invalid_dst")
        if self.answer == "later":
            raise Deferred(Reason.PROVIDER_DOWN, "down")
        if self.answer == "lost on its way":
            raise Indeterminate("timeout")
        pid = ProviderMessageId(f"out-{next(self._ids)}")
        self.taken.append((part.did, part.peer, part.text))
        self.ids[pid] = (part.did, part.peer, part.text)
        if self.answer == "lost on its way back":
            raise Indeterminate("timeout")
        if self.answer == "hangs":
            await asyncio.Event().wait()
        return pid

    async def trace(self, part, _since, _now):
        alike = [pid for pid, it in self.ids.items() if it == (part.did, part.peer, part.text)]
        return Traced(candidates=tuple(Candidate(kind=Kind.SMS, provider_id=pid) for pid in alike), is_whole=True)


class Life(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory(prefix="smsbridge-model-")
        self.ticks, self.carrier, self.lives = Ticks(), Carrier(), itertools.count(1)
        self.rules = rules()
        self.numbers = itertools.count(1)
        self.answered = {}  # what was thanked: id to (did, peer, text)
        self.accepted = {}  # stanza id to (owner, peer, text)
        self.owners = {}  # of texts
        self.seen = []  # what the server showed: (to, sender, stanza id, body)
        self.doubted = set()  # stanzas that may be shown again
        self.carrier.may = self._may
        self.run(self._open())

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def _open(self):
        url = f"sqlite:///{Path(self.directory.name) / 'bridge.db'}"
        self.house = await House.open(url, self.ticks, f"life-{next(self.lives)}")
        self.house.rules = self.rules
        self.house.look_up(self.carrier)
        self.rules = self.house.rules
        self.house.provider.send = self._send
        await self.house.handover.put_back(())

    async def _send(self, part):
        self.house.provider.calls.append(part)
        self.house.changed.set()
        return await self.carrier.send(part)

    def _may(self, did, text):
        return self.owners[text] in self.rules.directory.line_of(did).owners

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

    # what is typed

    @initialize()
    def begins(self):
        """Without a text out and one in a run has nothing to show."""
        self.types(PEER, JOHN, 2)
        self.hooks(PEER, SHARED, 1)

    @rule(peer=PEERS, owner=st.sampled_from((JOHN, ANN)), count=st.integers(1, 3))
    def types(self, peer, owner, count):
        for _ in range(count):
            self._type(peer, owner)

    def _type(self, peer, owner):
        number = next(self.numbers)
        sid, text = f"s{number}", f"out {number}"
        self.owners[text] = owner
        try:
            self.run(self.house.outbound.accept(outbound(text, to=peer, sid=sid, owner=owner)))
        except Refused:
            return
        self.accepted[sid] = (owner, peer, text)

    @rule(data=st.data())
    def types_again(self, data):
        """A client that sends the same stanza again; of what has failed that is a new try, and none of this model's."""
        if self.accepted:
            sid = data.draw(st.sampled_from(sorted(self.accepted)))
            owner, peer, text = self.accepted[sid]
            states = self.run(self._states(sid))
            if states and "failed" not in states and None not in states:
                self.run(self.house.outbound.accept(outbound(text, to=peer, sid=sid, owner=owner)))

    async def _states(self, sid):
        rows = await self.house.rows(
            "SELECT o.state FROM message m JOIN outbox o ON o.message_id = m.id WHERE m.stanza_id = $1", sid
        )
        return [row["state"] for row in rows]

    # what the carrier does

    @rule(answer=st.sampled_from(ANSWERS))
    def sends(self, answer):
        self.carrier.answer = answer
        self.run(self._hanging() if answer == "hangs" else self.house.dispatch())

    async def _hanging(self):
        """The carrier takes a text and says nothing; we are killed."""
        before, house = len(self.carrier.taken), self.house
        house.dispatcher = house.build_dispatcher()
        house.start()

        async def done():
            return house.senders_bell.is_awaited or len(self.carrier.taken) > before

        await house.until(done)
        await house.kill()
        await self._open()

    @rule()
    def looks(self):
        self.run(self.house.reconciler.look())

    # what the server does

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

    @rule()
    def crash(self):
        self.run(self.house.kill())
        self.run(self._open())

    # what time and the administrator do

    @rule(minutes=st.sampled_from((1, 10, 300)))
    def time_goes_by(self, minutes):
        self.ticks.advance(timedelta(minutes=minutes))

    @rule(owners=st.sampled_from(((JOHN,), (ANN,), (JOHN, ANN))))
    def line_moves(self, owners):
        self.rules = replace(with_line(OWN, owners=owners), unknowns={CARRIER: Unknowns()})
        self.house.rules = self.rules

    @rule()
    def forgets(self):
        self.run(self.house.janitor.expire())
        self.run(self.house.janitor.forget())

    # what always holds

    @invariant()
    def no_text_leaves_twice(self):
        assert len(set(self.carrier.taken)) == len(self.carrier.taken)

    @invariant()
    def only_owners_send_over_a_line(self):
        assert self.carrier.stolen == []

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
        house, self.carrier.answer = self.house, "taken"
        for _ in range(60):
            await house.reconciler.look()
            await house.dispatch()
            await self._show()
            if not await house.rows(f"SELECT 1 FROM outbox WHERE state IN {PENDING}"):  # noqa: S608
                break
            self.ticks.advance(Unknowns().settle)
        await self._show()
        self.no_text_leaves_twice()
        self._everything_was_shown()
        self._in_order()
        await self._everybody_was_told()
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
        told = {(kind, about) for kind, _, _, about in await self.house.told("receipt")}
        for sid, (_, _, text) in self.accepted.items():
            if sid not in states:
                continue  # forgotten by now
            assert states[sid] in {"sent", "delivered", "failed", "cancelled", "unsure"}
            is_taken = text in {each for _, _, each in self.carrier.taken}
            if states[sid] == "sent":
                assert is_taken
                assert ("receipt", sid) in told
            elif states[sid] == "failed":
                assert not is_taken
        claimed = [row["provider_id"] for row in rows if row["provider_id"]]
        assert len(claimed) == len(set(claimed))

    async def _all_is_forgotten(self):
        self.ticks.advance(timedelta(days=400))
        await self.house.janitor.forget()
        for query in ("SELECT text AS t FROM inbox", "SELECT text AS t FROM outbox", "SELECT body AS t FROM delivery"):
            assert not [
                row for row in await self.house.rows(query) if row["t"] and row["t"].startswith(("in ", "out "))
            ]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=max(60, STEPS // 50),
    stateful_step_count=50 if STEPS else 30,
    deadline=None,
    derandomize=not STEPS,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)
