"""The command line: what it says, and with which exit code. No XMPP server is there, and no carrier."""

import asyncio
import importlib.util
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import aiohttp
import pytest
import structlog

from smsbridge import __version__, cli, log
from smsbridge.cli import main
from smsbridge.config import load
from smsbridge.core.errors import StoreUnavailable
from smsbridge.providers.contract import discover_kinds
from smsbridge.sim.ports import free_port
from smsbridge.sim.stage import API_PASSWORD, DID, LOOPBACK, QUERY_KEY, SECOND_DID, bridge_yaml
from tests.canaries import metrics_of
from tests.fakes.waiting import PATIENCE
from tests.scenarios.running import Running

ALICE = {"alice": (DID,)}


@pytest.fixture(autouse=True)
def journal():
    """What a test configured ends with it: its standard error is gone."""
    yield
    structlog.reset_defaults()
    log._logger_of.cache_clear()


@pytest.fixture
def write(tmp_path):
    """Write the configuration anew; `edit` is the last word on it."""

    def write(owners=None, edit=lambda text: text, port=0, name="config.yaml"):
        path = tmp_path / name
        text = bridge_yaml(
            component_jid="sms.example.com",
            component_port=free_port(),
            secret="s3cret",
            api_url=f"http://{LOOPBACK}:{free_port()}/",
            public_port=port,
            database=tmp_path / "bridge.db",
            owners=owners or ALICE,
            extra="log: {format: json}\n",
        )
        path.write_text(edit(text))
        return path

    return write


def broken(text):
    """Four mistakes on four lines."""
    return (
        text.replace("  jid: sms", "  jdi: sms")
        .replace(f'"{DID}"', DID)
        .replace("kind: voipms", "kind: voipsm")
        .replace("format: json", "format: yaml")
    )


