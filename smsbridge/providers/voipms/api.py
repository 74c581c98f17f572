"""The account's settings, and one call of the REST endpoint.

One URL for everything; the operation is the field `method`. Always a multipart POST: a GET has the password and the
text in its URL, an urlencoded POST lands in the SOAP handler. The answer is HTTP 200 and a JSON object with a
`status`, for refusals too; ids, flags and amounts in it come as numbers one day and as strings the next. The host
`www.voip.ms` answers 301 to the bare host, on which the body is lost.
"""

import re
from decimal import Decimal
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, SecretStr, field_validator

from smsbridge.core.errors import Indeterminate
from smsbridge.core.line import CatchUp
from smsbridge.core.message import ProviderMessageId
from smsbridge.providers.choices import CatchUpChoice
from smsbridge.providers.contract import AccountSettings
from smsbridge.providers.http import Caller, form

API_URL: Final = "https://voip.ms/api/v1/rest.php"
EASTERN: Final = ZoneInfo("America/New_York")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_ID: Final = re.compile(r"(?!0+$)[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")

Secret = Annotated[SecretStr, Field(min_length=1)]


class Settings(AccountSettings):
    """The account's section of the configuration.

    `query_keys` are the secrets a callback may show: one, also written `query_key`, or two while the portal is
    changed over to a new one.
    """

    username: str = Field(min_length=1)
    password: Secret
    query_keys: tuple[Secret, ...] = Field(
        min_length=1, max_length=2, validation_alias=AliasChoices("query_keys", "query_key")
    )
    api_url: str = API_URL
    timeout: float = Field(default=60.0, ge=15.0, le=300.0)
    daily_limit: int | None = Field(default=100, ge=1)
    over_limit: Literal["queue", "refuse"] = "queue"
    catch_up: CatchUpChoice = CatchUp()
    low_balance: Decimal = Field(default=Decimal(1), ge=0, allow_inf_nan=False)

    @property
    def day_zone(self) -> ZoneInfo:
        """The limit is a day's, and nobody wrote down whose: theirs."""
        return EASTERN

    @field_validator("query_keys", mode="before")
    @classmethod
    def _wrap_single(cls, written: object) -> object:
        return (written,) if isinstance(written, str) else written

    @field_validator("api_url")
    @classmethod
    def _refuse_unsafe(cls, url: str) -> str:
        parts = urlsplit(url)
        if (parts.hostname or "").startswith("www."):
            raise ValueError("leave out the www.: that host redirects, and the call is lost on the way")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("must begin with https://, since the password goes there")
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("must be a plain URL: no user, no query, no fragment")
        return url


class Api:
    """The endpoint, with the account's credentials."""

    def __init__(self, settings: Settings, caller: Caller) -> None:
        self._url = settings.api_url
        self._username = settings.username
        self._password = settings.password
        self._caller = caller

    async def ask(self, method: str, **params: str) -> dict[str, object]:
        """The answer's JSON object, whatever its status; raises `Deferred` or `Indeterminate` if there is none."""
        fields = {
            "api_username": self._username,
            "api_password": self._password.get_secret_value(),
            "method": method,
            "content_type": "json",
            **params,
        }
        reply = await self._caller.post(self._url, form(fields))
        answer = reply.json()
        if not isinstance(answer, dict):
            raise Indeterminate("no_json")
        return answer


def id_of(raw: object) -> ProviderMessageId | None:
    """A message's id, written as a number or a string; None for what is none (missing, empty, 0)."""
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        return None
    text = str(raw).strip()
    return ProviderMessageId(text) if _ID.fullmatch(text) else None


def ten_digits(number: str) -> str:
    """A number as the carrier wants it written."""
    return number[2:] if number.startswith("+1") and len(number) == 12 else number
