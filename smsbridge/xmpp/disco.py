"""What the gateway and its numbers say about themselves: XEP-0030, 0092, 0199, 0202.

Every well-formed number of the domain answers alike, to everybody: it tells nothing about who owns what. Only what
really works is listed. slixmpp takes coroutine functions here, nothing that merely returns a coroutine.
"""

from typing import Any, Final

import phonenumbers
from slixmpp import JID, ComponentXMPP
from slixmpp.exceptions import XMPPError
from slixmpp.plugins.xep_0030 import DiscoInfo, DiscoItems

from smsbridge import __version__
from smsbridge.clock import Clock
from smsbridge.core.address import Address, Peer, PeerKind, kind_of, parse_localpart
from smsbridge.core.errors import Refused
from smsbridge.xmpp.compat import answer_entity_time, refuse_settings

GATEWAY_FEATURES: Final = (
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "jabber:iq:version",
    "urn:xmpp:ping",
    "urn:xmpp:time",
)
NUMBER_FEATURES: Final = (*GATEWAY_FEATURES, "jabber:x:oob", "urn:xmpp:receipts")


def install(stream: ComponentXMPP, clock: Clock) -> None:
    """Answer disco, version, ping and time for the gateway and every number, from now on."""
    stream.register_plugin("xep_0030")
    stream.register_plugin("xep_0092", {"software_name": "smsbridge", "version": __version__})
    stream.register_plugin("xep_0199")
    api = stream.plugin["xep_0030"].api
    api.register(_get_info, "get_info")
    api.register(_get_items, "get_items")
    answer_entity_time(stream, clock.now)
    refuse_settings(stream)


def describe(localpart: str) -> DiscoInfo:
    """The identity and the features of a localpart ("" is the gateway); raises `Refused` where there is no address."""
    info = DiscoInfo()
    if localpart:
        info.add_identity("client", "phone", name=readable(parse_localpart(localpart)))
    else:
        info.add_identity("gateway", "sms", name="SMS gateway")
    for feature in NUMBER_FEATURES if localpart else GATEWAY_FEATURES:
        info.add_feature(feature)
    return info


def readable(address: Address) -> str:
    """An address as people write it: `+1 555-987-0002`."""
    return ", ".join(_readable(peer) for peer in address.peers)


def _readable(peer: Peer) -> str:
    if kind_of(peer) is not PeerKind.E164:
        return peer
    try:
        number = phonenumbers.parse(peer)
    except phonenumbers.NumberParseException:  # a country code that nobody has (yet)
        return peer
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


async def _get_info(jid: JID | None, node: str | None, _asker: JID | None, _request: Any) -> DiscoInfo:
    if node:
        raise XMPPError("item-not-found")
    try:
        return describe(str(jid.local) if jid else "")
    except Refused:
        raise XMPPError("item-not-found") from None


async def _get_items(_jid: JID | None, node: str | None, _asker: JID | None, _request: Any) -> DiscoItems:
    if node:
        raise XMPPError("item-not-found")
    return DiscoItems()
