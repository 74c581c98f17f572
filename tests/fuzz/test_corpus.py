"""The seeds of the fuzzing and all that it has found, through each target; `make fuzz` looks for more."""

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*"))


def test_every_target_has_a_corpus_and_every_corpus_a_target():
    assert {path.parent.name for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_is_read_in_order(path):
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_cut_off_or_has_a_byte_changed_is_read_in_order(name):
    rng = random.Random(name)  # noqa: S311
    for path in FILES:
        if path.parent.name == name:
            data = path.read_bytes()
            for _ in range(10):
                TARGETS[name](data[: rng.randrange(len(data) + 1)])
                changed = bytearray(data or b" ")
                changed[rng.randrange(len(changed))] = rng.randrange(256)
                TARGETS[name](bytes(changed))
