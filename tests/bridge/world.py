"""What is around a bridge in the model of the life of texts: a carrier, and a place where users leave their files."""

import asyncio
import itertools
from datetime import timedelta
from types import SimpleNamespace

from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Rejected
from smsbridge.core.message import Kind, ProviderMessageId
from smsbridge.media.fetch import Fault, File, NotMoved
from smsbridge.providers.contract import Candidate, Traced
from smsbridge.sim.pictures import tiny_png

ANSWERS = ("taken", "taken", "taken", "refused", "later", "account fault", "line fault")
DOUBTFUL = ("lost on its way", "lost on its way back", "hangs", "dawdles")
FETCHES = ("there", "there", "unreachable", "gone", "large")
PLACE = "https://upload.example.com"
PICTURE = tiny_png()
WATCHED = timedelta(hours=23)  # a late acceptance is looked for a day long


class Carrier:
    """Takes texts, and lists what it took; its answers get lost, and some texts it takes when nobody expects it."""

    def __init__(self, now):
        self.answer = "taken"
        self.asked = []  # parts
        self.taken = []  # (did, peer, name), oldest first
        self.late = []  # the same of those that it took long after it was asked to
        self.wrong = []  # what it was asked to send, and should not have been
        self.may = lambda _part: True
        self._now = now
        self._listed = {}
        self.dawdling = []
        self._ids = itertools.count(1)

    async def send(self, part):
        self.asked.append(part)
        if not self.may(part):
            self.wrong.append(part.text)
        match self.answer:
            case "refused":
                raise Rejected(Reason.INVALID_DESTINATION, "invalid_dst")
            case "later":
                raise Deferred(Reason.PROVIDER_DOWN, "down")
            case "account fault":
                raise Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", hold=Hold.ACCOUNT)
            case "line fault":
                raise Deferred(Reason.LINE_FAULT, "invalid_did", hold=Hold.LINE)
            case "lost on its way":
                raise Indeterminate("timeout")
            case "dawdles":
                self.dawdling.append((self._now(), part))
                raise Indeterminate("timeout")
        provider_id = self._take(part, self.taken)
        if self.answer == "lost on its way back":
            raise Indeterminate("timeout")
        if self.answer == "hangs":
            await asyncio.Event().wait()
        return provider_id

    def catch_up(self):
        """What it has dawdled over is taken."""
        for since, part in self.dawdling:
            if self._now() - since < WATCHED:
                self._take(part, self.late)
        self.dawdling = []

    def _take(self, part, among):
        among.append((part.did, part.peer, name_of(part)))
        provider_id = ProviderMessageId(f"out-{next(self._ids)}")
        self._listed[provider_id] = (part.kind, part.did, part.peer, part.text)
        return provider_id

    async def trace(self, part, _since, _now):
        wanted = (part.did, part.peer, part.text)
        alike = [(kind, pid) for pid, (kind, *rest) in self._listed.items() if tuple(rest) == wanted]
        found = tuple(Candidate(kind=Kind(kind), provider_id=pid) for kind, pid in alike)
        return Traced(candidates=found, is_whole=True)


class Shelf:
    """Where users leave their files, with who fetches from there and who would make them fit."""

    def __init__(self):
        self.answer = "there"

    async def serves(self, origin):
        return origin == PLACE

    async def learn(self):
        """There is one place."""

    async def get(self, _url, _places, **_limits):
        if self.answer == "there":
            return File("image/png", PICTURE)
        raise NotMoved(Fault(self.answer))

    async def fit(self, data, **_limits):
        return SimpleNamespace(kind="image/png", content=data, changes=())


def name_of(part):
    """What a text is known by: its link, if it has one, stands in a line of its own."""
    return part.text.partition("\n")[0]


def is_complete(part, url):
    """Whether what was attached to it goes with it, or else its link."""
    return url in part.text or [item.content for item in part.media] == [PICTURE]
