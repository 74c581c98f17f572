"""Outlooks that a test decides on."""

import asyncio

from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.outlook import FINE
from smsbridge.core.words.say import Language
from smsbridge.xmpp.disco import profile_of
from smsbridge.xmpp.presence import Look


def look(*french):
    """How presences are told: to these bare JIDs in French."""

    def language_of(jid):
        return Language.FRENCH if jid.partition("/")[0] in french else Language.ENGLISH

    return Look(
        domain="sms.example.com",
        profile=lambda localpart, jid: profile_of(localpart, (), language_of(jid)),
        language_of=language_of,
    )


class ScriptedOutlooks:
    """`now`: of each owner and localpart, `FINE` where nothing is said; None: no number of his.

    Its store is slow until `slow_store` is set, and `fails` so often to list who watches.
    """

    def __init__(self):
        self.now = {}
        self.watchers = []
        self.slow_store = None
        self.fails = 0
        self._changed = asyncio.Event()

    async def of(self, owner, localpart):
        return self.now.get((owner, localpart), FINE)

    async def changed(self, seconds):
        await self._changed.wait()
        self._changed.clear()

    def wake(self):
        self._changed.set()

    async def _stored(self):
        if self.slow_store is not None:
            await self.slow_store.wait()

    async def remember(self, owner, number):
        await self._stored()
        self.watchers.append((owner, number))

    async def forget(self, owner, number):
        await self._stored()
        self.watchers.remove((owner, number))

    async def watched(self, after):
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("closed")
        return tuple(sorted(pair for pair in self.watchers if pair > after))
