"""sendSMS and sendMMS.

An SMS is at most 160 bytes of UTF-8 (not characters, whatever the manual says) and is never split here. An MMS holds
2048 bytes and three media, each a URL (kept, not fetched) or a base64 `data:` URI; parameters of other names, such
as a fourth medium, are silently ignored. There is no idempotency: the same call twice is two messages.
"""

import base64
import binascii
import re
from collections.abc import Mapping

from smsbridge.sim.account import Account, DidSettings, ten_digits
from smsbridge.sim.ledger import Attachment, Direction, Kind, Ledger, Row
from smsbridge.sim.statuses import Refusal

SMS_BYTES = 160
MMS_BYTES = 2048
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
SENDABLE = re.compile(r"image/(jpe?g|gif|png)|audio/(mpeg|mp3|(x-)?wav|midi?)|video/(mp4|3gpp)")


def send_sms(account: Account, ledger: Ledger, params: Mapping[str, str]) -> dict[str, object]:
    settings, dst, message = _addressed(account, params)
    if not message:
        raise Refusal("message_empty")
    if len(message.encode()) > SMS_BYTES:
        raise Refusal("sms_toolong")
    account.charge()
    row = _record(account, ledger, Kind.SMS, settings, dst, message, ())
    return {"status": "success", "sms": account.loose.number("sms", row.id)}


def send_mms(account: Account, ledger: Ledger, params: Mapping[str, str]) -> dict[str, object]:
    settings, dst, message = _addressed(account, params)
    if not settings.mms_available:
        raise Refusal("invalid_did")
    written = [params.get(f"media{n}", "").strip() for n in (1, 2, 3)]
    media = tuple(_attachment(account, text) for text in written if text)
    if not message and not media:
        raise Refusal("message_empty")
    if len(message.encode()) > MMS_BYTES:
        raise Refusal("sms_toolong")
    account.charge()
    row = _record(account, ledger, Kind.MMS, settings, dst, message, media)
    return {"status": "success", "mms": account.loose.number("mms", row.id)}


def _addressed(account: Account, params: Mapping[str, str]) -> tuple[DidSettings, str, str]:
    if not params.get("did"):
        raise Refusal("missing_did")
    if not params.get("dst"):
        raise Refusal("missing_params")
    settings = account.own(params["did"])
    if not settings.sms_enabled:
        raise Refusal("invalid_did")
    dst = ten_digits(params["dst"])
    if dst is None:
        raise Refusal("invalid_dst")
    return settings, dst, params.get("message", "")


def _attachment(account: Account, written: str) -> Attachment:
    if written.startswith(("https://", "http://")):
        return Attachment(content_type="", url=written)
    match = DATA_URI.fullmatch(written)
    if match is None:
        raise Refusal("no_base64file")
    try:
        content = base64.b64decode(match[2], validate=True)
    except binascii.Error as error:
        raise Refusal("no_base64file") from error
    if not content:
        raise Refusal("missing_file")
    if not SENDABLE.fullmatch(match[1]):
        raise Refusal("invalid_file")
    if len(content) > account.config.largest_file:
        raise Refusal("exceeds_file_size")
    return Attachment(content_type=match[1], content=content)


def _record(
    account: Account,
    ledger: Ledger,
    kind: Kind,
    settings: DidSettings,
    dst: str,
    message: str,
    media: tuple[Attachment, ...],
) -> Row:
    number = ledger.next_id(kind)
    hosted = tuple(account.host(item, number, part) if item.content else item for part, item in enumerate(media))
    row = Row(
        id=number,
        kind=kind,
        direction=Direction.SENT,
        did=settings.did,
        peer=dst,
        message=message,
        media=hosted,
        at=account.now(),
        method="sendSMS" if kind is Kind.SMS else "sendMMS",
    )
    ledger.record(row)
    return row
