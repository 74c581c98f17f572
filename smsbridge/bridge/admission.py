"""May this text be taken, now? The gate's question, with all that is remembered of owner, number and other party.

    whose line, and where to ─▶ wanted there? ─▶ two machines? ─▶ into what is it cut ─▶ under the caps?

Asked inside the transaction that accepts the text. A refusal takes nothing, but for those that have something to commit
(the breaker that opens, a question), and so are returned, not raised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsbridge.bridge import alerts, rationing, wishes
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.planning import Piece, goes_as_link, plan
from smsbridge.clock import to_ms
from smsbridge.core import caps, gate, loop
from smsbridge.core.address import Address, Did, Peer, parse_localpart, to_localpart
from smsbridge.core.alerts import Alert
from smsbridge.core.caps import Demand, Load
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import Kind, OutboundMessage, Part, ProviderName
from smsbridge.core.segments import count
from smsbridge.core.words.say import Say
from smsbridge.providers.contract import Capabilities
from smsbridge.store import bindings, conversations, outbox
from smsbridge.store import caps as counters
from smsbridge.store.conversations import Standing
from smsbridge.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """It may be taken.

    `recent` is what the loop breaker carries along; `is_told`: the admins hear of a cap; `is_linked`: its files go as
    links, else `pieces` are as many as it may come to with them; `to_confirm`: the kind of destination that its writer
    has to confirm first, "" if it may leave.
    """

    line: Line
    peer: Peer
    pieces: Sequence[Piece]
    recent: str
    is_told: bool
    is_linked: bool
    to_confirm: str = ""


def admit(
    desk: Desk, message: OutboundMessage, capabilities: Mapping[ProviderName, Capabilities]
) -> Transaction[Admitted | Refused]:
    """The text with all that the caps count of it. Raises `Refused`; one that is returned is to be committed."""
    rules = desk.rules()
    localpart = message.addressed.partition("/")[0].rpartition("@")[0]
    bound = yield from _bound(message.owner, localpart)
    admission = gate.judge(
        owner=message.owner, localpart=localpart, bound=bound, directory=rules.directory, policy=rules.policy
    )
    line, peer = admission.line, admission.peer
    standing = yield from conversations.standing(line.did, peer)
    if standing.stop_word and line.honours_stop:
        return (yield from wishes.refuse(desk, message.owner, line.did, peer, standing.stop_word))
    recent = yield from _break_loop(desk, message, line.did, peer, standing)
    if isinstance(recent, Refused):
        return recent
    able = capabilities[line.provider]
    pieces = plan(message.text, message.media, line, able)
    is_linked = bool(message.media) and goes_as_link(line, able)
    is_told = yield from _count(desk, message.owner, line, load_of(pieces, rules.policy.limits, standing))
    to_confirm = gate.to_confirm(peer, rules.policy)
    if to_confirm and (yield from conversations.is_confirmed(message.owner, to_confirm)):
        to_confirm = ""
    if "%" not in localpart and bound != line.did:
        settle = bindings.bind if bound is None else bindings.rebind
        yield from settle(desk.now(), message.owner, peer, line.did)
    return Admitted(
        line=line, peer=peer, pieces=pieces, recent=recent, is_told=is_told, is_linked=is_linked, to_confirm=to_confirm
    )


def admit_again(desk: Desk, part: Part) -> Transaction[None]:
    """A part that its writer wants sent once more passes the gate, and counts, like a new text. Raises `Refused`."""
    owner = (yield from outbox.message_of(part.id)).owner
    line = judge_again(desk, owner, part)
    standing = yield from conversations.standing(part.did, part.peer)
    if standing.stop_word and line.honours_stop:
        raise wishes.refusal(part.peer, standing.stop_word)
    load = load_of([(part.kind, part.text, part.media)], desk.rules().policy.limits, standing)
    yield from _count(desk, owner, line, load)


def judge_again(desk: Desk, owner: str, part: Part) -> Line:
    """Whether its writer may still send this there from his number. Raises `Refused`."""
    rules = desk.rules()
    admission = gate.judge(
        owner=owner,
        localpart=to_localpart(Address(peers=(part.peer,), did=part.did)),
        bound=None,
        directory=rules.directory,
        policy=rules.policy,
    )
    if admission.line.provider != part.provider:
        raise Refused(Reason.NOT_OWNER, Say.ANOTHER_ACCOUNT_NOW())
    return admission.line


def load_of(pieces: Sequence[Piece], limits: caps.Limits, standing: Standing) -> Load:
    """What a text adds: a message for each piece, its price by segments or by messages."""
    cost = 0
    if (prices := limits.prices) is not None:
        cost = sum(prices.mms if kind is Kind.MMS else prices.sms * count(text).segments for kind, text, _ in pieces)
    return Load(texts=len(pieces), is_new_peer=standing.is_new, cost=cost)


def _bound(owner: str, localpart: str) -> Transaction[Did | None]:
    try:
        address = parse_localpart(localpart)
    except Refused:
        return None  # the gate refuses it, after it has looked at who asks
    return (yield from bindings.bound(owner, address.peers[0]))


def _break_loop(
    desk: Desk, message: OutboundMessage, did: Did, peer: Peer, standing: Standing
) -> Transaction[str | Refused]:
    """What the breaker carries along. Raises `Refused` while it is open, returns it if it opens now."""
    now = desk.now()
    if not desk.rules().policy.has_breaker:
        return ""
    if standing.closed_until is not None and now < standing.closed_until <= now + loop.CLOSED:
        raise _stopped(desk, standing.closed_until)
    sent = loop.remembered(standing.recent)
    text = loop.Said(to_ms(now), loop.mark_of(message.text, *(item.url for item in message.media)))
    is_loop, since = loop.is_burst(sent, text), loop.listen_since(sent, text)
    if not is_loop and since is not None:
        is_loop = loop.is_loop(sent, text, (yield from conversations.heard(did, peer, since)))
    if not is_loop:
        return loop.remember(sent, text)
    until = now + loop.CLOSED
    yield from conversations.close(did, peer, until)
    words = Say.LOOP_STOPPED(did=did, peer=peer, owner=message.owner)
    yield from alerts.sound(desk, Alert.LOOP, f"{did} {peer}", words)
    return _stopped(desk, until)


def _stopped(desk: Desk, until: datetime) -> Refused:
    return Refused(Reason.LOOP, Say.LOOP_UNTIL(when=caps.opening(until, desk.now())))


def _count(desk: Desk, owner: str, line: Line, load: Load) -> Transaction[bool]:
    """Take what the text needs of every cap, and whether the admins are told. Raises `Refused` if it is too much."""
    now, limits = desk.now(), desk.rules().policy.limits
    asked = caps.demands(limits, owner, line.did, load, now)
    helpings = rationing.demands(desk, line.provider, load.texts)
    if not (asked or helpings):
        return False
    used = yield from counters.take([*asked, *helpings])
    caps.judge(asked, used, limits, now)
    rationing.judge(desk, helpings, used)
    alerts = tuple(caps.alerts(asked, used))
    for demand, percent in alerts:
        yield from _alert(desk, demand, percent)
    return bool(alerts)


def _alert(desk: Desk, demand: Demand, percent: int) -> Transaction[None]:
    now, limits = desk.now(), desk.rules().policy.limits
    cap = caps.in_words(demand, limits)
    if demand.who:
        cap = Say.CAP_OF(cap=cap, who=demand.who)
    spent = Say.CAP_USED_UP() if percent >= 100 else Say.CAP_USED_TO(percent=percent)
    words = Say.CAP_IS_SPENT(cap=cap, spent=spent, when=caps.opening(demand.ends, now))
    to_do = Say.RAISE_CAP(key=f"caps.{demand.whose}.{demand.key}")
    subject = f"{demand.scope} {to_ms(demand.begins)} {percent}"
    yield from alerts.sound(desk, Alert.CAP, subject, words, to_do=to_do)
