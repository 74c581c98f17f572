"""The unit agrees with the program that it starts, keeps its sandbox, and the program can live in it."""

import asyncio
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from smsbridge import cli
from smsbridge.media import convert, convert_child
from smsbridge.providers.voipms.api import Settings
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import DID, LOOPBACK, QUERY_KEY, bridge_yaml
from tests.fakes.waiting import PATIENCE, until
from tests.media.pictures import scene, written
from tests.scenarios.running import Running

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "systemd" / "smsbridge.service"
TEXT = UNIT.read_text()
WORST_EXPOSURE = 13  # in tenths
BACKUP = ROOT / "systemd" / "smsbridge-backup.service"
TIMER = ROOT / "systemd" / "smsbridge-backup.timer"


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
    for mark in ("", "#"):  # what is in use, and what only some need
        offered = dict(line.split(":") for line in re.findall(rf"^{mark}LoadCredential=(.*)$", TEXT, re.MULTILINE))
        assert sorted(offered) == sorted(re.findall(rf"^ *{mark} *\w+_file: (\S+)", example, re.MULTILINE))
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
    shut_in = "landlock_create_ruleset landlock_restrict_self"
    assert assigned("SystemCallFilter") == ["@system-service", "~@privileged @resources", shut_in]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze, of Debian's package systemd."""
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", [UNIT, BACKUP], ids=lambda unit: unit.name)
def test_systemd_finds_the_sandbox_tight(unit: Path):
    judged = analyze("security", "--offline=true", f"--threshold={WORST_EXPOSURE}", str(unit))
    assert judged.returncode == 0, judged.stdout.splitlines()[-1:]


def test_systemd_finds_a_loose_sandbox_loose(tmp_path: Path):
    loose = tmp_path / UNIT.name
    loose.write_text(TEXT.replace("ProtectSystem=strict", "").replace("CapabilityBoundingSet=\n", ""))
    assert analyze("security", "--offline=true", f"--threshold={WORST_EXPOSURE}", str(loose)).returncode != 0


@pytest.mark.parametrize("name", [UNIT.name, BACKUP.name, TIMER.name])
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path, name: str):
    for unit in (UNIT, BACKUP, TIMER):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/smsbridge/bin/smsbridge", "/bin/true"))
    judged = analyze("verify", "--man=no", str(tmp_path / name))
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_the_backup_lives_in_the_sandbox_of_the_bridge_and_has_no_network():
    def settings(unit: Path) -> set[str]:
        return {line for line in unit.read_text().splitlines() if re.fullmatch(r"[A-Z][A-Za-z]+=.*", line)}

    missing = settings(UNIT) - settings(BACKUP)
    its_own = (
        "Type|Exec|Watchdog|Restart|Timeout|StateDirectory=|RestrictAddressFamilies|Description|Wants|WantedBy|After"
        "|MemoryMax|OOMPolicy|SystemCallFilter=landlock"
    )
    assert [line for line in missing if not re.match(its_own, line)] == []
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"} <= settings(BACKUP)


def test_the_backup_is_made_with_words_that_the_program_knows():
    (line,) = re.findall(r"^ExecStart=(.*)$", BACKUP.read_text(), re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program == "/opt/smsbridge/bin/smsbridge"
    options = cli._parser().parse_args(arguments)
    assert (options.command, options.file, options.keep) == ("backup", Path("/var/lib/smsbridge-backup"), 14)
    assert "LoadCredential=backup.key:/etc/smsbridge/backup.key" in BACKUP.read_text()
    assert str(options.key_file) == "${CREDENTIALS_DIRECTORY}/backup.key"


async def test_a_backup_makes_no_system_call_that_the_sandbox_denies(tmp_path: Path):
    trace, config = tmp_path / "trace", tmp_path / "config.yaml"
    await a_life_under(tmp_path / "first", tmp_path)
    (tmp_path / "backup.key").write_text("0f" * 32)
    (tmp_path / "kept").mkdir()
    program = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-q", "-o", str(trace), sys.executable, "-m", "smsbridge", "backup", "-c", str(config)),
        *("--key-file", str(tmp_path / "backup.key"), "--keep", "2", str(tmp_path / "kept")),
    )
    async with asyncio.timeout(PATIENCE):
        assert await program.wait() == 0
    made = {found[1] for line in trace.read_text().splitlines() if (found := re.match(r"\d+ +(\w+)\(", line))}
    allowed = members("@system-service") - members("@privileged") - members("@resources")
    assert {"fsync", "rename"} <= made
    assert made - allowed <= {"fchown"}, made - allowed
    families = {found[1] for line in trace.read_text().splitlines() if (found := re.search(r"socket\((AF_\w+)", line))}
    assert families <= {"AF_UNIX"}


def test_there_is_room_for_every_thread():
    executor, database, resolver, child = 32, 1, 4, 2
    assert int(*assigned("TasksMax")) >= executor + database + resolver + child


