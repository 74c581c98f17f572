"""getSMS and getMMS: what the carrier says it has carried, in both directions.

Two calls, since the ids are two sequences; the rows are under `sms` in either answer, one row as the bare object, none
at all as a status. `from` and `to` are whole US-Eastern days, at most 92 of them; dates come without a zone and with
`timezone=-5` are New York's wall clock, to within an hour. There are no pages, only `limit`: a list that may have been
cut short is asked for again in pieces (by day, by number, by direction). What is cut short even then is incomplete, and
proves nothing about what it does not show.
"""

import html
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from smsbridge.core.address import Did, Peer, PeerKind, kind_of, normalise_peer
from smsbridge.core.errors import Indeterminate
from smsbridge.core.message import Kind, ProviderMessageId
from smsbridge.providers.voipms import loose
from smsbridge.providers.voipms.api import Api, id_of, ten_digits
from smsbridge.providers.voipms.statuses import code_of, outcome_of

LIMIT: Final = 1000
MOST_DAYS: Final = 90  # the carrier's 92 less a margin
MOST_CALLS: Final = 60  # for one listing, however busy the account is
PAGES: Final = frozenset({50, 100, 250, 500})  # lengths at which a carrier that ignores `limit` would stop
LONGEST_LABEL: Final = 64

_METHODS: Final = {Kind.SMS: "getSMS", Kind.MMS: "getMMS"}
_EMPTY: Final = frozenset({"no_sms", "no_mms"})
_MEDIA_COLUMNS: Final = tuple(f"col_media{n}" for n in range(1, 6))
_ESCAPED_QUOTE: Final = re.compile(r"\\+(?=['\"])")


class Direction(StrEnum):
    """Seen from us; the value is the carrier's `type`."""

    IN = "1"
    OUT = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One text in the list. `written` is its text as it came, `text` without the list's own escapes.

    `at` is right to within an hour, None if it cannot be read. `label`: the sender's spelling where it is no number.
    """

    kind: Kind
    provider_id: ProviderMessageId
    direction: Direction
    did: Did
    peer: Peer
    written: str
    text: str
    media: tuple[str, ...]
    at: datetime | None
    carrier_status: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for: Eastern days (both included), and whatever narrows it."""

    first: date
    last: date
    kinds: tuple[Kind, ...] = (Kind.SMS, Kind.MMS)
    did: Did | None = None
    peer: Peer | None = None
    direction: Direction | None = None

    def takes(self, row: Row) -> bool:
        """The carrier ignores a filter that it does not understand."""
        return self.did in {None, row.did} and self.peer in {None, row.peer} and self.direction in {None, row.direction}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`rows` by time; `is_complete`: nothing that fits the query and that the carrier lists is missing."""

    rows: tuple[Row, ...]
    is_complete: bool


def eastern_day(at: datetime) -> date:
    """The carrier's day of an instant."""
    return at.astimezone(loose.EASTERN).date()


def age(row: Row) -> tuple[float, int, str]:
    """By time; ids are numbers that grow, where they are numbers."""
    at = row.at.timestamp() if row.at else float("-inf")
    return at, int(row.provider_id) if row.provider_id.isdecimal() else 0, row.provider_id


async def list_texts(api: Api, query: Query, dids: Collection[Did] = ()) -> Listing:
    """What the carrier lists; `dids` are the numbers of ours that a list of the whole account is cut by.

    Raises the `Outcome` that a call met: nothing is known then.
    """
    looking = _Looking(api, dids)
    is_complete = True
    for kind in query.kinds:
        for part in _stretches(query):
            is_complete &= await looking.look(kind, part)
    return Listing(rows=looking.rows(), is_complete=is_complete)


