"""What a value of the configuration may be: endpoints, domains, numbers, URLs, amounts; refused in words."""

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from smsbridge.config_yaml import quoted
from smsbridge.core.address import E164, Did, parse_did
from smsbridge.core.faces import Roster
from smsbridge.core.gate import NORTH_AMERICA
from smsbridge.core.line import Mirror
from smsbridge.media.fetch import origin_of
from smsbridge.store.opening import SQLITE
from smsbridge.xmpp.jids import bare, owner_jid

_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[^?#\s]*)?")

_CONTACT = re.compile(r"(mailto|xmpp|https?|sips?|tel):[\x21\x23-\x3b\x3d\x3f-\x7e]{3,200}")


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


def _origin(text: str) -> str:
    try:
        origin = origin_of(text)
    except ValueError:
        origin = ""
    if not origin or text.rstrip("/") not in {origin, f"{origin}:443", f"{origin}:80"}:
        raise ValueError("scheme, host and port are expected, such as https://upload.example.com:5281")
    return origin


def _off(word: object) -> object:
    """YAML 1.1 takes an unquoted `off` for false."""
    return "off" if word is False else word


def _contact(text: str) -> str:
    if not _CONTACT.fullmatch(text):
        raise ValueError("a URI is expected, such as mailto:admin@example.com or xmpp:admin@example.com")
    return text


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


def default_store_url() -> str:
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
RosterWord = Annotated[Roster, BeforeValidator(_off)]
MirrorWord = Annotated[Mirror, BeforeValidator(_off)]
Origin = Annotated[str, AfterValidator(_origin)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
ContactUri = Annotated[str, AfterValidator(_contact)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Price = Annotated[Decimal, Field(ge=0, json_schema_extra={"pattern": r"^(\$\{\w+\}|[0-9]*\.?[0-9]+)$"})]
Cap = Annotated[int, Field(ge=1)]
