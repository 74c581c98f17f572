"""After a restore: everything is held back and the admins hear of it; then one of them says what is to become of it."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from smsbridge.bridge import catching_up, confirming, questions, telling
from smsbridge.bridge.desk import Desk
from smsbridge.clock import to_ms
from smsbridge.core.errors import Reason
from smsbridge.core.message import ProviderName
from smsbridge.core.state import PartEvent
from smsbridge.core.words.say import Say
from smsbridge.core.words.tell import Tell
from smsbridge.store import outbox, restoring
from smsbridge.store.database import Transaction
from smsbridge.store.restoring import HeldBack

AT_ONCE: Final = 100  # parts of one transaction


def hold_back(desk: Desk, providers: Iterable[ProviderName], made_at: datetime | None = None) -> Transaction[HeldBack]:
    """Hold everything back, and tell the admins. `made_at`: when the backup was made, if that is known."""
    accounts = tuple(providers)
    found = yield from restoring.hold_back(desk.ids, desk.now(), accounts)
    if made_at is not None:
        yield from restoring.note_made_at(desk.now(), accounts, made_at)
    yield from questions.revive(desk)
    words = Tell.RESTORED(
        backup=Tell.BACKUP_OF(at=made_at) if made_at else Tell.BACKUP(),
        parts=Tell.PARTS_WAITED(n=found.parts),
        doubtful=Tell.SENDS_LOOKED_INTO(n=found.doubtful),
        stanzas=Tell.STANZAS_HANDED(n=found.stanzas),
    )
    yield from telling.tell_admins(desk, words, "restored", str(to_ms(desk.now())))
    return found


def unlooked(pollable: Collection[ProviderName]) -> Transaction[list[ProviderName]]:
    """Those of these accounts whose parts are held back, and whose list was not read whole since."""
    held = yield from restoring.held_since()
    read = yield from catching_up.read_up_to(pollable)
    return sorted(name for name in pollable if name in held and (name not in read or read[name] < held[name]))


def release(desk: Desk, *, is_sent: bool) -> Transaction[int]:
    """Send or discard some of what is held back. How many; at 0 the holds are lifted, and all is as ever."""
    parts = yield from restoring.held_back(AT_ONCE)
    if not parts:
        yield from restoring.lift(desk.ids, desk.now())
    elif is_sent:
        for part_id in (yield from restoring.send(desk.ids, desk.now(), parts)):
            yield from confirming.ask_again(desk, part_id)
    else:
        for part_id in parts:
            moved = yield from outbox.move(
                desk.ids, desk.now(), "admin", part_id, PartEvent.CANCEL, reason=Reason.UNSURE, code="restored",
                words=Say.DISCARDED_SINCE(waited=Say.WAITED_THEN()),
            )  # fmt: skip
            if moved is not None:
                yield from telling.tell(desk, part_id)
    return len(parts)
