"""One customer's account at the pretended VoIP.ms: his settings, his numbers, and what they allow.

Days are US-Eastern days, here and in every listing. Numbers are kept as ten digits. VoIP.ms answers ids and flags
as a number one day and as a string the next: `Looseness` makes each field alternate, so that a reader who knows
only one of the two forms fails at once and always at the same place.
"""

import base64
import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from smsbridge.sim.faults import Fault, FaultPlan, Moment, What
from smsbridge.sim.ledger import Attachment
from smsbridge.sim.statuses import Refusal

EASTERN = ZoneInfo("America/New_York")
ANYWHERE = "0.0.0.0"  # noqa: S104  (the portal's own word in the allow-list, nothing is bound to it)

# Countries that share +1 with the US and Canada, and the premium code: the carrier does not text there.
ELSEWHERE = re.compile("2(42|46|64|68|84)|345|4(41|73)|6(49|58|64)|7(21|58|67|84)|8(09|29|49|68|69|76)|900")
# The exchange of a real number never begins with 0 or 1; in the pretended area 555 it may.
NANP = re.compile(r"(?:\+?1)?((?:555\d|[2-9](?!11)[0-8]\d[2-9])\d{6})")
EXTENSIONS = {
    "image/jpeg": "jpeg",
    "image/gif": "gif",
    "image/png": "png",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/midi": "mid",
    "audio/amr": "amr",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "text/vcard": "vcf",
}


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DidSettings:
    """One number and its SMS form; the fields are named as getDIDsInfo names them."""

    did: str
    description: str = ""
    sms_available: bool = True
    mms_available: bool = True
    sms_enabled: bool = True
    sms_email_enabled: bool = False
    sms_email: str = ""
    sms_forward_enabled: bool = False
    sms_forward: str = ""
    sms_url_callback_enabled: bool = False
    sms_url_callback: str = ""
    sms_url_callback_retry: bool = False
    webhook_enabled: bool = False
    webhook: str = ""
    dialmode: int = 1  # 1: ten digits, 2: E.164
    smpp_enabled: bool = False
    smpp_url: str = ""
    smpp_user: str = ""
    smpp_pass: str = field(default="", repr=False)
    sms_sipaccount_enabled: bool = False
    sms_sipaccount: str = ""

    def shown(self, number: str) -> str:
        """A number as this DID's dial mode writes it; short codes stay as they are."""
        return f"+1{number}" if self.dialmode == 2 and len(number) == 10 else number


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierConfig:
    dids: tuple[DidSettings, ...] = ()
    port: int = 0
    username: str = "john@example.com"
    password: str = field(default="carrier-password", repr=False)
    api_enabled: bool = True
    allowed_addresses: tuple[str, ...] = (ANYWHERE,)
    daily_quota: int | None = 100
    balance: Decimal = Decimal("112.19")
    first_sms_id: int = 110_997_001
    first_mms_id: int = 10_240_001
    seed: int = 0
    bare_single_row: bool = False  # a list of one row arrives as the bare row
    status_lag: float | None = 0.0  # seconds before carrier_status says how a sent text fared; None: it never does
    media_in_listing: bool = True  # False: getMMS tells no media, only getMediaMMS does
    largest_file: int = 1_200_000
    latency_ms: int = 0
    callback_interval: float = 1800.0
    unfilled: frozenset[str] = frozenset()  # template variables that arrive literally, such as MEDIA
    webhook_interval: float | None = None  # None: one try; else until 200
    push_seconds: float = 10.0
    pushes_in_flight: int = 16
    clock: Callable[[], datetime] = wall_clock
    faults: FaultPlan = field(default_factory=FaultPlan)
    journal: Path | None = None
    control_token: str | None = field(default=None, repr=False)


def ten_digits(written: str) -> str | None:
    """A US or Canadian number written with ten or eleven digits or +1, or None."""
    match = NANP.fullmatch(written.strip())
    return match[1] if match and not ELSEWHERE.match(match[1]) else None


class Looseness:
    """Each named field in turn as a number and as a string; an odd seed begins with the string."""

    def __init__(self, seed: int) -> None:
        self._turns: defaultdict[str, int] = defaultdict(lambda: seed)

    def number(self, name: str, value: int) -> int | str:
        turn = self._turns[name]
        self._turns[name] = turn + 1
        return str(value) if turn % 2 else value

    def money(self, name: str, value: Decimal) -> float | str:
        return str(value) if self.number(name, 0) == 0 else float(value)


class Account:
    def __init__(self, config: CarrierConfig) -> None:
        self.config = config
        self.dids: dict[str, DidSettings] = {}
        for settings in config.dids:
            number = ten_digits(settings.did)
            if number is None:
                raise ValueError("a did must be a US or Canadian number")
            self.dids[number] = replace(settings, did=number)
        self.balance = config.balance
        self.loose = Looseness(config.seed)
        self.changed_at: dict[str, datetime] = {}
        self.hosted: dict[str, Attachment] = {}
        self.url = ""  # known once the server listens
        self._sent_on: Counter[date] = Counter()

    def now(self) -> datetime:
        return self.config.clock().astimezone(UTC)

    def today(self) -> date:
        return self.now().astimezone(EASTERN).date()

    def answer_next(self, method: str, status: str, times: int = 1) -> None:
        """Answer the next calls of a method (`*`: of any) with this status, doing nothing."""
        self.config.faults.arm(
            Fault(when=Moment.BEFORE_ACCEPT, method=method, times=times, what=What.REFUSED, status=status)
        )

    def admit(self, method: str, params: Mapping[str, str], address: str) -> None:
        username, password = params.get("api_username", ""), params.get("api_password", "")
        if not username or not password:
            raise Refusal("missing_credentials")
        if (username, password) != (self.config.username, self.config.password):
            raise Refusal("invalid_credentials")
        if not self.config.api_enabled:
            raise Refusal("api_not_enabled")
        if method != "getIP" and not self._is_allowed(address):
            raise Refusal("ip_not_enabled")

    def own(self, written: str) -> DidSettings:
        """The settings of a DID of this account."""
        settings = self.dids.get(ten_digits(written) or "")
        if settings is None:
            raise Refusal("invalid_did")
        return settings

    def charge(self) -> None:
        """Count one API message against the day, or refuse it."""
        if self.balance <= 0:
            raise Refusal("non_sufficient_funds")
        quota, today = self.config.daily_quota, self.today()
        if quota is not None and self._sent_on[today] >= quota:
            raise Refusal("limit_reached")
        self._sent_on[today] += 1

    def host(self, item: Attachment, row_id: int, part: int) -> Attachment:
        """Publish a picture the way the carrier does: the path is its own description in base64."""
        described = f"{int(self.now().timestamp())}{row_id:x}|{part}|{item.content_type}|MMS"
        token = base64.urlsafe_b64encode(described.encode()).decode().rstrip("=")
        extension = EXTENSIONS.get(item.content_type, "bin")
        hosted = replace(item, url=f"{self.url}/media/{token}/media.{extension}")
        self.hosted[token] = hosted
        return hosted

    def as_list(self, rows: list[dict[str, object]]) -> object:
        return rows[0] if self.config.bare_single_row and len(rows) == 1 else rows

    def _is_allowed(self, address: str) -> bool:
        for entry in self.config.allowed_addresses:
            if entry in (ANYWHERE, address) or (entry.endswith("*") and address.startswith(entry[:-1])):
                return True
            if "/" in entry and ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False):
                return True
        return False
