"""The part that the tests of VoIP.ms send."""

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import Kind, MessageId, Part, PartId, ProviderName


def part(text: str) -> Part:
    """An SMS at its first attempt."""
    return Part(
        id=PartId("part"),
        message_id=MessageId("message"),
        provider=ProviderName("voipms"),
        did=Did("+15551230001"),
        peer=Peer("+15559870002"),
        kind=Kind.SMS,
        n=1,
        of=1,
        text=text,
        attempt=1,
    )
