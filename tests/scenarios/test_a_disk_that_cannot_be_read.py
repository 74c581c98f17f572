"""The disk gives back what was written no more (EIO): nothing new is taken, in words, and nothing is lost or torn."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from smsbridge.sim.ledger import Direction
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, Stage, StageConfig

from .cues import bodies_from, from_, receipt_for
from .running import Running

SHIM = Path(__file__).parents[1] / "fakes" / "eio.c"
# It sees at once that its store only says no, and gives it up when it is told to, five seconds after that at the least.
IN_A_HURRY = (
    "import signal, sys; from smsbridge import cli, tenure; tenure.ALONE_RENEW_SECONDS = 0.5;"
    " signal.signal(signal.SIGUSR1, lambda *_: setattr(tenure, 'FAILING_SECONDS', 5.0)); tenure.FAILING_SECONDS = 1e9;"
    " sys.exit(cli.main())"
)


@pytest.fixture
async def stage(on_server):
    """Everything but the bridge, which is a program here."""
    config = StageConfig(owners={"alice": (DID,)}, public_port=free_port(), extra_yaml="log: {format: json}\n")
    async with Stage(on_server(config)) as built:
        await built.stop_bridge()
        yield built


@pytest.fixture
def disk(stage, tmp_path):
    """`disk.touch()`: from now on the database cannot be read; `disk.unlink()`: it can again."""
    shim = tmp_path / "eio.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", shim, SHIM, "-ldl"], check=True)
    broken = tmp_path / "broken"
    return broken, {"LD_PRELOAD": str(shim), "EIO_WHILE": str(broken)}


def forget_pages(database):
    """Somebody else has written: what SQLite remembers of the file is not good any more, and has to be read."""
    with contextlib.closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA user_version = 7")


async def test_what_is_written_meanwhile_is_refused_in_words_and_what_was_accepted_is_there_afterwards(
    stage, telephone, disk
):
    broken, environment = disk
    alice, friend = await stage.client("alice"), telephone()
    config = stage.directory / "config.yaml"
    command = (sys.executable, "-c", IN_A_HURRY, "run", "-c", str(config))
    async with await Running.start(config, command=command, environment=os.environ | environment) as bridge:
        await bridge.said("stream_opened")
        await alice.next(receipt_for(await alice.send_text(stage.contact(friend), "before it")))
        broken.touch()
        forget_pages(stage.database)
        sent = await alice.send_text(stage.contact(friend), "in the midst of it")
        refused = await alice.next(lambda stanza: stanza.error is not None)
        assert (refused.stanza_id, refused.error.condition) == (sent, "internal-server-error")
        assert "could not store it" in refused.error.text
        push = await stage.carrier.text_in(friend, DID, "comes in the midst of it")
        bridge.signal(signal.SIGUSR1)
        assert await bridge.ended() == 1
        why = "nothing was committed for 5 s: DatabaseError: SQLITE_CORRUPT"  # SQLite's name for EIO of a read
        assert any(why in line for line in bridge.journal)
    broken.unlink()
    with contextlib.closing(sqlite3.connect(stage.database)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    async with await Running.start(config) as bridge:
        await bridge.said("stream_opened")
        await alice.next(receipt_for(await alice.send_text(stage.contact(friend), "after it")))
        stage.carrier.push(push.row)
        await alice.next(from_(stage.contact(friend)))
    assert bodies_from(alice, stage.contact(friend)) == ["comes in the midst of it"]
    left = [row.message for row in stage.carrier.handset(friend) if row.direction is Direction.SENT]
    assert left == ["before it", "after it"]
