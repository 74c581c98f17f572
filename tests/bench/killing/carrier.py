"""The carrier of the killings: one call in five and one push in five goes wrong, all by the seed.

What goes wrong with a call goes wrong before it is carried out as often as after. Nothing is worse than a carrier can
be that is honest in the end: what it has accepted it lists within `SETTLE_SECONDS`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from smsbridge.sim.account import CarrierConfig, DidSettings
from smsbridge.sim.faults import CALLBACK, CONNECTION, WEBHOOK, Fault, FaultPlan, Moment, What
from smsbridge.sim.stage import API_PASSWORD, QUERY_KEY
from smsbridge.sim.xmpp_server import LOOPBACK
from tests.bench.killing.load import ABSENT, OWNERS

SHARE: Final = 0.1  # of the calls of a method before they are carried out, and of those that were, after
RARE_SHARE: Final = 0.02
LATE_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 3.0  # after so long a text that was accepted is in the list

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
SENDS = ("sendSMS",)
LISTINGS = ("getSMS", "getMMS")

_CALL_LOST = (
    Fault(when=BEFORE, drop=True),
    Fault(when=BEFORE, http_status=503),
    Fault(when=BEFORE, stall_seconds=1.0),
    Fault(when=BEFORE, what=What.TRUNCATED),
    Fault(when=BEFORE, what=What.HTML),
    Fault(when=BEFORE, what=What.EMPTY),
)
_ANSWER_LOST = (
    Fault(when=AFTER, drop=True),
    Fault(when=AFTER, http_status=502),
    Fault(when=AFTER, stall_seconds=1.0),
    Fault(when=AFTER, what=What.CUT),
    Fault(when=AFTER, what=What.TRUNCATED),
    Fault(when=AFTER, what=What.HTML),
    Fault(when=AFTER, what=What.EMPTY),
)
_SEND_LOST = (
    Fault(when=BEFORE, what=What.LATE, amount=LATE_SECONDS, drop=True),
    Fault(when=BEFORE, what=What.LATE, amount=LATE_SECONDS, http_status=504),
)
_WRONG_ID = (Fault(when=AFTER, what=What.NO_ID), Fault(when=AFTER, what=What.SAME_ID))
_LISTED_WRONG = (Fault(when=BEFORE, what=What.LAG, amount=SETTLE_SECONDS / 2),)
_REFUSED = (Fault(when=BEFORE, what=What.REFUSED, status="invalid_dst"),)
_NOT_REACHED = (Fault(when=BEFORE, method=CONNECTION, drop=True),)
_WEBHOOK = (
    Fault(when=BEFORE, method=WEBHOOK, drop=True),
    Fault(when=BEFORE, method=WEBHOOK, what=What.COPIES, amount=3),
    Fault(when=BEFORE, method=WEBHOOK, what=What.DRIBBLED, amount=0.5),
)
_CALLBACK = (
    Fault(when=BEFORE, method=CALLBACK, drop=True),
    Fault(when=BEFORE, method=CALLBACK, what=What.PIPELINED, amount=2),
)


def arm(plan: FaultPlan) -> None:
    """From now on it misbehaves."""
    for method in SENDS:
        _arm(plan, RARE_SHARE, _REFUSED, method)
        _arm(plan, SHARE, (*_CALL_LOST, *_SEND_LOST), method)
        _arm(plan, SHARE, (*_ANSWER_LOST, *_WRONG_ID), method)
    for method in LISTINGS:
        _arm(plan, SHARE, (*_CALL_LOST, *_LISTED_WRONG), method)
        _arm(plan, SHARE, _ANSWER_LOST, method)
    _arm(plan, RARE_SHARE, _NOT_REACHED, CONNECTION)
    for pushed, method in ((_WEBHOOK, WEBHOOK), (_CALLBACK, CALLBACK)):
        _arm(plan, SHARE, pushed, method)
        _arm(plan, SHARE, (Fault(when=AFTER, method=method, drop=True),), method)


def config(bridge_port: int, faults: FaultPlan, seed: int) -> CarrierConfig:
    """The absent owner's texts come as callbacks, the reader's as webhooks; both until they are taken."""
    url = f"http://{LOOPBACK}:{bridge_port}/voipms?key={QUERY_KEY}"
    callback = f"{url}&from={{FROM}}&to={{TO}}&message={{MESSAGE}}&media={{MEDIA}}&id={{ID}}&date={{TIMESTAMP}}"
    dids = []
    for owner, numbers in OWNERS.items():
        did, is_classic = numbers[0].removeprefix("+1"), owner == ABSENT
        dids.append(
            DidSettings(
                did=did,
                webhook="" if is_classic else url,
                webhook_enabled=not is_classic,
                sms_url_callback=callback if is_classic else "",
                sms_url_callback_enabled=is_classic,
                sms_url_callback_retry=is_classic,
            )
        )
    return CarrierConfig(
        dids=tuple(dids),
        password=API_PASSWORD,
        daily_quota=None,
        webhook_interval=0.2,
        callback_interval=0.2,
        latency_ms=100,
        pushes_in_flight=64,
        faults=faults,
        seed=seed,
    )


def _arm(plan: FaultPlan, share: float, faults: Sequence[Fault], method: str) -> None:
    """So that of all calls `share` meets one of these, each as often as the others."""
    each = share / len(faults)
    for n, fault in enumerate(faults):
        plan.arm(replace(fault, method=method, times=None, share=each / (1 - n * each)))
