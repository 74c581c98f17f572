"""The journal: a closed list that the code uses up, two formats, and exceptions without their text."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import smsbridge
from smsbridge import log
from smsbridge.log import Event, Format, Log

SOURCE = Path(smsbridge.__file__).parent


@pytest.fixture
def configure() -> Iterator[object]:
    """`log.configure`, undone after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # those of pytest are not to be closed
    yield log.configure
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    log._logger_of.cache_clear()


def events_named_in(path: Path) -> set[str]:
    """The members of `Event` that a module names, whatever it calls the class."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "smsbridge.log"
        for alias in node.names
        if alias.name == "Event"
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases
    }


def test_every_event_is_logged_somewhere_and_none_is_made_up():
    named = set[str]().union(*(events_named_in(path) for path in SOURCE.rglob("*.py")))
    listed = set(Event.__members__)
    assert sorted(listed - named) == []
    assert sorted(named - listed) == []


def test_events_are_spelled_as_their_members():
    assert [event.value for event in Event] == [name.lower() for name in Event.__members__]


def test_a_logger_that_has_spoken_follows_a_new_way_of_speaking(configure, capsys: pytest.CaptureFixture[str]):
    speaker = Log("test")
    configure("json")
    speaker.info(Event.SERVICE_STARTED)
    configure("console", logging.WARNING)
    speaker.info(Event.SERVICE_STOPPING)
    speaker.warning(Event.SERVICE_STOPPED)
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["event"] == "service_started"
    assert "service_stopped" in second
    assert not second.startswith("{")


def test_a_line_of_json_is_one_object(configure, capsys: pytest.CaptureFixture[str]):
    configure("json")
    Log("test").warning(Event.CALLBACK_REFUSED, path="/hook\r\n\x1b[31m", status=403, source="203.0.113.0/24")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "\x1b" not in line
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "callback_refused", "level": "warning", "room": "test",
        "path": "/hook\r\n\x1b[31m", "status": 403, "source": "203.0.113.0/24",
    }  # fmt: skip


@pytest.mark.parametrize("style", ["json", "console"])
def test_both_formats_render_every_level(configure, capsys: pytest.CaptureFixture[str], style: Format):
    configure(style)
    logger = Log("test")
    logger.info(Event.SERVICE_STARTED, public_port=8080)
    logger.warning(Event.CONFIG_WARNED, words="é ☂")
    logger.error(Event.STORE_FAILED)
    logger.crash(Event.SEND_CRASHED, ValueError("kingfisher"))
    shown = capsys.readouterr()
    assert shown.out == ""
    for event in ("service_started", "config_warned", "store_failed", "send_crashed"):
        assert event in shown.err
    assert len(shown.err.splitlines()) == 4


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_level_below_the_chosen_one_is_silent(configure, capsys: pytest.CaptureFixture[str], style: Format):
    configure(style, logging.ERROR)
    Log("test").warning(Event.CONFIG_WARNED)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_libraries_speak_from_warning_on_in_the_same_format(
    configure, capsys: pytest.CaptureFixture[str], style: Format
):
    configure(style)
    logging.getLogger("some.library").info("too small")
    logging.getLogger("some.library").warning("it is %s", "late")
    line = capsys.readouterr().err
    assert "too small" not in line
    assert "it is late" in line
    if style == "json":
        assert json.loads(line)["level"] == "warning"


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_crash_tells_the_type_and_the_place_but_never_the_text(
    configure, capsys: pytest.CaptureFixture[str], style: Format
):
    def fail() -> None:
        raise ValueError("kingfisher") from KeyError("magpie")

    configure(style)
    try:
        fail()
    except ValueError as error:
        Log("test").crash(Event.CALLBACK_FAILED, error, status=500)
    line = capsys.readouterr().err
    assert "ValueError" in line
    assert "test_log.py:" in line
    assert "kingfisher" not in line
    assert "magpie" not in line
