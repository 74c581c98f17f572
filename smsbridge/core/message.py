"""What travels: messages in both directions, the parts a carrier takes, the stanzas that tell about them.

Instants are aware datetimes in UTC; JIDs are strings that the XMPP edge has normalised.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from smsbridge.core.address import Did, Peer

ProviderName = NewType("ProviderName", str)
ProviderMessageId = NewType("ProviderMessageId", str)
InboxId = NewType("InboxId", str)
MessageId = NewType("MessageId", str)
PartId = NewType("PartId", str)
DeliveryId = NewType("DeliveryId", str)
MediaId = NewType("MediaId", str)
EnclosureId = NewType("EnclosureId", str)


class Kind(StrEnum):
    """SMS and MMS ids are two sequences at most carriers; `?` is a callback that does not tell."""

    SMS = "sms"
    MMS = "mms"
    UNTOLD = "?"


class Source(StrEnum):
    """Through which door an inbound message came."""

    WEBHOOK = "webhook"
    CALLBACK = "callback"
    POLL = "poll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An attachment, by reference, or one that came with its text: then it has `content` and no `url`.

    `size` in bytes. What a carrier says of its type is never believed. One that goes out is kept here as the `file` of
    this id, and has `content` on its way to the carrier.
    """

    url: str
    mime: str = ""
    size: int | None = None
    file: str = ""
    content: bytes | None = field(default=None, repr=False)


class InboundMessage(NamedTuple):
    """A text from a phone. `label` is the sender as the carrier spelled it; `others` the rest of a group."""

    provider: ProviderName
    source: Source
    kind: Kind
    did: Did
    peer: Peer
    provider_id: ProviderMessageId | None
    text: str
    media: tuple[Media, ...] = ()
    sent_at: datetime | None = None
    label: str = ""
    others: tuple[Peer, ...] = ()


class ReportState(StrEnum):
    """What a carrier's delivery report says."""

    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """A carrier's word on a part that it had accepted."""

    provider: ProviderName
    kind: Kind
    provider_id: ProviderMessageId
    state: ReportState
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentElsewhere:
    """A text in a carrier's list of what was sent: ours, or written in its portal or another program."""

    provider: ProviderName
    kind: Kind
    did: Did
    peer: Peer
    provider_id: ProviderMessageId
    text: str
    media: tuple[Media, ...] = ()
    sent_at: datetime | None = None


Event = InboundMessage | DeliveryReport | SentElsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """What a person wrote to a number.

    `sender` is the full JID that an error goes back to, `owner` its bare form, `addressed` the JID exactly as
    it was written to (answers come from it), `stanza_id` the client's own id ("" if it sent none). The XMPP server
    may keep the stanza, under the id `kept_as`, and give it again until it knows that we have it.
    """

    owner: str
    sender: str
    addressed: str
    stanza_id: str
    text: str
    media: tuple[Media, ...] = ()
    wants_receipt: bool = False
    kept_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a provider takes in one call: the unit of retry. `n` of `of` counts from 1."""

    id: PartId
    message_id: MessageId
    provider: ProviderName
    did: Did
    peer: Peer
    kind: Kind
    n: int
    of: int
    text: str
    media: tuple[Media, ...] = ()
    attempt: int = 0


class DeliveryKind(StrEnum):
    """What a stanza to a JID is about."""

    TEXT = "text"
    MEDIA = "media"
    RECEIPT = "receipt"
    ERROR = "error"
    NOTICE = "notice"
    CARBON = "carbon"


class Delivery(NamedTuple):
    """One stanza to one JID, in the bridge's words; `xmpp` renders it, once, into `xml`.

    The row's own (`id`, `xml`, `attempt`, `created_at`) is given to it when it is written; `inbox_id`, `message_id` and
    `media_id` are what it came of. `sender` is the localpart ("" for the bridge itself), or a whole JID of our domain
    for an answer that must come from exactly where it was addressed. `about` is the stanza id that a receipt or an
    error answers.
    """

    domain: str
    kind: DeliveryKind
    to_jid: str
    sender: str
    stanza_id: str
    id: DeliveryId = DeliveryId("")
    body: str = ""
    about: str = ""
    reason: str = ""
    stamp: datetime | None = None
    label: str = ""
    media_url: str = ""
    inbox_id: InboxId | None = None
    message_id: MessageId | None = None
    media_id: MediaId | None = None
    xml: bytes | None = None
    attempt: int = 0
    created_at: datetime | None = None
