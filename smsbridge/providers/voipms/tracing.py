"""What became of a part, told from the listings: what looks like it, and whether all was shown.

    getSMS and getMMS of the conversation, sent texts, from the day before the first try to the day after now
    the days of the tries once more, alone: rows that the longer list kept back show that lists are cut short

The carrier trims texts, changes line ends, and puts plain letters for typographic ones, so texts are compared without
all that. Its clock is right to within an hour. Dates and filters are the only way to turn its pages.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from smsbridge.core.errors import Outcome
from smsbridge.core.message import Kind, Part
from smsbridge.core.text import fold_to_gsm7, normalise_body
from smsbridge.providers.contract import Candidate, Traced
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.listing import Direction, Listing, Query, Row, age, eastern_day, list_texts

SKEW: Final = timedelta(minutes=75)  # an hour of daylight saving, and clocks that are off
DAY: Final = timedelta(days=1)


async def trace(api: Api, part: Part, since: datetime, now: datetime) -> Traced:
    """What the listings show of a part that was tried first at `since`. Raises nothing."""
    query = Query(
        first=eastern_day(since - DAY),
        last=eastern_day(now + DAY),
        did=part.did,
        peer=part.peer,
        direction=Direction.OUT,
    )
    days = replace(query, first=eastern_day(since), last=eastern_day(now), kinds=(part.kind,))
    try:
        whole = await list_texts(api, query)
        narrow = await list_texts(api, days)
    except Outcome as outcome:
        return Traced(code=outcome.code)
    code = ""
    if not (whole.is_complete and narrow.is_complete):
        code = "list_incomplete"
    elif not _keys(narrow) <= _keys(whole):
        code = "list_cut_short"
    rows = {(row.kind, row.provider_id): row for row in (*whole.rows, *narrow.rows)}
    alike = [row for row in sorted(rows.values(), key=age) if _is_alike(row, part, since)]
    candidates = tuple(Candidate(kind=row.kind, provider_id=row.provider_id) for row in alike)
    return Traced(candidates=candidates, is_whole=not code, code=code)


def _is_alike(row: Row, part: Part, since: datetime) -> bool:
    if row.at is not None and row.at < since - SKEW:
        return False
    if row.kind is Kind.MMS and not _may_show(row, part):
        return False
    return _look_of(part.text) in {_look_of(row.written), _look_of(row.text)}


def _may_show(row: Row, part: Part) -> bool:
    """The carrier hosts pictures anew, or lists none; where it shows our own URLs, they are the part's."""
    if part.kind is Kind.SMS or not part.media:
        return not row.media
    ours = {item.url for item in part.media}
    hosts = {urlsplit(url).netloc for url in ours}
    return all(url in ours or urlsplit(url).netloc not in hosts for url in row.media)


def _look_of(text: str) -> str:
    """What of a text survives the carrier: words in plain letters."""
    return " ".join(normalise_body(fold_to_gsm7(text)).split())


def _keys(listing: Listing) -> set[tuple[Kind, str]]:
    return {(row.kind, row.provider_id) for row in listing.rows}
