"""What a carrier is to the bridge: a name, capabilities as data, a way out, and optional abilities.

A provider translates and does nothing else: no retry, no sleep, no store, no metrics. Third parties plug in by
the entry-point group `smsbridge.providers`, whose objects are `ProviderKind`s.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

import aiohttp
from pydantic import BaseModel, ConfigDict, Field

from smsbridge.core.address import Did
from smsbridge.core.alerts import Alert
from smsbridge.core.doubt import OnUnknown, Unknowns
from smsbridge.core.line import CatchUp
from smsbridge.core.message import (
    DeliveryReport,
    Event,
    InboundMessage,
    Kind,
    Media,
    Part,
    ProviderMessageId,
    ProviderName,
)
from smsbridge.core.segments import Limit
from smsbridge.core.words.say import Words

ENTRY_POINTS = "smsbridge.providers"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Limits as data. `sms`: every limit one SMS part must keep; `mms_text`: likewise, empty if no MMS.

    `media_bytes` per attachment; `media_places`: the origins (https://host) that it serves
    attachments from, so that they are fetched from nowhere else, and not at all if there are none; `delivery_reports`:
    it tells what arrived, by itself or when asked (`Reported`); `callback_bytes` the largest callback body worth
    reading, rates per account.
    """

    sms: tuple[Limit, ...]
    mms_text: tuple[Limit, ...] = ()
    media_count: int = 0
    media_bytes: int = 0
    media_types: frozenset[str] = frozenset()
    media_places: frozenset[str] = frozenset()
    delivery_reports: bool = False
    idempotent: bool = False
    shortcodes: bool = False
    calls_per_second: float = 3.0
    in_flight: int = 4
    callback_bytes: int = 64 * 1024


