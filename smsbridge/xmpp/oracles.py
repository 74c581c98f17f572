"""What an XMPP server shows to a component: its software, whether it archives, how long it has been up.

- XEP-0092 tells the software, unless its module is missing.
- No server lets us read an owner's archive, but ejabberd refuses the attempt in two ways: `not-allowed` with mod_mam,
  `service-unavailable` without (23.01). It does so for any address of its host.
- Prosody gives one answer to both. It describes an account (XEP-0030) with its archive, though, to those who may see
  the owner's presence: to a number that the owner has as a contact (0.12).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.xmpp.asking import UPTIME_QUERY, Asking, condition_of, uptime_in
from smsbridge.xmpp.findings import Finding, Promise, broken, kept, unseen

ANSWER_SECONDS: Final = 5.0
MAX_WORD: Final = 64

EJABBERD: Final = "ejabberd"
PROSODY: Final = "Prosody"

MAM: Final = "urn:xmpp:mam:"  # XEP-0313, in all its versions
_MAM_QUERY: Final = f'<query xmlns="{MAM}2"/>'
_UNKNOWN_QUERY: Final = '<query xmlns="urn:x-smsbridge:unknown"/>'
_DISCO: Final = "http://jabber.org/protocol/disco#info"  # XEP-0030
_VERSION: Final = "jabber:iq:version"  # XEP-0092

_NO_ARCHIVE: Final = "texts that your clients had not yet read are lost when the server dies: enable mod_mam"
_NO_UPTIME: Final = (
    "the server does not tell how long it has been up (XEP-0012), so after each lost stream the texts of the last "
    "minute are handed again: enable {module}"
)


@dataclass(frozen=True, slots=True)
class Software:
    """What a server says that it is; "" for what it does not say."""

    name: str = ""
    version: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """`0.12.3` as (0, 12, 3); empty for a nightly build."""
        match = re.match(r"\d{1,6}(\.\d{1,6})+", self.version)
        return tuple(int(number) for number in match[0].split(".")) if match else ()


async def software_of(asking: Asking, host: str) -> Software:
    """What the host says that it is."""
    answer = await asking.ask(host, f'<query xmlns="{_VERSION}"/>', ANSWER_SECONDS)
    if answer is None or condition_of(answer):
        return Software()
    query = f"{{{_VERSION}}}query/{{{_VERSION}}}"
    return Software(_word(answer.findtext(f"{query}name")), _word(answer.findtext(f"{query}version")))


async def starts_slowly(asking: Asking, host: str) -> bool:
    """Whether this is a server that answers before it keeps: ejabberd (23.01), while its first SQL queries race."""
    return (await software_of(asking, host)).name == EJABBERD


def patches_of(software: Software) -> Finding:
    """Whether the version is one with holes that matter to us."""
    numbers = software.numbers
    if software.name not in (PROSODY, EJABBERD) or not numbers:
        return unseen(Promise.PATCHES, "nothing is known here about this software or version")
    if software.name == PROSODY and (numbers < (0, 12, 6) or (13,) <= numbers < (13, 0, 5)):
        return broken(
            Promise.PATCHES,
            "anybody who reaches this Prosody can exhaust its memory (CVE-2026-43506, CVE-2026-43507): take 0.12.6, "
            "13.0.5 or later, unless your distribution has fixed it",
        )
    if software.name == EJABBERD and numbers < (26, 7):
        return broken(
            Promise.PATCHES,
            "in this ejabberd one user may log in as another, and text at their cost: take 26.07 or later, unless your "
            "distribution has fixed it",
        )
    return kept(Promise.PATCHES)


async def uptime_of(asking: Asking, host: str, software: Software) -> Finding:
    """Whether the host tells how long it has been up."""
    answer = await asking.ask(host, UPTIME_QUERY, ANSWER_SECONDS)
    if answer is None:
        return unseen(Promise.UPTIME, "the server does not answer when it is asked how long it has been up (XEP-0012)")
    if uptime_in(answer) is not None:
        return kept(Promise.UPTIME)
    module = {PROSODY: "mod_uptime", EJABBERD: "mod_last"}.get(software.name, "what answers that")
    return broken(Promise.UPTIME, _NO_UPTIME.format(module=module))


async def archive_of(asking: Asking, software: Software, owner: str, contacts: Mapping[str, str]) -> Finding:
    """Whether the host of an owner keeps an archive. `contacts`: owners there, each with a number they may have."""
    if software.name != PROSODY:
        found = await _archive_by_refusal(asking, software, owner)
        if found is not None:
            return found
    for other, number in contacts.items():
        answer = await asking.ask(other, f'<query xmlns="{_DISCO}"/>', ANSWER_SECONDS, sender=number)
        if answer is None or condition_of(answer):
            continue
        if any(feature.startswith(MAM) for feature in _features(answer)):
            return kept(Promise.ARCHIVE)
        if software.name == PROSODY:
            return broken(Promise.ARCHIVE, _NO_ARCHIVE)
    if software.name == PROSODY:
        return unseen(
            Promise.ARCHIVE,
            "Prosody shows it only to the contacts of an owner, and is asked again when one with a number in the "
            "contact list comes online: see that mod_mam is enabled",
        )
    return unseen(Promise.ARCHIVE, "the server does not show whether it keeps an archive (XEP-0313): see that it does")


async def _archive_by_refusal(asking: Asking, software: Software, owner: str) -> Finding | None:
    refusal = await asking.ask(owner, _MAM_QUERY, ANSWER_SECONDS, kind="set")
    if refusal is None:
        return None
    match condition_of(refusal):
        case "not-allowed" | "forbidden" as condition:
            unknown = await asking.ask(owner, _UNKNOWN_QUERY, ANSWER_SECONDS, kind="set")
            if unknown is not None and condition_of(unknown) not in ("", condition):
                return kept(Promise.ARCHIVE)
        case "service-unavailable" if software.name == EJABBERD:
            return broken(Promise.ARCHIVE, _NO_ARCHIVE)
    return None


def _features(answer: ET.Element) -> list[str]:
    return [feature.get("var", "") for feature in answer.iter(f"{{{_DISCO}}}feature")]


def _word(text: str | None) -> str:
    return "".join(letter for letter in text or "" if letter.isprintable())[:MAX_WORD]
