"""Fetch what goes out with a text, from where its writer has left it, before the text leaves.

    wanted ─fetch, under guard─▶ made as the carrier takes it ─▶ kept (bytes in the drawer) | linked | refused
       └── again, a few times ──┘

The text waits for it, and its conversation with it, since a caption is not to come before its picture: for some minutes
at most. Only what the gate has let pass is ever fetched, and only from the upload service of the XMPP server or from a
place that the administrator has named. What a place cannot be, or says that it is not, goes as its link; what is not
there, or is not what it says, is an error on the message.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol

from smsbridge.bridge import enclosing
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.clock import from_ms
from smsbridge.core.enclosures import Done, Why
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import ProviderName
from smsbridge.core.pacing import ENCLOSURE_BACKOFF
from smsbridge.core.state import EnclosureState
from smsbridge.log import Event, Log
from smsbridge.media.convert import Change, Converter, Hindrance, Limit, Unconvertible
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Courier, Fault, File, NotMoved, origin_of
from smsbridge.providers.contract import Capabilities
from smsbridge.store import enclosures
from smsbridge.store.enclosures import Verdict, Wanted

AT_ONCE: Final = 40
SIDE_BY_SIDE: Final = 3  # texts whose files are fetched at the same time
MOST_TRIES: Final = 6  # over two minutes, and as many times the longest fetch
LONGEST_FETCH: Final = 30.0  # seconds
LARGEST: Final = 16 * 1024 * 1024  # bytes of a picture before it is made smaller
LOOK_AGAIN: Final = 30.0  # seconds between looks when nothing rings
AFTER_STORE_FAULT: Final = 1.0
TURN: Final = 3600.0  # a round may fetch many large files

_LINKED: Final = frozenset({Fault.LARGE, Fault.KIND, Fault.FULL, Fault.URL, Fault.ADDRESS})
_HANGING: Final = frozenset({Fault.SLOW, Fault.UNREACHABLE})
_HIDDEN: Final = frozenset({Fault.URL, Fault.ADDRESS})
_DISHONEST: Final = {Fault.LARGE: Why.ENDLESS, Fault.KIND: Why.FALSE}
_UNFIT: Final[Mapping[Hindrance, Why]] = {
    Hindrance.LARGE: Why.LARGE,
    Hindrance.KIND: Why.KIND,
    Hindrance.DAMAGED: Why.DAMAGED,
    Hindrance.BOMB: Why.BOMB,
    Hindrance.SLOW: Why.UNMADE,
    Hindrance.TOOL: Why.TOOL,
}
# what is worth a line; that notes were taken out of a picture goes without saying
_DONE: Final = {Change.FIRST_FRAME_ONLY: Done.STILLED, Change.SHRUNK: Done.SHRUNK, Change.RECODED: Done.RECODED}

_log = Log("enclosures")


class Uploads(Protocol):
    """The places where the server's users leave their files."""

    async def serves(self, origin: str) -> bool:
        """Whether this is one. Raises `NotMoved` while nobody can be asked."""
        ...

    async def learn(self) -> None:
        """Find one of them out beforehand: a message that is nothing but a link is judged when it is taken."""
        ...


