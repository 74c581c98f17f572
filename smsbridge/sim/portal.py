"""getDIDsInfo, setSMS, getBalance and getIP: what the customer can see and change of his account.

setSMS overwrites the whole form of a DID: what is left out is switched off and emptied. Some names differ between
setting and getting (`webhook_enable` sets `webhook_enabled`); a wrong name is ignored and the answer is `success`.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from smsbridge.sim.account import Account, DidSettings, ten_digits
from smsbridge.sim.statuses import Refusal, refused

BETWEEN_CHANGES = timedelta(minutes=1)

# setSMS parameter: (field of the form, status when it is neither 0 nor 1)
FLAGS = {
    "enable": ("sms_enabled", "missing_params"),
    "email_enabled": ("sms_email_enabled", "invalid_email_enable"),
    "sms_forward_enable": ("sms_forward_enabled", "invalid_forward_enable"),
    "url_callback_enable": ("sms_url_callback_enabled", "invalid_callback_enable"),
    "url_callback_retry": ("sms_url_callback_retry", "invalid_callback_retry"),
    "webhook_enable": ("webhook_enabled", "invalid_callback_enable"),
    "smpp_enabled": ("smpp_enabled", "invalid_smpp_url"),
    "sms_sipaccount_enabled": ("sms_sipaccount_enabled", "missing_params"),
}
TEXTS = {
    "email_address": "sms_email",
    "sms_forward": "sms_forward",
    "url_callback": "sms_url_callback",
    "webhook": "webhook",
    "smpp_url": "smpp_url",
    "smpp_user": "smpp_user",
    "smpp_pass": "smpp_pass",
    "sms_sipaccount": "sms_sipaccount",
}


def get_dids_info(account: Account, params: Mapping[str, str]) -> dict[str, object]:
    chosen = [account.own(params["did"])] if params.get("did") else list(account.dids.values())
    if not chosen:
        return refused("no_did")
    return {"status": "success", "dids": account.as_list([_shown(account, settings) for settings in chosen])}


def set_sms(account: Account, params: Mapping[str, str]) -> dict[str, object]:
    if not params.get("did"):
        raise Refusal("missing_did")
    settings = account.own(params["did"])
    changed_at, now = account.changed_at.get(settings.did), account.now()
    if changed_at is not None and now - changed_at < BETWEEN_CHANGES:
        raise Refusal("sms_wait_message")
    if not params.get("enable"):
        raise Refusal("missing_params")
    form: dict[str, Any] = {field: params.get(name, "") for name, field in TEXTS.items()}
    for name, (field, refusal) in FLAGS.items():
        if params.get(name, "0") not in ("0", "1"):
            raise Refusal(refusal)
        form[field] = params.get(name) == "1"
    changed = replace(settings, **form, dialmode=2 if params.get("dialmode") == "2" else 1)
    if changed.sms_url_callback_enabled and not changed.sms_url_callback:
        raise Refusal("invalid_callback")
    if changed.sms_forward_enabled and ten_digits(changed.sms_forward) is None:
        raise Refusal("invalid_sms_forward")
    account.dids[settings.did] = changed
    account.changed_at[settings.did] = now
    return {"status": "success"}


def get_balance(account: Account, params: Mapping[str, str]) -> dict[str, object]:
    balance: dict[str, object] = {"current_balance": account.loose.money("current_balance", account.balance)}
    if params.get("advanced", "0").lower() in ("1", "true"):
        for name in ("spent_total", "spent_today"):
            balance[name] = account.loose.money(name, Decimal("0.00"))
        for name in ("calls_total", "calls_today"):
            balance[name] = account.loose.number(name, 0)
        balance |= {"time_total": "0:00:00", "time_today": "0:00:00"}
    return {"status": "success", "balance": balance}


def get_ip(address: str) -> dict[str, object]:
    return {"status": "success", "ip": address}


def _shown(account: Account, settings: DidSettings) -> dict[str, object]:
    shown: dict[str, object] = {"routing": "account:100000", "note": ""}
    for field in fields(settings):
        value = getattr(settings, field.name)
        shown[field.name] = value if isinstance(value, str) else account.loose.number(field.name, int(value))
    return shown
