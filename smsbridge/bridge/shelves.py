"""Where a file that came in is left for its owners: the shelf of the administrator's choice, or the next best.

    upload  the XMPP server's service; if it has none for us, or will not have this one, our own door if that is reached
    serve   our own door
    link    the carrier's own link; a file that has none goes as with `upload`

Our own door gives a file out to whoever has its link, for some days. The link's token is never written down: its hash
leads to the row, the row to the file. A file is kept before its row is committed, and a row goes before its file.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smsbridge.bridge.desk import Desk
from smsbridge.core.line import Republish
from smsbridge.core.message import MediaId
from smsbridge.log import Event, Log
from smsbridge.media.drawer import Drawer
from smsbridge.media.fetch import Fault, File, NotMoved
from smsbridge.store import served
from smsbridge.store.served import Served

PREFIX: Final = "/media/"
TOKEN_BYTES: Final = 24
BELIEVED, DOUBTED = 3600.0, 600.0  # seconds until a link is tried again that led here, that did not
MOST_SERVED: Final = 1024 * 1024 * 1024

Leave = Callable[[MediaId, File, str], Awaitable[str | None]]  # as `Shelves.leave`

_log = Log("shelves")


class Shelves:
    """All of them, in the order in which they are tried."""

    def __init__(self, how: Callable[[], Republish], *, upload: Leave, own: Leave) -> None:
        self._how = how
        self._order: Mapping[Republish, Sequence[Leave]] = {
            Republish.UPLOAD: (upload, own),
            Republish.SERVE: (own,),
            Republish.LINK: (upload, own),
        }

    async def leave(self, media_id: MediaId, file: File, name: str, *, is_last: bool) -> str | None:
        """The link; None if there is no place at all. Raises `NotMoved`.

        `is_last`: it will not be tried again, so that what would be waited for otherwise is passed over.
        """
        refusal: NotMoved | None = None
        for shelf in self._order[self._how()]:
            try:
                if (url := await shelf(media_id, file, name)) is not None:
                    return url
            except NotMoved as error:
                if not (is_last or error.fault.is_final):
                    raise
                refusal = error
        if refusal is not None:
            raise refusal
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that may be given out: where it is, its name in the link, its media type."""

    path: Path
    name: str
    kind: str


class OwnShelf:
    """Our own door: what is left here, `find` finds for whoever has the token."""

    def __init__(self, desk: Desk, drawer: Drawer, has_room: Callable[[], bool]) -> None:
        """`has_room`: whether the drawer's disk has any to spare."""
        self._desk = desk
        self._drawer = drawer
        self._has_room = has_room
        self._lock = asyncio.Lock()  # a file whose row is not there yet is no leftover

    async def leave(self, media_id: MediaId, file: File, name: str) -> str | None:
        """The link; None if nobody can reach us. Raises `NotMoved` or `StoreUnavailable`."""
        how = self._desk.rules().publishing
        if how.public_url is None:
            return None
        if not self._has_room():
            raise NotMoved(Fault.FULL)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        one = Served(id=media_id, name=name, mime=file.kind)
        async with self._lock:
            await self._drawer.keep(media_id, file)
            await self._desk.database.run(served.put, one, _hash_of(token), self._desk.now() + how.serve_for)
        return f"{how.public_url}{PREFIX}{token}/{name}"

    async def take_back(self, media_id: MediaId) -> None:
        """Nobody was told its link, and nobody will be. Raises `StoreUnavailable`."""
        await self._desk.database.run(served.take_back, media_id)

    async def find(self, token: str) -> Found | None:
        """What is given out for a token; raises `StoreUnavailable`."""
        one = await self._desk.database.run(served.find, self._desk.now(), _hash_of(token))
        return None if one is None else Found(path=self._drawer.path_of(one.id), name=one.name, kind=one.mime)

    async def forget(self) -> None:
        """End the links whose time is over, and throw away all files that have none. Raises `StoreUnavailable`."""
        while await self._desk.database.run(served.end, self._desk.now()):
            pass
        async with self._lock:
            await self._drawer.drop_others(await self._desk.database.run(served.kept))


class TriedShelf:
    """Our own door, where now and then the file that was just left is fetched by its link, as its owners would.

    `get` fetches a link, or raises `NotMoved`. Where the administrator asked for this door (`serve`), a link that does
    not lead here is given out all the same, since from here it may look otherwise than from outside; an admin reads of
    it in the journal. Elsewhere there are better ones.
    """

    def __init__(self, desk: Desk, own: OwnShelf, get: Callable[[str], Awaitable[File]]) -> None:
        self._desk = desk
        self._own = own
        self._get = get
        self._reached: bool | None = None
        self._try_at = float("-inf")

    async def leave(self, media_id: MediaId, file: File, name: str) -> str | None:
        """The link; None if it does not lead here. Raises `NotMoved` or `StoreUnavailable`."""
        link = await self._own.leave(media_id, file, name)
        if link is None or await self._leads_here(link, file):
            return link
        if self._desk.rules().publishing.how is Republish.SERVE:
            return link
        await self._own.take_back(media_id)
        return None

    async def _leads_here(self, link: str, file: File) -> bool:
        now = self._desk.clock.monotonic()
        if self._reached is None or now >= self._try_at:
            why = await self._obstacle(link, file)
            self._try_at = now + (BELIEVED if why is None else DOUBTED)
            if why is not None and self._reached is not False:
                _log.warning(Event.OWN_DOOR_MISSED, why=why)
            self._reached = why is None
        return self._reached

    async def _obstacle(self, link: str, file: File) -> str | None:
        try:
            found = await self._get(link)
        except NotMoved as refusal:
            return refusal.fault.value
        return None if found.data == file.data else "another_file"


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
