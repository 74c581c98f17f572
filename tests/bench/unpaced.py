"""VoIP.ms as it would be without its limits: the very same code, found by the bridge as a third party's carrier is.

VoIP.ms takes about three calls a second. Behind that pace nothing of the bridge's own speed can be seen.
"""

from dataclasses import replace
from pathlib import Path

import aiohttp

from smsbridge.core.message import ProviderName
from smsbridge.providers.contract import ENTRY_POINTS, Provider, ProviderKind
from smsbridge.providers.voipms import KIND as PACED
from smsbridge.providers.voipms.api import Settings
from smsbridge.providers.voipms.provider import CAPABILITIES, VoipMs, build

NAME = "unpaced"
IN_FLIGHT = 64


def _build(name: ProviderName, settings: Settings, session: aiohttp.ClientSession) -> Provider:
    provider = build(name, settings, session)
    assert isinstance(provider, VoipMs)
    provider.capabilities = replace(CAPABILITIES, calls_per_second=100_000.0, in_flight=IN_FLIGHT)
    return provider


KIND = ProviderKind(kind=NAME, settings=PACED.settings, build=_build)


def install(directory: Path) -> dict[str, str]:
    """Write what an installed package would leave there; the environment in which a process finds the kind."""
    package = directory / "smsbridge_unpaced-1.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: smsbridge-unpaced\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{NAME} = tests.bench.unpaced:KIND\n")
    return {"PYTHONPATH": f"{Path.cwd()}:{directory}"}
