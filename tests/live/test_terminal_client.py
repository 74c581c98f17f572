"""Somebody with a real client, profanity in a terminal: reads, looks, answers, and learns what became of it.

The walk writes down what is to be seen after each step, in build/terminal.txt; what README shows of it is held to it.
"""

import asyncio
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Attachment, Kind
from smsbridge.sim.pictures import tiny_png
from smsbridge.sim.stage import DID, PEER, Stage, StageConfig, password_of
from smsbridge.sim.xmpp_server import LOOPBACK
from tests.fakes.contrib import stage_on
from tests.fakes.waiting import PATIENCE

from .terminal import Terminal, colour_of, plain

ROOT = Path(__file__).parents[2]
TRANSCRIPT = ROOT / "build" / "terminal.txt"
PASSWORD = password_of("alice")
HANDSET = PEER.removeprefix("+1")  # in the carrier's words
REPLY = "Yes! I bring the wine 🍷"
LANDLINE, ABROAD = "+15559990000", "+445559870002"
PICTURE = Attachment(content_type="image/png", content=tiny_png())
WAITING, TICKED = "red", "yellow"  # profanity's colours of what has no receipt yet, and has one
TICKS = {WAITING: "   (red: no tick)", TICKED: "   (yellow: it has its tick)"}
RUNS = re.compile(r" {8,}|-{80,}")  # what fills a line


@pytest.fixture
async def stage(server_name):
    async with Stage(stage_on(server_name, StageConfig())) as built:
        yield built


def shortened(run: re.Match[str]) -> str:
    return run[0][:8]


