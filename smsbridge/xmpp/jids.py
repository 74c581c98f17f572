"""JIDs in their one normal form: what XMPP applies to `from` is applied to the configuration as well.

The domain loses a trailing dot (RFC 7622, 3.2), which slixmpp keeps: `example.com.` and `example.com` are one host.
"""

from typing import Final

from slixmpp.jid import JID

MOST_FOLDINGS: Final = 4


def bare(text: str) -> str:
    """The bare JID (`name@domain`, or the domain alone), normalised. Raises ValueError.

    Some letters fold to others that fold again (slixmpp 1.17: U+03F9): the form is one that stays as it is.
    """
    folded = _folded(text)
    for _ in range(MOST_FOLDINGS):
        if (again := _folded(folded)) == folded:
            return folded
        folded = again
    raise ValueError("not a valid JID: it has no normal form")


def _folded(text: str) -> str:
    jid = _parse(text)
    domain = jid.domain.removesuffix(".")
    return f"{jid.local}@{domain}" if jid.local else domain


def full(text: str) -> str:
    """The whole JID, normalised; a resource stays as it is. Raises ValueError."""
    resource = _parse(text).resource
    return f"{bare(text)}/{resource}" if resource else bare(text)


def localpart_of(jid: str) -> str:
    """What stands before the `@`, normalised, or "". Raises ValueError."""
    return bare(jid).rpartition("@")[0]


def owner_jid(text: str) -> str:
    """The bare JID of a person, normalised. Raises ValueError in the words of somebody who edits a configuration."""
    jid = _parse(text)
    if jid.resource:
        raise ValueError(f"not a bare JID: leave out the resource, write {bare(text)}")
    if not jid.local:
        raise ValueError("not a person's JID: a name and @ are missing, such as john@example.com")
    return bare(text)


def _parse(text: str) -> JID:
    try:
        jid = JID(text)
    except ValueError:
        raise ValueError("not a valid JID, such as john@example.com") from None
    if not jid.domain:
        raise ValueError("not a valid JID: it is empty")
    return jid
