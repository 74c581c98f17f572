"""How a refusal or a failure is said: one row per `Reason` (type, condition); its sentence is in the catalogue.

What clients do with an error stanza decides its form: it echoes the id of the text, comes from exactly the JID that
was written to, and always has words. Dino shows nothing for `cancel` with `recipient-unavailable`, so no row has it.
The sentence for `not_owner` is the same for every stranger and every address: it tells nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.say import Language, Say, Words
from smsbridge.core.words.wording import worded
from smsbridge.xmpp import wire

_R = Reason


@dataclass(frozen=True, slots=True)
class StanzaError:
    """A row: RFC 6120 8.3.2 `type`, 8.3.3 `condition`."""

    type: str
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an answer needs to know of the stanza it answers; `sender` is full, `addressed` exactly as it came."""

    name: str
    sender: str
    addressed: str
    id: str
    type: str
    lang: str = ""


ERRORS: Final[Mapping[Reason, StanzaError]] = MappingProxyType(
    {
        _R.NOT_OWNER: StanzaError("auth", "forbidden"),
        _R.BAD_ADDRESS: StanzaError("cancel", "item-not-found"),
        _R.MOVED_ADDRESS: StanzaError("cancel", "gone"),  # RFC 6120, 8.3.3.5: its content is the right address
        _R.NOT_ANSWERABLE: StanzaError("cancel", "not-allowed"),
        _R.GROUP_UNSUPPORTED: StanzaError("cancel", "feature-not-implemented"),
        _R.DESTINATION_REFUSED: StanzaError("cancel", "not-allowed"),
        _R.OWN_NUMBER: StanzaError("cancel", "not-allowed"),
        _R.OVER_CAP: StanzaError("wait", "resource-constraint"),
        _R.LOOP: StanzaError("wait", "policy-violation"),
        _R.OPTED_OUT: StanzaError("cancel", "policy-violation"),
        _R.UNCONFIRMED: StanzaError("wait", "policy-violation"),
        _R.ENCRYPTED: StanzaError("modify", "bad-request"),
        _R.TOO_LONG: StanzaError("modify", "not-acceptable"),
        _R.EMPTY: StanzaError("modify", "not-acceptable"),
        _R.MEDIA_REFUSED: StanzaError("modify", "not-acceptable"),
        _R.MEDIA_UNFETCHED: StanzaError("wait", "remote-server-timeout"),
        _R.INVALID_DESTINATION: StanzaError("cancel", "item-not-found"),
        _R.CARRIER_REFUSED: StanzaError("cancel", "not-allowed"),
        _R.QUOTA: StanzaError("wait", "resource-constraint"),
        _R.FUNDS: StanzaError("wait", "resource-constraint"),
        _R.ACCOUNT_FAULT: StanzaError("wait", "internal-server-error"),
        _R.LINE_FAULT: StanzaError("wait", "internal-server-error"),
        _R.THROTTLED: StanzaError("wait", "resource-constraint"),
        _R.PROVIDER_DOWN: StanzaError("wait", "remote-server-timeout"),
        _R.LOCKED: StanzaError("wait", "policy-violation"),
        _R.EXPIRED: StanzaError("wait", "remote-server-timeout"),
        _R.CANCELLED: StanzaError("cancel", "not-allowed"),
        _R.UNSURE: StanzaError("wait", "remote-server-timeout"),
        _R.NO_ROOM: StanzaError("wait", "resource-constraint"),
        _R.NOT_STORED: StanzaError("wait", "internal-server-error"),
        _R.BUG: StanzaError("wait", "internal-server-error"),
    }
)


def error_reply(envelope: Envelope, refused: Refused, *, domain: str, language: Language = Language.ENGLISH) -> bytes:
    """The answer to a stanza that was refused at once; raises `Unrenderable`."""
    reply = wire.stanza(
        envelope.name, sender=envelope.addressed, to=envelope.sender, stanza_id=envelope.id, stanza_type="error"
    )
    instead = refused.instead and (refused.instead if "@" in refused.instead else f"{refused.instead}@{domain}")
    words = refused.words or (Say.MOVED_TO(instead=instead) if instead else "")
    add_error(reply, refused.reason, words, language, instead=instead)
    return wire.serialise(reply, domain=domain)


def add_error(stanza: ET.Element, reason: Reason, words: Words, language: Language, *, instead: str = "") -> None:
    """Say `reason` in a stanza of type error; `words` take the place of its own, `instead` is a whole JID."""
    row = ERRORS[reason]
    error = wire.add(stanza, "error", type=row.type)
    right = _uri(instead) if instead and row.condition == "gone" else ""
    wire.add(error, row.condition, wire.STANZA_ERRORS, text=right)
    text = worded(words or reason.words, language)
    wire.add(error, "text", wire.STANZA_ERRORS, text=text).set(wire.LANG, language)


def _uri(jid: str) -> str:
    """RFC 5122, 2.2: the signs of a node that may stand as they are."""
    node, _, host = jid.partition("@")
    return f"xmpp:{quote(node, safe='!$()*+,;=')}@{host}"
