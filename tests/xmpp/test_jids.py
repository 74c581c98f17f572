"""The one normal form of a JID, for stanzas and for the configuration."""

import pytest

from smsbridge.xmpp.jids import bare, full, localpart_of, owner_jid


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("john@example.com", "john@example.com"),
        ("John@Example.COM", "john@example.com"),
        ("john@example.com.", "john@example.com"),
        ("john@example.com./phone", "john@example.com"),
        ("+15559870002%+15551230001@sms.example.com", "+15559870002%+15551230001@sms.example.com"),
        ("SMS.example.com", "sms.example.com"),
        ("jörg@straße.example", "jörg@strasse.example"),
    ],
)
def test_every_spelling_of_a_jid_has_one_bare_form(written, normal):
    assert bare(written) == normal
    assert bare(bare(written)) == normal


@pytest.mark.parametrize("written", ["", "@example.com", "john@", "jo hn@example.com", "a@b@c", "john@exa mple"])
def test_what_is_no_jid_is_a_value_error(written):
    for function in (bare, full, localpart_of, owner_jid):
        with pytest.raises(ValueError, match="not a valid JID"):
            function(written)


def test_a_full_jid_keeps_its_resource_as_it_is():
    assert full("John@Example.com./My Phone") == "john@example.com/My Phone"
    assert full("John@Example.com") == "john@example.com"


def test_the_localpart_is_normalised_and_may_be_missing():
    assert localpart_of("John@example.com/x") == "john"
    assert localpart_of("sms.example.com") == ""


def test_an_owner_is_a_person_without_a_resource():
    assert owner_jid("John@Example.com.") == "john@example.com"
    with pytest.raises(ValueError, match=r"write john@example\.com"):
        owner_jid("John@example.com/phone")
    with pytest.raises(ValueError, match="a name and @ are missing"):
        owner_jid("example.com")


def test_a_letter_that_folds_twice_is_folded_to_the_end() -> None:
    assert bare("\u03f9") == bare(bare("\u03f9")) == "\u03c3"
