"""The composition of what reads carriers' lists: for what was missed, what is in doubt, and what has arrived."""

import random
from collections.abc import Mapping

from smsbridge.bridge.desk import Desk
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.looking import Looking
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.poller import Poller
from smsbridge.bridge.reporting import Reporting
from smsbridge.core.message import ProviderName
from smsbridge.providers.contract import Polled, Provider, Reported, Traceable

Providers = Mapping[ProviderName, Provider]
Pacers = Mapping[ProviderName, Pacer]


def build_looking(desk: Desk, providers: Providers, pacers: Pacers) -> dict[ProviderName, Looking]:
    """One for each account whose list can be asked what it has sent."""
    return {
        name: Looking(desk, name, provider, pacers[name])
        for name, provider in providers.items()
        if isinstance(provider, Traceable)
    }


def build_readers(desk: Desk, providers: Providers, pacers: Pacers, inbound: Inbound) -> list[Poller | Reporting]:
    """What is to be run for each account that lists its texts, or how they fared."""
    readers: list[Poller | Reporting] = []
    for name, provider in providers.items():
        if isinstance(provider, Polled):
            readers.append(Poller(desk, name, provider, pacers[name], inbound, roll=random.random))
        if isinstance(provider, Reported):
            readers.append(Reporting(desk, name, provider, pacers[name], inbound, roll=random.random))
    return readers
