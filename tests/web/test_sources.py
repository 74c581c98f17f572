"""Whose request it is, and what counts as one source."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from smsbridge.web.sources import LOCAL_PROXIES, Proxies, mask_source, source_key, source_of

PROXIES = Proxies((*LOCAL_PROXIES, ip_network("10.0.0.0/8"), ip_network("2001:db8:aa::/48")))


def source(remote: str, *forwarded: str) -> str:
    headers = CIMultiDict([("X-Forwarded-For", each) for each in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    return source_of(request, PROXIES)


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),  # no proxy of ours: its word counts for nothing
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.9.8.7", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.66", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.66, 198.51.100.1, 10.0.0.5,10.0.0.6"], "198.51.100.1"),
        ("127.0.0.1", ["2001:db8:1::5, 2001:db8:aa::1"], "2001:db8:1::5"),
        ("127.0.0.1", ["10.0.0.5"], "10.0.0.5"),
        ("127.0.0.1", ["192.0.2.66, not an address"], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.66, "], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.66, [2001:db8::1]:80"], "127.0.0.1"),
        ("127.0.0.1", [",".join(["192.0.2.66"] + ["10.0.0.1"] * 100)], "10.0.0.1"),
        ("", ["192.0.2.66"], ""),
    ],
)
def test_the_source_is_the_last_hop_that_is_no_proxy_of_ours(remote: str, forwarded: Sequence[str], found: str):
    assert source(remote, *forwarded) == found


def test_a_proxy_is_known_in_every_form_of_its_address():
    assert "::ffff:10.1.2.3" in PROXIES
    assert "2001:db8:00aa::7%eth0" in PROXIES
    assert "11.0.0.1" not in PROXIES
    assert "" not in PROXIES


def test_a_source_is_counted_by_household_and_logged_by_network():
    assert source_key("203.0.113.5") == "203.0.113.5/32"
    assert source_key("::ffff:203.0.113.5") == "203.0.113.5/32"
    assert source_key("2001:db8:1:2:3::4") == "2001:db8:1:2::/64"
    assert source_key("fe80::1%eth0") == "fe80::/64"
    assert mask_source("203.0.113.5") == "203.0.113.0/24"
    assert mask_source("2001:db8:1:2:3::4") == "2001:db8:1::/48"
    assert mask_source("kingfisher") == ""
