"""What slixmpp does to a component that a bridge cannot live with, put right. Nothing else knows its private names.

Each entry says with which version the trouble was seen and what ends it; a test shows the trouble in the library as
it is, and fails on the day the work-around may go.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

from slixmpp import ComponentXMPP, Iq, Message, Presence
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from smsbridge.log import Event, Log

STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"  # RFC 6120, 4.9.2

# They act on nested or cached claims (a carbon's sender, an archive's result), or slow every stanza down.
FORBIDDEN_PLUGINS: Final = frozenset({"xep_0115", "xep_0153", "xep_0202", "xep_0280", "xep_0297", "xep_0313"})

DISCO: Final = "http://jabber.org/protocol/disco"  # XEP-0030
_TIME: Final = "urn:xmpp:time"  # XEP-0202
_ONLY_GOT: Final = (f"{{{DISCO}#info}}query", f"{{{DISCO}#items}}query", f"{{{_TIME}}}time")
_log = Log("xmpp")


def make_stream(jid: str, secret: str, host: str, port: int) -> ComponentXMPP:
    """A component stream with every work-around of this module, not connected. Call it inside the running loop."""
    _quote_nothing()
    # COMPAT(slixmpp 1.17): without fix_error_ns every error reads as feature-not-implemented; ends when it is default.
    stream = ComponentXMPP(jid, secret, host, port, fix_error_ns=True)
    _answer_no_receipts(stream)
    _require_from(stream)
    _drop_roster_defaults(stream)
    _keep_nothing_for_later(stream)
    _drop_whitespace(stream)
    _report_exceptions(stream)
    return stream


def require_no_forbidden_plugin(stream: ComponentXMPP) -> None:
    """Raise `RuntimeError` if somebody loaded a plugin that must not be."""
    loaded = sorted(name for name in FORBIDDEN_PLUGINS if name in stream.plugin)
    if loaded:
        raise RuntimeError(f"these slixmpp plugins must not be loaded: {', '.join(loaded)}")


def answer_entity_time(stream: ComponentXMPP, now: Callable[[], datetime]) -> None:
    """Answer XEP-0202 for every JID of the domain; advertise `urn:xmpp:time` elsewhere."""

    def answer(iq: StanzaBase) -> None:
        if iq["type"] != "get":
            return
        local = now().astimezone()
        offset = local.strftime("%z")
        reply = iq.reply()
        element = ET.SubElement(reply.xml, f"{{{_TIME}}}time")
        ET.SubElement(element, f"{{{_TIME}}}tzo").text = f"{offset[:3]}:{offset[3:5]}"
        ET.SubElement(element, f"{{{_TIME}}}utc").text = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        reply.send()

    # COMPAT(slixmpp 1.17): xep_0202 fails on its own time zone; ends when it answers a get.
    stream.register_handler(Callback("entity time", MatchXPath(f"{{{stream.default_ns}}}iq/{{{_TIME}}}time"), answer))


def refuse_settings(stream: ComponentXMPP) -> None:
    """Answer the `set` of what can only be got with an error, like any other request that nobody knows."""

    def refuse(iq: StanzaBase) -> None:
        if iq["type"] == "set":
            iq.unhandled()

    # COMPAT(slixmpp 1.17): xep_0030 takes a `set` and never answers it (RFC 6120, 8.2.3); ends when it does.
    for tag in _ONLY_GOT:
        stream.register_handler(Callback(f"set {tag}", MatchXPath(f"{{{stream.default_ns}}}iq/{tag}"), refuse))


def stream_condition(error: StanzaBase) -> str:
    """The condition of a stream error, known to the library or not; "" if it names none."""
    for child in error.xml:
        namespace, _, name = child.tag[1:].partition("}")
        if namespace == STREAM_ERRORS and name != "text":
            return str(name)
    return ""


def hang_up(stream: ComponentXMPP) -> bool:
    """Drop the connection or the attempt at one. True: a `disconnected` event will follow."""
    # COMPAT(slixmpp 1.17): a refused connection is tried again after 3, 9, 21 … 300 s by a loop of its own, which
    # must not run beside ours; ends when connect() can be told to try once.
    stream.cancel_connection_attempt()
    if stream.transport is None:
        return False
    stream.abort()
    return True


def retire(stream: ComponentXMPP) -> None:
    """End the task that slixmpp leaves running when a stream is thrown away."""
    hang_up(stream)
    # COMPAT(slixmpp 1.17): "Task was destroyed but it is pending"; ends when disconnect() ends its sender.
    if stream._run_out_filters is not None:  # noqa: SLF001 - there is no public way
        stream._run_out_filters.cancel()  # noqa: SLF001


def _answer_no_receipts(stream: ComponentXMPP) -> None:
    # COMPAT(slixmpp 1.17): xep_0184 acknowledges by itself, before we stored anything and without `from`, for which
    # ejabberd closes the stream; ends when auto_ack is off by default.
    stream.plugin_config["xep_0184"] = {"auto_ack": False, "auto_request": False}


def _require_from(stream: ComponentXMPP) -> None:
    def fill_in(stanza: StanzaBase) -> StanzaBase:
        if isinstance(stanza, Message | Iq | Presence) and not stanza.xml.get("from"):
            stanza.xml.set("from", stream.boundjid.bare)
        return stanza

    # COMPAT(slixmpp 1.17): plugins send without `from`, for which ejabberd closes the stream (improper-addressing);
    # ends when ComponentXMPP fills it in.
    stream.add_filter("out_sync", fill_in)


def _drop_roster_defaults(stream: ComponentXMPP) -> None:
    # COMPAT(slixmpp 1.17): probes are answered `unsubscribed` out of a roster in memory that is empty after every
    # start, so users lose their contacts; ends when a component's roster can be turned off.
    answers = {
        "presence_probe": stream._handle_probe,  # noqa: SLF001 - there is no public way
        "presence_subscribe": stream._handle_subscribe,  # noqa: SLF001
        "presence_subscribed": stream._handle_subscribed,  # noqa: SLF001
        "presence_unsubscribe": stream._handle_unsubscribe,  # noqa: SLF001
        "presence_unsubscribed": stream._handle_unsubscribed,  # noqa: SLF001
        "presence_unavailable": stream._handle_unavailable,  # noqa: SLF001
        "roster_subscription_request": stream._handle_new_subscription,  # noqa: SLF001
    }
    answers |= {f"presence_{show}": stream._handle_available for show in _SHOWS}  # noqa: SLF001
    for event, answer in answers.items():
        stream.del_event_handler(event, answer)


_SHOWS: Final = ("available", "dnd", "xa", "chat", "away")


def _keep_nothing_for_later(stream: ComponentXMPP) -> None:
    def drop(_stanza: object) -> None:
        vars(stream)["_XMLStream__queued_stanzas"].clear()  # a new list for each session

    # COMPAT(slixmpp 1.17): what is sent while the stream is down waits in memory, without bound, and is written into
    # the next one; ends when that queue can be turned off.
    stream.add_event_handler("stanza_not_sent", drop)


def _drop_whitespace(stream: ComponentXMPP) -> None:
    # COMPAT(slixmpp 1.17): whitespace_keepalive is never read, and the fence keeps the stream alive; ends when it is.
    stream.del_event_handler("session_start", stream._start_keepalive)  # noqa: SLF001


def _report_exceptions(stream: ComponentXMPP) -> None:
    def report(error: BaseException) -> None:
        _log.crash(Event.STANZA_FAILED, error)

    # COMPAT(slixmpp 1.17): an exception in an event handler goes to a method that does nothing and is "meant to be
    # overridden"; we own the stream and do not subclass it.
    stream.exception = report  # type: ignore[method-assign]


class _TemplatesOnly(logging.Handler):
    """Says which of its fixed sentences slixmpp wanted to log, and none of the values."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning(Event.STANZA_FAILED, logger=record.name, words=str(record.msg).partition("\n")[0])


_templates_only = _TemplatesOnly()


def _quote_nothing() -> None:
    # COMPAT(slixmpp 1.17): its log quotes stanzas, and so texts and numbers: at DEBUG all of them, at ERROR those that
    # it did not understand; ends when it does not.
    logger: Any = logging.getLogger("slixmpp")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(_templates_only)
