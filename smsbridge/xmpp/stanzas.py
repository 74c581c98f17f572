"""Stanza to core and back, as functions.

Out: `render` makes the one stanza of a delivery. In: `read_message` says what a message is, looking at the raw
element only (slixmpp's interfaces create what they are asked for) and at its direct children only: authority is the
outer `from`, and what is carried inside (carbons, forwards, archives, events) is never acted on.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never
from xml.etree import ElementTree as ET

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.message import Delivery, DeliveryKind, Media, OutboundMessage
from smsbridge.core.text import xml_clean
from smsbridge.core.words.say import Language, Say
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import fallbacks, jids, sharing, wire
from smsbridge.xmpp.errors import Envelope, add_error
from smsbridge.xmpp.privileges import PRIVILEGE
from smsbridge.xmpp.wire import Unrenderable

__all__ = ["Bounce", "Ignored", "Reading", "Typed", "Unrenderable", "envelope_of", "read_message", "render"]

DELAY_WORTH_TELLING: Final = timedelta(seconds=30)

CLIENT: Final = "jabber:client"
CHAT_MARKERS: Final = "urn:xmpp:chat-markers:0"
DELAY: Final = "urn:xmpp:delay"
FORWARD: Final = "urn:xmpp:forward:0"
HINTS: Final = "urn:xmpp:hints"
NICK: Final = "http://jabber.org/protocol/nick"
STANZA_IDS: Final = "urn:xmpp:sid:0"
RECEIPTS: Final = "urn:xmpp:receipts"
_MARKABLE: Final = f'<markable xmlns="{CHAT_MARKERS}"/>'
STREAMS: Final = frozenset({CLIENT, "jabber:component:accept"})

# namespace prefixes, with the names in them that mean "someone else's stanza is in here" ("" is all of them)
_NESTED: Final = (
    ("urn:xmpp:carbons:", "sent"),
    ("urn:xmpp:carbons:", "received"),
    ("urn:xmpp:forward:", ""),
    ("urn:xmpp:mam:", ""),
    ("urn:xmpp:privilege:", ""),
    ("urn:xmpp:delegation:", ""),
    ("http://jabber.org/protocol/pubsub", ""),
    ("http://jabber.org/protocol/muc#user", ""),  # an invitation, or a room's words
    ("jabber:x:conference", ""),
)
_ENCRYPTED: Final = (
    ("eu.siacs.conversations.axolotl", ""),
    ("urn:xmpp:omemo:", ""),
    ("urn:xmpp:openpgp:", ""),
    ("urn:xmpp:eme:", ""),
    ("jabber:x:encrypted", ""),
    ("urn:ietf:params:xml:ns:xmpp-e2e", ""),
)
_CORRECTED: Final = (("urn:xmpp:message-correct:", "replace"),)
_RETRACTED: Final = (("urn:xmpp:message-retract:", "retract"),)
_FASTENED: Final = "urn:xmpp:fasten:0"  # what carried a retraction before version 1
_RECEIPT_WANTED: Final = ((RECEIPTS, "request"),)

# RFC 6120, 8.3.3: what else is written there is the sender's own, and goes into no notice
_CONDITIONS: Final = frozenset(
    {
        "bad-request",
        "conflict",
        "feature-not-implemented",
        "forbidden",
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "not-acceptable",
        "not-allowed",
        "not-authorized",
        "policy-violation",
        "recipient-unavailable",
        "redirect",
        "registration-required",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
        "subscription-required",
        "undefined-condition",
        "unexpected-request",
    }
)
# OTR protocol version 3, "Requesting an OTR conversation": a tag of blanks, then one of eight for each version
_OTR_TAG: Final = re.compile("( \t  \t\t\t\t \t \t \t  )(?: \t \t  \t |  \t\t  \t |  \t\t  \t\t)*")


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not for us to act on; `why` is for the log, where it is odd."""

    why: str
    is_odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A recipient's server or client gave one of our stanzas back."""

    stanza_id: str
    from_bare_jid: str
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A line of chat to the bridge itself; `lang` is its own language, "" if it does not tell."""

    owner: str
    text: str
    lang: str = ""
    wants_receipt: bool = False


Reading = OutboundMessage | Typed | Bounce | Refused | Ignored


def render(
    delivery: Delivery, *, now: datetime | None = None, speaks_for: Callable[[str], bool | None] = lambda _: False,
    language_of: Callable[[str], Language] = lambda _: Language.ENGLISH,
) -> bytes:  # fmt: skip
    """The `<message/>` of a delivery; raises `Unrenderable`.

    A text that is old by then says when it was written; `now` is the moment of handing over, by default that of the
    delivery's own creation. An owner's own text goes in their name if `speaks_for` says that we may. `language_of` says
    what language they are told in.
    """
    now = now or delivery.created_at
    if delivery.kind is DeliveryKind.TEXT and not delivery.label and not _is_old(delivery, now):
        return _plain_text(delivery)
    match delivery.kind:
        case DeliveryKind.TEXT | DeliveryKind.MEDIA:
            element = _chat(delivery, now)
        case DeliveryKind.NOTICE:
            element = _stanza(delivery, to=_bare(delivery.to_jid), stanza_id=delivery.stanza_id)
            wire.add(element, "body", text=delivery.body)
        case DeliveryKind.RECEIPT:
            element = _receipt(delivery)
        case DeliveryKind.ERROR:
            element = _error(delivery, language_of(delivery.to_jid))
        case DeliveryKind.CARBON if speaks_for(_bare(delivery.to_jid)):
            element = _carbon(delivery, now)
        case DeliveryKind.CARBON:
            element = _line(delivery, now, language_of(delivery.to_jid))
        case _:
            assert_never(delivery.kind)
    return wire.serialise(element, domain=delivery.domain)


def envelope_of(element: ET.Element) -> Envelope:
    """Whom an answer would go to, and whether it may: an error is never answered."""
    return Envelope(
        name=element.tag.rpartition("}")[2],
        sender=element.get("from", ""),
        addressed=element.get("to", ""),
        id=element.get("id", ""),
        type=element.get("type", ""),
        lang=element.get(wire.LANG, ""),
    )


def read_message(element: ET.Element, *, domain: str) -> Reading:
    """What a message to us is. Unknown types count as normal (RFC 6121, 5.2.2); a blank body says nothing."""
    envelope = envelope_of(element)
    try:
        owner, is_ours = _parties(envelope, domain)
    except ValueError:
        return Ignored("from or to is no JID", is_odd=True)
    if not is_ours:
        return Ignored("not between a user and us")
    if envelope.type == "error":
        return _bounce(element, owner)
    if envelope.type in {"headline", "groupchat"}:
        return Ignored(envelope.type)
    if _has(element, _NESTED):
        return Ignored("nested", is_odd=True)
    return _refusal(element) or _text(element, envelope, owner)


def _plain_text(delivery: Delivery) -> bytes:
    """What nearly all texts come to; byte for byte what `_chat` makes of it."""
    return wire.serialise_text(
        sender=_sender(delivery),
        to=_bare(delivery.to_jid),
        stanza_id=delivery.stanza_id,
        body=delivery.body,
        beside=_MARKABLE,
        domain=delivery.domain,
    )


def _is_old(delivery: Delivery, now: datetime | None) -> bool:
    return delivery.stamp is not None and (now is None or now - delivery.stamp > DELAY_WORTH_TELLING)


def _chat(delivery: Delivery, now: datetime | None) -> ET.Element:
    element = _stanza(delivery, to=_bare(delivery.to_jid), stanza_id=delivery.stanza_id)
    _add_content(element, delivery, now)
    wire.add(element, "markable", CHAT_MARKERS)
    if delivery.label:
        wire.add(element, "nick", NICK, text=delivery.label)
    return element


def _line(delivery: Delivery, now: datetime | None, language: Language) -> ET.Element:
    """Words from the number about what its owner sent elsewhere."""
    body = worded(Say.FROM_THE_PORTAL(text=delivery.body or delivery.media_url), language)
    return _chat(delivery._replace(kind=DeliveryKind.TEXT, body=body, media_url=""), now)


def _carbon(delivery: Delivery, now: datetime | None) -> ET.Element:
    """The owner's own message to the number, in an envelope for their server (XEP-0356, 6)."""
    owner = _bare(delivery.to_jid)
    envelope = wire.stanza("message", sender=delivery.domain, to=_domain(owner), stanza_id=delivery.stanza_id)
    forwarded = wire.add(wire.add(envelope, "privilege", PRIVILEGE), "forwarded", FORWARD)
    number = f"{delivery.sender}@{delivery.domain}"
    message = wire.add(
        forwarded, "message", CLIENT, **{"from": owner, "to": number, "id": delivery.stanza_id, "type": "chat"}
    )
    _add_content(message, delivery, now)
    wire.add(message, "origin-id", STANZA_IDS, id=delivery.stanza_id)
    wire.add(message, "store", HINTS)
    return envelope


