"""The carrier's limit on messages a day, counted by us: told before it is met, and then waited out or refused.

Every claim is counted in its own commit; what certainly did not leave is given back. The carrier's own word stays the
last one: it may count otherwise.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from smsbridge.bridge import alerts
from smsbridge.bridge.desk import Desk
from smsbridge.clock import to_ms
from smsbridge.core import caps
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import Deferred, Hold, Reason, Refused
from smsbridge.core.message import Part, ProviderName
from smsbridge.core.ration import Helping, Ration
from smsbridge.core.words.say import Phrase, Say
from smsbridge.store import caps as counters
from smsbridge.store import outbox
from smsbridge.store.database import Transaction


def demands(desk: Desk, provider: ProviderName, texts: int) -> tuple[Helping, ...]:
    """What a text takes of the day's when it is accepted: nothing where it may wait for another day."""
    ration = desk.rules().rations.get(provider)
    if ration is None or not ration.is_refusing:
        return ()
    return (Helping(provider=provider, what="accepted", begins=ration.day(desk.now())[0], amount=texts),)


def judge(desk: Desk, helpings: Sequence[Helping], used: Mapping[str, int]) -> None:
    """Raises `Refused` if more would be accepted than can leave today."""
    for helping in helpings:
        ration = desk.rules().rations[helping.provider]
        if used[helping.scope] > ration.limit:
            raise Refused(Reason.QUOTA, _used_up(Say.RATION_REFUSED, desk, helping.provider, ration))


def claim(desk: Desk, part: Part, now: datetime) -> Transaction[Deferred | None]:
    """Count a part that was claimed. If the day's are used up: until when all of the account waits.

    As any other part that is deferred, it is given back when that is settled.
    """
    ration = desk.rules().rations.get(part.provider)
    if ration is None:
        return None
    begins, ends = ration.day(now)
    helping = Helping(provider=part.provider, what="sent", begins=begins)
    used = (yield from counters.take([helping]))[helping.scope]
    if used > ration.limit:
        words = _used_up(Say.RATION_USED_UP, desk, part.provider, ration)
        return Deferred(Reason.QUOTA, "daily_limit", words, after=ends - desk.now(), hold=Hold.QUOTA)
    if percent := ration.alert(used):
        words = Say.RATION_NEARLY_USED_UP(
            provider=part.provider, used=used, limit=ration.limit, when=caps.opening(ends, desk.now())
        )
        yield from alerts.sound(desk, Alert.RATION, f"{part.provider} {to_ms(begins)} {percent}", words)
    return None


def give_back(desk: Desk, part: Part) -> Transaction[None]:
    """It certainly did not leave; of the day that it was claimed on, which may be over."""
    ration = desk.rules().rations.get(part.provider)
    claimed_at = None if ration is None else (yield from outbox.claimed_at(part.id))
    if ration is not None and claimed_at is not None:
        begins, _ = ration.day(claimed_at)
        yield from counters.give_back(Helping(provider=part.provider, what="sent", begins=begins).scope, begins)


def _used_up(say: Say, desk: Desk, provider: ProviderName, ration: Ration) -> Phrase:
    when = caps.opening(ration.day(desk.now())[1], desk.now())
    return say(n=ration.limit, provider=provider, when=when)
