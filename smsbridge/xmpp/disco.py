"""What the gateway and its numbers say about themselves: XEP-0030, 0199, 0202, and which commands there are.

Every well-formed number of the domain answers alike, to everybody: it tells nothing about who owns what, and what a
client has learnt of one by its hash (`caps`) is true of all. Only what really works is listed. slixmpp takes coroutine
functions here, nothing that merely returns a coroutine.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from slixmpp import JID, ComponentXMPP
from slixmpp.exceptions import XMPPError
from slixmpp.plugins.xep_0030 import DiscoInfo, DiscoItems

from smsbridge.bridge.commands import Command
from smsbridge.clock import Clock
from smsbridge.core.address import parse_localpart
from smsbridge.core.errors import Refused
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import caps, jids, manners
from smsbridge.xmpp.caps import Form, Profile, ProfileOf
from smsbridge.xmpp.commands import COMMANDS, DATA
from smsbridge.xmpp.compat import answer_entity_time, refuse_settings
from smsbridge.xmpp.vcards import FEATURES as VCARD_FEATURES

_FEATURES: Final = (
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    caps.CAPS,
    caps.CAPS_2,
    manners.LAST,
    "urn:xmpp:ping",
    "urn:xmpp:time",
    *VCARD_FEATURES,
)
SERVER_INFO: Final = "http://jabber.org/network/serverinfo"  # XEP-0157
GATEWAY_FEATURES: Final = (*_FEATURES, manners.VERSION, manners.GATEWAY, COMMANDS)
NUMBER_FEATURES: Final = (*_FEATURES, "jabber:x:oob", "urn:xmpp:receipts")


def install(
    stream: ComponentXMPP,
    clock: Clock,
    offered: Callable[[str], Sequence[Command]],
    language_of: Callable[[str, str], Language],
    profile: ProfileOf,
) -> None:
    """Answer disco, ping and time for the gateway and every number, from now on.

    `offered` are the commands that a bare JID may use: nobody else sees them. `language_of` is theirs.
    """
    stream.register_plugin("xep_0030")
    stream.register_plugin("xep_0199")
    api = stream.plugin["xep_0030"].api

    async def get_info(jid: JID | None, node: str | None, asker: JID | None, _request: Any) -> DiscoInfo:
        caller = _bare(asker)
        localpart, language = str(jid.local) if jid else "", language_of(caller, "")
        try:
            its_profile = profile(localpart if not localpart or parse_localpart(localpart) else "", caller)
        except Refused:
            raise XMPPError("item-not-found") from None
        if not node or node in caps.nodes(its_profile):
            return describe(its_profile, node or "")
        return _command_info(localpart, node, offered(caller), language)

    async def get_items(jid: JID | None, node: str | None, asker: JID | None, _request: Any) -> DiscoItems:
        caller = _bare(asker)
        return _items(jid, node or "", offered(caller), language_of(caller, ""))

    api.register(get_info, "get_info")
    api.register(get_items, "get_items")
    answer_entity_time(stream, clock.now)
    refuse_settings(stream)


def profile_of(localpart: str, contact: Sequence[str] = (), language: Language = Language.ENGLISH) -> Profile:
    """The identity and the features of a number, whichever it is, or of the gateway (""), which names its `contact`."""
    if localpart:
        return Profile(category="client", type="phone", name="SMS", features=NUMBER_FEATURES)
    forms = (Form(kind=SERVER_INFO, fields=(("admin-addresses", tuple(contact)),)),) if contact else ()
    return Profile(
        category="gateway", type="sms", name=worded(Say.GATEWAY(), language), features=GATEWAY_FEATURES, forms=forms
    )


def describe(profile: Profile, node: str = "") -> DiscoInfo:
    """The answer that says it."""
    info = DiscoInfo()
    if node:
        info["node"] = node
    info.add_identity(profile.category, profile.type, name=profile.name)
    for feature in profile.features:
        info.add_feature(feature)
    for form in profile.forms:
        element = ET.SubElement(info.xml, f"{{{DATA}}}x", {"type": "result"})
        for name, values in (("FORM_TYPE", (form.kind,)), *form.fields):
            kind = {"type": "hidden"} if name == "FORM_TYPE" else {"type": "list-multi"}
            field = ET.SubElement(element, f"{{{DATA}}}field", {"var": name, **kind})
            for value in values:
                ET.SubElement(field, f"{{{DATA}}}value").text = value
    return info


def _bare(asker: JID | None) -> str:
    return jids.bare(str(asker)) if asker else ""


def _command_info(localpart: str, node: str, offered: Sequence[Command], language: Language) -> DiscoInfo:
    names = {command.name: worded(command.usage, language) for command in offered}
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
