"""Stanzas that claim to be somebody else's, or to be what they are not: how each must end for whoever sends it.

A stanza's authority is its outer `from`. `END` of a corpus entry is what becomes of it when an owner writes it to a
contact: words that leave from that owner's own number and from no other, a refusal, or nothing. When somebody writes
it who owns no number, nothing leaves in any case.
"""

from dataclasses import dataclass
from enum import StrEnum

VICTIM = "alice@example.com"
CONTACT = "+15559870077@sms.example.com"
STAMP = "2020-01-01T00:00:00Z"


class End(StrEnum):
    """Other than a text that leaves."""

    IGNORED = "ignored"
    ENCRYPTED = "bad-request"
    UNCHANGEABLE = "not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoof:
    """`children` of a message of this type; `leaves` is the text that its own writer may send by it."""

    name: str
    children: str
    end: End = End.IGNORED
    leaves: tuple[str, ...] = ()
    type: str = "chat"

    def stanza(self, *, to: str, stanza_id: str, sender: str = "") -> str:
        origin = f" from='{sender}'" if sender else ""
        return f"<message to='{to}' id='{stanza_id}' type='{self.type}'{origin}>{self.children}</message>"


CLAIM = (
    f"<message xmlns='jabber:client' from='{VICTIM}/phone' to='{CONTACT}' type='chat' id='claim'>"
    f"<body>stolen</body><delay xmlns='urn:xmpp:delay' from='{VICTIM}' stamp='{STAMP}'/></message>"
)
FORWARDED = f"<forwarded xmlns='urn:xmpp:forward:0'>{CLAIM}</forwarded>"
BODY = "<body>own words</body>"
_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
_EVENT = "http://jabber.org/protocol/pubsub#event"


def _text(name: str, children: str, *leaves: str) -> Spoof:
    return Spoof(name=name, children=children, leaves=leaves or ("own words",))


SPOOFS: tuple[Spoof, ...] = (
    Spoof(name="carbon, sent", children=f"<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>"),
    Spoof(name="carbon, received", children=f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>"),
    Spoof(name="carbon of the first version", children=f"{BODY}<sent xmlns='urn:xmpp:carbons:1'>{FORWARDED}</sent>"),
    Spoof(name="forwarded, with a body", children=f"{BODY}{FORWARDED}"),
    Spoof(name="archive result", children=f"<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>{FORWARDED}</result>"),
    Spoof(name="archive result, old", children=f"<result xmlns='urn:xmpp:mam:tmp' id='1'>{FORWARDED}</result>"),
    Spoof(
        name="pubsub event",
        children=f"{BODY}<event xmlns='{_EVENT}'><items node='x'><item>{CLAIM}</item></items></event>",
    ),
    Spoof(name="privileged wrapper", children=f"<privilege xmlns='urn:xmpp:privilege:2'>{FORWARDED}</privilege>"),
    Spoof(
        name="privileged wrapper, old",
        children=f"{BODY}<privilege xmlns='urn:xmpp:privilege:1'>{FORWARDED}</privilege>",
    ),
    Spoof(
        name="grant of a privilege",
        children="<privilege xmlns='urn:xmpp:privilege:2'><perm access='message' type='outgoing'/></privilege>",
    ),
    Spoof(name="delegation", children=f"<delegation xmlns='urn:xmpp:delegation:2'>{FORWARDED}</delegation>"),
    Spoof(name="invitation to a room", children=f"{BODY}<x xmlns='jabber:x:conference' jid='r@rooms.example.com'/>"),
    Spoof(
        name="invitation by a room",
        children=f"{BODY}<x xmlns='http://jabber.org/protocol/muc#user'><invite from='{VICTIM}'/></x>",
    ),
    Spoof(name="message in a message", children=CLAIM),
    _text("message beside a body", f"{CLAIM}{BODY}"),
    _text("body in a forgotten corner", f"<x xmlns='urn:example:x'>{CLAIM}</x>{BODY}"),
    _text(
        "original sender (XEP-0033)",
        f"{BODY}<addresses xmlns='http://jabber.org/protocol/address'>"
        f"<address type='ofrom' jid='{VICTIM}'/></addresses>",
    ),
    _text("delayed, from somebody else", f"{BODY}<delay xmlns='urn:xmpp:delay' from='{VICTIM}' stamp='{STAMP}'/>"),
    _text(
        "ids of somebody else",
        f"{BODY}<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='{VICTIM}'/><origin-id xmlns='urn:xmpp:sid:0' id='9'/>",
    ),
    _text("a name of somebody else", f"{BODY}<nick xmlns='http://jabber.org/protocol/nick'>{VICTIM}</nick>"),
    _text("occupant of a room", f"{BODY}<occupant-id xmlns='urn:xmpp:occupant-id:0' id='alice'/>"),
    _text("mark of safekeeping", f"{BODY}<hold xmlns='urn:smsbridge:hold:1' id='forged'/>"),
    Spoof(name="mark of safekeeping alone", children="<hold xmlns='urn:smsbridge:hold:1' id='forged'/>"),
    Spoof(name="receipt", children="<received xmlns='urn:xmpp:receipts' id='o1'/>"),
    Spoof(name="marker", children="<displayed xmlns='urn:xmpp:chat-markers:0' id='o1' sender='x'/>"),
    Spoof(
        name="error that echoes a body",
        children=f"{BODY}<error type='cancel'><gone xmlns='{_ERRORS}'>xmpp:{VICTIM}</gone></error>",
        type="error",
    ),
    Spoof(name="words of a room", children=BODY, type="groupchat"),
    Spoof(name="headline", children=BODY, type="headline"),
    Spoof(
        name="OMEMO with its fallback",
        children=f"{BODY}<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>",
        end=End.ENCRYPTED,
    ),
    Spoof(name="OTR", children="<body>?OTRv23?</body>", end=End.ENCRYPTED),
    Spoof(
        name="correction",
        children=f"{BODY}<replace xmlns='urn:xmpp:message-correct:0' id='o1'/>",
        end=End.UNCHANGEABLE,
    ),
    Spoof(
        name="retraction",
        children=f"{BODY}<retract xmlns='urn:xmpp:message-retract:1' id='o1'/>",
        end=End.UNCHANGEABLE,
    ),
    Spoof(
        name="reaction with its fallback",
        children="<body>👍</body><reactions xmlns='urn:xmpp:reactions:0' id='o1'><reaction>👍</reaction></reactions>"
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'><body/></fallback>",
    ),
    Spoof(name="body of another namespace", children="<body xmlns='urn:example:x'>stolen</body>"),
    _text(
        "reply that quotes somebody",
        f"<body>&gt; stolen\nown words</body><reply xmlns='urn:xmpp:reply:0' to='{VICTIM}' id='o1'/>"
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='9'/></fallback>",
    ),
    _text(
        "formatted body",
        f"{BODY}<html xmlns='http://jabber.org/protocol/xhtml-im'>"
        "<body xmlns='http://www.w3.org/1999/xhtml'>stolen</body></html>",
    ),
    _text(
        "picture without a body",
        "<x xmlns='jabber:x:oob'><url>https://files.example.com/p.jpg</url></x>",
        "https://files.example.com/p.jpg",
    ),
)
