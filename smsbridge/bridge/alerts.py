"""Tell the admins what they have to know: once when it begins, daily while it lasts, once when it is over.

    sound ─▶ told at once, but for a storm ─▶ attend: a reminder a day ─▶ clear ─▶ told how long and how often
               └ the fifth line of a kind in ten minutes, and all that follow ─▶ attend: one line for all

`sound` and `clear` are called in the transaction that found out, so what was told is what was committed. If it is the
stream that is down the lines wait, as deliveries do; the journal, the status line and the gauge have it at once. An
occurrence ends by itself when it has not come again for an hour.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.clock import to_ms
from smsbridge.core.alerts import ADVICE, Alert, lasting
from smsbridge.core.words.say import Language, Phrase, Words
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.wording import worded
from smsbridge.log import Event, Log
from smsbridge.store import alerts
from smsbridge.store.alerts import Raised
from smsbridge.store.database import Transaction

MOST_LINES: Final = 4  # of one kind, in one span
SPAN: Final = timedelta(minutes=10)
REMIND: Final = timedelta(days=1)
QUIET: Final = timedelta(hours=1)

_log = Log("alerts")


def sound(
    desk: Desk, kind: Alert, subject: str, words: Words, *, to_do: Words = "", is_news: bool = False
) -> Transaction[bool]:
    """It is so, or has happened again; whether that is new. `words`: a whole sentence, for admins only.

    `subject` tells it from others of its kind and is shown to nobody. `to_do` takes the place of the kind's own advice.
    `is_news`: it is known, but has changed, and is told again.
    """
    line = Tell.ADVISED(words=words, to_do=to_do or ADVICE[kind].to_do)
    raised = yield from alerts.put_on(desk.now(), kind, subject, line)
    if raised.times > 1 and not is_news:
        return False
    # Here and not after the commit: if that fails, there is the more reason to have said it.
    _log.error(Event.ALERT_RAISED, kind=kind, what=_in_the_journal(kind))
    if (yield from alerts.take_line(desk.now(), kind, MOST_LINES, SPAN)):
        yield from _say(desk, kind, line, subject, str(raised.times))
        yield from alerts.told(desk.now(), raised)
    return True


def clear(desk: Desk, kind: Alert, subject: str, words: Words = "") -> Transaction[bool]:
    """It is over; whether it was so. `words` take the place of what was said when it began."""
    raised = yield from alerts.current(kind, subject)
    if raised is None or raised.over_at is not None:
        return False
    _log.info(Event.ALERT_CLEARED, kind=kind, what=_in_the_journal(kind))
    if raised.told_at is not None and (yield from alerts.take_line(desk.now(), kind, MOST_LINES, SPAN)):
        yield from _say(desk, kind, _over(desk, raised, words), subject, "over")
        yield from alerts.forget(raised)
    else:
        yield from alerts.end(desk.now(), raised)
    return True


def subjects(kind: Alert) -> Transaction[set[str]]:
    """What lasts of a kind."""
    return {row.subject for row in (yield from alerts.all_of([kind])) if row.over_at is None}


def keep(desk: Desk, kind: Alert, found: Mapping[str, Words]) -> Transaction[bool]:
    """Of this kind there are these (subject to words) and no others. Whether anything has changed."""
    lasting_now = yield from subjects(kind)
    for subject in found.keys() - lasting_now:
        yield from sound(desk, kind, subject, found[subject])
    for subject in lasting_now - found.keys():
        yield from clear(desk, kind, subject)
    return found.keys() != lasting_now


def attend(desk: Desk) -> Transaction[bool]:
    """Say what has waited: what storms held back, reminders, the end of occurrences. Whether there was anything."""
    rows_of: dict[Alert, list[Raised]] = defaultdict(list)
    for row in (yield from alerts.all_of()):
        ended = yield from _ended_by_itself(desk, row)
        if ended is not None:
            rows_of[row.kind].append(ended)
    has_spoken = False
    for kind, rows in rows_of.items():
        unsaid = [row for row in rows if row.told_at is None or row.over_at is not None]
        if unsaid and (yield from alerts.take_line(desk.now(), kind, MOST_LINES, SPAN)):
            yield from _say_together(desk, kind, unsaid)
            has_spoken = True
        old = [
            row
            for row in rows
            if row.told_at and row.over_at is None and not timedelta(0) <= desk.now() - row.told_at < REMIND
        ]
        if old:
            yield from _remind(desk, kind, old)
            has_spoken = True
    return has_spoken


def _ended_by_itself(desk: Desk, row: Raised) -> Transaction[Raised | None]:
    """The row as it is after a look at its time. What came once, and was told, has no end that is worth a line."""
    if ADVICE[row.kind].lasts or row.over_at is not None or desk.now() - row.last_at < QUIET:
        return row
    if row.times == 1 and row.told_at is not None:
        yield from alerts.forget(row)
        return None
    yield from alerts.end(row.last_at, row)
    return replace(row, over_at=row.last_at)


def _say_together(desk: Desk, kind: Alert, rows: Sequence[Raised]) -> Transaction[None]:
    newest = max(rows, key=lambda row: row.last_at)
    is_over = sum(row.over_at is not None for row in rows)
    words = _over(desk, newest) if is_over else newest.words
    if len(rows) > 1:
        what = ADVICE[kind].what
        if is_over:
            ended = Tell.ALL_ARE_OVER() if is_over == len(rows) else Tell.SOME_ARE_OVER(n=is_over)
            what = Tell.WHAT_AND_ENDED(what=what, ended=ended)
        words = Tell.OF_A_KIND(count=len(rows), what=what, last=newest.words)
    yield from _say(desk, kind, words, "together", str(to_ms(desk.now())))
    for row in rows:
        if row.over_at is None:
            yield from alerts.told(desk.now(), row)
        else:
            yield from alerts.forget(row)


def _remind(desk: Desk, kind: Alert, rows: Sequence[Raised]) -> Transaction[None]:
    first = rows[0]
    words = Tell.STILL_SO(n=len(rows) - 1, span=lasting(desk.now() - first.since), words=first.words)
    yield from _say(desk, kind, words, "still", str(to_ms(desk.now())))
    for row in rows:
        yield from alerts.told(desk.now(), row)


def _over(desk: Desk, raised: Raised, words: Words = "") -> Phrase:
    span = lasting((raised.over_at or desk.now()) - raised.since)
    if words:
        return Tell.IT_LASTED(n=raised.times, span=span, words=words)
    return Tell.OVER_AFTER(n=raised.times, span=span, words=raised.words)


def _in_the_journal(kind: Alert) -> str:
    return worded(ADVICE[kind].what, Language.ENGLISH)


def _say(desk: Desk, kind: Alert, words: Words, *names: str) -> Transaction[None]:
    yield from telling.tell_admins(desk, words, "alert", kind, *names, str(to_ms(desk.now())))