class Enclosures:
    """The one loop that fetches what goes out."""

    def __init__(
        self, desk: Desk, bell: Bell, courier: Courier, uploads: Uploads, drawer: Drawer, converter: Converter,
        capabilities: Callable[[], Mapping[ProviderName, Capabilities]], *, roll: Callable[[], float],
    ) -> None:  # fmt: skip
        self._desk = desk
        self._bell = bell
        self._courier = courier
        self._uploads = uploads
        self._drawer = drawer
        self._converter = converter
        self._capabilities = capabilities
        self._roll = roll
        self._hinted: set[str] = set()
        self._slots = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(self) -> None:
        is_tidy = False
        while True:
            self._desk.pulse.beat("enclosures", TURN)
            wait = AFTER_STORE_FAULT
            try:
                is_tidy = is_tidy or await self._drawer.drop_others(await self._desk.database.run(enclosures.kept))
                with contextlib.suppress(NotMoved):
                    await self._uploads.learn()
                await self.look()
                await self.tidy()
                wait = await self._until_due()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await self._bell.wait(wait)

    async def look(self) -> None:
        """Fetch all that is due; what goes with one text in its order. Raises `StoreUnavailable`."""
        while wanted := await self._desk.database.run(enclosures.due, self._desk.now(), AT_ONCE):
            by_text = itertools.groupby(sorted(wanted, key=_order), key=lambda one: one.message_id)
            fetches = [self._fetch_all(list(of_text)) for _, of_text in by_text]
            for fault in await asyncio.gather(*fetches, return_exceptions=True):
                if isinstance(fault, BaseException):
                    raise fault

    async def tidy(self) -> None:
        """Drop the bytes that have left, or never will. Raises `StoreUnavailable`."""
        for enclosure_id in await self._desk.database.run(enclosures.let_go):
            await self._drawer.drop(enclosure_id)

    async def _until_due(self) -> float:
        due = await self._desk.database.run(enclosures.next_due)
        if due is None:
            return LOOK_AGAIN
        return min(LOOK_AGAIN, max(0.0, (from_ms(due) - self._desk.now()).total_seconds()))

    async def _fetch_all(self, of_text: list[Wanted]) -> None:
        async with self._slots:
            for one in of_text:
                able = self._capabilities().get(one.provider)
                if able is None:  # its account is gone, and so will it be
                    await self._put_off(one, Fault.PLACE)
                    continue
                try:
                    await self._settle(one, await self._fetch(one, able), able)
                    continue
                except NotMoved as error:
                    refusal = error
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - a bug with one file must not end the others
                    _log.crash(Event.MEDIA_CRASHED, error, enclosure=one.id)
                    refusal = NotMoved(Fault.UNREACHABLE)
                is_over = await self._fail(one, refusal, able)
                if is_over or refusal.fault in _HANGING:  # its text has ended, or would wait as long for each file
                    return

    async def _fetch(self, one: Wanted, able: Capabilities) -> Verdict:
        places = self._desk.rules().fetch_from
        try:
            origin = origin_of(one.url)
        except ValueError:
            return _linked(Why.URL)
        if origin not in places and not await self._uploads.serves(origin):
            return _linked(Why.PLACE)
        if not self._desk.has_room():
            raise NotMoved(Fault.FULL)
        file = await self._courier.get(one.url, {*places, origin}, most=LARGEST, seconds=LONGEST_FETCH)
        return await self._keep(one, file, able)

    async def _keep(self, one: Wanted, file: File, able: Capabilities) -> Verdict:
        try:
            limit = Limit(bytes=able.media_bytes, kinds=able.media_types)
            made = await self._converter.fit(file.data, limit=limit)
        except Unconvertible as error:
            if not error.reason.is_final:
                raise NotMoved(Fault.FULL) from None
            return _linked(_UNFIT[error.reason])
        await self._drawer.keep(one.id, File(made.kind, made.content))
        done = next((done for change, done in _DONE.items() if change in made.changes), Done.NOTHING)
        return Verdict(state=EnclosureState.KEPT, mime=made.kind, size=len(made.content), done=done)

    async def _fail(self, one: Wanted, refusal: NotMoved, able: Capabilities) -> bool:
        """Whether that ends its text."""
        fault = refusal.fault
        if fault.is_lasting or one.attempt + 1 >= MOST_TRIES:
            if refusal.is_honest and fault in _LINKED:
                self._hint(one, fault)
                await self._settle(one, _linked(Why(fault)), able)
                return False
            why = _DISHONEST.get(fault) if not refusal.is_honest else None
            await self._settle(one, Verdict(state=EnclosureState.REFUSED, why=why or Why(fault)), able)
            return True
        await self._put_off(one, fault)
        return False

    def _hint(self, one: Wanted, fault: Fault) -> None:
        """Others may see that place where we may not: an admin can name it."""
        if fault in _HIDDEN and (origin := origin_of(one.url)) not in self._hinted:
            self._hinted.add(origin)
            _log.warning(Event.UPLOAD_MISSED, origin=origin, fault=fault.value, look_at="media.near")

    async def _put_off(self, one: Wanted, fault: Fault) -> None:
        now, wait = self._desk.now(), timedelta(seconds=ENCLOSURE_BACKOFF.delay(one.attempt + 1, self._roll()))
        await self._desk.database.run(enclosures.put_off, now, one, fault.value, now + wait, is_all=fault in _HANGING)
        _log.warning(Event.MEDIA_PUT_OFF, enclosure=one.id, fault=fault.value, seconds=round(wait.total_seconds()))

    async def _settle(self, one: Wanted, verdict: Verdict, able: Capabilities) -> None:
        desk = self._desk
        if not await desk.database.run(enclosing.settle, desk, one, verdict, able):
            return
        desk.wake_senders()
        desk.wake_stream()
        desk.metrics.enclosures_settled.labels(one.provider, verdict.state).inc()
        say = _log.warning if verdict.state is EnclosureState.REFUSED else _log.info
        say(Event.ENCLOSURE_SETTLED, enclosure=one.id, how=verdict.state, code=verdict.why or verdict.done)


def _linked(why: Why) -> Verdict:
    return Verdict(state=EnclosureState.LINKED, done=Done.LINKED, why=why)


def _order(one: Wanted) -> tuple[str, str]:
    return one.message_id, one.id
