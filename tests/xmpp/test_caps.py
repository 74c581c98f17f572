"""The hashes of what an entity can do: the specifications' own examples, and what is asked behind them."""

from xml.etree import ElementTree as ET

from smsbridge.xmpp.caps import Form, Profile, add_caps, fingerprint, nodes, verification
from smsbridge.xmpp.disco import profile_of

# XEP-0115, 5.2
EXODUS = Profile(
    category="client",
    type="pc",
    name="Exodus 0.9.1",
    features=(
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/caps",
    ),
)
# XEP-0390, 5.1
BOMBUS = Profile(
    category="client",
    type="mobile",
    name="BombusMod",
    features=(
        "http://jabber.org/protocol/si",
        "http://jabber.org/protocol/bytestreams",
        "http://jabber.org/protocol/chatstates",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "urn:xmpp:ping",
        "jabber:iq:time",
        "jabber:iq:privacy",
        "jabber:iq:version",
        "http://jabber.org/protocol/rosterx",
        "urn:xmpp:time",
        "jabber:x:oob",
        "http://jabber.org/protocol/ibb",
        "http://jabber.org/protocol/si/profile/file-transfer",
        "urn:xmpp:receipts",
        "jabber:iq:roster",
        "jabber:iq:last",
    ),
)


def test_the_verification_string_is_the_specifications_own() -> None:
    assert verification(EXODUS) == "QgayPKawpkPSDYmwT/WM94uAlu0="


def test_the_newer_hash_is_the_specifications_own() -> None:
    assert fingerprint(BOMBUS) == "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="


def test_a_form_counts_in_whatever_order_it_is_written() -> None:
    fields = (("os", ("Mac",)), ("ip_version", ("ipv4", "ipv6")))
    others = (("ip_version", ("ipv6", "ipv4")), ("os", ("Mac",)))
    one, other, none = (
        Profile(category="client", type="pc", name="Psi", features=(), forms=forms)
        for forms in ((Form(kind="k", fields=fields),), (Form(kind="k", fields=others),), ())
    )
    assert verification(one) == verification(other) != verification(none)
    assert fingerprint(one) == fingerprint(other) != fingerprint(none)


def test_all_numbers_are_alike_and_the_gateway_is_something_else() -> None:
    number, gateway = profile_of("+15559870002"), profile_of("")
    assert number == profile_of("29283")
    assert not set(nodes(number)) & set(nodes(gateway))
    assert nodes(profile_of("", ("mailto:admin@example.com",))) != nodes(gateway)


def test_a_presence_tells_both_hashes_and_where_to_ask() -> None:
    presence = ET.Element("presence")
    add_caps(presence, EXODUS)
    old, new = presence
    assert old.attrib["ver"] == verification(EXODUS)
    assert f"{old.attrib['node']}#{old.attrib['ver']}" == nodes(EXODUS)[0]
    assert f"{new.attrib['xmlns']}#sha-256.{new[0].text}" == nodes(EXODUS)[1]
