"""The error table, and the form of an error that clients show."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.core.errors import Reason, Refused
from smsbridge.xmpp import wire
from smsbridge.xmpp.errors import ERRORS, Envelope, error_reply
from tests.fakes.words import because

DOMAIN = "sms.example.com"
NUMBER = "+15559870002@sms.example.com/phone"
FULL = "ann@example.com/Laptop 1"
TYPES = {"auth", "cancel", "modify", "wait"}  # RFC 6120, 8.3.2
CONDITIONS = {  # RFC 6120, 8.3.3
    "bad-request", "conflict", "feature-not-implemented", "forbidden", "gone", "internal-server-error",
    "item-not-found", "jid-malformed", "not-acceptable", "not-allowed", "not-authorized", "policy-violation",
    "redirect", "registration-required", "remote-server-not-found", "remote-server-timeout", "resource-constraint",
    "service-unavailable", "subscription-required", "undefined-condition", "unexpected-request",
}  # fmt: skip


def reply(refused: Refused, **given: str) -> ET.Element:
    defaults = {"name": "message", "sender": FULL, "addressed": NUMBER, "id": "m1", "type": "chat"}
    return ET.XML(error_reply(Envelope(**(defaults | given)), refused, domain=DOMAIN))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_row_of_its_own(reason: Reason) -> None:
    row = ERRORS[reason]
    assert row.type in TYPES
    assert row.condition in CONDITIONS


def test_the_table_has_no_other_rows() -> None:
    assert set(ERRORS) == set(Reason)


def test_no_row_is_of_the_kind_that_dino_hides() -> None:
    assert "recipient-unavailable" not in {row.condition for row in ERRORS.values()}


@pytest.mark.parametrize(
    ("reason", "error_type", "condition", "start"),
    [
        (Reason.NOT_OWNER, "auth", "forbidden", "This account may not send texts from here. Ask the administrator"),
        (Reason.BAD_ADDRESS, "cancel", "item-not-found", "This is not an address"),
        (Reason.MOVED_ADDRESS, "cancel", "gone", "This number is written differently"),
        (Reason.ENCRYPTED, "modify", "bad-request", "This message was not sent"),
        (Reason.UNSURE, "wait", "remote-server-timeout", "This text may not have been sent."),
        (Reason.QUOTA, "wait", "resource-constraint", "This text was not sent"),
        (Reason.NOT_STORED, "wait", "internal-server-error", "This text was probably not sent"),
    ],
)
def test_the_rows_that_matter_most_say_what_they_must(
    reason: Reason, error_type: str, condition: str, start: str
) -> None:
    row = ERRORS[reason]
    assert (row.type, row.condition) == (error_type, condition)
    assert because(reason).startswith(start)


def test_a_reply_echoes_the_id_and_turns_the_addresses_round_exactly() -> None:
    message = reply(Refused(Reason.NOT_OWNER))
    assert message.tag == "message"
    assert message.attrib == {"from": NUMBER, "to": FULL, "id": "m1", "type": "error"}
    assert message[0].get("type") == "auth"
    assert message[0].findtext(f"{{{wire.STANZA_ERRORS}}}text") == because(Reason.NOT_OWNER)


def test_a_refusals_own_words_are_said() -> None:
    assert reply(Refused(Reason.NOT_ANSWERABLE, "no short codes"))[0][1].text == "no short codes"


@pytest.mark.parametrize(
    ("instead", "uri", "jid"),
    [
        ("+15559870002", "xmpp:+15559870002@sms.example.com", "+15559870002@sms.example.com"),
        (
            "+15559870002%+15551230001",
            "xmpp:+15559870002%25+15551230001@sms.example.com",
            "+15559870002%+15551230001@sms.example.com",
        ),
        ("a@other.example.com", "xmpp:a@other.example.com", "a@other.example.com"),
    ],
)
def test_a_careless_address_is_answered_with_the_right_one(instead: str, uri: str, jid: str) -> None:
    error = reply(Refused(Reason.MOVED_ADDRESS, instead=instead))[0]
    assert error.findtext(f"{{{wire.STANZA_ERRORS}}}gone") == uri
    assert error[1].text == f"This number is written differently here: write to {jid}."


def test_only_gone_carries_an_address() -> None:
    error = reply(Refused(Reason.BAD_ADDRESS, instead="+15559870002"))[0]
    assert error[0].text is None


@pytest.mark.parametrize("given", [{"sender": ""}, {"addressed": ""}, {"addressed": "x@example.com"}, {"id": "\x00"}])
def test_an_answer_that_would_hurt_the_stream_is_not_made(given: dict[str, str]) -> None:
    with pytest.raises(wire.Unrenderable):
        reply(Refused(Reason.BUG), **given)
