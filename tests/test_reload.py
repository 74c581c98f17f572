"""A reload takes a new configuration whole or not at all, and says which without saying what stands in it."""

import asyncio
import logging
import random
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smsbridge import log
from smsbridge.clock import Clock
from smsbridge.config import ConfigError, Loaded, load
from smsbridge.core.errors import Unauthentic
from smsbridge.core.message import ProviderName
from smsbridge.providers.contract import Callback, Capabilities, ProviderKind
from smsbridge.providers.voipms import KIND
from smsbridge.rules_book import NotReloadable, Reloader, RulesBook
from tests.fakes.waiting import PATIENCE, until

EXAMPLE = (Path(__file__).parents[1] / "config.example.yaml").read_text()
SAID = [line for line in EXAMPLE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
KINDS = {"voipms": KIND}
VOIPMS = ProviderName("voipms")
SECRETS = {
    "component.secret": "pretended-component-secret",
    "voipms.password": "pretended-password-0001",
    "voipms.key": "pretended-query-key-0001",
}
MUTATED = 300


class NoSession:
    """Nothing is called in these tests."""


def provider_of(config, name=VOIPMS, kinds=KINDS):
    account = config.providers[name]
    return kinds[account.kind].build(name, account.settings, NoSession())


def in_force(book, provider):
    """All that a reload may change, to be compared."""
    rules = book.rules()
    owners = sorted({owner for line in rules.directory for owner in line.owners})
    return (
        [*rules.directory],
        {owner: rules.directory.lines_of(owner) for owner in owners},
        rules.policy,
        rules.address_style,
        (rules.language, rules.languages),
        rules.admins,
        provider._keys,
        (provider._api._url, provider._api._username, provider._api._password.get_secret_value()),
        provider._caller._whole,
        book.config,
    )


class Desk:
    """A configuration with its secrets in a directory, a book of the rules, and a supervisor that listens."""

    def __init__(self, directory, supervisor):
        self.path = directory / "config.yaml"
        self.supervisor = supervisor
        self.write(EXAMPLE)
        for name, secret in SECRETS.items():
            self.keep(name, f"{secret}\n")
        config = load(self.path, KINDS).config
        self.provider = provider_of(config)
        self.book = RulesBook(config, {VOIPMS: self.provider})
        self.changes = 0
        self.journals = []
        self.reloader = Reloader(
            self.book,
            lambda: load(self.path, KINDS),
            Clock(now=lambda: datetime(2026, 10, 5, 12, 3, tzinfo=UTC), monotonic=lambda: 77.5),
            self._on_change,
        )

    def write(self, text):
        self.path.write_text(text)

    def change(self, old, new):
        text = self.path.read_text()
        assert text.count(old) == 1, old
        self.write(text.replace(old, new))

    def keep(self, name, content):
        (self.path.parent / name).write_text(content)
        (self.path.parent / name).chmod(0o600)

    def state(self):
        return in_force(self.book, self.provider)

    def fresh(self):
        """What is in force after a start with what is written now; None if there is no start with it."""
        try:
            config = load(self.path, KINDS).config
        except ConfigError:
            return None
        provider = provider_of(config)
        return in_force(RulesBook(config, {VOIPMS: provider}), provider)

    async def reload(self):
        """One reload; returns what the journal and the supervisor were told."""
        with capture_logs() as journal:
            self.reloader.ask()
            began = await self._heard()
            ended = await self._heard()
        assert began == "RELOADING=1\nMONOTONIC_USEC=77500000"
        assert ended.startswith("READY=1\nSTATUS=")
        return journal, ended.removeprefix("READY=1\nSTATUS=")

    async def _heard(self):
        async with asyncio.timeout(PATIENCE):
            return (await asyncio.get_running_loop().sock_recv(self.supervisor, 4096)).decode()

    async def _on_change(self, changed):
        self.changes += 1


@pytest.fixture
async def desk(tmp_path, monkeypatch):
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.setblocking(False)
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        desk = Desk(tmp_path, supervisor)
        monkeypatch.setattr(log, "configure", lambda *how: desk.journals.append(how))
        reloading = asyncio.create_task(desk.reloader.run())
        yield desk
        reloading.cancel()


# What can change


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('["+15551230001"]', '["+15551230001", "+15551230003"]', "jids"),
        ("mms: true", "mms: false", "lines"),
        ("admins: [john@", "admins: [ann@", "admins"),
        ("address_style: plain", "address_style: with_did", "address_style"),
        ("\nlanguage: en", "\nlanguage: fr", "language"),
        ("ann@example.com: fr", "john@example.com: fr", "languages"),
        ("\ndestinations: [US]", "\ndestinations: [US, GB]", "destinations"),
        ("minute: 30", "minute: 31", "caps"),
        ("daily_limit: 100", "daily_limit: 200", "providers.voipms.daily_limit"),
        ("loop_breaker: true", "loop_breaker: false", "loop_breaker"),
        ("bodies: 7d", "bodies: 0", "retention"),
        ("sms: 0.0075", "sms: 0.0085", "prices"),
        ('# fetch_from: ["https', 'fetch_from: ["https', "media"),
        ("public_url: https://sms.", "public_url: https://mms.", "http"),
        ("    username: john@", "    timeout: 30\n    username: john@", "providers.voipms.timeout"),
    ],
)
async def test_what_can_change_is_in_force_at_once(desk, old, new, key):
    before = desk.state()
    desk.change(old, new)
    journal, status = await desk.reload()
    assert desk.state() == desk.fresh() != before
    assert [(line["event"], line["changed"]) for line in journal] == [("config_reloaded", [key])]
    assert (status, desk.reloader.refusal) == ("reloaded", "")
    await until(lambda: desk.changes == 1)


