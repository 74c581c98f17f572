"""Which addresses may be called: those of the public Internet, whatever a name or another address hides.

The one place that decides it. Every address of a name must be public, and the connection goes to one that was looked
at, so a name that answers differently the second time gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST: Final = ipaddress.ip_network("2000::/3")  # RFC 4291: all else is local, mapped, or not given out
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_CLOSED: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # RFC 6890
            "192.88.99.0/24",  # RFC 7526: relays of 6to4
            "2001::/23",  # RFC 2928: Teredo and other tunnels
            "2001:db8::/32",  # RFC 3849
            "2002::/16",  # RFC 3056: 6to4, an IPv4 address inside
            "3fff::/20",  # RFC 9637
            "5f00::/16",  # RFC 9602
        ),
    )
)
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


class NotPublic(OSError):
    """A name has an address that is not for us to call."""


def is_public(address: Address) -> bool:
    """Whether this is one of the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _TRANSLATED:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST:
            return False
    is_odd = address.is_multicast or address.is_reserved or any(address in net for net in _CLOSED)
    return address.is_global and not is_odd


def is_number(host: str) -> bool:
    """Whether this is an address instead of a name, in any form that a resolver may read as one (WHATWG URL, 3.5)."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or bool(_NUMBER.fullmatch(last))


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses, or raises `NotPublic`.

    `near` are the places (host, port) that the administrator has named, and may be anywhere.
    """

    def __init__(self, inner: AbstractResolver, near: Collection[tuple[str, int]] = ()) -> None:
        self._inner = inner
        self._near = frozenset(near)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not found:
            raise OSError("the name has no address")
        if (host, port) not in self._near and not all(_is_public_one(one["host"]) for one in found):
            raise NotPublic("the name leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


def _is_public_one(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        return False
