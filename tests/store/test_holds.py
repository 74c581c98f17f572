"""What makes an account or a line wait, and what ends it."""

import pytest

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.message import ProviderName
from smsbridge.core.state import PartEvent as V
from smsbridge.core.state import PartState as P
from smsbridge.store import claims, holds, outbox

DID, OTHER_DID = Did("+15551230001"), Did("+15551230002")
OTHER_PEER = Peer("+15559870003")
VOIPMS, PHONE = ProviderName("voipms"), ProviderName("phone")


async def hold_a_part(house, kind: Hold, **where) -> outbox.StoredMessage:
    message = await house.accept(**where)
    assert await house.move(await house.claim(), V.HOLD, hold=kind) is P.HELD
    return message


async def test_a_hold_is_new_once_and_then_counts_its_probes(house):
    assert await house.hold(Hold.QUOTA) == 0
    began = house.now
    house.clock.move(minutes=1)
    assert await house.hold(Hold.ACCOUNT) == 1
    assert await house.hold(Hold.ACCOUNT) == 2
    (row,) = await house.run(holds.current)
    assert (row.hold, row.since, row.probes, row.did) == (Hold.ACCOUNT, began, 2, "")
    assert row.words == "The carrier does not know us."
    steps = await house.rows("SELECT * FROM history WHERE subject = 'hold' ORDER BY id")
    assert [step["state"] for step in steps] == ["quota", "account", "account"]


async def test_an_account_and_its_lines_are_held_apart(house):
    assert await house.hold(Hold.ACCOUNT) == 0
    assert await house.hold(Hold.LINE, did=DID) == 0
    assert await house.hold(Hold.ACCOUNT, provider=PHONE) == 0
    assert len(await house.run(holds.current)) == 3


async def test_a_part_that_got_through_lifts_the_hold_of_its_account_and_its_line_only(house):
    await house.hold(Hold.ACCOUNT)
    await house.hold(Hold.LINE, did=DID)
    await house.hold(Hold.LINE, did=OTHER_DID)
    await house.hold(Hold.ACCOUNT, provider=PHONE)
    assert set(await house.do(holds.lift, VOIPMS, DID)) == {Hold.ACCOUNT, Hold.LINE}
    left = await house.run(holds.current)
    assert {(row.provider, row.did) for row in left} == {(VOIPMS, OTHER_DID), (PHONE, "")}
    assert await house.do(holds.lift, VOIPMS, DID) == ()


async def test_what_was_held_is_due_at_once_and_the_trail_tells(house):
    message = await hold_a_part(house, Hold.ACCOUNT, did=OTHER_DID)
    await house.hold(Hold.ACCOUNT)
    house.clock.move(minutes=5)
    await house.do(holds.lift, VOIPMS, DID)
    (part,) = await house.rows("SELECT * FROM outbox")
    assert (part["state"], part["hold"]) == ("queued", "")
    steps = await house.rows("SELECT state FROM history WHERE subject_id = $1 ORDER BY id", part["id"])
    assert [step["state"] for step in steps] == ["queued", "sending", "held", "queued"]
    (lifted,) = await house.rows("SELECT * FROM history WHERE state = 'lifted'")
    assert lifted["subject_id"] == "voipms/"
    assert await house.states(message) == [P.QUEUED]


async def test_a_lifted_line_frees_its_own_parts_only(house):
    mine = await hold_a_part(house, Hold.LINE)
    other = await hold_a_part(house, Hold.LINE, did=OTHER_DID)
    await house.hold(Hold.LINE, did=DID)
    await house.hold(Hold.LINE, did=OTHER_DID)
    await house.do(holds.lift, VOIPMS, DID)
    assert await house.states(mine) == [P.QUEUED]
    assert await house.states(other) == [P.HELD]
    assert (await house.claim()).message_id == mine.id
    assert await house.claim() is None


class TestAnOperatorsWord:
    @pytest.mark.parametrize("word", sorted(holds.OPERATORS))
    async def test_nothing_leaves_not_even_as_a_probe(self, house, word):
        await house.accept()
        await house.hold(word, probe_after=1)
        house.clock.move(days=300)
        assert await house.claim() is None
        assert await house.claim(is_probe=True) is None
        assert (await house.run(claims.next_due, house.now, VOIPMS)).year == 9999

    async def test_a_part_that_got_through_does_not_lift_it(self, house):
        message = await hold_a_part(house, Hold.PAUSE)
        await house.hold(Hold.LOCKDOWN)
        await house.hold(Hold.LINE, did=DID)
        assert await house.do(holds.lift, VOIPMS, DID) == (Hold.LINE,)
        assert [row.hold for row in await house.run(holds.current)] == [Hold.LOCKDOWN]
        assert await house.states(message) == [P.HELD]
        assert await house.claim() is None

    async def test_a_fault_does_not_take_its_place_and_it_takes_that_of_a_fault(self, house):
        assert await house.hold(Hold.QUOTA) == 0
        assert await house.hold(Hold.LOCKDOWN) == 1
        assert await house.hold(Hold.QUOTA) == 1
        assert [row.hold for row in await house.run(holds.current)] == [Hold.LOCKDOWN]
        assert await house.hold(Hold.PAUSE) == 2
        assert [row.hold for row in await house.run(holds.current)] == [Hold.PAUSE]
