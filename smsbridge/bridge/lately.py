"""When there was a text last, for the owner of the line it went over; and for how long the bridge is up."""

from datetime import datetime

from smsbridge.bridge.desk import Desk
from smsbridge.core.address import parse_localpart
from smsbridge.core.errors import Reason, Refused
from smsbridge.store import bindings, lately
from smsbridge.store.database import Transaction


class Lately:
    """One life's memory."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._started_at = desk.now()

    def started_at(self) -> datetime:
        return self._started_at

    def now(self) -> datetime:
        return self._desk.now()

    async def last_text(self, owner: str, localpart: str) -> datetime | None:
        """Over the line that this number stands for. Raises `Refused` or `StoreUnavailable`."""
        return await self._desk.database.run(self._last_text, owner, localpart)

    def _last_text(self, owner: str, localpart: str) -> Transaction[datetime | None]:
        owned = [line.did for line in self._desk.rules().directory.lines_of(owner)]
        if not owned:
            raise Refused(Reason.NOT_OWNER)
        address = parse_localpart(localpart)
        peer, did = address.peers[0], address.did
        if did is None:
            bound = yield from bindings.bound(owner, peer)
            did = bound if bound in owned else owned[0]
        if did not in owned:
            raise Refused(Reason.NOT_OWNER)
        return (yield from lately.last_text(did, peer))