async def test_the_journal_changes_its_way_of_speaking_with_the_rest(desk):
    desk.change("level: info", "level: warning")
    await desk.reload()
    desk.change("minute: 30", "minute: 31")
    await desk.reload()
    desk.change("format: json", "format: console")
    await desk.reload()
    assert desk.journals == [("json", logging.WARNING), ("console", logging.WARNING)]


async def test_a_change_over_of_keys_has_a_time_when_both_are_good(desk):
    old, new = SECRETS["voipms.key"], "pretended-query-key-0002"

    def takes(key):
        try:
            desk.provider.authenticate(Callback(method="POST", path="/voipms", query=(("key", key),)))
        except Unauthentic:
            return False
        return True

    assert (takes(old), takes(new)) == (True, False)
    desk.keep("voipms.key", f"{old}\n{new}\n")
    journal, _ = await desk.reload()
    assert (takes(old), takes(new)) == (True, True)
    assert journal[0]["changed"] == ["providers.voipms.query_keys"]
    desk.keep("voipms.key", f"{new}\n")
    await desk.reload()
    assert (takes(old), takes(new)) == (False, True)


async def test_a_reload_that_changes_nothing_is_no_fault(desk):
    journal, status = await desk.reload()
    assert (journal[0]["changed"], status) == ([], "reloaded")


async def test_warnings_are_told_again(desk):
    desk.change("admins: [john@example.com]", "admins: []")
    journal, _ = await desk.reload()
    assert [line["event"] for line in journal] == ["config_reloaded", "config_warned"]


# What cannot


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("jid: sms.example.com", "jid: mms.example.com", "xmpp.jid"),
        ("server: 127.0.0.1:5347", "server: 127.0.0.1:5348", "xmpp.server"),
        ("listen: 127.0.0.1:8080", "listen: 127.0.0.1:8090", "http.listen"),
        ("internal: 127.0.0.1:8081", "internal: null", "http.internal"),
        ("smsbridge/smsbridge.db", "smsbridge/other.db", "store.url"),
        ("  voipms:\n    kind", "  voipms2:\n    kind", "providers.voipms"),
    ],
)
async def test_what_takes_a_restart_is_refused_whole_and_named(desk, old, new, key):
    before, text = desk.state(), desk.path.read_text()
    line = text[: text.index(old)].count("\n") + 1
    desk.change(old, new)
    if "voipms2" in new:
        desk.change("    provider: voipms\n", "    provider: voipms2\n")
        line = text[: text.index("providers:")].count("\n") + 1
    desk.change("\ndestinations: [US]", "\ndestinations: [GB]")
    journal, status = await desk.reload()
    assert desk.state() == before
    assert desk.changes == 0
    (told,) = journal
    assert told["event"] == "config_refused"
    assert f"line {line} {key}" in told["at"]
    assert "restart" in told["look_at"]
    assert status.startswith(f"reload refused at 12:03 UTC: line {line} {key} takes a restart")


async def test_a_new_component_secret_takes_a_restart(desk):
    desk.keep("component.secret", "another-component-secret\n")
    journal, _ = await desk.reload()
    assert [place.partition(" ")[2].partition(" ")[2] for place in journal[0]["at"]] == ["xmpp.secret"]


