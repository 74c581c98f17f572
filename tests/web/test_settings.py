"""What an operator may write about the door, and what he is told if it is wrong."""

from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from smsbridge.config_schema import HttpSettings
from smsbridge.web.listener import WebSettings
from smsbridge.web.webhooks import Bounds

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def test_the_limits_are_the_same_wherever_a_default_stands():
    written, door, bounds = HttpSettings(), WebSettings(listen=("127.0.0.1", 0)), Bounds()
    assert (written.connections, written.per_address) == (door.connections, door.per_source) == (256, 16)
    assert written.callbacks_a_minute == bounds.callbacks_a_minute == 600
    assert written.proxies == door.proxies == (ip_network("127.0.0.1/32"), ip_network("::1/128"))
    example = yaml.safe_load(EXAMPLE.read_text())["http"]
    assert HttpSettings(**example) == written.model_copy(update={"public_url": "https://sms.example.com"})


def test_proxies_are_addresses_or_networks():
    written = HttpSettings(proxies=["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])
    assert [str(proxy) for proxy in written.proxies] == ["192.0.2.1/32", "10.0.0.0/8", "2001:db8::/32"]
    assert HttpSettings(proxies=[]).proxies == ()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"proxies": ["proxy.example.com"]}, "an address or a network is expected"),
        ({"proxies": ["10.0.0.1/8"]}, "an address or a network is expected"),
        ({"proxies": [167772160]}, "an address or a network is expected"),
        ({"proxies": ["0.0.0.0/0"]}, "this is everybody"),
        ({"proxies": ["::/0"]}, "this is everybody"),
        ({"connections": 8}, "greater than or equal to 16"),
        ({"connections": 100_000}, "less than or equal to 512"),
        ({"per_address": 0}, "greater than or equal to 1"),
        ({"callbacks_a_minute": 1}, "greater than or equal to 60"),
    ],
)
def test_what_is_wrong_is_told(written: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        HttpSettings(**written)
