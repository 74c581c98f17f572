"""What a player waits for, and what has to have happened before a player may say that nothing did."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from smsbridge.sim.client import Client
from smsbridge.sim.received import Received
from smsbridge.sim.stage import Stage
from tests.fakes.waiting import PATIENCE

Cue = Callable[[Received], bool]

CARELESS = "5559870099"  # a number written so is refused with the right address


def from_(jid: str) -> Cue:
    """A message with words from this very JID."""
    return lambda stanza: stanza.sender == jid and stanza.body is not None and stanza.error is None


def receipt_for(stanza_id: str) -> Cue:
    return lambda stanza: stanza.receipt_for == stanza_id


def error_for(stanza_id: str) -> Cue:
    return lambda stanza: stanza.error is not None and stanza.stanza_id == stanza_id


def bodies_from(client: Client, jid: str) -> list[str | None]:
    """All that this JID has said to the client in this session."""
    return [stanza.body for stanza in filter(from_(jid), client.received)]


async def curtain(stage: Stage, client: Client, peer: str, did: str) -> list[str | None]:
    """All that came from the peer, once one more text of his has come: stanzas are handed over in order."""
    await stage.carrier.text_in(peer, did, "(curtain)")
    contact = stage.contact(peer)
    await client.next(lambda stanza: from_(contact)(stanza) and stanza.body == "(curtain)")
    return bodies_from(client, contact)[:-1]


async def judged(stage: Stage, client: Client) -> None:
    """All that the client has sent so far is accepted, refused or ignored: the bridge judges in order."""
    probe = await client.send_text(stage.contact(CARELESS), "(judged?)")
    await client.next(error_for(probe))


async def round_trips_until(client: Client, jid: str, holds: Callable[[], bool]) -> None:
    """Ask the bridge again and again until something holds that nothing tells us about; raises `TimeoutError`."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await client.ping(jid)


def sample(stage: Stage, name: str, **labels: str) -> float:
    """A metric of the bridge, 0 if nobody counted it yet."""
    return stage.service.metrics.registry.get_sample_value(f"smsbridge_{name}", labels) or 0.0


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """While this lasts nothing can be committed."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
