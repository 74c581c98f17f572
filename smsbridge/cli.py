"""The command line: run, check, schema, demo; `cli_keeping` and `cli_history` have the others.

Exit codes: 0 done, 1 failed, 2 the configuration (or the command) is wrong, and starting again would not help.
"""

import argparse
import asyncio
import faulthandler
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from smsbridge import __version__, cli_desk, cli_history, cli_keeping, failpoints, log
from smsbridge.config import ConfigError, Loaded, describe, load
from smsbridge.config_json import json_schema
from smsbridge.config_rules import advice
from smsbridge.core.errors import StoreUnavailable
from smsbridge.log import Event, Log
from smsbridge.providers.contract import discover_kinds
from smsbridge.rules_book import tell_warnings
from smsbridge.service import Service, serve
from smsbridge.tenure import AlreadyRunning
from smsbridge.web.app import CannotListen

OK, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT  # as shells have it
SWITCH_SECONDS = 0.0003  # the store's thread waits so long for the loop's to let it have its next statement
GARBAGE = 20_000  # objects between two looks for cycles: a text makes hundreds, and none

_log = Log("cli")


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code = _carry_out(options)
        sys.stdout.flush()
    except OSError as error:
        return _stop_telling(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _carry_out(options: argparse.Namespace) -> int:
    match options.command:
        case "run":
            return _run(options.config)
        case "check":
            return _check(options.file)
        case "schema":
            return _schema()
        case "demo":
            from smsbridge.sim import demo  # noqa: PLC0415  # a production start does not pay for the demo

            return demo.main(options)
        case _:
            return cli_desk.run(options)


def _stop_telling(error: OSError) -> int:
    """What is printed goes nowhere: its reader has enough (`| head`), or its disk is full."""
    with Path(os.devnull).open("w") as nowhere:  # or Python tries once more when it ends
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        where = f"{error.filename}: " if error.filename else ""
        print(f"smsbridge: {where}{error.strerror or type(error).__name__}", file=sys.stderr)
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smsbridge", description="Phone numbers as XMPP contacts.")
    parser.add_argument("--version", action="version", version=f"smsbridge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the bridge")
    run.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    check = commands.add_parser("check", help="tell every problem of a configuration, without starting anything")
    check.add_argument("file", type=Path, metavar="FILE")
    commands.add_parser("schema", help="write the JSON Schema of the configuration, for your editor")
    demo = commands.add_parser("demo", help="a whole conversation on this machine: carrier, bridge, server, client")
    demo.add_argument("--once", action="store_true", help="play the conversation and exit")
    demo.add_argument("--c2s-port", type=_port, default=15222, help="where your own client may join (default 15222)")
    demo.add_argument("--http-port", type=_port, default=15280, help="where the carrier calls the bridge")
    demo.add_argument("--carrier-port", type=_port, default=15290, help="where the pretended carrier listens")
    acts = demo.add_subparsers(dest="act", metavar="ACT")
    text = acts.add_parser("text", help="send a text from the pretended handset into a demo that is running")
    text.add_argument("words", nargs="+")
    text.add_argument("--from", dest="peer", default="5559870002", help="the handset's number")
    text.add_argument("--picture", action="store_true", help="with a picture")
    cli_keeping.add_commands(commands)
    cli_history.add_commands(commands)
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number up to 65535")
    return int(text)


def _check(path: Path) -> int:
    try:
        loaded = load(path, discover_kinds())
    except ConfigError as error:
        print(describe(path, error.problems), file=sys.stderr)
        return WRONG
    warnings = (*loaded.warnings, *advice(loaded.config))
    if warnings:
        print(describe(path, warnings), file=sys.stderr)
    print(f"{path}: fine" if not warnings else f"{path}: works, but look at the warnings")
    return OK


def _schema() -> int:
    print(json.dumps(json_schema(discover_kinds()), indent=2, ensure_ascii=False))
    return OK


def _run(path: Path) -> int:
    try:
        loaded = load(path, discover_kinds())
    except ConfigError as error:
        print(describe(path, error.problems), file=sys.stderr)
        return WRONG
    faulthandler.enable()  # the supervisor's watchdog aborts us: where every thread was then is told, and nothing else
    log.configure(loaded.config.log.format, loaded.config.log.threshold)
    tell_warnings(loaded)
    if not _arm(os.environ.get(failpoints.VARIABLE, "")):
        return WRONG
    gc.freeze()  # what is imported by now is no garbage as long as the process lives
    gc.set_threshold(GARBAGE, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)
    failures: list[Exception] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(path, loaded))
    except* (AlreadyRunning, CannotListen, StoreUnavailable) as expected:
        failures.extend(_leaves(expected))
    except* Exception as unexpected:  # noqa: BLE001  # the last door: it is told without its words
        failures.extend(_tell_crashes(unexpected))
    for failure in failures:
        print(f"smsbridge: {failure}", file=sys.stderr)
    return FAILED if failures else OK


def _arm(plan: str) -> bool:
    """Arm what a test asks for; False if that cannot be understood."""
    if not plan:
        return True
    _log.error(Event.FAILPOINTS_ARMED, plan=plan)
    try:
        failpoints.arm(plan)
    except ValueError as error:
        print(f"smsbridge: {failpoints.VARIABLE}: {error}", file=sys.stderr)
        return False
    return True


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """What was raised at last, in however many groups of tasks."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _tell_crashes(crashes: ExceptionGroup[Exception]) -> list[Exception]:
    """A fault of ours: where it was raised goes to the journal; its words may quote a text, and go nowhere."""
    for crash in _leaves(crashes):
        _log.crash(Event.SERVICE_CRASHED, crash)
    return [RuntimeError("a fault of the program has ended it; the journal says where")]


async def _serve(path: Path, loaded: Loaded) -> None:
    loop, stop, asked = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def started(service: Service) -> None:
        gc.freeze()  # nor is what serves until its end
        loop.add_signal_handler(signal.SIGHUP, service.reload)
        if asked.is_set():
            service.reload()

    loop.add_signal_handler(signal.SIGHUP, asked.set)  # who stands by may wait for days until there are rules in force
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    kinds = discover_kinds()
    await serve(loaded.config, kinds, stop, started, lambda: load(path, kinds))


if __name__ == "__main__":
    sys.exit(main())
