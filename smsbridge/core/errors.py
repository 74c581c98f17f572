"""Everything that can go wrong with a text, as a closed list.

    SmsbridgeError
    ├── Refused          we will not take it: address, ownership, policy (before anything is stored)
    ├── Outcome          what a provider's answer means when it is not "accepted"
    │   ├── Rejected     certainly not sent, and never will be
    │   ├── Deferred     certainly not sent, later perhaps
    │   └── Indeterminate  nobody knows; find out, never repeat blindly
    ├── Unauthentic      a callback without the right secret
    ├── Malformed        a callback that cannot be understood
    └── StoreUnavailable a commit that did not happen, or may not have
        └── NoRoom       because the disk is full, or nearly

A `Reason` says *why* in one word; `xmpp/errors.py` has one row for each with type and condition, `words` a sentence.
"""

from datetime import timedelta
from enum import StrEnum

from smsbridge.core.words.say import Phrase, Say, Words


class Reason(StrEnum):
    """Why a text did not go out. Closed: a column value, a metric label and a log word."""

    NOT_OWNER = "not_owner"
    BAD_ADDRESS = "bad_address"
    MOVED_ADDRESS = "moved_address"
    NOT_ANSWERABLE = "not_answerable"
    GROUP_UNSUPPORTED = "group_unsupported"
    DESTINATION_REFUSED = "destination_refused"
    OWN_NUMBER = "own_number"
    OVER_CAP = "over_cap"
    LOOP = "loop"
    OPTED_OUT = "opted_out"
    UNCONFIRMED = "unconfirmed"
    ENCRYPTED = "encrypted"
    TOO_LONG = "too_long"
    EMPTY = "empty"
    MEDIA_REFUSED = "media_refused"
    MEDIA_UNFETCHED = "media_unfetched"
    INVALID_DESTINATION = "invalid_destination"
    CARRIER_REFUSED = "carrier_refused"
    QUOTA = "quota"
    FUNDS = "funds"
    ACCOUNT_FAULT = "account_fault"
    LINE_FAULT = "line_fault"
    THROTTLED = "throttled"
    PROVIDER_DOWN = "provider_down"
    LOCKED = "locked"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNSURE = "unsure"
    NO_ROOM = "no_room"
    NOT_STORED = "not_stored"
    BUG = "bug"

    @property
    def words(self) -> Phrase:
        """The sentence for the person who wrote."""
        return Say[self.name]()


class Hold(StrEnum):
    """Why parts wait without being tried."""

    QUOTA = "quota"
    ACCOUNT = "account"
    LINE = "line"
    LOCKDOWN = "lockdown"
    RESTORE = "restore"
    PAUSE = "pause"
    CONFIRM = "confirm"
    MEDIA = "media"


class SmsbridgeError(Exception):
    """The root of the tree above."""


class Refused(SmsbridgeError):
    """We do not take this text. `words` overrides the reason's own sentence; `instead` is the right address."""

    def __init__(self, reason: Reason, words: Words = "", *, instead: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.words = words
        self.instead = instead


class Outcome(SmsbridgeError):
    """A provider's answer that is not "accepted".

    `code` is the carrier's own word (or `http_502`, `timeout`), `words` a sentence for the person who wrote.
    """

    def __init__(self, reason: Reason, code: str, words: Words = "") -> None:
        super().__init__(f"{reason.value} ({code})")
        self.reason = reason
        self.code = code
        self.words = words


class Rejected(Outcome):
    """Certainly not sent, and trying again would not help."""


class Deferred(Outcome):
    """Certainly not sent now. `after`: not before; `hold`: all parts of the account or the line must wait."""

    def __init__(
        self,
        reason: Reason,
        code: str,
        words: Words = "",
        *,
        after: timedelta | None = None,
        hold: Hold | None = None,
    ) -> None:
        super().__init__(reason, code, words)
        self.after = after
        self.hold = hold


class Indeterminate(Outcome):
    """The request left and no answer that can be trusted came back."""

    def __init__(self, code: str, words: Words = "") -> None:
        super().__init__(Reason.UNSURE, code, words)


class Unauthentic(SmsbridgeError):
    """The callback did not prove that it comes from the carrier."""


class Malformed(SmsbridgeError):
    """The callback is authentic, but not understood. The text says what was missing, never what was there."""


class StoreUnavailable(SmsbridgeError):
    """The store could not commit; whether it did is unknown until it is read again."""


class NoRoom(StoreUnavailable):
    """There is no room for it, or too little is left to begin something new. A new start would not make any."""
