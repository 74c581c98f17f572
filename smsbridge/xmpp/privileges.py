"""For whom may we write? What a server has granted us by XEP-0356, as it said itself when the stream began.

A host grants for its own users and nobody else, and only in version 2 of the protocol: ejabberd 23.01 speaks version 1,
and shows such a message neither to the user's other clients nor to the archive. A server says so before it answers
anything of that stream, so whoever has said nothing by then has granted nothing.
"""

from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.log import Event, Log

PRIVILEGE: Final = "urn:xmpp:privilege:2"

_log = Log("xmpp")


class Privileges:
    """What the servers of one stream after another have granted."""

    def __init__(self) -> None:
        self._granted: dict[str, bool] = {}
        self._is_settled = False

    def take(self, stanza: ET.Element) -> bool:
        """Whether this is a grant."""
        host = stanza.get("from", "")
        if not stanza.tag.endswith("}message") or "@" in host or stanza.get("type") == "error":
            return False
        told = stanza.find(f"{{{PRIVILEGE}}}privilege")
        if told is None:
            return False
        granted = any(
            perm.get("access") == "message" and perm.get("type") == "outgoing"
            for perm in told.findall(f"{{{PRIVILEGE}}}perm")
        )
        if granted and not self._granted.get(host):
            _log.info(Event.PRIVILEGES_GRANTED, host=host, access="message")
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
        granted = self._granted.get(owner.rpartition("@")[2])
        return granted if granted is not None or not self._is_settled else False
