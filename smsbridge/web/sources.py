"""Whose request it is: the caller's address, behind our own reverse proxies too."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import hdrs, web

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

LOCAL_PROXIES: Final[tuple[Network, ...]] = (ip_network("127.0.0.1"), ip_network("::1"))
_MAX_HOPS: Final = 16
_CACHED: Final = 1024  # addresses: in a flood most of the time would go into reading them


class Proxies:
    """Our own reverse proxies: `address in proxies`, in whichever form it is written."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._known = lru_cache(_CACHED)(self._is_one)

    def __contains__(self, source: str) -> bool:
        return self._known(source)

    def _is_one(self, source: str) -> bool:
        address = _address_of(source)
        return address is not None and any(address in network for network in self._networks)


def source_of(request: web.BaseRequest, proxies: Proxies) -> str:
    """The caller's address: the last in X-Forwarded-For that is no proxy's of ours, as far as proxies wrote it.

    What stands left of it was written by the caller. Where a proxy told nothing, the proxy itself is the source.
    """
    source = request.remote or ""
    if hdrs.X_FORWARDED_FOR not in request.headers:
        return source
    hops = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ())).rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]
    while hops and source in proxies:
        address = _address_of(hops.pop().strip())
        if address is None:
            break
        source = str(address)
    return source


@lru_cache(_CACHED)
def source_key(source: str) -> str:
    """What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which is one household."""
    return _network(source, 32, 64)


@lru_cache(_CACHED)
def mask_source(source: str) -> str:
    """An address for the journal: its network, not its host."""
    return _network(source, 24, 48)


def _network(source: str, bits4: int, bits6: int) -> str:
    address = _address_of(source)
    if address is None:
        return ""
    return str(ip_network((address, bits4 if address.version == 4 else bits6), strict=False))


def _address_of(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
