"""Ports on loopback for servers that may be away for a while, or that are started by somebody else.

They are below those that the kernel gives to clients. Of those any connection on this machine may take one while its
server is away, and a client that knocks again and again on a dead one can end up connected to itself. Programs that run
at the same time draw from shares of their own, or one would give what another's server only left for a moment.
"""

import random
import socket
from collections import deque
from collections.abc import Collection
from functools import cache
from typing import Final

LOOPBACK: Final = "127.0.0.1"
FREE_PORTS: Final = range(20_000, 32_000)

_SHARE: Final = 1000

_draw = random.SystemRandom()
_given: deque[int] = deque(maxlen=_SHARE // 2)  # and perhaps not in use yet


def free_port() -> int:
    """A port that nobody has."""
    return free_ports(1)[0]


def free_ports(count: int, besides: Collection[int] = ()) -> list[int]:
    """So many ports that nobody has."""
    drawn = _draw.sample(_share(), 60 + count)
    found = [port for port in drawn if port not in besides and port not in _given and is_free(port)][:count]
    _given.extend(found)
    return found


@cache
def _share() -> range:
    """A part of FREE_PORTS that no other program draws from while this one lives; more programs than parts share."""
    shares = [FREE_PORTS[first : first + _SHARE] for first in range(0, len(FREE_PORTS), _SHARE)]
    _draw.shuffle(shares)
    for share in shares:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0smsbridge-ports-{share.start}")  # a name, not a file
        except OSError:
            mark.close()
        else:
            mark.detach()  # kept open as long as this program lives
            return share
    return FREE_PORTS


def is_free(port: int) -> bool:
    """Whether a server could have it."""
    # SO_REUSEADDR as servers set it: connections of a killed server in TIME_WAIT do not count.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