class Provider(Protocol):
    """One account at one carrier."""

    @property
    def name(self) -> ProviderName: ...

    @property
    def kind(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...


def abilities(providers: Mapping[ProviderName, Provider]) -> dict[ProviderName, Capabilities]:
    """What each account can carry."""
    return {name: provider.capabilities for name, provider in providers.items()}


@runtime_checkable
class Sends(Protocol):
    """A carrier that takes a part when we call it."""

    async def send(self, part: Part) -> ProviderMessageId:
        """Send one part. Raises `Rejected`, `Deferred` or `Indeterminate`, nothing else."""
        ...


class Callback(NamedTuple):
    """An HTTP request of a carrier. `query` keeps repeats and order; header names have no case, the first counts."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    received_at: datetime | None = None


class Parsed(NamedTuple):
    """What a callback said. `wants`: how many parts a phone that fetches would take; `wait`: how long it would."""

    events: tuple[Event, ...] = ()
    wants: int = 0
    wait: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the carrier must read as "yes, it is safe with us"."""

    status: int = 200
    content_type: str = "text/plain"
    body: bytes = b""


@runtime_checkable
class Webhooked(Protocol):
    """A carrier that calls us. Both functions are pure."""

    @property
    def paths(self) -> tuple[str, ...]:
        """URL paths it may call, such as `/hook/voipms`; what begins with `/media/` is the bridge's own."""
        ...

    def authenticate(self, callback: Callback) -> None:
        """Before the body is read: raises `Unauthentic` where the path, query or headers already tell."""
        ...

    def parse(self, callback: Callback) -> Parsed:
        """Raises `Unauthentic` or `Malformed`.

        Files that the callback itself brings are `Media` with `content`: they are committed with their text.
        """
        ...

    def answer(self, parsed: Parsed, parts: Sequence[Part]) -> Answer:
        """The carrier's own words for success."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a check found out, in the operator's words; `alert`: its kind, None if nothing could be learned."""

    is_good: bool
    words: Words
    alert: Alert | None = Alert.ACCOUNT


@runtime_checkable
class Checked(Protocol):
    """A carrier whose credentials can be tried without sending."""

    async def check(self, dids: Collection[Did]) -> Sequence[Finding]:
        """`dids`: those that the configuration sends over this account."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a carrier's list shows. `is_complete`: it shows all that there was, as far as can be seen.

    `reports`: what it knows for certain of how the texts fared that were sent.
    """

    events: tuple[Event, ...] = ()
    reports: tuple[DeliveryReport, ...] = ()
    is_complete: bool = True


@runtime_checkable
class Polled(Protocol):
    """A carrier that lists what came in (`InboundMessage`) and what was sent, by us or not (`SentElsewhere`)."""

    async def poll(self, since: datetime, until: datetime, dids: Collection[Did]) -> Listed:
        """From one instant to the other, which is now, or more: of the whole account, at least of these numbers.

        Raises an `Outcome`.
        """
        ...

    async def media_of(self, message: InboundMessage) -> Sequence[Media]:
        """What a listed message lacks, if it has it somewhere else. Raises an `Outcome`."""
        ...


@runtime_checkable
class Reported(Protocol):
    """A carrier that does not call when a text has arrived, and can be asked."""

    async def reports(self, since: datetime, until: datetime, dids: Collection[Did]) -> Sequence[DeliveryReport]:
        """What is known for certain of the texts sent between two instants, ours or not. Raises an `Outcome`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A text that the carrier says it has sent, and that looks like the part. `kind` is the sequence of its id."""

    kind: Kind
    provider_id: ProviderMessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What looking for a part found: `candidates`, oldest first, claimed or not.

    `is_whole`: everything that this conversation sent was shown, so that what is not there was not sent; else `code`
    says why not.
    """

    candidates: tuple[Candidate, ...] = ()
    is_whole: bool = False
    code: str = ""


@runtime_checkable
class Traceable(Protocol):
    """A carrier that lists what it sent."""

    async def trace(self, part: Part, since: datetime, now: datetime) -> Traced:
        """What the carrier shows of a part that was tried first at `since`. Raises nothing."""
        ...


@runtime_checkable
class Resettable(Protocol):
    """A carrier that takes new settings (a password, a key) while it runs."""

    def reset(self, settings: Any) -> None:
        """From the next call and callback on; what is in flight ends with the old ones. Does no I/O, never raises.

        `settings` as `build` had it. Name, paths and capabilities stay what they were.
        """
        ...


@runtime_checkable
class Rationed(Protocol):
    """Settings of an account that takes so many messages a day (None: it does not say how many)."""

    @property
    def daily_limit(self) -> int | None: ...

    @property
    def over_limit(self) -> Literal["queue", "refuse"]:
        """What becomes of those that are over: they wait for the next day, or are not taken."""
        ...

    @property
    def day_zone(self) -> tzinfo:
        """Whose midnight begins the day."""
        ...


@runtime_checkable
class CatchingUp(Protocol):
    """Settings of an account that say from when on its list is read."""

    @property
    def catch_up(self) -> CatchUp: ...


class AccountSettings(BaseModel):
    """What the section of any account may say; a kind's own settings are built on it.

    `settle_seconds`: longer than a call may take and the carrier's list may lag, or texts go twice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    on_unknown: OnUnknown = Field(
        default=OnUnknown.RECONCILE,
        description="what to do if nobody knows whether a text left: look it up (reconcile), ask its writer (hold),"
        " send it again though it may go twice (resend)",
    )
    settle_seconds: float = Field(
        default=90.0, ge=0.1, le=900.0, description="how long the carrier's list may lag behind what it takes"
    )

    @property
    def unknowns(self) -> Unknowns:
        """As the bridge has them."""
        return Unknowns(on_unknown=self.on_unknown, settle=timedelta(seconds=self.settle_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """What an entry point offers. `settings` validates the account's section of the configuration.

    A settings field of type `SecretStr` called `password` may be written as `password_file:` by the operator.
    """

    kind: str
    settings: type[BaseModel]
    build: Callable[[ProviderName, Any, aiohttp.ClientSession], Provider]


def discover_kinds() -> dict[str, ProviderKind]:
    """Every kind of provider that is installed, ours and third parties'."""
    found: dict[str, ProviderKind] = {}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        kind = point.load()
        if isinstance(kind, ProviderKind):
            found[kind.kind] = kind
    return found
