"""One picture to a small JPEG, in a process of its own: what decodes foreign bytes has nothing else.

    stdin: the picture ─▶ limits, sandbox ─▶ `shrinking` ─▶ stdout: HEADER and the JPEG

Before the first foreign byte is read it gives up, for good: memory, processor time, writing files, starting processes
(`threads_only`), and every new descriptor (RLIMIT_NOFILE 0), so that it can open neither a file nor a socket. Where the
kernel allows it, Landlock and namespaces say the same once more, and that no other process is its business. It has no
environment.
"""

import contextlib
import ctypes
import resource
import struct
import sys
from collections.abc import Callable
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Final

from smsbridge.media.threads_only import only_threads

HEADER: Final = struct.Struct(">BB")  # verdict, what was done
MEMORY: Final = 512 * 1024 * 1024
CPU_SECONDS: Final = 15


class Verdict(IntEnum):
    """What became of it."""

    DONE = 0
    TOOL = 1
    DAMAGED = 2
    BOMB = 3
    LARGE = 4


class Did(IntFlag):
    """What was done."""

    SHRUNK = 1
    NOTES_REMOVED = 2
    FIRST_FRAME_ONLY = 4


Shrink = Callable[[bytes, str, int, int], tuple[Did, bytes]]


class Unable(Exception):
    """There is no JPEG, and why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


def main() -> None:
    """Read one picture, write one answer; the arguments are a directory, the kind, and the most bytes and pixels."""
    kind, aim, pixels = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    try:
        shrink = _shrinking()
        seal()
        content = sys.stdin.buffer.read()
        try:
            done, jpeg = shrink(content, kind, aim, pixels)
        except MemoryError:
            raise Unable(Verdict.BOMB) from None
        answer = HEADER.pack(Verdict.DONE, done) + jpeg
    except Unable as error:
        answer = HEADER.pack(error.verdict, 0)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


def _shrinking() -> Shrink:
    try:
        from smsbridge.media.shrinking import shrink  # noqa: PLC0415 - the extra `media` may not be installed
    except ImportError:
        raise Unable(Verdict.TOOL) from None
    return shrink


def seal() -> None:
    """Give up all that decoding a picture does not need."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends, this process ends, and not the bridge
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, MEMORY),
    ):
        resource.setrlimit(what, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))  # a signal first: `convert` knows it
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    only_threads(libc)
    libc.unshare(0x10000000 | 0x40000000 | 0x08000000)  # CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC
    _landlock(libc)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _landlock(libc: ctypes.CDLL) -> None:
    """No file, no TCP, no other process; as much of it as this kernel knows."""
    create, restrict = 444, 446  # the same on every architecture
    version = libc.syscall(create, None, 0, 1)
    if version < 1:
        return
    files = (1 << (13 + (version >= 2) + (version >= 3))) - 1
    network = 3 if version >= 4 else 0
    rights = struct.pack("QQQ", files, network, 3 if version >= 6 else 0)
    size = 8 + 8 * (version >= 4) + 8 * (version >= 6)
    ruleset = libc.syscall(create, rights, size, 0)
    if ruleset >= 0:
        libc.syscall(restrict, ruleset, 0)
        libc.close(ruleset)
