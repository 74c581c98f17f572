"""The other side wants no more texts, or wants them again: kept, honoured, and told to those whose number it is.

A wish is heeded in the transaction that takes its text, which is delivered as any other. After STOP, what waits for
that number is cancelled, and what is written to it is refused until START comes.
"""

from smsbridge.bridge import telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Peer
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import InboundMessage
from smsbridge.core.state import PartEvent
from smsbridge.core.wishes import Wish, wish_of, word_of
from smsbridge.store import conversations, history, outbox
from smsbridge.store.database import Transaction


def heed(desk: Desk, line: Line, message: InboundMessage, key: str) -> Transaction[None]:
    """Do as this text wishes, if it does; `key` names it for ever."""
    wish = wish_of(message) if line.honours_stop else None
    match wish:
        case Wish.STOP:
            yield from _stop(desk, line, message.peer, word_of(message), key)
        case Wish.START:
            if (yield from conversations.resume(line.did, message.peer)):
                yield from _note(desk, line, message.peer, wish)
                body = f"{message.peer} wants texts from {line.did} again."
                yield from telling.say(desk, line.owners, body, key, wish)


def refusal(peer: Peer, word: str) -> Refused:
    """What is said to who writes all the same."""
    return Refused(
        Reason.OPTED_OUT,
        f"This text was not sent: {peer} has written {word}, which asks for no more texts from this number."
        " You can write again when START comes from there.",
    )


def _stop(desk: Desk, line: Line, peer: Peer, word: str, key: str) -> Transaction[None]:
    if not (yield from conversations.stop(desk.now(), line.did, peer, word)):
        return
    yield from _note(desk, line, peer, Wish.STOP)
    waiting = yield from outbox.waiting_for(line.did, peer)
    for part_id in waiting:
        moved = yield from outbox.move(
            desk.ids, desk.now(), "wishes", part_id, PartEvent.CANCEL, reason=Reason.OPTED_OUT, code=word,
            words=refusal(peer, word).words,
        )  # fmt: skip
        if moved is not None:
            yield from telling.tell(desk, part_id)
    body = (
        f"{peer} has written {word}, which asks for no more texts from {line.did}. What you write to it is refused"
        " from now on, until START comes from there."
    )
    yield from telling.say(desk, line.owners, body, key, Wish.STOP)


def _note(desk: Desk, line: Line, peer: Peer, wish: Wish) -> Transaction[None]:
    step = history.Step(subject="wish", subject_id=f"{line.did}/{peer}", who="wishes", state=wish)
    yield from history.note(desk.ids, desk.now(), step)
