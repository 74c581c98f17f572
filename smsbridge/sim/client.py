"""An ordinary XMPP user for the demo, the tests and the harness: says what it is told, records what it gets.

- It does nothing unasked: no automatic receipt, no answer to a subscription request, no resend, no reconnect.
  It does answer disco, ping and unknown requests, as every client does.
- Every message stanza is recorded in order of arrival: slixmpp's own `message` event shows only those with a body,
  which leaves out receipts, markers, chat states and most errors. The one exception is the empty list of privileges
  that mod_privilege sends to every user at login.
- `login` returns after the echo of our own presence. A message routed before that may land in offline storage.
- To show that nothing arrived, do not wait: `await client.ping()`, then look. The server handles a stream in order.
- All we send goes through one door (`send_raw`), so stanzas leave in the order of the calls. Plaintext, for loopback.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from xml.etree import ElementTree as ET

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.stanzabase import StanzaBase

from smsbridge.sim.received import (
    CARBONS,
    CLIENT,
    DISCO_INFO,
    MAM,
    MARKERS,
    RECEIPTS,
    ROSTER,
    RSM,
    Disco,
    Received,
    ReceivedPresence,
    RosterEntry,
    StanzaError,
    archive_result,
    read_archived,
    read_disco,
    read_error,
    read_message,
    read_presence,
    read_roster_item,
    to_text,
)
from smsbridge.sim.written import about, archive_query, attributes

PING = "{urn:xmpp:ping}"
PRIVILEGE = "{urn:xmpp:privilege:2}"
PATIENCE = 60.0  # seconds: it ends what hangs, and says nothing of speed
LOGINS, LOGIN_PAUSE = 10, 0.2

Stanza = TypeVar("Stanza", Received, ReceivedPresence)


class LoginFailed(Exception):
    """The server refused us, or was not there."""


class NotNow(LoginFailed):
    """The server let go of us before it had looked: ejabberd does while its first SQL queries race."""


class StreamEnded(Exception):
    """The connection is gone; nothing more will arrive."""


class Refused(Exception):
    """A request was answered with an error."""

    def __init__(self, error: StanzaError) -> None:
        super().__init__(f"{error.kind}/{error.condition}: {error.text or 'no text'}")
        self.error = error


class Client:
    """One logged-in session. `received` and `presences` are the full logs, oldest first."""

    def __init__(self, stream: ClientXMPP, *, auto_receipts: bool) -> None:
        """Use `Client.login`; this only wires the handlers of a stream that is not connected yet."""
        self.received: list[Received] = []
        self.presences: list[ReceivedPresence] = []
        self._unread: list[Received] = []
        self._unread_presences: list[ReceivedPresence] = []
        self._auto_receipts = auto_receipts
        self._stream = stream
        self._answers: dict[str, asyncio.Future[ET.Element]] = {}
        self._archive_pages: dict[str, list[Received]] = {}
        self._arrived = asyncio.Event()
        self._is_over = False
        self._present: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire()

    @classmethod
    async def login(
        cls,
        jid: str,
        password: str,
        host: str = "127.0.0.1",
        port: int = 5222,
        resource: str | None = None,
        *,
        carbons: bool = False,
        auto_receipts: bool = False,
        timeout: float = PATIENCE,  # noqa: ASYNC109 - the deadline of a whole login is the caller's to choose
    ) -> Self:
        """Log in, become available, and return when the server has taken note of it. Raises `LoginFailed`.

        As any client it comes again, a few times, if the server could not look at it just now. `carbons` asks for
        copies of what our other devices send and get; `auto_receipts` answers every XEP-0184 request.
        """
        full, tries = f"{jid}/{resource}" if resource else jid, 0
        try:
            async with asyncio.timeout(timeout):
                while True:
                    client = cls(_stream_of(full, password), auto_receipts=auto_receipts)
                    try:
                        await client._enter(host, port, carbons=carbons)
                        return client
                    except BaseException as error:
                        await client.logout()
                        if not isinstance(error, NotNow) or (tries := tries + 1) == LOGINS:
                            raise
                    await asyncio.sleep(LOGIN_PAUSE)
        except TimeoutError:
            raise LoginFailed(f"no session within {timeout:.0f} s") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.logout()

    async def logout(self) -> None:
        """Close the stream in order and leave no task behind. Harmless when the server is gone already."""
        stream = self._stream
        stream.cancel_connection_attempt()
        gone = stream.disconnected
        await stream.disconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await gone
        # slixmpp leaves its sender running; ended here, or it is "destroyed but pending" with the loop.
        sender = stream._run_out_filters  # noqa: SLF001
        if sender is not None:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    @property
    def jid(self) -> str:
        """Our full JID as the server bound it."""
        return str(self._stream.boundjid.full)

    @property
    def bare_jid(self) -> str:
        return str(self._stream.boundjid.bare)

    @property
    def is_online(self) -> bool:
        return not self._is_over

    async def send_text(
        self,
        to: str,
        body: str,
        *,
        kind: str = "chat",
        stanza_id: str | None = None,
        request_receipt: bool = True,
        extra: Iterable[ET.Element] = (),
    ) -> str:
        """Send a message and return its id, a hyphenated UUID unless one is given; `extra` are more children."""
        children = [ET.Element(f"{CLIENT}body")]
        children[0].text = body
        if request_receipt:
            children.append(ET.Element(f"{RECEIPTS}request"))
        return self._send_message(to, kind, [*children, *extra], stanza_id)

    async def send_receipt(self, message: Received) -> str:
        """Tell the sender that we have the message (XEP-0184)."""
        return self._send_message(message.sender, message.kind, about(f"{RECEIPTS}received", message))

    async def send_displayed(self, message: Received) -> str:
        """Tell the sender that we have read the message (XEP-0333)."""
        return self._send_message(message.sender, message.kind, about(f"{MARKERS}displayed", message))

    async def send_presence(self, kind: str | None = None, to: str | None = None, show: str | None = None) -> None:
        """Send a presence: available unless `kind` says otherwise, to our contacts unless `to` does."""
        presence = ET.Element(f"{CLIENT}presence", attributes(type=kind, to=to))
        if show:
            ET.SubElement(presence, f"{CLIENT}show").text = show
        self.send_raw(to_text(presence))

    def send_raw(self, xml: str) -> None:
        """Put bytes of our own on the stream. Raises `StreamEnded` when there is none."""
        if self._is_over:
            raise StreamEnded("the stream is closed")
        self._stream.send_raw(xml)

    async def next(
        self,
        predicate: Callable[[Received], bool] = lambda _: True,
        timeout: float = PATIENCE,  # noqa: ASYNC109 - the deadline is the point of the call
    ) -> Received:
        """The oldest message that no earlier `next` has returned and that `predicate` accepts; waits for one.

        Each message is handed out once. Those that the predicate turns down stay for later calls, in their order.
        Raises `TimeoutError`, or `StreamEnded` when the connection is gone and none of the left-over ones fits.
        """
        return await self._next(self._unread, predicate, timeout)

    async def next_presence(
        self,
        predicate: Callable[[ReceivedPresence], bool] = lambda _: True,
        timeout: float = PATIENCE,  # noqa: ASYNC109 - the deadline is the point of the call
    ) -> ReceivedPresence:
        """Like `next`, for presences. Our own echo from the login is the first of them."""
        return await self._next(self._unread_presences, predicate, timeout)

    async def request(
        self,
        kind: Literal["get", "set"],
        to: str | None,
        payload: ET.Element,
        timeout: float = PATIENCE,  # noqa: ASYNC109 - the deadline is the caller's to choose
    ) -> ET.Element:
        """Send an IQ (to our own account without `to`) and return the answering `<iq/>`. Raises `Refused`."""
        request_id = str(uuid.uuid4())
        iq = ET.Element(f"{CLIENT}iq", attributes(type=kind, id=request_id, to=to))
        iq.append(payload)
        self._answers[request_id] = asyncio.get_running_loop().create_future()
        try:
            self.send_raw(to_text(iq))
            async with asyncio.timeout(timeout):
                answer = await self._answers[request_id]
        finally:
            del self._answers[request_id]
        if error := read_error(answer):
            raise Refused(error)
        return answer

    async def ping(self, jid: str | None = None) -> None:
        """Ping somebody, or our server: what it had for us before has arrived when this returns."""
        await self.request("get", jid or str(self._stream.boundjid.host), ET.Element(f"{PING}ping"))

    async def disco_info(self, jid: str, node: str | None = None) -> Disco:
        answer = await self.request("get", jid, ET.Element(f"{DISCO_INFO}query", attributes(node=node)))
        return read_disco(answer)

    async def subscribe(self, jid: str) -> None:
        """Ask for the contact's presence. The answer is among the presences, the outcome in the roster."""
        await self.send_presence("subscribe", jid)

    async def accept(self, jid: str) -> None:
        """Let the contact see our presence."""
        await self.send_presence("subscribed", jid)

    async def roster(self) -> list[RosterEntry]:
        """All contacts, freshly fetched."""
        answer = await self.request("get", None, ET.Element(f"{ROSTER}query"))
        return [read_roster_item(item) for item in answer.iter(f"{ROSTER}item")]

    async def roster_entry(self, jid: str) -> RosterEntry | None:
        """One contact, freshly fetched; None when the server does not know it."""
        return next((entry for entry in await self.roster() if entry.jid == jid), None)

    async def archive(self, with_jid: str | None = None, *, page: int = 100) -> list[Received]:
        """All that the server's archive of this account holds, oldest first, page by page to the end."""
        found: list[Received] = []
        after: str | None = None
        while True:
            query_id = str(uuid.uuid4())
            one_page: list[Received] = []
            self._archive_pages[query_id] = one_page
            try:
                answer = await self.request("set", None, archive_query(query_id, with_jid, after, page))
            finally:
                del self._archive_pages[query_id]
            found += one_page
            fin = answer.find(f"{MAM}fin")
            after = None if fin is None else fin.findtext(f"{RSM}set/{RSM}last")
            if fin is None or fin.get("complete") == "true" or after is None:
                return found

    async def _enter(self, host: str, port: int, *, carbons: bool) -> None:
        self._stream.connect(host, port)
        await self._present
        if carbons:
            await self.request("set", None, ET.Element(f"{CARBONS}enable"))

    async def _next(self, unread: list[Stanza], predicate: Callable[[Stanza], bool], seconds: float) -> Stanza:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for index, stanza in enumerate(unread):
                        if predicate(stanza):
                            return unread.pop(index)
                    if self._is_over:
                        raise StreamEnded("the stream closed before a match arrived")
                    await self._arrived.wait()
        except TimeoutError:
            kinds = ", ".join(stanza.kind for stanza in unread) or "none"
            raise TimeoutError(f"no match within {seconds:g} s; unread: {kinds}") from None

    def _send_message(self, to: str, kind: str, children: Iterable[ET.Element], stanza_id: str | None = None) -> str:
        stanza_id = stanza_id or str(uuid.uuid4())
        message = ET.Element(f"{CLIENT}message", attributes(to=to, type=kind, id=stanza_id))
        message.extend(children)
        self.send_raw(to_text(message))
        return stanza_id

    def _wire(self) -> None:
        handlers: dict[str, Callable[[StanzaBase], None]] = {
            "message": self._on_message,
            "presence": self._on_presence,
            "iq": self._on_iq,
        }
        for name, handler in handlers.items():
            self._stream.register_handler(Callback(f"client {name}", MatchXPath(f"{CLIENT}{name}"), handler))
        self._stream.add_event_handler("session_start", lambda _: self.send_raw("<presence/>"))
        self._stream.add_event_handler(
            "connection_failed", lambda error: self._fail_login(LoginFailed(f"no connection: {error}"))
        )
        self._stream.add_event_handler("failed_auth", self._on_refusal)
        self._stream.add_event_handler("disconnected", self._on_disconnected)

    def _on_message(self, stanza: StanzaBase) -> None:
        element = stanza.xml
        result = archive_result(element, self.bare_jid)
        if result is not None:
            message, page = read_archived(result), self._archive_pages.get(result.get("queryid", ""))
            if message is not None and page is not None:
                page.append(message)
            return
        if element.get("from") == self._stream.boundjid.host and element.find(f"{PRIVILEGE}privilege") is not None:
            return
        received = read_message(element, self.bare_jid)
        self.received.append(received)
        self._unread.append(received)
        self._wake()
        is_for_us = received.carbon is None and received.error is None
        if self._auto_receipts and received.receipt_requested and is_for_us:
            self._send_message(received.sender, received.kind, about(f"{RECEIPTS}received", received))

    def _on_presence(self, stanza: StanzaBase) -> None:
        presence = read_presence(stanza.xml)
        self.presences.append(presence)
        self._unread_presences.append(presence)
        self._wake()
        if presence.sender == self.jid and not self._present.done():
            self._present.set_result(None)

    def _on_iq(self, stanza: StanzaBase) -> None:
        if stanza.xml.get("type") in ("result", "error"):
            answer = self._answers.get(stanza.xml.get("id", ""))
            if answer is not None and not answer.done():
                answer.set_result(stanza.xml)

    def _on_refusal(self, failure: Any) -> None:
        is_final = failure["condition"] != "temporary-auth-failure"
        self._fail_login(LoginFailed("wrong name or password") if is_final else NotNow("temporary-auth-failure"))

    def _on_disconnected(self, reason: Any) -> None:
        self._is_over = True
        self._fail_login(NotNow(f"the stream closed: {reason}"))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(StreamEnded("the stream closed before the answer"))
        self._wake()

    def _fail_login(self, why: LoginFailed) -> None:
        if not self._present.done():
            self._present.set_exception(why)
            self._present.exception()  # seen: a login that gave up for another reason does not look again

    def _wake(self) -> None:
        """Wake everybody who waits now; who comes later waits for the next arrival."""
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()


def _stream_of(jid: str, password: str) -> ClientXMPP:
    stream = ClientXMPP(jid, password, sasl_mech="PLAIN")
    stream.enable_starttls = stream.enable_direct_tls = False
    stream.enable_plaintext = True
    stream.plugin["feature_mechanisms"].unencrypted_plain = True
    stream.auto_authorize = None
    stream.auto_subscribe = False
    stream.register_plugin("xep_0030")
    stream.register_plugin("xep_0199")
    return stream