class _Looking:
    """The rows found so far, and the calls that are left."""

    def __init__(self, api: Api, dids: Collection[Did]) -> None:
        self._api = api
        self._dids = dids
        self._found: dict[tuple[Kind, ProviderMessageId], Row] = {}
        self._calls_left = MOST_CALLS

    def rows(self) -> tuple[Row, ...]:
        return tuple(sorted(self._found.values(), key=age))

    async def look(self, kind: Kind, query: Query) -> bool:
        """Whether everything was shown."""
        if not self._calls_left:
            return False
        self._calls_left -= 1
        entries = await _ask(self._api, kind, query)
        is_readable = True
        for entry in entries:
            row = _read(entry, kind)
            if row is None:
                is_readable &= _is_of_others(entry)
            elif query.takes(row):
                self._found[row.kind, row.provider_id] = row
        if len(entries) < LIMIT and len(entries) not in PAGES:
            return is_readable
        pieces = list(_pieces(query, self._dids))
        is_complete = is_readable and bool(pieces)
        for piece in pieces:
            is_complete &= await self.look(kind, piece)
        return is_complete


async def _ask(api: Api, kind: Kind, query: Query) -> list[object]:
    params = {
        "from": query.first.isoformat(),
        "to": query.last.isoformat(),
        "limit": str(LIMIT),
        "timezone": "-5",
        "all_messages": "0",
    }
    if query.did:
        params["did"] = ten_digits(query.did)
    if query.peer:
        params["contact"] = ten_digits(query.peer)
    if query.direction:
        params["type"] = query.direction.value
    answer = await api.ask(_METHODS[kind], **params)
    status = answer.get("status")
    if code_of(status) in _EMPTY:
        return []
    if status != "success":
        raise outcome_of(status, 1)
    match answer.get("sms"):
        case list(rows):
            return rows
        case dict(row) if "id" in row:
            return [row]
        case dict(rows):
            return list(rows.values())
        case _:
            raise Indeterminate("no_rows")


def _stretches(query: Query) -> Iterator[Query]:
    """The query in as many days as the carrier takes."""
    first = query.first
    while first <= query.last:
        last = min(query.last, first + timedelta(days=MOST_DAYS - 1))
        yield replace(query, first=first, last=last)
        first = last + timedelta(days=1)


def _pieces(query: Query, dids: Collection[Did]) -> Iterator[Query]:
    """The same in smaller pieces; none if it cannot be cut any further."""
    days = (query.last - query.first).days
    if days:
        for n in range(days + 1):
            day = query.first + timedelta(days=n)
            yield replace(query, first=day, last=day)
    elif query.did is None and dids:
        for did in dids:
            yield replace(query, did=did)
    elif query.direction is None:
        for direction in Direction:
            yield replace(query, direction=direction)


def _read(entry: object, kind: Kind) -> Row | None:
    provider_id = id_of(loose.member(entry, "id"))
    did = loose.did_of(loose.text_of(loose.member(entry, "did")))
    sender = loose.text_of(loose.member(entry, "contact")).strip()
    direction = loose.text_of(loose.member(entry, "type")).strip()
    if provider_id is None or did is None or not sender or direction not in set(Direction):
        return None
    peer = normalise_peer(sender)
    written = loose.text_of(loose.member(entry, "message"))
    columns = loose.filled(loose.text_of(loose.member(entry, name)) for name in _MEDIA_COLUMNS)
    media = (*columns, *_urls(loose.member(entry, "media")))
    return Row(
        kind=kind,
        provider_id=provider_id,
        direction=Direction(direction),
        did=did,
        peer=peer,
        written=written,
        text=_unescape(written),
        media=tuple(dict.fromkeys(map(loose.absolute, media))),
        at=loose.instant_of(loose.text_of(loose.member(entry, "date"))),
        carrier_status=loose.text_of(loose.member(entry, "carrier_status")),
        label=sender[:LONGEST_LABEL] if kind_of(peer) is PeerKind.ALPHANUMERIC else "",
    )


def _urls(media: object) -> tuple[str, ...]:
    """A list of URLs, or an object keyed by their numbers."""
    return loose.each(list(media.values()) if isinstance(media, dict) else media, "url")


def _is_of_others(entry: object) -> bool:
    """A row that names a number which cannot be one of ours; any other that cannot be read may be the one we miss."""
    number = loose.text_of(loose.member(entry, "did")).strip()
    return bool(number) and loose.did_of(number) is None


def _unescape(written: str) -> str:
    """The list escapes quotes with backslashes, in layers, and some letters as HTML entities; the callbacks do not."""
    return html.unescape(_ESCAPED_QUOTE.sub("", written)) if "&" in written or "\\" in written else written
