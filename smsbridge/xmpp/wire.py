"""What becomes of an element before it may be written to the stream: serialised, read back, compared, bounded.

One illegal character, one stanza without `from` or with an impossible JID closes the component stream for
everybody, so nothing of ours is written that did not pass `serialise`. Elements are built without a namespace (the
stream's own), children carry theirs in a literal `xmlns` attribute, as clients are used to see it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from slixmpp import JID

from smsbridge.core.text import xml_clean

MAX_STANZA: Final = 65_536  # bytes; Prosody and ejabberd close the stream at a size that their admin chooses

STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

_CACHED: Final = 4096  # JIDs: the same few write and are written to again and again
_PREFIXED: Final = {LANG: "xml:lang"}
# & comes first; a line end or a tab in an attribute would be read as a blank
_IN_TEXT: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_IN_ATTRIBUTE: Final = _IN_TEXT | {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


class Unrenderable(Exception):
    """This can not be a stanza. `why` holds neither text nor number."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def stanza(name: str, *, sender: str, to: str, stanza_id: str = "", stanza_type: str = "") -> ET.Element:
    """A top-level element; an empty attribute is left out."""
    given = {"from": sender, "to": to, "id": stanza_id, "type": stanza_type}
    return ET.Element(name, {attribute: value for attribute, value in given.items() if value})


def add(parent: ET.Element, tag: str, xmlns: str = "", text: str = "", **attributes: str) -> ET.Element:
    """A child whose text is made fit for XML; `xmlns` "" is the parent's."""
    child = ET.SubElement(parent, tag, {"xmlns": xmlns, **attributes} if xmlns else attributes)
    child.text = xml_clean(text) or None
    return child


def serialise(element: ET.Element, *, domain: str) -> bytes:
    """The stanza as UTF-8, proved to be read as it was meant; raises `Unrenderable`."""
    if _jid(element.get("from", "")).domain != domain:
        raise Unrenderable("from is not of our domain")
    _jid(element.get("to", ""))
    try:
        xml = _written(element).encode()
        parsed = ET.fromstring(xml)  # noqa: S314 - our own bytes
    except (UnicodeEncodeError, ET.ParseError) as error:
        raise Unrenderable(f"not XML ({type(error).__name__})") from None  # the cause would quote the text
    if len(xml) > MAX_STANZA:
        raise Unrenderable(f"larger than {MAX_STANZA} bytes")
    if not _is_same(element, parsed, ""):
        raise Unrenderable("read back as something else")
    return xml


def serialise_text(*, sender: str, to: str, stanza_id: str, body: str, beside: str, domain: str) -> bytes:
    """A chat message as `serialise` would write it, in a sixth of the time; raises `Unrenderable`.

    `beside` is what stands beside the body, written already. A parser still reads what is more than printable ASCII.
    """
    head = f"{_address(sender, domain)} to={_address(to)} id={quoted(stanza_id)}"
    is_plain = body.isascii() and body.isprintable() and stanza_id.isascii() and stanza_id.isprintable()
    text = _escaped(body if is_plain else xml_clean(body), _IN_TEXT)
    try:
        xml = f'<message from={head} type="chat"><body>{text}</body>{beside}</message>'.encode()
        if not is_plain:
            expat.ParserCreate().Parse(xml, True)
    except (UnicodeEncodeError, expat.ExpatError) as error:
        raise Unrenderable(f"not XML ({type(error).__name__})") from None  # the cause would quote the text
    if len(xml) > MAX_STANZA:
        raise Unrenderable(f"larger than {MAX_STANZA} bytes")
    return xml


@lru_cache(_CACHED)
def _address(jid: str, domain: str = "") -> str:
    """A JID as an attribute's value; of this domain, if one is named. Raises `Unrenderable`."""
    if domain and _jid(jid).domain != domain:
        raise Unrenderable("from is not of our domain")
    _jid(jid)
    return quoted(jid)


def quoted(text: str) -> str:
    """An attribute's value, in its quotes."""
    return f'"{_escaped(text, _IN_ATTRIBUTE)}"'


def escaped(text: str) -> str:
    """Text that is made fit for XML, as what an element contains."""
    return _escaped(xml_clean(text), _IN_TEXT)


def _written(element: ET.Element) -> str:
    """The element's text: a fraction of what ET.tostring takes, which looks for namespaces that these do not have."""
    head = element.tag
    for name, value in element.attrib.items():
        head += f' {_PREFIXED.get(name, name)}="{_escaped(value, _IN_ATTRIBUTE)}"'
    inner = _escaped(element.text, _IN_TEXT) if element.text else ""
    for child in element:
        inner += _written(child)
    return f"<{head}>{inner}</{element.tag}>" if inner else f"<{head}/>"


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    for character, reference in escapes.items():
        if character in text:
            text = text.replace(character, reference)
    return text


def _jid(text: str) -> JID:
    try:
        jid = JID(text)
    except ValueError:
        raise Unrenderable("from or to is no JID") from None
    if not jid.domain:
        raise Unrenderable("from or to is missing")
    return jid


def _is_same(meant: ET.Element, parsed: ET.Element, namespace: str) -> bool:
    attributes: Mapping[str, str] = meant.attrib
    if "xmlns" in attributes:
        namespace = attributes["xmlns"]
        attributes = {name: value for name, value in attributes.items() if name != "xmlns"}
    return (
        parsed.tag == (f"{{{namespace}}}{meant.tag}" if namespace else meant.tag)
        and parsed.attrib == attributes
        and (parsed.text or "") == (meant.text or "")
        and len(parsed) == len(meant)
        and all(_is_same(child, copy, namespace) for child, copy in zip(meant, parsed, strict=True))
    )
