"""Nothing leaves: an owner locks his own numbers, an admin all of them; what is written meanwhile waits.

A lockdown is a row that every claim looks at, so it is in force from its commit on and survives a restart; what was
claimed before it is finished. What comes in goes on being delivered.
"""

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Did
from smsbridge.core.errors import Hold
from smsbridge.core.words.say import Phrase, Say, Words
from smsbridge.store import holds
from smsbridge.store.database import Transaction
from smsbridge.store.holds import EVERY_NUMBER


def switch(desk: Desk, jid: str, *, is_admin: bool, is_on: bool) -> Transaction[Words]:
    """Lock or unlock what this caller may; what he is told. Everybody else whom it concerns is told as well."""
    lines = desk.rules().directory.lines_of(jid)
    whose: Words = Say.ALL_NUMBERS() if is_admin else ", ".join(line.did for line in lines)
    others = [*desk.rules().admins, *(owner for line in lines if not is_admin for owner in line.owners)]
    if is_on:
        dids = [EVERY_NUMBER] if is_admin else [line.did for line in lines]
        changed = yield from _lock(desk, dids, Say.LOCKED_BY_ADMIN() if is_admin else Say.LOCKED_BY_OWNER())
    else:
        dids = (yield from _locked()) if is_admin else [line.did for line in lines]
        changed = yield from _unlock(desk, dids)
    outcome = Say.WRITTEN_WAITS() if is_on else Say.WAITED_GOES()
    if not is_on and not is_admin and (yield from holds.locked(EVERY_NUMBER)) is not None:
        outcome = Say.STILL_LOCKED()
    if not changed:
        already = Say.LOCKED_ALREADY if is_on else Say.UNLOCKED_ALREADY
        return already(whose=whose, outcome=outcome)
    by = Say.LOCKED_BY if is_on else Say.UNLOCKED_BY
    told = [other for other in dict.fromkeys(others) if other != jid]
    yield from telling.say(desk, told, by(whose=whose, by=jid, outcome=outcome), "lockdown", desk.ids.new())
    done = Say.LOCKED_NOW if is_on else Say.UNLOCKED_NOW
    return done(whose=whose, outcome=outcome)


def _lock(desk: Desk, dids: list[Did], words: Phrase) -> Transaction[bool]:
    changed = False
    for did in dids:
        changed |= yield from holds.lock(desk.ids, desk.now(), did, words)
    return changed


def _unlock(desk: Desk, dids: list[Did]) -> Transaction[bool]:
    changed = False
    for did in dids:
        changed |= yield from holds.unlock(desk.ids, desk.now(), did)
    return changed


def _locked() -> Transaction[list[Did]]:
    return [row.did for row in (yield from holds.current()) if row.hold is Hold.LOCKDOWN]
