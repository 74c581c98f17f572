"""The description of the project for XMPP's software lists."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from smsbridge.xmpp import (
    caps,
    commands,
    disco,
    fallbacks,
    manners,
    privileges,
    rosters,
    sharing,
    stanzas,
    upload,
    vcards,
)

ROOT = Path(__file__).parents[1]
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XMPP = "{https://linkmauve.fr/ns/xmpp-doap#}"

# what our namespaces belong to; a new one is to be described, or named here
XEPS = {
    commands.DATA: "0004",
    "http://jabber.org/protocol/disco#info": "0030",
    "http://jabber.org/protocol/disco#items": "0030",
    manners.LAST: "0012",
    commands.COMMANDS: "0050",
    manners.VERSION: "0092",
    manners.GATEWAY: "0100",
    caps.CAPS: "0115",
    disco.SERVER_INFO: "0157",
    caps.CAPS_2: "0390",
    "urn:xmpp:ping": "0199",
    "urn:xmpp:time": "0202",
    sharing.OOB: "0066",
    stanzas.NICK: "0172",
    stanzas.RECEIPTS: "0184",
    stanzas.DELAY: "0203",
    stanzas.CHAT_MARKERS: "0333",
    stanzas.HINTS: "0334",
    privileges.PRIVILEGE: "0356",
    stanzas.STANZA_IDS: "0359",
    fallbacks.FALLBACK: "0428",
    fallbacks.REACTIONS: "0444",
    vcards.VCARD_TEMP: "0054",
    vcards.PUBSUB: "0060",
    vcards.AVATAR_DATA: "0084",
    vcards.AVATAR_METADATA: "0084",
    rosters.EXCHANGE: "0144",
    vcards.VCARD_UPDATE: "0153",
    vcards.VCARD4: "0292",
    vcards.VCARD4_NODE: "0292",
    upload.UPLOAD: "0363",
    sharing.METADATA: "0446",
    sharing.SHARING: "0447",
    fallbacks.REPLY: "0461",
}
# what has no namespace of its own
NAMELESS = {"0082", "0106", "0114", "0128", "0191"}


def described() -> list[str]:
    root = ET.parse(ROOT / "doap.xml").getroot()  # noqa: S314  # our own file
    assert root.tag == f"{RDF}RDF"
    addresses = [xep.get(f"{RDF}resource") for xep in root.iter(f"{XMPP}xep")]
    return [re.fullmatch(r"https://xmpp\.org/extensions/xep-(\d{4})\.html", address)[1] for address in addresses]


def test_the_extensions_are_named_once_and_in_order():
    assert described() == sorted(set(described()))


def test_every_feature_that_is_advertised_is_described():
    assert {XEPS[feature] for feature in {*disco.NUMBER_FEATURES, *disco.GATEWAY_FEATURES}} <= set(described())


def test_what_is_described_is_in_use_and_what_is_in_use_is_described():
    assert set(described()) == {*XEPS.values(), *NAMELESS}


def test_each_is_described_with_the_version_that_it_is_of():
    root = ET.parse(ROOT / "doap.xml").getroot()  # noqa: S314  # our own file
    for xep in root.iter(f"{XMPP}SupportedXep"):
        assert re.fullmatch(r"[0-9]+(\.[0-9]+){1,2}", xep.findtext(f"{XMPP}version") or ""), ET.tostring(xep)
