"""Telling the service supervisor how we are: sd_notify(3), nothing at all if NOTIFY_SOCKET is unset.

One datagram of `NAME=value` lines each; an address that begins with `@` is an abstract socket.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_SEND_SECONDS: Final = 0.2


class Notifier:
    """Speaks to the supervisor; its absence or silence is never our failure."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog = environ.get("WATCHDOG_USEC", "")
        self._watched = environ.get("WATCHDOG_PID", "")

    def ready(self, words: str = "") -> None:
        """Start-up is over."""
        self._tell("READY=1", *_status(words))

    def stopping(self) -> None:
        """Shutdown has begun."""
        self._tell("STOPPING=1")

    def status(self, words: str) -> None:
        """One line for `systemctl status`."""
        self._tell(*_status(words))

    def watchdog(self) -> None:
        """Still alive."""
        self._tell("WATCHDOG=1")

    @property
    def watchdog_seconds(self) -> float | None:
        """How often to call `watchdog`, half of what the supervisor allows; None if it does not watch us."""
        if not self._watchdog.isdecimal() or self._watched not in {"", str(os.getpid())}:
            return None
        return int(self._watchdog) / 2_000_000 or None

    def _tell(self, *lines: str) -> None:
        if not self._address.startswith(("/", "@")) or not lines:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            door.settimeout(_SEND_SECONDS)
            door.sendto("\n".join(lines).encode(), address)


def _status(words: str) -> tuple[str, ...]:
    line = " ".join(words.split())
    return (f"STATUS={line}",) if line else ()
