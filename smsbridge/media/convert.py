"""Makes of an attachment what a carrier takes.

    converter = Converter()
    fit = await converter.fit(content, limit=Limit(bytes=1_200_000, kinds=provider.capabilities.media_types))
    fit.content, fit.kind, fit.changes          or `Unconvertible`, with its reason

What a file is, its first bytes say (`kinds`); what its sender or its server calls it is not asked.

- A picture of a kind that the carrier takes, and small enough, goes as it is, but for what was noted in it (`bare`).
- Any other becomes a JPEG of `aim` bytes at most, upright, on white, in a child process with limits (`convert_child`).
  Without the extra `media` there is nothing to do that with: `Hindrance.TOOL`.
- A film loses what is noted in it (`films`). Sound and all else goes as it is, or not at all.

A child that is killed, hangs or lies costs its picture and nothing else: what it says is bounded and looked at, and its
JPEG is stripped here as if it had come from outside.
"""

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import smsbridge
from smsbridge.media import films
from smsbridge.media.bare import Bare, NotUnderstood, bare, turned
from smsbridge.media.convert_child import HEADER, Did, Verdict
from smsbridge.media.kinds import LOOKED_AT, kind_of

JPEG: Final = "image/jpeg"
LARGEST: Final = 32 * 1024 * 1024  # looked at
AIM: Final = 600_000  # of a picture: more is accepted by some carriers and then lost (voip.ms among them)
SECONDS: Final = 20.0
AT_ONCE: Final = 1  # each may take `convert_child.MEMORY`
_HOME: Final = str(Path(smsbridge.__file__).parents[1])
_START: Final = "import sys; sys.path.append(sys.argv[1]); from smsbridge.media.convert_child import main; main()"
_PIECE: Final = 64 * 1024
_ENDING: Final = 5.0


