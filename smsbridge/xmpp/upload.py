"""The XMPP server's upload service (XEP-0363): ask for a slot, leave the file there; and know whose links are its own.

The server is asked where its service is. A service that does not serve us, or whose address the guard does not let us
call, is as good as none: an admin reads in the journal what to do about it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from smsbridge.clock import Clock
from smsbridge.log import Event, Log
from smsbridge.media.fetch import Courier, Fault, File, NotMoved, origin_of
from smsbridge.xmpp.asking import Asking, condition_of

UPLOAD: Final = "urn:xmpp:http:upload:0"
ANSWER_SECONDS: Final = 10.0
REMEMBERED: Final = 600.0  # seconds
SOON: Final = 60.0  # what was not found is looked for again: a service may start after its server
MOST_ITEMS: Final = 50

_DISCO: Final = "http://jabber.org/protocol/disco"
_NOT_FOR_US: Final = frozenset({"forbidden", "not-allowed", "not-authorized", "feature-not-implemented"})
_HIDDEN: Final = {
    Fault.ADDRESS: "the upload service is at a private address",
    Fault.URL: "the upload service does not speak https",
}

_PROBE: Final = File("text/plain", b"?")

_log = Log("upload")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    put: str
    get: str
    headers: dict[str, str]


class UploadService:
    """Finds the service once in a while, and leaves files there."""

    def __init__(
        self, *, asking: Asking, is_up: Callable[[], bool], jid: str, server: str, courier: Courier, clock: Clock
    ) -> None:
        self._asking = asking
        self._is_up = is_up
        self._jid = jid
        self._server = server
        self._courier = courier
        self._clock = clock
        self._found: str | None = None
        self._found_at: float | None = None
        self._told = ""
        self._origins: frozenset[str] = frozenset()
        self._asked_at: float | None = None
        self._is_probe_told = False

    async def leave(self, file: File, name: str) -> str | None:
        """The link to the file; None if there is no service for us. Raises `NotMoved`."""
        if not self._is_up():
            raise NotMoved(Fault.UNREACHABLE)
        service = await self._service()
        if service is None:
            self._tell("the server offers no upload service (XEP-0363)")
            return None
        slot = await self._slot(service, file, name)
        if slot is None:
            self._tell("the upload service does not serve this component")
            return None
        try:
            await self._courier.put(slot.put, {origin_of(slot.put)}, file, slot.headers)
        except NotMoved as refusal:
            if refusal.fault not in _HIDDEN:
                raise
            self._tell(f"{_HIDDEN[refusal.fault]}: name {origin_of(slot.put)} in media.near")
            return None
        self._told = ""
        return slot.get

    def known(self) -> frozenset[str]:
        """The places that slots have named, as far as one was asked for."""
        return self._origins

    async def serves(self, origin: str) -> bool:
        """Whether users' own uploads are had from there. Raises `NotMoved` while nobody answers.

        Only a slot tells, so one is asked for, of one byte, and left empty.
        """
        if origin not in self._origins and self._is_worth_asking(REMEMBERED if self._origins else SOON):
            await self._probe()
        return origin in self._origins

    async def learn(self) -> None:
        """Find out one of those places, if none is known yet. Raises `NotMoved` while nobody answers."""
        if not self._origins and self._is_worth_asking(REMEMBERED):
            await self._probe()

    def _is_worth_asking(self, span: float) -> bool:
        return self._asked_at is None or self._clock.monotonic() - self._asked_at > span

    async def _probe(self) -> None:
        if not self._is_up():
            raise NotMoved(Fault.UNREACHABLE)
        service = await self._service()
        try:
            slot = None if service is None else await self._slot(service, _PROBE, "probe.txt")
        except NotMoved as refusal:
            if refusal.fault is Fault.UNREACHABLE:
                raise
            slot = None
        self._asked_at = self._clock.monotonic()
        if slot is None and not self._is_probe_told:
            self._is_probe_told = True
            words = "where users' uploads lie is not known: the upload service does not serve this component"
            _log.warning(
                Event.UPLOAD_MISSED, words=f"{words}; what they attach goes as links, or name media.fetch_from"
            )

    def _tell(self, words: str) -> None:
        if words != self._told:
            self._told = words
            _log.warning(
                Event.UPLOAD_MISSED,
                words=f"{words}; pictures go by http.public_url if there is one, else as links of the carrier",
            )

    async def _service(self) -> str | None:
        now, span = self._clock.monotonic(), SOON if self._found is None else REMEMBERED
        if self._found_at is None or now - self._found_at > span:
            self._found = await self._find()
            self._found_at = now
        return self._found

    async def _find(self) -> str | None:
        items = await self._asking.ask(self._server, f'<query xmlns="{_DISCO}#items"/>', ANSWER_SECONDS)
        if items is None:
            raise NotMoved(Fault.UNREACHABLE)
        jids = [item.get("jid", "") for item in items.iter(f"{{{_DISCO}#items}}item")]
        asked = [jid for jid in dict.fromkeys([self._server, *jids]) if jid and jid != self._jid][:MOST_ITEMS]
        # all at once: some may be away, and files that go out wait for this
        offers = await asyncio.gather(*map(self._offers, asked))
        return next((jid for jid, is_offered in zip(asked, offers, strict=True) if is_offered), None)

    async def _offers(self, jid: str) -> bool:
        info = await self._asking.ask(jid, f'<query xmlns="{_DISCO}#info"/>', ANSWER_SECONDS)
        features = () if info is None or condition_of(info) else info.iter(f"{{{_DISCO}#info}}feature")
        return any(feature.get("var") == UPLOAD for feature in features)

    async def _slot(self, service: str, file: File, name: str) -> _Slot | None:
        answer = await self._asking.ask(
            service,
            f'<request xmlns="{UPLOAD}" filename={quoteattr(name)} size="{len(file.data)}"'
            f" content-type={quoteattr(file.kind)}/>",
            ANSWER_SECONDS,
        )
        if answer is None:
            raise NotMoved(Fault.UNREACHABLE)
        condition = condition_of(answer)
        if condition in _NOT_FOR_US:
            return None
        if condition:
            is_large = next(answer.iter(f"{{{UPLOAD}}}file-too-large"), None) is not None
            raise NotMoved(Fault.LARGE if is_large else Fault.REFUSED)
        slot = _read(answer)
        self._origins |= {origin_of(slot.get)}
        return slot


def _read(answer: ET.Element) -> _Slot:
    slot = answer.find(f"{{{UPLOAD}}}slot")
    put = None if slot is None else slot.find(f"{{{UPLOAD}}}put")
    get = None if slot is None else slot.find(f"{{{UPLOAD}}}get")
    if put is None or get is None:
        raise NotMoved(Fault.REFUSED)
    headers = {one.get("name", ""): one.text or "" for one in put.iter(f"{{{UPLOAD}}}header")}
    found = _Slot(put=put.get("url", ""), get=get.get("url", ""), headers=headers)
    try:
        origin_of(found.put), origin_of(found.get)
    except ValueError:
        raise NotMoved(Fault.REFUSED) from None
    return found
