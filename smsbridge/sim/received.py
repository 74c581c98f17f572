"""What an XMPP user received, read from the stanza into plain values: messages, presences, errors, roster, disco.

Everything is read from the XML itself and never through a library's stanza classes: those create the child elements
they are asked for, and their answers change with the plugins that somebody else registered in the same process.
A wrapper is opened only when our own account is its sender: a carbon (XEP-0280) or an archived message (XEP-0313)
from anybody else is an ordinary message.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from xml.etree import ElementTree as ET

from slixmpp.xmlstream.tostring import tostring

CLIENT = "{jabber:client}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
RECEIPTS = "{urn:xmpp:receipts}"  # XEP-0184
MARKERS = "{urn:xmpp:chat-markers:0}"  # XEP-0333
CHAT_STATES = "{http://jabber.org/protocol/chatstates}"  # XEP-0085
DELAY = "{urn:xmpp:delay}"  # XEP-0203
HINTS = "{urn:xmpp:hints}"  # XEP-0334
IDS = "{urn:xmpp:sid:0}"  # XEP-0359
OOB = "{jabber:x:oob}"  # XEP-0066
NICK = "{http://jabber.org/protocol/nick}"  # XEP-0172
CARBONS = "{urn:xmpp:carbons:2}"  # XEP-0280
FORWARD = "{urn:xmpp:forward:0}"  # XEP-0297
MAM = "{urn:xmpp:mam:2}"  # XEP-0313
RSM = "{http://jabber.org/protocol/rsm}"  # XEP-0059
ROSTER = "{jabber:iq:roster}"
DISCO_INFO = "{http://jabber.org/protocol/disco#info}"  # XEP-0030

Carbon = Literal["sent", "received"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StanzaError:
    """The `<error/>` of a stanza (RFC 6120, section 8.3)."""

    condition: str
    kind: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message. What has no field here is reached through `element`; `raw` is the same as text.

    `receipt_for` and `displayed_for` name the stanza that a receipt or a displayed marker is about. `delayed_at` is
    the earliest delay stamp. `carbon` says that this is a copy for our other devices. `archive_id` and `archived_at`
    are set for messages read from the archive.
    """

    stanza_id: str
    kind: str
    sender: str
    recipient: str
    body: str | None
    error: StanzaError | None
    receipt_for: str | None
    receipt_requested: bool
    displayed_for: str | None
    markable: bool
    chat_state: str | None
    delayed_at: datetime | None
    origin_id: str | None
    hints: frozenset[str]
    oob_url: str | None
    nick: str | None
    carbon: Carbon | None
    archive_id: str | None
    archived_at: datetime | None
    raw: str = field(repr=False)
    element: ET.Element = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPresence:
    """One presence; `kind` is `available` where the stanza has no type."""

    kind: str
    sender: str
    recipient: str
    show: str | None
    status: str | None
    nick: str | None
    error: StanzaError | None
    raw: str = field(repr=False)
    element: ET.Element = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """One contact as the server has it; `is_pending` while our request waits for an answer."""

    jid: str
    name: str | None
    subscription: str
    is_pending: bool
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    category: str
    kind: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disco:
    """What an entity says it is and can do (XEP-0030)."""

    identities: tuple[Identity, ...]
    features: frozenset[str]


def read_message(element: ET.Element, account: str) -> Received:
    """A message as it arrived for `account` (a bare JID); carbons of that account are unwrapped."""
    if element.get("from") == account:
        copies: tuple[Carbon, Carbon] = ("sent", "received")
        for carbon in copies:
            inner = element.find(f"{CARBONS}{carbon}/{FORWARD}forwarded/{CLIENT}message")
            if inner is not None:
                return _message(inner, carbon=carbon)
    return _message(element)


def archive_result(element: ET.Element, account: str) -> ET.Element | None:
    """The `<result/>` of an archive query, if this message carries one and comes from our own archive."""
    return element.find(f"{MAM}result") if element.get("from") in (None, account) else None


