"""Every answer that VoIP.ms has for a text, and what the writer hears of it: the whole way but the stream.

    final      at once, as a stanza error
    deferred   nothing while there is hope; after a day a stanza error
    held       all texts of the account (or the line) wait: after five minutes a line of chat, after a day the error

The table is written out by hand: it is the promise, `STATUSES` and `ERRORS` are how it is kept.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk, Rules
from smsbridge.bridge.dispatcher import Dispatcher
from smsbridge.bridge.handover import HandOver
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.outbound import Outbound
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.reconciler import Reconciler
from smsbridge.clock import Clock, to_ms
from smsbridge.core.address import Did
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import OutboundMessage, ProviderName
from smsbridge.metrics import Metrics
from smsbridge.providers.http import open_session
from smsbridge.providers.voipms.api import Settings
from smsbridge.providers.voipms.provider import CAPABILITIES, VoipMs, build
from smsbridge.providers.voipms.statuses import STATUSES
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.store.database import Database
from smsbridge.store.ids import Ids
from smsbridge.store.migrations import migrate
from smsbridge.store.sqlite import SqliteDatabase
from smsbridge.xmpp.stanzas import render
from tests.fakes.waiting import PATIENCE

ALICE, DID, PEER, OTHER_PEER = "alice@example.com", "+15551230001", "+15559870002", "+15559870003"
DOMAIN, ADMIN = "sms.example.com", "carol@example.com"
FIVE_MINUTES, A_DAY = timedelta(minutes=5, seconds=1), timedelta(days=1, seconds=1)
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"

LOGIN = "VoIP.ms refuses this bridge's login; its administrator has to put that right."
OUTDATED = "VoIP.ms does not understand this bridge; its administrator has to look into it."
NOT_ENABLED = "VoIP.ms says this line cannot text: the number is not in the account, or SMS is off for it."
OUR_FAULT = "VoIP.ms did not understand the message; that is a fault of this bridge."
FILE = "VoIP.ms does not take this attachment."


class Told(NamedTuple):
    condition: str
    sentence: str


FINAL = {
    "invalid_dst": Told("item-not-found", "VoIP.ms says this number cannot receive texts."),
    "sms_toolong": Told("not-acceptable", "VoIP.ms says this message is too long."),
    "message_empty": Told("not-acceptable", "VoIP.ms does not send an empty message."),
    "exceeds_file_size": Told("not-acceptable", "VoIP.ms says this attachment is too large."),
    "invalid_file": Told("not-acceptable", FILE),
    "missing_file": Told("not-acceptable", FILE),
    "no_base64file": Told("not-acceptable", FILE),
    "missing_params": Told("internal-server-error", OUR_FAULT),
    "missing_sms": Told("internal-server-error", OUR_FAULT),
    "missing_id": Told("internal-server-error", OUR_FAULT),
    "invalid_sms": Told("internal-server-error", OUR_FAULT),
    "invalid_id": Told("internal-server-error", OUR_FAULT),
    "invalid_contact": Told("internal-server-error", OUR_FAULT),
    "invalid_type": Told("internal-server-error", OUR_FAULT),
    "invalid_timezone": Told("internal-server-error", OUR_FAULT),
    "invalid_date": Told("internal-server-error", OUR_FAULT),
    "invalid_date_from": Told("internal-server-error", OUR_FAULT),
    "invalid_daterange": Told("internal-server-error", OUR_FAULT),
    "invalid_callback": Told("internal-server-error", OUR_FAULT),
    "invalid_callback_enable": Told("internal-server-error", OUR_FAULT),
    "invalid_callback_retry": Told("internal-server-error", OUR_FAULT),
    "invalid_sms_forward": Told("internal-server-error", OUR_FAULT),
    "invalid_forward_enable": Told("internal-server-error", OUR_FAULT),
    "invalid_email_enable": Told("internal-server-error", OUR_FAULT),
    "invalid_smpp_url": Told("internal-server-error", OUR_FAULT),
    "invalid_smpp_username": Told("internal-server-error", OUR_FAULT),
    "invalid_smpp_password": Told("internal-server-error", OUR_FAULT),
}
DEFERRED = {
    "api_limit_exceeded": Told("resource-constraint", "VoIP.ms takes no more messages this minute."),
    "sms_wait_message": Told("resource-constraint", "VoIP.ms wants a minute between two changes."),
    "method_maintenance": Told("remote-server-timeout", "VoIP.ms is closed for maintenance at the moment."),
    "provider_outofservice": Told("remote-server-timeout", "The carrier behind VoIP.ms is out of service."),
    "unavailable_info": Told("remote-server-timeout", "VoIP.ms is not available at the moment."),
    "tls_error": Told("remote-server-timeout", "VoIP.ms has trouble with its connections at the moment."),
    "sms_failed": Told("not-allowed", "The other side's carrier did not take the message."),
}
HELD = {
    "missing_credentials": Told("internal-server-error", LOGIN),
    "invalid_credentials": Told("internal-server-error", LOGIN),
    "api_not_enabled": Told(
        "internal-server-error", "The VoIP.ms API is switched off; the administrator has to switch it on."
    ),
    "ip_not_enabled": Told(
        "internal-server-error",
        "VoIP.ms does not let this bridge in from its address; the administrator has to allow it.",
    ),
    "missing_method": Told("internal-server-error", OUTDATED),
    "invalid_method": Told("internal-server-error", OUTDATED),
    "non_sufficient_funds": Told("resource-constraint", "The balance at VoIP.ms is too low to send."),
    "limit_reached": Told("resource-constraint", "Today's messages at VoIP.ms are used up."),
    "invalid_did": Told("internal-server-error", NOT_ENABLED),
    "missing_did": Told("internal-server-error", NOT_ENABLED),
    "sms_apply_regulations": Told(
        "internal-server-error", "VoIP.ms does not let this line text, for regulatory reasons."
    ),
}


class House:
    """The bridge between a real store and a real carrier, with a clock that a test sets."""

    def __init__(self, database: Database, provider: VoipMs, carrier: Carrier) -> None:
        self.carrier = carrier
        self.now = datetime(2026, 10, 5, 12, tzinfo=UTC)
        self._provider = provider
        self._unheard: list[Heard] = []
        self._after_settling: Callable[[], None] = lambda: None
        line = Line(did=Did(DID), provider=provider.name, owners=(ALICE,))
        rules = Rules(directory=Directory([line]), admins=(ADMIN,))
        self._desk = Desk(
            database=database,
            ids=Ids(lambda: to_ms(self.now)),
            clock=Clock(now=lambda: self.now, monotonic=lambda: to_ms(self.now) / 1000),
            metrics=Metrics(),
            domain=DOMAIN,
            holder="test/1",
            rules=lambda: rules,
            wake_stream=self._wake_stream,
            wake_senders=lambda: None,
        )
        self._handover = HandOver(self._desk, Bell())

    def _wake_stream(self) -> None:
        self._after_settling()

    async def write(self, words: str, peer: str = PEER) -> None:
        """Alice writes a text; its words are its stanza id as well."""
        message = OutboundMessage(
            owner=ALICE,
            sender=f"{ALICE}/phone",
            addressed=f"{peer}@{DOMAIN}",
            stanza_id=words,
            text=words,
            wants_receipt=True,
        )
        await Outbound(self._desk, lambda: {self._provider.name: CAPABILITIES}).accept(message)

    async def send(self) -> None:
        """One attempt at the part that is due first, to its settlement."""
        dispatcher = Dispatcher(
            self._desk,
            self._provider,
            self._provider,
            Pacer(replace(CAPABILITIES, in_flight=1), self._desk.clock),
            Bell(),
            on_unknown=lambda: None,
            roll=lambda: 0.0,
        )
        self._after_settling = dispatcher.drain
        async with asyncio.timeout(PATIENCE):
            await dispatcher.run()
        self._after_settling = lambda: None

    async def wait(self, time: timedelta) -> None:
        """Let so much time go by, then let the janitor and the reconciler make a round."""
        self.now += time
        await Janitor(self._desk).expire()
        await Janitor(self._desk).tell_waiting()
        await Reconciler(self._desk, Bell()).look()

    async def heard(self, by: str = ALICE) -> list["Heard"]:
        """What the stream was given for somebody since the last time."""
        rendered = (await self._handover.claim(100, lambda delivery: render(delivery, now=self.now))).rendered
        await self._handover.hand([item.delivery.id for item in rendered])
        self._unheard += [heard_of(ET.fromstring(item.xml)) for item in rendered]  # noqa: S314 - our own bytes
        mine = [one for one in self._unheard if one.to.partition("/")[0] == by]
        self._unheard = [one for one in self._unheard if one not in mine]
        return mine


class Heard(NamedTuple):
    """A stanza as its reader sees it."""

    kind: str
    sender: str
    to: str
    id: str
    condition: str
    words: str


def heard_of(element: ET.Element) -> Heard:
    conditions = [
        child.tag.removeprefix(STANZAS) for child in element.iterfind("error/*") if child.tag != f"{STANZAS}text"
    ]
    return Heard(
        kind=element.get("type", ""),
        sender=element.get("from", ""),
        to=element.get("to", ""),
        id=element.get("id", ""),
        condition=conditions[0] if conditions else "",
        words=element.findtext(f"error/{STANZAS}text") or element.findtext("body") or "",
    )


@pytest.fixture
async def house(tmp_path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        database = await SqliteDatabase.open(tmp_path / "bridge.db")
        stack.push_async_callback(database.close)
        await migrate(database)
        carrier = await Carrier.start(CarrierConfig(dids=(DidSettings(did=DID),)))
        stack.push_async_callback(carrier.stop)
        session = await stack.enter_async_context(open_session())
        settings = Settings(
            username=carrier.config.username,
            password=carrier.config.password,
            query_key="pretended-query-key-0001",
            api_url=carrier.api_url,
        )
        yield House(database, build(ProviderName("voipms"), settings, session), carrier)


def test_every_status_that_the_bridge_knows_stands_in_one_of_the_tables():
    assert {*FINAL, *DEFERRED, *HELD} == set(STATUSES)
    assert len(FINAL) + len(DEFERRED) + len(HELD) == len(STATUSES)


@pytest.mark.parametrize(("status", "told"), FINAL.items(), ids=FINAL)
async def test_a_final_refusal_is_told_at_once(house, status, told):
    house.carrier.answer_next("sendSMS", status)
    await house.write("hello")
    await house.send()
    assert await house.heard() == [error_about("hello", told)]
    await house.wait(A_DAY)
    assert await house.heard() == []
    assert house.carrier.ledger.sent == []


@pytest.mark.parametrize(("status", "told"), DEFERRED.items(), ids=DEFERRED)
async def test_a_text_that_may_leave_later_is_spoken_of_after_five_minutes_and_given_up_after_a_day(
    house, status, told
):
    house.carrier.answer_next("sendSMS", status)
    await house.write("hello")
    await house.send()
    assert await house.heard() == []
    await house.wait(FIVE_MINUTES)
    [line] = await house.heard()
    assert (line.kind, line.sender, told.sentence in line.words) == ("chat", f"{PEER}@{DOMAIN}", True)
    await house.wait(A_DAY)
    error, line = await house.heard()
    assert error == error_about("hello", told, error.words)
    assert told.sentence in error.words
    assert (line.kind, line.to, told.sentence in line.words) == ("chat", ALICE, True)
    assert house.carrier.ledger.sent == []


@pytest.mark.parametrize("status", DEFERRED)
async def test_a_text_that_was_put_off_leaves_when_its_time_comes(house, status):
    house.carrier.answer_next("sendSMS", status)
    await house.write("hello")
    await house.send()
    await house.wait(6 * FIVE_MINUTES)
    await house.send()
    [_, receipt] = await house.heard()
    assert (receipt.kind, receipt.sender) == ("chat", f"{PEER}@{DOMAIN}")
    assert [row.message for row in house.carrier.ledger.sent] == ["hello"]


@pytest.mark.parametrize(("status", "told"), HELD.items(), ids=HELD)
async def test_what_holds_all_texts_is_told_after_five_minutes_and_again_when_they_are_given_up(house, status, told):
    house.carrier.answer_next("sendSMS", status)
    await house.write("hello")
    await house.write("never tried", OTHER_PEER)
    await house.send()
    assert await house.heard() == []
    [alert] = await house.heard(by=ADMIN)
    assert (alert.kind, alert.sender) == ("chat", DOMAIN)
    assert told.sentence in alert.words

    await house.wait(FIVE_MINUTES)
    lines = await house.heard()
    assert [(line.kind, line.sender) for line in lines] == [
        ("chat", f"{PEER}@{DOMAIN}"),
        ("chat", f"{OTHER_PEER}@{DOMAIN}"),
    ]
    assert all(told.sentence in line.words for line in lines)
    await house.wait(FIVE_MINUTES)
    assert await house.heard() == []

    await house.wait(A_DAY)
    heard = await house.heard()
    errors = {one.id: one for one in heard if one.kind == "error"}
    assert errors.keys() == {"hello", "never tried"}
    assert {error.condition for error in errors.values()} == {told.condition}
    assert all(told.sentence in one.words for one in heard)
    assert house.carrier.ledger.sent == []


@pytest.mark.parametrize("status", HELD)
async def test_what_was_held_leaves_in_order_when_the_fault_is_mended(house, status):
    house.carrier.answer_next("sendSMS", status)
    for words in ("first", "second"):
        await house.write(words)
    await house.send()
    await house.wait(FIVE_MINUTES)
    assert len(await house.heard()) == 2
    for _ in range(2):
        await house.send()
    assert [row.message for row in house.carrier.ledger.sent] == ["first", "second"]
    assert [one.kind for one in await house.heard()] == ["chat", "chat"]


async def test_what_the_other_side_refuses_twice_is_final(house):
    house.carrier.answer_next("sendSMS", "sms_failed", times=2)
    await house.write("hello")
    await house.send()
    assert await house.heard() == []
    await house.wait(FIVE_MINUTES)
    await house.send()
    _, error, line = await house.heard()
    assert error == error_about("hello", DEFERRED["sms_failed"])
    assert (
        line.words == f"Your text “hello”: {error.words}"
    )  # the client may be gone by now, and servers drop errors for nobody


@pytest.mark.parametrize("status", ["no_sms", "never_heard_of", "Internal Error!"])
async def test_an_answer_that_nobody_knows_is_no_proof_and_the_writer_is_told_so(house, status):
    house.carrier.answer_next("sendSMS", status)
    await house.write("hello")
    await house.send()
    await house.wait(timedelta(0))
    error, question = await house.heard()
    assert (error.kind, error.id, error.condition) == ("error", "hello", "remote-server-timeout")
    assert "may not have been sent" in error.words
    assert (question.kind, question.words.partition(" ")[0]) == ("chat", "[1]")


def error_about(text: str, told: Told, words: str = "") -> Heard:
    """The error stanza for a text, from where it was written to, to the very client that wrote it."""
    return Heard("error", f"{PEER}@{DOMAIN}", f"{ALICE}/phone", text, told.condition, words or told.sentence)
