"""Which clients of the owners are there: what their stanzas tell, and whether one answers."""

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.xmpp.asking import Asking, condition_of
from smsbridge.xmpp.proving import Reply

PING_SECONDS: Final = 30.0
PING: Final = '<ping xmlns="urn:xmpp:ping"/>'  # XEP-0199

# A server answers so in the place of a client that is gone, and so does a client that knows no pings.
_IN_ITS_PLACE: Final = frozenset(
    {"service-unavailable", "recipient-unavailable", "item-not-found", "remote-server-not-found", "gone"}
)
_TALKING: Final = frozenset({"", "chat", "normal"})


@dataclass(frozen=True, slots=True)
class Sight:
    """A client, by its full JID, that is there or has left. `contact`: the number that may see its presence."""

    client: str
    is_there: bool
    contact: str = ""


def sight_of(element: ET.Element) -> Sight | None:
    """What a stanza tells about the client that sent it; None for what a server may have sent in its name."""
    name, sender, kind = element.tag.rpartition("}")[2], element.get("from", ""), element.get("type", "")
    if "/" not in sender or "@" not in sender.partition("/")[0]:
        return None
    if name == "presence" and kind in {"", "unavailable"}:
        contact = element.get("to", "")
        return Sight(sender, not kind, contact if "@" in contact and not kind else "")
    if name == "message" and kind in _TALKING:
        return Sight(sender, is_there=True)
    return None


async def ping_client(asking: Asking, sender: str, client: str, *, domain: str) -> Reply:
    """Ping from the number that the client knows; `sender` may be a localpart, or "" for ourselves."""
    if "@" not in sender and sender:
        sender = f"{sender}@{domain}"
    answer = await asking.ask(client, PING, PING_SECONDS, sender=sender or domain)
    if answer is None:
        return Reply.SILENT
    return Reply.GONE if condition_of(answer) in _IN_ITS_PLACE else Reply.ANSWERED