def _add_content(element: ET.Element, delivery: Delivery, now: datetime | None) -> None:
    if delivery.kind is DeliveryKind.MEDIA or delivery.media_url:
        if not delivery.media_url:
            raise Unrenderable("media without URL")
        sharing.add_file(element, delivery.media_url, delivery.body)
    else:
        wire.add(element, "body", text=delivery.body)
    if delivery.stamp and _is_old(delivery, now):
        stamp = f"{delivery.stamp.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"  # XEP-0082
        wire.add(element, "delay", DELAY, **{"from": delivery.domain, "stamp": stamp})


def _receipt(delivery: Delivery) -> ET.Element:
    if not delivery.about:
        raise Unrenderable("a receipt for nothing")
    element = _stanza(delivery, to=delivery.to_jid, stanza_id=delivery.stanza_id)
    wire.add(element, "received", RECEIPTS, id=delivery.about)
    wire.add(element, "store", HINTS)
    return element


def _error(delivery: Delivery, language: Language) -> ET.Element:
    """Clients find the text that failed by its own id; servers drop an error to a bare JID."""
    try:
        reason = Reason(delivery.reason)
    except ValueError:
        raise Unrenderable("an error of unknown reason") from None
    element = _stanza(delivery, to=delivery.to_jid, stanza_id=delivery.about, stanza_type="error")
    add_error(element, reason, delivery.body, language)
    return element