class Walk:
    """A person's steps with profanity, each with the screen that it led to."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.pages: list[str] = []

    async def types(self, line: str) -> None:
        self.pages.append(f"> {line}\n")
        await self.terminal.type(line)

    async def sees(self, title: str, since: str = "") -> None:
        """Write down the screen, from the last line with `since` on; with a text of hers whether it has its tick."""
        coloured = await self.terminal.coloured()
        seen = [line for line in plain(coloured).splitlines() if line.strip()]
        seen = seen[max((number for number, line in enumerate(seen) if since and since in line), default=0) :]
        ticks = [TICKS.get(colour_of(coloured, line, "me: "), "") if " - me: " in line else "" for line in seen]
        lines = [RUNS.sub(shortened, line.rstrip()) + tick for line, tick in zip(seen, ticks, strict=True)]
        self.pages.append("\n".join([f"--- {title}", *lines, ""]))


async def logs_in(terminal: Terminal, line: str) -> None:
    await terminal.shows("Type '/help' to show complete help")
    await terminal.type(line)
    await terminal.shows("Enter password:")
    await terminal.type(PASSWORD)
    await terminal.shows("logged in successfully")


async def test_a_person_at_a_terminal_client_reads_answers_sends_a_picture_and_learns_what_became_of_it(
    stage, server_name, tmp_path
):
    calls = tmp_path / "calls"
    traced = ("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(calls), "profanity")
    async with await Terminal.start(tmp_path / "home", traced) as terminal:
        walk = Walk(terminal)
        line = f"/connect alice@example.com server {LOOPBACK} port {stage.server.c2s_port} tls disable"
        walk.pages.append(f"> {line}\n")
        await logs_in(terminal, line)
        await walk.sees("she is in", since="Connecting as")

        await reads_a_text_and_sees_where_its_picture_is(stage, walk)
        await answers_and_has_a_tick_when_the_carrier_has_it(stage, walk)
        (tmp_path / "home" / "cat.png").write_bytes(PICTURE.content)
        await sends_a_picture_of_her_own(stage, walk)
        await learns_why_a_text_was_not_sent(stage, walk)
        await locks_her_number_by_the_form_of_the_bridge(stage, walk)
        await has_the_number_among_her_contacts(walk, stage.contact())

        await walk.types("/quit")
        assert await terminal.exit_code() == 0
    # each thing that she sent left once, the refused ones never
    sent = stage.carrier.ledger.sent
    assert [(row.peer, row.kind) for row in sent] == [(HANDSET, kind) for kind in (Kind.SMS, Kind.MMS, Kind.SMS)]
    assert [sent[0].message, sent[2].message] == [REPLY, "Are we locked?"]
    assert PASSWORD not in "".join(walk.pages)
    addresses = set(re.findall(r'(?:inet_addr\(|AF_INET6, )"([^"]+)"', calls.read_text()))
    assert addresses == {LOOPBACK}
    assert shown_by_readme() - {masked(line) for page in walk.pages for line in page.splitlines()} == set()
    if server_name == "prosody":
        TRANSCRIPT.parent.mkdir(exist_ok=True)
        TRANSCRIPT.write_text("\n".join(walk.pages).replace(str(tmp_path / "home"), "~"), encoding="utf-8")


def shown_by_readme() -> set[str]:
    """What follows its `make terminal`, up to the fence."""
    _, _, shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("$ make terminal\n")
    lines = shown.partition("```")[0].splitlines()
    assert len(lines) > 5
    return {masked(line) for line in lines}


def masked(line: str) -> str:
    """Without what differs from run to run."""
    return re.sub(r"http://\S+", "LINK", re.sub(r"^\d\d:\d\d:\d\d", "TIME", line))


async def reads_a_text_and_sees_where_its_picture_is(stage, walk):
    contact = stage.contact()
    await stage.carrier.text_in(PEER, DID, "Dinner at 7? 🍝 – Ann")
    await stage.carrier.text_in(PEER, DID, "The table by the window:", [PICTURE])
    await walk.types(f"/msg {contact}")
    link = re.compile(rf"{re.escape(contact)}: (http://{LOOPBACK}:{stage.server.http_port}/\S+)")
    screen = await walk.terminal.until(lambda screen: link.search(screen) is not None, "no link")
    await walk.sees("two texts came in, one with a picture, which is a link here")
    assert f"{contact}: Dinner at 7? 🍝 – Ann" in screen
    assert f"{contact}: The table by the window:" in screen
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
        http.get(link.search(screen)[1]) as answer,
    ):
        assert await answer.read() == PICTURE.content


async def answers_and_has_a_tick_when_the_carrier_has_it(stage, walk):
    carrier, gate = stage.carrier, asyncio.Event()
    await walk.types("/receipts request on")
    carrier.account.config.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendSMS", gate=gate))
    await walk.types(REPLY)
    await carrier.ledger.until(lambda: len(carrier.ledger.met) == 1)
    await walk.terminal.colour_becomes(f"me: {REPLY}", "me: ", WAITING)
    await walk.sees("her answer is on its way to the carrier, who thinks about it")
    gate.set()
    await walk.terminal.colour_becomes(f"me: {REPLY}", "me: ", TICKED)
    await walk.sees("the carrier has taken it")


async def sends_a_picture_of_her_own(stage, walk):
    ledger = stage.carrier.ledger
    await walk.types("/sendfile ~/cat.png")
    await ledger.until(lambda: len(ledger.sent) == 2)
    await walk.terminal.colour_becomes("cat.png", "me: ", TICKED)
    await walk.sees("the picture that she sends is a link here, and an MMS there")
    assert len(ledger.sent[-1].media) == 1


async def learns_why_a_text_was_not_sent(stage, walk):
    terminal, carrier = walk.terminal, stage.carrier
    await walk.types(f"/msg {stage.contact(ABROAD)} Is it late where you are?")
    await terminal.shows("Error from", "Texts to this country or kind of number are not allowed here.")
    await walk.sees("the bridge refuses a text")
    carrier.answer_next("sendSMS", "invalid_dst")
    await walk.types(f"/msg {stage.contact(LANDLINE)} Is this a landline?")
    await terminal.shows("Error from", "VoIP.ms says this number cannot receive texts.")
    await walk.sees("the carrier refuses a text")
    await terminal.colour_becomes("me: Is this a landline?", "me: ", WAITING)


async def locks_her_number_by_the_form_of_the_bridge(stage, walk):
    bridge, contact, text = stage.server.component_jid, stage.contact(), "Are we locked?"
    await walk.types(f"/cmd exec lockdown {bridge}")
    await walk.terminal.shows("Form title: lockdown", "Use '/form submit'")
    await walk.sees("a command of the bridge is a form")
    await walk.types("/field1 on")
    await walk.types("/form submit")
    await walk.terminal.shows(f"{DID}: locked. Nothing leaves from now on")
    await walk.types(f"/msg {contact} {text}")
    await walk.terminal.shows(f"me: {text}", "Your text has not left yet")
    await walk.sees("her number is locked, and what she writes waits")
    await walk.types(f"/msg {bridge} lockdown off")
    await walk.terminal.shows(f"{DID}: unlocked. What waited goes out.")
    await walk.terminal.colour_becomes("me: lockdown off", "me: ", TICKED)
    await walk.sees("the same in words")
    await walk.types(f"/msg {contact}")
    await walk.terminal.colour_becomes(text, "me: ", TICKED)
    await walk.sees("what waited has gone out")


async def has_the_number_among_her_contacts(walk, contact):
    await walk.types(f"/msg {contact}")
    await walk.terminal.shows(f"{contact} [offline]")
    await walk.types("/sub request")
    await walk.terminal.shows(f"{contact} [online]", "Authorization request")
    await walk.sees("the number is a contact, and online")
    await walk.types("/sub allow")
    await walk.types("/win 1")
    await walk.types("/roster")
    async with asyncio.timeout(PATIENCE):
        while f"{contact} - both" not in await walk.terminal.shows("Roster: jid"):
            await walk.terminal.type("/clear")
            await walk.terminal.type("/roster")
    await walk.sees("and stays one", since="Roster: jid")


async def test_somebody_joins_the_demo_as_it_tells_her_to_and_it_leaves_nothing_behind(tmp_path):
    ports = ("--c2s-port", "0", "--http-port", "0", "--carrier-port", "0")
    command = (sys.executable, "-m", "smsbridge", "demo", *ports)
    async with await Terminal.start(tmp_path / "demo", command, ROOT) as demo:
        told = (await demo.shows("It stays up.", "Ctrl-C ends it")).partition("It stays up.")[2].splitlines()
        commands = (line for line in map(str.strip, told) if line.startswith(("/connect ", "/receipts ", "/msg ")))
        typed = [line.partition("   ")[0] for line in commands]
        async with await Terminal.start(tmp_path / "client", ("profanity",)) as client:
            await logs_in(client, typed[0])
            for line in typed[1:]:
                await client.type(line)
            await demo.shows(f"{PEER} reads: Hello!")
            await client.colour_becomes("me: Hello!", "me: ", TICKED)
            for line in (line for line in told if " demo --carrier-port " in line):
                assert "texted" in await output_of(line)
            await client.shows("Hello yourself", "Look at this", f"http://{LOOPBACK}:")
            await demo.shows(f"{PEER} texts: Look at this (with a picture)")
        await demo.press("C-c")
        assert await demo.exit_code() == 0
    assert list((tmp_path / "demo" / "temporary").iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, int(typed[0].partition(" port ")[2].split()[0]))


async def output_of(line: str) -> str:
    """Of a command in a shell."""
    program = await asyncio.create_subprocess_shell(line, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(PATIENCE):
        out, _ = await program.communicate()
    assert program.returncode == 0
    return out.decode()
