"""The load from both sides, and the harness's own record of it: what was texted, what was typed, what was seen.

Handsets text two owners. One of them reads: she is logged in, types, and comes back when her server does. The other
never logs in while the killing goes on.

The reader's client does what a good client does: it asks its server whether it has what she typed, and what it was not
told of it types again when it is back, under the same id.
"""

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client, LoginFailed, Refused, StreamEnded
from smsbridge.sim.stage import password_of
from smsbridge.sim.xmpp_server import LOOPBACK, XmppServer

READER, ABSENT = "alice", "bob"
OWNERS: dict[str, tuple[str, ...]] = {READER: ("+15551230001",), ABSENT: ("+15551230002",)}
PEERS = tuple(f"555987{n:04}" for n in range(20))
INBOUND_GAP, OUTBOUND_GAP = 0.05, 0.8  # seconds between texts; VoIP.ms takes about three calls a second
BURST = 40  # texts, about what the bridge writes to its server at once
KNOCK_SECONDS = 0.1  # between two tries to log in


@dataclass(slots=True, kw_only=True)
class Journal:
    """Texts are unique: each tells its run and its number."""

    run: str
    texted: dict[str, str] = field(default_factory=dict)  # text to owner
    typed: dict[str, str] = field(default_factory=dict)  # stanza id to text
    untaken: dict[str, str] = field(
        default_factory=dict
    )  # stanza id to contact: her server has not said that it has it
    seen: Counter[str] = field(default_factory=Counter)  # texts as the reader's client got them, without asking
    returned: set[str] = field(default_factory=set)  # ids of what came back to the reader as an error


class Load:
    """`run` until it is cancelled; then `rest` until the reader has all that is on its way, and `leave`."""

    def __init__(
        self, journal: Journal, server: XmppServer, carrier: Carrier, rng: random.Random, *, weight: float = 1.0
    ) -> None:
        """`weight`: how many texts come, in parts of the usual."""
        self._journal = journal
        self._server = server
        self._carrier = carrier
        self._random = rng
        self._weight = weight
        self._reader: Client | None = None
        self._numbers = itertools.count()
        self._is_loaded = True
        self._is_online = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as load:
            for actor in (self._text_in, self._type):
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
        """Return when the reader is online, and she and her server have what they had for each other."""
        while True:
            await self._is_online.wait()
            assert self._reader is not None
            with contextlib.suppress(StreamEnded, Refused):
                await self._reader.ping()
                if not self._journal.untaken:
                    return

    def end(self) -> None:
        """No more load."""
        self._is_loaded = False

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
                for stanza_id in tuple(self._journal.untaken):
                    await self._say(client, stanza_id)
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
        for _ in range(round(BURST * self._weight)):
            await self._text_in_once()

    async def _text_in(self) -> None:
        while self._is_loaded:
            await self._text_in_once()
            await asyncio.sleep(self._random.uniform(0, 2 * INBOUND_GAP / self._weight))

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
            stanza_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
            self._journal.typed[stanza_id], self._journal.untaken[stanza_id] = text, contact
            with contextlib.suppress(StreamEnded):
                await self._say(self._reader, stanza_id)
            await asyncio.sleep(self._random.uniform(0, 2 * OUTBOUND_GAP))

    async def _say(self, client: Client, stanza_id: str) -> None:
        """Type it, for the first time or again, and hear whether the server has it. Raises `StreamEnded`."""
        journal = self._journal
        await client.send_text(journal.untaken[stanza_id], journal.typed[stanza_id], stanza_id=stanza_id)
        with contextlib.suppress(TimeoutError):
            with contextlib.suppress(Refused):  # an answer all the same
                await client.ping()
            journal.untaken.pop(stanza_id, None)


def journal_for(seed: int) -> Journal:
    return Journal(run=f"{seed:x}-{time.time_ns():x}")
