"""What an entity can do, as a hash in its presence (XEP-0115), so that a client that has met one number knows all.

slixmpp's plugin for it looks into every stanza that goes out and asks every client that comes in; this is a text that
is made once. The same is said by XEP-0390, with a hash that nobody can forge.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from xml.etree import ElementTree as ET

from smsbridge.xmpp import wire

CAPS: Final = "http://jabber.org/protocol/caps"
CAPS_2: Final = "urn:xmpp:caps"
HASHES: Final = "urn:xmpp:hashes:2"
NODE: Final = "urn:smsbridge"
CACHED: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An extension of disco#info (XEP-0128): `fields` by name, without FORM_TYPE, which is `kind`."""

    kind: str
    fields: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that disco#info says of an entity."""

    category: str
    type: str
    name: str
    features: Sequence[str]
    forms: Sequence[Form] = ()


ProfileOf = Callable[[str, str], Profile]  # of a localpart ("" is the gateway), as it is told to a bare JID


@lru_cache(CACHED)
def verification(profile: Profile) -> str:
    """XEP-0115, 5.1: the SHA-1 of all that is said, in Base64."""
    said = [f"{profile.category}/{profile.type}//{profile.name}", *sorted(profile.features)]
    for form in sorted(profile.forms, key=lambda form: form.kind):
        said.append(form.kind)
        for name, values in sorted(form.fields):
            said += [name, *sorted(values)]
    digest = hashlib.sha1("".join(f"{each}<" for each in said).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@lru_cache(CACHED)
def fingerprint(profile: Profile) -> str:
    """XEP-0390, 4.1: the SHA-256 of all that is said, in Base64."""
    identity = "".join(f"{each}\x1f" for each in (profile.category, profile.type, "", profile.name)) + "\x1e"
    features = "".join(f"{each}\x1f" for each in sorted(profile.features))
    forms = []
    for form in profile.forms:
        fields = [_field(name, values) for name, values in (("FORM_TYPE", (form.kind,)), *form.fields)]
        forms.append("".join(sorted(fields)) + "\x1d")
    said = f"{features}\x1c{identity}\x1c{''.join(sorted(forms))}\x1c"
    return base64.b64encode(hashlib.sha256(said.encode()).digest()).decode()


def nodes(profile: Profile) -> tuple[str, str]:
    """The nodes by which a client asks what is behind the hashes."""
    return f"{NODE}#{verification(profile)}", f"{CAPS_2}#sha-256.{fingerprint(profile)}"


def add_caps(presence: ET.Element, profile: Profile) -> None:
    """Say in a presence what its sender can do."""
    wire.add(presence, "c", CAPS, hash="sha-1", node=NODE, ver=verification(profile))
    wire.add(wire.add(presence, "c", CAPS_2), "hash", HASHES, text=fingerprint(profile), algo="sha-256")


def _field(name: str, values: Iterable[str]) -> str:
    return f"{name}\x1f" + "".join(f"{value}\x1f" for value in sorted(values)) + "\x1e"
