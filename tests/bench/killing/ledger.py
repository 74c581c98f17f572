"""The ledger: its figures, and how they are printed.

inbound    attempted  texted in by the pretended handsets
           accepted   answered `ok` at least once
           shown      found in the recipient's archive, or seen by their client
           lost       accepted and not shown
           duplicated shown more than once, extra copies
           unexpected shown to somebody for whom it was not
           unsure     nothing inbound ever is
           recovered  shown, although the carrier got no `ok` for its first try
           in doubt   what a death left uncertain: the bound for duplicates, for each text by itself
outbound   attempted  typed by the owner
           accepted   committed by the bridge
           shown      in the carrier's ledger
           lost       accepted, and neither sent, failed nor unsure-and-told
           duplicated in the carrier's ledger more than once, extra copies
           unexpected in the carrier's ledger, and not typed or not accepted
           unsure     ended as "may not have been sent", and the writer was told
           recovered  sent, although it was unknown for a while what had become of it
           in doubt   being sent when a death came

A **blind resend** is a second call for a text without a look into the carrier's list in between. A duplicate that is no
blind resend is **unavoidable** only if the carrier accepted the first call after the last look.
A typed text that was neither accepted nor returned to its writer, although the XMPP server had said that it has it, is
a **silent loss**: a component stream has no acknowledgements, so only a server with mod_smsbridge can do without.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

from tests.bench.killing.stores import StoreName

EXAMPLES = 5  # of one kind of broken promise

HouseName = Literal["prosody", "ejabberd", "mod_smsbridge"]
_SERVERS: Mapping[HouseName, str] = {"prosody": "prosody", "ejabberd": "ejabberd", "mod_smsbridge": "prosody"}


@dataclass(slots=True, kw_only=True)
class Direction:
    attempted: int = 0
    accepted: int = 0
    shown: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    unsure: int = 0
    recovered: int = 0
    in_doubt: int = 0


@dataclass(slots=True, kw_only=True)
class Ends:
    """How typed texts ended, and what the carrier saw of them. `faulty` calls were spoilt, of `calls` to send."""

    sent: int = 0
    failed: int = 0
    unsure: int = 0
    untold: int = 0
    bounced: int = 0
    silently_lost: int = 0
    calls: int = 0
    faulty: int = 0
    blind_resends: int = 0
    unavoidable: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """`kills` counts what was killed; several may have died at once."""

    server: HouseName
    store: StoreName
    seed: int
    is_exhaustive: bool = False
    strikes: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    pauses: int = 0
    outlasted: int = 0
    ended_by_itself: int = 0
    ended_at_failpoints: int = 0
    missed_failpoints: list[str] = field(default_factory=list)
    seconds: float = 0.0
    drain_seconds: float = 0.0
    online: Direction = field(default_factory=Direction)
    offline: Direction = field(default_factory=Direction)
    outbound: Direction = field(default_factory=Direction)
    ends: Ends = field(default_factory=Ends)
    broken_promises: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.server} with {self.store}{', every failpoint' if self.is_exhaustive else ''}"

    @property
    def is_guarded(self) -> bool:
        """Whether the server holds what the bridge has not taken, and drops what it has seen."""
        return self.server == "mod_smsbridge"

    def break_promise(self, what: str, examples: Sequence[str] = ()) -> None:
        more = "" if len(examples) <= EXAMPLES else f" and {len(examples) - EXAMPLES} more"
        self.broken_promises.append(f"{what}{': ' if examples else ''}{', '.join(examples[:EXAMPLES])}{more}")


@dataclass(slots=True, kw_only=True)
class Doubts:
    """What deaths left uncertain: how often, by stanza id (inbound), and which parts (outbound)."""

    deliveries: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)


def total(reports: Sequence[Report]) -> Mapping[str, Direction]:
    """Each direction over all combinations."""
    return {name: _sum([getattr(report, name) for report in reports]) for name in ("online", "offline", "outbound")}


def show(report: Report) -> str:
    """One table."""
    died = ", ".join(f"{count} {name}" for name, count in report.kills.items()) or "none"
    time = f"{report.seconds:.0f} s of which {report.drain_seconds:.0f} s to drain"
    ends = report.ends
    lines = [
        f"{report.name}: {report.strikes} kills ({died}), {time}",
        f"{report.ended_at_failpoints} ends at failpoints; {report.pauses} pauses, {report.outlasted} past the lease",
        *_table({"inbound online": report.online, "inbound offline": report.offline, "outbound": report.outbound}),
        f"outbound ended: {ends.sent} sent, {ends.failed} failed, {ends.unsure} unsure; {ends.untold} of them untold",
        f"not accepted: {ends.bounced} returned",
        _ends([report]),
        *(f"BROKEN: {promise}" for promise in report.broken_promises),
    ]
    if report.missed_failpoints:
        lines.append(f"nobody came by {', '.join(report.missed_failpoints)}")
    if report.ended_by_itself:
        lines.append(f"the bridge ended by itself {report.ended_by_itself} times, without its store or its lease")
    return "\n".join(lines)


def show_total(reports: Sequence[Report], seconds: float) -> str:
    """What all came to: with mod_smsbridge, without it, and how often each victim died on each store."""
    lines = []
    for is_guarded, words in ((True, "with mod_smsbridge"), (False, "without mod_smsbridge")):
        if chosen := [report for report in reports if report.is_guarded is is_guarded]:
            lines += [f"total {words}:", *_table(_labelled(chosen)), _ends(chosen)]
    lines += [f"{count:4} kills of {victim} on {store}" for (victim, store), count in sorted(_deaths(reports).items())]
    strikes = sum(report.strikes for report in reports)
    lines.append(f"total: {strikes} kills, {seconds:.0f} s")
    broken = sum(len(report.broken_promises) for report in reports)
    lines.append("every promise held" if not broken else f"promises were broken: {broken}")
    return "\n".join(lines)


def _labelled(reports: Sequence[Report]) -> Mapping[str, Direction]:
    return {name if name == "outbound" else f"inbound {name}": row for name, row in total(reports).items()}


def _ends(reports: Sequence[Report]) -> str:
    figures: Counter[str] = Counter()
    for report in reports:
        figures.update(asdict(report.ends))
    return (
        f"{figures['silently_lost']} silent losses, {figures['blind_resends']} blind resends,"
        f" {figures['unavoidable']} unavoidable duplicates;"
        f" {figures['faulty']} of {figures['calls']} calls to send were spoilt"
    )


def _deaths(reports: Sequence[Report]) -> Counter[tuple[str, str]]:
    """Victim and store to the number of kills."""
    deaths: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for victim, count in report.kills.items():
            named = {"server": _SERVERS[report.server], "store": report.store}.get(victim, victim)
            deaths[named, report.store] += count
    return deaths


def as_json(reports: Sequence[Report], seed: int, seconds: float) -> dict[str, object]:
    """What `build/ledger.json` holds."""
    return {
        "seed": seed,
        "kills": sum(report.strikes for report in reports),
        "seconds": seconds,
        "broken promises": [promise for report in reports for promise in report.broken_promises],
        "killed": {f"{victim} on {store}": count for (victim, store), count in sorted(_deaths(reports).items())},
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
