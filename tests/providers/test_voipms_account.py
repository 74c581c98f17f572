"""What the check tells the operator about an account."""

import aiohttp
import pytest
from aioresponses import aioresponses

from smsbridge.core.address import Did
from smsbridge.core.message import ProviderName
from smsbridge.providers.voipms import KIND
from smsbridge.providers.voipms.api import API_URL, Settings
from tests.fakes.aio import Answered
from tests.fakes.words import english

LOGIN = {"status": "success", "ip": "203.0.113.7"}
BALANCE = {"status": "success", "balance": {"current_balance": "112.19"}}
DID = {"did": "5551230001", "sms_available": 1, "sms_enabled": "1", "smpp_pass": "hush", "webhook": "https://hush"}
DIDS = {"status": "success", "dids": [DID]}


async def findings(session, *answers, dids=()) -> list[tuple[bool, str]]:
    section = Settings(username="john@example.com", password="correct horse", query_keys=["callback-key"])
    carrier = KIND.build(ProviderName("voipms"), section, session)
    with aioresponses() as wire:
        for answer in answers:
            if isinstance(answer, Exception):
                wire.post(API_URL, exception=answer)
            else:
                wire.post(API_URL, payload=answer, response_class=Answered)
        found = [(finding.is_good, english(finding.words)) for finding in await carrier.check(dids)]
        assert sum(map(len, wire.requests.values())) == len(answers)
    told = str(found)
    for secret in ("hush", "horse", "callback-key", "5551230001"):
        assert secret not in told
    return found


async def test_a_number_of_ours_that_the_account_does_not_have_is_bad(session):
    ours = [Did("+15551230001"), Did("+15551230009")]
    found = await findings(session, LOGIN, BALANCE, DIDS, dids=ours)
    assert found[3:] == [
        (False, "the number …09 of the configuration is not in this account: look for a slip of the pen")
    ]


async def test_an_account_in_order_has_good_findings_only(session):
    assert await findings(session, LOGIN, BALANCE, DIDS) == [
        (True, "the login works; VoIP.ms sees this machine as 203.0.113.7"),
        (True, "the balance is 112.19 USD"),
        (True, "the account has 1 number"),
    ]


async def test_an_address_that_is_not_allowed_is_named_with_the_place_to_enter_it(session):
    found = await findings(session, LOGIN, {"status": "ip_not_enabled"})
    assert found[1:] == [
        (
            False,
            "enter 203.0.113.7 as an allowed address in the portal (VoIP.ms: Main Menu, SOAP and REST/JSON API)",
        )
    ]


@pytest.mark.parametrize("ip", [None, "", "<b>secret</b>", 7.5, []])
async def test_an_address_that_is_none_is_not_repeated(session, ip):
    found = await findings(session, {"status": "success", "ip": ip}, BALANCE, DIDS)
    assert found[0] == (True, "the login works; VoIP.ms sees this machine as an address it does not tell")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("invalid_credentials", "longer than 32 characters"),
        ("api_not_enabled", "switch it on"),
        ("missing_method", "api_url"),
        ("method_maintenance", "VoIP.ms answered method_maintenance: VoIP.ms is closed"),
        ("something_new", "VoIP.ms answered something_new"),
        (None, "VoIP.ms answered unreadable_status"),
    ],
)
async def test_a_refused_login_is_explained_and_ends_the_check(session, status, words):
    ((is_good, told),) = await findings(session, {"status": status})
    assert not is_good
    assert words in told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ConnectionTimeoutError("https://hush"), "(unreachable): look at the name service"),
        (TimeoutError(), "(timeout): it is slow at times"),
        (aiohttp.ServerDisconnectedError(), "(reset): look at api_url"),
    ],
)
async def test_a_carrier_that_does_not_answer_is_one_finding(session, error, words):
    ((is_good, told),) = await findings(session, error)
    assert not is_good
    assert words in told


@pytest.mark.parametrize(
    ("answer", "is_good", "words"),
    [
        ({"status": "success", "balance": {"current_balance": 1}}, True, "the balance is 1.00 USD"),
        ({"status": "success", "balance": "20.5"}, True, "the balance is 20.50 USD"),
        ({"status": "success", "balance": {"current_balance": "0.99"}}, False, "the balance is low: 0.99 USD"),
        ({"status": "success", "balance": {"current_balance": -3.5}}, False, "the balance is low: -3.50 USD"),
        ({"status": "success", "balance": {"current_balance": "NaN"}}, False, "did not tell the balance"),
        ({"status": "success", "balance": {}}, False, "did not tell the balance"),
        ({"status": "success"}, False, "did not tell the balance"),
        ({"status": "method_maintenance"}, False, "VoIP.ms answered method_maintenance"),
    ],
)
async def test_the_balance_is_told_and_a_low_one_is_bad(session, answer, is_good, words):
    found = await findings(session, LOGIN, answer, DIDS)
    assert found[1][0] is is_good
    assert words in found[1][1]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "no_did"}, [(False, "the account has no numbers")]),
        ({"status": "unavailable_info"}, [(False, "VoIP.ms answered unavailable_info")]),
        ({"status": "success"}, [(True, "the account has 0 numbers")]),
        ({"status": "success", "dids": DID}, [(True, "the account has 1 number")]),
        ({"status": "success", "dids": [{"did": 5551230001}, DID, "x"]}, [(True, "the account has 2 numbers")]),
        (
            {"status": "success", "dids": [DID | {"sms_enabled": 0}, DID | {"did": "+15551230002"}]},
            [(True, "the account has 2 numbers"), (False, "SMS is switched off for the number …01")],
        ),
        (
            {"status": "success", "dids": [DID | {"sms_available": "0", "sms_enabled": "0"}]},
            [(True, "the account has 1 number"), (False, "the number …01 cannot text at all")],
        ),
        (
            {"status": "success", "dids": [{"sms_enabled": False}]},
            [(True, "the account has 1 number"), (False, "SMS is switched off for the number …:")],
        ),
    ],
)
async def test_the_numbers_are_counted_and_those_without_sms_are_bad(session, answer, expected):
    found = await findings(session, LOGIN, BALANCE, answer)
    assert len(found) == 2 + len(expected)
    for (is_good, words), (should_be_good, start) in zip(found[2:], expected, strict=True):
        assert is_good is should_be_good
        assert words.startswith(start)
