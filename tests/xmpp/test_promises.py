"""What is found out about a server, and how it is told; the server is a script."""

import asyncio
from xml.etree import ElementTree as ET

import pytest
from structlog.testing import capture_logs

from smsbridge.clock import system_clock
from smsbridge.metrics import Metrics
from smsbridge.xmpp import oracles
from smsbridge.xmpp import promises as promises_module
from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.findings import Promise, Verdict, broken, decisive, kept, unseen
from smsbridge.xmpp.oracles import Software, patches_of
from smsbridge.xmpp.promises import PROBES, Promises
from tests.fakes.waiting import until

KEPT, BROKEN, UNSEEN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNSEEN
OURS = "sms.example.com"
NUMBER = "+15559870002@sms.example.com"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
PROBE = "<probe xmlns='urn:x-smsbridge:probe'/>"


class Server:
    """A server that says what it is told to say, at once."""

    def __init__(self, software="Prosody", version="13.0.5", *, has_mam=True, clock=None, owners=None, **options):
        self.software, self.version = software, version
        self.has_mam = has_mam
        self.uptime = "4711"
        self.subscribed = set()
        self.silent = False
        self.lost = lambda _number: False  # which probes somebody else gets
        self.rounds = 0
        self.asked = []
        self.metrics = Metrics()
        self.asking = Asking(jid=OURS, prefix="ask-", write=self.write)
        self.promises = Promises(
            jid=OURS,
            server="example.com",
            owners=lambda: owners if owners is not None else ["ann@example.com"],
            asking=self.asking,
            write=self.write,
            metrics=self.metrics,
            clock=clock or system_clock(),
            probe_seconds=0.02,
            **options,
        )

    def write(self, xml):
        stanza = ET.XML(xml.decode().replace(" ", " xmlns='jabber:component:accept' ", 1))
        if stanza.tag.endswith("}message"):
            self._probe(stanza)
        elif not self.silent:
            name, what = stanza[0].tag.removeprefix("{").split("}")
            self.asked.append((name, stanza.get("to"), stanza.get("from")))
            self.asking.take(self._answer(stanza, name, what))

    def _probe(self, stanza):
        number = self.rounds % PROBES
        self.rounds += 1
        if not self.silent and not self.lost(number):
            asyncio.get_running_loop().call_soon(self.promises.take, stanza)

    def _answer(self, stanza, name, what):
        features = ["urn:xmpp:ping", *(["urn:xmpp:mam:2", "urn:xmpp:mam:2#extended"] if self.has_mam else [])]
        may_see = (stanza.get("to"), stanza.get("from")) in self.subscribed
        match name:
            case "jabber:iq:version" if self.software:
                inner = f"<name>{self.software}</name><version>{self.version}</version>"
            case "jabber:iq:last" if self.uptime:
                return self._iq(stanza, f"<query xmlns='{name}' seconds='{self.uptime}'/>")
            case "http://jabber.org/protocol/disco#info" if may_see:
                inner = "".join(f"<feature var='{feature}'/>" for feature in features)
            case "urn:xmpp:mam:2" if self.software in ("ejabberd", "") and self.has_mam:
                return self._refusal(stanza, "not-allowed")
            case _:
                return self._refusal(stanza, "service-unavailable")
        return self._iq(stanza, f"<{what} xmlns='{name}'>{inner}</{what}>")

    def _refusal(self, stanza, condition):
        return self._iq(stanza, f"<error type='cancel'><{condition} xmlns='{STANZAS}'/></error>", "error")

    def _iq(self, stanza, inner, kind="result"):
        return ET.XML(
            f"<iq xmlns='jabber:component:accept' type='{kind}' id='{stanza.get('id')}' from='{stanza.get('to')}' "
            f"to='{stanza.get('from')}'>{inner}</iq>"
        )

    async def verdicts(self):
        await self.promises.ask()
        return {finding.promise: finding.verdict for finding in self.promises.findings}

    def gauge(self, promise, verdict):
        labels = {"promise": promise, "verdict": verdict}
        return self.metrics.registry.get_sample_value("smsbridge_server_promises", labels)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(oracles, "ANSWER_SECONDS", 0.02)


