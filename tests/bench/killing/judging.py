"""Journals compared, promises judged: what was done, what carrier and recipients have, what the store says."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from smsbridge.sim.carrier import Carrier
from smsbridge.sim.client import Client
from smsbridge.sim.ledger import Row
from smsbridge.sim.stage import password_of
from smsbridge.sim.xmpp_server import LOOPBACK, XmppServer
from tests.bench.killing.carrier import LISTINGS, SENDS
from tests.bench.killing.ledger import Direction, Doubts, Report
from tests.bench.killing.load import ABSENT, READER, Journal
from tests.bench.killing.stores import Rows, Store


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
    not_at_once = _not_taken_at_once(carrier)
    for owner, direction in ((READER, report.online), (ABSENT, report.offline)):
        shown = await _shown_to(owner, server, journal.seen if owner == READER else Counter())
        _require_no_echo(report, direction, shown, journal)
        _compare_inbound(report, direction, owner, shown, journal, accepted, doubts)
        direction.recovered = len(
            {text for text in not_at_once if journal.texted.get(text) == owner and shown.copies[text]}
        )
    await _compare_outbound(report, journal, carrier, store, doubts)


def accepted_texts(carrier: Carrier) -> set[str]:
    """What the carrier was told `ok` for."""
    said = {(answer.kind, answer.id) for answer in carrier.ledger.answered if answer.satisfied}
    return {row.message for row in carrier.ledger.received if (row.kind, row.id) in said}


def _not_taken_at_once(carrier: Carrier) -> set[str]:
    """What the carrier had no `ok` for at its first try."""
    first: dict[tuple[str, int], bool] = {}
    for answer in carrier.ledger.answered:
        first.setdefault((answer.kind, answer.id), answer.satisfied)
    return {row.message for row in carrier.ledger.received if not first.get((row.kind, row.id), False)}


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
    if extra and report.is_guarded:
        report.break_promise(
            f"{inbound.duplicated} texts came to {owner} twice, and its server drops repeats", sorted(extra)
        )
    if undoubted:
        report.break_promise(f"{len(undoubted)} texts to {owner} came more often than they were in doubt", undoubted)
    strange = set(shown.copies) & set(journal.texted) - texts
    inbound.unexpected += len(strange)
    if strange:
        report.break_promise(f"{len(strange)} texts came to {owner} and are not theirs", sorted(strange))


def _require_no_echo(report: Report, inbound: Direction, shown: Shown, journal: Journal) -> None:
    """What was typed here does not come back as if it had been sent elsewhere."""
    echoes = sorted(text for key, text in journal.typed.items() if shown.ids.get(text, set()) - {key})
    inbound.unexpected += len(echoes)
    if echoes:
        report.break_promise(f"{len(echoes)} texts came back to their writer as sent elsewhere", echoes)


async def _compare_outbound(report: Report, journal: Journal, carrier: Carrier, store: Store, doubts: Doubts) -> None:
    outbound, ends = report.outbound, report.ends
    in_ledger = Counter(row.message for row in carrier.ledger.sent)
    rows = await store.read(
        "SELECT o.text, o.state, m.stanza_id, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id"
        " AND d.kind = 'error' AND d.state = 'handed'), (SELECT count(*) FROM history h WHERE h.subject_id = o.id"
        " AND h.state = 'unknown') FROM outbox o JOIN message m ON m.id = o.message_id"
    )
    accepted = {row[2] for row in rows}
    outbound.attempted, outbound.accepted, outbound.shown = len(journal.typed), len(accepted), len(in_ledger)
    outbound.in_doubt = len(doubts.parts)
    lost, untold = [], []
    for text, now, _, told, was_unknown in rows:
        state = "sent" if now == "delivered" else now
        ends.sent += state == "sent"
        ends.failed += state == "failed"
        ends.unsure += state in {"unknown", "unsure"}
        outbound.recovered += state == "sent" and bool(was_unknown)
        if state != "sent" and not told:
            untold.append(text)
        if not {"sent": in_ledger[text] > 0, "failed": not in_ledger[text]}.get(state, bool(told)):
            lost.append(f"{text} ({state}, {in_ledger[text]} in the carrier's ledger)")
    outbound.lost, outbound.unsure, ends.untold = len(lost), ends.unsure, len(untold)
    if lost:
        report.break_promise(f"{len(lost)} accepted texts did not end sent, failed or told", lost)
    if untold:
        report.break_promise(f"{len(untold)} failures were not told", untold)
    _compare_stanzas(report, journal, rows, in_ledger)
    _compare_calls(report, carrier, Counter(row[0] for row in rows))


def _compare_stanzas(report: Report, journal: Journal, rows: Rows, in_ledger: Counter[str]) -> None:
    """What was typed, and what became of it before it was a part."""
    outbound, ends = report.outbound, report.ends
    accepted = {row[2] for row in rows}
    bounced = journal.returned & set(journal.typed) - accepted
    silent = sorted(set(journal.typed) - accepted - bounced)
    ends.bounced, ends.silently_lost = len(bounced), len(silent)
    if silent and report.is_guarded:
        report.break_promise(f"{len(silent)} typed texts vanished", [journal.typed[key] for key in silent])
    # a client may type again what has failed
    living = Counter(stanza_id for _, state, stanza_id, *_ in rows if state != "failed")
    if twice := sorted(stanza_id for stanza_id, count in living.items() if count > 1):
        report.break_promise(f"{len(twice)} stanzas were accepted twice", twice)
    known = {journal.typed[stanza_id] for stanza_id in accepted & set(journal.typed)}
    unexpected = sorted([*(accepted - set(journal.typed)), *(set(in_ledger) - known)])
    outbound.unexpected = len(unexpected)
    if unexpected:
        report.break_promise("the bridge accepted or sent what nobody typed", unexpected)


def _compare_calls(report: Report, carrier: Carrier, accepted: Counter[str]) -> None:
    """Whether what left twice left blindly. `accepted`: how often each text was."""
    ends = report.ends
    calls, looks = defaultdict[str, list[datetime]](list), defaultdict[str, list[datetime]](list)
    peers: dict[str, str] = {}  # as they were written: of a text that was never accepted there is no row
    for call in carrier.ledger.called:
        if call.method in SENDS:
            calls[call.message].append(call.at)
            peers[call.message] = call.peer
        elif call.method in LISTINGS:
            looks[call.peer].append(call.at)
    ends.calls = sum(map(len, calls.values()))
    ends.faulty = sum(met.method in SENDS for met in carrier.ledger.met)
    sent: defaultdict[str, list[Row]] = defaultdict(list)
    for row in carrier.ledger.sent:
        sent[row.message].append(row)
    blind, twice = [], []
    for text, times in calls.items():
        looked = looks[peers[text]] if len(times) > 1 else []  # not the poller's, who asks for nobody
        unseen = sum(not any(a < look < b for look in looked) for a, b in itertools.pairwise(times))
        # what failed may have been typed again
        blind += [text] * max(0, unseen - max(0, accepted[text] - 1))
        for row in sent[text][1:]:
            repeat = max((at for at in times if at <= row.at), default=row.at)
            last_look = max((look for look in looked if look < repeat), default=None)
            if last_look is not None and sent[text][0].at > last_look:
                ends.unavoidable += 1
            else:
                twice.append(text)
    ends.blind_resends = len(blind)
    report.outbound.duplicated = len(twice) + ends.unavoidable
    if blind:
        report.break_promise(f"{len(blind)} texts were sent again without a look into the list", blind)
    if twice:
        report.break_promise(f"{len(twice)} texts were sent twice, which could have been avoided", twice)
