"""Pictures made to break who looks at them, and a child that a picture has taken over: the bridge stays whole."""

import asyncio
import contextlib
import ctypes
import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from smsbridge.core.enclosures import Why
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import worded
from smsbridge.media import convert, convert_child, shrinking
from smsbridge.media.bare import bare
from smsbridge.media.convert import Change, Converter, Hindrance, Limit, Unconvertible
from smsbridge.media.convert_child import Unable, Verdict
from smsbridge.media.kinds import kind_of
from tests.fakes.waiting import until
from tests.media.pictures import look, moving, noted, png, scene, spoiled, written

ROOT = Path(__file__).parents[2]
JPEG_ONLY = Limit(bytes=1_200_000, kinds=frozenset({"image/jpeg"}))
SMALL = written(scene(96, 64), "PNG")
MIB = 1024 * 1024


def with_sides(content: bytes, form: str, side: int) -> bytes:
    """The same picture, whose header says that it is a square of this many pixels."""
    changed = bytearray(content)
    match form:
        case "JPEG":
            at = content.index(b"\xff\xc0") + 5
            changed[at : at + 4] = struct.pack(">HH", side, side)
        case "WEBP":
            at = content.index(b"VP8L") + 9
            changed[at : at + 4] = struct.pack("<I", (side - 1) | (side - 1) << 14)
        case "GIF":
            changed[6:10] = struct.pack("<HH", side, side)
        case "BMP":
            changed[18:26] = struct.pack("<ii", side, side)
        case "HEIF" | "AVIF":
            at = content.index(b"ispe") + 8
            changed[at : at + 8] = struct.pack(">II", side, side)
    return bytes(changed)


def bombs() -> dict[str, bytes]:
    """Small files of enormous pictures, and what else takes much to open."""
    flat = Image.new("RGB", (64, 64))
    swollen = {
        form: with_sides(written(flat, form, **options), form, side)
        for form, side, options in (
            ("JPEG", 65_000, {}),
            ("WEBP", 16_383, {"lossless": True}),
            ("GIF", 65_000, {}),
            ("BMP", 30_000, {}),
            ("HEIF", 30_000, {}),
            ("AVIF", 30_000, {}),
        )
    }
    return swollen | {
        "zeros": png(50_000, 50_000),
        "long": png(2_000_000, 100),
        "deep": png(6_900, 6_900, depth=16, colour=6),
    }


