"""Accept a text from a JID: gate, split, enqueue, in one transaction. "Accepted" is what its return means.

A stanza that a client repeats is answered as the first was, and nothing else happens; unless the first has failed with
nothing of it sent: then somebody tries again. One that the XMPP server gives again because it does not know that we
have it is nobody's wish: it does nothing, whatever became of the first; one that was refused is refused in the same
words, whatever has changed since.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from smsbridge.bridge import confirming, telling
from smsbridge.bridge.admission import Admitted, admit
from smsbridge.bridge.desk import Desk
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.message import Media, MessageId, OutboundMessage, ProviderName
from smsbridge.core.state import Fold, fold
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.media.fetch import origin_of
from smsbridge.providers.contract import Capabilities
from smsbridge.store import deliveries, enclosures, holds, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.outbox import StoredMessage

_log = Log("outbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """A message, how many parts it has and who takes them; `is_told`: somebody is told of it now."""

    id: MessageId
    parts: int
    provider: ProviderName
    is_told: bool
    has_files: bool


class Copy(Enum):
    """What we wrote in an owner's name about a text that left elsewhere is no text to be sent."""

    RETURNED = "returned"


def with_attachment(message: OutboundMessage, uploads: frozenset[str]) -> OutboundMessage:
    """A message that is nothing but the link of an upload is its file, as clients write it that know no better."""
    link = message.text.strip()
    if message.media or not link.startswith(("https://", "http://")):
        return message
    try:
        is_upload = origin_of(link) in uploads
    except ValueError:
        return message
    return replace(message, text="", media=(Media(url=link),)) if is_upload else message


class Outbound:
    """The door for what owners write."""

    def __init__(self, desk: Desk, capabilities: Callable[[], Mapping[ProviderName, Capabilities]]) -> None:
        self._desk = desk
        self._capabilities = capabilities

    async def accept(self, message: OutboundMessage) -> None:
        """Committed when it returns. Raises `Refused` (nothing was taken) or `StoreUnavailable` (nobody knows)."""
        failpoint("outbound.accepting", StoreUnavailable)
        try:
            accepted = await self._desk.database.run_short(self._accept, message)
        except Refused as refused:
            await self._keep_refusal(message, refused)
            raise
        failpoint("outbound.accepted", StoreUnavailable)
        if isinstance(accepted, Refused):
            self._desk.wake_stream()
            raise accepted
        if isinstance(accepted, Copy):
            _log.info(Event.COPY_RETURNED)
        elif accepted is not None:
            self._desk.metrics.outbound_accepted.inc()
            self._desk.wake_senders()
            if accepted.has_files:
                self._desk.wake_media()
            if accepted.is_told:
                self._desk.wake_stream()
            _log.info(Event.TEXT_ACCEPTED, message=accepted.id, parts=accepted.parts, provider=accepted.provider)
        else:
            self._desk.metrics.outbound_repeated.inc()
            self._desk.wake_stream()
            _log.info(Event.TEXT_REPEATED)

    async def _keep_refusal(self, message: OutboundMessage, refused: Refused) -> None:
        """Committed before its writer is told: what the server gives again is not judged anew."""
        if message.kept_as:
            kept = outbox.key_of_kept(message.owner, message.kept_as)
            await self._desk.database.run_short(outbox.remember_refusal, self._desk.now(), kept, refused)
            failpoint("outbound.refused", StoreUnavailable)

    def _accept(self, message: OutboundMessage) -> Transaction[_Accepted | Refused | Copy | None]:
        """None for the repeat of a stanza. A refusal that is returned has something to commit."""
        desk = self._desk
        if message.stanza_id and (yield from deliveries.is_own_copy(message.stanza_id, message.owner)):
            return Copy.RETURNED
        kept = outbox.key_of_kept(message.owner, message.kept_as)
        fate = yield from outbox.fate(kept)
        if isinstance(fate, Refused):
            return fate
        if fate is not None:
            return None
        key = outbox.key_of(message.owner, message.addressed, message.stanza_id, message.text, message.media)
        first = yield from outbox.known(key)
        if first is not None and (yield from self._has_failed(first)):
            yield from outbox.forget_key(key)
        elif first is not None:
            yield from telling.tell_again(desk, first, message.sender)
            yield from outbox.remember(desk.now(), kept, first)
            return None
        if not desk.has_room():
            raise Refused(Reason.NO_ROOM)
        message = with_attachment(message, desk.uploads() | desk.rules().fetch_from)
        admitted = yield from admit(desk, message, self._capabilities())
        if isinstance(admitted, Refused):
            yield from outbox.remember_refusal(desk.now(), kept, admitted)
            return admitted
        accepted = yield from self._record(message, admitted, key)
        yield from outbox.remember(desk.now(), kept, accepted.id)
        failpoint("outbound.recorded")
        return accepted

    def _record(self, message: OutboundMessage, admitted: Admitted, key: str) -> Transaction[_Accepted]:
        desk, line = self._desk, admitted.line
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
            told=telling.ASKED if admitted.to_confirm else "",
            accepted_at=desk.now(),
        )
        if admitted.to_confirm:
            yield from confirming.ask(desk, stored.owner, admitted.peer, admitted.to_confirm)
        files = () if admitted.is_linked else message.media
        yield from outbox.accept(
            desk.ids, desk.now(), stored, key, admitted.pieces, line.provider, admitted.peer,
            recent=admitted.recent, to_confirm=admitted.to_confirm, awaits_files=bool(files),
        )  # fmt: skip
        yield from enclosures.wish(desk.ids, desk.now(), stored.id, files, is_due=not admitted.to_confirm)
        if (words := (yield from holds.locked(line.did))) is not None:
            yield from telling.tell_waiting(desk, stored, words)
        if admitted.is_linked:
            yield from telling.tell_linked(desk, stored)
        return _Accepted(
            id=stored.id,
            parts=len(admitted.pieces),
            provider=line.provider,
            is_told=admitted.is_told or admitted.is_linked or words is not None or bool(admitted.to_confirm),
            has_files=bool(files),
        )

    def _has_failed(self, message_id: MessageId) -> Transaction[bool]:
        """Nothing of it left, or ever will: some clients send again under the same id."""
        tally = fold(part.state for part in (yield from outbox.parts_of(message_id)))
        return tally.fold is Fold.FAILED and not tally.left
