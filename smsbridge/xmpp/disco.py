"""What the gateway and its numbers say about themselves: XEP-0030, 0092, 0199, 0202, and which commands there are.

Every well-formed number of the domain answers alike, to everybody: it tells nothing about who owns what. Only what
really works is listed. slixmpp takes coroutine functions here, nothing that merely returns a coroutine.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import phonenumbers
from slixmpp import JID, ComponentXMPP
from slixmpp.exceptions import XMPPError
from slixmpp.plugins.xep_0030 import DiscoInfo, DiscoItems

from smsbridge import __version__
from smsbridge.bridge.commands import Command
from smsbridge.clock import Clock
from smsbridge.core.address import Address, Peer, PeerKind, kind_of, parse_localpart
from smsbridge.core.errors import Refused
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import jids
from smsbridge.xmpp.commands import COMMANDS, DATA
from smsbridge.xmpp.compat import answer_entity_time, refuse_settings

_FEATURES: Final = (
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "jabber:iq:version",
    "urn:xmpp:ping",
    "urn:xmpp:time",
)
GATEWAY_FEATURES: Final = (*_FEATURES, COMMANDS)
NUMBER_FEATURES: Final = (*_FEATURES, "jabber:x:oob", "urn:xmpp:receipts")


def install(
    stream: ComponentXMPP,
    clock: Clock,
    offered: Callable[[str], Sequence[Command]],
    language_of: Callable[[str, str], Language],
) -> None:
    """Answer disco, version, ping and time for the gateway and every number, from now on.

    `offered` are the commands that a bare JID may use: nobody else sees them. `language_of` is theirs.
    """
    stream.register_plugin("xep_0030")
    stream.register_plugin("xep_0092", {"software_name": "smsbridge", "version": __version__})
    stream.register_plugin("xep_0199")
    api = stream.plugin["xep_0030"].api

    async def get_info(jid: JID | None, node: str | None, asker: JID | None, _request: Any) -> DiscoInfo:
        caller = _bare(asker)
        return _info(str(jid.local) if jid else "", node or "", offered(caller), language_of(caller, ""))

    async def get_items(jid: JID | None, node: str | None, asker: JID | None, _request: Any) -> DiscoItems:
        caller = _bare(asker)
        return _items(jid, node or "", offered(caller), language_of(caller, ""))

    api.register(get_info, "get_info")
    api.register(get_items, "get_items")
    answer_entity_time(stream, clock.now)
    refuse_settings(stream)


def describe(localpart: str, language: Language = Language.ENGLISH) -> DiscoInfo:
    """The identity and the features of a localpart ("" is the gateway); raises `Refused` where there is no address."""
    info = DiscoInfo()
    if localpart:
        info.add_identity("client", "phone", name=readable(parse_localpart(localpart)))
    else:
        info.add_identity("gateway", "sms", name=worded(Say.GATEWAY(), language))
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


def _bare(asker: JID | None) -> str:
    return jids.bare(str(asker)) if asker else ""


def _info(localpart: str, node: str, offered: Sequence[Command], language: Language) -> DiscoInfo:
    if not node:
        try:
            return describe(localpart, language)
        except Refused:
            raise XMPPError("item-not-found") from None
    names = {command.name: command.usage for command in offered}
    if localpart or not names or node not in {COMMANDS, *names}:
        raise XMPPError("item-not-found")
    info = DiscoInfo()
    info["node"] = node
    if node == COMMANDS:
        info.add_identity("automation", "command-list", name=worded(Say.COMMANDS(), language))
    else:
        info.add_identity("automation", "command-node", name=names[node])
        info.add_feature(COMMANDS)
        info.add_feature(DATA)
    return info


def _items(jid: JID | None, node: str, offered: Sequence[Command], language: Language) -> DiscoItems:
    items = DiscoItems()
    if node == COMMANDS and jid and not jid.local:
        items["node"] = node
        for command in offered:
            name = worded(Say.COMMAND(usage=command.usage, does=command.does), language)
            items.add_item(JID(jid.bare), node=command.name, name=name)
    elif node:
        raise XMPPError("item-not-found")
    return items
