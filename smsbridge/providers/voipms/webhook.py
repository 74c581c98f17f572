"""What VoIP.ms tells us when a text comes in: a JSON webhook (POST) or the classic URL callback (GET).

Neither is signed: a secret in the query is all there is, as `key` (mod_voipms' name) or `token`. The webhook's body
imitates Telnyx's. The callback is a template of the portal's, whose variables may arrive unfilled; it does not tell
SMS from MMS, its media come later in a repeat or as a comma list with empty slots, its date is US-Eastern without
saying so. Both are read tolerantly: a loose type never costs a message, only a missing number does.
"""

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from smsbridge.core.address import Did, Peer, PeerKind, kind_of, normalise_did, normalise_peer
from smsbridge.core.errors import Malformed, Unauthentic
from smsbridge.core.message import InboundMessage, Kind, Media, ProviderMessageId, ProviderName, Source
from smsbridge.core.text import decode, join_surrogates
from smsbridge.providers.contract import Callback, Parsed
from smsbridge.providers.voipms.api import id_of

EASTERN: Final = ZoneInfo("America/New_York")
MEDIA_ROOT: Final = "https://voip.ms/"
RECEIVED: Final = "message.received"
KEY_NAMES: Final = frozenset({"key", "token"})
LONGEST_LABEL: Final = 64

_UNFILLED: Final = frozenset({"{FROM}", "{TO}", "{ID}", "{TIMESTAMP}", "{MEDIA}"})
_KINDS: Final = {"SMS": Kind.SMS, "MMS": Kind.MMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What either form says, before its numbers are understood."""

    source: Source
    kind: str
    sender: str
    recipients: tuple[str, ...]
    text: str
    media: tuple[str, ...]
    id: ProviderMessageId | None
    date: str


def authenticate(callback: Callback, keys: Sequence[bytes]) -> None:
    """Raises `Unauthentic` unless the query shows exactly one key and it is one of ours."""
    shown = [value for name, value in callback.query if name in KEY_NAMES]
    if len(shown) != 1:
        raise Unauthentic("not exactly one key in the query")
    candidate = shown[0].encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(candidate, key) for key in keys]  # all of them, whichever it is
    if not any(matches):
        raise Unauthentic("the key is not ours")


def parse(callback: Callback, provider: ProviderName) -> Parsed:
    """The text in a callback, once for each number it was sent to; nothing for an event of another type."""
    match callback.method:
        case "POST":
            told = _read_webhook(callback.body)
        case "GET":
            told = _read_template(callback.query)
        case _:
            raise Malformed("neither a GET nor a POST")
    return Parsed(events=_messages(told, provider) if told else ())


def _read_webhook(body: bytes) -> _Told | None:
    try:
        document: object = json.loads(decode(body).removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise Malformed("no JSON") from None
    envelope = _member(document, "data")
    if _member(envelope, "event_type") not in (None, RECEIVED):
        return None
    payload = _member(envelope, "payload")
    if not isinstance(payload, dict):
        raise Malformed("no payload")
    return _Told(
        source=Source.WEBHOOK,
        kind=_text(payload.get("type")).upper(),
        sender=next(iter(_each(payload.get("from"), "phone_number")), ""),
        recipients=_each(payload.get("to"), "phone_number"),
        text=_text(payload.get("text")),
        media=_each(payload.get("media"), "url"),
        id=id_of(payload.get("id")) or id_of(_member(envelope, "id")),
        date=_text(payload.get("received_at")),
    )


def _read_template(query: Iterable[tuple[str, str]]) -> _Told:
    first: dict[str, str] = {}
    for name, value in query:
        first.setdefault(name, join_surrogates(value))
    filled = {name: "" if value in _UNFILLED else value for name, value in first.items()}
    return _Told(
        source=Source.CALLBACK,
        kind="",
        sender=filled.get("from", "").strip(),
        recipients=_filled([filled.get("to", "")]),
        text=first.get("message", ""),
        media=_filled(filled.get("media", "").split(",")),
        id=id_of(filled.get("id")),
        date=filled.get("date", ""),
    )


def _messages(told: _Told, provider: ProviderName) -> tuple[InboundMessage, ...]:
    if not told.sender:
        raise Malformed("no number it comes from")
    dids = list(dict.fromkeys(did for did in map(_did, told.recipients) if did))
    if not dids:
        raise Malformed("no number it goes to")
    peer = normalise_peer(told.sender)
    recipients = dict.fromkeys(map(normalise_peer, told.recipients))
    return tuple(
        InboundMessage(
            provider=provider,
            source=told.source,
            kind=_KINDS.get(told.kind, Kind.MMS if told.media else Kind.UNTOLD),
            did=did,
            peer=peer,
            provider_id=told.id,
            text=told.text,
            media=tuple(Media(url=_absolute(url)) for url in told.media),
            sent_at=_instant(told.date),
            label=told.sender[:LONGEST_LABEL] if kind_of(peer) is PeerKind.ALPHANUMERIC else "",
            others=tuple(other for other in recipients if other != Peer(did)),
        )
        for did in dids
    )


def _did(raw: str) -> Did | None:
    try:
        return normalise_did(raw)
    except ValueError:
        return None


def _instant(raw: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(raw)
        return (moment if moment.tzinfo else moment.replace(tzinfo=EASTERN)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _absolute(url: str) -> str:
    return url if "://" in url else MEDIA_ROOT + url.lstrip("/")


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _each(value: object, name: str) -> tuple[str, ...]:
    """The texts in a list, or in what should have been one; each may be wrapped as `{name: text}`."""
    entries = value if isinstance(value, list) else [value]
    return _filled(_text(entry.get(name) if isinstance(entry, dict) else entry) for entry in entries)


def _filled(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(stripped for stripped in map(str.strip, texts) if stripped and stripped not in _UNFILLED)


def _text(value: object) -> str:
    """A text that may have been written as a number; "" for null and all else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return join_surrogates(str(value))
