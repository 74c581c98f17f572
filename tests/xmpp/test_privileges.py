"""We write in an owner's name only where the owner's own server has said so, on this very stream."""

from xml.etree import ElementTree as ET

import pytest

from smsbridge.xmpp.privileges import Privileges

OWNER = "john@example.com"
OUTGOING = "<perm access='message' type='outgoing'/>"


@pytest.fixture
def privileges():
    return Privileges()


def told(perms, *, sender="example.com", version=2, kind=""):
    return ET.XML(
        f"<message xmlns='jabber:component:accept' from='{sender}' to='sms.example.com'{kind}>"
        f"<privilege xmlns='urn:xmpp:privilege:{version}'>{perms}</privilege></message>"
    )


def test_nothing_is_known_before_the_server_has_spoken(privileges):
    assert privileges.speaks_for(OWNER) is None


def test_a_server_that_answered_without_a_grant_grants_nothing(privileges):
    privileges.settle()
    assert privileges.speaks_for(OWNER) is False


def test_a_grant_is_for_the_users_of_its_host_alone(privileges):
    assert privileges.take(told(f"<perm access='roster' type='both'/>{OUTGOING}"))
    assert privileges.speaks_for(OWNER) is True
    privileges.settle()
    assert privileges.speaks_for("john@example.net") is False
    assert privileges.speaks_for("example.com@example.net") is False


@pytest.mark.parametrize(
    "perms",
    ["", "<perm access='message' type='none'/>", "<perm access='roster' type='outgoing'/>", "<perm access='message'/>"],
)
def test_what_grants_something_else_grants_no_messages(privileges, perms):
    assert privileges.take(told(perms))
    assert privileges.speaks_for(OWNER) is False


def test_a_grant_may_be_taken_back(privileges):
    privileges.take(told(OUTGOING))
    privileges.take(told(""))
    assert privileges.speaks_for(OWNER) is False


@pytest.mark.parametrize(
    "stanza",
    [
        told(OUTGOING, version=1),  # ejabberd 23.01
        told(OUTGOING, sender="mallory@example.com"),
        told(OUTGOING, sender="mallory@example.com/example.com"),
        told(OUTGOING, kind=" type='error'"),
        ET.XML(f"<iq xmlns='jabber:component:accept' from='example.com'>{ET.tostring(told(OUTGOING)).decode()}</iq>"),
    ],
)
def test_only_a_host_speaks_for_its_users_and_only_in_version_2(privileges, stanza):
    assert not privileges.take(stanza)
    privileges.settle()
    assert privileges.speaks_for(OWNER) is False


def test_another_stream_begins_with_other_grants(privileges):
    privileges.take(told(OUTGOING))
    privileges.settle()
    privileges.lost()
    assert privileges.speaks_for(OWNER) is None


def test_a_contact_list_is_kept_where_reading_and_writing_it_is_granted(privileges):
    assert privileges.keeps_roster_of(OWNER) is None
    privileges.take(told("<perm access='roster' type='both'/>"))
    assert (privileges.keeps_roster_of(OWNER), privileges.speaks_for(OWNER)) == (True, False)
    for kind in ("get", "set", "none", "outgoing"):
        privileges.take(told(f"<perm access='roster' type='{kind}'/>"))
        assert privileges.keeps_roster_of(OWNER) is False
