"""The promises survive `kill -9` of the bridge, its XMPP server and its database; `make kill` does it more often."""

import pytest

from tests.bench.kill import run
from tests.fakes.contrib import SERVERS

STORES = {"sqlite": 2, "postgres": 3}  # how many strikes it takes to kill everything once


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_accepted_is_lost_and_nothing_is_sent_twice_when_everything_is_killed(server, store):
    report = await run(kills=STORES[store], seed=7, server=server, store=store)
    assert report.broken_promises == []
    assert len(report.kills) == STORES[store]
    assert min(report.online.accepted, report.offline.accepted) > 20
    assert report.outbound.accepted > 1
