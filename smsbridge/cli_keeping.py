"""The commands that take something out of the house or bring it back; none of them starts a bridge.

Each prints what it did, and what is to be done next, to people; exit codes as in `cli`.
"""

import argparse
import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from smsbridge.bridge import restoring
from smsbridge.bridge.desk import Desk, Rules
from smsbridge.clock import system_clock, to_ms
from smsbridge.config import Config, ConfigError, describe, load
from smsbridge.core.errors import SmsbridgeError
from smsbridge.core.line import Directory
from smsbridge.keeping import archive, backup, restore
from smsbridge.keeping.sealing import Key, read_key
from smsbridge.metrics import Metrics
from smsbridge.service import discover_kinds
from smsbridge.store import deliveries, dump, migrations
from smsbridge.store.database import Database, Transaction
from smsbridge.store.ids import Ids
from smsbridge.store.opening import open_database
from smsbridge.store.restoring import HeldBack
from smsbridge.tenure import AlreadyRunning, forget_mark, lock_file
from smsbridge.xmpp.errors import ERRORS

OK, FAILED, WRONG = 0, 1, 2
_Command = Callable[[Config, argparse.Namespace], Coroutine[Any, Any, int]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare them to the command line."""
    made = _command(commands, "backup", "write a backup while the bridge runs", _back_up)
    made.add_argument("file", type=Path, metavar="FILE", help="the backup; a directory gives it a name with the time")
    _add_key(made)
    made.add_argument("--keep", type=int, metavar="N", help="in a directory: remove all but the newest N afterwards")
    made = _command(commands, "restore", "put a backup in place; nothing is sent until release says so", _restore)
    made.add_argument("file", type=Path, metavar="FILE")
    _add_key(made)
    made.add_argument("--force", action="store_true", help="even if something is there (a file is moved aside)")
    made.add_argument("--check", action="store_true", help="only read the backup through")
    made = _command(commands, "release", "after a restore: what is to become of the texts that waited", _release)
    ways = made.add_mutually_exclusive_group(required=True)
    ways.add_argument("--send", action="store_true", help="send them; what had left since the backup arrives twice")
    ways.add_argument("--discard", action="store_true", help="give them back to their writers")


def run(options: argparse.Namespace) -> int:
    """Carry one out; returns the exit code."""
    try:
        config = load(options.config, discover_kinds()).config
    except ConfigError as error:
        print(describe(options.config, error.problems), file=sys.stderr)
        return WRONG
    command: _Command = options.carry_out
    try:
        return asyncio.run(command(config, options))
    except (SmsbridgeError, AlreadyRunning) as error:
        print(f"smsbridge: {error}", file=sys.stderr)
        return FAILED


async def _back_up(config: Config, options: argparse.Namespace) -> int:
    if options.keep is not None and (options.keep < 1 or not options.file.is_dir()):
        print("smsbridge: --keep takes a directory and a number from 1", file=sys.stderr)
        return WRONG
    key = _key_of(options)
    source = backup.Source(url=config.store.url, password=_password(config), name=config.xmpp.jid)
    path = await backup.back_up(source, options.file, _now(), key)
    sealed = "sealed" if key else "not encrypted: it holds texts"
    print(f"{path}: {path.stat().st_size:,} bytes, {sealed}")
    if options.keep:
        for gone in backup.prune(options.file, config.xmpp.jid, options.keep):
            print(f"{gone}: removed")
    return OK


async def _restore(config: Config, options: argparse.Namespace) -> int:
    read = partial(archive.reading, options.file, _key_of(options))
    header, rows = dump.inspect(read())
    print(f"{options.file}: {header.name}, {header.made_at:%Y-%m-%d %H:%M} UTC, {rows:,} rows, schema {header.schema}")
    if options.check:
        return OK
    if header.name != config.xmpp.jid and not options.force:
        raise SmsbridgeError(f"this is not a backup of {config.xmpp.jid}: with --force it is taken all the same")

    def finish(database: Database) -> Transaction[HeldBack]:
        desk = _desk(config, database)
        desk.ids.start_after((yield from deliveries.newest_id()))
        return (yield from restoring.hold_back(desk, config.providers, header.made_at))

    if config.store.path is not None:
        held = await _restore_file(config.store.path, read, finish, options)
    else:
        held = await restore.restore_postgres(
            config.store.url, _password(config), read, finish, is_forced=options.force
        )
    _tell(held)
    return OK


async def _restore_file(
    path: Path, read: restore.OpenLines, finish: restore.Finish[HeldBack], options: argparse.Namespace
) -> HeldBack:
    lock = lock_file(path)
    try:
        held, aside = await restore.restore_sqlite(path, read, finish, is_forced=options.force)
        forget_mark(lock)
        _give_away(path, lock)
    finally:
        os.close(lock)
    if aside is not None:
        print(f"the database that was there is {aside} now: it holds texts, remove it when you are done")
    return held


def _give_away(path: Path, lock: int) -> None:
    """What root has made belongs to whom the directory belongs to."""
    owner = path.parent.stat()
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
        os.fchown(lock, owner.st_uid, owner.st_gid)


def _tell(held: HeldBack) -> None:
    print(
        f"restored, and on hold: {held.parts} parts of texts wait for you, {held.doubtful} sends are of unknown fate,"
        f" {held.stanzas} stanzas are handed when the bridge starts"
    )
    print("start the bridge, look at it, then: smsbridge release --send, or --discard")


async def _release(config: Config, options: argparse.Namespace) -> int:
    count = 0
    async with _opened(config) as desk:
        while done := await desk.database.run(restoring.release, desk, is_sent=options.send):
            count += done
    print(
        f"{count} parts {'are sent' if options.send else 'were given back'}; a bridge that runs goes on within a minute"
    )
    return OK


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Desk]:
    """The store beside a bridge that may be running, with what the use cases need."""
    database = await open_database(config.store.url, _password(config))
    try:
        version = await migrations.current(database)
        if version != migrations.newest():
            raise SmsbridgeError(
                "the database is of another version: start this smsbridge once, so that it is brought up"
            )
        desk = _desk(config, database)
        desk.ids.start_after(await database.run(deliveries.newest_id))
        yield desk
    finally:
        await database.close()


def _desk(config: Config, database: Database) -> Desk:
    clock = system_clock()
    return Desk(
        database=database,
        ids=Ids(lambda: to_ms(clock.now())),
        clock=clock,
        metrics=Metrics(),
        domain=config.xmpp.jid,
        holder=f"command/{uuid.uuid4().hex}",
        rules=lambda: Rules(directory=Directory([]), admins=config.admins),
        words=lambda reason: ERRORS[reason].words,
        wake_stream=lambda: None,
        wake_senders=lambda: None,
    )


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, words: str, carry_out: _Command
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    made.add_argument("-c", "--config", type=Path, required=True, metavar="CONFIG", help="the configuration")
    made.set_defaults(carry_out=carry_out)
    return made


def _add_key(made: argparse.ArgumentParser) -> None:
    words = "seals the backup: 64 hexadecimal digits (openssl rand -hex 32)"
    made.add_argument("--key-file", type=Path, metavar="KEY", help=words)


def _key_of(options: argparse.Namespace) -> Key | None:
    return read_key(options.key_file) if options.key_file else None


def _password(config: Config) -> str | None:
    return config.store.password.get_secret_value() if config.store.password else None


def _now() -> datetime:
    return datetime.now(UTC)
