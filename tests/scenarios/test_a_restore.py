"""The drill: a backup is made, life goes on, the machine dies, the backup is put in place: nothing is sent twice."""

import asyncio
import signal
import sys

import pytest

from smsbridge.sim.ledger import Direction
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, Stage, StageConfig
from tests.fakes.waiting import PATIENCE

from .cues import bodies_from, from_, receipt_for
from .running import Running

KEY = "0f" * 32


@pytest.fixture
async def stage(on_server):
    """Everything but the bridge, which is a program here."""
    config = StageConfig(
        owners={"alice": (DID,)},
        strangers=("mallory",),
        public_port=free_port(),
        extra_yaml="admins: [mallory@example.com]\nlog: {format: json}\n",
    )
    async with Stage(on_server(config)) as built:
        await built.stop_bridge()
        (built.directory / "backup.key").write_text(KEY)
        yield built


async def command(stage, *words):
    """`smsbridge …` as an admin types it: exit code and what it said."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smsbridge", words[0], "-c", str(stage.directory / "config.yaml"), *words[1:]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await program.communicate()
    return program.returncode, said.decode()


async def run(stage):
    bridge = await Running.start(stage.directory / "config.yaml")
    await bridge.said("stream_opened")
    return bridge


def left(stage, peer):
    return sorted(row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT)


@pytest.mark.parametrize("fate", ["--send", "--discard"])
async def test_nothing_old_is_sent_twice_and_what_came_in_is_taken_once(stage, telephone, fate):
    alice, mallory = await stage.client("alice"), await stage.client("mallory")
    friend, other, third = telephone(), telephone(), telephone()
    key = ("--key-file", str(stage.directory / "backup.key"))
    backup = str(stage.directory / "house.backup")

    async with await run(stage) as bridge:
        before = await stage.carrier.text_in(friend, DID, "came before")
        await alice.next(from_(stage.contact(friend)))
        await alice.next(receipt_for(await alice.send_text(stage.contact(friend), "left before")))
        async with stage.carrier.away():
            await alice.send_text(stage.contact(other), "waited during the backup")
            await bridge.said("part_deferred")
            assert (await command(stage, "backup", backup, *key))[0] == 0
        since = await stage.carrier.text_in(friend, DID, "came since")
        await alice.next(from_(stage.contact(friend)))
        await alice.next(receipt_for(await alice.send_text(stage.contact(friend), "left since")))
        await stage.carrier.ledger.until(lambda: bool(left(stage, other)))
        bridge.signal(signal.SIGKILL)
        await bridge.ended()

    code, said = await command(stage, "restore", backup, *key)
    assert (code, "--force" in said) == (1, True)
    code, said = await command(stage, "restore", backup, "--force", *key)
    assert code == 0, said
    assert "1 parts" in said

    async with await run(stage) as bridge:
        told = await mallory.next(lambda stanza: bool(stanza.body) and "restored" in stanza.body)
        assert "1 part of a text" in told.body
        for push in (before, since):
            stage.carrier.push(push.row)
        await bridge.said("message_taken")
        new = await alice.send_text(stage.contact(third), "new, and must wait")
        await bridge.said("text_accepted")
        await alice.ping(stage.contact(third))
        assert (left(stage, other), left(stage, third)) == (["waited during the backup"], [])
        if fate == "--send":
            code, said = await command(stage, "release", fate)
            assert (code, "--force" in said) == (1, True)
            fate = "--send --force"
        code, said = await command(stage, "release", *fate.split())
        assert code == 0, said
        await alice.send_text(stage.contact(telephone()), "which makes the bridge look at once")
        await alice.next(receipt_for(new))
        if fate == "--discard":
            assert left(stage, other) == ["waited during the backup"]
        else:
            await stage.carrier.ledger.until(lambda: len(left(stage, other)) == 2)
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0

    assert left(stage, friend) == ["left before", "left since"]
    assert left(stage, third) == ["new, and must wait"]
    assert bodies_from(alice, stage.contact(friend)).count("came before") == 1
    shown = [stanza for stanza in alice.received if stanza.body == "came since"]
    assert len({stanza.stanza_id for stanza in shown}) == 1