@pytest.fixture
def logs():
    with capture_logs() as captured:
        yield captured


def told(logs, promise=None):
    return [
        (entry["log_level"], entry["event"], entry.get("verdict"))
        for entry in logs
        if promise is None or entry.get("promise") == promise
    ]


async def test_a_good_prosody_keeps_all_promises_and_is_named_once(logs):
    server = Server()
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com/phone", NUMBER)
    for _ in range(2):
        verdicts = await server.verdicts()
    assert set(verdicts.values()) == {KEPT}
    assert set(verdicts) == set(Promise) - {Promise.LISTENER}
    assert logs == [{"event": "server_checked", "log_level": "info", "room": "xmpp"} | SOFTWARE]
    assert server.promises.software == Software("Prosody", "13.0.5")
    assert (server.gauge("archive", "kept"), server.gauge("archive", "broken")) == (1, 0)


SOFTWARE = {"software": "Prosody", "version": "13.0.5"}


async def test_a_prosody_without_an_archive_is_doubted_with_what_to_do(logs):
    server = Server(has_mam=False)
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com", NUMBER)
    for _ in range(2):
        assert (await server.verdicts())[Promise.ARCHIVE] is BROKEN
    assert told(logs, "archive") == [("warning", "server_promise_doubted", "broken")]
    assert "enable mod_mam" in logs[-1]["look_at"]


async def test_a_prosody_shows_its_archive_to_contacts_only(logs):
    server = Server()
    assert (await server.verdicts())[Promise.ARCHIVE] is UNSEEN
    server.promises.see("ann@example.com", NUMBER)
    assert (await server.verdicts())[Promise.ARCHIVE] is UNSEEN
    server.subscribed.add(("ann@example.com", NUMBER))
    assert (await server.verdicts())[Promise.ARCHIVE] is KEPT
    assert told(logs, "archive") == [
        ("info", "server_promise_doubted", "unseen"),
        ("info", "server_promise_kept", None),
    ]


async def test_one_contact_of_many_is_enough():
    server = Server()
    for n in range(5):
        server.promises.see(f"owner{n}@example.com", NUMBER)
    server.subscribed.add(("owner3@example.com", NUMBER))
    assert (await server.verdicts())[Promise.ARCHIVE] is KEPT


async def test_contacts_of_other_hosts_and_too_many_are_not_asked():
    server = Server()
    for n in range(50):
        server.promises.see(f"owner{n}@example.com", NUMBER)
        server.promises.see(f"owner{n}@other.example.com", NUMBER)
    await server.promises.ask()
    described = [to for name, to, _ in server.asked if name.endswith("disco#info")]
    assert described == [f"owner{n}@example.com" for n in range(42, 50)]


async def test_what_was_seen_counts_as_long_as_nothing_else_is_seen(logs):
    server = Server()
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com", NUMBER)
    await server.promises.ask()
    logs.clear()
    server.silent = True
    verdicts = await server.verdicts()
    assert verdicts[Promise.ARCHIVE] is KEPT
    assert set(verdicts.values()) == {KEPT}
    assert logs == []


async def test_another_server_is_looked_at_anew(logs):
    server = Server()
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com", NUMBER)
    await server.promises.ask()
    server.software, server.version, server.has_mam = "ejabberd", "26.07", False
    verdicts = await server.verdicts()
    assert verdicts[Promise.ARCHIVE] is BROKEN
    assert verdicts[Promise.STORAGE] is UNSEEN
    assert server.gauge("storage", "kept") == 0
    assert [entry["software"] for entry in logs if entry["event"] == "server_checked"] == ["Prosody", "ejabberd"]


@pytest.mark.parametrize(("has_mam", "verdict"), [(True, KEPT), (False, BROKEN)])
async def test_ejabberd_shows_its_archive_by_how_it_refuses(has_mam, verdict):
    assert (await Server("ejabberd", "26.07", has_mam=has_mam).verdicts())[Promise.ARCHIVE] is verdict


