"""The sections of the configuration as pydantic models. Only `config` imports this, and words the errors.

Secrets are read before the models see them: `config_secrets` has the forms in which they may be written.
"""

import logging
import os
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

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
from smsbridge.config_yaml import Place, quoted
from smsbridge.core.address import Did, parse_did
from smsbridge.core.gate import NORTH_AMERICA
from smsbridge.core.line import AddressStyle, Receipts
from smsbridge.core.message import ProviderName
from smsbridge.log import Format
from smsbridge.xmpp.jids import bare, owner_jid

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SQLITE = "sqlite:///"
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


def _public_url(text: str) -> str:
    if not _PUBLIC_URL.fullmatch(text):
        raise ValueError("a URL is expected, such as https://sms.example.com")
    return text.rstrip("/")


def _store_url(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if scheme != "sqlite":
        raise ValueError("only sqlite is supported by this version, such as sqlite:////var/lib/smsbridge/smsbridge.db")
    if not text.startswith(_SQLITE) or not rest.strip("/") or text.endswith("/"):
        raise ValueError(f"{_SQLITE} and the path of a file are expected: four slashes where the path is absolute")
    return text


def _default_store_url() -> str:
    # systemd sets STATE_DIRECTORY to one or more paths, joined by colons
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return f"{_SQLITE}{state}/smsbridge.db" if state else f"{_SQLITE}smsbridge.db"


ListenEndpoint = Annotated[Endpoint, PlainValidator(endpoint), WithJsonSchema({"type": "string"})]
RemoteEndpoint = Annotated[Endpoint, PlainValidator(_remote_endpoint), WithJsonSchema({"type": "string"})]
Domain = Annotated[str, AfterValidator(_domain)]
DidKey = Annotated[Did, AfterValidator(_did)]
Owner = Annotated[str, AfterValidator(owner_jid)]
Region = Annotated[str, AfterValidator(_region)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Price = Annotated[Decimal, Field(ge=0)]
Cap = Annotated[int, Field(ge=1)]


class Section(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """What all sections have in common: unknown keys are a problem, and no error carries what was written."""


class XmppSettings(Section):
    """The component's name and its way to the server. `ping` is who answers the fence."""

    jid: Domain
    server: RemoteEndpoint = Field(default="127.0.0.1:5347", validate_default=True)
    secret: SecretStr
    ping: Domain = Field(default_factory=lambda fields: fields["jid"].partition(".")[2])

    @model_validator(mode="after")
    def _has_somebody_to_ping(self) -> "XmppSettings":
        if not self.ping:
            raise ValueError("ping is missing: name the XMPP server's own domain, such as ping: example.com")
        return self


class HttpSettings(Section):
    """`listen` is what carriers reach through the reverse proxy; `internal` has health and metrics, None is off."""

    listen: ListenEndpoint = Field(default="127.0.0.1:8080", validate_default=True)
    internal: ListenEndpoint | None = Field(default="127.0.0.1:8081", validate_default=True)
    public_url: PublicUrl | None = None

    @model_validator(mode="after")
    def _listens_apart(self) -> "HttpSettings":
        if self.internal == self.listen and self.listen.port:
            raise ValueError("listen and internal are the same address: give each a port of its own")
        return self


class StoreSettings(Section):
    """Where messages wait. A relative path starts at the working directory."""

    url: StoreUrl = Field(default_factory=_default_store_url)

    @property
    def path(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix(_SQLITE))


class LineSettings(Section):
    """What differs for one DID."""

    provider: ProviderName | None = None
    receipts: Receipts = Receipts.ACCEPTED
    mms: bool = True


class OwnerCaps(Section):
    """The most that one owner may send."""

    minute: Cap = 30
    day: Cap = 300
    new_peers_a_day: Cap = 20


class Caps(Section):
    """Limits against surprise."""

    per_owner: OwnerCaps = OwnerCaps()


class Prices(Section):
    """What one text costs."""

    sms: Price
    mms: Price
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"


class LogSettings(Section):
    """How the journal is written; the default suits a terminal and a service alike."""

    format: Format = Field(default_factory=lambda: "console" if sys.stderr.isatty() else "json")
    level: Literal["debug", "info", "warning"] = "info"

    @property
    def threshold(self) -> int:
        """The level as `logging` counts it."""
        return logging.getLevelNamesMapping()[self.level.upper()]


class Config(Section):
    """The whole configuration, valid in itself."""

    xmpp: XmppSettings
    http: HttpSettings = Field(default_factory=HttpSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    providers: dict[ProviderName, InstanceOf[Account]]
    jids: dict[Owner, tuple[DidKey, ...]]
    lines: dict[DidKey, LineSettings] = {}
    admins: tuple[Owner, ...] = ()
    address_style: AddressStyle = AddressStyle.PLAIN
    caps: Caps = Caps()
    prices: Prices | None = None
    destinations: tuple[Region, ...] = (NORTH_AMERICA,)
    log: LogSettings = Field(default_factory=LogSettings)

    def provider_of(self, did: Did) -> ProviderName:
        """The provider of an owned DID: the named one, or the only one."""
        named = self.lines[did].provider if did in self.lines else None
        return named or next(iter(self.providers))


def schema_of(model: type[BaseModel], ref_template: str) -> dict[str, Any]:
    """A model's JSON Schema, with every form in which its secrets may be written."""
    schema = model.model_json_schema(ref_template=ref_template)
    for forms in secret_forms(model):
        properties: dict[str, Any] = schema["properties"]
        for key in forms.keys:
            properties.setdefault(key, {"type": "string"})
        properties[forms.file] = {"type": "string", "description": "a path, or the name of a systemd credential"}
        if forms.field in schema.get("required", ()):
            schema["required"].remove(forms.field)
    return schema


SECTIONS: dict[Place, type[BaseModel]] = {  # "*" is any key
    (): Config,
    ("xmpp",): XmppSettings,
    ("http",): HttpSettings,
    ("store",): StoreSettings,
    ("lines", "*"): LineSettings,
    ("caps",): Caps,
    ("caps", "per_owner"): OwnerCaps,
    ("prices",): Prices,
    ("log",): LogSettings,
}
