"""Bring attachments to where the owners' clients can have them, after their text and without holding anything up.

    wanted ─fetch, under guard─▶ fetched (bytes kept) ─leave on the shelf─▶ published: a delivery to each owner
       └──────────── again later, for a day ─────────┴───▶ given up: a line that says why, with the carrier's link

What came inside a callback has no such link, and is tried for a week. The shelf is where files are put, such as the
XMPP server's upload service. Where there is none, the carrier's own link is what is published. A row and what its
owners are told change in one commit.
"""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

from smsbridge.bridge import telling
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.core.address import Address, to_localpart
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import AddressStyle
from smsbridge.core.message import DeliveryKind, MediaId
from smsbridge.core.pacing import MEDIA_BACKOFF
from smsbridge.core.state import MediaState
from smsbridge.core.words.say import Say, Words
from smsbridge.core.words.tell import Tell
from smsbridge.log import Event, Log
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Courier, Fault, File, NotMoved
from smsbridge.media.kinds import LAYOUT, UNKNOWN, ending_of, kind_of
from smsbridge.store import bindings, deliveries, media
from smsbridge.store.database import Transaction
from smsbridge.store.deliveries import Draft
from smsbridge.store.ids import stanza_id
from smsbridge.store.media import Wanted

LIFE: Final = timedelta(hours=24)
LIFE_WITHOUT_LINK: Final = timedelta(days=7)  # nobody else has it: a server may be away for some days
AT_ONCE: Final = 40
SIDE_BY_SIDE: Final = 3  # texts whose attachments are moved at the same time
LOOK_AGAIN: Final = 30.0  # seconds between looks when nothing rings
AFTER_STORE_FAULT: Final = 1.0
TURN: Final = 3600.0  # a round may move many large files
LAYOUT_CODE: Final = "layout"

_log = Log("attachments")


class Shelf(Protocol):
    """Where a file can be left for everybody who has its link."""

    async def leave(self, media_id: MediaId, file: File, name: str, *, is_last: bool) -> str | None:
        """The link; None if there is no such place. Raises `NotMoved`. `is_last`: it will not be tried again."""
        ...


