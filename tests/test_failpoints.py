"""The named places where the bridge can be made to die, fail or hang: in a test, and never by accident."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from smsbridge import failpoints
from smsbridge.failpoints import FAILPOINTS, VARIABLE, FailpointError, arm, disarm, failpoint
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, LOOPBACK, bridge_yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "smsbridge"


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    disarm()


def run_bridge(directory, plan):
    """`smsbridge run` with failpoints, until it has ended."""
    path = directory / "config.yaml"
    path.write_text(
        bridge_yaml(
            component_jid="sms.example.com",
            component_port=free_port(),
            secret="s3cret",
            api_url=f"http://{LOOPBACK}:{free_port()}/",
            public_port=0,
            database=directory / "bridge.db",
            owners={"alice": (DID,)},
            extra="log: {format: json}\n",
        )
    )
    return subprocess.run(
        [sys.executable, "-m", "smsbridge", "run", "-c", str(path)],
        env={**os.environ, VARIABLE: plan},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_place_of_the_list_is_in_the_code_once_and_no_other():
    names = Counter(
        node.args[0].value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint"
    )
    assert names == Counter(FAILPOINTS)


def test_nothing_that_ships_arms_a_failpoint():
    shipped = [path for room in ("systemd", "contrib") for path in (ROOT / room).rglob("*") if path.is_file()]
    assert [path for path in shipped if VARIABLE.encode() in path.read_bytes()] == []
    armed_by = [path.name for path in SOURCE.rglob("*.py") if "failpoints.VARIABLE" in path.read_text()]
    assert armed_by == ["cli.py"]


def test_a_place_is_passed_unless_it_is_armed():
    for name in FAILPOINTS:
        failpoint(name)
    arm("inbound.taking=raise")
    for name in FAILPOINTS[1:]:
        failpoint(name)


def test_what_is_armed_happens_once_and_at_its_pass():
    arm("inbound.taking=raise@2, http.calling=raise")
    failpoint("inbound.taking")
    with pytest.raises(FailpointError):
        failpoint("inbound.taking")
    failpoint("inbound.taking")
    with pytest.raises(OSError, match=r"the failpoint http\.calling"):
        failpoint("http.calling", OSError)


def test_a_stall_holds_whoever_passes():
    arm("sqlite.committing=stall:0.1")
    began = time.monotonic()
    failpoint("sqlite.committing")
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("plan", ["nowhere=kill", "inbound.taking=explode", "inbound.taking=kill@soon", "inbound"])
def test_a_plan_that_makes_no_sense_is_refused(plan):
    with pytest.raises(ValueError, match=r"."):
        arm(plan)


def test_the_bridge_says_loudly_that_it_is_armed_and_where_it_died(tmp_path):
    ended = run_bridge(tmp_path, "forgetting.begun=kill")
    assert ended.returncode == -signal.SIGKILL
    assert '"plan": "forgetting.begun=kill", "event": "failpoints_armed", "level": "error"' in ended.stderr
    assert '"name": "forgetting.begun", "action": "kill", "event": "failpoint_reached"' in ended.stderr


def test_the_bridge_does_not_start_with_a_plan_that_it_cannot_read(tmp_path):
    ended = run_bridge(tmp_path, "nowhere=kill")
    assert ended.returncode == 2
    assert f"smsbridge: {VARIABLE}: there is no failpoint 'nowhere'" in ended.stderr
    assert not (tmp_path / "bridge.db").exists()


def test_a_place_that_is_off_looks_at_an_empty_table_and_calls_nothing():
    assert not failpoints._armed
    seen = []
    sys.setprofile(lambda frame, event, _: seen.append((event, frame.f_code.co_name)))
    failpoint("inbound.taking")
    sys.setprofile(None)
    assert seen[:-1] == [("call", "failpoint"), ("return", "failpoint")]  # the last is our own call of setprofile
