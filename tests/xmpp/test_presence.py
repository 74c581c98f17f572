"""Which presence is answered by what."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.core.address import Did
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import ProviderName
from smsbridge.xmpp import wire
from smsbridge.xmpp.errors import Envelope
from smsbridge.xmpp.presence import Answer, answer_presence, render_answers
from tests.fakes.outlooks import look

DOMAIN = "sms.example.com"
NUMBER = "+15559870002@sms.example.com"
OWNER, BOB = "ann@example.com", "bob@example.com"
FULL = "ann@example.com/Laptop"
LOOK = look()
DIRECTORY = Directory(
    [
        Line(did=Did("+15551230001"), provider=ProviderName("voipms"), owners=(OWNER,)),
        Line(did=Did("+15551230002"), provider=ProviderName("voipms"), owners=(BOB,)),
    ]
)


def answers(kind: str, sender: str = FULL, to: str = NUMBER) -> list[Answer]:
    envelope = Envelope(name="presence", sender=sender, addressed=to, id="p1", type=kind)
    return answer_presence(envelope, directory=DIRECTORY, domain=DOMAIN)


def said(kind: str, sender: str = FULL, to: str = NUMBER) -> list[tuple[str, str, str]]:
    """What goes out, as (type, from, to)."""
    stanzas = [ET.XML(xml) for xml in render_answers(answers(kind, sender, to), LOOK)]
    assert all(stanza.tag == "presence" for stanza in stanzas)
    return [(stanza.get("type", ""), stanza.get("from"), stanza.get("to")) for stanza in stanzas]


def test_an_owner_who_subscribes_is_let_in_and_asked_back() -> None:
    assert said("subscribe", OWNER) == [
        ("subscribed", NUMBER, OWNER),
        ("", f"{NUMBER}/phone", OWNER),
        ("subscribe", NUMBER, OWNER),
    ]


@pytest.mark.parametrize("kind", ["", "probe"])
@pytest.mark.parametrize("to", [NUMBER, f"{NUMBER}/phone"])
@pytest.mark.parametrize("sender", [OWNER, FULL])
def test_an_owners_presence_and_probe_are_answered_by_one_available(kind: str, to: str, sender: str) -> None:
    assert said(kind, sender, to) == [("", f"{NUMBER}/phone", sender)]


def test_the_gateway_itself_is_available_under_its_bare_name() -> None:
    assert said("probe", to=DOMAIN) == [("", DOMAIN, FULL)]
    assert said("subscribe", OWNER, DOMAIN)[0] == ("subscribed", DOMAIN, OWNER)


def test_an_owner_who_leaves_is_let_go() -> None:
    assert said("unsubscribe") == [("unsubscribed", NUMBER, OWNER)]


@pytest.mark.parametrize("kind", ["unavailable", "error", "subscribed", "unsubscribed", "invented"])
@pytest.mark.parametrize("sender", [FULL, "eve@example.com"])
def test_what_needs_no_answer_gets_none(kind: str, sender: str) -> None:
    assert answers(kind, sender) == []


@pytest.mark.parametrize("to", [NUMBER, "+15551230001@sms.example.com", "nonsense!,@sms.example.com", DOMAIN])
def test_a_stranger_who_subscribes_hears_the_same_everywhere(to: str) -> None:
    (xml,) = render_answers(answers("subscribe", "eve@example.com", to), LOOK)
    stanza = ET.XML(xml)
    assert stanza.attrib == {"from": to, "to": "eve@example.com", "id": "p1", "type": "error"}
    assert [child.tag for child in stanza[0]] == [
        f"{{{wire.STANZA_ERRORS}}}forbidden",
        f"{{{wire.STANZA_ERRORS}}}text",
    ]


@pytest.mark.parametrize("kind", ["", "probe", "unsubscribe"])
def test_a_stranger_learns_nothing_else(kind: str) -> None:
    assert answers(kind, "eve@example.com/x") == []


def test_a_line_of_somebody_else_is_no_contact() -> None:
    to = "+15559870002%+15551230002@sms.example.com"
    assert answers("probe", to=to) == []
    (answer,) = answers("subscribe", OWNER, to)
    assert isinstance(answer.refused, Refused)
    assert answer.refused.reason is Reason.NOT_OWNER


def test_an_owners_own_line_may_be_named() -> None:
    to = "+15559870002%+15551230001@sms.example.com"
    assert said("probe", to=to) == [("", f"{to}/phone", FULL)]


def test_a_careless_number_is_answered_with_the_right_one() -> None:
    (xml,) = render_answers(answers("subscribe", OWNER, "5559870002@sms.example.com"), LOOK)
    gone = ET.XML(xml)[0].findtext(f"{{{wire.STANZA_ERRORS}}}gone")
    assert gone == "xmpp:+15559870002@sms.example.com"
    assert answers("probe", to="5559870002@sms.example.com") == []


@pytest.mark.parametrize(
    ("sender", "to"),
    [("", NUMBER), (FULL, ""), (FULL, f"{'x' * 1100}@{DOMAIN}"), (FULL, "x@elsewhere.example.com"), (NUMBER, NUMBER)],
)
def test_what_is_not_between_a_user_and_us_is_not_answered(sender: str, to: str) -> None:
    assert answers("probe", sender, to) == []
