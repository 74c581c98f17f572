"""getSMS, getMMS and getMediaMMS.

Both listings put their rows under `sms`, newest first, 50 of them unless `limit` says otherwise. `from` and `to` are
whole US-Eastern days, today by default and at most 92 of them; misspelled filters are ignored. Dates carry no zone:
they are Eastern wall time moved by `timezone` + 5 hours, so that -5 is New York all year round.
`carrier_status` of what was sent may lag (`CarrierConfig.status_lag`).
With `all_messages=1` rows of both kinds are mixed and do not say which they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from smsbridge.sim.account import EASTERN, Account, ten_digits
from smsbridge.sim.ledger import Direction, Kind, Ledger, Row
from smsbridge.sim.statuses import Refusal, refused

DEFAULT_LIMIT = 50
MOST_DAYS = 92
MOST_MEDIA_COLUMNS = 5
NOT_KNOWN = "Information not available"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the listing differs from the truth: it lags behind, is cut short, has a clock that is off."""

    lag_seconds: float = 0.0
    most_rows: int | None = None
    hours_off: float = 0.0


TRUE_VIEW = View()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    kind: Kind
    both_kinds: bool
    start: datetime
    end: datetime
    direction: Direction | None
    did: str | None
    contact: str | None
    limit: int
    shift: timedelta

    def takes(self, row: Row) -> bool:
        return (
            (self.both_kinds or row.kind is self.kind)
            and self.start <= row.at < self.end
            and self.direction in (None, row.direction)
            and self.did in (None, row.did)
            and self.contact in (None, row.peer)
        )


def get_sms(account: Account, ledger: Ledger, params: Mapping[str, str], view: View = TRUE_VIEW) -> dict[str, object]:
    return _listed(account, ledger, params, Kind.SMS, view)


def get_mms(account: Account, ledger: Ledger, params: Mapping[str, str], view: View = TRUE_VIEW) -> dict[str, object]:
    return _listed(account, ledger, params, Kind.MMS, view)


def get_media_mms(account: Account, ledger: Ledger, params: Mapping[str, str]) -> dict[str, object]:
    written = params.get("id", "")
    if not written:
        raise Refusal("missing_id")
    if not written.isdecimal():
        raise Refusal("invalid_id")
    row = ledger.row_of(Kind.MMS, int(written))
    if row is None:
        return refused("no_sms")
    urls = [item.url for item in row.media]
    as_array = params.get("media_as_array") == "1"
    return {
        "status": "success",
        "id": account.loose.number("id", row.id),
        "date": _stamp(row.at, timedelta()),
        # PHP writes an empty map as an empty list.
        "media": urls if as_array or not urls else {str(n): url for n, url in enumerate(urls, start=1)},
    }


def eastern_stamp(at: datetime) -> str:
    """A moment as the portal writes it when nobody asked for a zone."""
    return _stamp(at, timedelta())


def _listed(account: Account, ledger: Ledger, params: Mapping[str, str], kind: Kind, view: View) -> dict[str, object]:
    wanted = _filter(account, params, kind, view)
    listed_until = account.now() - timedelta(seconds=view.lag_seconds)
    number = params.get(kind.value, "") or "0"
    if not number.isdecimal() or (number != "0" and wanted.both_kinds):
        raise Refusal("invalid_sms")
    if number != "0":
        found = ledger.row_of(kind, int(number))
        rows = [found] if found and found.at <= listed_until else []
    else:
        matching = (row for row in reversed(ledger.rows) if wanted.takes(row) and row.at <= listed_until)
        rows = list(islice(matching, wanted.limit))
    if not rows:
        return refused("no_sms")
    return {
        "status": "success",
        "sms": account.as_list([_shown(account, ledger, wanted, row) for row in rows]),
    }


def _shown(account: Account, ledger: Ledger, wanted: Filter, row: Row) -> dict[str, object]:
    settings, message = account.dids[row.did], row.message
    if wanted.both_kinds and wanted.kind is Kind.MMS and row.kind is Kind.SMS:
        # Seen in life: getMMS loses what is not Latin in the SMS it mixes in.
        message = "".join(letter if ord(letter) < 0x100 else "?" for letter in message)
    fields: dict[str, object] = {
        "id": account.loose.number("id", row.id),
        "date": _stamp(row.at, wanted.shift),
        "type": account.loose.number("type", 1 if row.direction is Direction.RECEIVED else 0),
        "did": settings.shown(row.did),
        "contact": settings.shown(row.peer),
        "message": message,
        "carrier_status": _status(account, ledger, row),
    }
    if wanted.kind is Kind.MMS:
        urls = [item.url for item in row.media] if account.config.media_in_listing else []
        columns = (urls + [""] * 3)[: max(3, min(len(urls), MOST_MEDIA_COLUMNS))]
        fields |= {f"col_media{n}": url for n, url in enumerate(columns, start=1)}
        fields["media"] = urls
    return fields


def _status(account: Account, ledger: Ledger, row: Row) -> str:
    """How a text fared; of one that was sent nothing is known at first."""
    lag = account.config.status_lag
    is_open = row.direction is Direction.SENT and (lag is None or account.now() - row.at < timedelta(seconds=lag))
    return NOT_KNOWN if is_open else ledger.carrier_status(row)


def _filter(account: Account, params: Mapping[str, str], kind: Kind, view: View) -> Filter:
    first = _day(params.get("from"), account.today())
    last = _day(params.get("to"), account.today())
    if first > last:
        raise Refusal("invalid_date_from")
    if (last - first).days > MOST_DAYS:
        raise Refusal("invalid_daterange")
    direction = {"": None, "1": Direction.RECEIVED, "0": Direction.SENT}
    if (written := params.get("type", "")) not in direction:
        raise Refusal("invalid_type")
    asked = params.get("limit", "")
    limit = int(asked) if asked.isdecimal() and int(asked) > 0 else DEFAULT_LIMIT
    return Filter(
        kind=kind,
        both_kinds=params.get("all_messages") == "1",
        start=_midnight(first),
        end=_midnight(last + timedelta(days=1)),
        direction=direction[written],
        did=account.own(params["did"]).did if params.get("did") else None,
        contact=_contact(params.get("contact", "")),
        limit=limit if view.most_rows is None else min(limit, view.most_rows),
        shift=_shift(params.get("timezone", "")) + timedelta(hours=view.hours_off),
    )


def _day(written: str | None, otherwise: date) -> date:
    if not written:
        return otherwise
    try:
        return datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=EASTERN).date()
    except ValueError as error:
        raise Refusal("invalid_date") from error


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), EASTERN).astimezone(UTC)


def _contact(written: str) -> str | None:
    if not written:
        return None
    if not written.lstrip("+").isdecimal():
        raise Refusal("invalid_contact")
    return ten_digits(written) or written


def _shift(written: str) -> timedelta:
    if not written:
        return timedelta()
    try:
        hours = float(written)
    except ValueError as error:
        raise Refusal("invalid_timezone") from error
    if not -12 <= hours <= 13:
        raise Refusal("invalid_timezone")
    return timedelta(hours=hours + 5)


def _stamp(at: datetime, shift: timedelta) -> str:
    return (at.astimezone(EASTERN).replace(tzinfo=None) + shift).strftime("%Y-%m-%d %H:%M:%S")
