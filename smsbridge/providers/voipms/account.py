"""Whether the account is set up to work, found out without sending.

getIP is the one method that the allow-list of addresses does not guard, so it comes first: it proves the login and
tells the address that has to be entered. getDIDsInfo answers with passwords and callback URLs; of it only the flags
are read, and nothing of an answer is kept.
"""

import ipaddress
import re
from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

from smsbridge.core.address import Did, mask
from smsbridge.core.alerts import Alert
from smsbridge.core.caps import MILLION
from smsbridge.core.errors import Outcome
from smsbridge.core.words.say import Phrase, Words
from smsbridge.core.words.tell import Tell
from smsbridge.providers.contract import Finding
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.statuses import CARRIER, STATUSES, code_of

PORTAL: Final = "VoIP.ms: Main Menu, SOAP and REST/JSON API"
_OFF: Final = frozenset({"0", "false"})
_ADVICE: Final = {
    "invalid_credentials": Tell.CHECK_LOGIN_REFUSED(carrier=CARRIER, portal=PORTAL),
    "api_not_enabled": Tell.CHECK_API_OFF(portal=PORTAL),
    "missing_method": Tell.CHECK_EMPTY_CALL(),
}


async def examine(api: Api, dids: Collection[Did], low_balance: Decimal) -> tuple[Finding, ...]:
    """What is right and what is wrong, in the operator's words; stops where nothing more can be learned."""
    try:
        address = await api.ask("getIP")
        if address.get("status") != "success":
            return (_refused(address),)
        shown = _address(address.get("ip"))
        findings = [_good(Tell.CHECK_LOGIN_WORKS(carrier=CARRIER, address=shown))]
        balance = await api.ask("getBalance")
        if balance.get("status") == "ip_not_enabled":
            return (*findings, _bad(Tell.CHECK_ENTER_ADDRESS(address=shown, portal=PORTAL)))
        findings.append(_of_balance(balance, low_balance))
        findings.extend(_of_dids(await api.ask("getDIDsInfo"), dids))
    except Outcome as outcome:
        words = Tell.CHECK_NO_ANSWER(carrier=CARRIER, code=outcome.code, why=_why(outcome.code))
        return (Finding(is_good=False, words=words, alert=None),)
    return tuple(findings)


def _good(words: Words) -> Finding:
    return Finding(is_good=True, words=words)


def _bad(words: Words) -> Finding:
    return Finding(is_good=False, words=words)


def _why(code: str) -> Phrase:
    match code:
        case "unreachable":
            return Tell.CHECK_LOOK_AT_NETWORK()
        case "timeout":
            return Tell.CHECK_IT_IS_SLOW()
        case _:
            return Tell.CHECK_LOOK_AT_URL()


def _refused(answer: dict[str, object]) -> Finding:
    code = code_of(answer.get("status"))
    known = STATUSES.get(code)
    if code in _ADVICE:
        return _bad(_ADVICE[code])
    if known is None:
        return _bad(Tell.CHECK_ANSWERED(carrier=CARRIER, code=code))
    return _bad(Tell.CHECK_ANSWERED_SO(carrier=CARRIER, code=code, meaning=known.words))


def _address(raw: object) -> Words:
    try:
        return str(ipaddress.ip_address(str(raw)))
    except ValueError:
        return Tell.CHECK_UNTOLD_ADDRESS()


def _of_balance(answer: dict[str, object], low: Decimal) -> Finding:
    if answer.get("status") != "success":
        return _refused(answer)
    balance = answer.get("balance")
    try:
        amount = Decimal(str(balance.get("current_balance") if isinstance(balance, dict) else balance))
        is_low = amount < low
    except InvalidOperation:  # no number at all, or NaN
        return Finding(is_good=False, words=Tell.CHECK_UNTOLD_BALANCE(carrier=CARRIER), alert=None)
    balance_is = Tell.CHECK_LOW_BALANCE if is_low else Tell.CHECK_BALANCE
    words = balance_is(amount=round(amount * 100) * (MILLION // 100), currency="USD")
    return Finding(is_good=not is_low, words=words, alert=Alert.BALANCE)


def _of_dids(answer: dict[str, object], ours: Collection[Did]) -> Iterator[Finding]:
    if answer.get("status") == "no_did":
        yield _bad(Tell.CHECK_NO_NUMBERS())
        return
    if answer.get("status") != "success":
        yield _refused(answer)
        return
    rows = answer.get("dids")
    dids = [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]
    yield _good(Tell.CHECK_NUMBERS(n=len(dids)))
    there = {_digits(row)[-10:] for row in dids}
    for did in ours:
        if did[-10:] not in there:
            yield _bad(Tell.CHECK_NUMBER_MISSING(did=mask(did)))
    for row in dids:
        # a flag that is missing says nothing: the carrier left sms_available out for some months
        if str(row.get("sms_available", "")).lower() in _OFF:
            yield _bad(Tell.CHECK_CANNOT_TEXT(did=_masked(row)))
        elif str(row.get("sms_enabled", "")).lower() in _OFF:
            yield _bad(Tell.CHECK_SMS_OFF(did=_masked(row)))


def _masked(row: dict[object, object]) -> str:
    return mask(_digits(row))


def _digits(row: dict[object, object]) -> str:
    return re.sub(r"\D", "", str(row.get("did", "")))
