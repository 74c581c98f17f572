"""When there was a text last: for who owns the line it went over, and for nobody else."""

from datetime import timedelta

import pytest

from smsbridge.bridge.lately import Lately
from smsbridge.core.errors import Reason, Refused

from .house import ANN, FRIEND, JOHN, OWN, PEER, SHARED, inbound


@pytest.fixture
def lately(house):
    return Lately(house.desk)


async def test_of_a_number_that_nobody_texted_there_is_none(lately):
    assert await lately.last_text(JOHN, PEER) is None


async def test_what_came_in_and_what_was_written_both_count(lately, house, ticks):
    first = ticks.now
    await house.take(inbound(sent_at=first))
    assert await lately.last_text(JOHN, PEER) == first
    ticks.advance(timedelta(hours=1))
    await house.accept("hello")
    assert await lately.last_text(JOHN, PEER) == ticks.now
    later = ticks.now + timedelta(minutes=1)
    await house.take(inbound("again", pid="2", sent_at=later))
    assert await lately.last_text(JOHN, PEER) == later
    assert await lately.last_text(JOHN, FRIEND) is None


async def test_each_line_has_its_own_conversations(lately, house, ticks):
    await house.take(inbound(did=SHARED, sent_at=ticks.now))
    assert await lately.last_text(ANN, PEER) == ticks.now
    assert await lately.last_text(JOHN, PEER) == ticks.now  # bound to it
    assert await lately.last_text(JOHN, f"{PEER}%{OWN}") is None


@pytest.mark.parametrize(("owner", "localpart"), [("eve@example.com", PEER), (ANN, f"{PEER}%{OWN}")])
async def test_nobody_else_learns_anything(lately, house, ticks, owner, localpart):
    await house.take(inbound(sent_at=ticks.now))
    with pytest.raises(Refused) as refused:
        await lately.last_text(owner, localpart)
    assert refused.value.reason is Reason.NOT_OWNER
