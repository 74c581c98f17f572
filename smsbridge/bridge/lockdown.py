"""Nothing leaves: an owner locks his own numbers, an admin all of them; what is written meanwhile waits.

A lockdown is a row that every claim looks at, so it is in force from its commit on and survives a restart; what was
claimed before it is finished. What comes in goes on being delivered.
"""

from typing import Final

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Did
from smsbridge.core.errors import Hold
from smsbridge.store import holds
from smsbridge.store.database import Transaction
from smsbridge.store.holds import EVERY_NUMBER

BY_ADMIN: Final = "An administrator has locked all numbers, and nothing leaves until they are unlocked."
BY_OWNER: Final = "The number is locked by an owner, and nothing leaves it until it is unlocked."
WAITS: Final = "Nothing leaves from now on; what is written waits. What comes in is delivered."
GOES: Final = "What waited goes out."
STILL: Final = "Nothing leaves yet: an administrator has locked all numbers."


def switch(desk: Desk, jid: str, *, is_admin: bool, is_on: bool) -> Transaction[str]:
    """Lock or unlock what this caller may; what he is told. Everybody else whom it concerns is told as well."""
    lines = desk.rules().directory.lines_of(jid)
    whose = "All numbers" if is_admin else ", ".join(line.did for line in lines)
    others = [*desk.rules().admins, *(owner for line in lines if not is_admin for owner in line.owners)]
    if is_on:
        dids = [EVERY_NUMBER] if is_admin else [line.did for line in lines]
        changed = yield from _lock(desk, dids, BY_ADMIN if is_admin else BY_OWNER)
    else:
        dids = (yield from _locked()) if is_admin else [line.did for line in lines]
        changed = yield from _unlock(desk, dids)
    outcome = WAITS if is_on else GOES
    if not is_on and not is_admin and (yield from holds.locked(EVERY_NUMBER)) is not None:
        outcome = STILL
    state = "locked" if is_on else "unlocked"
    if not changed:
        return f"{whose}: {state} already. {outcome}"
    body = f"{whose}: {state} by {jid}. {outcome}"
    told = [other for other in dict.fromkeys(others) if other != jid]
    yield from telling.say(desk, told, body, "lockdown", desk.ids.new())
    return f"{whose}: {state}. {outcome}"


def _lock(desk: Desk, dids: list[Did], words: str) -> Transaction[bool]:
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
