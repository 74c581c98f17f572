"""What a process did to the files of a directory, in order, and what it said meanwhile: strace, read back."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,pwrite64,write,ftruncate,fdatasync,fsync,rename,unlink"
LONGEST = 1 << 20  # bytes of one write that are kept
_LINE = re.compile(r"(\d+) +(.*)")
_DONE = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"-?\d+<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")


@dataclass(frozen=True, slots=True)
class Write:
    name: str
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Of a file; of the directory, if the name is empty."""

    name: str


@dataclass(frozen=True, slots=True)
class Create:
    """Opened so that it comes into being if it is not there."""

    name: str


@dataclass(frozen=True, slots=True)
class Unlink:
    name: str


@dataclass(frozen=True, slots=True)
class Say:
    words: str


Event = Write | Truncate | Sync | Create | Unlink | Say


def record(module: str, arguments: tuple[str, ...], into: Path) -> None:
    """Run a module of Python's under strace; raises `RuntimeError` if it does not end well."""
    command = (
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        str(LONGEST),
        "-o",
        str(into),
        "-e",
        f"trace={CALLS}",
    )
    ended = subprocess.run(
        [*command, "--", sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{module} ended with {ended.returncode}: {ended.stderr[-2000:]}")


def read(trace: Path, directory: Path, said: str) -> Iterator[Event]:
    """The events on files of the directory; `said` is the file whose lines are what it said."""
    begun: dict[str, str] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            thread, call = _LINE.fullmatch(line.rstrip("\n")).groups()
            if call.endswith(" <unfinished ...>"):
                begun[thread] = call.removesuffix(" <unfinished ...>")
                continue
            if resumed := _RESUMED.fullmatch(call):
                call = begun.pop(thread) + resumed[1]
            done = _DONE.fullmatch(call)
            if done is None or int(done[3]) < 0:
                continue
            yield from _events(done[1], done[2], int(done[3]), directory, said)


def _events(name: str, given: str, result: int, directory: Path, said: str) -> Iterator[Event]:
    if name in {"openat", "unlink", "rename"}:
        paths = [_text(found) for found in _STRING.findall(given)]
        ours = [_within(path, directory) for path in paths]
        if not ours or ours[-1] in (None, said):
            return
        if name == "rename":
            raise NotImplementedError("nothing of ours renames while it runs")
        if name == "unlink":
            yield Unlink(ours[0])
        elif "O_CREAT" in given:
            yield Create(ours[0])
        return
    where = _FD.match(given)
    if where is None or where[2]:
        return
    file = _within(_text(where[1]), directory)
    if file is None:
        return
    match name:
        case "fsync" | "fdatasync":
            yield Sync(file)
        case "ftruncate":
            yield Truncate(file, int(given.rpartition(",")[2]))
        case "pwrite64" | "write":
            data = bytes.fromhex(_STRING.search(given)[1].replace("\\x", ""))[:result]
            if file == said:
                yield from (Say(words) for words in data.decode().splitlines())
            elif name == "pwrite64":
                yield Write(file, int(given.rpartition(",")[2]), data)
            else:
                raise NotImplementedError("nothing of ours writes where a file happens to stand")


def _text(hexed: str) -> str:
    return bytes.fromhex(hexed.replace("\\x", "")).decode()


def _within(path: str, directory: Path) -> str | None:
    """The name in the directory; empty for itself, None for what is elsewhere."""
    if path == str(directory):
        return ""
    head, _, name = path.rpartition("/")
    return name if head == str(directory) else None
