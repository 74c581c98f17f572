"""For a process that decodes foreign bytes: no other process, and only a few threads.

RLIMIT_NPROC counts threads as well, and what decodes HEIC (libde265) does so in a thread of its own. So a filter of
system calls (seccomp) allows threads and neither fork nor exec; where there is none, nothing at all is started.
"""

import contextlib
import ctypes
import os
import resource
import struct
from pathlib import Path
from typing import Final

THREADS: Final = 16  # more than our account has by now; the bridge itself may begin some meanwhile

# What an architecture is called, and its fork, vfork, clone, execve and execveat.
_ARCHITECTURES: Final = {
    "x86_64": (0xC000003E, (57, 58), 56, (59, 322)),
    "aarch64": (0xC00000B7, (), 220, (221, 281)),
}
_CLONE3: Final = 435  # its flags are where no filter looks; the C library then takes clone
_OTHER_ABI: Final = 0x40000000  # x32, under other numbers
_CLONE_THREAD: Final = 0x10000
_LOAD, _IS, _IS_AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 16  # where they are in what the filter sees
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x50001, 0x50026
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def only_threads(libc: ctypes.CDLL) -> None:
    """From now on; no new privileges may be had any more (PR_SET_NO_NEW_PRIVS)."""
    most = _tasks() + THREADS if _filtered(libc) else 0
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _filtered(libc: ctypes.CDLL) -> bool:
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None or struct.calcsize("P") != 8:
        return False
    steps = _steps(*known)
    program = _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _steps(architecture: int, forks: tuple[int, ...], clone: int, execs: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Each as (what, steps to skip if so, if not, value)."""
    refuse = (_RETURN, 0, 0, _EPERM)
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_IS, 1, 0, architecture), refuse, (_LOAD, 0, 0, _NUMBER)]
    steps += [(_IS_AT_LEAST, 0, 1, _OTHER_ABI), refuse]
    for number in (*forks, *execs):
        steps += [(_IS, 0, 1, number), refuse]
    steps += [(_IS, 0, 1, _CLONE3), (_RETURN, 0, 0, _ENOSYS)]
    steps += [(_IS, 0, 3, clone), (_LOAD, 0, 0, _FLAGS), (_HAS, 1, 0, _CLONE_THREAD), refuse]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _tasks() -> int:
    """How many our account has."""
    own, found = os.getuid(), 0
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if process.name.isdecimal() and process.stat().st_uid == own:
                found += sum(1 for _ in (process / "task").iterdir())
    return found
