"""The description of the project for XMPP's software lists."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from smsbridge.xmpp import commands, disco, privileges, sharing, stanzas, upload

ROOT = Path(__file__).parents[1]
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XMPP = "{https://linkmauve.fr/ns/xmpp-doap#}"

# what our namespaces belong to; a new one is to be described, or named here
XEPS = {
    commands.DATA: "0004",
    "http://jabber.org/protocol/disco#info": "0030",
    "http://jabber.org/protocol/disco#items": "0030",
    commands.COMMANDS: "0050",
    "jabber:iq:version": "0092",
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
    stanzas.FALLBACK: "0428",
    stanzas.REACTIONS: "0444",
    upload.UPLOAD: "0363",
    sharing.METADATA: "0446",
    sharing.SHARING: "0447",
    stanzas.REPLY: "0461",
}


def described() -> list[str]:
    root = ET.parse(ROOT / "doap.xml").getroot()  # noqa: S314  # our own file
    assert root.tag == f"{RDF}RDF"
    addresses = [xep.get(f"{RDF}resource") for xep in root.iter(f"{XMPP}xep")]
    return [re.fullmatch(r"https://xmpp\.org/extensions/xep-(\d{4})\.html", address)[1] for address in addresses]


def test_the_extensions_are_named_once_and_in_order():
    assert described() == sorted(set(described()))


def test_every_feature_that_is_advertised_is_described():
    assert {XEPS[feature] for feature in {*disco.NUMBER_FEATURES, *disco.GATEWAY_FEATURES}} <= set(described())


def test_every_namespace_in_use_is_described():
    assert set(XEPS.values()) <= set(described())
