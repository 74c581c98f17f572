"""The sections of the configuration as pydantic models. Only `config` imports this, and words the errors.

Secrets are read before the models see them: `config_secrets` has the forms in which they may be written.
"""

import logging
import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    Field,
    InstanceOf,
    SecretStr,
    StringConstraints,
    model_validator,
)

from smsbridge.config_contacts import BookSettings, Contacts, ContactSettings
from smsbridge.config_secrets import secret_forms
from smsbridge.config_sizes import Size
from smsbridge.config_spans import Span
from smsbridge.config_types import (
    AbsolutePath,
    Cap,
    ContactUri,
    DidKey,
    Domain,
    ListenEndpoint,
    MirrorWord,
    Origin,
    Owner,
    Price,
    Proxy,
    PublicUrl,
    Region,
    RemoteEndpoint,
    RosterWord,
    StoreUrl,
    default_store_url,
)
from smsbridge.config_yaml import Place
from smsbridge.core.address import Did
from smsbridge.core.faces import Roster
from smsbridge.core.gate import NORTH_AMERICA
from smsbridge.core.line import AddressStyle, Mirror, Receipts, Republish
from smsbridge.core.message import ProviderName
from smsbridge.core.words.say import Language
from smsbridge.log import Format
from smsbridge.store.opening import SQLITE
from smsbridge.store.retention import Spans
from smsbridge.web.sources import LOCAL_PROXIES

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Who repeats itself later than this is no carrier that we know: VoIP.ms lists 92 days.
LEAST_KEYS, LEAST_METADATA, LEAST_TROUBLED = timedelta(days=92), timedelta(days=7), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One section under `providers`: `settings` is an instance of the kind's own settings model."""

    name: ProviderName
    kind: str
    settings: BaseModel


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Every key that an operator may write in the section of a model."""
    forms = {form.field: form.keys for form in secret_forms(model)}
    return tuple(key for name in model.model_fields for key in forms.get(name, (name,)))


class Section(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """What all sections have in common: unknown keys are a problem, and no error carries what was written."""


class XmppSettings(Section):
    """The component's name and its way to the server. `ping` is who answers the fence.

    `server_config` is ejabberd's own file, which tells what it shows to nobody.
    """

    jid: Domain
    server: RemoteEndpoint = Field(default="127.0.0.1:5347", validate_default=True)
    secret: SecretStr
    ping: Domain = Field(default_factory=lambda fields: fields["jid"].partition(".")[2])
    server_config: AbsolutePath | None = None

    @model_validator(mode="after")
    def _has_somebody_to_ping(self) -> "XmppSettings":
        if not self.ping:
            raise ValueError("ping is missing: name the XMPP server's own domain, such as ping: example.com")
        return self


class HttpSettings(Section):
    """`listen` is what carriers reach through the reverse proxy; `internal` has health and metrics, None is off.

    `proxies`: whose X-Forwarded-For is believed. The limits are for all connections, and for each address.
    """

    listen: ListenEndpoint = Field(default="127.0.0.1:8080", validate_default=True)
    internal: ListenEndpoint | None = Field(default="127.0.0.1:8081", validate_default=True)
    public_url: PublicUrl | None = None
    proxies: tuple[Proxy, ...] = LOCAL_PROXIES
    connections: Annotated[int, Field(ge=16, le=512)] = 256
    per_address: Annotated[int, Field(ge=1)] = 16
    callbacks_a_minute: Annotated[int, Field(ge=60)] = 600

    @model_validator(mode="after")
    def _listens_apart(self) -> "HttpSettings":
        if self.internal == self.listen and self.listen.port:
            raise ValueError("listen and internal are the same address: give each a port of its own")
        return self


class StoreSettings(Section):
    """Where messages wait. A relative path starts at the working directory; the password is PostgreSQL's."""

    url: StoreUrl = Field(default_factory=default_store_url)
    password: SecretStr | None = None
    min_free: Size = Field(
        default=64 * 2**20, description="less of SQLite's disk free, such as 64M, and nothing new is taken"
    )

    @property
    def path(self) -> Path | None:
        """The database file, if it is one."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

    @property
    def contacts_directory(self) -> Path:
        """Where what was read of address books is kept: beside the database."""
        return self.media_directory.with_suffix(".contacts")

    @property
    def media_directory(self) -> Path:
        """Where attachments wait that came in: beside the database."""
        return self._beside("media")

    @property
    def outgoing_directory(self) -> Path:
        """Where files wait that go out."""
        return self._beside("outgoing")

    @property
    def served_directory(self) -> Path:
        """Where attachments are that we give out ourselves."""
        return self._beside("served")

    def _beside(self, suffix: str) -> Path:
        beside = self.path or Path(default_store_url().removeprefix(SQLITE))
        return beside.with_name(f"{beside.name}.{suffix}")

    @model_validator(mode="after")
    def _has_use_for_a_password(self) -> "StoreSettings":
        if self.password is not None and self.path is not None:
            raise ValueError("SQLite takes no password: file permissions protect it")
        return self


class LineSettings(Section):
    """What differs for one DID."""

    provider: ProviderName | None = Field(default=None, description="the account it goes over; with one, that one")
    receipts: Receipts = Field(default=Receipts.ACCEPTED, description="what the tick means")
    mms: bool = Field(default=True, description="false: texts only, no pictures")
    stop_words: bool = Field(default=True, description="after STOP from somebody, texts to him are refused until START")


class CapSettings(Section):
    """The most that one of them may send; null is no cap."""

    minute: Cap | None = Field(default=None, description="texts in a minute")
    day: Cap | None = Field(default=None, description="texts in a day")
    new_peers_a_day: Cap | None = Field(default=None, description="numbers in a day that were never texted before")
    spend_a_day: Price | None = Field(default=None, description="money in a day; needs prices")
    spend_a_month: Price | None = Field(default=None, description="money in a month; needs prices")


class OwnerCaps(CapSettings):
    """Those of an owner hold though nobody wrote any."""

    minute: Cap | None = Field(default=30, description="texts in a minute")
    day: Cap | None = Field(default=300, description="texts in a day")
    new_peers_a_day: Cap | None = Field(default=20, description="numbers in a day that were never texted before")


class CapsSettings(Section):
    """Limits against surprise. Days and months begin in UTC."""

    per_owner: OwnerCaps = Field(default=OwnerCaps(), description="the most that one owner may send")
    per_did: CapSettings = Field(default=CapSettings(), description="the most that may be sent from one number")
    whole: CapSettings = Field(default=CapSettings(), description="the most that all together may send")


class Prices(Section):
    """What one text costs."""

    sms: Price = Field(description="for each segment")
    mms: Price = Field(description="for each message")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(default="USD", description="ISO 4217")


class Retention(Section):
    """How long what has ended is kept: texts, the trail of them, and what tells a repeat."""

    bodies: Span = Field(
        default="7d",
        validate_default=True,
        description="texts that arrived or left; 0: no longer than it takes to be sure",
    )
    troubled: Span = Field(
        default="30d", validate_default=True, description="texts that failed or are in doubt; 1d or more"
    )
    metadata: Span = Field(
        default="90d", validate_default=True, description="who, when and what became of it; 7d or more"
    )
    keys: Span = Field(default="180d", validate_default=True, description="what tells a carrier's repeat; 92d or more")

    @property
    def spans(self) -> Spans:
        """As the store has them."""
        return Spans(bodies=self.bodies, troubled_bodies=self.troubled, rows=self.metadata, inbox_keys=self.keys)

    @model_validator(mode="after")
    def _forgets_nothing_that_is_needed(self) -> "Retention":
        if self.keys < LEAST_KEYS or self.keys < self.metadata:
            raise ValueError(f"keys must last {LEAST_KEYS.days}d at least and outlast metadata, or texts come twice")
        if self.troubled < LEAST_TROUBLED:
            raise ValueError("troubled must last 1d at least: its writer may still be asked about it")
        if self.metadata < max(LEAST_METADATA, self.bodies, self.troubled):
            raise ValueError(f"metadata must last {LEAST_METADATA.days}d at least, and outlast bodies and troubled")
        return self


class MediaSettings(Section):
    """What becomes of pictures and other files."""

    inbound: Republish = Field(
        default=Republish.UPLOAD,
        description="put what comes in on the XMPP server's upload service, serve it ourselves, or link to it",
    )
    serve_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=7, description="how long a link lasts that we serve ourselves"
    )
    fetch_from: tuple[Origin, ...] = Field(
        default=(),
        description="places (https://host) that users' files are fetched from, besides the server's upload service",
    )
    near: tuple[Origin, ...] = Field(
        default=(), description="places (https://host:port) that may be called though their address is private"
    )

    @model_validator(mode="after")
    def _fetches_what_may_be_called(self) -> "MediaSettings":
        for origin in self.fetch_from:
            if not origin.startswith("https://") and origin not in self.near:
                raise ValueError(f"fetch_from: {origin} does not speak https; name it in near as well if that is meant")
        return self


class LogSettings(Section):
    """How the journal is written; the default suits a terminal and a service alike."""

    format: Format = Field(
        default_factory=lambda: "console" if sys.stderr.isatty() else "json",
        description="for eyes or for programs; default: console on a terminal, else json",
    )
    level: Literal["debug", "info", "warning"] = Field(default="info", description="the least that is worth a line")

    @property
    def threshold(self) -> int:
        """The level as `logging` counts it."""
        return logging.getLevelNamesMapping()[self.level.upper()]


class Config(Section):
    """The whole configuration, valid in itself."""

    xmpp: XmppSettings = Field(description="the component's name and its way to the XMPP server")
    http: HttpSettings = Field(default_factory=HttpSettings, description="where carriers call, and health is asked")
    store: StoreSettings = Field(default_factory=StoreSettings, description="where messages wait")
    providers: dict[ProviderName, InstanceOf[Account]] = Field(
        description="one section for each account at a carrier, by a name of yours"
    )
    jids: dict[Owner, tuple[DidKey, ...]] = Field(description="who owns which numbers, the usual one first")
    lines: dict[DidKey, LineSettings] = Field(default={}, description="what differs for one number")
    admins: tuple[Owner, ...] = Field(default=(), description="who hears of texts to nobody, and of faults")
    language: Language | None = Field(
        default=None, description="in which the bridge speaks; default: the client's if it is one of them, else en"
    )
    languages: dict[Owner, Language] = Field(default={}, description="who is spoken to in another one")
    contact: tuple[ContactUri, ...] = Field(
        default=(), description="where this gateway's administrator is reached, for everybody to read"
    )
    contacts: Contacts = Field(default={}, description="who has which number, for all owners")
    contacts_of: dict[Owner, Contacts] = Field(default={}, description="the same for single owners, before the others")
    address_books: dict[str, BookSettings] = Field(default={}, description="names from files of vCards and CardDAV")
    roster: RosterWord = Field(default=Roster.AUTO, description="which numbers are put into owners' contact lists")
    address_style: AddressStyle = Field(default=AddressStyle.PLAIN, description="from which JID a text comes")
    caps: CapsSettings = Field(default=CapsSettings(), description="the most that may be sent")
    loop_breaker: bool = Field(
        default=True, description="stop two numbers for 10 minutes that answer each other as machines do"
    )
    prices: Prices | None = Field(default=None, description="what one text costs")
    sent_elsewhere: MirrorWord = Field(
        default=Mirror.CARBON, description="how a text shows that was sent in the portal"
    )
    retention: Retention = Field(default_factory=Retention, description="how long what has ended is kept")
    media: MediaSettings = Field(default=MediaSettings(), description="what becomes of pictures and other files")
    destinations: tuple[Region, ...] = Field(
        default=(NORTH_AMERICA,),
        description="the countries that may be texted, as ISO 3166 has them; US stands for CA too",
    )
    usual_destinations: tuple[Region, ...] = Field(
        default=(NORTH_AMERICA,),
        description="the first text to any other country, or to a short code, waits until its writer confirms it",
    )
    log: LogSettings = Field(default_factory=LogSettings, description="how the journal is written")

    def provider_of(self, did: Did) -> ProviderName:
        """The provider of an owned DID: the named one, or the only one."""
        named = self.lines[did].provider if did in self.lines else None
        return named or next(iter(self.providers))


SECTIONS: dict[Place, type[BaseModel]] = {  # "*" is any key
    (): Config,
    ("xmpp",): XmppSettings,
    ("http",): HttpSettings,
    ("store",): StoreSettings,
    ("lines", "*"): LineSettings,
    ("contacts", "*"): ContactSettings,
    ("contacts_of", "*", "*"): ContactSettings,
    ("address_books", "*"): BookSettings,
    ("caps",): CapsSettings,
    ("caps", "per_owner"): OwnerCaps,
    ("caps", "per_did"): CapSettings,
    ("caps", "whole"): CapSettings,
    ("prices",): Prices,
    ("retention",): Retention,
    ("media",): MediaSettings,
    ("log",): LogSettings,
}
