"""How a refusal or a failure is said: one row per `Reason` (type, condition, a sentence for the person who wrote).

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
from smsbridge.xmpp import wire

_R = Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class StanzaError:
    """A row: RFC 6120 8.3.2 `type`, 8.3.3 `condition`, and words."""

    type: str
    condition: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an answer needs to know of the stanza it answers; `sender` is full, `addressed` exactly as it came."""

    name: str
    sender: str
    addressed: str
    id: str
    type: str


def _row(type_: str, condition: str, words: str) -> StanzaError:
    return StanzaError(type=type_, condition=condition, words=words)


ERRORS: Final[Mapping[Reason, StanzaError]] = MappingProxyType(
    {
        _R.NOT_OWNER: _row(
            "auth",
            "forbidden",
            "This account may not send texts from here. Ask the administrator of this gateway for a number.",
        ),
        _R.BAD_ADDRESS: _row(
            "cancel",
            "item-not-found",
            "This is not an address that can be texted. "
            "Write the number with + and country code before the @, such as +15559870002.",
        ),
        _R.MOVED_ADDRESS: _row(
            "cancel",
            "gone",  # RFC 6120, 8.3.3.5: its content is the right address
            "This number is written differently here: with + and country code, such as +15559870002.",
        ),
        _R.NOT_ANSWERABLE: _row("cancel", "not-allowed", "This sender cannot be answered."),
        _R.GROUP_UNSUPPORTED: _row(
            "cancel",
            "feature-not-implemented",
            "Texts to a group are not possible here. Write to each number by itself.",
        ),
        _R.DESTINATION_REFUSED: _row(
            "cancel",
            "not-allowed",
            "Texts to this country or kind of number are not allowed here. Ask the administrator of this gateway.",
        ),
        _R.OWN_NUMBER: _row(
            "cancel", "not-allowed", "This number belongs to this gateway and cannot be texted from it."
        ),
        _R.OVER_CAP: _row(
            "wait",
            "resource-constraint",
            "This text was not sent: you have reached the limit that the administrator of this gateway has set. "
            "Try again later.",
        ),
        _R.LOOP: _row(
            "wait",
            "policy-violation",
            "This text was not sent: it looks like two machines answering each other. Try again later.",
        ),
        _R.OPTED_OUT: _row(
            "cancel",
            "policy-violation",
            "This text was not sent: the other side has asked for no more texts from this number.",
        ),
        _R.UNCONFIRMED: _row(
            "wait",
            "policy-violation",
            "This text was not sent: you were asked whether it is meant, and did not confirm it.",
        ),
        _R.ENCRYPTED: _row(
            "modify",
            "bad-request",
            "This message was not sent: a text cannot be encrypted. Turn encryption off for this contact.",
        ),
        _R.TOO_LONG: _row("modify", "not-acceptable", "This text was not sent: it is too long. Write a shorter one."),
        _R.EMPTY: _row("modify", "not-acceptable", "This text was not sent: there is nothing in it."),
        _R.MEDIA_REFUSED: _row(
            "modify",
            "not-acceptable",
            "This attachment was not sent: it is too large or of a kind that phones do not take.",
        ),
        _R.INVALID_DESTINATION: _row(
            "cancel",
            "item-not-found",
            "This text was not sent: the carrier says that this number cannot take texts. "
            "It may be mistyped, or a landline.",
        ),
        _R.CARRIER_REFUSED: _row(
            "cancel",
            "not-allowed",
            "This text was not delivered: the carrier refused it. The other side may have blocked your number.",
        ),
        _R.QUOTA: _row(
            "wait",
            "resource-constraint",
            "This text was not sent: the carrier's limit on texts is reached. Try again later.",
        ),
        _R.FUNDS: _row(
            "wait",
            "resource-constraint",
            "This text was not sent: the carrier account has no money left. Tell the administrator of this gateway.",
        ),
        _R.ACCOUNT_FAULT: _row(
            "wait",
            "internal-server-error",
            "This text was not sent: the carrier does not accept this gateway's account. "
            "Tell the administrator of this gateway.",
        ),
        _R.LINE_FAULT: _row(
            "wait",
            "internal-server-error",
            "This text was not sent: the carrier does not let this number send texts. "
            "Tell the administrator of this gateway.",
        ),
        _R.THROTTLED: _row(
            "wait",
            "resource-constraint",
            "This text was not sent: the carrier is asked too much at once. Try again later.",
        ),
        _R.PROVIDER_DOWN: _row(
            "wait",
            "remote-server-timeout",
            "This text was not sent: the carrier cannot be reached. Try again later.",
        ),
        _R.LOCKED: _row(
            "wait",
            "policy-violation",
            "This text was not sent: the number is locked, and nothing leaves it. Send it again when it is unlocked.",
        ),
        _R.EXPIRED: _row(
            "wait",
            "remote-server-timeout",
            "This text was not sent: it waited too long for the carrier. Send it again if it still matters.",
        ),
        _R.CANCELLED: _row("cancel", "not-allowed", "This text was cancelled before it was sent."),
        _R.UNSURE: _row(
            "wait",
            "remote-server-timeout",
            "This text may not have been sent. The carrier gave no clear answer, so it was not sent again; "
            "ask the other side before you repeat it.",
        ),
        _R.NO_ROOM: _row(
            "wait",
            "resource-constraint",
            "This text was not sent: this gateway has no room left to keep it. Try again later.",
        ),
        _R.NOT_STORED: _row(
            "wait",
            "internal-server-error",
            "This text was probably not sent: this gateway could not store it. Wait a while for a tick before you "
            "send it again.",
        ),
        _R.BUG: _row(
            "wait",
            "internal-server-error",
            "This text was probably not sent: something went wrong in this gateway. Tell its administrator.",
        ),
    }
)


def error_reply(envelope: Envelope, refused: Refused, *, domain: str) -> bytes:
    """The answer to a stanza that was refused at once; raises `Unrenderable`."""
    reply = wire.stanza(
        envelope.name, sender=envelope.addressed, to=envelope.sender, stanza_id=envelope.id, stanza_type="error"
    )
    instead = refused.instead and (refused.instead if "@" in refused.instead else f"{refused.instead}@{domain}")
    words = refused.words or (instead and f"This number is written differently here: write to {instead}.")
    add_error(reply, refused.reason, words, instead=instead)
    return wire.serialise(reply, domain=domain)


def add_error(stanza: ET.Element, reason: Reason, words: str = "", *, instead: str = "") -> None:
    """Say `reason` in a stanza of type error; `words` take the place of the row's own, `instead` is a whole JID."""
    row = ERRORS[reason]
    error = wire.add(stanza, "error", type=row.type)
    right = _uri(instead) if instead and row.condition == "gone" else ""
    wire.add(error, row.condition, wire.STANZA_ERRORS, text=right)
    wire.add(error, "text", wire.STANZA_ERRORS, text=words or row.words).set(wire.LANG, "en")


def _uri(jid: str) -> str:
    """RFC 5122, 2.2: the signs of a node that may stand as they are."""
    node, _, host = jid.partition("@")
    return f"xmpp:{quote(node, safe='!$()*+,;=')}@{host}"
