"""A house whose carrier is the one in a box, with a door for its webhooks and a clock that both go by."""

import heapq
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.poller import Poller
from smsbridge.core.message import ProviderName
from smsbridge.providers.http import open_session
from smsbridge.providers.voipms import KIND
from smsbridge.providers.voipms.api import Settings
from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.carrier import Carrier
from smsbridge.sim.faults import FaultPlan
from smsbridge.web.app import Web, WebSettings
from smsbridge.web.health import Readiness
from smsbridge.web.webhooks import Bounds

from .house import CARRIER, OTHERS, OWN, PEER, SHARED

KEY = "kingfisher-key-of-the-test"


class Account:
    """`pause` is how its time goes by: what was planned for meanwhile happens, each thing at its moment."""

    def __init__(self, house, ticks, carrier, provider, web):
        self.house, self.ticks, self.carrier, self.provider, self.web = house, ticks, carrier, provider, web
        self.poller = self.build_poller()
        self._plan = []
        self._order = itertools.count()
        house.provider = provider
        for settings in carrier.account.dids.values():
            url = f"http://127.0.0.1:{web.public_port}/voipms?key={KEY}"
            carrier.account.dids[settings.did] = replace(settings, webhook=url, webhook_enabled=True)

    def build_poller(self):
        """What a new life begins with."""
        pacer = Pacer(replace(self.provider.capabilities, calls_per_second=1e6), self.house.desk.clock)
        return Poller(
            self.house.desk, CARRIER, self.provider, pacer, self.house.inbound, roll=lambda: 0.0, pause=self.pause
        )

    async def text(self, words, *, peer=PEER, did=OWN, is_told=True, **about):
        """Somebody texts us; `is_told`: and the webhook comes."""
        settings = self.carrier.account.dids[did[2:]]
        if not is_told:
            self.carrier.account.dids[did[2:]] = replace(settings, webhook_enabled=False)
        push = await self.carrier.text_in(peer, did, words, **about)
        await push.answered
        self.carrier.account.dids[did[2:]] = settings
        return push.row

    def plan(self, at, action):
        heapq.heappush(self._plan, (at, next(self._order), action))

    async def pause(self, seconds):
        end = self.ticks.now + timedelta(seconds=seconds)
        while self._plan and self._plan[0][0] <= end:
            at, _, action = heapq.heappop(self._plan)
            self.ticks.advance(max(timedelta(0), at - self.ticks.now))
            await action()
        self.ticks.advance(end - self.ticks.now)

    async def look(self):
        """One look; how many seconds until the next."""
        return (await self.poller.look()).total_seconds()

    async def begun(self):
        """The first look, which finds nothing and says from when on texts count."""
        await self.look()
        await self.pause(60)

    async def texts(self, owner):
        """What an owner was given, oldest first."""
        rows = await self.house.rows(
            "SELECT body, media_url FROM delivery WHERE kind IN ('text', 'media') AND to_jid = $1 ORDER BY id", owner
        )
        return [row["body"] or row["media_url"] for row in rows]


@asynccontextmanager
async def account_of(house, ticks, **options):
    """`options` of the carrier's configuration."""
    dids = tuple(DidSettings(did=did[2:]) for did in (OWN, SHARED, OTHERS))
    config = CarrierConfig(
        dids=dids, clock=lambda: ticks.now, daily_quota=None, faults=options.pop("faults", FaultPlan()), **options
    )
    carrier = await Carrier.start(config)

    async def readiness():
        return Readiness(is_ready=True, words=())

    try:
        async with open_session() as session:
            settings = Settings(
                username=config.username, password=config.password, query_keys=[KEY], api_url=carrier.api_url
            )
            provider = KIND.build(ProviderName(CARRIER), settings, session)
            web = Web(
                WebSettings(listen=("127.0.0.1", 0), internal=None, bounds=Bounds(callbacks_a_minute=6000)),
                providers=(provider,),
                take=house.inbound.take,
                readiness=readiness,
                metrics=house.metrics,
                clock=house.desk.clock,
            )
            await web.start()
            try:
                yield Account(house, ticks, carrier, provider, web)
            finally:
                await web.stop()
    finally:
        await carrier.stop()