async def test_what_is_wrong_is_refused_whole_and_named_until_it_is_right(desk):
    before = desk.state()
    desk.change("admins: [john@example.com]", "admins: [ann@example.com]")
    desk.change("minute: 30", "minute: 0")
    desk.change("mms: true", "mms: perhaps")
    journal, status = await desk.reload()
    assert desk.state() == before
    lines = desk.path.read_text().splitlines()
    places = [next(n for n, text in enumerate(lines, 1) if part in text) for part in ("mms: perhaps", "minute: 0")]
    assert journal[0]["at"] == [f"line {places[0]} lines.….mms", f"line {places[1]} caps.per_owner.minute"]
    assert status == f"reload refused at 12:03 UTC: line {places[0]} lines.….mms is wrong, and 1 more"
    assert desk.reloader.refusal == status
    desk.change("minute: 0", "minute: 10")
    desk.change("mms: perhaps", "mms: true")
    await desk.reload()
    assert desk.state() == desk.fresh() != before
    assert desk.reloader.refusal == ""


async def test_a_file_that_is_gone_changes_nothing(desk):
    before = desk.state()
    desk.path.unlink()
    _, status = await desk.reload()
    assert desk.state() == before
    assert status == "reload refused at 12:03 UTC: the file is wrong"


# Carriers that take no new settings, or fail at it


class Stiff:
    """An account of another kind."""

    def __init__(self, name, settings):
        self.name, self.kind, self.capabilities = name, "stiff", Capabilities(sms=())
        self.password = settings.password.get_secret_value()


class Clumsy(Stiff):
    """It takes new settings, but for one."""

    def reset(self, settings):
        self.password = settings.password.get_secret_value()
        if self.password == "refuse-me":
            raise RuntimeError(self.password)


@pytest.mark.parametrize("kind", [Stiff, Clumsy])
async def test_no_account_is_changed_when_one_of_them_cannot_be(tmp_path, kind):
    kinds = {
        "voipms": KIND,
        "other": ProviderKind(kind="other", settings=KIND.settings, build=lambda n, s, _: kind(n, s)),
    }
    path = tmp_path / "config.yaml"

    def write(password):
        path.write_text(f"""\
xmpp: {{jid: sms.example.com, secret: pretended-secret}}
providers:
  first: {{kind: voipms, username: john, password: "{password}", query_key: pretended-key-00001}}
  second: {{kind: other, username: john, password: "{password}", query_key: pretended-key-00002}}
jids: {{}}
""")
        return load(path, kinds)

    old = write("good")
    providers = {name: provider_of(old.config, name, kinds) for name in old.config.providers}
    book = RulesBook(old.config, providers)
    with pytest.raises((NotReloadable, RuntimeError)) as refused:
        book.replace(write("refuse-me"))
    first, second = providers.values()
    assert (first._api._password.get_secret_value(), second.password) == ("good", "good")
    assert book.config == old.config
    if kind is Stiff:
        assert refused.value.problems[0].place == ("providers", "second", "password")
        assert refused.value.problems[0].line == 4


async def test_a_fault_of_ours_changes_nothing_and_keeps_its_words(desk):
    before = desk.state()

    def fail():
        raise RuntimeError(SECRETS["voipms.key"])

    desk.reloader._reread = fail
    journal, status = await desk.reload()
    assert desk.state() == before
    assert (journal[0]["event"], journal[0]["error"]) == ("config_refused", "RuntimeError")
    assert status == "reload failed at 12:03 UTC: the journal says where"
    assert SECRETS["voipms.key"] not in str(journal)


async def test_without_a_file_to_read_again_nothing_changes(desk):
    loaded = Loaded(config=desk.book.config, warnings=())
    assert desk.book.replace(loaded) == ()


# Three hundred ways to get it wrong


def lines_with(text, what):
    return [n for n, line in enumerate(text) if re.search(what, line) and not line.lstrip().startswith("#")]


def delete_a_line(lines, dice):
    del lines[dice.choice(lines_with(lines, r"\S"))]


def swap_two_values(lines, dice):
    one, two = dice.sample(lines_with(lines, r": \S"), 2)
    (a, left), (b, right) = (re.split(r"(?<=:) ", lines[n], maxsplit=1) for n in (one, two))
    lines[one], lines[two] = f"{a} {right}", f"{b} {left}"


def another_type(lines, dice):
    n = dice.choice(lines_with(lines, r": \S"))
    other = dice.choice(
        ["[]", "{}", "null", "true", "1", "-1", "1e9", "words", "[a, b]", "{a: b}", '""', "!tag x", "~"]
    )
    lines[n] = re.sub(r": \S.*", f": {other}", lines[n], count=1)


def unquote(lines, dice):
    n = dice.choice(lines_with(lines, '"'))
    lines[n] = lines[n].replace('"', "")


def repeat_a_line(lines, dice):
    n = dice.choice(lines_with(lines, r"\S"))
    lines.insert(dice.choice([n, dice.randrange(len(lines))]), lines[n])


