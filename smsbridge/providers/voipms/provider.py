"""The provider that the bridge knows: what VoIP.ms can carry, and how a part becomes a call.

An SMS is at most 160 bytes of UTF-8 and 160 septets; a longer one is refused, never split. An MMS has 2048 bytes,
three media of 1.2 MB as `data:` URIs (or by URL, which the carrier fetches itself) and one recipient; with media, an
empty text must be one blank.
Nothing makes a send idempotent: the same call twice is two texts. Numbers go out with ten digits.
"""

import base64
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import aiohttp

from smsbridge.core.address import Did
from smsbridge.core.errors import Indeterminate, Reason, Rejected
from smsbridge.core.message import (
    DeliveryReport,
    InboundMessage,
    Kind,
    Media,
    Part,
    ProviderMessageId,
    ProviderName,
)
from smsbridge.core.segments import Limit, LimitUnit
from smsbridge.core.words.say import Say
from smsbridge.providers.contract import (
    Answer,
    Callback,
    Capabilities,
    Finding,
    Listed,
    Parsed,
    Provider,
    ProviderKind,
    Traced,
)
from smsbridge.providers.http import Caller, Deadlines
from smsbridge.providers.voipms import account, polling, reports, tracing, webhook
from smsbridge.providers.voipms.api import Api, Settings, id_of, ten_digits
from smsbridge.providers.voipms.statuses import CARRIER, outcome_of

NAME: Final = "voipms"
CONNECT_SECONDS: Final = 10.0
CAPABILITIES: Final = Capabilities(
    sms=(
        Limit(units=160, unit=LimitUnit.UTF8_BYTES),
        Limit(units=160, unit=LimitUnit.GSM_SEPTETS),
    ),
    mms_text=(Limit(units=2048, unit=LimitUnit.UTF8_BYTES),),
    media_count=3,
    media_bytes=1_200_000,
    media_types=frozenset(
        {
            "image/jpeg",
            "image/gif",
            "image/png",
            "audio/mpeg",
            "audio/wav",
            "audio/x-wav",
            "audio/midi",
            "video/mp4",
            "video/3gpp",
        }
    ),
    media_places=frozenset({"https://voip.ms", "https://www.voip.ms"}),
    delivery_reports=True,
    idempotent=False,
    shortcodes=False,
    calls_per_second=3.0,
    in_flight=4,
)


_TAKEN: Final = Answer(status=200, content_type="text/plain", body=b"ok")


class VoipMs:
    """One VoIP.ms account."""

    def __init__(self, name: ProviderName, settings: Settings, caller: Caller) -> None:
        self.name = name
        self.kind = NAME
        self.capabilities = CAPABILITIES
        self.paths = (f"/hook/{name}", "/voipms")  # the second is mod_voipms', and works unchanged
        self._caller = caller
        self._api = Api(settings, caller)
        self._keys = _keys(settings)
        self._low_balance = settings.low_balance

    def reset(self, settings: Settings) -> None:
        """From the next call and the next callback on."""
        self._caller = self._caller.within(_deadlines(settings))
        self._api = Api(settings, self._caller)
        self._keys = _keys(settings)
        self._low_balance = settings.low_balance

    async def send(self, part: Part) -> ProviderMessageId:
        """Raises `Rejected`, `Deferred` or `Indeterminate`."""
        method, content = _content(part)
        answer = await self._api.ask(method, did=ten_digits(part.did), dst=ten_digits(part.peer), **content)
        if answer.get("status") != "success":
            raise outcome_of(answer.get("status"), part.attempt)
        provider_id = id_of(answer.get("mms")) or id_of(answer.get("sms"))
        if provider_id is None:
            raise Indeterminate("success_without_id")
        return provider_id

    def authenticate(self, callback: Callback) -> None:
        """Raises `Unauthentic`; reads the query alone."""
        webhook.authenticate(callback, self._keys)

    def parse(self, callback: Callback) -> Parsed:
        """Raises `Malformed`."""
        return webhook.parse(callback, self.name)

    def answer(self, parsed: Parsed, parts: Sequence[Part]) -> Answer:
        """The callback is repeated every 30 minutes until it reads exactly this; the webhook takes it as well."""
        return _TAKEN

    async def trace(self, part: Part, since: datetime, now: datetime) -> Traced:
        """What getSMS and getMMS show of the part's conversation."""
        return await tracing.trace(self._api, part, since, now)

    async def poll(self, since: datetime, until: datetime, dids: Collection[Did]) -> Listed:
        """Everything of the account; raises `Deferred`, `Rejected` or `Indeterminate`."""
        return await polling.poll(self._api, self.name, since, until, dids)

    async def reports(self, since: datetime, until: datetime, dids: Collection[Did]) -> Sequence[DeliveryReport]:
        """The list's word on what was sent; raises `Deferred`, `Rejected` or `Indeterminate`."""
        return await reports.reports(self._api, self.name, since, until, dids)

    async def media_of(self, message: InboundMessage) -> Sequence[Media]:
        """The pictures of an MMS, wherever the list hides them."""
        return await polling.media_of(self._api, message)

    async def check(self, dids: Collection[Did]) -> Sequence[Finding]:
        """The login, the allow-list, the balance and the numbers, ours among them."""
        return await account.examine(self._api, dids, self._low_balance)


def build(name: ProviderName, settings: Settings, session: aiohttp.ClientSession) -> Provider:
    """The account of a section of the configuration."""
    return VoipMs(name, settings, Caller(session, _deadlines(settings)))


KIND: Final = ProviderKind(kind=NAME, settings=Settings, build=build)


def _deadlines(settings: Settings) -> Deadlines:
    return Deadlines(connect=CONNECT_SECONDS, whole=settings.timeout)


def _keys(settings: Settings) -> tuple[bytes, ...]:
    return tuple(key.get_secret_value().encode() for key in settings.query_keys)


def _content(part: Part) -> tuple[str, dict[str, str]]:
    if part.kind is not Kind.MMS:
        return "sendSMS", {"message": part.text}
    if len(part.media) > CAPABILITIES.media_count:
        words = Say.CARRIER_FEWER_FILES(carrier=CARRIER, n=CAPABILITIES.media_count)
        raise Rejected(Reason.MEDIA_REFUSED, "too_many_media", words)
    media = {f"media{n}": _written(item) for n, item in enumerate(part.media, start=1)}
    return "sendMMS", {"message": part.text or (" " if media else ""), **media}


def _written(item: Media) -> str:
    """The bytes themselves where we have them: a URL it would have to fetch, and may fetch late or not at all."""
    if not item.content:
        return item.url
    return f"data:{item.mime};base64,{base64.b64encode(item.content).decode()}"
