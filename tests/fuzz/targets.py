"""What reads bytes from outside, each with what must hold for whatever comes.

A target takes any bytes and returns if all is well. Only the exceptions that a parser documents are caught; what it
returns is bounded by what it was given, can be stored, and reads the same again.
"""

import io
import re
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from multidict import CIMultiDict, CIMultiDictProxy

from smsbridge import config
from smsbridge.contacts import carddav, cards
from smsbridge.core.address import (
    E164,
    MAX_ALPHANUMERIC,
    Address,
    Did,
    Peer,
    kind_of,
    normalise_did,
    normalise_peer,
    parse_localpart,
    to_localpart,
)
from smsbridge.core.errors import Deferred, Indeterminate, Malformed, Outcome, Refused, Rejected, Unauthentic
from smsbridge.core.faces import LARGEST_PICTURE
from smsbridge.core.line import Directory
from smsbridge.core.message import (
    Delivery,
    DeliveryKind,
    InboundMessage,
    Kind,
    MessageId,
    OutboundMessage,
    Part,
    PartId,
    ProviderName,
    SentElsewhere,
)
from smsbridge.core.segments import encoding_of
from smsbridge.core.story import Entry
from smsbridge.core.text import clean_name, decode, is_alike, join_surrogates, xml_clean
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import worded
from smsbridge.keeping import jsonl, sbr
from smsbridge.keeping.archive import CannotKeep, reading
from smsbridge.keeping.sealing import CannotUnseal, Key
from smsbridge.media import shrinking
from smsbridge.media.bare import NotUnderstood, bare, turned
from smsbridge.media.convert_child import Unable
from smsbridge.media.kinds import kind_of as media_kind_of
from smsbridge.providers.contract import Callback, discover_kinds
from smsbridge.providers.http import Reply
from smsbridge.providers.voipms import listing, webhook
from smsbridge.providers.voipms.api import Settings
from smsbridge.providers.voipms.provider import VoipMs
from smsbridge.store import dump
from smsbridge.store.migrations import migrations
from smsbridge.web.sources import LOCAL_PROXIES, Proxies, mask_source, source_key, source_of
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.errors import error_reply
from smsbridge.xmpp.presence import answer_presence, render_answers
from smsbridge.xmpp.privileges import Privileges
from smsbridge.xmpp.stanzas import Bounce, Ignored, Unrenderable, envelope_of, read_message, render
from tests.fakes.outlooks import look

DOMAIN = "sms.example.com"
NAME = ProviderName("voipms")
DID, PEER = Did("+15551230001"), Peer("+15559870002")
NOW = datetime(2026, 10, 5, 18, 0, tzinfo=UTC)
OUTCOMES = (Rejected, Deferred, Indeterminate)
CODE = re.compile(r"[a-z0-9_]{1,64}")
PROXIES = Proxies(LOCAL_PROXIES)
KINDS = discover_kinds()

Target = Callable[[bytes], None]


def webhook_body(data: bytes) -> None:
    _parsed(Callback(method="POST", path="/voipms", query=(), body=data), len(data))


def callback_query(data: bytes) -> None:
    query = tuple(parse_qsl(data.decode("latin-1"), keep_blank_values=True))
    _parsed(Callback(method="GET", path="/voipms", query=query), len(data))
    try:
        webhook.authenticate(
            Callback(method="GET", path="/voipms", query=query), (b"the right key", "schlüssel".encode())
        )
    except Unauthentic:
        return
    keys = [value for name, value in query if name in {"key", "token"}]
    assert len(keys) == 1
    assert keys[0] in {"the right key", "schlüssel"}


def _parsed(callback: Callback, size: int) -> None:
    try:
        parsed = webhook.parse(callback, NAME)
    except Malformed:
        return
    assert parsed == webhook.parse(callback, NAME)
    assert len(parsed.events) <= size
    for event in parsed.events:
        _storable(event, size)


