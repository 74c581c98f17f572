"""What the operator's machines read on the internal listener."""

import asyncio
import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.backlog import Backlog
from smsbridge.web import health
from smsbridge.web.health import Limits, Readiness, judge_readiness

from .station import KEY, NOW, Start, request

LIMITS = Limits(delivery_seconds=300, part_seconds=600, stream_seconds=120)


def ago(seconds: float | None):
    return None if seconds is None else NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("delivery", "part", "stream_up", "down", "is_ready"),
    [
        (None, None, True, None, True),
        (None, None, False, None, True),
        (None, None, False, 119, True),
        (None, None, False, 121, False),
        (None, None, True, 121, True),
        (299, 599, True, None, True),
        (299, None, False, 60, True),
        (301, None, True, None, False),
        (None, 601, True, None, False),
        (301, 601, False, 301, False),
        (-5, -5, True, None, True),
    ],
)
def test_readiness_is_the_age_of_what_waits(delivery, part, stream_up, down, is_ready):
    backlog = Backlog(states={}, oldest_delivery=ago(delivery), oldest_part=ago(part))
    found = judge_readiness(backlog, stream_up=stream_up, now=NOW, limits=LIMITS, down_since=ago(down))
    assert found.is_ready is is_ready
    assert found.stream_up is stream_up
    assert bool(found.words) is (not is_ready or not stream_up)
    waiting = {"delivery": delivery, "outbox": part}
    assert found.oldest_seconds == {table: max(0, age) for table, age in waiting.items() if age is not None}


def test_a_store_that_does_not_answer_is_not_ready():
    found = judge_readiness(None, stream_up=True, now=NOW, limits=LIMITS)
    assert (found.is_ready, found.stream_up, found.words) == (False, True, (health.NO_STORE,))


def test_the_words_name_the_table_its_age_and_the_limit():
    backlog = Backlog(states={}, oldest_delivery=ago(400), oldest_part=None)
    found = judge_readiness(backlog, stream_up=True, now=NOW, limits=LIMITS)
    assert found.words == ("delivery: the oldest row has waited 400 s, the limit is 300 s",)


@pytest.mark.parametrize("target", ["/healthz", "/health"])
async def test_a_running_process_is_healthy(start: Start, target: str):
    station = await start()
    reply = await station.page(target)
    assert (reply.status, reply.body) == (200, b"ok")
    assert "server" not in reply.headers


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_told_as_json(start: Start, is_ready: bool, status: int):
    async def readiness() -> Readiness:
        return Readiness(is_ready=is_ready, words=("so",), stream_up=True, oldest_seconds={"outbox": 1.23456})

    station = await start(readiness=readiness)
    reply = await station.page("/readyz")
    assert reply.status == status
    assert json.loads(reply.body) == {
        "ready": is_ready, "words": ["so"], "stream_up": True, "oldest_seconds": {"outbox": 1.235}
    }  # fmt: skip


@pytest.mark.parametrize("error", [StoreUnavailable("kingfisher"), ValueError("kingfisher"), None])
async def test_readiness_that_cannot_be_asked_is_not_ready(start: Start, error, monkeypatch):
    monkeypatch.setattr(health, "ASK_SECONDS", 0.1)

    async def readiness() -> Readiness:
        if error is not None:
            raise error
        await asyncio.Event().wait()
        raise AssertionError

    station = await start(readiness=readiness)
    with capture_logs() as logs:
        reply = await station.page("/readyz")
        metrics = await station.page("/metrics")
    assert reply.status == 503
    assert json.loads(reply.body)["words"] == [health.NO_STORE]
    assert metrics.status == 200
    assert "kingfisher" not in str(logs)
    assert bool(logs) is isinstance(error, ValueError)


async def test_metrics_are_asked_for_anew_at_each_scrape(start: Start):
    asked = []

    async def readiness() -> Readiness:
        asked.append(1)
        return Readiness(is_ready=True)

    station = await start(readiness=readiness)
    await station.ask(request())
    reply = await station.page("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'smsbridge_callbacks_total{provider="fake",status="200"} 1.0' in reply.body
    assert asked == [1]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE"])
async def test_health_pages_are_only_read(start: Start, method: str):
    station = await start()
    reply = await station.page("/healthz", method)
    assert (reply.status, reply.body) == (405, b"")


async def test_the_internal_listener_takes_no_callbacks(start: Start):
    station = await start()
    reply = await station.page(f"/hook?key={KEY}", "POST")
    assert (reply.status, reply.body) == (404, b"")
    assert station.take.taken == []
