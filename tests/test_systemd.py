"""The unit agrees with the program that it starts, and keeps its sandbox.

How tight the sandbox is: systemd-analyze security --offline=true systemd/smsbridge.service (1.1 with systemd 252).
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from smsbridge import cli
from smsbridge.providers.voipms.api import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "systemd" / "smsbridge.service").read_text()


def assigned(name: str) -> list[str]:
    """What the unit assigns to a name, in order."""
    return re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)


def test_every_line_is_a_section_a_setting_or_a_comment():
    form = re.compile(r"\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.*|#.*|")
    assert [line for line in TEXT.splitlines() if not form.fullmatch(line)] == []
    assert re.findall(r"^\[(\w+)\]$", TEXT, re.MULTILINE) == ["Unit", "Service", "Install"]


def test_it_starts_the_program_with_words_that_the_program_knows():
    (command,) = assigned("ExecStart")
    program, *arguments = shlex.split(command)
    assert program == "/opt/smsbridge/bin/smsbridge"
    options = cli._parser().parse_args(arguments)
    assert (options.command, options.config) == ("run", Path("/etc/smsbridge/config.yaml"))


def test_a_wrong_configuration_is_not_started_again():
    assert assigned("Restart") == ["on-failure"]
    assert assigned("RestartPreventExitStatus") == [str(cli.WRONG)]


def test_stopping_waits_for_a_call_that_a_carrier_takes_its_time_over():
    (seconds,) = assigned("TimeoutStopSec")
    assert int(seconds) > Settings.model_fields["timeout"].default


def test_the_supervisor_hears_when_it_is_ready_and_that_it_lives():
    assert assigned("Type") == ["notify"]
    assert int(*assigned("WatchdogSec")) >= 10
    assert assigned("ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_the_example_of_a_configuration_fits_the_unit():
    example = (ROOT / "config.example.yaml").read_text()
    database = yaml.safe_load(example)["store"]["url"].removeprefix("sqlite:///")
    assert Path(database).parent == Path("/var/lib") / assigned("StateDirectory")[0]
    offered = dict(credential.split(":") for credential in assigned("LoadCredential"))
    assert sorted(offered) == sorted(re.findall(r"_file: (\S+)", example))
    assert all(path == f"/etc/smsbridge/{name}" for name, path in offered.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DynamicUser", "yes"),
        ("StateDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("LimitCORE", "0"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("RestrictSUIDSGID", "yes"),
        ("PrivateUsers", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),  # SQLite also needs a /tmp that can be written to
        ("PrivateDevices", "yes"),
        ("NoExecPaths", "/"),
        ("ProtectProc", "invisible"),
        ("ProcSubset", "pid"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectKernelLogs", "yes"),
        ("ProtectControlGroups", "yes"),
        ("ProtectClock", "yes"),
        ("ProtectHostname", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictRealtime", "yes"),
        ("LockPersonality", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallErrorNumber", "EPERM"),
    ],
)
def test_the_sandbox_is_shut(name: str, value: str):
    assert assigned(name) == [value]


def test_system_calls_are_those_of_an_ordinary_service():
    assert assigned("SystemCallFilter") == ["@system-service", "~@privileged @resources"]