def shift_a_line(lines, dice):
    n = dice.choice(lines_with(lines, r"\S"))
    lines[n] = dice.choice([" ", "  ", "    ", "\t", ""]) + lines[n].lstrip() if dice.random() < 0.7 else f" {lines[n]}"


def unknown_key(lines, dice):
    n = dice.choice(lines_with(lines, r"\S"))
    indent = " " * (len(lines[n]) - len(lines[n].lstrip()))
    lines.insert(n, f"{indent}{dice.choice(['pasword', 'x', 'hunter2', '+15551230007'])}: pretended-canary")


def misspell(lines, dice):
    n = dice.choice(lines_with(lines, r"\w"))
    at = dice.choice([m.start() for m in re.finditer(r"\w", lines[n])])
    lines[n] = lines[n][:at] + dice.choice("x9_ :\"'[{&*!%@\0") + lines[n][at + 1 :]


def another_number(lines, dice):
    n = dice.choice(lines_with(lines, r"\+1555"))
    lines[n] = re.sub(r"\d{4}(?=\")", f"{dice.randrange(10_000):04}", lines[n])


def another_rule(lines, dice):
    """What may change, and holds."""
    old, new = dice.choice(
        [
            ("admins: [john@", "admins: [ann@"),
            ("style: plain", "style: with_did"),
            ("\ndestinations: [US]", "\ndestinations: [US, GB, DE]"),
            ("minute: 30", f"minute: {dice.randrange(1, 99)}"),
            ("mms: true", "mms: false"),
            ("  john@example.com: [", "  bob@example.com: ["),
            ("currency: USD", "currency: CAD"),
        ]
    )
    lines[:] = "\n".join(lines).replace(old, new).split("\n")


def another_foundation(lines, dice):
    """What holds, and takes a restart."""
    old, new = dice.choice(
        [
            ("jid: sms.", f"jid: sms{dice.randrange(99)}."),
            (":5347", ":5348"),
            (":8081", ":8082"),
            ("smsbridge.db", "other.db"),
            ("# ping: example", "ping: ping.example"),
        ]
    )
    lines[:] = "\n".join(lines).replace(old, new).split("\n")


def cut_off(lines, dice):
    del lines[dice.randrange(len(lines)) :]


MUTATIONS = (
    delete_a_line, swap_two_values, another_type, unquote, repeat_a_line, shift_a_line, unknown_key, misspell,
    another_number, another_rule, another_rule, another_foundation, another_foundation, cut_off,
)  # fmt: skip


def mutate_a_secret(desk, dice):
    name = dice.choice([*SECRETS, "voipms.key", "voipms.password"])
    file = desk.path.parent / name
    match dice.randrange(5):
        case 0:
            file.unlink(missing_ok=True)
        case 1:
            desk.keep(name, "")
        case 2:
            desk.keep(name, f"{SECRETS[name]}\npretended-canary-{dice.randrange(99)}\n")
        case 3:
            desk.keep(name, f"pretended-canary-{dice.randrange(99)}\n")
        case 4:
            desk.keep(name, "pretended-canary\0\n" * 3)


async def test_three_hundred_mutated_configurations_are_each_taken_whole_or_not_at_all(desk):
    verdicts = {"taken": 0, "wrong": 0, "restart": 0}
    for seed in range(MUTATED):
        dice = random.Random(seed)  # noqa: S311
        for name, secret in SECRETS.items():
            desk.keep(name, f"{secret}\n")
        lines = list(SAID)
        for mutation in dice.choices(MUTATIONS, k=dice.choice([1, 1, 1, 2, 3])):
            with suppress(IndexError, ValueError):  # an earlier one has left nothing to do it to
                mutation(lines, dice)
        desk.write("\n".join(lines))
        if dice.random() < 0.15:
            mutate_a_secret(desk, dice)
        before, taken_before = desk.state(), desk.changes
        journal, status = await desk.reload()
        (told,) = [line for line in journal if line["event"] in {"config_reloaded", "config_refused"}]
        if told["event"] == "config_reloaded":
            assert desk.state() == desk.fresh(), seed
            assert status == "reloaded", seed
            await until(lambda count=taken_before + 1: desk.changes == count)
            verdicts["taken"] += 1
        else:
            assert "error" not in told, (seed, told)
            assert desk.state() == before, seed
            assert (desk.changes, desk.reloader.refusal) == (taken_before, status), seed
            assert (desk.fresh() is None) == ("smsbridge check" in told["look_at"]), seed
            assert 0 < len(told["at"]) <= told["count"], seed
            verdicts["wrong" if desk.fresh() is None else "restart"] += 1
        said = f"{journal} {status}"
        assert not re.search(r"pretended|hunter2|\d{7}|john|ann@|bob", said), (seed, said)
    assert min(verdicts.values()) >= 20, verdicts
