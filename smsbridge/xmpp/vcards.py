"""A number's visiting card and picture, as its owner sees them: vCards of both kinds, avatars, and what presence says.

    vcard-temp (XEP-0054)      <vCard/>                     what Conversations, Dino and Gajim ask for
    vCard4 (XEP-0292)          <vcard/>, or the node urn:xmpp:vcard4
    avatar (XEP-0084)          the nodes …:metadata and …:data, for whoever asks; no event is pushed
    nickname (XEP-0172)        the node http://jabber.org/protocol/nick, likewise
    presence                   nick (XEP-0172) and the picture's SHA-1 (XEP-0153), which tells clients to fetch it

Whoever is no owner of the line gets what can be read off the address itself: it tells nothing about anybody.
"""

import base64
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree as ET

import phonenumbers

from smsbridge.core.address import Address, Peer, PeerKind, kind_of, parse_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.faces import NOBODY, Face, Picture
from smsbridge.core.line import Directory
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.stanzas import NICK, envelope_of

VCARD_TEMP: Final = "vcard-temp"
VCARD_UPDATE: Final = "vcard-temp:x:update"
VCARD4: Final = "urn:ietf:params:xml:ns:vcard-4.0"
VCARD4_NODE: Final = "urn:xmpp:vcard4"
AVATAR_DATA: Final = "urn:xmpp:avatar:data"
AVATAR_METADATA: Final = "urn:xmpp:avatar:metadata"
PUBSUB: Final = "http://jabber.org/protocol/pubsub"
TAGS: Final = (f"{{{VCARD_TEMP}}}vCard", f"{{{VCARD4}}}vcard", f"{{{PUBSUB}}}pubsub")
FEATURES: Final = (VCARD_TEMP, VCARD4)


class VCards:
    """Cards and presence of every address of the domain. `face` is how an owner sees a number."""

    def __init__(
        self,
        *,
        face: Callable[[str, Peer], Face],
        directory: Callable[[], Directory],
        language_of: Callable[[str, str], Language],
        domain: str,
    ) -> None:
        self._face = face
        self._directory = directory
        self._language_of = language_of
        self._domain = domain

    def answer(self, element: ET.Element) -> bytes | None:
        """The answer to an `<iq/>` with one of `TAGS` in it, None if there is to be none. Raises `Refused`."""
        envelope = envelope_of(element)
        if envelope.type not in {"get", "set"}:
            return None
        try:
            owner, localpart = jids.bare(envelope.sender), jids.localpart_of(envelope.addressed)
        except ValueError:
            return None
        if envelope.type == "set":
            raise Refused(Reason.NOT_OWNER, Say.ONLY_READ())
        address = parse_localpart(localpart) if localpart else None
        face = self._seen(owner, address)
        language = self._language_of(owner, envelope.lang)
        name = face.name or (readable(address) if address else worded(Say.GATEWAY(), language))
        reply = wire.stanza(
            "iq", sender=envelope.addressed, to=envelope.sender, stanza_id=envelope.id, stanza_type="result"
        )
        asked = next(child for child in element if child.tag in TAGS)
        if asked.tag == TAGS[0]:
            _add_vcard_temp(reply, address, face, name)
        elif asked.tag == TAGS[1]:
            _add_vcard4(reply, address, face, name)
        else:
            _add_items(reply, asked, address, face, name)
        return wire.serialise(reply, domain=self._domain)

    def dress(self, presence: ET.Element) -> None:
        """Add to a presence of ours what its receiver calls the number, and which picture he sees."""
        kind = presence.get("type", "")
        try:
            owner, localpart = jids.bare(presence.get("to", "")), jids.localpart_of(presence.get("from", ""))
            address = parse_localpart(localpart) if localpart else None
        except (ValueError, Refused):
            return
        if address is None or kind not in {"", "subscribe"}:
            return
        face = self._seen(owner, address)
        if face.name:
            wire.add(presence, "nick", NICK, text=face.name)
        if not kind:
            update = wire.add(presence, "x", VCARD_UPDATE)
            if face.is_whole or face.picture:  # without it nothing is said, and clients keep what they have
                wire.add(update, "photo", text=face.sha1)

    def _seen(self, owner: str, address: Address | None) -> Face:
        """What may be shown to this account."""
        directory = self._directory()
        if address is None or not directory.lines_of(owner):
            return NOBODY
        if address.did is not None and not directory.is_owner(owner, address.did):
            return NOBODY
        faces = [self._face(owner, peer) for peer in address.peers]
        if not address.is_group:
            return faces[0]
        names = (face.name or peer for face, peer in zip(faces, address.peers, strict=True))
        return Face(name=", ".join(names) if any(face.name for face in faces) else "")


