"""What every use case works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock, system_clock
from smsbridge.core.errors import Reason
from smsbridge.core.gate import Policy
from smsbridge.core.line import AddressStyle, Directory
from smsbridge.core.message import ProviderName
from smsbridge.core.ration import Ration
from smsbridge.metrics import Metrics
from smsbridge.store.database import Database
from smsbridge.store.ids import Ids
from smsbridge.store.retention import Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration decides; a reload replaces it whole."""

    directory: Directory
    policy: Policy = field(default_factory=Policy)
    address_style: AddressStyle = AddressStyle.PLAIN
    admins: tuple[str, ...] = ()
    rations: Mapping[ProviderName, Ration] = field(default_factory=dict)
    spans: Spans = field(default_factory=Spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The store, the time and the rules.

    `domain` is the component's; `holder` is `node/life`, the name under which this process claims; `words` the
    sentence for a reason; `wake_stream` and `wake_senders` are called after a commit that gave them work;
    `pulse` is where a loop that lives as long as the process promises to turn again.
    """

    database: Database
    ids: Ids
    clock: Clock
    metrics: Metrics
    domain: str
    holder: str
    rules: Callable[[], Rules]
    words: Callable[[Reason], str]
    wake_stream: Callable[[], None]
    wake_senders: Callable[[], None]
    pulse: Pulse = field(default_factory=lambda: Pulse(system_clock()))

    def now(self) -> datetime:
        return self.clock.now()
