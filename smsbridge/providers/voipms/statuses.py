"""What VoIP.ms' status codes mean for a text that was to be sent.

The carrier knows some 480 codes; those that could come back from a send, or that show a bug of ours, are listed.
One that is not listed proves nothing: `Indeterminate`. The empty results of listings (`no_sms`, `no_mms`, `no_did`)
are no answer to a send, so they stand outside on purpose.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason, Rejected
from smsbridge.core.words.say import Phrase, Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Certainly not sent. `is_final`: never will be; `attempts`: final from the attempt after so many."""

    reason: Reason
    words: Phrase
    is_final: bool
    hold: Hold | None = None
    after: timedelta | None = None
    attempts: int | None = None


def _never(reason: Reason, words: Phrase) -> Status:
    return Status(reason=reason, words=words, is_final=True)


def _later(reason: Reason, words: Phrase, after: timedelta | None = None, attempts: int | None = None) -> Status:
    return Status(reason=reason, words=words, is_final=False, after=after, attempts=attempts)


def _held(reason: Reason, hold: Hold, words: Phrase) -> Status:
    return Status(reason=reason, words=words, is_final=False, hold=hold)


CARRIER: Final = "VoIP.ms"
_MINUTE: Final = timedelta(minutes=1)
_LOGIN: Final = Say.CARRIER_LOGIN(carrier=CARRIER)
_OUTDATED: Final = Say.CARRIER_OUTDATED(carrier=CARRIER)
_NOT_ENABLED: Final = Say.CARRIER_LINE_OFF(carrier=CARRIER)
_BUG: Final = Say.CARRIER_BUG(carrier=CARRIER)
_FILE: Final = Say.CARRIER_FILE(carrier=CARRIER)

STATUSES: Final[Mapping[str, Status]] = {
    # the account
    "missing_credentials": _held(Reason.ACCOUNT_FAULT, Hold.ACCOUNT, _LOGIN),
    "invalid_credentials": _held(Reason.ACCOUNT_FAULT, Hold.ACCOUNT, _LOGIN),
    "api_not_enabled": _held(Reason.ACCOUNT_FAULT, Hold.ACCOUNT, Say.CARRIER_API_OFF(carrier=CARRIER)),
    "ip_not_enabled": _held(
        Reason.ACCOUNT_FAULT,
        Hold.ACCOUNT,
        Say.CARRIER_ADDRESS(carrier=CARRIER),
    ),
    "missing_method": _held(Reason.ACCOUNT_FAULT, Hold.ACCOUNT, _OUTDATED),
    "invalid_method": _held(Reason.ACCOUNT_FAULT, Hold.ACCOUNT, _OUTDATED),
    "non_sufficient_funds": _held(Reason.FUNDS, Hold.ACCOUNT, Say.CARRIER_FUNDS(carrier=CARRIER)),
    "limit_reached": _held(Reason.QUOTA, Hold.QUOTA, Say.CARRIER_QUOTA(carrier=CARRIER)),
    # the line
    "invalid_did": _held(Reason.LINE_FAULT, Hold.LINE, _NOT_ENABLED),
    "missing_did": _held(Reason.LINE_FAULT, Hold.LINE, _NOT_ENABLED),
    "sms_apply_regulations": _held(Reason.LINE_FAULT, Hold.LINE, Say.CARRIER_REGULATIONS(carrier=CARRIER)),
    # the hour
    "api_limit_exceeded": _later(Reason.THROTTLED, Say.CARRIER_MINUTE_FULL(carrier=CARRIER), after=_MINUTE),
    "sms_wait_message": _later(Reason.THROTTLED, Say.CARRIER_WANTS_A_MINUTE(carrier=CARRIER), after=_MINUTE),
    "method_maintenance": _later(Reason.PROVIDER_DOWN, Say.CARRIER_MAINTENANCE(carrier=CARRIER)),
    "provider_outofservice": _later(Reason.PROVIDER_DOWN, Say.CARRIER_BEHIND_IT(carrier=CARRIER)),
    "unavailable_info": _later(Reason.PROVIDER_DOWN, Say.CARRIER_UNAVAILABLE(carrier=CARRIER)),
    "tls_error": _later(Reason.PROVIDER_DOWN, Say.CARRIER_CONNECTIONS(carrier=CARRIER)),
    # the message
    "invalid_dst": _never(Reason.INVALID_DESTINATION, Say.CARRIER_DESTINATION(carrier=CARRIER)),
    "sms_toolong": _never(Reason.TOO_LONG, Say.CARRIER_TOO_LONG(carrier=CARRIER)),
    "message_empty": _never(Reason.EMPTY, Say.CARRIER_EMPTY(carrier=CARRIER)),
    # seen for two days after a number was ported, and for what a carrier's filter dislikes
    "sms_failed": _later(Reason.CARRIER_REFUSED, Say.CARRIER_OF_PEER(), after=5 * _MINUTE, attempts=1),
    # the attachment
    "exceeds_file_size": _never(Reason.MEDIA_REFUSED, Say.CARRIER_FILE_LARGE(carrier=CARRIER)),
    "invalid_file": _never(Reason.MEDIA_REFUSED, _FILE),
    "missing_file": _never(Reason.MEDIA_REFUSED, _FILE),
    "no_base64file": _never(Reason.MEDIA_REFUSED, _FILE),
    # ourselves
    "missing_params": _never(Reason.BUG, _BUG),
    "missing_sms": _never(Reason.BUG, _BUG),
    "missing_id": _never(Reason.BUG, _BUG),
    "invalid_sms": _never(Reason.BUG, _BUG),
    "invalid_id": _never(Reason.BUG, _BUG),
    "invalid_contact": _never(Reason.BUG, _BUG),
    "invalid_type": _never(Reason.BUG, _BUG),
    "invalid_timezone": _never(Reason.BUG, _BUG),
    "invalid_date": _never(Reason.BUG, _BUG),
    "invalid_date_from": _never(Reason.BUG, _BUG),
    "invalid_daterange": _never(Reason.BUG, _BUG),
    "invalid_callback": _never(Reason.BUG, _BUG),
    "invalid_callback_enable": _never(Reason.BUG, _BUG),
    "invalid_callback_retry": _never(Reason.BUG, _BUG),
    "invalid_sms_forward": _never(Reason.BUG, _BUG),
    "invalid_forward_enable": _never(Reason.BUG, _BUG),
    "invalid_email_enable": _never(Reason.BUG, _BUG),
    "invalid_smpp_url": _never(Reason.BUG, _BUG),
    "invalid_smpp_username": _never(Reason.BUG, _BUG),
    "invalid_smpp_password": _never(Reason.BUG, _BUG),
}

_CODE: Final = re.compile(r"[a-z0-9_]{1,64}")


def code_of(status: object) -> str:
    """A status as a code that may be logged; anything that does not look like one is not repeated."""
    return status if isinstance(status, str) and _CODE.fullmatch(status) else "unreadable_status"


def outcome_of(status: object, attempt: int) -> Outcome:
    """What a status other than `success` means for the `attempt`th try, counted from 1."""
    code = code_of(status)
    row = STATUSES.get(code)
    if row is None:
        return Indeterminate(code)
    if row.is_final or (row.attempts is not None and attempt > row.attempts):
        return Rejected(row.reason, code, row.words)
    return Deferred(row.reason, code, row.words, after=row.after, hold=row.hold)
