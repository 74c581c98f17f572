"""A text of the past, as it is written out and read in again."""

from dataclasses import dataclass
from datetime import datetime

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import Kind, Media, ProviderMessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`id` is the row's own ("" if it has none yet), `did` "" where a format has no place for it.

    `text` is None where it was forgotten. `state` is an outbound one's, "" for what came in.
    """

    id: str
    is_inbound: bool
    kind: Kind
    did: Did
    peer: Peer
    at: datetime
    text: str | None
    media: tuple[Media, ...] = ()
    provider: str = ""
    provider_id: ProviderMessageId | None = None
    state: str = ""