def readable(address: Address) -> str:
    """An address as people write it: `+1 555-987-0002`."""
    return ", ".join(map(_readable, address.peers))


def _readable(peer: Peer) -> str:
    if kind_of(peer) is not PeerKind.E164:
        return peer
    try:
        number = phonenumbers.parse(peer)
    except phonenumbers.NumberParseException:  # a country code that nobody has (yet)
        return peer
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _add_vcard_temp(reply: ET.Element, address: Address | None, face: Face, name: str) -> None:
    card = wire.add(reply, "vCard", VCARD_TEMP)
    wire.add(card, "FN", text=name)
    if face.name:
        wire.add(card, "NICKNAME", text=face.name)
    for number in _numbers(address):
        telephone = wire.add(card, "TEL")
        wire.add(telephone, "CELL")
        wire.add(telephone, "NUMBER", text=number)
    if face.picture:
        photo = wire.add(card, "PHOTO")
        wire.add(photo, "TYPE", text=face.picture.kind)
        wire.add(photo, "BINVAL", text=_base64(face.picture))


def _add_vcard4(parent: ET.Element, address: Address | None, face: Face, name: str) -> None:
    card = wire.add(parent, "vcard", VCARD4)
    wire.add(wire.add(card, "fn"), "text", text=name)
    if face.name:
        wire.add(wire.add(card, "nickname"), "text", text=face.name)
    for number in _numbers(address):
        telephone = wire.add(card, "tel")
        wire.add(wire.add(wire.add(telephone, "parameters"), "type"), "text", text="cell")
        wire.add(telephone, "uri", text=f"tel:{number}")
    if face.picture:
        photo = f"data:{face.picture.kind};base64,{_base64(face.picture)}"
        wire.add(wire.add(card, "photo"), "uri", text=photo)


def _add_items(reply: ET.Element, asked: ET.Element, address: Address | None, face: Face, name: str) -> None:
    """What somebody's own server would answer for a node of his (XEP-0163)."""
    wanted = asked.find(f"{{{PUBSUB}}}items")
    node = "" if wanted is None else wanted.get("node", "")
    picture = face.picture
    item_id = "current" if node in {VCARD4_NODE, NICK} else face.sha1
    ids = [] if wanted is None else [item.get("id", "") for item in wanted.findall(f"{{{PUBSUB}}}item")]
    there = {VCARD4_NODE, *([NICK] if face.name else []), *([AVATAR_DATA, AVATAR_METADATA] if picture else [])}
    if node not in there or (ids and item_id not in ids):
        raise Refused(Reason.BAD_ADDRESS, Say.NO_SUCH_ITEM())
    item = wire.add(wire.add(wire.add(reply, "pubsub", PUBSUB), "items", node=node), "item", id=item_id)
    if node == VCARD4_NODE:
        _add_vcard4(item, address, face, name)
    elif node == NICK:
        wire.add(item, "nick", NICK, text=face.name)
    elif picture and node == AVATAR_DATA:
        wire.add(item, "data", AVATAR_DATA, text=_base64(picture))
    elif picture:
        metadata = wire.add(item, "metadata", AVATAR_METADATA)
        wire.add(metadata, "info", id=picture.sha1, type=picture.kind, bytes=str(len(picture.data)))


def _numbers(address: Address | None) -> list[Peer]:
    peers = address.peers if address else ()
    return [peer for peer in peers if kind_of(peer) is not PeerKind.ALPHANUMERIC]


def _base64(picture: Picture) -> str:
    return base64.b64encode(picture.data).decode()