@pytest.mark.parametrize(("has_mam", "verdict"), [(True, KEPT), (False, UNSEEN)])
async def test_a_server_that_hides_its_name_is_believed_a_telling_refusal_only(has_mam, verdict):
    assert (await Server("", has_mam=has_mam).verdicts())[Promise.ARCHIVE] is verdict


async def test_a_server_that_refuses_everything_alike_tells_nothing():
    server = Server("", has_mam=True)
    server._refusal = lambda stanza, _condition: server._iq(
        stanza, f"<error type='auth'><forbidden xmlns='{STANZAS}'/></error>", "error"
    )
    assert (await server.verdicts())[Promise.ARCHIVE] is UNSEEN


async def test_an_unknown_server_may_describe_its_archive_and_is_not_blamed_if_it_does_not():
    server = Server("Openfire", "4.9.0")
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com", NUMBER)
    assert (await server.verdicts())[Promise.ARCHIVE] is KEPT
    server = Server("Openfire", "4.9.0", has_mam=False)
    server.subscribed.add(("ann@example.com", NUMBER))
    server.promises.see("ann@example.com", NUMBER)
    assert (await server.verdicts())[Promise.ARCHIVE] is UNSEEN


async def test_a_host_without_owners_is_told():
    server = Server("ejabberd", "26.07", owners=["ann@other.example.com"])
    await server.promises.ask()
    (archive,) = [finding for finding in server.promises.findings if finding.promise is Promise.ARCHIVE]
    assert archive.verdict is UNSEEN
    assert "example.com" in archive.look_at


async def test_ejabberd_s_storage_cannot_be_seen_and_that_is_a_warning(logs):
    assert (await Server("ejabberd", "26.07").verdicts())[Promise.STORAGE] is UNSEEN
    assert told(logs, "storage") == [("warning", "server_promise_doubted", "unseen")]


async def test_the_file_of_ejabberd_has_the_last_word_where_it_is_worse(tmp_path):
    path = tmp_path / "ejabberd.yml"
    path.write_text("hosts: [example.com]\nmodules: {mod_mam: {}, mod_offline: {}}\n")
    verdicts = await Server("ejabberd", "26.07", server_config=path).verdicts()
    assert verdicts[Promise.STORAGE] is verdicts[Promise.ARCHIVE] is BROKEN
    path.write_text("default_db: sql\nmodules: {mod_mam: {default: always}, mod_offline: {}}\n")
    verdicts = await Server("ejabberd", "26.07", server_config=path).verdicts()
    assert verdicts[Promise.STORAGE] is verdicts[Promise.ARCHIVE] is KEPT
    assert verdicts[Promise.LISTENER] is UNSEEN
    verdicts = await Server("ejabberd", "26.07", has_mam=False, server_config=path).verdicts()
    assert verdicts[Promise.ARCHIVE] is BROKEN


async def test_a_file_that_is_not_there_is_told_and_nothing_more(tmp_path, logs):
    verdicts = await Server("ejabberd", "26.07", server_config=tmp_path / "gone.yml").verdicts()
    assert verdicts[Promise.STORAGE] is UNSEEN
    assert verdicts[Promise.ARCHIVE] is KEPT


async def test_a_server_without_an_uptime_is_doubted(logs):
    server = Server()
    server.uptime = ""
    assert (await server.verdicts())[Promise.UPTIME] is BROKEN
    assert "mod_uptime" in next(entry for entry in logs if entry.get("promise") == "uptime")["look_at"]


async def test_stanzas_that_somebody_else_gets_are_an_error_and_end_the_questions(logs):
    server = Server()
    server.lost = lambda number: number in (2, 5)
    for _ in range(2):
        assert await server.verdicts() == {Promise.CONNECTION: BROKEN}
    assert told(logs) == [("error", "server_promise_doubted", "broken")]
    assert server.asked == []
    server.lost = lambda _number: False
    assert (await server.verdicts())[Promise.CONNECTION] is KEPT
    assert told(logs, "connection")[-1] == ("info", "server_promise_kept", None)


