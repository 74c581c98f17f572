"""Numbers and the JIDs that stand for them.

A `Did` is E.164 with `+`. A `Peer` is E.164, a shortcode (3 to 8 digits, never put through E.164) or an
alphanumeric sender (lower case, JID-safe; its original spelling travels as a label). JID-safe is what nodeprep
(RFC 3920, appendix A) leaves as it is, whatever stands around it: Unicode 3.2, and no right-to-left letters, which
may share a localpart with neither a `%+1did` nor the letters of an escape. The localpart forms:

    +15559870002                      the peer, over the line this conversation is bound to
    +15559870002%+15551230001         the peer, over that line
    29283  29283;phone-context=…      a shortcode
    amazon\\20pay                      an alphanumeric sender, escaped after XEP-0106
    +15550000001,+15550000002         a group, sorted; %+1did after it names the line

`to_localpart` and `parse_localpart` are inverse to each other for every address that the parser accepts.
"""

import hashlib
import re
import stringprep
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NewType

import phonenumbers

from smsbridge.core.errors import Reason, Refused

Did = NewType("Did", str)
Peer = NewType("Peer", str)

E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most 15 digits
SHORTCODE = re.compile(r"[0-9]{3,8}")
NANP = re.compile(r"(?:\+?1)?([2-9][0-9]{9})")  # ten digits, the country code is optional
MAX_ALPHANUMERIC = 64
CACHED = 4096  # numbers: a carrier names the same few again and again
ANONYMOUS = Peer("anonymous")

_ESCAPES = {" ": "20", '"': "22", "&": "26", "'": "27", "/": "2f", ":": "3a", "<": "3c", ">": "3e", "@": "40"}
_UNESCAPES = {code: char for char, code in _ESCAPES.items()} | {"5c": "\\"}
_AMBIGUOUS = re.compile(r"\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(20|22|26|27|2f|3a|3c|3e|40|5c)", re.IGNORECASE)
_RESERVED = frozenset("%,;\\+")  # they have a meaning of their own in our localparts
_PUNCTUATION = re.compile(r"[ ().-]")
_AT_HOME = "(0)"
_DIALLED = frozenset("+0123456789 ().-")
_PHONE_CONTEXT = re.compile(r";phone-context=[a-z0-9.+-]+$", re.IGNORECASE)  # RFC 3966, 5.1.5; as Cheogram writes it


class PeerKind(StrEnum):
    """What sort of party a peer is; only the first two can ever be answered."""

    E164 = "e164"
    SHORTCODE = "shortcode"
    ALPHANUMERIC = "alphanumeric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a localpart names: one peer (or a group, sorted), perhaps over a named line."""

    peers: tuple[Peer, ...]
    did: Did | None = None

    @property
    def is_group(self) -> bool:
        return len(self.peers) > 1


@lru_cache(CACHED)
def kind_of(peer: Peer) -> PeerKind:
    """Tell the sort of a peer by its spelling."""
    if E164.fullmatch(peer):
        return PeerKind.E164
    return PeerKind.SHORTCODE if SHORTCODE.fullmatch(peer) else PeerKind.ALPHANUMERIC


def parse_did(text: str) -> Did:
    """`+15551230001` as it must stand in the configuration; raises ValueError for any other spelling."""
    if not E164.fullmatch(text) or _e164_of(text) is None:
        raise ValueError("not a number in E.164 form (+ and digits, such as +15551230001)")
    return Did(text)


@lru_cache(CACHED)
def normalise_did(raw: str) -> Did:
    """A DID as a carrier writes it (10 digits, 1…, +1…); raises ValueError."""
    return parse_did(_e164_of(raw.strip()) or raw.strip())


@lru_cache(CACHED)
def normalise_peer(raw: str) -> Peer:
    """The other party as a carrier writes it; total: whatever it is, it becomes a peer.

    10 digits and 1… become +1…, 3 to 8 digits stay a shortcode, `+…` stays, all else is an alphanumeric sender.
    """
    text = unicodedata.normalize("NFKC", raw).strip()
    if SHORTCODE.fullmatch(text):
        return Peer(text)
    if number := _e164_of(text):
        return Peer(number)
    return _alphanumeric(text)


@lru_cache(CACHED)
def number_in(written: str, region: str) -> Peer | None:
    """The number that a person has written down in this country (ISO 3166): E.164 or a shortcode, else None.

    What has an extension is None, since no text arrives there; so is what is dialled within a town alone.
    """
    text = unicodedata.normalize("NFKC", written).strip()[:MAX_ALPHANUMERIC]
    if SHORTCODE.fullmatch(text):
        return Peer(text)
    is_north_american = phonenumbers.country_code_for_region(region) == 1
    if (is_north_american or text.startswith("+")) and (number := _e164_of(text)):
        return Peer(number)
    try:
        found = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(found)
    if found.extension or possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    number = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    return Peer(number) if E164.fullmatch(number) else None


