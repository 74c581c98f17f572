"""What a client may ask of any gateway or contact, by an `<iq/>` each.

jabber:iq:version   of the gateway alone, and not on what it runs (XEP-0092)
jabber:iq:last      of the gateway: for how long it is up; of a number: since when there was no text, to who owns
                    the line only (XEP-0012)
jabber:iq:gateway   which JID a number has that a person typed (XEP-0100, 6.3): the same for everybody
"""

from datetime import datetime
from typing import Final, Protocol
from xml.etree import ElementTree as ET

from smsbridge import __version__
from smsbridge.core.address import Address, PeerKind, kind_of, number_in, parse_localpart, to_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.stanzas import envelope_of

VERSION: Final = "jabber:iq:version"
LAST: Final = "jabber:iq:last"
GATEWAY: Final = "jabber:iq:gateway"
TAGS: Final = tuple(f"{{{namespace}}}query" for namespace in (VERSION, LAST, GATEWAY))

MOST_TYPED: Final = 64
DIALLED_IN: Final = "US"  # and in Canada alike: 011 is abroad


class Memory(Protocol):
    """What the bridge knows. Raises `Refused` (of a number that is not his) or `StoreUnavailable`."""

    def started_at(self) -> datetime: ...

    def now(self) -> datetime: ...

    async def last_text(self, owner: str, localpart: str) -> datetime | None: ...


def is_asked(element: ET.Element, domain: str) -> bool:
    """Whether this is a question that is answered here; all others are unknown."""
    kind, addressed = element.get("type"), element.get("to", "")
    if kind not in {"get", "set"} or not _is_between_us(element, domain):
        return False
    asked = {child.tag for child in element}
    if f"{{{LAST}}}query" in asked:
        return kind == "get"
    is_gateway = jids.bare(addressed) == domain
    return is_gateway and ((f"{{{VERSION}}}query" in asked and kind == "get") or f"{{{GATEWAY}}}query" in asked)


async def answer(element: ET.Element, memory: Memory, *, domain: str, language: Language = Language.ENGLISH) -> bytes:
    """The answer to a question of ours. Raises `Refused` or `StoreUnavailable`."""
    envelope = envelope_of(element)
    reply = wire.stanza(
        "iq", sender=envelope.addressed, to=envelope.sender, stanza_id=envelope.id, stanza_type="result"
    )
    (tag,) = [child.tag for child in element if child.tag in TAGS][:1]
    query = wire.add(reply, "query", tag[1:].partition("}")[0])
    match tag[1:].partition("}")[0]:
        case "jabber:iq:version":
            wire.add(query, "name", text="smsbridge")
            wire.add(query, "version", text=__version__)
        case "jabber:iq:last":
            owner, localpart = jids.bare(envelope.sender), jids.localpart_of(envelope.addressed)
            since = await memory.last_text(owner, localpart) if localpart else memory.started_at()
            if since is None:
                raise Refused(Reason.BAD_ADDRESS, Say.NO_TEXT_YET())
            query.set("seconds", str(max(0, int((memory.now() - since).total_seconds()))))
        case _ if envelope.type == "get":
            wire.add(query, "desc", text=worded(Say.TYPE_A_NUMBER(), language))
            wire.add(query, "prompt", text=worded(Say.PHONE_NUMBER(), language))
        case _:
            typed = element.findtext(f"{tag}/{{{GATEWAY}}}prompt") or ""
            wire.add(query, "jid", text=f"{_number_of(typed)}@{domain}")
    return wire.serialise(reply, domain=domain)


def _number_of(typed: str) -> str:
    """The localpart of a number that a person typed."""
    text = typed.strip().removeprefix("tel:").removeprefix("sms:")[:MOST_TYPED]
    try:
        address = parse_localpart(text)
    except Refused as refused:
        instead = refused.instead or number_in(text, DIALLED_IN)
        if not instead:
            raise Refused(Reason.BAD_ADDRESS, Say.NO_PHONE_NUMBER()) from None
        address = parse_localpart(instead)
    if address.is_group or kind_of(address.peers[0]) is PeerKind.ALPHANUMERIC:
        raise Refused(Reason.BAD_ADDRESS, Say.NO_PHONE_NUMBER())
    return to_localpart(Address(peers=address.peers, did=address.did))


def _is_between_us(element: ET.Element, domain: str) -> bool:
    try:
        asker, addressed = jids.bare(element.get("from", "")), jids.bare(element.get("to", ""))
    except ValueError:
        return False
    return addressed.rpartition("@")[2] == domain and asker.rpartition("@")[2] != domain