MEASURING = """
import asyncio, json, resource, sys
from pathlib import Path
from smsbridge.media.convert import *

async def main(files):
    ends = {}
    for file in files:
        content = Path(file).read_bytes()
        try:
            await Converter().fit(content, limit=Limit(bytes=1_200_000, kinds={"image/jpeg"}))
            ends[Path(file).name] = "converted"
        except Unconvertible as error:
            ends[Path(file).name] = error.reason
    return ends

peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
before = peak()
ends = asyncio.run(main(sys.argv[1:]))
print(json.dumps([ends, peak() - before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def measured(files: dict[str, bytes], directory: Path) -> tuple[dict[str, str], int, int]:
    """How each ended, what the bridge's part of it took of memory at its peak, and what the largest child took."""
    for name, content in files.items():
        (directory / name).write_bytes(content)
    ran = subprocess.run(
        [sys.executable, "-c", MEASURING, *(str(directory / name) for name in files)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stderr == ""
    ends, parent, child = json.loads(ran.stdout)
    return ends, parent, child


def test_a_bomb_is_refused_in_words_and_the_memory_of_the_bridge_does_not_grow(tmp_path: Path):
    files = bombs()
    assert max(map(len, files.values())) < 2 * MIB
    ends, parent, child = measured(files, tmp_path)
    # libheif and libavif say themselves that the size is no picture's
    assert ends == dict.fromkeys(files, "bomb") | {"HEIF": ends["HEIF"], "AVIF": ends["AVIF"]}
    assert {ends["HEIF"], ends["AVIF"]} <= {"bomb", "damaged"}
    assert worded(Why(Hindrance.BOMB).words, Language.ENGLISH) == "it would take too much memory to open"
    assert parent < 16 * MIB
    assert child < convert_child.MEMORY


def test_a_file_of_100_megabytes_is_refused_unread(tmp_path: Path):
    huge = b"\xff\xd8\xff\xe0" + bytes(100 * MIB)
    ends, parent, child = measured({"huge": huge}, tmp_path)
    assert ends == {"huge": "large"}
    assert parent < 110 * MIB  # the file itself, which the test holds
    assert child == 0


async def test_a_film_of_thousands_of_frames_gives_its_first():
    film = moving(3000, (16, 16))
    still = await Converter().fit(film, limit=JPEG_ONLY)
    assert Change.FIRST_FRAME_ONLY in still.changes
    assert look(still.content).size == (16, 16)


@pytest.mark.parametrize("said", ["a photo.jpg", "video/mp4"])
async def test_what_a_file_is_called_is_not_asked(said):
    """The interface takes no name and no type: a WebP among JPEGs is seen for what it is."""
    picture = written(scene(96, 64), "WEBP")
    assert (await Converter().fit(picture, limit=JPEG_ONLY)).kind == "image/jpeg"
    web_page = f"<!doctype html><title>{said}</title>".encode()
    with pytest.raises(Unconvertible) as refusal:
        await Converter().fit(web_page, limit=JPEG_ONLY)
    assert refusal.value.reason is Hindrance.KIND


KINDS = {
    form: written(scene(96, 64), form, **({"exif": noted(6)} if form not in {"GIF", "BMP"} else {}))
    for form in ("JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF", "BMP", "TIFF")
}


@pytest.mark.parametrize("form", KINDS)
def test_what_is_spoiled_ends_as_a_picture_or_a_refusal(form, monkeypatch):
    monkeypatch.setattr(shrinking, "MOST_PIXELS", 1_000_000)
    monkeypatch.setattr(shrinking, "MOST_JPEG_PIXELS", 1_000_000)
    rng = random.Random(form)  # noqa: S311
    kind = kind_of(KINDS[form])
    ends = set()
    for _ in range(60):
        try:
            _, jpeg = shrinking.shrink(spoiled(KINDS[form], rng), kind, 600_000, 25_000_000)
        except Unable as refusal:
            ends.add(refusal.verdict)
        else:
            ends.add(Verdict.DONE)
            assert not bare("image/jpeg", jpeg).had_notes
    assert {Verdict.DAMAGED} <= ends <= {Verdict.DONE, Verdict.DAMAGED, Verdict.BOMB}


@pytest.mark.parametrize("form", KINDS)
async def test_what_is_spoiled_costs_the_bridge_nothing(form):
    rng = random.Random(form)  # noqa: S311
    ends = {await ended(spoiled(KINDS[form], rng)) for _ in range(3)}
    assert ends <= {"image/jpeg", Hindrance.DAMAGED, Hindrance.BOMB, Hindrance.KIND}
    assert children() == []


async def ended(content: bytes) -> str:
    try:
        return (await Converter().fit(content, limit=JPEG_ONLY)).kind
    except Unconvertible as refusal:
        return refusal.reason


def all_children() -> set[str]:
    """Of this process, ended and not reaped among them."""
    found = set[str]()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found |= set((task / "children").read_text().split())
    return found


OTHERS = set[str]()


@pytest.fixture(autouse=True)
def others():
    """The servers of other tests, which may run."""
    OTHERS.clear()
    OTHERS.update(all_children())


def children() -> list[str]:
    return sorted(all_children() - OTHERS)


def taken_over(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The next child runs this instead of ours."""
    start = "import sys; sys.path.append(sys.argv[1]); from smsbridge.media.convert_child import *\n"
    monkeypatch.setattr(convert, "_START", start + code)


async def refused(seconds: float = 20.0) -> Hindrance:
    with pytest.raises(Unconvertible) as refusal:
        await Converter(seconds=seconds).fit(SMALL, limit=JPEG_ONLY)
    assert children() == []
    return refusal.value.reason


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit(1)",
        "sys.stdout.buffer.write(b'x')",
        "sys.stdout.buffer.write(b'\\xff' * 20)",
        "sys.stdout.buffer.write(HEADER.pack(0, 0))",
        "sys.stdout.buffer.write(HEADER.pack(0, 0) + b'\\xff\\xd8\\xff\\xd9')",
        "sys.stdin.buffer.read()\nwhile True: sys.stdout.buffer.write(b'x' * 65536)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    ],
)
async def test_a_child_that_lies_or_dies_costs_its_picture_alone(monkeypatch, code):
    taken_over(monkeypatch, code)
    assert await refused() is Hindrance.DAMAGED


async def test_notes_that_a_child_puts_into_its_answer_do_not_reach_the_carrier(monkeypatch):
    told = written(scene(96, 64), "JPEG", exif=noted())
    taken_over(monkeypatch, f"sys.stdout.buffer.write(HEADER.pack(0, 0) + {told!r})")
    made = await Converter().fit(SMALL, limit=JPEG_ONLY)
    assert made.content == bare("image/jpeg", told).content


@pytest.mark.parametrize(
    "code", ["import time; time.sleep(60)", "while sys.stdin.buffer.read(1): pass\nwhile True: pass"]
)
async def test_a_child_that_hangs_is_killed_and_reaped(monkeypatch, code):
    taken_over(monkeypatch, code)
    assert await refused(seconds=1.0) is Hindrance.SLOW


async def test_a_child_that_uses_up_its_time_is_slow_and_not_damaged(monkeypatch):
    taken_over(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)")
    assert await refused() is Hindrance.SLOW


async def test_a_picture_that_takes_more_memory_than_its_header_says_is_a_bomb(monkeypatch):
    hungry = "import smsbridge.media.shrinking as s\ns.shrink = lambda *_: bytearray(600 * 1024 * 1024)\nmain()"
    taken_over(monkeypatch, hungry)
    assert await refused() is Hindrance.BOMB


async def test_who_is_cancelled_leaves_no_child_behind(monkeypatch):
    taken_over(monkeypatch, "import time; time.sleep(60)")
    fitting = asyncio.create_task(Converter().fit(SMALL, limit=JPEG_ONLY))
    await until(lambda: bool(children()))
    fitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fitting
    assert children() == []


async def test_only_so_many_run_at_once(monkeypatch):
    taken_over(monkeypatch, "import time; time.sleep(60)")
    converter = Converter(at_once=2)
    fitting = [asyncio.create_task(converter.fit(SMALL, limit=JPEG_ONLY)) for _ in range(5)]
    await until(lambda: len(children()) == 2)
    for one in fitting[:2]:
        one.cancel()
    await until(lambda: all(one.done() for one in fitting[:2]) and len(children()) == 2)
    for one in fitting:
        one.cancel()
    await asyncio.gather(*fitting, return_exceptions=True)
    assert children() == []


async def test_where_no_process_can_be_started_the_picture_may_be_tried_again(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    reason = await refused()
    assert (reason, reason.is_final) == (Hindrance.FAILED, False)


PROBE = """
import os, socket
if os.getuid() == 0: os.setuid(65534)  # root may have as many processes as it likes
seal()
found = []
def tried(name, act):
    try:
        act()
        found.append(name)
    except OSError:
        pass
tried("file", lambda: open("/etc/hostname"))
tried("own file", lambda: open(sys.argv[1] + "/smsbridge/__init__.py"))
tried("socket", lambda: socket.socket())
tried("pipe", lambda: os.pipe())
tried("write", lambda: os.open("/tmp/smsbridge-probe", os.O_CREAT | os.O_WRONLY))
tried("process memory", lambda: open(f"/proc/{os.getppid()}/mem"))
def fork():
    if os.fork() == 0: os._exit(0)
    os.wait()
tried("fork", fork)
tried("exec", lambda: os.execv("/bin/true", ["true"]))
def memory():
    try: bytearray(600 * 1024 * 1024)
    except MemoryError: raise OSError
tried("memory", memory)
if set(os.environ) - {"LC_CTYPE"}: found.append("environment")
sys.stdin.buffer.read()
found = " ".join(found).encode()
sys.stdout.buffer.write(b"ok:" + found)
"""


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "WEBP", "JPEG"])
async def test_who_is_not_root_decodes_every_kind(monkeypatch, form):
    code = "import os, smsbridge.media.shrinking\nif os.getuid() == 0: os.setuid(65534)\nmain()"
    taken_over(monkeypatch, code)
    assert (await Converter().fit(written(scene(96, 64), form), limit=JPEG_ONLY)).kind == "image/jpeg"


async def test_a_picture_that_takes_its_decoder_over_has_nothing_in_its_hands(monkeypatch):
    taken_over(monkeypatch, PROBE)
    answers = []
    talk = convert._talk
    monkeypatch.setattr(convert, "_talk", lambda *args: listened(talk(*args), answers))
    await refused()
    assert answers == [b"ok:"]


SECOND_WALL = """
import ctypes, os, resource
limit = resource.setrlimit
resource.setrlimit = lambda what, most: None if what == resource.RLIMIT_NOFILE else limit(what, most)
seal()
found = []
try:
    open("/etc/passwd")
    found.append("file")
except OSError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
here = ctypes.create_string_buffer(8)
class Piece(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
local, remote = Piece(ctypes.addressof(here), 8), Piece(int(open_at, 16), 8)
if libc.process_vm_readv(parent, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
    found.append("memory of the bridge")
sys.stdin.buffer.read()
sys.stdout.buffer.write(b"ok:" + " ".join(found).encode())
"""


async def test_behind_the_first_wall_there_is_a_second_where_the_kernel_has_one(monkeypatch):
    libc = ctypes.CDLL(None, use_errno=True)
    has_landlock = libc.syscall(444, None, 0, 1) > 0
    secret = ctypes.create_string_buffer(b"a secret")
    where = f"parent, open_at = {os.getpid()}, '{ctypes.addressof(secret):x}'\n"
    taken_over(monkeypatch, where + SECOND_WALL)
    answers = []
    talk = convert._talk
    monkeypatch.setattr(convert, "_talk", lambda *args: listened(talk(*args), answers))
    await refused()
    assert answers == [b"ok:"] or not has_landlock


async def listened(talking, answers: list[bytes]) -> bytes:
    answers.append(await talking)
    return answers[-1]


async def test_without_the_extra_nothing_is_converted_and_what_fits_still_loses_its_place(monkeypatch):
    taken_over(monkeypatch, "sys.modules['PIL'] = None\nmain()")
    with pytest.raises(Unconvertible) as refusal:
        await Converter().fit(SMALL, limit=JPEG_ONLY)
    assert refusal.value.reason is Hindrance.TOOL
    assert "smsbridge[media]" in worded(Why(Hindrance.TOOL).words, Language.FRENCH)
    sent = await Converter().fit(written(scene(96, 64), "JPEG", exif=noted(6)), limit=JPEG_ONLY)
    assert (sent.changes, dict(look(sent.content).getexif())) == ({Change.LOCATION_REMOVED}, {0x0112: 6})


async def test_without_the_decoder_for_iphone_pictures_the_others_are_converted(monkeypatch):
    taken_over(monkeypatch, "sys.modules['pillow_heif'] = None\nmain()")
    with pytest.raises(Unconvertible) as refusal:
        await Converter().fit(KINDS["HEIF"], limit=JPEG_ONLY)
    assert refusal.value.reason is Hindrance.TOOL
    assert (await Converter().fit(SMALL, limit=JPEG_ONLY)).kind == "image/jpeg"
