"""When the files of a text are there, or will not be: what leaves, and what its writer is told, in one commit.

    one is refused ─▶ failed, and an error on the message says why
    none of them is wanted any more ─▶ cut anew, the parts queued, and a line on what was done to them

A part whose bytes were lost after that waits for them once more, and leaves as it was.
"""

from dataclasses import replace
from typing import Final

from smsbridge.bridge import planning, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core import enclosures as its
from smsbridge.core.enclosures import Why
from smsbridge.core.errors import Reason
from smsbridge.core.message import Part
from smsbridge.core.state import EnclosureState, PartEvent
from smsbridge.core.words.say import Say, Words
from smsbridge.providers.contract import Capabilities
from smsbridge.store import enclosures, outbox
from smsbridge.store.database import Transaction
from smsbridge.store.enclosures import Enclosure, Verdict, Wanted

WHO: Final = "enclosures"


def settle(desk: Desk, one: Wanted, verdict: Verdict, capabilities: Capabilities) -> Transaction[bool]:
    """What becomes of a file, and of its text if it was the last one. False if that was settled before."""
    if not (yield from enclosures.settle(desk.ids, desk.now(), one.id, verdict)):
        return False
    found = yield from enclosures.of_message(one.message_id)
    is_again = any(each.part_id for each in found)
    is_over = verdict.state is EnclosureState.REFUSED and not is_again  # whatever the others come to
    if not is_over and any(each.state is EnclosureState.WANTED for each in found):
        return True
    waiting = yield from enclosures.waiting(one.message_id)
    if is_again:
        yield from _release_again(desk, waiting, found)
    elif waiting:
        yield from _release(desk, waiting, found, capabilities)
    return True


async def with_files(desk: Desk, part: Part) -> Part | None:
    """The part as a carrier takes it, with the bytes of its files; None if they are not here any more."""
    media = []
    for item in part.media:
        if item.file:
            file = await desk.load_file(item.file)
            if file is None:
                return None
            item = replace(item, content=file.data)  # noqa: PLW2901
        media.append(item)
    return replace(part, media=tuple(media))


def _release(
    desk: Desk, waiting: tuple[Part, ...], found: tuple[Enclosure, ...], able: Capabilities
) -> Transaction[None]:
    if refused := [each for each in found if each.state is EnclosureState.REFUSED]:
        first, *spare = waiting
        yield from enclosures.fill(first.id, first.kind, first.text, (), first.n)
        yield from enclosures.drop_spare(spare)
        yield from _refuse(desk, first, refused[0].why or Why.LOST)
        return
    message_id = waiting[0].message_id
    files = [each.media for each in found if each.state is EnclosureState.KEPT]
    links = [each.url for each in found if each.state is EnclosureState.LINKED]
    pieces = planning.enclose((yield from outbox.text_of(message_id)), files, links, able)
    if len(pieces) > waiting[0].of:  # as many as it may come to were made when it was taken
        yield from _fail(desk, waiting[0], Reason.TOO_LONG, "too_long", "")
        return
    leaving = [part for part in waiting if part.n <= len(pieces)]  # after a restore the first may have left before
    for part in leaving:
        kind, text, media = pieces[part.n - 1]
        yield from enclosures.fill(part.id, kind, text, media, len(pieces))
        yield from enclosures.went_into(part.id, media)
        yield from _queue(desk, part)
    yield from enclosures.drop_spare(waiting[len(leaving) :])
    if not leaving:
        yield from telling.tell(desk, (yield from outbox.parts_of(message_id))[0].id)
    elif words := its.in_words((each.done, each.why) for each in found):
        yield from telling.tell_done(desk, (yield from outbox.message_of(leaving[0].id)), words)


def _release_again(desk: Desk, waiting: tuple[Part, ...], found: tuple[Enclosure, ...]) -> Transaction[None]:
    """Parts whose files had been there before: they are there again, and the same; or their text ends here."""
    for part in waiting:
        its_files = [each for each in found if each.part_id == part.id]
        if lost := [each for each in its_files if each.state is not EnclosureState.KEPT]:
            yield from _refuse(desk, part, lost[0].why or Why.LOST)
            return
        media = tuple(each.media for each in its_files)
        yield from enclosures.refill(part.id, media)
        yield from _queue(desk, part)


def _queue(desk: Desk, part: Part) -> Transaction[None]:
    yield from outbox.move(desk.ids, desk.now(), WHO, part.id, PartEvent.RELEASE, due_at=desk.now())


def _refuse(desk: Desk, part: Part, why: Why) -> Transaction[None]:
    reason = Reason.MEDIA_UNFETCHED if why.is_passing else Reason.MEDIA_REFUSED
    yield from _fail(desk, part, reason, why, Say.FILE_NOT_HAD(why=why.words))


def _fail(desk: Desk, part: Part, reason: Reason, code: str, words: Words) -> Transaction[None]:
    yield from outbox.move(desk.ids, desk.now(), WHO, part.id, PartEvent.REJECT, reason=reason, code=code, words=words)
    yield from telling.tell(desk, part.id)