def test_check_finds_nothing_wrong_with_a_good_file_and_starts_nothing(write, tmp_path, capsys):
    path = write()
    assert main(["check", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: works, but look at the warnings\n"
    assert "there are no admins" in err
    assert "a secret in plain" in err
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_what_may_send_texts_twice_is_warned_of(write, capsys):
    def hurry(text):
        return text.replace("    kind: voipms\n", "    kind: voipms\n    on_unknown: resend\n    settle_seconds: 5\n")

    main(["check", str(write(edit=hurry))])
    told = capsys.readouterr().err
    assert "texts will go twice" in told
    assert "then it goes twice" in told


@pytest.mark.parametrize("missing", ["PIL", "pillow_heif"])
def test_that_pictures_cannot_be_converted_is_warned_of(write, capsys, monkeypatch, missing):
    main(["check", str(write())])
    assert "smsbridge[media]" not in capsys.readouterr().err
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    main(["check", str(write())])
    assert "pip install 'smsbridge[media]'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["check"], ["run", "-c"]], ids=["check", "run"])
def test_every_mistake_is_told_at_once_with_its_line(write, tmp_path, capsys, command):
    path = write(edit=broken)
    lines = path.read_text().splitlines()
    assert main([*command, str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for mistake, words in (
        ("jdi: sms", 'did you mean "jid"'),
        (f"[{DID}]", f'write "{DID}"'),
        ("kind: voipsm", 'did you mean "voipms"'),
        ("format: yaml", "json"),
    ):
        line = next(number for number, text in enumerate(lines, start=1) if mistake in text)
        assert [told for told in err.splitlines() if told.startswith(f"{path}:{line}: ") and words in told], err
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]
    for secret in (API_PASSWORD, QUERY_KEY, "s3cret"):
        assert secret not in err


@pytest.mark.parametrize("command", [["check"], ["run", "-c"]], ids=["check", "run"])
def test_a_file_that_is_not_there_is_told_in_a_sentence(tmp_path, capsys, command):
    path = tmp_path / "nowhere.yaml"
    assert main([*command, str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}: ")


def test_a_command_that_nobody_knows_is_wrong(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["rnu"])
    assert ended.value.code == 2
    assert "run" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"smsbridge {__version__}\n"


def test_a_text_into_a_demo_that_does_not_run_is_told_in_a_sentence(capsys):
    port = free_port()
    assert main(["demo", "--carrier-port", str(port), "text", "hello"]) == 1
    assert capsys.readouterr().err == (
        f"smsbridge demo: no demo is running here (port {port}); start one with: smsbridge demo\n"
    )


def test_a_demo_whose_port_is_taken_says_how_to_have_others(capsys):
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["demo", "--c2s-port", str(port)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"smsbridge demo: port {port} on {LOOPBACK} is already in use")
    assert "Is another demo running?" in told
    assert "  make demo ARGS=" in told


@pytest.mark.parametrize("option", ["--c2s-port", "--http-port", "--carrier-port"])
@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_demo_whose_port_is_none_is_told_in_a_sentence(capsys, option, port):
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"{option}={port}", "--once"])
    assert ended.value.code == 2
    assert f"argument {option}: a port is a number up to 65535" in capsys.readouterr().err


def test_it_runs_as_a_module_too():
    told = subprocess.run(
        [sys.executable, "-m", "smsbridge", "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert told.stdout == f"smsbridge {__version__}\n"


def test_a_fault_without_words_of_its_own_is_told_by_its_name(monkeypatch, capfd):
    def never_answers(_):
        raise TimeoutError

    monkeypatch.setattr(cli, "_check", never_answers)
    assert main(["check", "config.yaml"]) == 1
    assert capfd.readouterr().err == "smsbridge: TimeoutError\n"


@pytest.mark.parametrize(("where", "told"), [("/dev/full", "smsbridge: No space left on device\n"), (None, "")])
def test_what_nobody_can_be_told_ends_without_a_traceback(where, told):
    """As in `smsbridge schema | head`: whoever reads is gone, or the disk is full."""
    if where:
        out = os.open(where, os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    with os.fdopen(out, "w") as shut:
        ended = subprocess.run(
            [sys.executable, "-m", "smsbridge", "schema"],
            stdout=shut, stderr=subprocess.PIPE, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, told)


def test_who_interrupts_a_command_is_shown_no_traceback(write, capsys, monkeypatch):
    async def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("smsbridge.keeping.backup.back_up", interrupted)
    assert main(["backup", "-c", str(write()), "house"]) == 130
    assert capsys.readouterr() == ("", "")


async def test_it_runs_without_a_server_and_a_carrier_and_stops_when_it_is_told_to(write):
    async with await Running.start(write()) as bridge:
        await bridge.said("service_started")
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == 0
    assert '"service_stopped"' in bridge.journal[-1]


async def test_what_has_not_happened_yet_is_counted_as_zero(write):
    async with await Running.start(write()) as bridge:
        await bridge.said("service_started")
        counted = await metrics_of("\n".join(bridge.journal))
    for name in ("inbound_unrouted_total{", 'deliveries_total{kind="text",state="bounced"', "part_outcomes_total{"):
        assert f"smsbridge_{name}" in counted


async def test_a_second_bridge_on_the_same_database_is_refused(write, tmp_path):
    async with await Running.start(write()) as first:
        await first.said("service_started")
        async with await Running.start(write(name="second.yaml")) as second:
            assert await second.ended() == 1
            assert second.journal[-1] == f"smsbridge: another smsbridge has {tmp_path / 'bridge.db'} open"
        assert first.is_alive


async def test_a_port_that_is_taken_is_told_in_a_sentence(write):
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        async with await Running.start(write(port=port)) as bridge:
            assert await bridge.ended() == 1
    assert bridge.journal[-1].startswith(f"smsbridge: cannot listen on {LOOPBACK} port {port}: ")
    assert "Traceback" not in "".join(bridge.journal)


async def test_a_database_that_is_none_is_told_in_a_sentence_and_left_as_it_is(write, tmp_path):
    (tmp_path / "bridge.db").write_text("this is no database at all, but somebody's letter\n" * 100)
    before = (tmp_path / "bridge.db").read_bytes()
    async with await Running.start(write()) as bridge:
        assert await bridge.ended() == 1
    assert bridge.journal[-1].startswith("smsbridge: cannot open the database: ")
    assert (tmp_path / "bridge.db").read_bytes() == before


async def test_a_hangup_reloads_who_owns_what_all_or_nothing(write, tmp_path):
    path = write()
    with_bob = path.read_text().replace("\nlog:", f'\n  bob@example.com: ["{SECOND_DID}"]\nlog:')
    async with await Running.start(path) as bridge, aiohttp.ClientSession() as http:
        port = (await bridge.said("service_started"))["public_port"]

        async def owners_of_a_text(number):
            """Who gets a text to the second number now."""
            await text_to_second(http, port, number)
            with closing(sqlite3.connect(tmp_path / "bridge.db")) as reader:
                query = "SELECT to_jid FROM delivery d JOIN inbox i ON i.id = d.inbox_id WHERE i.provider_id = ?"
                return [row[0] for row in reader.execute(query, (str(number),))]

        assert await owners_of_a_text(1) == []
        wrong, needs_restart = f"{with_bob}nonsense: 1\n", with_bob.replace("jid: sms.", "jid: mms.")
        for number, text in enumerate((wrong, needs_restart), start=2):
            path.write_text(text)
            bridge.signal(signal.SIGHUP)
            await bridge.said("config_refused")
            assert await owners_of_a_text(number) == []
        path.write_text(with_bob)
        bridge.signal(signal.SIGHUP)
        await bridge.said("config_reloaded")
        assert await owners_of_a_text(9) == ["bob@example.com"]


async def test_a_hangup_while_another_node_has_the_lease_is_not_forgotten(write, monkeypatch):
    reloads = []

    async def stand_by(config, kinds, stop, on_start, reread):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), PATIENCE)
        on_start(SimpleNamespace(reload=lambda: reloads.append(reread().config)))

    monkeypatch.setattr(cli, "serve", stand_by)
    path = write()
    loaded = load(path, discover_kinds())
    await cli._serve(path, loaded)
    assert reloads == [loaded.config]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_what_ended_it_is_told_however_deep_it_happened(write, monkeypatch, capfd, depth):
    async def fail(*_):
        raise nested(StoreUnavailable("the kingfisher has the disk"), ValueError("a text"), depth=depth)

    monkeypatch.setattr(cli, "serve", fail)
    assert main(["run", "-c", str(write())]) == 1
    told = capfd.readouterr().err
    assert "smsbridge: the kingfisher has the disk\n" in told
    assert '"error": "ValueError", "where": "test_cli.py:' in told
    assert "a text" not in told
    assert "sub-exception" not in told


def nested(*errors, depth):
    group = ExceptionGroup("tasks", [raised(error) for error in errors])
    for _ in range(depth):
        group = ExceptionGroup("tasks of tasks", [group])
    return group


def raised(error):
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


async def text_to_second(http, port, number):
    payload = {
        "id": number,
        "type": "SMS",
        "from": {"phone_number": "5559870002"},
        "to": [{"phone_number": SECOND_DID}],
        "text": f"text {number}",
    }
    url = f"http://{LOOPBACK}:{port}/voipms?key={QUERY_KEY}"
    async with http.post(url, json={"data": {"payload": payload}}, timeout=aiohttp.ClientTimeout(total=10)) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")
