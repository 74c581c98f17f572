"""What the XMPP server has to do so that our promises hold, and what was found out about each."""

from dataclasses import dataclass
from enum import StrEnum


class Promise(StrEnum):
    """The names are metric labels and log words."""

    CONNECTION = "connection"  # nobody else is connected as us and takes stanzas away
    ARCHIVE = "archive"  # a text that a connected client has not read yet is kept elsewhere too
    STORAGE = "storage"  # what the server has acknowledged outlives its kill
    LISTENER = "listener"  # no other component may speak or listen as us
    UPTIME = "uptime"  # the server tells whether it is the one that took our stanzas
    PATCHES = "patches"  # no hole is known in this version


class Verdict(StrEnum):
    """The names are metric labels and log words."""

    KEPT = "kept"
    BROKEN = "broken"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise. `look_at` tells an admin what follows and what to do; it is empty if the promise is kept."""

    promise: Promise
    verdict: Verdict
    look_at: str = ""


def kept(promise: Promise) -> Finding:
    return Finding(promise=promise, verdict=Verdict.KEPT)


def broken(promise: Promise, look_at: str) -> Finding:
    return Finding(promise=promise, verdict=Verdict.BROKEN, look_at=look_at)


def unseen(promise: Promise, look_at: str) -> Finding:
    return Finding(promise=promise, verdict=Verdict.UNSEEN, look_at=look_at)


def decisive(*findings: Finding) -> Finding:
    """Of what several ways of looking found about one promise: broken counts before kept, kept before unseen."""
    return min(findings, key=lambda finding: _ORDER.index(finding.verdict))


_ORDER = (Verdict.BROKEN, Verdict.KEPT, Verdict.UNSEEN)
