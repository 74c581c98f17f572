"""The canaries sing: what would be found, and what would not."""

import pytest

from tests.canaries import leaks


@pytest.mark.parametrize(
    "line", ["to +15559870002", "peer=5559870002", '{"peer": "15559870002"}', "password: pretended-password"]
)
def test_a_line_with_a_secret_or_a_whole_number_is_found(line: str) -> None:
    assert list(leaks(f"fine\n{line}\nfine")) == [line]


def test_masked_numbers_and_ids_are_not_found() -> None:
    assert list(leaks("peer=…02 did=…01\nid=01a10d3b-b820-7e2d-5557-c58b19580753\nat=1555987000200")) == []