async def test_a_connection_that_takes_our_answers_away_is_told_and_not_what_it_hides(logs):
    server = Server()
    take = server.asking.take

    def lose(answer):
        server.lost = lambda number: number == 3
        return answer is None

    server.asking.take = lose
    assert await server.verdicts() == {Promise.CONNECTION: BROKEN}
    assert told(logs) == [("error", "server_promise_doubted", "broken")]
    server.asking.take, server.lost = take, lambda _number: False
    assert (await server.verdicts())[Promise.UPTIME] is KEPT


@pytest.mark.parametrize("first_lost", [0, 4, PROBES - 1])
async def test_a_server_that_stalls_is_not_taken_for_a_second_connection(first_lost):
    server = Server()
    server.lost = lambda number: number >= first_lost
    assert (await server.verdicts())[Promise.CONNECTION] is UNSEEN


async def test_probes_of_the_round_before_do_not_count():
    server = Server()
    written = []
    server._probe = written.append
    await server.promises.ask()
    early = written[:]

    def late(_stanza):
        for old in early:
            server.promises.take(old)

    server._probe = late
    assert (await server.verdicts())[Promise.CONNECTION] is UNSEEN


async def test_probes_that_are_refused_do_not_count():
    server = Server()

    def refuse(stanza):
        stanza.set("type", "error")
        assert server.promises.take(stanza)

    server._probe = refuse
    assert (await server.verdicts())[Promise.CONNECTION] is UNSEEN


def stanza(xml):
    return ET.XML(xml.replace(" ", " xmlns='jabber:component:accept' ", 1))


async def test_a_stranger_s_probe_tells_of_the_stranger_at_once_and_is_remembered(logs):
    now = 1000.0
    clock = system_clock()
    server = Server(clock=type(clock)(now=clock.now, monotonic=lambda: now))
    await server.promises.ask()
    logs.clear()
    foreign = stanza(f"<message from='{OURS}' to='{OURS}' id='probe-x-1' type='headline'>{PROBE}</message>")
    assert server.promises.take(foreign)
    assert told(logs) == [("error", "server_promise_doubted", "broken")]
    assert (await server.verdicts())[Promise.CONNECTION] is BROKEN
    now += 2 * promises_module.REPEAT_SECONDS + 1
    assert (await server.verdicts())[Promise.CONNECTION] is KEPT


@pytest.mark.parametrize(
    "xml",
    [
        f"<message from='ann@example.com/x' to='{OURS}' id='probe-x-1'>{PROBE}</message>",
        f"<message from='{NUMBER}' to='{OURS}' id='probe-x-1'>{PROBE}</message>",
        f"<message from='{OURS}' to='{OURS}' id='probe-x-1'><body>hi</body></message>",
        f"<message to='{OURS}' id='probe-x-1'>{PROBE}</message>",
    ],
)
async def test_what_is_no_probe_is_left_alone(xml):
    server = Server()
    assert not server.promises.take(stanza(xml))
    assert server.promises.findings == ()


async def test_nobody_learns_a_probe_from_the_one_before():
    server = Server()
    written = []
    server._probe = written.append
    await server.promises.ask()
    ids = [probe.get("id") for probe in written[:PROBES]]
    assert len({probe_id.split("-")[2] for probe_id in ids}) == PROBES
    assert all(len(probe_id) > 48 for probe_id in ids)


async def running(server):
    return asyncio.create_task(server.promises.run())


async def test_the_questions_come_again_when_an_owner_with_a_contact_appears():
    server = Server()
    server.subscribed.add(("ann@example.com", NUMBER))
    task = await running(server)
    await until(lambda: server.gauge("archive", "unseen") == 1)
    server.promises.see("ann@example.com/phone", NUMBER)
    await until(lambda: server.gauge("archive", "kept") == 1)
    task.cancel()


async def test_a_contact_that_appears_during_the_first_questions_is_not_forgotten():
    server = Server()
    server.subscribed.add(("ann@example.com", NUMBER))
    ask = server.promises.ask

    async def ask_and_then_see():
        server.promises.ask = ask
        server.promises.see("ann@example.com", NUMBER)  # too late for these
        server.promises._contacts, seen = {}, server.promises._contacts
        await ask()
        server.promises._contacts = seen

    server.promises.ask = ask_and_then_see
    task = await running(server)
    await until(lambda: server.gauge("archive", "kept") == 1)
    task.cancel()


