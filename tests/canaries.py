"""What no log line, metric or traceback of ours may hold, looked for in all that a test let this process say.

A test that leaked fails: secrets of the stage, and numbers that are not masked, in what it printed or logged.
"""

import re
from collections.abc import Iterable, Iterator

import aiohttp
import pytest

WATCHED = tuple(
    f"tests/{room}"
    for room in ("bridge/", "core/", "keeping/", "live/", "providers/", "scenarios/", "sim/", "store/", "web/", "xmpp/",
                 "test_reload.py", "test_tenure.py", "test_watch.py")
)  # fmt: skip
SECRETS = ("pretended-password", "pretended-query-key-0001", "s3cret")
LEAST = 8  # characters of a text that are no accident
NUMBER = re.compile(r"(?<![0-9])(?:\+?1)?555[0-9]{7}(?![0-9])")
RANDOM = re.compile(r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,})\b")  # may hold any digits


def leaks(text: str) -> Iterator[str]:
    """The lines that hold a canary."""
    for line in text.splitlines():
        if NUMBER.search(RANDOM.sub("", line)) or any(secret in line for secret in SECRETS):
            yield line


def demand_silence(said: str, texts: Iterable[str] = ()) -> None:
    """Nothing of it may be in what a process of ours has said: no secret, no number, none of these texts."""
    found = list(leaks(said))
    found += [text for text in texts if len(text) >= LEAST and text in said]
    assert not found, "what the bridge said holds a secret, a number or a text:\n" + "\n".join(found[:5])


async def metrics_of(journal: str) -> str:
    """What a bridge shows on /metrics, that has said in its journal where."""
    [port, *_] = re.findall(r'"internal_port": ([0-9]+)', journal)[-1:] or [""]
    if not port:
        return ""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as page:
        assert page.status == 200
        return await page.text()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.passed or not item.nodeid.startswith(WATCHED):
        return
    said = "\n".join(text for _, text in report.sections)
    if found := list(leaks(said)):
        report.outcome = "failed"
        report.longrepr = "a log line holds a secret or a number:\n" + "\n".join(found[:5])
