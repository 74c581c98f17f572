"""The promises survive `kill -9` of the bridge, its XMPP server and its database; `make kill` does it more often."""

import random

import pytest

from smsbridge.failpoints import FAILPOINTS, Action
from tests.bench.kill import SERVERS, Assignment, assign, run
from tests.bench.killing import points

STORES = {"sqlite": 2, "postgres": 3}  # how many strikes it takes to kill everything once


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_accepted_is_lost_and_nothing_is_sent_twice_when_everything_is_killed(server, store):
    report = await run(Assignment(server=server, store=store, kills=STORES[store], seed=7))
    assert report.broken_promises == []
    assert len(report.kills) == STORES[store]
    assert min(report.online.accepted, report.offline.accepted) > 20
    assert report.outbound.accepted > 1


@pytest.mark.parametrize("store", STORES)
def test_every_failpoint_of_a_store_is_met_in_every_way(store):
    met = {(charge.name, charge.action) for life in points.every(store, random.Random(7)) for charge in life}  # noqa: S311
    other = next(name for name in STORES if name != store)
    assert met == {(name, action) for name in FAILPOINTS if not name.startswith(f"{other}.") for action in Action}


def test_many_kills_are_spread_over_every_house_after_every_failpoint():
    tasks = assign(500, 7, tuple(SERVERS), tuple(STORES))
    assert [task.is_exhaustive for task in tasks] == [True] + [False] * len(SERVERS) * len(STORES)
    assert min(task.kills for task in tasks[1:]) >= 60
