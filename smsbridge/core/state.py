"""The life of a part, a delivery and an attachment, as tables; and the fold of parts into a message.

    queued(due_at) ─claim─▶ sending ─accepted─▶ sent ─report─▶ delivered | failed
       ▲                       │ deferred: back to queued, later
       │                       │ rejected ────────────────────▶ failed
       │                       └ indeterminate, or a dead claimant ─▶ unknown
       └──── proved absent ─────────────────────────────────────┘ └─ found: sent · not provable: unsure

Beside them: held(reason), cancelled, expired. The names are the column values, metric labels and log words.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class PartState(StrEnum):
    QUEUED = "queued"
    HELD = "held"
    SENDING = "sending"
    UNKNOWN = "unknown"
    UNSURE = "unsure"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PartEvent(StrEnum):
    CLAIM = "claim"
    ACCEPT = "accept"
    DEFER = "defer"
    HOLD = "hold"
    RELEASE = "release"
    REJECT = "reject"
    LOSE_TRACK = "lose_track"
    FIND = "find"
    PROVE_ABSENT = "prove_absent"
    GIVE_UP = "give_up"
    CONFIRM = "confirm"
    BOUNCE = "bounce"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RESEND = "resend"


P, V = PartState, PartEvent
PART: dict[tuple[PartState, PartEvent], PartState] = {
    (P.QUEUED, V.CLAIM): P.SENDING,
    (P.QUEUED, V.HOLD): P.HELD,
    (P.QUEUED, V.CANCEL): P.CANCELLED,
    (P.QUEUED, V.EXPIRE): P.EXPIRED,
    (P.QUEUED, V.ACCEPT): P.SENT,  # it had been proved absent, and was not
    (P.HELD, V.CLAIM): P.SENDING,  # a probe: is the fault gone?
    (P.HELD, V.RELEASE): P.QUEUED,
    (P.HELD, V.CANCEL): P.CANCELLED,
    (P.HELD, V.EXPIRE): P.EXPIRED,
    (P.HELD, V.ACCEPT): P.SENT,
    (P.HELD, V.REJECT): P.FAILED,  # the file that it waits for cannot be had
    (P.HELD, V.HOLD): P.HELD,  # its writer has said yes, and its file is still to be fetched
    (P.HELD, V.FIND): P.SENT,  # it had left after the backup that it was restored from
    (P.SENDING, V.ACCEPT): P.SENT,
    (P.SENDING, V.DEFER): P.QUEUED,
    (P.SENDING, V.HOLD): P.HELD,
    (P.SENDING, V.REJECT): P.FAILED,
    (P.SENDING, V.LOSE_TRACK): P.UNKNOWN,
    (P.UNKNOWN, V.ACCEPT): P.SENT,  # the answer came after all
    (P.UNKNOWN, V.REJECT): P.FAILED,
    (P.UNKNOWN, V.DEFER): P.QUEUED,
    (P.UNKNOWN, V.HOLD): P.HELD,
    (P.UNKNOWN, V.FIND): P.SENT,
    (P.UNKNOWN, V.PROVE_ABSENT): P.QUEUED,
    (P.UNKNOWN, V.GIVE_UP): P.UNSURE,
    (P.UNSURE, V.ACCEPT): P.SENT,
    (P.UNSURE, V.REJECT): P.FAILED,
    (P.UNSURE, V.FIND): P.SENT,
    (P.UNSURE, V.RESEND): P.QUEUED,
    (P.UNSURE, V.CANCEL): P.CANCELLED,
    (P.CANCELLED, V.RESEND): P.QUEUED,  # it came after an unsure one, of which its writer has decided
    (P.SENT, V.CONFIRM): P.DELIVERED,
    (P.SENT, V.BOUNCE): P.FAILED,
}
LIVE = frozenset({P.QUEUED, P.HELD, P.SENDING, P.UNKNOWN})
BLOCKING = frozenset({P.SENDING, P.UNKNOWN})


class DeliveryState(StrEnum):
    WAITING = "waiting"
    HANDING = "handing"
    HANDED = "handed"
    QUARANTINED = "quarantined"
    BOUNCED = "bounced"


D = DeliveryState
DELIVERY: frozenset[tuple[DeliveryState, DeliveryState]] = frozenset(
    {
        (D.WAITING, D.HANDING),
        (D.WAITING, D.QUARANTINED),
        (D.HANDING, D.HANDED),
        (D.HANDING, D.QUARANTINED),
        (D.HANDING, D.BOUNCED),
        (D.HANDED, D.BOUNCED),
        (D.HANDING, D.WAITING),  # the stream died before the fence was answered
        (D.HANDED, D.WAITING),  # the server died and may have lost it, or a repeated stanza is answered again
    }
)


class MediaState(StrEnum):
    WANTED = "wanted"
    FETCHED = "fetched"
    PUBLISHED = "published"
    GIVEN_UP = "given_up"


class EnclosureState(StrEnum):
    """Of a file that goes out with a text: it goes as a file, as its link, or not at all."""

    WANTED = "wanted"
    KEPT = "kept"
    LINKED = "linked"
    REFUSED = "refused"


class IllegalTransition(ValueError):
    """An event that has no meaning in that state: a late or repeated answer."""


def advance(state: PartState, event: PartEvent) -> PartState:
    """The state after an event; raises `IllegalTransition`."""
    try:
        return PART[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None


class Fold(StrEnum):
    """A message as the fold of its parts."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far a message got: `left` of `of` parts certainly left; `fold` is what the sender is told."""

    fold: Fold
    left: int
    of: int


def fold(states: Iterable[PartState]) -> Tally:
    """Fold the states of a message's parts (one recipient, in order)."""
    parts = tuple(states)
    left = sum(state in {P.SENT, P.DELIVERED} for state in parts)
    if any(state in {P.FAILED, P.EXPIRED} for state in parts):
        verdict = Fold.FAILED
    elif P.UNSURE in parts:
        verdict = Fold.UNSURE
    elif P.CANCELLED in parts:
        verdict = Fold.FAILED
    elif parts and all(state is P.DELIVERED for state in parts):
        verdict = Fold.DELIVERED
    elif parts and left == len(parts):
        verdict = Fold.ACCEPTED
    else:
        verdict = Fold.PENDING
    return Tally(fold=verdict, left=left, of=len(parts))
