"""The load from both sides, and the harness's own record of it: what was texted, what was typed, what was seen.

Handsets text two owners. One of them reads: she is logged in, types, and comes back when her server does. The other
never logs in while the killing goes on. The carrier spoils a call or a callback now and then.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client, LoginFailed, Refused, StreamEnded
from smsbridge.sim.faults import CALLBACK, CONNECTION, WEBHOOK, Fault, FaultPlan, Moment, What
from smsbridge.sim.stage import password_of
from smsbridge.sim.xmpp_server import LOOPBACK, XmppServer

READER, ABSENT = "alice", "bob"
OWNERS: dict[str, tuple[str, ...]] = {READER: ("+15551230001",), ABSENT: ("+15551230002",)}
PEERS = tuple(f"555987{n:04}" for n in range(20))
INBOUND_GAP, OUTBOUND_GAP = 0.05, 0.4  # seconds between texts; VoIP.ms takes about three calls a second
SPOIL_GAP = 2.0
BURST = 40  # texts, about what the bridge writes to its server at once
KNOCK_SECONDS = 0.1  # between two tries to log in

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
SEND = "sendSMS"
FAULTS = (
    Fault(when=AFTER, method=SEND, drop=True),
    Fault(when=AFTER, method=SEND, http_status=502),
    Fault(when=AFTER, method=SEND, what=What.CUT),
    Fault(when=AFTER, method=SEND, what=What.TRUNCATED),
    Fault(when=AFTER, method=SEND, what=What.HTML),
    Fault(when=AFTER, method=SEND, what=What.EMPTY),
    Fault(when=AFTER, method=SEND, what=What.NO_ID),
    Fault(when=AFTER, method=SEND, what=What.SAME_ID),
    Fault(when=AFTER, method=SEND, stall_seconds=1.0),
    Fault(when=BEFORE, method=SEND, drop=True),
    Fault(when=BEFORE, method=SEND, http_status=503),
    Fault(when=BEFORE, method=SEND, what=What.LATE, amount=1.0, drop=True),
    Fault(when=BEFORE, method=SEND, what=What.REFUSED, status="invalid_dst"),
    Fault(when=BEFORE, method=CONNECTION, drop=True),
    Fault(when=BEFORE, method=WEBHOOK, drop=True),
    Fault(when=BEFORE, method=WEBHOOK, what=What.COPIES, amount=3),
    Fault(when=BEFORE, method=WEBHOOK, what=What.DRIBBLED, amount=0.5),
    Fault(when=AFTER, method=WEBHOOK, drop=True),
    Fault(when=BEFORE, method=CALLBACK, what=What.PIPELINED, amount=2),
    Fault(when=AFTER, method=CALLBACK, drop=True),
)


@dataclass(slots=True, kw_only=True)
class Journal:
    """Texts are unique: each tells its run and its number."""

    run: str
    texted: dict[str, str] = field(default_factory=dict)  # text to owner
    typed: dict[str, str] = field(default_factory=dict)  # stanza id to text
    seen: Counter[str] = field(default_factory=Counter)  # texts as the reader's client got them, without asking
    returned: set[str] = field(default_factory=set)  # ids of what came back to the reader as an error


class Load:
    """`run` until it is cancelled; then `rest` until the reader has all that is on its way, and `leave`."""

    def __init__(
        self, journal: Journal, server: XmppServer, carrier: Carrier, faults: FaultPlan, rng: random.Random
    ) -> None:
        self._journal = journal
        self._server = server
        self._carrier = carrier
        self._faults = faults
        self._random = rng
        self._reader: Client | None = None
        self._numbers = itertools.count()
        self._is_loaded = True
        self._is_online = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as load:
            for actor in (self._text_in, self._type, self._spoil):
                load.create_task(actor())

    async def stay_online(self) -> None:
        """Log in, note what comes, and log in again when the server is back; until cancelled."""
        while True:
            client = await self._log_in()
            try:
                self._reader = client
                self._is_online.set()
                with contextlib.suppress(StreamEnded):
                    await client.next(lambda _: False, timeout=86_400)
            finally:
                self._is_online.clear()
                self._note(client)
                await client.logout()

    async def catch_up(self) -> None:
        """Return when the reader is online and has what her server had for her."""
        while True:
            await self._is_online.wait()
            assert self._reader is not None
            with contextlib.suppress(StreamEnded, Refused):
                return await self._reader.ping()

    def end(self) -> None:
        """No more load, and no more faults."""
        self._is_loaded = False
        self._faults.clear()

    async def _log_in(self) -> Client:
        jid = f"{READER}@{self._server.domain}"
        while True:
            try:
                client = await Client.login(jid, password_of(READER), LOOPBACK, self._server.c2s_port, "harness")
            except LoginFailed:
                await asyncio.sleep(KNOCK_SECONDS)
                continue
            with contextlib.suppress(StreamEnded):
                for peer in PEERS[::2]:  # so the bridge knows that she is there, as from her contacts
                    await client.send_presence(to=f"+1{peer}@{self._server.component_jid}")
                return client
            await client.logout()

    def _note(self, client: Client) -> None:
        for stanza in client.received:
            if stanza.error is not None:
                self._journal.returned.add(stanza.stanza_id)
            elif stanza.body in self._journal.texted:
                self._journal.seen[stanza.body] += 1

    async def burst(self) -> None:
        """Many texts at once."""
        for _ in range(BURST):
            await self._text_in_once()

    async def _text_in(self) -> None:
        while self._is_loaded:
            await self._text_in_once()
            await asyncio.sleep(self._random.uniform(0, 2 * INBOUND_GAP))

    async def _text_in_once(self) -> None:
        n = next(self._numbers)
        owner = (READER, ABSENT)[n % 2]
        text = f"in {self._journal.run} {n} é🙂"
        self._journal.texted[text] = owner
        await self._carrier.text_in(self._random.choice(PEERS), OWNERS[owner][0], text)

    async def _type(self) -> None:
        for n in itertools.count():
            if not self._is_loaded:
                return
            await self._is_online.wait()
            assert self._reader is not None
            contact = f"+1{self._random.choice(PEERS)}@{self._server.component_jid}"
            text = f"out {self._journal.run} {n} é🙂"
            with contextlib.suppress(StreamEnded):
                self._journal.typed[await self._reader.send_text(contact, text)] = text
            await asyncio.sleep(self._random.uniform(0, 2 * OUTBOUND_GAP))

    async def _spoil(self) -> None:
        while self._is_loaded:
            self._faults.arm(self._random.choice(FAULTS))
            await asyncio.sleep(self._random.uniform(0, 2 * SPOIL_GAP))


def journal_for(seed: int) -> Journal:
    return Journal(run=f"{seed:x}-{time.time_ns():x}")
