"""The supervisor is told by datagram, and missed without complaint."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from smsbridge.notify import notify, reloading, status, watchdog_seconds


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_lines_arrive_in_one_datagram(tmp_path: Path, is_abstract: bool):
    address = f"@smsbridge-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address.replace("@", "\0", 1) if is_abstract else address)
        supervisor.settimeout(5)
        notify("READY=1", status("3 lines,\n  stream\tup"), environ={"NOTIFY_SOCKET": address})
        assert supervisor.recv(4096) == b"READY=1\nSTATUS=3 lines, stream up"
        notify("STOPPING=1", environ={"NOTIFY_SOCKET": address})
        assert supervisor.recv(4096) == b"STOPPING=1"


def test_nothing_is_opened_without_a_supervisor(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket, "socket", refuse)
    notify("READY=1", environ={})
    notify("READY=1", environ={"NOTIFY_SOCKET": ""})
    notify("READY=1", environ={"NOTIFY_SOCKET": "vsock:2:1234"})


def test_the_environment_is_read_when_notified(monkeypatch, tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("WATCHDOG=1")
        assert supervisor.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["/nowhere/at/all", "@nobody-listens-here", "/" + "x" * 300])
def test_a_supervisor_that_is_gone_is_no_failure(address: str):
    notify("READY=1", environ={"NOTIFY_SOCKET": address})


def test_a_supervisor_that_does_not_read_holds_nobody_up(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                while filler.sendto(b"x", str(tmp_path / "notify")):
                    pass
        notify("WATCHDOG=1", environ={"NOTIFY_SOCKET": str(tmp_path / "notify")})


def test_a_reload_begins_with_the_time_of_the_machine():
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    first, second = reloading(time.monotonic())
    assert first == "RELOADING=1"
    assert 0 <= int(second.removeprefix("MONOTONIC_USEC=")) - began < 60_000_000


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environ: dict[str, str], seconds: float | None):
    assert watchdog_seconds(environ) == seconds
