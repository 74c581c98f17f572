"""JIDs in their one normal form: what XMPP applies to `from` is applied to the configuration as well.

The domain loses a trailing dot (RFC 7622, 3.2), which slixmpp keeps: `example.com.` and `example.com` are one host.
"""

from slixmpp.jid import JID


def bare(text: str) -> str:
    """The bare JID (`name@domain`, or the domain alone), normalised. Raises ValueError."""
    jid = _parse(text)
    domain = jid.domain.removesuffix(".")
    return f"{jid.local}@{domain}" if jid.local else domain


def full(text: str) -> str:
    """The whole JID, normalised; a resource stays as it is. Raises ValueError."""
    resource = _parse(text).resource
    return f"{bare(text)}/{resource}" if resource else bare(text)


def localpart_of(jid: str) -> str:
    """What stands before the `@`, normalised, or "". Raises ValueError."""
    return str(_parse(jid).local)


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
