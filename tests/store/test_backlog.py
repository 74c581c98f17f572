"""How much waits, and since when."""

from datetime import timedelta

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.message import DeliveryKind
from smsbridge.core.state import PartEvent as V
from smsbridge.store import deliveries
from smsbridge.store.backlog import Backlog, backlog
from smsbridge.store.deliveries import Draft

OTHER_DID = Did("+15551230002")


async def look(house) -> Backlog:
    return await house.run(backlog)


async def test_an_empty_store_has_nothing_to_do(house):
    assert await look(house) == Backlog(states={}, oldest_delivery=None, oldest_part=None)


async def test_what_is_not_finished_is_counted_by_its_state(house):
    for number in range(3):
        await house.accept("1", "2", peer=Peer(f"+1555987010{number}"))
    await house.move(await house.claim(), V.ACCEPT)
    await house.move(await house.claim(), V.LOSE_TRACK)
    await house.move(await house.claim(), V.HOLD, hold=Hold.QUOTA)
    await house.claim()
    began = house.now
    draft = Draft(domain="d", kind=DeliveryKind.TEXT, to_jid="j@example.com", sender="", stanza_id="s")
    first = await house.do(deliveries.add, draft)
    house.clock.move(minutes=1)
    await house.do(deliveries.add, draft)
    await house.do(deliveries.fix, [(first, b"<message/>")])
    found = await look(house)
    assert found.states == {
        ("outbox", "queued"): 2,
        ("outbox", "held"): 1,
        ("outbox", "sending"): 1,
        ("outbox", "unknown"): 1,
        ("delivery", "waiting"): 1,
        ("delivery", "handing"): 1,
    }
    assert found.oldest_delivery == began
    await house.do(deliveries.hand, [first])
    assert (await look(house)).oldest_delivery == house.now


async def test_a_part_that_is_not_due_or_on_hold_does_not_wait_for_us(house):
    began = house.now
    await house.accept()
    house.clock.move(minutes=1)
    await house.accept(did=OTHER_DID)
    assert (await look(house)).oldest_part == began
    await house.hold(Hold.LINE, did=Did("+15551230001"))
    assert (await look(house)).oldest_part == house.now
    await house.hold(Hold.QUOTA)
    assert (await look(house)).oldest_part is None


async def test_a_part_that_is_put_off_again_and_again_is_as_late_as_its_first_day(house):
    began = house.now
    await house.accept()
    for _ in range(3):
        await house.move(await house.claim(), V.DEFER, due_at=house.now + timedelta(minutes=5))
        house.clock.move(minutes=5)
    assert (await look(house)).oldest_part == began
