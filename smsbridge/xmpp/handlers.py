"""What happens when a message or a presence arrives: translate, call the bridge, let the error table answer.

slixmpp's own dispatch of both is taken out: it looks at bodies only, fires twice for an error that echoes one, and
answers probes of owners with `unsubscribed`. Here each message is seen exactly once. Messages reach the bridge in the
order in which they came, each in a task of its own; a task that fails answers its sender, never an error stanza.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Final, Protocol
from xml.etree import ElementTree as ET

from slixmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.matcher.base import MatcherBase
from slixmpp.xmlstream.stanzabase import StanzaBase

from smsbridge.clock import Clock
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.message import OutboundMessage
from smsbridge.core.words.say import Language
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.xmpp import commands, disco, jids, manners, vcards
from smsbridge.xmpp.blocking import REFUSED, Blocking
from smsbridge.xmpp.caps import ProfileOf
from smsbridge.xmpp.commands import Commands
from smsbridge.xmpp.errors import Envelope, error_reply
from smsbridge.xmpp.showing import Showing
from smsbridge.xmpp.stanzas import Bounce, Ignored, Typed, envelope_of, read_message
from smsbridge.xmpp.vcards import VCards

_log = Log("xmpp")

# the names under which BaseXMPP registers its own
_REPLACED: Final = ("IM", "IMError", "Presence")


class Outbound(Protocol):
    """Takes a text: committed when it returns; raises `Refused` or `StoreUnavailable`."""

    async def accept(self, message: OutboundMessage) -> None: ...


class HandOver(Protocol):
    """Learns that a stanza of ours came back; False if it is not ours."""

    async def bounce(
        self, stanza_id: str, from_bare_jid: str, condition: str, is_blocked: Callable[[], Awaitable[bool]]
    ) -> bool: ...


class Safekeeping(Protocol):
    """Knows what the server keeps until we have it; an id is "" where it keeps nothing."""

    def id_in(self, stanza: ET.Element) -> str: ...

    def acknowledge(self, kept_as: str, *, is_taken: bool = False) -> None: ...


class Handlers:
    """The handlers of one component, whatever streams it has in turn."""

    def __init__(
        self,
        *,
        outbound: Outbound,
        handover: HandOver,
        commands: Commands,
        safekeeping: Safekeeping,
        vcards: VCards,
        language_of: Callable[[str, str], Language],
        showing: Showing,
        blocking: Blocking,
        memory: manners.Memory,
        profile: ProfileOf,
        domain: str,
        send: Callable[[bytes], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._outbound = outbound
        self._handover = handover
        self._commands = commands
        self._safekeeping = safekeeping
        self._vcards = vcards
        self._language_of = language_of
        self._showing = showing
        self._blocking = blocking
        self._memory = memory
        self._profile = profile
        self._domain = domain
        self._send = send
        self._metrics = metrics
        self._clock = clock
        self._running: set[asyncio.Task[object]] = set()

    def install(self, stream: ComponentXMPP) -> None:
        """Take the place of slixmpp's own handlers of messages and presence, and answer whatever is asked of us."""
        for name in _REPLACED:
            stream.remove_handler(name)
        stream.register_handler(Callback("smsbridge message", _Named("message"), self._on_message))
        stream.register_handler(Callback("smsbridge presence", _Named("presence"), self._on_presence))
        stream.add_event_handler("session_start", self._showing.opened)
        for tag in manners.TAGS:
            is_question = MatchXPath(f"{{{stream.default_ns}}}iq/{tag}")
            stream.register_handler(Callback(f"smsbridge {tag}", is_question, self._on_question))
        is_command = MatchXPath(f"{{{stream.default_ns}}}iq/{commands.TAG}")
        stream.register_handler(Callback("smsbridge command", is_command, self._on_command))
        for tag in vcards.TAGS:
            is_asked = MatchXPath(f"{{{stream.default_ns}}}iq/{tag}")
            stream.register_handler(Callback(f"smsbridge {tag}", is_asked, self._on_vcard))
        disco.install(stream, self._clock, self._commands.offered, self._language_of, self._profile)

    async def drain(self) -> None:
        """Return when everything that has come by now is taken and answered: more may come faster than that."""
        if self._running:
            await asyncio.wait(set(self._running))

    def _on_message(self, stanza: StanzaBase) -> None:
        self._start(self._take(stanza.xml))

    def _on_command(self, stanza: StanzaBase) -> None:
        self._start(self._is_settled(stanza.xml, self._answer_command))

    def _on_question(self, stanza: StanzaBase) -> None:
        if manners.is_asked(stanza.xml, self._domain):
            self._start(self._is_settled(stanza.xml, self._answer_question))
        elif stanza.xml.get("type") in {"get", "set"}:
            stanza.unhandled()

    def _on_vcard(self, stanza: StanzaBase) -> None:
        self._start(self._is_settled(stanza.xml, self._answer_vcard))

    def _start(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _on_presence(self, stanza: StanzaBase) -> None:
        self._start(self._show(envelope_of(stanza.xml)))

    async def _show(self, envelope: Envelope) -> None:
        try:
            self._blocking.hears(envelope)
            await self._showing.take(envelope)
        except Exception as error:  # noqa: BLE001 - a presence is no reason to lose the stream
            _log.crash(Event.STANZA_FAILED, error, stanza="presence")

    async def _take(self, element: ET.Element) -> None:
        kept_as = self._safekeeping.id_in(element)
        if await self._is_settled(element, partial(self._act, kept_as=kept_as)):
            self._safekeeping.acknowledge(kept_as)

    async def _is_settled(self, element: ET.Element, act: Callable[[ET.Element], Coroutine[None, None, None]]) -> bool:
        """Whether it has been taken, or its writer told why not."""
        try:
            await act(element)
        except Refused as refused:
            return self._refuse(envelope_of(element), refused)
        except StoreUnavailable as error:
            _log.crash(Event.STORE_FAILED, error, stanza=envelope_of(element).name)
            return self._refuse(envelope_of(element), Refused(Reason.NOT_STORED))
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender must hear of it
            _log.crash(Event.STANZA_FAILED, error, stanza=envelope_of(element).name)
            return self._refuse(envelope_of(element), Refused(Reason.BUG))
        return True

    async def _act(self, element: ET.Element, kept_as: str) -> None:
        match read_message(element, domain=self._domain):
            case OutboundMessage() as text:
                await self._outbound.accept(replace(text, kept_as=kept_as) if kept_as else text)
                self._safekeeping.acknowledge(kept_as, is_taken=True)
            case Typed() as line:
                if (tick := await commands.take(line, envelope_of(element), self._commands, self._domain)) is not None:
                    self._send(tick)
            case Bounce(stanza_id=stanza_id, from_bare_jid=recipient, condition=condition):
                is_blocked = partial(self._is_blocked, recipient, envelope_of(element).addressed, condition)
                await self._handover.bounce(stanza_id, recipient, condition, is_blocked)
            case Refused() as refused:
                raise refused
            case Ignored(why=why, is_odd=True):
                _log.info(Event.STANZA_IGNORED, why=why)

    async def _is_blocked(self, owner: str, number: str, condition: str) -> bool:
        return condition == REFUSED and await self._blocking.is_blocked(owner, jids.bare(number))

    async def _answer_command(self, element: ET.Element) -> None:
        answer = await commands.answer(element, self._commands, domain=self._domain, language_of=self._language_of)
        if answer is not None:
            self._send(answer)

    async def _answer_question(self, element: ET.Element) -> None:
        envelope = envelope_of(element)
        language = self._language_of(envelope.sender, envelope.lang)
        self._send(await manners.answer(element, self._memory, domain=self._domain, language=language))

    async def _answer_vcard(self, element: ET.Element) -> None:
        answer = self._vcards.answer(element)
        if answer is not None:
            self._send(answer)

    def _refuse(self, envelope: Envelope, refused: Refused) -> bool:
        if envelope.type == "error":  # RFC 6120, 8.3.1: an error is never answered
            return True
        if envelope.name == "message":
            self._metrics.outbound_refused.labels(reason=refused.reason.value).inc()
            _log.info(Event.TEXT_REFUSED, reason=refused.reason.value)
        try:
            language = self._language_of(envelope.sender, envelope.lang)
            self._send(error_reply(envelope, refused, domain=self._domain, language=language))
        except Exception as error:  # noqa: BLE001 - nobody is left to tell
            _log.crash(Event.STANZA_FAILED, error, stanza="error")
            return False
        return True


class _Named(MatcherBase):
    """Matches top-level stanzas by the name of the raw element."""

    def match(self, xml: StanzaBase) -> bool:
        return str(xml.xml.tag).endswith("}" + self._criteria)
