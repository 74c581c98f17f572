"""What the server keeps of what users write until we have committed it: contrib/prosody/mod_smsbridge.lua.

A component's stream is not acknowledged (XEP-0114): what is in our socket when we die is gone, and nobody is told.
Where the module is, it marks each text with an id, keeps it until we acknowledge that, and gives it again on our next
stream.

    on a new stream   disco#info to ourselves: the module answers in our stead, without it the question comes back to us
                      enable: what was not acknowledged comes now, and from now on texts are marked
    a mark            is trusted only then: the module takes away what users put into its namespace
    acknowledged      after the commit, or after the refusal was written: many at once, one question at a time

An acknowledgement belongs to the stream that its answer to the user went over: what is lost with it comes again.
"""

import asyncio
import contextlib
from typing import Final, Literal
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.xmpp.asking import Asking

HOLD: Final = "urn:smsbridge:hold:1"
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
BATCH: Final = 200
ANSWER_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 5.0  # after silence
LOOK_SECONDS: Final = 600.0  # while the module is not there
_TAKEN: Final = ' taken="true"'

_HINT: Final = (
    "what a user writes in the moment in which the bridge dies may be lost, unsaid; on Prosody "
    "contrib/prosody/mod_smsbridge.lua prevents that"
)

_log = Log("xmpp")


class Safekeeping:
    """Of one component. `run` as long as a stream lasts, `lost` when it is gone."""

    def __init__(self, *, jid: str, asking: Asking) -> None:
        self._jid = jid
        self._asking = asking
        self._is_on = False
        self._was_found: bool | None = None
        self._pending: dict[str, bool] = {}  # in the order in which they came; whether they were taken
        self._stirred = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def is_on(self) -> bool:
        """Whether the server keeps what it gives us on this stream."""
        return self._is_on

    def id_in(self, stanza: ET.Element) -> str:
        """Under which id the server keeps this; "" if it does not."""
        mark = stanza.find(f"{{{HOLD}}}hold") if self._is_on else None
        return "" if mark is None else mark.get("id", "")

    def acknowledge(self, kept_as: str, *, is_taken: bool = False) -> None:
        """We have it, or its writer has been told that we have not; nothing for "", or if the stream is another.

        `is_taken`: it is a text of an owner, for whom the server keeps places free. What was said first counts.
        """
        if kept_as and self._is_on:
            self._pending.setdefault(kept_as, is_taken)
            self._is_empty.clear()
            self._stirred.set()

    async def drain(self, seconds: float) -> None:
        """Return when all is acknowledged, or so much time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()

    async def run(self) -> None:
        """Ask for it and acknowledge, until the stream is gone and this is cancelled."""
        while True:
            is_offered = await self._is_offered()
            if is_offered:
                self._is_on = True  # what comes before the answer is marked already
                answer = await self._ask(f'<enable xmlns="{HOLD}"/>')
                if _is_result(answer):
                    self._tell(True)
                    await self._acknowledge_all()
                self.lost()
            elif is_offered is False:
                self._tell(False)
            await asyncio.sleep(LOOK_SECONDS if is_offered is False else AGAIN_SECONDS)

    def lost(self) -> None:
        """The stream or the module is gone: what was not acknowledged comes again."""
        self._is_on = False
        self._pending.clear()
        self._is_empty.set()

    async def _is_offered(self) -> bool | None:
        answer = await self._ask(f'<query xmlns="{DISCO_INFO}"/>', "get")
        if answer is None:
            return None
        if not _is_result(answer):
            return False
        features = answer.iterfind(f"{{{DISCO_INFO}}}query/{{{DISCO_INFO}}}feature")
        return any(feature.get("var") == HOLD for feature in features)

    async def _acknowledge_all(self) -> None:
        """Return when nobody is there who takes it."""
        while True:
            self._stirred.clear()
            ids = list(self._pending)[:BATCH]
            if not ids:
                self._is_empty.set()
                await self._stirred.wait()
                continue
            holds = "".join(f"<hold id={quoteattr(each)}{_TAKEN if self._pending[each] else ''}/>" for each in ids)
            failpoint("safekeeping.acknowledging")
            answer = await self._ask(f'<ack xmlns="{HOLD}">{holds}</ack>')
            failpoint("safekeeping.acknowledged")
            if answer is None:
                continue
            if not _is_result(answer):
                return
            for each in ids:
                self._pending.pop(each, None)

    async def _ask(self, payload: str, kind: Literal["get", "set"] = "set") -> ET.Element | None:
        return await self._asking.ask(self._jid, payload, ANSWER_SECONDS, kind=kind)

    def _tell(self, is_found: bool) -> None:
        if is_found is self._was_found:
            return
        self._was_found = is_found
        if is_found:
            _log.info(Event.SAFEKEEPING_FOUND)
        else:
            _log.info(Event.SAFEKEEPING_MISSED, hint=_HINT)


def _is_result(answer: ET.Element | None) -> bool:
    return answer is not None and answer.get("type") == "result"