def _storable(event: object, size: int) -> None:
    assert isinstance(event, InboundMessage | SentElsewhere)
    assert E164.fullmatch(event.did)
    assert 0 < len(event.peer) <= MAX_ALPHANUMERIC
    label = event.label if isinstance(event, InboundMessage) else ""
    assert len(label) <= webhook.LONGEST_LABEL
    assert len(event.text) <= size
    assert sum(len(item.url) for item in event.media) <= 20 * size + 100
    join_surrogates(event.text).encode()
    join_surrogates(label).encode()
    event.peer.encode()
    encoding_of(event.text)


def localpart(data: bytes) -> None:
    text = _any_text(data)
    try:
        address = parse_localpart(text)
    except Refused as refused:
        if not refused.instead:
            return
        address = parse_localpart(refused.instead)  # what is advised is right
    assert parse_localpart(to_localpart(address)) == address


def peer_number(data: bytes) -> None:
    """Whatever a carrier calls the sender becomes an address that XMPP leaves as it is, and that leads back."""
    raw = decode(data)
    peer = normalise_peer(raw)
    assert 0 < len(peer) <= MAX_ALPHANUMERIC
    kind_of(peer)
    for did in (None, DID):
        localpart_ = to_localpart(Address(peers=(peer,), did=did))
        assert jids.bare(f"{localpart_}@{DOMAIN}") == f"{localpart_}@{DOMAIN}"
        assert parse_localpart(localpart_) == Address(peers=(peer,), did=did)
    with suppress(ValueError):
        assert E164.fullmatch(normalise_did(raw))


