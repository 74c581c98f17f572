"""Who owns which number, over which provider."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from smsbridge.core.address import Did
from smsbridge.core.message import ProviderName


class Receipts(StrEnum):
    """When the tick is given: the carrier took it, or a delivery report says it arrived."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"


class AddressStyle(StrEnum):
    """From which JID inbound messages come: `+1peer`, or mod_voipms' `+1peer%+1did` always."""

    PLAIN = "plain"
    WITH_DID = "with_did"


class Republish(StrEnum):
    """From where owners have what comes in: the XMPP server's upload service, our own door, or the carrier."""

    UPLOAD = "upload"
    SERVE = "serve"
    LINK = "link"


class Mirror(StrEnum):
    """How a text that was sent elsewhere is shown to its owners.

    As their own message where their server allows it; `line`: else as a line of chat.
    """

    OFF = "off"
    CARBON = "carbon"
    LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Whether a carrier's list is read for what its callbacks did not bring, and how far before a line's beginning."""

    is_on: bool = True
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A DID with its provider and its owners (bare JIDs, normalised, in the order of the configuration)."""

    did: Did
    provider: ProviderName
    owners: tuple[str, ...]
    receipts: Receipts = Receipts.ACCEPTED
    can_mms: bool = True
    can_text_shortcodes: bool = False
    honours_stop: bool = True


class Directory:
    """All lines. Immutable: a reload builds a new one."""

    def __init__(self, lines: Iterable[Line], first_lines: Mapping[str, Did] | None = None) -> None:
        """`first_lines`: the line a new conversation of an owner takes; by default the first that names him."""
        self._lines = {line.did: line for line in lines}
        self._of_owner: dict[str, list[Line]] = {}
        for line in self._lines.values():
            for owner in line.owners:
                self._of_owner.setdefault(owner, []).append(line)
        for owner, did in (first_lines or {}).items():
            self._of_owner[owner].sort(key=lambda line: line.did != did)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def line_of(self, did: Did) -> Line | None:
        """The line of a DID, or None if it is not ours."""
        return self._lines.get(did)

    def lines_of(self, owner: str) -> tuple[Line, ...]:
        """The lines a bare JID owns, the one a new conversation takes first."""
        return tuple(self._of_owner.get(owner, ()))

    def is_owner(self, owner: str, did: Did) -> bool:
        line = self._lines.get(did)
        return line is not None and owner in line.owners
