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
from smsbridge.core.errors import Outcome
from smsbridge.providers.contract import Finding
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.statuses import STATUSES, code_of

PORTAL: Final = "VoIP.ms' portal under Main Menu, SOAP and REST/JSON API"
_OFF: Final = frozenset({"0", "false"})
_ADVICE: Final = {
    "invalid_credentials": (
        f"VoIP.ms refuses the login: take the e-mail address of the account and the API password of {PORTAL} "
        "(not the portal's own password; one longer than 32 characters may be refused though the portal took it)"
    ),
    "api_not_enabled": f"the API is switched off: switch it on in {PORTAL}",
    "missing_method": "the call arrived empty: is there a redirect or a proxy before api_url?",
}


async def examine(api: Api, dids: Collection[Did], low_balance: Decimal) -> tuple[Finding, ...]:
    """What is right and what is wrong, in the operator's words; stops where nothing more can be learned."""
    try:
        address = await api.ask("getIP")
        if address.get("status") != "success":
            return (_refused(address),)
        shown = _address(address.get("ip"))
        findings = [_good(f"the login works; VoIP.ms sees this machine as {shown}")]
        balance = await api.ask("getBalance")
        if balance.get("status") == "ip_not_enabled":
            return (*findings, _bad(f"enter {shown} as an allowed address in {PORTAL}"))
        findings.append(_of_balance(balance, low_balance))
        findings.extend(_of_dids(await api.ask("getDIDsInfo"), dids))
    except Outcome as outcome:
        words = f"VoIP.ms gave no answer that can be used ({outcome.code}): {_why(outcome.code)}"
        return (Finding(is_good=False, words=words, alert=None),)
    return tuple(findings)


def _good(words: str) -> Finding:
    return Finding(is_good=True, words=words)


def _bad(words: str) -> Finding:
    return Finding(is_good=False, words=words)


def _why(code: str) -> str:
    match code:
        case "unreachable":
            return "look at the name service, the firewall and this machine's clock"
        case "timeout":
            return "it is slow at times; try again in some minutes"
        case _:
            return "look at api_url, or try again in some minutes"


def _refused(answer: dict[str, object]) -> Finding:
    code = code_of(answer.get("status"))
    known = STATUSES.get(code)
    return _bad(_ADVICE.get(code) or f"VoIP.ms answered {code}" + (f": {known.words}" if known else ""))


def _address(raw: object) -> str:
    try:
        return str(ipaddress.ip_address(str(raw)))
    except ValueError:
        return "an address it does not tell"


def _of_balance(answer: dict[str, object], low: Decimal) -> Finding:
    if answer.get("status") != "success":
        return _refused(answer)
    balance = answer.get("balance")
    try:
        amount = Decimal(str(balance.get("current_balance") if isinstance(balance, dict) else balance))
        is_low = amount < low
    except InvalidOperation:  # no number at all, or NaN
        return Finding(is_good=False, words="VoIP.ms did not tell the balance", alert=None)
    words = f"the balance is low: {amount:.2f} USD" if is_low else f"the balance is {amount:.2f} USD"
    return Finding(is_good=not is_low, words=words, alert=Alert.BALANCE)


def _of_dids(answer: dict[str, object], ours: Collection[Did]) -> Iterator[Finding]:
    if answer.get("status") == "no_did":
        yield _bad("the account has no numbers")
        return
    if answer.get("status") != "success":
        yield _refused(answer)
        return
    rows = answer.get("dids")
    dids = [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]
    yield _good(f"the account has {len(dids)} number{'' if len(dids) == 1 else 's'}")
    there = {_digits(row)[-10:] for row in dids}
    for did in ours:
        if did[-10:] not in there:
            yield _bad(
                f"the number {mask(did)} of the configuration is not in this account: look for a slip of the pen"
            )
    for row in dids:
        # a flag that is missing says nothing: the carrier left sms_available out for some months
        if str(row.get("sms_available", "")).lower() in _OFF:
            yield _bad(f"the number {_masked(row)} cannot text at all")
        elif str(row.get("sms_enabled", "")).lower() in _OFF:
            yield _bad(f"SMS is switched off for the number {_masked(row)}: switch it on in the portal, DID settings")


def _masked(row: dict[object, object]) -> str:
    return mask(_digits(row))


def _digits(row: dict[object, object]) -> str:
    return re.sub(r"\D", "", str(row.get("did", "")))
