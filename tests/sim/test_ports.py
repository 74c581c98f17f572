"""Ports for servers that may be away for a moment."""

import subprocess
import sys

from smsbridge.sim.ports import free_ports

DRAWS = 300  # of which some met, when all programs drew from the same 12,000
ANOTHER = f"from smsbridge.sim.ports import free_port\nprint(*(free_port() for _ in range({DRAWS})))"


def test_programs_that_run_at_the_same_time_never_draw_the_same():
    ours = {port for _ in range(DRAWS) for port in free_ports(1)}
    others = subprocess.run((sys.executable, "-c", ANOTHER), check=True, capture_output=True, text=True).stdout.split()
    assert len(ours) == len(set(others)) == DRAWS
    assert ours.isdisjoint(map(int, others))


def test_of_several_at_once_none_is_given_twice():
    given = [port for _ in range(30) for port in free_ports(3)]
    assert len(given) == len(set(given)) == 90