class Hindrance(StrEnum):
    """Why there is nothing that the carrier would take."""

    LARGE = "large"
    KIND = "kind"
    DAMAGED = "damaged"
    BOMB = "bomb"
    SLOW = "slow"
    TOOL = "tool"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether it would be no different later."""
        return self is not Hindrance.FAILED


class Change(StrEnum):
    """What was done to a file."""

    SHRUNK = "shrunk"
    RECODED = "recoded"
    LOCATION_REMOVED = "location_removed"  # what was noted in it, where a camera also writes the place
    FIRST_FRAME_ONLY = "first_frame_only"


class Unconvertible(Exception):
    """The carrier would not take it, and nothing can be made of it."""

    def __init__(self, reason: Hindrance) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a carrier takes: bytes a file, and kinds (media types) as they are.

    A still picture is given `aim` bytes, if that is less, and so many pixels.
    """

    bytes: int
    kinds: Collection[str]
    aim: int = AIM
    pixels: int = 25_000_000

    @property
    def still(self) -> int:
        """Bytes of a picture that does not move."""
        return min(self.bytes, self.aim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What goes to the carrier. Width and height are those of a picture, else 0."""

    content: bytes = field(repr=False)
    kind: str
    width: int = 0
    height: int = 0
    changes: frozenset[Change] = frozenset()


def can_convert() -> bool:
    """Whether the extra `media` is installed, as far as can be seen without loading it."""
    return all(importlib.util.find_spec(name) is not None for name in ("PIL", "pillow_heif"))


class Converter:
    """Keeps the number of children at once."""

    def __init__(self, *, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._places = asyncio.Semaphore(at_once)

    async def fit(self, content: bytes, *, limit: Limit) -> Converted:
        """What of this the carrier takes; raises `Unconvertible`."""
        kind = kind_of(content[: 2 * LOOKED_AT])
        if len(content) > LARGEST:
            raise Unconvertible(Hindrance.LARGE)
        if not kind.startswith("image/"):
            return await asyncio.to_thread(_as_it_is, content, kind, limit)
        found = await asyncio.to_thread(_bare, kind, content) if len(content) <= 2 * limit.bytes else None
        if found is not None and found.orientation == 1 and (ready := _ready(found, kind, limit)):
            return ready
        if JPEG not in limit.kinds:
            raise Unconvertible(Hindrance.KIND)
        try:
            return await self._convert(content, kind, limit)
        except Unconvertible as error:
            if (
                error.reason is Hindrance.TOOL
                and kind == JPEG
                and found is not None
                and (ready := _ready(found, kind, limit))
            ):
                return ready  # it lies on its side, and says so
            raise

    async def _convert(self, content: bytes, kind: str, limit: Limit) -> Converted:
        async with self._places:
            try:
                async with asyncio.timeout(self._seconds):
                    verdict, did, jpeg = await _ask(content, kind, limit)
            except TimeoutError:
                raise Unconvertible(Hindrance.SLOW) from None
            except OSError:  # no process, no memory, no descriptor
                raise Unconvertible(Hindrance.FAILED) from None
        if verdict is not Verdict.DONE:
            raise Unconvertible(_REASONS[verdict])
        made = _bare(JPEG, jpeg)
        if made is None or len(made.content) > limit.still:
            raise Unconvertible(Hindrance.DAMAGED)
        changes = {change for flag, change in _CHANGES.items() if flag in did} | {Change.RECODED}
        return Converted(
            content=made.content, kind=JPEG, width=made.width, height=made.height, changes=frozenset(changes)
        )


_REASONS: Final[Mapping[Verdict, Hindrance]] = {
    Verdict.TOOL: Hindrance.TOOL,
    Verdict.DAMAGED: Hindrance.DAMAGED,
    Verdict.BOMB: Hindrance.BOMB,
    Verdict.LARGE: Hindrance.LARGE,
}
_CHANGES: Final[Mapping[Did, Change]] = {
    Did.SHRUNK: Change.SHRUNK,
    Did.NOTES_REMOVED: Change.LOCATION_REMOVED,
    Did.FIRST_FRAME_ONLY: Change.FIRST_FRAME_ONLY,
}


def _as_it_is(content: bytes, kind: str, limit: Limit) -> Converted:
    if kind not in limit.kinds:
        raise Unconvertible(Hindrance.KIND)
    if len(content) > limit.bytes:
        raise Unconvertible(Hindrance.LARGE)
    if kind not in films.KINDS:
        return Converted(content=content, kind=kind)
    try:
        film, had_notes = films.bare_film(content)
    except NotUnderstood:
        raise Unconvertible(Hindrance.DAMAGED) from None
    return Converted(content=film, kind=kind, changes=_notes(had_notes))


def _notes(were_there: bool) -> frozenset[Change]:
    return frozenset({Change.LOCATION_REMOVED} if were_there else ())


def _bare(kind: str, content: bytes) -> Bare | None:
    try:
        return bare(kind, content)
    except NotUnderstood:
        return None


def _ready(found: Bare, kind: str, limit: Limit) -> Converted | None:
    """A picture that needs no more than to be stripped."""
    most = limit.bytes if found.is_animated else limit.still
    content = found.content if found.orientation == 1 else turned(found.content, found.orientation)
    if kind not in limit.kinds or len(content) > most or found.width * found.height > limit.pixels:
        return None
    changes = _notes(found.had_notes)
    return Converted(content=content, kind=kind, width=found.width, height=found.height, changes=changes)


async def _ask(content: bytes, kind: str, limit: Limit) -> tuple[Verdict, Did, bytes]:
    """One child, from its start to its end. Raises `Unconvertible` or OSError."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-B", "-c", _START, _HOME, kind, str(limit.still), str(limit.pixels)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        answer = await _talk(child, content, HEADER.size + limit.still)
    finally:
        await _end(child)
    if len(answer) < HEADER.size:
        raise Unconvertible(Hindrance.SLOW if child.returncode == -signal.SIGXCPU else Hindrance.DAMAGED)
    try:
        verdict, did = HEADER.unpack_from(answer)
        return Verdict(verdict), Did(did), answer[HEADER.size :]
    except ValueError:
        raise Unconvertible(Hindrance.DAMAGED) from None


async def _talk(child: Process, content: bytes, most: int) -> bytes:
    """What it answers, one byte more than `most` at the most."""
    hears, says = _pipes(child)
    with contextlib.suppress(ConnectionError):  # it has ended: what it said counts
        hears.write(content)
        await hears.drain()
        hears.close()
    answer = bytearray()
    while len(answer) <= most and (piece := await says.read(_PIECE)):
        answer += piece
    return bytes(answer[: most + 1])


async def _end(child: Process) -> None:
    """Kill and reap it; what it still says is thrown away, or its pipe would stay."""
    hears, says = _pipes(child)
    hears.close()
    with contextlib.suppress(ProcessLookupError):
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)  # `child.kill` may reap it, and its status would be lost
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDING):
            while await says.read(_PIECE):
                pass
            await child.wait()


def _pipes(child: Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if child.stdin is None or child.stdout is None:
        raise OSError("a child without pipes")
    return child.stdin, child.stdout
