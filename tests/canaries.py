"""What no log line, metric or traceback of ours may hold, looked for in all that a test let this process say.

A test that leaked fails: secrets of the stage, and numbers that are not masked, in what it printed or logged.
"""

import re
from collections.abc import Iterator

import pytest

WATCHED = tuple(
    f"tests/{room}"
    for room in ("bridge/", "core/", "keeping/", "providers/", "sim/", "store/", "web/", "xmpp/", "test_reload.py",
                 "test_tenure.py", "test_watch.py")
)  # fmt: skip
SECRETS = ("pretended-password", "pretended-query-key-0001", "s3cret")
NUMBER = re.compile(r"(?<![0-9])(?:\+?1)?555[0-9]{7}(?![0-9])")


def leaks(text: str) -> Iterator[str]:
    """The lines that hold a canary."""
    for line in text.splitlines():
        if NUMBER.search(line) or any(secret in line for secret in SECRETS):
            yield line


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