def test_there_is_memory_for_the_child_beside_the_bridge_and_its_end_is_not_the_services():
    assert assigned("MemoryMax") == ["1G"]
    assert convert.AT_ONCE * convert_child.MEMORY <= 1024**3 // 2
    assert assigned("OOMPolicy") == ["continue"]


async def test_a_wrong_configuration_ends_with_the_code_that_is_not_started_again(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("nonsense: 1\n")
    async with await Running.start(tmp_path / "config.yaml") as bridge:
        assert [str(await bridge.ended())] == assigned("RestartPreventExitStatus")


def members(group: str) -> set[str]:
    """The system calls of a group, those of the groups in it as well."""
    listed = analyze("syscall-filter", group).stdout.split("\n")[1:]
    names = [line.strip() for line in listed if line.strip() and not line.strip().startswith("#")]
    return set[str]().union(*(members(name) if name.startswith("@") else {name} for name in names))


async def test_it_makes_no_system_call_and_no_memory_that_the_sandbox_denies(tmp_path: Path):
    trace = tmp_path / "trace"
    await a_life_under(trace, tmp_path)
    assert {"accept4", "fdatasync", "flock"} <= nothing_denied(trace, {"fchown"})  # SQLite: as root, not looked at


async def test_what_makes_pictures_smaller_makes_no_system_call_and_no_memory_that_the_sandbox_denies(tmp_path: Path):
    trace, picture = tmp_path / "trace", tmp_path / "picture"
    picture.write_bytes(written(scene(96, 64), "HEIF"))
    fit = "Converter().fit(Path(sys.argv[1]).read_bytes(), limit=Limit(bytes=600_000, kinds={'image/jpeg'}))"
    code = f"import asyncio, sys\nfrom pathlib import Path\nfrom smsbridge.media.convert import *\nasyncio.run({fit})"
    program = await asyncio.create_subprocess_exec(
        "strace", "-f", "-q", "-o", str(trace), sys.executable, "-c", code, str(picture)
    )
    async with asyncio.timeout(PATIENCE):
        assert await program.wait() == 0
    assert {"landlock_create_ruleset", "prlimit64"} <= nothing_denied(trace, {"unshare"})  # where it may, it does


def nothing_denied(trace: Path, tolerated: set[str]) -> set[str]:
    """The system calls that were made, all of them allowed, and `tolerated` those whose refusal does no harm."""
    lines = trace.read_text().splitlines()
    made = {found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))}
    allowed = members("@system-service") - members("@privileged") - members("@resources")
    allowed |= {"landlock_create_ruleset", "landlock_restrict_self"}
    assert made - allowed <= tolerated, made - allowed
    denied = r"(mmap|mprotect|pkey_mprotect)\([^)]*(PROT_WRITE[^)]*PROT_EXEC|PROT_EXEC[^)]*PROT_WRITE)"
    made_executable = r"(mprotect|pkey_mprotect)\([^)]*PROT_EXEC"
    assert [line for line in lines if re.search(f"{denied}|{made_executable}", line)] == []
    families = {found[1] for line in lines if (found := re.search(r"socket\((AF_\w+)", line))}
    assert families <= set(assigned("RestrictAddressFamilies")[0].split())
    return made


async def a_life_under(trace: Path, directory: Path) -> None:
    """The program starts, takes a text, reloads and stops, and strace writes down each system call."""
    config, port = directory / "config.yaml", free_port()
    config.write_text(
        bridge_yaml(
            component_jid="sms.example.com",
            component_port=free_port(),
            secret="pretended-secret",
            api_url=f"http://localhost:{free_port()}/",
            public_port=port,
            database=directory / "bridge.db",
            owners={"alice": (DID,)},
            extra="log: {format: json}\n",
        )
    )
    program = await asyncio.create_subprocess_exec(
        *("strace", "-D", "-f", "-q", "-o", str(trace), sys.executable, "-m", "smsbridge", "run", "-c", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    payload = {
        "id": 1,
        "type": "SMS",
        "from": {"phone_number": "5559870002"},
        "to": [{"phone_number": DID}],
        "text": "x",
    }
    async with Running(program) as bridge, aiohttp.ClientSession() as http:
        await bridge.said("service_started")
        url = f"http://{LOOPBACK}:{port}/voipms?key={QUERY_KEY}"
        async with http.post(url, json={"data": {"payload": payload}}, timeout=aiohttp.ClientTimeout(10)) as answer:
            assert answer.status == 200
        bridge.signal(signal.SIGHUP)
        await bridge.said("config_reloaded")
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    ended = re.compile(rf"^{program.pid} +\+\+\+ exited with 0 ", re.MULTILINE)  # short numbers are padded
    await until(lambda: ended.search(end_of(trace)))


def end_of(trace: Path) -> str:
    with trace.open("rb") as file:
        file.seek(max(0, trace.stat().st_size - 4096))
        return file.read().decode(errors="replace")
