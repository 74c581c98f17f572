"""The commands about what was written: export and import of an owner's texts, usage, why, audit."""

import argparse
import getpass
import itertools
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from smsbridge.cli_desk import OK, Commands, add_command, opened, read
from smsbridge.config import Config
from smsbridge.core.address import Did, normalise_peer
from smsbridge.core.errors import Refused, SmsbridgeError
from smsbridge.core.story import Entry
from smsbridge.keeping import jsonl, sbr
from smsbridge.keeping.archive import CannotKeep
from smsbridge.store import history, stories, usage, why
from smsbridge.store.snapshot import Snapshot
from smsbridge.xmpp.jids import owner_jid

AT_ONCE: Final = 100  # texts of one transaction
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def add_commands(commands: Commands) -> None:
    """Declare them to the command line."""
    made = add_command(commands, "export", "write out an owner's texts; this is noted in the trail", _export)
    _add_owner_and_format(made)
    made.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    made = add_command(commands, "import", "take in an owner's texts; nothing is sent or delivered", _import)
    _add_owner_and_format(made)
    made.add_argument("--did", metavar="NUMBER", help="whose telephone it was (sbr; default: the owner's first number)")
    made.add_argument("file", type=Path, metavar="FILE")
    made = add_command(commands, "usage", "how much was texted, and what it costs, by owner and month", _usage)
    made.add_argument("--owner", type=_owner, metavar="JID")
    made.add_argument("--month", type=_month, metavar="YYYY-MM", help="default: as far back as rows are kept")
    made.add_argument("--json", action="store_true", help="for programs")
    made = add_command(commands, "why", "what became of a text, without what is in it", _why)
    made.add_argument("subject", metavar="ID|NUMBER", help="an id from the journal, or a number: then its newest texts")
    add_command(commands, "audit", "who has taken out whose texts, and when", _audit)


async def _export(config: Config, options: argparse.Namespace) -> int:
    async with opened(config) as desk:  # noted before the first word leaves
        step = history.Step(
            subject="audit", subject_id=options.owner, who=_who(), state="exported", code=options.format
        )
        await desk.database.run(history.note, desk.ids, desk.now(), step)
    async with read(config) as snapshot:
        count = await stories.number_of(snapshot, options.owner)
        with _output(options.output) as out:
            async for line in _lines(snapshot, options.owner, options.format, count):
                out.write(line + "\n")
    print(f"{count} texts of {options.owner}", file=sys.stderr)
    return OK


async def _lines(snapshot: Snapshot, owner: str, form: str, count: int) -> AsyncIterator[str]:
    if form == "sbr":
        yield sbr.head(count)
    async for entry in stories.entries(snapshot, owner):
        yield jsonl.line_of(entry) if form == "jsonl" else sbr.element_of(entry)
    if form == "sbr":
        yield sbr.TAIL


async def _import(config: Config, options: argparse.Namespace) -> int:
    dids = config.jids.get(options.owner, ())
    if not dids:
        raise SmsbridgeError(f"{options.owner} owns no number in the configuration")
    lines = {did: config.provider_of(did) for did in dids}
    did = Did(options.did or dids[0])
    count = fresh = 0
    met: frozenset[str] = frozenset()
    async with opened(config) as desk:
        entries = _entries(options.file, options.format, did)
        while some := [_judged(entry, lines.keys(), desk.now()) for entry in itertools.islice(entries, AT_ONCE)]:
            new, met = await desk.database.run(
                stories.put_in, desk.ids, desk.now(), options.owner, config.xmpp.jid, lines, some, met
            )
            fresh += new
            count += len(some)
        step = history.Step(
            subject="audit", subject_id=options.owner, who=_who(), state="imported", code=options.format
        )
        await desk.database.run(history.note, desk.ids, desk.now(), step)
    print(f"{count} texts read, {fresh} of them new")
    return OK


def _judged(entry: Entry, dids: object, now: datetime) -> Entry:
    if entry.did not in dids:  # type: ignore[operator]
        raise SmsbridgeError("a text is of a number that this owner does not have in the configuration")
    if entry.at > now or (entry.id and not _ID.fullmatch(entry.id)):
        raise SmsbridgeError("a text is of the future, or its id is none")
    return entry


def _entries(path: Path, form: str, did: Did) -> Iterator[Entry]:
    try:
        if form == "sbr":
            with path.open("rb") as raw:
                yield from sbr.entries(raw, did)
        else:
            with path.open(encoding="utf-8") as text:
                yield from jsonl.entries(iter(lambda: text.readline(jsonl.LONGEST_LINE), ""))
    except OSError as error:
        raise CannotKeep(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeError:
        raise CannotKeep(f"{path} is not UTF-8 text") from None


async def _usage(config: Config, options: argparse.Namespace) -> int:
    prices = config.prices
    async with read(config) as snapshot:
        now = datetime.now(UTC)
        begin, end = options.month or (await usage.since(snapshot) or now, now)
        found = [use async for use in usage.usage(snapshot, begin, end) if options.owner in {None, use.owner}]
    costs = [use.cost(prices.sms, prices.mms) if prices else None for use in found]
    if options.json:
        rows = [
            asdict(use) | {"cost": None if cost is None else str(cost)} for use, cost in zip(found, costs, strict=True)
        ]
        print(json.dumps({"currency": prices.currency if prices else None, "usage": rows}, indent=2))
        return OK
    print(f"{'month':8} {'owner':32} {'in':>7} {'out':>7} {'sms':>7} {'segments':>9} {'mms':>6}", end="")
    print(f" {'unsure':>7} {'cost':>12}")
    for use, cost in zip(found, costs, strict=True):
        segments = "?" if use.segments is None else str(use.segments)
        money = "?" if cost is None else f"{cost:.4f}"
        print(
            f"{use.month:8} {use.owner:32} {use.texts_in:7} {use.texts_out:7} {use.sms:7} {segments:>9} {use.mms:6}"
            f" {use.unsure:7} {money:>12}"
        )
    return OK


async def _why(config: Config, options: argparse.Namespace) -> int:
    async with read(config) as snapshot:
        lines = [line async for line in why.trail(snapshot, options.subject)]
        if not lines:
            lines = [line async for line in why.of_number(snapshot, _number(options.subject))]
    _print(lines)
    if not lines:
        raise SmsbridgeError("nothing is known of it, or not any more")
    return OK


async def _audit(config: Config, _: argparse.Namespace) -> int:
    async with read(config) as snapshot:
        _print([line async for line in why.audits(snapshot)])
    return OK


def _print(lines: list[why.Line]) -> None:
    for line in lines:
        print(f"{line.at:%Y-%m-%d %H:%M:%S.%f} {line.subject:9} {line.id} {line.words}")


def _number(text: str) -> str:
    try:
        return normalise_peer(text)
    except (Refused, ValueError):
        return text


def _who() -> str:
    """The account that gives the command; behind sudo, who it is."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"{name} ({behind})" if behind else name


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """A file for its owner alone, which must not be there yet; or standard output."""
    if path is None:
        yield sys.stdout
        return
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise CannotKeep(f"{path} cannot be written: {error.strerror}") from error


def _owner(text: str) -> str:
    try:
        return owner_jid(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _month(text: str) -> tuple[datetime, datetime]:
    try:
        return usage.month_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a month is expected, such as 2026-11") from None


def _add_owner_and_format(made: argparse.ArgumentParser) -> None:
    made.add_argument("--owner", type=_owner, required=True, metavar="JID")
    words = "JSON lines, or XML as SMS Backup & Restore has it"
    made.add_argument("--format", choices=("jsonl", "sbr"), default="jsonl", help=words)
