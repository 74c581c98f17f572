"""A bridge that accepts texts under a cap until it is killed, one life after the other.

    python -m tests.bridge.spender URL CAP      a line on stdin is the name of the next life, a process of its own

A life tells its number, each text that it tries, and what became of it. Whoever reads that may kill it at any moment.
"""

import asyncio
import logging
import os
import sys

from smsbridge.core.caps import Caps, Limits, Whose
from smsbridge.core.errors import Refused
from smsbridge.core.gate import Policy
from smsbridge.log import configure

from .house import House, Ticks, outbound, rules

MOST = 100  # texts of one life


async def live(url: str, cap: int, name: str) -> None:
    house = await House.open(url, Ticks(), name)
    house.rules = rules(policy=Policy(limits=Limits(caps={Whose.OWNER: Caps(day=cap)})))
    tell(f"born {os.getpid()}")
    for n in range(MOST):
        sid = f"{name}-{n}"
        tell(f"try {sid}")
        try:
            await house.outbound.accept(outbound("hello", sid=sid))
        except Refused:
            tell(f"refused {sid}")
        else:
            tell(f"accepted {sid}")
    await house.store.close()


def tell(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def main(url: str, cap: str) -> None:
    configure("json", logging.ERROR)  # to stderr: stdout is for what the lives tell
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(live(url, int(cap), line.strip()))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        tell("dead")


if __name__ == "__main__":
    main(*sys.argv[1:])
