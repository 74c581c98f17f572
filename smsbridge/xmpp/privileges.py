"""For whom may we write, whose contact list may we keep? What a server grants by XEP-0356, as it says itself.

A host grants for its own users and nobody else, and only in version 2 of the protocol: ejabberd 23.01 speaks version 1,
and shows such a message neither to the user's other clients nor to the archive. A server says so before it answers
anything of that stream, so whoever has said nothing by then has granted nothing.
"""

from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.log import Event, Log

PRIVILEGE: Final = "urn:xmpp:privilege:2"
_NEEDED: Final = {"message": "outgoing", "roster": "both"}  # what of each is of use to us

_log = Log("xmpp")


class Privileges:
    """What the servers of one stream after another have granted."""

    def __init__(self) -> None:
        self._granted: dict[str, frozenset[str]] = {}
        self._is_settled = False

    def take(self, stanza: ET.Element) -> bool:
        """Whether this is a grant."""
        host = stanza.get("from", "")
        if not stanza.tag.endswith("}message") or "@" in host or stanza.get("type") == "error":
            return False
        told = stanza.find(f"{{{PRIVILEGE}}}privilege")
        if told is None:
            return False
        perms = {(perm.get("access"), perm.get("type")) for perm in told.findall(f"{{{PRIVILEGE}}}perm")}
        granted = frozenset(access for access, kind in _NEEDED.items() if (access, kind) in perms)
        for access in sorted(granted - self._granted.get(host, frozenset())):
            _log.info(Event.PRIVILEGES_GRANTED, host=host, access=access)
        self._granted[host] = granted
        return True

    def settle(self) -> None:
        """The server has answered something: it has said by now what it grants."""
        self._is_settled = True

    def lost(self) -> None:
        """The stream is gone: the next one begins with other grants."""
        self._granted.clear()
        self._is_settled = False

    def speaks_for(self, owner: str) -> bool | None:
        """Whether we may write as this bare JID; None if nobody knows yet."""
        return self._may("message", owner)

    def keeps_roster_of(self, owner: str) -> bool | None:
        """Whether we may read and change the contact list of this bare JID; None if nobody knows yet."""
        return self._may("roster", owner)

    def _may(self, access: str, owner: str) -> bool | None:
        granted = self._granted.get(owner.rpartition("@")[2])
        if granted is not None:
            return access in granted
        return False if self._is_settled else None
