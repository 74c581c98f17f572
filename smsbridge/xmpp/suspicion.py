"""Which stanza makes the server close the stream? Found by halving, while the innocent get through. Pure.

A stream that dies over a stanza leaves everything unproved as suspects. They go again in halves, each half alone on
the stream; the half that kills it is halved in its turn, until a single delivery was alone when the stream died:
twice with an error that names a bad stanza, five times with a bare end, since servers also restart.
"""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from smsbridge.core.message import DeliveryId


class Death(StrEnum):
    """Why a stream ended, as far as its last stanzas may be to blame."""

    FAULT = "fault"  # an error that a stanza causes
    CUT = "cut"  # a bare end; Prosody answers a stanza over its size limit so
    OTHER = "other"  # a shutdown, a refusal, or our own doing


# RFC 6120, 4.9.3
STANZA_FAULTS: Final = frozenset(
    {
        "bad-format",
        "bad-namespace-prefix",
        "improper-addressing",
        "invalid-from",
        "invalid-namespace",
        "invalid-xml",
        "not-well-formed",
        "policy-violation",
        "restricted-xml",
        "unsupported-encoding",
        "unsupported-stanza-type",
    }
)
DEATHS_ALONE: Final = {Death.FAULT: 2, Death.CUT: 5}


def death_of(condition: str, *, by_us: bool) -> Death:
    """Judge an ending by the stream error's condition ("" for none) and by who hung up."""
    if condition in STANZA_FAULTS:
        return Death.FAULT
    if condition or by_us:
        return Death.OTHER
    return Death.CUT


class Suspicion:
    """The deliveries under suspicion, in order, in chunks that have to go alone."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[DeliveryId, ...]] = deque()
        self._deaths: Counter[tuple[DeliveryId, Death]] = Counter()
        self._convicted: deque[DeliveryId] = deque()

    @property
    def chunk(self) -> tuple[DeliveryId, ...]:
        """What has to go next, with nothing else in flight; empty when nobody is suspected."""
        return self._chunks[0] if self._chunks else ()

    @property
    def convicted(self) -> DeliveryId | None:
        """A delivery that must never go again, until `forget` says that it was put away."""
        return self._convicted[0] if self._convicted else None

    def accuse(self, row: DeliveryId) -> None:
        """Have this delivery, older than all that is suspected, go alone: it was tried too often."""
        self._remove({row})
        self._chunks.appendleft((row,))

    def died(self, death: Death, unproved: Sequence[DeliveryId]) -> None:
        """The stream ended with these in flight."""
        if death is Death.OTHER or not unproved:
            return
        self._remove(unproved)
        if len(unproved) > 1:
            middle = (len(unproved) + 1) // 2
            self._chunks.extendleft((tuple(unproved[middle:]), tuple(unproved[:middle])))
            return
        alone = unproved[0]
        self._deaths[alone, death] += 1
        if self._deaths[alone, death] >= DEATHS_ALONE[death]:
            self._convicted.append(alone)
        else:
            self._chunks.appendleft((alone,))

    def acquit(self, ids: Collection[DeliveryId]) -> None:
        """They got through, or are no longer ours to send."""
        self._remove(ids)
        if self._deaths:  # nearly never
            for row in ids:
                self._drop_counts(row)

    def forget(self, row: DeliveryId) -> None:
        """The convicted delivery is in quarantine."""
        self._convicted.remove(row)
        self._drop_counts(row)

    def _drop_counts(self, row: DeliveryId) -> None:
        for death in Death:
            self._deaths.pop((row, death), None)

    def _remove(self, ids: Collection[DeliveryId]) -> None:
        gone = set(ids)
        if not gone or not self._chunks:
            return
        kept = (tuple(row for row in chunk if row not in gone) for chunk in self._chunks)
        self._chunks = deque(chunk for chunk in kept if chunk)
