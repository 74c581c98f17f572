"""`smsbridge demo`: the main job, played on this machine with every hop shown, then left up for you to join.

handset ─▶ carrier ─webhook─▶ bridge ─▶ journal ─▶ stanza ─▶ Prosody ─▶ Alice's client, and all the way back
"""

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import shutil
import signal
import sqlite3
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from smsbridge import log
from smsbridge.core.address import normalise_peer
from smsbridge.sim.control import TOKEN_HEADER
from smsbridge.sim.ledger import Direction, Row
from smsbridge.sim.ports import LOOPBACK
from smsbridge.sim.received import Received
from smsbridge.sim.stage import DID, PEER, Stage, StageConfig, password_of
from smsbridge.sim.xmpp_server import PortTaken, ProgramMissing, StartFailed
from smsbridge.web.app import CannotListen

TOKEN = "demo"
HANDSET = "5559870002"
ABROAD = "+445559870002"
CARRIER_PORT = 15290
OTHER_PORTS = """
Is another demo running? To have any free ports:
  smsbridge demo --c2s-port 0 --http-port 0 --carrier-port 0
  make demo ARGS="--c2s-port 0 --http-port 0 --carrier-port 0\""""
FOLLOW_SECONDS = 0.3
GLANCE_SECONDS = 0.01
HOPS = {
    "handset": "33", "webhook": "35", "carrier": "35", "journal": "34", "stanza": "36", "client": "32", "error": "31",
}  # fmt: skip


def main(options: argparse.Namespace) -> int:
    """Play, or text into a demo that is running; returns the exit code."""
    if options.act == "text":
        return _text(options.carrier_port, options.peer, " ".join(options.words), has_picture=options.picture)
    log.configure("console", logging.ERROR)
    try:
        asyncio.run(_demo(options))
    except TimeoutError:
        return _failed("the play got stuck; something did not answer in time")
    except (ProgramMissing, StartFailed) as error:
        return _failed(str(error))
    except (PortTaken, CannotListen) as error:
        return _failed(f"{error}{OTHER_PORTS}")
    except OSError as error:
        return _failed(f"{error.strerror or error}{OTHER_PORTS if error.errno == errno.EADDRINUSE else ''}")
    return 0


def _failed(words: str) -> int:
    print(f"smsbridge demo: {words}", file=sys.stderr)
    return 1


