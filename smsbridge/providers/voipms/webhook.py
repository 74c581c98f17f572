"""What VoIP.ms tells us when a text comes in: a JSON webhook (POST) or the classic URL callback (GET).

Neither is signed: a secret in the query is all there is, as `key` (mod_voipms' name) or `token`. The webhook's body
imitates Telnyx's. The callback is a template of the portal's, whose variables may arrive unfilled; it does not tell
SMS from MMS, its media come later in a repeat or as a comma list with empty slots, its date is US-Eastern without
saying so. Both are read tolerantly: a loose type never costs a message, only a missing number does.
"""

import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from smsbridge.core.address import Peer, PeerKind, kind_of, normalise_peer
from smsbridge.core.errors import Malformed, Unauthentic
from smsbridge.core.message import InboundMessage, Kind, Media, ProviderMessageId, ProviderName, Source
from smsbridge.core.text import decode, join_surrogates
from smsbridge.providers.contract import Callback, Parsed
from smsbridge.providers.voipms import loose
from smsbridge.providers.voipms.api import id_of

RECEIVED: Final = "message.received"
KEY_NAMES: Final = frozenset({"key", "token"})
LONGEST_LABEL: Final = 64

_JSON: Final = json.JSONDecoder()
_AROUND: Final = " \t\r\n\ufeff"
_KINDS: Final = {"SMS": Kind.SMS, "MMS": Kind.MMS}


class _Told(NamedTuple):
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
    text = decode(body).strip(_AROUND)
    try:
        document, end = _JSON.raw_decode(text)  # json.loads looks for blanks with patterns
    except (ValueError, RecursionError):
        raise Malformed("no JSON") from None
    if end != len(text):
        raise Malformed("more than JSON")
    envelope = loose.member(document, "data")
    if loose.member(envelope, "event_type") not in (None, RECEIVED):
        return None
    payload = loose.member(envelope, "payload")
    if not isinstance(payload, dict):
        raise Malformed("no payload")
    return _Told(
        source=Source.WEBHOOK,
        kind=loose.text_of(payload.get("type")).upper(),
        sender=(loose.each(payload.get("from"), "phone_number") or ("",))[0],
        recipients=loose.each(payload.get("to"), "phone_number"),
        text=loose.text_of(payload.get("text")),
        media=loose.each(payload.get("media"), "url"),
        id=id_of(payload.get("id")) or id_of(loose.member(envelope, "id")),
        date=loose.text_of(payload.get("received_at")),
    )


def _read_template(query: Iterable[tuple[str, str]]) -> _Told:
    first: dict[str, str] = {}
    for name, value in query:
        first.setdefault(name, join_surrogates(value))
    filled = {name: "" if value in loose.UNFILLED else value for name, value in first.items()}
    return _Told(
        source=Source.CALLBACK,
        kind="",
        sender=filled.get("from", "").strip(),
        recipients=loose.filled([filled.get("to", "")]),
        text=first.get("message", ""),
        media=loose.filled(filled.get("media", "").split(",")),
        id=id_of(filled.get("id")),
        date=filled.get("date", ""),
    )


def _messages(told: _Told, provider: ProviderName) -> tuple[InboundMessage, ...]:
    if not told.sender:
        raise Malformed("no number it comes from")
    dids = [did for did in dict.fromkeys(map(loose.did_of, told.recipients)) if did]
    if not dids:
        raise Malformed("no number it goes to")
    peer = normalise_peer(told.sender)
    recipients = dict.fromkeys(map(normalise_peer, told.recipients)) if len(told.recipients) > 1 else ()
    return tuple(
        [
            InboundMessage(
                provider=provider,
                source=told.source,
                kind=_KINDS.get(told.kind, Kind.MMS if told.media else Kind.UNTOLD),
                did=did,
                peer=peer,
                provider_id=told.id,
                text=told.text,
                media=tuple([Media(url=loose.absolute(url)) for url in told.media]),
                sent_at=loose.instant_of(told.date),
                label=told.sender[:LONGEST_LABEL] if kind_of(peer) is PeerKind.ALPHANUMERIC else "",
                others=tuple([other for other in recipients if other != Peer(did)]),
            )
            for did in dids
        ]
    )
