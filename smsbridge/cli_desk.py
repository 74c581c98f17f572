"""What the commands beside a bridge share: they read the configuration, open the store, and start no bridge.

Exit codes: 0 done, 1 failed, 2 the configuration (or the command) is wrong.
"""

import argparse
import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smsbridge.bridge.desk import Desk, Rules
from smsbridge.clock import system_clock, system_ms
from smsbridge.config import Config, ConfigError, describe, load
from smsbridge.core.errors import SmsbridgeError
from smsbridge.core.line import Directory
from smsbridge.metrics import Metrics
from smsbridge.providers.contract import discover_kinds
from smsbridge.store import deliveries, migrations
from smsbridge.store.database import Database
from smsbridge.store.ids import Ids
from smsbridge.store.opening import open_database
from smsbridge.store.snapshot import Snapshot, open_snapshot, version_of
from smsbridge.tenure import AlreadyRunning

OK, FAILED, WRONG = 0, 1, 2
CarryOut = Callable[[Config, argparse.Namespace], Coroutine[Any, Any, int]]
if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # it has no other name
else:
    Commands = object


def run(options: argparse.Namespace) -> int:
    """Carry one out; returns the exit code."""
    try:
        config = load(options.config, discover_kinds()).config
    except ConfigError as error:
        print(describe(options.config, error.problems), file=sys.stderr)
        return WRONG
    command: CarryOut = options.carry_out
    try:
        return asyncio.run(command(config, options))
    except (SmsbridgeError, AlreadyRunning) as error:
        print(f"smsbridge: {error}", file=sys.stderr)
        return FAILED


def add_command(commands: Commands, name: str, words: str, carry_out: CarryOut) -> argparse.ArgumentParser:
    """Declare one, with its configuration."""
    made = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    made.add_argument("-c", "--config", type=Path, required=True, metavar="CONFIG", help="the configuration")
    made.set_defaults(carry_out=carry_out)
    return made


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Desk]:
    """The store beside a bridge that may be running, with what the use cases need. Makes none where there is none."""
    path = config.store.path
    if path is not None and not path.exists():
        raise SmsbridgeError(f"there is no database at {path}: start this smsbridge once, so that it is made")
    database = await open_database(config.store.url, password(config))
    try:
        migrations.demand(await migrations.current(database), migrations.newest())
        desk = desk_of(config, database)
        desk.ids.start_after(await database.run(deliveries.newest_id))
        yield desk
    finally:
        await database.close()


@asynccontextmanager
async def read(config: Config) -> AsyncIterator[Snapshot]:
    """The store at this instant, of our own version; nothing is written to it."""
    async with open_snapshot(config.store.url, password(config)) as snapshot:
        migrations.demand(await version_of(snapshot), migrations.newest())
        yield snapshot


def desk_of(config: Config, database: Database) -> Desk:
    """What the use cases need, where no bridge runs."""
    clock = system_clock()
    return Desk(
        database=database,
        ids=Ids(system_ms),
        clock=clock,
        metrics=Metrics(),
        domain=config.xmpp.jid,
        holder=f"command/{uuid.uuid4().hex}",
        rules=lambda: Rules(
            directory=Directory([]), admins=config.admins, language=config.language, languages=config.languages
        ),
        wake_stream=lambda: None,
        wake_senders=lambda: None,
    )


def password(config: Config) -> str | None:
    """The store's."""
    return config.store.password.get_secret_value() if config.store.password else None