class Attachments:
    """The one loop that moves files."""

    def __init__(
        self, desk: Desk, bell: Bell, courier: Courier, shelf: Shelf, drawer: Drawer, *, roll: Callable[[], float]
    ) -> None:
        self._desk = desk
        self._bell = bell
        self._courier = courier
        self._shelf = shelf
        self._drawer = drawer
        self._roll = roll
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(self) -> None:
        is_tidy = False
        while True:
            self._desk.pulse.beat("attachments", TURN)
            wait = AFTER_STORE_FAULT
            try:
                is_tidy = is_tidy or await self._drawer.drop_others(await self._desk.database.run(media.kept))
                await self.look()
                wait = await self._until_due()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await self._bell.wait(wait)

    async def look(self) -> None:
        """Move all that is due; what comes with one text in its order. Raises `StoreUnavailable`."""
        while wanted := await self._desk.database.run(media.due, self._desk.now(), AT_ONCE):
            by_text = itertools.groupby(sorted(wanted, key=_order), key=lambda one: one.inbox_id)
            moves = [self._move_all(list(of_text)) for _, of_text in by_text]
            for fault in await asyncio.gather(*moves, return_exceptions=True):
                if isinstance(fault, BaseException):
                    raise fault

    async def _until_due(self) -> float:
        due = await self._desk.database.run(media.next_due)
        return LOOK_AGAIN if due is None else min(LOOK_AGAIN, max(0.0, (due - self._desk.now()).total_seconds()))

    async def _move_all(self, of_text: list[Wanted]) -> None:
        async with self._places:
            for one in of_text:
                try:
                    await self._move(one)
                except NotMoved as refusal:
                    await self._fail(one, refusal.fault)
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - a bug with one file must not end the others
                    _log.crash(Event.MEDIA_CRASHED, error, media=one.id)
                    await self._fail(one, Fault.UNREACHABLE)

    async def _move(self, one: Wanted) -> None:
        run = self._desk.database.run
        is_kept = one.state is MediaState.FETCHED
        file = await self._kept(one) if is_kept else None
        if file is None:
            is_kept = False
            file = await self._courier.get(one.url, self._desk.rules().media_places.get(one.provider, frozenset()))
        if file.kind == LAYOUT:  # how a telephone would arrange the others: nothing to look at
            await run(media.give_up, self._desk.ids, self._desk.now(), one.id, LAYOUT_CODE)
            return
        if not is_kept:
            await self._drawer.keep(one.id, file)
            await run(media.fetched, self._desk.ids, self._desk.now(), one.id, file.kind, len(file.data))
        name = f"{file.kind.partition('/')[0]}.{ending_of(file.kind)}"
        url = await self._shelf.leave(one.id, file, name, is_last=self._is_last(one))
        if not (url or one.link):
            raise NotMoved(Fault.NOWHERE)
        if await run(self._publish, one, url or one.link, _about(file)):
            self._settled(one, "published" if url else "linked")
        await self._drawer.drop(one.id)

    async def _kept(self, one: Wanted) -> File | None:
        """As a file, or in the store if it came inside a callback."""
        if (file := await self._drawer.get(one.id)) is not None:
            return file
        content = await self._desk.database.run(media.content_of, one.id)
        if content is None:
            return None
        if (kind := kind_of(content)) == UNKNOWN:
            raise NotMoved(Fault.KIND)
        return File(kind, content)

    async def _fail(self, one: Wanted, fault: Fault) -> None:
        desk, now = self._desk, self._desk.now()
        life = LIFE if one.link or fault is Fault.NOWHERE else LIFE_WITHOUT_LINK
        if fault.is_final or now - one.taken_at >= life:
            if await desk.database.run(self._give_up, one, fault):
                self._settled(one, "given_up", fault)
            await self._drawer.drop(one.id)
            return
        wait = timedelta(seconds=MEDIA_BACKOFF.delay(one.attempt + 1, self._roll()))
        await desk.database.run(media.put_off, now, one.id, fault.value, now + wait)
        _log.warning(Event.MEDIA_PUT_OFF, media=one.id, fault=fault.value, seconds=round(wait.total_seconds()))

    def _is_last(self, one: Wanted) -> bool:
        return self._desk.now() - one.taken_at >= LIFE

    def _settled(self, one: Wanted, how: str, fault: Fault | None = None) -> None:
        self._desk.wake_stream()
        self._desk.metrics.media_settled.labels(one.provider, how).inc()
        if fault is None:
            _log.info(Event.MEDIA_PUBLISHED, media=one.id, how=how)
        else:
            _log.warning(Event.MEDIA_GIVEN_UP, media=one.id, fault=fault.value)

    def _publish(self, one: Wanted, url: str, about: str) -> Transaction[bool]:
        desk = self._desk
        if not (yield from media.publish(desk.ids, desk.now(), one.id, url, "attachments")):
            return False
        yield from self._tell(one, DeliveryKind.MEDIA, body=about, url=url)
        return True

    def _give_up(self, one: Wanted, fault: Fault) -> Transaction[bool]:
        desk = self._desk
        if not (yield from media.give_up(desk.ids, desk.now(), one.id, fault.value)):
            return False
        words = Say.NO_ATTACHMENT(why=fault.words)
        if one.link:
            words = Say.NO_ATTACHMENT_HERE(why=fault.words, url=one.link)
        yield from self._tell(one, DeliveryKind.TEXT, body=words)
        return True

    def _tell(self, one: Wanted, kind: DeliveryKind, *, body: Words, url: str = "") -> Transaction[None]:
        """Those to whom it came, whoever has the number by now; its owners if it was nobody's; else the admins."""
        desk = self._desk
        rules, now = desk.rules(), desk.now()
        line = rules.directory.line_of(one.did)
        # of a text that no line took, what has a link was told with it; a file without goes where the text went
        is_theirs = line is not None and (one.link or line.provider == one.provider)
        owners = (yield from deliveries.recipients(one.inbox_id)) or one.addressees
        if not owners and line is not None and is_theirs:
            owners = line.owners
        if not owners:
            told = Tell.FILE_TO_NOBODY(peer=one.peer, did=one.did, file=url or body)
            yield from telling.tell_admins(desk, told, one.id)
        for owner in owners:
            bound = yield from bindings.bind(now, owner, one.peer, one.did)
            is_plain = bound == one.did and rules.address_style is AddressStyle.PLAIN
            draft = Draft(
                domain=desk.domain,
                kind=kind,
                to_jid=owner,
                sender=to_localpart(Address(peers=(one.peer,), did=None if is_plain else one.did)),
                stanza_id=stanza_id(one.id, owner, kind, order=one.id),
                body=desk.worded(owner, body),
                stamp=one.sent_at,
                media_url=url,
                inbox_id=one.inbox_id,
                media_id=one.id,
            )
            yield from deliveries.add(desk.ids, now, draft)


def _order(one: Wanted) -> tuple[str, str]:
    return one.inbox_id, one.id


def _about(file: File) -> str:
    """What a client wants to know of a file before it has it: type, size, SHA-256."""
    digest = base64.b64encode(hashlib.sha256(file.data).digest()).decode()
    return f"{file.kind} {len(file.data)} {digest}"
