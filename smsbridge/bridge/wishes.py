"""The other side wants no more texts, or wants them again: kept, honoured, and told to those whose number it is.

A wish is heeded in the transaction that takes its text, which is delivered as any other. After STOP, what waits for
that number is cancelled, or refused when it would leave, and what is written to it is refused until START comes, or
until an owner says, by the question that tells him of it, that it was only talk.
"""

from typing import Final

from smsbridge.bridge import questions, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold, Reason, Refused
from smsbridge.core.line import Line
from smsbridge.core.message import InboundMessage
from smsbridge.core.questions import QuestionKind
from smsbridge.core.state import PartEvent
from smsbridge.core.wishes import Wish, wish_of, word_of
from smsbridge.core.words.say import Say, Words
from smsbridge.store import conversations, history, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.questions import Question

AT_ONCE: Final = 100  # parts that end in the commit of a STOP, which is to be in time; the rest ends as it falls due


def heed(desk: Desk, line: Line, message: InboundMessage, key: str) -> Transaction[None]:
    """Do as this text wishes, if it does; `key` names it for ever."""
    wish = wish_of(message) if line.honours_stop else None
    match wish:
        case Wish.STOP:
            yield from _stop(desk, line, message.peer, word_of(message))
        case Wish.START:
            if (yield from _resume(desk, line.did, message.peer, Wish.START)):
                words = Say.WANTS_TEXTS_AGAIN(peer=message.peer, did=line.did)
                yield from telling.say(desk, line.owners, words, key, Wish.START)


def overrule(desk: Desk, question: Question) -> Transaction[Words]:
    """An owner says that it was only talk. Raises `Refused` if that number is not his any more."""
    _, did, peer = question.subject.split(" ")
    line = desk.rules().directory.line_of(Did(did))
    if line is None or question.owner not in line.owners:
        raise Refused(Reason.NOT_OWNER, Say.NOT_YOURS_ANY_MORE(did=did))
    yield from _resume(desk, Did(did), Peer(peer), "overruled")
    return Say.WRITE_AGAIN(peer=peer)


def respect(_: Desk, question: Question) -> Transaction[Words]:
    """An owner says that it was meant."""
    yield from ()
    return Say.NOTHING_MORE_IS_SENT(peer=question.subject.split(" ")[2])


def refuse(desk: Desk, owner: str, did: Did, peer: Peer, word: str) -> Transaction[Refused]:
    """Who writes all the same is asked, unless that question is open already. To be committed."""
    yield from _ask(desk, owner, did, peer, word)
    return refusal(peer, word)


def refusal(peer: Peer, word: str) -> Refused:
    """What is said to who writes all the same."""
    return Refused(Reason.OPTED_OUT, Say.HAS_OPTED_OUT(peer=peer, word=word))


def _stop(desk: Desk, line: Line, peer: Peer, word: str) -> Transaction[None]:
    if not (yield from conversations.stop(desk.now(), line.did, peer, word)):
        return
    yield from _note(desk, line.did, peer, Wish.STOP)
    waiting = yield from outbox.waiting_for(line.did, peer, AT_ONCE)
    for part_id, hold in waiting:
        words: Words
        if hold is Hold.RESTORE:
            reason, words = Reason.UNSURE, Say.STOPPED_SINCE(waited=Say.WAITED_THEN(), peer=peer, word=word)
        else:
            reason, words = Reason.OPTED_OUT, refusal(peer, word).words
        moved = yield from outbox.move(
            desk.ids, desk.now(), "wishes", part_id, PartEvent.CANCEL, reason=reason, code=word, words=words
        )
        if moved is not None:
            yield from telling.tell(desk, part_id)
    for owner in line.owners:
        yield from _ask(desk, owner, line.did, peer, word)


def _ask(desk: Desk, owner: str, did: Did, peer: Peer, word: str) -> Transaction[None]:
    words = Say.ONLY_TALK(peer=peer, word=word, did=did)
    yield from questions.ask(desk, owner, QuestionKind.STOP, _subject(owner, did, peer), words)


def _resume(desk: Desk, did: Did, peer: Peer, state: str) -> Transaction[bool]:
    if not (yield from conversations.resume(did, peer)):
        return False
    yield from _note(desk, did, peer, state)
    line = desk.rules().directory.line_of(did)
    for owner in line.owners if line else ():
        yield from questions.withdraw(desk, QuestionKind.STOP, _subject(owner, did, peer))
    return True


def _subject(owner: str, did: Did, peer: Peer) -> str:
    return f"{owner} {did} {peer}"


def _note(desk: Desk, did: Did, peer: Peer, state: str) -> Transaction[None]:
    step = history.Step(subject="wish", subject_id=f"{did}/{peer}", who="wishes", state=state)
    yield from history.note(desk.ids, desk.now(), step)
