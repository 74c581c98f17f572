"""Accept a text from a JID: gate, split, enqueue, in one transaction. "Accepted" is what its return means.

A stanza that a client repeats is answered as the first was, and nothing else happens; unless the first has failed with
nothing of it sent: then somebody tries again.
"""

from collections.abc import Callable, Mapping

from smsbridge.bridge.desk import Desk
from smsbridge.core import gate
from smsbridge.core.address import Did, parse_localpart
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.line import Line
from smsbridge.core.message import Kind, Media, MessageId, OutboundMessage, ProviderName
from smsbridge.core.segments import split
from smsbridge.core.state import Fold, fold
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Capabilities
from smsbridge.store import bindings, deliveries, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.outbox import StoredMessage

MAX_PARTS = 10  # a slip of the clipboard should not cost a day's quota

_log = Log("outbound")
Piece = tuple[Kind, str, tuple[Media, ...]]


class Outbound:
    """The door for what owners write."""

    def __init__(self, desk: Desk, capabilities: Callable[[], Mapping[ProviderName, Capabilities]]) -> None:
        self._desk = desk
        self._capabilities = capabilities

    async def accept(self, message: OutboundMessage) -> None:
        """Committed when it returns. Raises `Refused` (nothing was taken) or `StoreUnavailable` (nobody knows)."""
        failpoint("outbound.accepting", StoreUnavailable)
        accepted = await self._desk.database.run(self._accept, message)
        failpoint("outbound.accepted", StoreUnavailable)
        if accepted is not None:
            message_id, parts, provider = accepted
            self._desk.metrics.outbound_accepted.inc()
            self._desk.wake_senders()
            _log.info(Event.TEXT_ACCEPTED, message=message_id, parts=parts, provider=provider)
        else:
            self._desk.metrics.outbound_repeated.inc()
            self._desk.wake_stream()
            _log.info(Event.TEXT_REPEATED)

    def _accept(self, message: OutboundMessage) -> Transaction[tuple[MessageId, int, ProviderName] | None]:
        """The message, how many parts it has and who takes them; None for the repeat of a stanza."""
        desk, rules = self._desk, self._desk.rules()
        key = outbox.key_of(message.owner, message.addressed, message.stanza_id, message.text, message.media)
        first = yield from outbox.known(key)
        if first is not None and (yield from self._has_failed(first)):
            yield from outbox.forget_key(key)
        elif first is not None:
            yield from deliveries.tell_again(desk.ids, desk.now(), first, message.sender)
            yield from outbox.move_sender(first, message.sender)
            return None
        localpart = message.addressed.partition("/")[0].rpartition("@")[0]
        bound = yield from self._bound(message.owner, localpart)
        admission = gate.judge(
            owner=message.owner,
            localpart=localpart,
            bound=bound,
            directory=rules.directory,
            policy=rules.policy,
        )
        line = admission.line
        pieces = plan(message.text, message.media, line, self._capabilities()[line.provider])
        if "%" not in localpart and bound != line.did:
            settle = bindings.bind if bound is None else bindings.rebind
            yield from settle(desk.now(), message.owner, admission.peer, line.did)
        stored = StoredMessage(
            id=MessageId(desk.ids.new()),
            domain=desk.domain,
            owner=message.owner,
            sender=message.sender,
            addressed=message.addressed,
            stanza_id=message.stanza_id,
            did=line.did,
            receipts=line.receipts,
            wants_receipt=message.wants_receipt,
            told="",
            accepted_at=desk.now(),
        )
        yield from outbox.accept(desk.ids, desk.now(), stored, key, pieces, line.provider, admission.peer)
        failpoint("outbound.recorded")
        return stored.id, len(pieces), line.provider

    def _has_failed(self, message_id: MessageId) -> Transaction[bool]:
        """Nothing of it left, or ever will: some clients send again under the same id."""
        tally = fold(part.state for part in (yield from outbox.parts_of(message_id)))
        return tally.fold is Fold.FAILED and not tally.left

    def _bound(self, owner: str, localpart: str) -> Transaction[Did | None]:
        try:
            address = parse_localpart(localpart)
        except Refused:
            return None  # the gate refuses it, after it has looked at who asks
        return (yield from bindings.bound(owner, address.peers[0]))


def plan(text: str, media: tuple[Media, ...], line: Line, capabilities: Capabilities) -> list[Piece]:
    """Cut a message into what the carrier takes in one call; raises `Refused`.

    Text that fits goes as one SMS; longer text as text-only MMS where the line can, else as SMS parts. Media go
    as MMS, as many to each as it takes, the text with the first.
    """
    can_mms = line.can_mms and bool(capabilities.mms_text)
    if media and not (can_mms and capabilities.media_count):
        raise Refused(Reason.MEDIA_REFUSED)
    if not media and not text.strip():
        raise Refused(Reason.EMPTY)
    fits_sms = all(limit.holds(text) for limit in capabilities.sms)
    if media:
        texts = split(text, capabilities.mms_text) if text else []
        groups = [media[n : n + capabilities.media_count] for n in range(0, len(media), capabilities.media_count)]
        count = max(len(texts), len(groups))
        pieces = [
            (Kind.MMS, texts[n] if n < len(texts) else "", groups[n] if n < len(groups) else ()) for n in range(count)
        ]
    elif fits_sms or not can_mms:
        pieces = [(Kind.SMS, piece, ()) for piece in split(text, capabilities.sms)]
    else:
        pieces = [(Kind.MMS, piece, ()) for piece in split(text, capabilities.mms_text)]
    if len(pieces) > MAX_PARTS:
        raise Refused(
            Reason.TOO_LONG,
            f"This text would be {len(pieces)} messages, and {MAX_PARTS} is the most. It was not sent; shorten it.",
        )
    return pieces
