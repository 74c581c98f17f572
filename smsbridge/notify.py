"""Telling the service supervisor how we are: sd_notify(3), nothing at all if NOTIFY_SOCKET is unset.

    notify("READY=1")   notify("STOPPING=1")   notify("WATCHDOG=1")   notify(status("3 lines"))
    notify(*reloading(clock.monotonic())) … notify("READY=1")

One datagram of `NAME=value` lines; an address that begins with `@` is an abstract socket. The supervisor's absence
or silence is never our failure.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_SEND_SECONDS: Final = 0.2


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send the lines in one datagram; never raises, and blocks for a fifth of a second at most."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
        supervisor.settimeout(_SEND_SECONDS)
        supervisor.sendto("\n".join(lines).encode(), address)


def status(words: str) -> str:
    """The line that `systemctl status` shows, made one line."""
    return f"STATUS={' '.join(words.split())}"


def reloading(monotonic: float) -> tuple[str, str]:
    """The lines that begin a reload; `READY=1` ends it, whatever came of it. `monotonic`: seconds, CLOCK_MONOTONIC."""
    return "RELOADING=1", f"MONOTONIC_USEC={round(monotonic * 1_000_000)}"


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often to send `WATCHDOG=1`: half of what the supervisor allows; None if it does not watch this process."""
    allowed = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not allowed.isdecimal():
        return None
    return int(allowed) / 2_000_000 or None
