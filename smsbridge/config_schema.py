"""The sections of the configuration as pydantic models. Only `config` imports this, and words the errors.

Secrets are read before the models see them: `config_secrets` has the forms in which they may be written.
"""

import logging
import os
import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    InstanceOf,
    PlainValidator,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from smsbridge.config_secrets import secret_forms
from smsbridge.config_spans import Span
from smsbridge.config_yaml import Place, quoted
from smsbridge.core.address import E164, Did, parse_did
from smsbridge.core.gate import NORTH_AMERICA
from smsbridge.core.line import AddressStyle, Mirror, Receipts
from smsbridge.core.message import ProviderName
from smsbridge.log import Format
from smsbridge.store.opening import SQLITE
from smsbridge.store.retention import Spans
from smsbridge.web.sources import LOCAL_PROXIES
from smsbridge.xmpp.jids import bare, owner_jid

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Who repeats itself later than this is no carrier that we know: VoIP.ms lists 92 days.
LEAST_KEYS, LEAST_METADATA, LEAST_TROUBLED = timedelta(days=92), timedelta(days=7), timedelta(days=1)
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[^?#\s]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and a TCP port."""

    host: str
    port: int

    def is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


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


def endpoint(text: object) -> Endpoint:
    """`host:port`, an IPv6 host in brackets; raises ValueError."""
    if isinstance(text, Endpoint):
        return text
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, such as [::1]:8080")
    if not (host and colon and port.isascii() and port.isdigit()):
        raise ValueError("a host and a port are expected, such as 127.0.0.1:8080")
    if len(port) > 5 or int(port) > 65535:
        raise ValueError("a port is a number up to 65535")
    return Endpoint(host=host, port=int(port))


def _remote_endpoint(text: object) -> Endpoint:
    found = endpoint(text)
    if found.port == 0:
        raise ValueError("a port is a number from 1 to 65535")
    return found


def _domain(text: str) -> str:
    try:
        domain = bare(text)
    except ValueError:
        domain = "@"
    if "@" in domain or "/" in text:
        raise ValueError("a domain is expected, such as sms.example.com")
    return domain


def _absolute_path(text: object) -> Path:
    path = Path(text if isinstance(text, str | Path) else "")
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError("an absolute path is expected, such as /etc/ejabberd/ejabberd.yml")
    return path


def _did(text: str) -> Did:
    try:
        return parse_did(text)
    except ValueError as error:
        meant = quoted(text)
        raise ValueError(f'{error}: write "{meant}"' if meant != text else str(error)) from None


def _region(text: str) -> str:
    if text == "CA":
        raise ValueError(f"{NORTH_AMERICA} stands for the United States and Canada: write {NORTH_AMERICA}")
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("not a country: two capital letters after ISO 3166 are expected, such as US or GB")
    return text


def _proxy(text: object) -> IPv4Network | IPv6Network:
    if isinstance(text, IPv4Network | IPv6Network):
        return text
    try:
        network = ip_network(text if isinstance(text, str) else "")
    except ValueError:
        raise ValueError("an address or a network is expected, such as 127.0.0.1 or 10.0.0.0/8") from None
    if not network.prefixlen:
        raise ValueError("this is everybody: name your reverse proxies only, whoever it is may claim any address")
    return network


def _public_url(text: str) -> str:
    if not _PUBLIC_URL.fullmatch(text):
        raise ValueError("a URL is expected, such as https://sms.example.com")
    return text.rstrip("/")


def _store_url(text: str) -> str:
    if text.partition(":")[0] in {"postgresql", "postgres"}:
        return _postgres_url(text)
    if text.partition(":")[0] != "sqlite":
        raise ValueError(
            "sqlite or postgresql is expected, such as sqlite:////var/lib/smsbridge/smsbridge.db"
            " or postgresql://smsbridge@db.example.com/smsbridge"
        )
    if not text.startswith(SQLITE) or not text.removeprefix(SQLITE).strip("/") or text.endswith("/"):
        raise ValueError(f"{SQLITE} and the path of a file are expected: four slashes where the path is absolute")
    return text


def _postgres_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        keys = parse_qs(parts.query, keep_blank_values=True)
        is_secret = parts.password is not None or any(key.endswith("password") for key in keys)
    except ValueError:
        raise ValueError("this is no URL: postgresql://user@host:port/database is expected") from None
    if is_secret:
        raise ValueError("a password does not belong into the URL, which is logged: write it to a password_file")
    if not parts.netloc or not parts.path.strip("/"):
        raise ValueError("a host and a database are missing: postgresql://user@host:port/database is expected")
    return text


def _default_store_url() -> str:
    # systemd sets STATE_DIRECTORY to one or more paths, joined by colons
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return f"{SQLITE}{state}/smsbridge.db" if state else f"{SQLITE}smsbridge.db"


_ENDPOINT_SCHEMA = {"type": "string", "pattern": r"^(.+:[0-9]{1,5}|.*\$\{\w+\}.*)$"}
ListenEndpoint = Annotated[Endpoint, PlainValidator(endpoint), WithJsonSchema(_ENDPOINT_SCHEMA)]
RemoteEndpoint = Annotated[Endpoint, PlainValidator(_remote_endpoint), WithJsonSchema(_ENDPOINT_SCHEMA)]
Proxy = Annotated[IPv4Network | IPv6Network, PlainValidator(_proxy), WithJsonSchema({"type": "string"})]
Domain = Annotated[str, AfterValidator(_domain)]
AbsolutePath = Annotated[Path, PlainValidator(_absolute_path), WithJsonSchema({"type": "string"})]
DidKey = Annotated[Did, AfterValidator(_did), Field(json_schema_extra={"pattern": f"^{E164.pattern}$"})]
Owner = Annotated[str, AfterValidator(owner_jid), Field(json_schema_extra={"pattern": "^[^@/]+@[^@/]+$"})]
Region = Annotated[str, AfterValidator(_region), Field(json_schema_extra={"pattern": "^[A-Z]{2}$"})]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Price = Annotated[Decimal, Field(ge=0, json_schema_extra={"pattern": r"^(\$\{\w+\}|[0-9]*\.?[0-9]+)$"})]
Cap = Annotated[int, Field(ge=1)]


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

    url: StoreUrl = Field(default_factory=_default_store_url)
    password: SecretStr | None = None

    @property
    def path(self) -> Path | None:
        """The database file, if it is one."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

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
    address_style: AddressStyle = Field(default=AddressStyle.PLAIN, description="from which JID a text comes")
    caps: CapsSettings = Field(default=CapsSettings(), description="the most that may be sent")
    loop_breaker: bool = Field(
        default=True, description="stop two numbers for 10 minutes that answer each other as machines do"
    )
    prices: Prices | None = Field(default=None, description="what one text costs")
    sent_elsewhere: Mirror = Field(default=Mirror.CARBON, description="how a text shows that was sent in the portal")
    retention: Retention = Field(default_factory=Retention, description="how long what has ended is kept")
    destinations: tuple[Region, ...] = Field(
        default=(NORTH_AMERICA,),
        description="the countries that may be texted, as ISO 3166 has them; US stands for CA too",
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
    ("caps",): CapsSettings,
    ("caps", "per_owner"): OwnerCaps,
    ("caps", "per_did"): CapSettings,
    ("caps", "whole"): CapSettings,
    ("prices",): Prices,
    ("retention",): Retention,
    ("log",): LogSettings,
}
