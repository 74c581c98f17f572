"""Where a file that came in is left for its owners: the shelf of the administrator's choice, or the next best.

    upload  the XMPP server's service; if it has none for us, or will not have this one, our own door
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

    async def find(self, token: str) -> Found | None:
        """What is given out for a token; raises `StoreUnavailable`."""
        one = await self._desk.database.run(served.find, self._desk.now(), _hash_of(token))
        return None if one is None else Found(path=self._drawer.path_of(one.id), name=one.name, kind=one.mime)

    async def forget(self) -> None:
        """End the links whose time is over, and throw away all files that have none. Raises `StoreUnavailable`."""
        while await self._desk.database.run(served.end, self._desk.now()):
            pass
        async with self._lock:
            try:
                await self._drawer.drop_others(await self._desk.database.run(served.kept))
            except OSError as error:
                _log.error(Event.MEDIA_STUCK, why=error.strerror)


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