def read_archived(result: ET.Element) -> Received | None:
    """The message inside an archive `<result/>`; None for one that holds none."""
    inner = result.find(f"{FORWARD}forwarded/{CLIENT}message")
    if inner is None:
        return None
    stamp = result.find(f"{FORWARD}forwarded/{DELAY}delay")
    return _message(inner, archive_id=result.get("id"), archived_at=_stamp(stamp))


def read_presence(element: ET.Element) -> ReceivedPresence:
    return ReceivedPresence(
        kind=element.get("type", "available"),
        sender=element.get("from", ""),
        recipient=element.get("to", ""),
        show=element.findtext(f"{CLIENT}show"),
        status=element.findtext(f"{CLIENT}status"),
        nick=element.findtext(f"{NICK}nick"),
        error=read_error(element),
        raw=to_text(element),
        element=element,
    )


def read_error(stanza: ET.Element) -> StanzaError | None:
    """The error of a stanza of type `error`; None for all others."""
    if stanza.get("type") != "error":
        return None
    error = stanza.find(f"{CLIENT}error")
    if error is None:
        return StanzaError(condition="undefined-condition", kind="cancel", text=None)
    names = [_name(child) for child in error if child.tag.startswith(STANZAS)]
    condition = next((name for name in names if name != "text"), "undefined-condition")
    return StanzaError(condition=condition, kind=error.get("type", ""), text=error.findtext(f"{STANZAS}text"))


def read_roster_item(item: ET.Element) -> RosterEntry:
    return RosterEntry(
        jid=item.get("jid", ""),
        name=item.get("name"),
        subscription=item.get("subscription", "none"),
        is_pending=item.get("ask") == "subscribe",
        groups=frozenset(group.text or "" for group in item.findall(f"{ROSTER}group")),
    )


def read_disco(answer: ET.Element) -> Disco:
    return Disco(
        identities=tuple(
            Identity(category=one.get("category", ""), kind=one.get("type", ""), name=one.get("name"))
            for one in answer.iter(f"{DISCO_INFO}identity")
        ),
        features=frozenset(one.get("var", "") for one in answer.iter(f"{DISCO_INFO}feature")),
    )


def to_text(element: ET.Element) -> str:
    """The element as it goes over a client's stream, without the stream's own namespace."""
    return str(tostring(element, xmlns="jabber:client", top_level=True))


def _message(
    element: ET.Element,
    *,
    carbon: Carbon | None = None,
    archive_id: str | None = None,
    archived_at: datetime | None = None,
) -> Received:
    stamps = [stamp for delay in element.findall(f"{DELAY}delay") if (stamp := _stamp(delay))]
    return Received(
        stanza_id=element.get("id", ""),
        kind=element.get("type", "normal"),
        sender=element.get("from", ""),
        recipient=element.get("to", ""),
        body=element.findtext(f"{CLIENT}body"),
        error=read_error(element),
        receipt_for=_attribute(element, f"{RECEIPTS}received", "id"),
        receipt_requested=element.find(f"{RECEIPTS}request") is not None,
        displayed_for=_attribute(element, f"{MARKERS}displayed", "id"),
        markable=element.find(f"{MARKERS}markable") is not None,
        chat_state=next((_name(child) for child in element if child.tag.startswith(CHAT_STATES)), None),
        delayed_at=min(stamps, default=None),
        origin_id=_attribute(element, f"{IDS}origin-id", "id"),
        hints=frozenset(_name(child) for child in element if child.tag.startswith(HINTS)),
        oob_url=element.findtext(f"{OOB}x/{OOB}url"),
        nick=element.findtext(f"{NICK}nick"),
        carbon=carbon,
        archive_id=archive_id,
        archived_at=archived_at,
        raw=to_text(element),
        element=element,
    )


def _attribute(element: ET.Element, path: str, name: str) -> str | None:
    child = element.find(path)
    return None if child is None else child.get(name)


def _stamp(delay: ET.Element | None) -> datetime | None:
    stamp = None if delay is None else delay.get("stamp")
    return datetime.fromisoformat(stamp) if stamp else None


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
