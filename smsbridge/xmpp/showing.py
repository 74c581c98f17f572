"""Who sees a number's presence, what he was shown last, and when he is to be shown something else.

    an owner's client comes ─▶ its server tells us ─▶ it is shown how things are ─┐
    the outlook has changed for half a minute ─▶ those who are there, and were shown something else
    a stream begins ─▶ nobody knows who is there ─▶ their servers are asked for all who ever saw a number
    a number is somebody's no more ─▶ whoever ever saw it sees it leave, and is forgotten
    the bridge stops ─▶ whoever ever saw a number sees it leave: a server says nothing when a component goes

The server tells us of a user only if he lets the number see him, as he does with his contacts, and some time after he
was shown it. Each client is shown a change once; what has not changed is said again to a probe alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import Directory
from smsbridge.core.outlook import Outlook
from smsbridge.log import Event, Log
from smsbridge.xmpp import jids, wire
from smsbridge.xmpp.errors import Envelope
from smsbridge.xmpp.presence import Answer, Look, answer_presence, render_answers, resource_of

IDLE: Final = 30.0
BETWEEN: Final = 0.5  # seconds between two bunches of probes
MOST_SHOWN: Final = 20_000  # numbers, each to one owner: what is beyond hears of no changes

_GONE: Final = frozenset({"unavailable", "error"})
_NO_CONTACT: Final = frozenset({"unsubscribe", "unsubscribed"})
_log = Log("xmpp")

Pair = tuple[str, str]  # an owner and a number, both bare JIDs


class Outlooks(Protocol):
    """What there is to be shown. Raises `StoreUnavailable` where it remembers."""

    async def of(self, owner: str, localpart: str) -> Outlook | None: ...

    async def changed(self, seconds: float) -> None: ...

    def wake(self) -> None: ...

    async def remember(self, owner: str, number: str) -> None: ...

    async def forget(self, owner: str, number: str) -> None: ...

    async def watched(self, after: Pair) -> tuple[Pair, ...]: ...


class Showing:
    """Of one component, whatever streams it has in turn."""

    def __init__(
        self,
        *,
        outlooks: Outlooks,
        directory: Callable[[], Directory],
        look: Look,
        send: Callable[[bytes], None],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._outlooks = outlooks
        self._directory = directory
        self._domain = look.domain
        self._look = look
        self._send = send
        self._pause = pause
        self._shown: dict[Pair, dict[str, Outlook]] = {}  # by full JID
        self._remembered: set[Pair] = set()
        self._looked_through: Directory | None = None
        self._is_new_stream = False

    def opened(self, _event: object = None) -> None:
        """A stream begins: nobody knows who came and went meanwhile."""
        self._shown.clear()
        self._is_new_stream = True
        self._outlooks.wake()

    async def run(self) -> None:
        """Show what changes, for ever."""
        while True:
            try:
                if self._is_new_stream:
                    self._is_new_stream = False
                    await self._ask()
                await self._outlooks.changed(IDLE)
                await self.tell()
            except StoreUnavailable as error:
                _log.warning(Event.STORE_FAILED, error=str(error))
                self._is_new_stream = True  # it may have come in between: some were asked, and are asked again
                await self._pause(IDLE)

    async def take(self, envelope: Envelope) -> None:
        """Answer a presence, and remember what it tells. Raises `StoreUnavailable` and `Unrenderable`."""
        answers = answer_presence(envelope, directory=self._directory(), domain=self._domain)
        pair = self._pair_of(envelope)
        if pair is None:
            return
        if envelope.type in _GONE:
            self._leave(pair, envelope.sender)
        elif envelope.type in _NO_CONTACT:
            self._shown.pop(pair, None)
            self._write(answers)
            await self._forget(pair)
            return
        if not any(answer.is_available for answer in answers):
            self._write(answers)
            return
        try:
            await self._remember(pair)  # before he sees it: whoever sees it must be known after a restart
        finally:
            self._write(await self._with_outlook(answers, envelope, pair))

    async def appear(self, owner: str, number: str) -> None:
        """Show an owner a number anew (both bare JIDs), as if he had asked. Raises as `take` does."""
        await self.take(Envelope(name="presence", sender=owner, addressed=number, id="", type="probe"))

    async def tell(self) -> None:
        """Show whoever is there what he was not shown yet. Raises `StoreUnavailable`."""
        directory = self._directory()
        pairs = {*self._shown}
        if directory is not self._looked_through:
            pairs |= self._remembered
        for pair in pairs:
            outlook = await self._outlook_of(pair)
            clients = self._shown.get(pair, {})
            if outlook is None:
                await self._dismiss(pair)
            elif any(shown != outlook for shown in clients.values()):
                clients.update(dict.fromkeys(clients, outlook))
                self._write([Answer(sender=resource_of(pair[1]), to=pair[0], outlook=outlook)])
        self._looked_through = directory

    def leave(self) -> None:
        """Show whoever may be there that nothing goes out any more: his client need not be known."""
        for owner, number in sorted({*self._shown, *self._remembered}):
            self._write([Answer(sender=resource_of(number), to=owner, type="unavailable")])
        self._shown.clear()

    def clients_of(self, owner: str) -> set[str]:
        """Those of a bare JID that see a number of ours, by their full JIDs."""
        return {client for (its_owner, _), clients in self._shown.items() if its_owner == owner for client in clients}

    async def _with_outlook(self, answers: list[Answer], envelope: Envelope, pair: Pair) -> list[Answer]:
        """The answers as things are; none to a presence that tells nothing to who has been shown that already."""
        outlook = await self._outlook_of(pair)
        if outlook is None:
            return []
        is_client = not envelope.type and "/" in envelope.sender
        if is_client and self._shown.get(pair, {}).get(envelope.sender) == outlook:
            return []
        if is_client and (pair in self._shown or len(self._shown) < MOST_SHOWN):
            self._shown.setdefault(pair, {})[envelope.sender] = outlook
        return [replace(answer, outlook=outlook) if answer.is_available else answer for answer in answers]

    async def _ask(self) -> None:
        """Have the servers say who of all that ever saw a number is there now."""
        after: Pair = ("", "")
        while pairs := await self._outlooks.watched(after):
            for owner, number in pairs:
                if number.rpartition("@")[2] != self._domain:  # of another bridge over this store
                    continue
                self._remembered.add((owner, number))
                if await self._outlook_of((owner, number)) is None:
                    await self._dismiss((owner, number))
                    continue
                probe = wire.stanza("presence", sender=number, to=owner, stanza_type="probe")
                self._send(wire.serialise(probe, domain=self._domain))
            after = pairs[-1]
            await self._pause(BETWEEN)

    async def _outlook_of(self, pair: Pair) -> Outlook | None:
        owner, number = pair
        return await self._outlooks.of(owner, number.rpartition("@")[0])

    async def _dismiss(self, pair: Pair) -> None:
        """He sees a number leave that is none of his any more: he may see it though no client of his is known."""
        owner, number = pair
        self._shown.pop(pair, None)
        self._write([Answer(sender=resource_of(number), to=owner, type="unavailable")])
        await self._forget(pair)

    async def _remember(self, pair: Pair) -> None:
        if pair not in self._remembered and len(self._remembered) < MOST_SHOWN:
            self._remembered.add(pair)  # before the store has it: what comes meanwhile is in order behind it
            try:
                await self._outlooks.remember(*pair)
            except BaseException:
                self._remembered.discard(pair)
                raise

    async def _forget(self, pair: Pair) -> None:
        if pair in self._remembered:
            self._remembered.discard(pair)
            try:
                await self._outlooks.forget(*pair)
            except BaseException:
                self._remembered.add(pair)
                raise

    def _leave(self, pair: Pair, client: str) -> None:
        clients = self._shown.get(pair)
        if clients is not None:
            clients.pop(client, None)
            if not clients:
                del self._shown[pair]

    def _pair_of(self, envelope: Envelope) -> Pair | None:
        try:
            owner, number = jids.bare(envelope.sender), jids.bare(envelope.addressed)
        except ValueError:
            return None
        is_ours = number.rpartition("@")[2] == self._domain and owner.rpartition("@")[2] != self._domain
        return (owner, number) if is_ours else None

    def _write(self, answers: list[Answer]) -> None:
        for xml in render_answers(answers, self._look):
            self._send(xml)
