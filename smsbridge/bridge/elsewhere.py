"""Show owners what was sent over their numbers and not by us: from a carrier's portal, or by another program.

As their own message where their server lets us speak for them, else as a line of chat if that is wanted. Each text is
judged once: what is not shown now is not shown later either, when somebody has changed his mind. Only while a part of
ours may be it, or nobody knows yet what the server allows, it is left for the next look. What is older than our own
trail may be a text of ours that is forgotten, and is not shown.
"""

import functools
from enum import StrEnum

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Address, to_localpart
from smsbridge.core.line import AddressStyle, Line, Mirror
from smsbridge.core.message import DeliveryKind, PartId, SentElsewhere
from smsbridge.core.state import PartEvent
from smsbridge.store import bindings, deliveries, elsewhere, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.elsewhere import Origin
from smsbridge.store.ids import stanza_id


class Fate(StrEnum):
    """What became of a text in a carrier's list of what was sent."""

    KNOWN = "known"
    FOUND = "found"
    SHOWN = "shown"
    SILENT = "silent"
    OPEN = "open"


def take(desk: Desk, text: SentElsewhere, line: Line | None) -> Transaction[Fate]:
    """Judge it, and show it to the line's owners if it is not ours."""
    judged = yield from elsewhere.judge(desk.ids, desk.now(), text)
    match judged.origin:
        case Origin.KNOWN | Origin.OURS:
            return Fate.KNOWN
        case Origin.OPEN:
            return Fate.OPEN
        case Origin.FOUND:
            return (yield from _find(desk, text, judged.part))
    owners = line.owners if line is not None and not _is_forgotten(desk, text) else ()
    shown = [owner for owner in owners if _may_see(desk, owner)]
    if any(_may_see(desk, owner) is None for owner in owners):
        return Fate.OPEN
    yield from elsewhere.remember(desk.now(), judged.key)
    if line is None or not shown:
        return Fate.SILENT
    wanted = [(owner, text.peer, line.did) for owner in shown]
    bound = yield from bindings.bind_all(desk.now(), wanted)
    drafts = [
        draft
        for owner in shown
        for draft in _drafts(desk, text, judged.key, owner, is_bound=bound[owner, text.peer] == line.did)
    ]
    yield from deliveries.add_all(desk.ids, desk.now(), drafts)
    return Fate.SHOWN


def _is_forgotten(desk: Desk, text: SentElsewhere) -> bool:
    """Whether a part that was sent then need not be known any more."""
    return text.sent_at is not None and text.sent_at < desk.now() - desk.rules().spans.rows + elsewhere.SKEW


def _may_see(desk: Desk, owner: str) -> bool | None:
    """Whether there is a way to show it that is wanted; None if nobody knows yet."""
    match desk.rules().mirror:
        case Mirror.OFF:
            return False
        case Mirror.CARBON:
            return desk.speaks_for(owner)
        case Mirror.LINE:
            return True


def _find(desk: Desk, text: SentElsewhere, part_id: PartId | None) -> Transaction[Fate]:
    if part_id is not None:
        moved = yield from outbox.move(
            desk.ids, desk.now(), "poller", part_id, PartEvent.FIND, provider_id=text.provider_id, code="listed"
        )
        if moved is not None:
            yield from telling.tell(desk, part_id)
    return Fate.FOUND


def _drafts(desk: Desk, text: SentElsewhere, key: str, owner: str, *, is_bound: bool) -> list[Draft]:
    is_plain = is_bound and desk.rules().address_style is AddressStyle.PLAIN
    draft = functools.partial(
        Draft,
        domain=desk.domain,
        kind=DeliveryKind.CARBON,
        to_jid=owner,
        sender=to_localpart(Address(peers=(text.peer,), did=None if is_plain else text.did)),
        stamp=text.sent_at,
    )
    words = [draft(stanza_id=stanza_id(key, owner, "0"), body=text.text)] if text.text.strip() else []
    return words + [
        draft(stanza_id=stanza_id(key, owner, "media", item.url), media_url=item.url) for item in text.media
    ]
