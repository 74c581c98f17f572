"""The account's section of the configuration."""

import pytest
from pydantic import ValidationError

from smsbridge.core.line import CatchUp
from smsbridge.providers.voipms import KIND
from smsbridge.providers.voipms.api import API_URL, Settings

SECTION = {"username": "john@example.com", "password": "correct horse", "query_keys": ["callback-key"]}


def keys_of(settings: Settings) -> list[str]:
    return [key.get_secret_value() for key in settings.query_keys]


def test_the_usual_section_is_enough():
    settings = KIND.settings(**SECTION)
    assert (settings.api_url, settings.timeout) == (API_URL, 60.0)
    assert keys_of(settings) == ["callback-key"]
    assert "horse" not in repr(settings)
    assert "callback" not in repr(settings)


def test_a_single_key_may_be_written_in_the_singular():
    section = {key: value for key, value in SECTION.items() if key != "query_keys"}
    assert keys_of(Settings(**section, query_key="callback-key")) == ["callback-key"]


def test_two_keys_may_be_valid_at_a_time():
    assert keys_of(Settings(**(SECTION | {"query_keys": ["old", "new"]}))) == ["old", "new"]


@pytest.mark.parametrize(
    ("written", "read"),
    [("since", CatchUp()), ("none", CatchUp(is_on=False)), ({"days": 7}, CatchUp(days=7)), (CatchUp(), CatchUp())],
)
def test_how_far_back_its_list_is_read_may_be_said(written, read):
    assert Settings(**SECTION, catch_up=written).catch_up == read


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081/api/v1/rest.php", "http://[::1]:8081/", API_URL])
def test_a_carrier_on_loopback_may_do_without_tls(url):
    assert Settings(**SECTION, api_url=url).api_url == url


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_url": "https://www.voip.ms/api/v1/rest.php"}, "leave out the www"),
        ({"api_url": "http://voip.ms/api/v1/rest.php"}, "must begin with https://"),
        ({"api_url": "ftp://127.0.0.1/"}, "must begin with https://"),
        ({"api_url": "https:///rest.php"}, "plain URL"),
        ({"api_url": "https://john:horse@example.com/"}, "plain URL"),
        ({"api_url": "https://example.com/?key=horse"}, "plain URL"),
        ({"api_url": "https://[horse/"}, "api_url"),
        ({"username": ""}, "username"),
        ({"password": ""}, "password"),
        ({"query_keys": []}, "query_keys"),
        ({"query_keys": ["horse", ""]}, "query_keys"),
        ({"query_keys": ["horse", "horse", "horse"]}, "query_keys"),
        ({"query_keys": None}, "query_keys"),
        ({"timeout": 5}, "timeout"),
        ({"daily_limit": 0}, "daily_limit"),
        ({"over_limit": "forget"}, "over_limit"),
        ({"on_unknown": "forget"}, "on_unknown"),
        ({"settle_seconds": 0}, "settle_seconds"),
        ({"settle_seconds": 901}, "settle_seconds"),
        ({"catch_up": "horse"}, "since, none or"),
        ({"catch_up": {"days": 0}}, "1 to 90 days"),
        ({"catch_up": {"days": 91}}, "1 to 90 days"),
        ({"catch_up": {"days": True}}, "since, none or"),
        ({"catch_up": {"days": 7, "hours": 1}}, "since, none or"),
        ({"catch_up": 7}, "since, none or"),
        ({"colour": "horse"}, "colour"),
    ],
)
def test_a_section_that_cannot_work_is_refused_without_repeating_it(changes, words):
    with pytest.raises(ValidationError) as caught:
        Settings(**(SECTION | changes))
    assert words in str(caught.value)
    assert "horse" not in str(caught.value)
