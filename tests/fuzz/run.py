"""Fuzzing of every parser of outside bytes, guided by coverage; needs atheris (`make fuzz` installs it).

    python -m tests.fuzz.run --seconds 600 [--target stanza]

The seconds are shared by the targets (`targets.py`), each in a process of its own that begins with its corpus. A find
is kept in `build/fuzz/` and fails the run; once mended it goes to `corpus/`, and `make test` plays it from then on.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
BUILD = Path("build") / "fuzz"
LONGEST_INPUT = 4096
SLOWEST = 10  # seconds for one input


def fuzz(name: str, seconds: int) -> None:
    """In this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["smsbridge"]):
        from tests.fuzz.targets import TARGETS
    directory = BUILD / name
    directory.mkdir(parents=True, exist_ok=True)
    arguments = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={SLOWEST}",
        f"-artifact_prefix={directory}/",
        "-print_final_stats=1",
        "-verbosity=0",
    )
    found = directory / "corpus"
    found.mkdir(exist_ok=True)
    atheris.Setup([name, *arguments, str(found), str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


def run(names: list[str], seconds: int) -> int:
    """One target after another; how many have found something."""
    failures = 0
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        began = time.monotonic()
        share = max(1, seconds // left)
        command = [sys.executable, "-m", "tests.fuzz.run", "--target", name, "--seconds", str(share), "--here"]
        ended = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
        tried = [line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
        verdict = "FOUND" if ended.returncode else "ok"
        print(f"{name:20} {share:5} s  {tried[0] if tried else '?':>10} inputs  {verdict}")
        if ended.returncode:
            failures += 1
            print(ended.stdout[-3000:], ended.stderr[-3000:], sep="\n")
        seconds -= round(time.monotonic() - began)
    return failures


def main() -> int:
    names = sorted(path.name for path in CORPUS.iterdir())
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target", choices=names)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        fuzz(given.target, given.seconds)
    return 1 if run([given.target] if given.target else names, given.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