async def _demo(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a closed terminal must leave nothing behind
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _say("", "setting up: a carrier in a box, a throw-away Prosody, the bridge between them …")
    config = StageConfig(
        c2s_port=0 if options.once else options.c2s_port,
        public_port=0 if options.once else options.http_port,
        carrier_port=0 if options.once else options.carrier_port,
        strangers=("mallory",),
        control_token=TOKEN,
    )
    async with Stage(config) as stage:
        journal = Journal(stage)
        async with asyncio.timeout(60):
            await _play(stage, journal)
        if not options.once:
            _invite(stage, options.carrier_port)
            await _follow(stage, journal, stop)


async def _play(stage: Stage, journal: "Journal") -> None:
    alice = await stage.client("alice", "demo")
    contact = stage.contact()
    _title("A text comes in")
    incoming = "Dinner at 7? 🍝 – Ann"
    _say("handset", f"{PEER} texts {DID}: {incoming}")
    push = await stage.carrier.text_in(HANDSET, DID, incoming)
    attempt = await push.answered
    if attempt is not None:
        _say(
            "webhook", f"POST /voipms?key=…  →  {attempt.status} {attempt.body!r}, said after the commit and only then"
        )
    received = await alice.next(lambda stanza: stanza.body == incoming)
    await journal.show_settled()
    _show_stanza(received)
    _say("client", f"alice sees, from {received.sender}: {received.body}")

    _title("Alice answers")
    reply = "Yes! I bring the wine 🍷"
    stanza_id = await alice.send_text(contact, reply)
    _say("client", f"alice writes to {contact}: {reply}")
    async with asyncio.timeout(10):
        await stage.carrier.ledger.until(lambda: bool(stage.carrier.ledger.sent))
    receipt = await alice.next(lambda stanza: stanza.receipt_for == stanza_id)
    await journal.show_settled()
    row = stage.carrier.ledger.sent[-1]
    _say("carrier", f"{row.method} took it as {row.kind} {row.id}")
    _say("handset", f"{PEER} reads: {row.message}")
    _show_stanza(receipt)
    _say("client", "alice's message has its tick: the carrier has accepted it")

    _title("A text that cannot be sent")
    stage.carrier.answer_next("sendSMS", "invalid_dst")
    stanza_id = await alice.send_text(stage.contact("+15559990000"), "Is this a landline?")
    _say("client", "alice writes to a number that takes no texts")
    failed = await alice.next(lambda stanza: stanza.error is not None and stanza.stanza_id == stanza_id)
    await journal.show_settled()
    if failed.error is not None:
        _say("error", f"{failed.error.condition}: {failed.error.text}")

    _title("A stranger tries Alice's number")
    mallory = await stage.client("mallory", "demo")
    stanza_id = await mallory.send_text(f"{PEER}%{DID}@{stage.server.component_jid}", "It's me, Alice!")
    refused = await mallory.next(lambda stanza: stanza.error is not None and stanza.stanza_id == stanza_id)
    if refused.error is not None:
        _say("error", f"mallory is told {refused.error.condition}: {refused.error.text}")
    _say("carrier", f"nothing of it left: {len(stage.carrier.ledger.sent)} text sent in all")
    await mallory.logout()
    await alice.logout()


class Step(NamedTuple):
    """One line of the bridge's own trail."""

    id: str
    subject: str
    state: str
    who: str
    code: str


class Journal:
    """Reads the bridge's history as it grows, from outside, like any admin could."""

    def __init__(self, stage: Stage) -> None:
        self._path = stage.database
        self._last = ""

    async def show_settled(self) -> None:
        """Print what happened, once the server has proved that it has every stanza."""
        while self._is_handing():  # noqa: ASYNC110  # another process's view: a file has no event
            await asyncio.sleep(GLANCE_SECONDS)
        self.show()

    def show(self) -> None:
        """Print what happened since the last time."""
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as reader:
            rows = reader.execute(
                "SELECT h.id, COALESCE(d.kind, h.subject), h.state, h.who, h.code FROM history h"
                " LEFT JOIN delivery d ON d.id = h.subject_id WHERE h.id > ? ORDER BY h.id",
                (self._last,),
            ).fetchall()
        for row in rows:
            step = Step(*row)
            self._last = step.id
            code = f" ({step.code})" if step.code else ""
            _say("journal", f"{step.subject:<8} {step.state:<9} by {step.who}{code}")

    def _is_handing(self) -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as reader:
            found = reader.execute("SELECT 1 FROM delivery WHERE state IN ('waiting', 'handing')").fetchone()
        return found is not None


async def _follow(stage: Stage, journal: Journal, stop: asyncio.Event) -> None:
    """Show what happens until somebody has seen enough."""
    seen = len(stage.carrier.ledger.rows)
    while not stop.is_set():
        fresh = stage.carrier.ledger.rows[seen:]
        seen += len(fresh)
        _show_handset(fresh, Direction.RECEIVED, "texts")
        journal.show()
        _show_handset(fresh, Direction.SENT, "reads")
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


def _show_handset(rows: Sequence[Row], direction: Direction, verb: str) -> None:
    for row in rows:
        if row.direction is direction:
            picture = " (with a picture)" if row.media else ""
            _say("handset", f"{normalise_peer(row.peer)} {verb}: {row.message}{picture}")


def _invite(stage: Stage, carrier_port: int) -> None:
    server, contact = stage.server, stage.contact()
    port = "" if carrier_port == CARRIER_PORT else f" --carrier-port {stage.carrier.port}"
    text = f"{_own_name()} demo{port} text"
    print(
        textwrap.dedent(f"""
        It stays up. Join with your own XMPP client:
          account   alice@{server.domain}     password  {password_of("alice")}
          server    {LOOPBACK}     port  {server.c2s_port}     (no TLS: allow that in your client)
          contact   {contact}
          refused   {stage.contact(ABROAD)}     (see what that looks like)
        With profanity, for instance, in another terminal:
          /connect alice@{server.domain} server {LOOPBACK} port {server.c2s_port} tls disable
          /receipts request on     ("me" is red, and yellow once a text is sent)
          /msg {contact} Hello!
        Text in from the pretended handset, in yet another:
          {text} "Hello yourself"
          {text} --picture "Look at this"
        Ctrl-C ends it and leaves nothing behind.
        """),
        flush=True,
    )


def _own_name() -> str:
    """How to call us from where we were called."""
    program = Path(sys.argv[0])
    if program.name != "smsbridge":
        return f"{sys.executable} -m smsbridge"
    return "smsbridge" if shutil.which("smsbridge") else sys.argv[0]


def _text(port: int, peer: str, words: str, *, has_picture: bool) -> int:
    media = ["png"] if has_picture else []
    body = json.dumps({"peer": peer, "did": DID, "text": words, "media": media}).encode()
    headers = {"Content-Type": "application/json", TOKEN_HEADER: TOKEN}
    request = urllib.request.Request(f"http://{LOOPBACK}:{port}/control/text", body, headers)  # loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback
            answer.read()
    except urllib.error.HTTPError as error:
        return _failed(f"the pretended carrier said {error.code}")
    except OSError:
        return _failed(f"no demo is running here (port {port}); start one with: smsbridge demo")
    print(f"{normalise_peer(peer)} texted {DID}: {words}")
    return 0


def _show_stanza(stanza: Received) -> None:
    _say("stanza", stanza.raw)


def _title(words: str) -> None:
    print(f"\n{_bold(words)}", flush=True)


def _say(hop: str, words: str) -> None:
    colour = HOPS.get(hop, "0")
    label = f"{hop:<8}"
    if sys.stdout.isatty():
        label = f"\x1b[{colour}m{label}\x1b[0m"
    print(f"  {label} {words}", flush=True)


def _bold(words: str) -> str:
    return f"\x1b[1m{words}\x1b[0m" if sys.stdout.isatty() else words
