"""The ledger: journals compared, promises judged, a table printed.

inbound    attempted  texted in by the pretended handsets
           accepted   answered `ok` at least once
           shown      found in the recipient's archive, or seen by their client
           lost       accepted and not shown
           duplicated shown more than once, extra copies
           in doubt   what a death left uncertain: the bound for duplicates, for each text by itself
outbound   attempted  typed by the owner
           accepted   committed by the bridge
           shown      in the carrier's ledger
           lost       accepted, and neither sent, failed nor unknown-and-told
           duplicated in the carrier's ledger more than once, extra copies (a resend)
           unknown    ended as "may not have been sent"
           in doubt   being sent when a death came
           bounced    returned to the writer by the XMPP server or by the bridge, and not accepted
           unanswered typed, and neither accepted nor returned: without acknowledgements on component streams
                      this hole cannot be closed, only shown; the writer sees no tick
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields

from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client
from smsbridge.sim.stage import password_of
from smsbridge.sim.xmpp_server import LOOPBACK, ServerName, XmppServer
from tests.bench.killing.load import ABSENT, READER, Journal
from tests.bench.killing.stores import Store, StoreName

EXAMPLES = 5  # of one kind of broken promise


@dataclass(slots=True, kw_only=True)
class Direction:
    attempted: int = 0
    accepted: int = 0
    shown: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    in_doubt: int = 0


@dataclass(slots=True, kw_only=True)
class Ends:
    """How typed texts ended."""

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    untold: int = 0
    bounced: int = 0
    unanswered: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """`kills` counts what was killed; several may have died at once."""

    server: ServerName
    store: StoreName
    seed: int
    strikes: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    pauses: int = 0
    ended_by_itself: int = 0
    seconds: float = 0.0
    drain_seconds: float = 0.0
    online: Direction = field(default_factory=Direction)
    offline: Direction = field(default_factory=Direction)
    outbound: Direction = field(default_factory=Direction)
    ends: Ends = field(default_factory=Ends)
    broken_promises: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.server} with {self.store}"

    def break_promise(self, what: str, examples: Sequence[str] = ()) -> None:
        more = "" if len(examples) <= EXAMPLES else f" and {len(examples) - EXAMPLES} more"
        self.broken_promises.append(f"{what}{': ' if examples else ''}{', '.join(examples[:EXAMPLES])}{more}")


@dataclass(slots=True, kw_only=True)
class Doubts:
    """What deaths left uncertain: how often, by stanza id (inbound), and which parts (outbound)."""

    deliveries: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Shown:
    """What one owner was shown: copies of each text, and the stanza ids that they had."""

    copies: Counter[str] = field(default_factory=Counter)
    ids: dict[str, set[str]] = field(default_factory=dict)


async def compare(
    report: Report, journal: Journal, carrier: Carrier, server: XmppServer, store: Store, doubts: Doubts
) -> None:
    """Fill in the report."""
    accepted = accepted_texts(carrier)
    if not_ours := accepted - set(journal.texted):
        report.break_promise("the carrier knows texts that nobody wrote", sorted(not_ours))
    for owner, direction in ((READER, report.online), (ABSENT, report.offline)):
        shown = await _shown_to(owner, server, journal.seen if owner == READER else Counter())
        _compare_inbound(report, direction, owner, shown, journal, accepted, doubts)
    await _compare_outbound(report, journal, carrier, store, doubts)


def accepted_texts(carrier: Carrier) -> set[str]:
    """What the carrier was told `ok` for."""
    said = {(answer.kind, answer.id) for answer in carrier.ledger.answered if answer.satisfied}
    return {row.message for row in carrier.ledger.received if (row.kind, row.id) in said}


async def _shown_to(owner: str, server: XmppServer, seen: Counter[str]) -> Shown:
    """From the archive, and from what a client got unasked, then (`seen`) or now: what is in both is not two."""
    shown = Shown()
    jid = f"{owner}@{server.domain}"
    client = await Client.login(jid, password_of(owner), LOOPBACK, server.c2s_port, "judge")
    async with client:
        for stanza in await client.archive(page=250):
            if stanza.body is not None and stanza.error is None:
                shown.copies[stanza.body] += 1
                shown.ids.setdefault(stanza.body, set()).add(stanza.stanza_id)
        await client.ping()
        live = seen.copy()
        for stanza in client.received:
            if stanza.body is not None and stanza.error is None:
                live[stanza.body] += 1
                shown.ids.setdefault(stanza.body, set()).add(stanza.stanza_id)
    shown.copies |= live  # the larger count of each
    return shown


def _compare_inbound(
    report: Report, inbound: Direction, owner: str, shown: Shown, journal: Journal, accepted: set[str], doubts: Doubts
) -> None:
    texts = {text for text, recipient in journal.texted.items() if recipient == owner}
    inbound.attempted, inbound.accepted = len(texts), len(texts & accepted)
    inbound.shown = sum(shown.copies[text] > 0 for text in texts)
    lost = sorted(text for text in texts & accepted if not shown.copies[text])
    inbound.lost = len(lost)
    extra = {text: shown.copies[text] - 1 for text in texts if shown.copies[text] > 1}
    inbound.duplicated = sum(extra.values())
    known = {stanza_id for text in texts for stanza_id in shown.ids.get(text, ())}
    inbound.in_doubt = sum(count for stanza_id, count in doubts.deliveries.items() if stanza_id in known)
    if lost:
        report.break_promise(f"{len(lost)} accepted texts to {owner} were lost", lost)
    if changed := sorted(text for text in texts if len(shown.ids.get(text, ())) > 1):
        report.break_promise(f"{len(changed)} texts to {owner} came again under another id", changed)
    undoubted = sorted(
        text for text, count in extra.items() if count > sum(doubts.deliveries[key] for key in shown.ids.get(text, ()))
    )
    if undoubted:
        report.break_promise(f"{len(undoubted)} texts to {owner} came more often than they were in doubt", undoubted)
    if strange := set(shown.copies) & set(journal.texted) - texts:
        report.break_promise(f"{len(strange)} texts came to {owner} and are not theirs", sorted(strange))


async def _compare_outbound(report: Report, journal: Journal, carrier: Carrier, store: Store, doubts: Doubts) -> None:
    outbound, ends = report.outbound, report.ends
    in_ledger = Counter(row.message for row in carrier.ledger.sent)
    rows = await store.read(
        "SELECT o.text, o.state, m.stanza_id, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id"
        " AND d.kind = 'error' AND d.state = 'handed') FROM outbox o JOIN message m ON m.id = o.message_id"
    )
    outbound.attempted, outbound.accepted, outbound.shown = len(journal.typed), len(rows), len(in_ledger)
    outbound.duplicated = sum(count - 1 for count in in_ledger.values())
    outbound.in_doubt = len(doubts.parts)
    lost, untold = [], []
    for text, state, _, told in rows:
        ends.sent += state == "sent"
        ends.failed += state == "failed"
        ends.unknown += state in {"unknown", "unsure"}
        if state != "sent" and not told:
            untold.append(text)
        if not {"sent": in_ledger[text] == 1, "failed": in_ledger[text] == 0}.get(state, bool(told)):
            lost.append(f"{text} ({state}, {in_ledger[text]} in the carrier's ledger)")
    outbound.lost, outbound.unknown, ends.untold = len(lost), ends.unknown, len(untold)
    accepted = {row[2] for row in rows}
    bounced = journal.returned & set(journal.typed) - accepted
    ends.bounced = len(bounced)
    ends.unanswered = len(set(journal.typed) - accepted - bounced)
    if lost:
        report.break_promise(f"{len(lost)} accepted texts did not end sent, failed or told", lost)
    if outbound.duplicated:
        twice = sorted(text for text, count in in_ledger.items() if count > 1)
        report.break_promise(f"{outbound.duplicated} texts were sent twice", twice)
    if untold:
        report.break_promise(f"{len(untold)} failures were not told", untold)
    if len(rows) != len(accepted):
        report.break_promise("a stanza was accepted twice")
    if unknown_ids := accepted - set(journal.typed):
        report.break_promise("the bridge accepted what nobody typed", sorted(unknown_ids))


def total(reports: Sequence[Report]) -> Mapping[str, Direction]:
    """Each direction over all combinations."""
    return {name: _sum([getattr(report, name) for report in reports]) for name in ("online", "offline", "outbound")}


def show(report: Report) -> str:
    """One table."""
    died = ", ".join(f"{count} {name}" for name, count in report.kills.items()) or "none"
    time = f"{report.seconds:.0f} s of which {report.drain_seconds:.0f} s to drain"
    ends = report.ends
    ended = f"{ends.sent} sent, {ends.failed} failed, {ends.unknown} unknown; {ends.untold} of them untold"
    lines = [
        f"{report.name}: {report.strikes} kills ({died}), {report.pauses} pauses, {time}",
        *_table({"inbound online": report.online, "inbound offline": report.offline, "outbound": report.outbound}),
        f"outbound ended: {ended}; {ends.bounced} bounced, {ends.unanswered} unanswered",
        *(f"BROKEN: {promise}" for promise in report.broken_promises),
    ]
    if report.ended_by_itself:
        lines.append(f"the bridge ended by itself {report.ended_by_itself} times while its store was down")
    return "\n".join(lines)


def show_total(reports: Sequence[Report]) -> str:
    sums = total(reports)
    strikes = sum(report.strikes for report in reports)
    labelled = {f"inbound {name}" if name != "outbound" else name: direction for name, direction in sums.items()}
    broken = sum(len(report.broken_promises) for report in reports)
    lines = [
        f"total: {strikes} kills, {sum(report.seconds for report in reports):.0f} s",
        *_table(labelled),
        "every promise held" if not broken else f"promises were broken: {broken}",
    ]
    return "\n".join(lines)


def as_json(reports: Sequence[Report], seed: int) -> dict[str, object]:
    """What `build/ledger.json` holds."""
    return {
        "seed": seed,
        "kills": sum(report.strikes for report in reports),
        "seconds": round(sum(report.seconds for report in reports), 1),
        "broken promises": [promise for report in reports for promise in report.broken_promises],
        "total": {name: _words(asdict(direction)) for name, direction in total(reports).items()},
        "combinations": [_words(asdict(report)) for report in reports],
    }


def _words(figures: Mapping[str, object]) -> dict[str, object]:
    return {
        name.replace("_", " "): _words(value) if isinstance(value, dict) else value for name, value in figures.items()
    }


def _sum(directions: Sequence[Direction]) -> Direction:
    names = [item.name for item in fields(Direction)]
    return Direction(**{name: sum(getattr(direction, name) for direction in directions) for name in names})


def _table(rows: Mapping[str, Direction]) -> list[str]:
    names = [item.name.replace("_", " ") for item in fields(Direction)]
    head = f"{'':16}" + "".join(f"{name:>12}" for name in names)
    body = (f"{label:16}" + "".join(f"{value:>12}" for value in asdict(row).values()) for label, row in rows.items())
    return [head, *body]
