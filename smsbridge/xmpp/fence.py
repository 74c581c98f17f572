"""The fence: what the server has proved to have handled, and what not yet. Pure: time comes in as an argument.

A component stream has no acknowledgements (XEP-0114). It is handled in order, though, so the answer to a ping that
was written after some stanzas proves that the server handled them, their bounces included. Any answer does, result or
error. A server that answers no ping of ours (ejabberd 24.12 with mod_privilege) still returns a message that we
address to ourselves: the first ping of a stream decides which of the two is used from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import quoteattr

from smsbridge.core.message import DeliveryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Stanzas before one fence, in the order they were written; none for an idle fence. `at` in seconds."""

    ids: tuple[DeliveryId, ...]
    at: float


class Fence:
    """The batches of one stream that are not proved yet.

    `prefix` must be secret and new in each process: whoever knows it can forge a pong.
    """

    def __init__(self, *, jid: str, ping: str, prefix: str, seconds: float, idle: float) -> None:
        self._from = quoteattr(jid)
        self._to = quoteattr(ping)
        self._prefix = prefix
        self._seconds = seconds
        self._idle = idle
        self._count = 0
        self._batches: dict[str, Batch] = {}
        self._by_message = False
        self._is_proved = False
        self._heard_at = 0.0

    @property
    def in_flight(self) -> list[DeliveryId]:
        """Written and not proved, in order."""
        return [row for batch in self._batches.values() for row in batch.ids]

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is owed to us."""
        return bool(self._batches)

    def owns(self, stanza_id: str) -> bool:
        """Whether a stanza is an answer to a fence of this process, perhaps of an earlier stream."""
        return stanza_id.startswith(self._prefix)

    def renew(self) -> tuple[DeliveryId, ...]:
        """Forget the stream: what it leaves unproved, in order. What worked on it is used on the next one."""
        left = tuple(self.in_flight)
        self._batches.clear()
        self._by_message = self._by_message and self._is_proved
        self._is_proved = False
        return left

    def seal(self, ids: Sequence[DeliveryId], now: float) -> bytes:
        """The stanza to write right after these; they are in flight from now on."""
        self._count += 1
        fence_id = f"{self._prefix}{self._count}"
        self._batches[fence_id] = Batch(ids=tuple(ids), at=now)
        if self._by_message:
            xml = (
                f'<message type="headline" id="{fence_id}" from={self._from} to={self._from}>'
                '<fence xmlns="urn:x-smsbridge:fence"/></message>'
            )
        else:
            xml = (
                f'<iq type="get" id="{fence_id}" from={self._from} to={self._to}>'
                '<ping xmlns="urn:xmpp:ping"/></iq>'  # XEP-0199
            )
        return xml.encode()

    def pong(self, stanza_id: str, now: float) -> tuple[DeliveryId, ...]:
        """What an answer proves: its own batch and all before it. Nothing, if it is of an earlier stream."""
        if stanza_id not in self._batches:
            return ()
        self._is_proved = True
        self._heard_at = now
        proved: list[DeliveryId] = []
        for fence_id in list(self._batches):
            proved += self._batches.pop(fence_id).ids
            if fence_id == stanza_id:
                break
        return tuple(proved)

    def due_at(self) -> float:
        """When the next answer is overdue, or (nothing is owed) when to ask again."""
        for oldest in self._batches.values():
            return oldest.at + self._seconds
        return self._heard_at + self._idle

    def fall_back(self, now: float) -> bool:
        """Ask by message from now on. False: that was tried, or pings were answered, so the server is gone."""
        if self._by_message or self._is_proved:
            return False
        self._by_message = True
        self._batches = {fence_id: replace(batch, at=now) for fence_id, batch in self._batches.items()}
        return True