def _stanza(delivery: Delivery, *, to: str, stanza_id: str, stanza_type: str = "chat") -> ET.Element:
    return wire.stanza("message", sender=_sender(delivery), to=to, stanza_id=stanza_id, stanza_type=stanza_type)


def _sender(delivery: Delivery) -> str:
    if "@" in delivery.sender or not delivery.sender:
        return delivery.sender or delivery.domain
    return f"{delivery.sender}@{delivery.domain}"


def _bare(jid: str) -> str:
    return jid.partition("/")[0]


def _parties(envelope: Envelope, domain: str) -> tuple[str, bool]:
    """The bare sender, and whether this came from elsewhere to our domain; raises ValueError."""
    owner, addressed = jids.bare(envelope.sender), jids.bare(envelope.addressed)
    return owner, _domain(addressed) == domain and _domain(owner) not in {"", domain}


def _domain(bare: str) -> str:
    return bare.rpartition("@")[2]


def _bounce(element: ET.Element, owner: str) -> Bounce | Ignored:
    stanza_id = element.get("id", "")
    if not stanza_id:
        return Ignored("an error about nothing")
    conditions = (
        name
        for error in _children(element, STREAMS, "error")
        for namespace, name in map(_split, error)
        if namespace == wire.STANZA_ERRORS and name in _CONDITIONS
    )
    return Bounce(stanza_id=stanza_id, from_bare_jid=owner, condition=next(conditions, "undefined-condition"))


def _refusal(element: ET.Element) -> Refused | None:
    """What cannot be a text, whatever a fallback body says in its place."""
    if _has(element, _ENCRYPTED) or _body(element).startswith("?OTR"):
        return Refused(Reason.ENCRYPTED)
    if _has(element, _CORRECTED):
        return Refused(Reason.NOT_ANSWERABLE, Say.CANNOT_CHANGE())
    if any(_has(each, _RETRACTED) for each in (element, *_children(element, {_FASTENED}, "apply-to"))):
        return Refused(Reason.NOT_ANSWERABLE, Say.CANNOT_RETRACT())
    return None


def _text(element: ET.Element, envelope: Envelope, owner: str) -> OutboundMessage | Typed | Refused | Ignored:
    urls = sharing.files_in(element)
    text = _OTR_TAG.sub("", fallbacks.words_of(element, _body(element), urls))
    if sharing.is_encrypted(element, (*urls, text.strip())):
        return Refused(Reason.ENCRYPTED, Say.ENCRYPTED_FILE())
    text = sharing.caption(text, urls)
    if not text and not urls:
        return Ignored("nothing to send")
    if not text and fallbacks.repeats_files(element):
        return Ignored("files again")
    if not jids.localpart_of(envelope.addressed):
        return Typed(owner=owner, text=text, lang=envelope.lang, wants_receipt=_has(element, _RECEIPT_WANTED))
    return OutboundMessage(
        owner=owner,
        sender=envelope.sender,
        addressed=envelope.addressed,
        stanza_id=sharing.announced_by(element) or envelope.id,
        text=text,
        media=tuple(Media(url=url) for url in urls),
        wants_receipt=_has(element, _RECEIPT_WANTED),
    )


def _body(element: ET.Element) -> str:
    """The body in the stanza's own language (the one without xml:lang), else the first of them."""
    bodies = sorted(_children(element, STREAMS, "body"), key=lambda body: wire.LANG in body.attrib)
    return xml_clean("".join(bodies[0].itertext())) if bodies else ""


def _has(element: ET.Element, kinds: tuple[tuple[str, str], ...]) -> bool:
    """Whether a direct child is of one of these kinds (prefix of the namespace, name or "")."""
    return any(
        namespace.startswith(prefix) and wanted in ("", name)
        for namespace, name in map(_split, element)
        for prefix, wanted in kinds
    )


def _children(element: ET.Element, namespaces: frozenset[str] | set[str], name: str) -> Iterator[ET.Element]:
    return (child for child in element if (parts := _split(child))[0] in namespaces and parts[1] == name)


def _split(element: ET.Element) -> tuple[str, str]:
    namespace, _, name = element.tag.rpartition("}")
    return namespace[1:], name
