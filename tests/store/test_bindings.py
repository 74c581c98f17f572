"""Which line a conversation goes over."""

from smsbridge.core.address import Did, Peer
from smsbridge.store import bindings

ONE, TWO = Did("+15551230001"), Did("+15551230002")
PEER, JOHN, ANN = Peer("+15559870002"), "john@example.com", "ann@example.com"


async def test_the_first_text_decides(house):
    assert await house.run(bindings.bound, JOHN, PEER) is None
    assert await house.run(bindings.bind, house.now, JOHN, PEER, ONE) == ONE
    assert await house.run(bindings.bind, house.now, JOHN, PEER, TWO) == ONE
    assert await house.run(bindings.bound, JOHN, PEER) == ONE


async def test_each_owner_and_peer_has_a_line_of_their_own(house):
    await house.run(bindings.bind, house.now, JOHN, PEER, ONE)
    assert await house.run(bindings.bind, house.now, ANN, PEER, TWO) == TWO
    assert await house.run(bindings.bound, JOHN, Peer("29283")) is None


async def test_a_conversation_whose_line_was_taken_goes_over_another(house):
    await house.run(bindings.bind, house.now, JOHN, PEER, ONE)
    await house.run(bindings.rebind, house.now, JOHN, PEER, TWO)
    assert await house.run(bindings.bound, JOHN, PEER) == TWO
    await house.run(bindings.rebind, house.now, ANN, PEER, TWO)
    assert await house.run(bindings.bound, ANN, PEER) is None


async def test_the_newest_conversations_are_told(house):
    for n, peer in enumerate((PEER, Peer("+15559870003"), Peer("+15559870004"))):
        await house.run(bindings.bind, house.clock.move(minutes=n + 1), JOHN, peer, ONE)
    assert await house.run(bindings.newest, 2) == [
        (JOHN, Peer("+15559870004"), ONE),
        (JOHN, Peer("+15559870003"), ONE),
    ]
