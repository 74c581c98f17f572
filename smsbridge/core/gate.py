"""The send gate: may this JID send this, now? One function, asked inside the transaction that accepts a text.

The sentence for a stranger is the same whether or not the number exists: the gate is no oracle.
"""

from dataclasses import dataclass, field

import phonenumbers

from smsbridge.core import caps
from smsbridge.core.address import Did, Peer, PeerKind, kind_of, parse_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Directory, Line
from smsbridge.core.words.say import Phrase, Say

# Area codes under +1 that are neither the United States' states nor Canada (NANPA, area code map): some are dear.
OTHER_NANP = {
    "242": "BS", "246": "BB", "264": "AI", "268": "AG", "284": "VG", "340": "VI", "345": "KY", "441": "BM",
    "473": "GD", "649": "TC", "658": "JM", "664": "MS", "670": "MP", "671": "GU", "684": "AS", "721": "SX",
    "758": "LC", "767": "DM", "784": "VC", "787": "PR", "809": "DO", "829": "DO", "849": "DO", "868": "TT",
    "869": "KN", "876": "JM", "900": "premium", "939": "PR",
}  # fmt: skip
SERVICE_CODES = frozenset({"211", "311", "411", "511", "611", "711", "811", "911", "988", "112"})
SHORT_CODES, NUMBERS_IN = "short codes", "numbers in "  # how rows name the destinations that are confirmed once
NORTH_AMERICA = "US"  # one class: no area code table tells the two countries' prices apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the configuration allows. `regions`: ISO 3166 codes that may be texted (US stands for US and CA).

    `usual`: destinations for which nobody is asked whether it is meant; None asks for none.
    """

    regions: frozenset[str] = frozenset({NORTH_AMERICA})
    usual: frozenset[str] | None = None
    limits: caps.Limits = field(default_factory=caps.Limits)
    has_breaker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The gate is open: over this line, to this peer."""

    line: Line
    peer: Peer


def judge(
    *,
    owner: str,
    localpart: str,
    bound: Did | None,
    directory: Directory,
    policy: Policy,
) -> Admission:
    """Decide for a text of `owner` to `localpart`; `bound` is the line this conversation is bound to.

    Raises `Refused`. Ownership is judged first, so that nobody else learns anything from the answer.
    """
    lines = directory.lines_of(owner)
    if not lines:
        raise Refused(Reason.NOT_OWNER)
    owned = {line.did: line for line in lines}
    address = parse_localpart(localpart)
    if address.did is not None and address.did not in owned:
        raise Refused(Reason.NOT_OWNER)
    if address.is_group:
        raise Refused(Reason.GROUP_UNSUPPORTED)
    line = owned.get(address.did or bound or lines[0].did, lines[0])  # a bound line may have been taken away
    peer = address.peers[0]
    _judge_destination(peer, line, directory, policy)
    return Admission(line=line, peer=peer)


def to_confirm(peer: Peer, policy: Policy) -> str:
    """The kind of destination that its writer has to confirm once, by its name; "" for the usual ones."""
    if policy.usual is None:
        return ""
    if kind_of(peer) is PeerKind.SHORTCODE:
        return SHORT_CODES
    region = region_of(peer)
    return "" if region in policy.usual else f"{NUMBERS_IN}{region}"


def destination_in_words(name: str) -> Phrase:
    """A kind of destination as a person says it."""
    return Say.SHORT_CODES() if name == SHORT_CODES else Say.NUMBERS_IN(region=name.removeprefix(NUMBERS_IN))


def region_of(peer: Peer) -> str:
    """The destination class of an E.164 peer: an ISO 3166 code, `premium`, or "" if nobody knows it."""
    if peer.startswith("+1"):
        return OTHER_NANP.get(peer[2:5], NORTH_AMERICA)
    try:
        number = phonenumbers.parse(peer)
    except phonenumbers.NumberParseException:  # a country code that nobody was given
        return ""
    return phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )


def _judge_destination(peer: Peer, line: Line, directory: Directory, policy: Policy) -> None:
    match kind_of(peer):
        case PeerKind.ALPHANUMERIC:
            raise Refused(Reason.NOT_ANSWERABLE)
        case PeerKind.SHORTCODE:
            if peer in SERVICE_CODES:
                raise Refused(Reason.DESTINATION_REFUSED, Say.SERVICE_NUMBER())
            if not line.can_text_shortcodes:
                raise Refused(Reason.NOT_ANSWERABLE, Say.NO_SHORT_CODES())
        case PeerKind.E164:
            if directory.line_of(Did(peer)) is not None:
                raise Refused(Reason.OWN_NUMBER)
            if region_of(peer) not in policy.regions:
                raise Refused(Reason.DESTINATION_REFUSED)
