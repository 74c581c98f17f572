"""The commands that take something out of the house or bring it back; none of them starts a bridge.

Each prints what it did, and what is to be done next, to people; exit codes as in `cli`.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from smsbridge.bridge import restoring
from smsbridge.cli_desk import OK, WRONG, Commands, add_command, desk_of, opened, password
from smsbridge.config import Config
from smsbridge.config_rules import catch_ups
from smsbridge.core.errors import SmsbridgeError
from smsbridge.core.message import ProviderName
from smsbridge.keeping import archive, backup, restore
from smsbridge.keeping.sealing import Key, read_key
from smsbridge.store import deliveries, dump
from smsbridge.store.database import Database, Transaction
from smsbridge.store.restoring import HeldBack
from smsbridge.tenure import forget_mark, lock_file


def add_commands(commands: Commands) -> None:
    """Declare them to the command line."""
    made = add_command(commands, "backup", "write a backup while the bridge runs", _back_up)
    made.add_argument("file", type=Path, metavar="FILE", help="the backup; a directory gives it a name with the time")
    _add_key(made)
    made.add_argument("--keep", type=int, metavar="N", help="in a directory: remove all but the newest N afterwards")
    made = add_command(commands, "restore", "put a backup in place; nothing is sent until release says so", _restore)
    made.add_argument("file", type=Path, metavar="FILE")
    _add_key(made)
    made.add_argument("--force", action="store_true", help="even if something is there (a file is moved aside)")
    made.add_argument("--check", action="store_true", help="only read the backup through")
    made = add_command(commands, "release", "after a restore: what is to become of the texts that waited", _release)
    ways = made.add_mutually_exclusive_group(required=True)
    ways.add_argument("--send", action="store_true", help="send them; what had left since the backup arrives twice")
    ways.add_argument("--discard", action="store_true", help="give them back to their writers")
    words = "with --send: though the carrier's list was not read yet, which shows what had left"
    made.add_argument("--force", action="store_true", help=words)


async def _back_up(config: Config, options: argparse.Namespace) -> int:
    if options.keep is not None and (options.keep < 1 or not options.file.is_dir()):
        print("smsbridge: --keep takes a directory, which is there, and a number from 1", file=sys.stderr)
        return WRONG
    key = _key_of(options)
    source = backup.Source(url=config.store.url, password=password(config), name=config.xmpp.jid)
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
        desk = desk_of(config, database)
        desk.ids.start_after((yield from deliveries.newest_id()))
        return (yield from restoring.hold_back(desk, config.providers, header.made_at))

    if config.store.path is not None:
        held = await _restore_file(config.store.path, read, finish, options)
    else:
        held = await restore.restore_postgres(config.store.url, password(config), read, finish, is_forced=options.force)
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
    print("start the bridge, let it read the carrier's list, then: smsbridge release --send, or --discard")


async def _release(config: Config, options: argparse.Namespace) -> int:
    count = 0
    async with opened(config) as desk:
        if options.send and not options.force:
            _demand_a_look(await desk.database.run(restoring.unlooked, _pollable(config)))
        while done := await desk.database.run(restoring.release, desk, is_sent=options.send):
            count += done
    print(
        f"{count} parts {'are sent' if options.send else 'were given back'}; a bridge that runs goes on within a minute"
    )
    return OK


def _pollable(config: Config) -> set[ProviderName]:
    """The accounts whose lists a bridge reads."""
    return {name for name, its in catch_ups(config).items() if its.is_on}


def _demand_a_look(unlooked: list[ProviderName]) -> None:
    if unlooked:
        raise SmsbridgeError(
            f"what {', '.join(unlooked)} has sent since the backup was not looked up yet; what had left would arrive"
            " twice: let the bridge run for some minutes, until it has read the carrier's list; with --force all is"
            " sent all the same"
        )


def _add_key(made: argparse.ArgumentParser) -> None:
    words = "seals the backup: 64 hexadecimal digits (openssl rand -hex 32)"
    made.add_argument("--key-file", type=Path, metavar="KEY", help=words)


def _key_of(options: argparse.Namespace) -> Key | None:
    return read_key(options.key_file) if options.key_file else None


def _now() -> datetime:
    return datetime.now(UTC)
