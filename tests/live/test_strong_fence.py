"""The server dies right after it has answered the fence: on both, an online reader gets every text all the same."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from smsbridge.sim.stage import DID, PEER, Stage, StageConfig
from tests.fakes.waiting import until

TEXTS = 60


@pytest.fixture(params=["prosody", "ejabberd"])
async def stage(request):
    async with Stage(StageConfig(server=request.param)) as built:
        yield built


def handed(stage):
    return stage.service.metrics.registry.get_sample_value(
        "smsbridge_deliveries_total", {"kind": "text", "state": "handed"}
    )


def proved(stage):
    with closing(sqlite3.connect(stage.database)) as store:
        return store.execute("SELECT count(*) FROM delivery WHERE proved_at IS NOT NULL").fetchone()[0]


def open_ends(stage):
    """Texts that are not handed, and those of which neither is true: proved, or handed again."""
    with closing(sqlite3.connect(stage.database)) as store:
        return store.execute(
            "SELECT count(*) FROM delivery WHERE kind = 'text'"
            " AND (state <> 'handed' OR proved_at IS NULL AND attempt < 2)"
        ).fetchone()[0]


async def archived(stage):
    async with await stage.client("alice", "archive") as reader:
        return Counter(stanza.body for stanza in await reader.archive() if stanza.body)


async def test_a_text_to_somebody_online_survives_the_death_of_the_server_after_the_fence(stage):
    await stage.client("alice", "desk")
    bodies = [f"text {n}" for n in range(TEXTS)]
    for n, body in enumerate(bodies):
        await stage.carrier.text_in(f"555987{n:04}", DID, body)
    await until(lambda: (handed(stage) or 0) >= TEXTS)
    await stage.server.kill()
    await stage.server.restart()
    await until(lambda: open_ends(stage) == 0)
    shown = await archived(stage)
    assert [body for body in bodies if not shown[body]] == []


async def test_what_its_client_has_answered_for_is_not_handed_again(stage):
    reader = await stage.client("alice", "desk")
    await reader.send_presence(to=stage.contact())
    await reader.next_presence(lambda presence: presence.sender.startswith(PEER))  # so the bridge has seen it
    await stage.carrier.text_in(PEER.removeprefix("+1"), DID, "only once")
    await reader.next(lambda stanza: stanza.body == "only once")
    await until(lambda: proved(stage) == 1)
    await stage.server.kill()
    await stage.server.restart()
    await until(lambda: stage.service.component.is_up)
    assert (await archived(stage))["only once"] == 1