def jid(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        bare = jids.bare(text)
    except ValueError:
        return
    assert jids.bare(bare) == bare
    assert len(bare) <= 2 * 1023 + 1
    assert jids.bare(jids.full(text)) == bare
    with suppress(ValueError):
        assert jids.owner_jid(text) == bare


class _Answering:
    """A way out on which everybody answers this."""

    def __init__(self, data: bytes) -> None:
        self.calls = 0
        self._data = data[1:]
        self._status = (200, 200, 201, 400, 401, 403, 404, 422)[data[0] % 8 if data else 0]

    async def post(self, _url: str, _body: object) -> Reply:
        self.calls += 1
        return Reply(status=self._status, headers={}, body=self._data)


def _account(caller: Any) -> VoipMs:
    return VoipMs(NAME, Settings(username="john@example.com", password="horse", query_keys=["a key of ours"]), caller)


def _driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def _told(outcome: Outcome) -> None:
    """What is logged and shown of it is ours, or a plain word."""
    assert CODE.fullmatch(outcome.code)
    assert len(worded(outcome.words, Language.ENGLISH)) <= 200


def send_answer(data: bytes) -> None:
    caller = _Answering(data)
    part = Part(id=PartId("1"), message_id=MessageId("2"), provider=NAME, did=DID, peer=PEER, kind=Kind.SMS, n=1, of=1,
                text="hello", attempt=1)  # fmt: skip
    try:
        provider_id = _driven(_account(caller).send(part))
    except OUTCOMES as outcome:
        _told(outcome)
    else:
        assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", provider_id)
    assert caller.calls == 1


def list_answer(data: bytes) -> None:
    caller = _Answering(data)
    account = _account(caller)
    try:
        listed = _driven(account.poll(NOW - timedelta(days=2), NOW, (DID,)))
    except OUTCOMES as outcome:
        _told(outcome)
    else:
        assert len(listed.events) <= len(data)
        for event in listed.events:
            _storable(event, 3 * len(data))  # an entity may stand for two characters
    assert caller.calls <= 2 * listing.MOST_CALLS
    part = Part(id=PartId("1"), message_id=MessageId("2"), provider=NAME, did=DID, peer=PEER, kind=Kind.SMS, n=1, of=1,
                text="hello", attempt=1)  # fmt: skip
    with suppress(*OUTCOMES):
        _driven(account.trace(part, NOW - timedelta(minutes=5), NOW))
    with suppress(*OUTCOMES):
        _driven(account.check((DID,)))


def likeness(data: bytes) -> None:
    """Two texts, apart at the first NUL."""
    text, _, listed = decode(data).partition("\0")
    assert is_alike(text, text)
    is_alike(text, listed)


def configuration(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="smsbridge-fuzz-", dir=_MEMORY) as directory:
        path = Path(directory) / "config.yaml"
        path.write_bytes(data)
        try:
            config.load(path, KINDS)
        except config.ConfigError as error:
            words = config.describe("config.yaml", error.problems)
            assert words
            assert len(words) <= 100_000 + 1000 * len(data)
            words.encode()


def stanza(data: bytes) -> None:
    """The inside of a message; the first byte says of which type, and whether it is to a number."""
    first, children = data[:1] or b"\0", data[1:]
    kind = ("chat", "normal", "error", "groupchat", "headline", "", "subscribe", "probe")[first[0] % 8]
    to = DOMAIN if first[0] & 8 else f"{PEER}@{DOMAIN}"
    head = f"<message xmlns='jabber:component:accept' type='{kind}' from='ann@example.com/x' to='{to}' id='m1'>"
    try:
        element = ET.XML(head.encode() + children + b"</message>")
    except (ET.ParseError, UnicodeError):
        return
    reading = read_message(element, domain=DOMAIN)
    envelope = envelope_of(element)
    match reading:
        case OutboundMessage():
            assert kind not in {"error", "groupchat", "headline"}
            assert (reading.owner, reading.sender, reading.addressed) == ("ann@example.com", "ann@example.com/x", to)
            assert xml_clean(reading.text) == reading.text
            assert len(reading.text) <= len(data)
            assert reading.text or reading.media
        case Refused():
            ET.XML(error_reply(envelope, reading, domain=DOMAIN))
        case Bounce():
            assert kind == "error"
            assert CODE.fullmatch(reading.condition.replace("-", "_"))
        case Ignored():
            assert str(reading.why).isprintable()
    assert not Privileges().take(element)  # whoever writes it is a person
    render_answers(answer_presence(envelope, directory=_NOBODY, domain=DOMAIN), _LOOK)


def written(data: bytes) -> None:
    """A text on its way to a client, in both of our ways to write it; what is read back is its clean form."""
    body = _any_text(data)
    clean = xml_clean(body)
    assert xml_clean(clean) == clean
    delivery = Delivery(
        domain=DOMAIN, kind=DeliveryKind.TEXT, to_jid="ann@example.com", sender=PEER, stanza_id="5e1f", body=body,
        label=body[:64], created_at=NOW,
    )  # fmt: skip
    try:
        xml = render(delivery)
    except Unrenderable:
        assert len(body) > 1000
        return
    read = ET.XML(xml)
    assert read.findtext("body", "") == clean
    stanza_id = f"id {''.join(filter(str.isprintable, clean))}"
    element = wire.stanza(
        "message", sender=f"{PEER}@{DOMAIN}", to="ann@example.com", stanza_id=stanza_id, stanza_type="chat"
    )
    wire.add(element, "body", text=f".{body}")
    assert _or_nothing(lambda: wire.serialise(element, domain=DOMAIN)) == _or_nothing(
        lambda: wire.serialise_text(
            sender=f"{PEER}@{DOMAIN}",
            to="ann@example.com",
            stanza_id=stanza_id,
            body=f".{body}",
            beside="",
            domain=DOMAIN,
        )
    )


def _any_text(data: bytes) -> str:
    """Half surrogates among it."""
    if data[:1] == b"\1":
        return data[1:].decode("utf-16-le", "surrogatepass" if len(data) % 2 else "ignore")
    return data.decode("utf-8", "replace")


def _or_nothing(write: Callable[[], bytes]) -> bytes | None:
    try:
        return write()
    except Unrenderable:
        return None


def forwarded(data: bytes) -> None:
    """Lines of X-Forwarded-For; a request that comes from a proxy of ours, or from elsewhere."""
    lines = data.decode("latin-1").split("\n")
    headers = CIMultiDictProxy(CIMultiDict(("X-Forwarded-For", line) for line in lines))
    for remote in ("127.0.0.1", "192.0.2.7", None):
        request: Any = SimpleNamespace(remote=remote, headers=headers)
        source = source_of(request, PROXIES)
        assert remote == "127.0.0.1" or source == (remote or "")
        assert len(source) <= 64
        assert source_key(source) or not remote
        mask_source(source)


def backup_and_restore(data: bytes) -> None:
    """A file of SMS Backup & Restore."""
    found: list[Entry] = []
    with suppress(CannotKeep):
        for entry in sbr.entries(io.BytesIO(data), DID):
            found.append(entry)
            assert len(entry.text or "") <= sbr.MOST_TEXT
            assert xml_clean(entry.text or "") == entry.text
            entry.peer.encode()
    if found:
        again = list(sbr.entries(io.BytesIO("".join(sbr.lines(found, len(found))).encode()), DID))
        assert [(entry.peer, entry.text) for entry in again if entry.kind is Kind.SMS] == [
            (entry.peer, entry.text) for entry in found if entry.kind is Kind.SMS
        ]


def vcards(data: bytes) -> None:
    """An address book."""
    found = list(cards.read(data))
    assert len(found) <= len(data)
    for peer, face in cards.faces(found, "US").items():
        assert E164.fullmatch(peer) or peer.isdigit()
        assert face.name or face.picture
        assert clean_name(face.name) == face.name
        assert face.picture is None or len(face.picture.data) <= LARGEST_PICTURE


def address_book_answer(data: bytes) -> None:
    """What a CardDAV server says."""
    with suppress(carddav.Unread):
        found = carddav.texts(data, (carddav.DATA, carddav.STATUS, *carddav.TAGS))
        assert sum(len(text) for texts in found.values() for text in texts) <= len(data)


def json_lines(data: bytes) -> None:
    found: list[Entry] = []
    with suppress(CannotKeep):
        found.extend(jsonl.entries(io.StringIO(data.decode("utf-8", "replace"))))
    for entry in found:
        (again,) = jsonl.entries([jsonl.line_of(entry)])
        assert (again.text, again.peer, again.is_inbound) == (entry.text, entry.peer, entry.is_inbound)


def backup(data: bytes) -> None:
    """A backup, sealed or not."""
    with tempfile.TemporaryDirectory(prefix="smsbridge-fuzz-", dir=_MEMORY) as directory:
        path = Path(directory) / "backup"
        path.write_bytes(data)
        with suppress(CannotKeep, CannotUnseal):
            for line in reading(path, Key(b"k" * 32)):
                assert isinstance(line, str)


def dumped_lines(data: bytes) -> None:
    """The lines of a backup, as statements: whatever they say, only names and values of ours become part of one."""
    lines = io.StringIO(data.decode("utf-8", "replace"), newline="\n")
    reading_ = dump.load(lambda: lines)
    try:
        statement = next(reading_)
        while True:
            if statement.text not in _MIGRATING:
                assert re.match(r"INSERT INTO [a-zA-Z_]\w* \([\w, ]+\) VALUES |CREATE TABLE IF NOT", statement.text)
                assert all(isinstance(value, str | int | None) for value in statement.params)
            statement = reading_.send([])
    except (dump.NotADump, StopIteration):
        return


def picture(data: bytes) -> None:
    """A picture, stripped and made smaller; for the decoders themselves the child is there."""
    kind = media_kind_of(data)
    with suppress(NotUnderstood):
        found = bare(kind, data)
        again = bare(kind, found.content)
        assert (again.content, again.had_notes) == (found.content, False)
        assert len(found.content) <= len(data)
        if kind == "image/jpeg":
            turned_ = bare(kind, turned(found.content, found.orientation))
            assert (turned_.content, turned_.orientation) == (found.content, found.orientation)
    with patch.multiple(shrinking, MOST_PIXELS=250_000, MOST_JPEG_PIXELS=250_000), suppress(Unable, MemoryError):
        _, jpeg = shrinking.shrink(data, kind, 100_000, 250_000)
        assert len(jpeg) <= 100_000
        assert not bare("image/jpeg", jpeg).had_notes


_MIGRATING = {text for migration in migrations() for text in migration.statements}
_NOBODY = Directory([])
_LOOK = look()
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        webhook_body,
        callback_query,
        localpart,
        peer_number,
        jid,
        send_answer,
        list_answer,
        likeness,
        configuration,
        stanza,
        written,
        forwarded,
        backup_and_restore,
        vcards,
        address_book_answer,
        json_lines,
        backup,
        dumped_lines,
        picture,
    )
}
