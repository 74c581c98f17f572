"""The carrier in a box with a clock that a test moves, and calls of its endpoint."""

from datetime import UTC, datetime, timedelta

from smsbridge.core.address import Did, Peer
from smsbridge.providers.http import Caller, Deadlines
from smsbridge.providers.voipms.api import API_URL, Api, Settings
from smsbridge.providers.voipms.listing import Listing, Query, eastern_day, list_texts
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.faults import FaultPlan

DID, OTHER_DID = Did("+15551230001"), Did("+15551230002")
PEER = Peer("+15559870002")


def api_of(session, url: str = API_URL, password: str = "carrier-password") -> Api:
    section = Settings(username="john@example.com", password=password, query_keys=["k"], api_url=url)
    return Api(section, Caller(session, Deadlines()))


class Box:
    """A carrier in a box whose clock a test moves, and a way to list what it has."""

    def __init__(self) -> None:
        self.now = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)
        self.faults = FaultPlan()
        self.carrier: Carrier
        self.api: Api

    async def list(self, **narrowed: object) -> Listing:
        today = eastern_day(self.now)
        query = Query(first=today - timedelta(days=1), last=today + timedelta(days=1), **narrowed)
        return await list_texts(self.api, query, (DID, OTHER_DID))


async def send(box: Box, text: str, did: str = "5551230001", **media: str) -> str:
    method, kind = ("sendMMS", "mms") if media else ("sendSMS", "sms")
    answer = await box.api.ask(method, did=did, dst="5559870002", message=text, **media)
    assert answer["status"] == "success"
    return str(answer[kind])