def region_of(did: Did) -> str:
    """The country that a number of ours is of; US where nobody knows."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(did)) or "US"
    except phonenumbers.NumberParseException:
        return "US"


def parse_localpart(localpart: str) -> Address:
    """A localpart into an address.

    Raises `Refused(BAD_ADDRESS)`, or `Refused(MOVED_ADDRESS, instead=…)` when a number is typed carelessly
    and the right localpart is known.
    """
    peers_text, percent, did_text = localpart.partition("%")
    spelled = peers_text.split(",")
    peers = [_peer_of(spelling, in_group=len(spelled) > 1) for spelling in spelled]
    careless = any(
        peer != spelling for peer, spelling in zip(peers, spelled, strict=True) if kind_of(peer) is PeerKind.E164
    )
    did = None
    if percent:
        did_number = _e164_of(did_text)
        if did_number is None:
            raise Refused(Reason.BAD_ADDRESS)
        did = Did(did_number)
        careless = careless or did_number != did_text
    address = Address(peers=tuple(sorted(set(peers))), did=did)
    if careless:
        raise Refused(Reason.MOVED_ADDRESS, instead=to_localpart(address))
    return address


def to_localpart(address: Address) -> str:
    """The one right localpart of an address, escaped after XEP-0106 where a sender needs it."""
    peers = ",".join(
        peer if kind_of(peer) is not PeerKind.ALPHANUMERIC else escape_node(peer) for peer in sorted(address.peers)
    )
    return f"{peers}%{address.did}" if address.did else peers


def escape_node(text: str) -> str:
    """XEP-0106, 4: escape what a localpart may not hold; a backslash only in front of one of the ten codes."""
    text = _AMBIGUOUS.sub(r"\\5c", text.strip(" "))
    return "".join("\\" + _ESCAPES[char] if char in _ESCAPES else char for char in text)


def unescape_node(text: str) -> str:
    """The inverse of `escape_node`."""
    return _ESCAPED.sub(lambda found: _UNESCAPES[found.group(1).lower()], text)


def at_domain(jid: str, domain: str) -> str:
    """The same localpart, and resource, at another domain."""
    bare, slash, resource = jid.partition("/")
    localpart, at, _ = bare.rpartition("@")
    return f"{localpart}{at}{domain}{slash}{resource}"


def mask(number: str) -> str:
    """A number for logs and alerts: its last two digits are all that is left."""
    return f"…{number[-2:]}" if len(number) > 4 else "…"


def _peer_of(spelling: str, *, in_group: bool) -> Peer:
    shortcode = _PHONE_CONTEXT.sub("", spelling)
    if SHORTCODE.fullmatch(shortcode) and not in_group:
        return Peer(shortcode)
    name = unescape_node(spelling)
    if number := _e164_of(name):
        return Peer(number)
    peer = _alphanumeric(name)
    if in_group or escape_node(peer) != spelling:
        raise Refused(Reason.BAD_ADDRESS)
    return peer


def _e164_of(text: str) -> str | None:
    """E.164 for `+…` and for a number typed the North American way, however it is punctuated; else None."""
    if not _DIALLED.issuperset(text):
        return None
    if _AT_HOME in text and text.startswith("+"):
        text = _abroad(text)
    compact = _PUNCTUATION.sub("", text)
    if found := NANP.fullmatch(compact):
        return f"+1{found.group(1)}"
    return compact if E164.fullmatch(compact) and not compact.startswith("+1") else None


def _abroad(written: str) -> str:
    """`+44 (0)20 7946 0123` without the 0 that is dialled at home alone, if the country has it so; else unchanged."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(written), phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return written


def _alphanumeric(raw: str) -> Peer:
    """Fold a sender's name to what survives a JID's localpart unchanged; a name of which nothing is left is hashed."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", raw).casefold())
    kept = "".join(char if _survives(char) else "_" for char in folded).strip(" ")[:MAX_ALPHANUMERIC].strip(" ")
    if not any(map(str.isalnum, kept)):
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
        return Peer(f"sender-{digest[:8]}") if raw.strip() else ANONYMOUS
    # a name without letters must not read as a number that it is not
    if _e164_of(kept) or (kept[0].isdigit() and not any(map(str.isalpha, kept))):
        kept = f"_{kept}"[:MAX_ALPHANUMERIC].strip(" ")
    return Peer(kept)


def _survives(char: str) -> bool:
    if char.isascii():
        return char.isprintable() and char not in _RESERVED
    return (
        unicodedata.ucd_3_2_0.category(char) in {"Ll", "Lo", "Lm", "Nd"}
        and stringprep.map_table_b2(char) == char
        and not stringprep.in_table_b1(char)
        and not stringprep.in_table_d1(char)
    )