async def test_a_crowd_of_owners_does_not_make_a_crowd_of_questions():
    server = Server()
    await server.promises.ask()
    for n in range(promises_module.MAX_CONTACTS):
        server.promises.see(f"owner{n}@example.com", NUMBER)
    assert server.promises._stirred.is_set()
    server.promises._stirred.clear()
    server.promises.see("ann@example.com", NUMBER)
    server.promises.see("ann@example.com", NUMBER)
    assert not server.promises._stirred.is_set()


async def test_what_is_known_of_a_file_goes_with_its_server(tmp_path):
    path = tmp_path / "ejabberd.yml"
    path.write_text("listen: [{module: ejabberd_service, hosts: {sms.example.com: {}}}]\n")
    server = Server("ejabberd", "26.07", server_config=path)
    assert (await server.verdicts())[Promise.LISTENER] is KEPT
    server.software = "Prosody"
    assert Promise.LISTENER not in await server.verdicts()
    assert server.gauge("listener", "kept") == 0


async def test_the_questions_come_again_by_themselves_and_sooner_while_we_are_not_alone(monkeypatch):
    monkeypatch.setattr(promises_module, "DOUBT_SECONDS", 0.01)
    server = Server()
    server.lost = lambda number: number == 0
    task = await running(server)
    await until(lambda: server.rounds > 3 * PROBES)
    server.lost = lambda _number: False
    await until(lambda: server.gauge("connection", "kept") == 1)
    task.cancel()


async def test_a_bug_in_the_questions_does_not_end_the_stream(logs, monkeypatch):
    monkeypatch.setattr(promises_module, "DOUBT_SECONDS", 0.01)
    server = Server()
    server.promises._owners = None
    task = await running(server)
    await until(lambda: ("error", "server_check_failed", None) in told(logs))
    server.promises._owners = list
    monkeypatch.setattr(promises_module, "REPEAT_SECONDS", 0.01)
    server.promises._stirred.set()
    await until(lambda: server.gauge("archive", "unseen") == 1)
    task.cancel()


@pytest.mark.parametrize(
    ("name", "version", "verdict"),
    [
        ("Prosody", "0.11.14", BROKEN),
        ("Prosody", "0.12.3", BROKEN),
        ("Prosody", "0.12.5", BROKEN),
        ("Prosody", "0.12.6", KEPT),
        ("Prosody", "0.12.10", KEPT),
        ("Prosody", "13.0.0", BROKEN),
        ("Prosody", "13.0.4", BROKEN),
        ("Prosody", "13.0.5", KEPT),
        ("Prosody", "13.1.0", KEPT),
        ("Prosody", "trunk nightly build 1789", UNSEEN),
        ("Prosody", "", UNSEEN),
        ("ejabberd", "23.01-1", BROKEN),
        ("ejabberd", "26.04.10", BROKEN),
        ("ejabberd", "26.06", BROKEN),
        ("ejabberd", "26.07", KEPT),
        ("ejabberd", "26.07.1", KEPT),
        ("ejabberd", "26.10", KEPT),
        ("ejabberd", "rebar-test", UNSEEN),
        ("ejabberd", "9" * 5000 + ".1", UNSEEN),
        ("Openfire", "4.9.0", UNSEEN),
        ("", "", UNSEEN),
    ],
)
def test_versions_with_known_holes_are_named(name, version, verdict):
    finding = patches_of(Software(name, version))
    assert finding.verdict is verdict
    assert ("unless your distribution has fixed it" in finding.look_at) == (verdict is BROKEN)


async def test_what_a_server_calls_itself_is_cut_and_cleaned(logs):
    server = Server("Pro&#10;sody" * 50, "1.0")
    await server.promises.ask()
    assert server.promises.software.name == ("Prosody" * 50)[:64]


def test_of_two_findings_the_broken_one_counts_then_the_kept_one():
    yes, no, dark = kept(Promise.ARCHIVE), broken(Promise.ARCHIVE, "a"), unseen(Promise.ARCHIVE, "b")
    assert decisive(yes, no) is decisive(no, dark) is no
    assert decisive(dark, yes) is yes
