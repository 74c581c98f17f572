"""The promises survive `kill -9`; `make kill` does it more often."""

from tests.bench.kill import run


async def test_nothing_accepted_is_lost_and_nothing_is_sent_twice_when_the_bridge_is_killed():
    report = await run(kills=3, seed=7)
    assert report.broken_promises == []
    assert report.inbound.accepted > 20
    assert report.outbound.accepted > 3
