"""What became of a part, told from the listings: found, not there, or not to be told.

    getSMS and getMMS of the conversation, sent texts, from the day before the first try to the day after now
        something looks like the part ─▶ found
        nothing does ─▶ the days of the tries once more, each alone ─▶ the same rows: absent
                          └ rows that the longer list had kept back: it was cut short, and proves nothing

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
from smsbridge.providers.contract import Candidate, Trace, Traced
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.listing import Direction, Listing, Query, Row, eastern_day, list_texts

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
    try:
        whole = await list_texts(api, query)
        if found := _alike(whole, part, since):
            return Traced(trace=Trace.FOUND, candidates=found)
        # the day of the try is where the part would be
        narrow = await list_texts(
            api, replace(query, first=eastern_day(since), last=eastern_day(now), kinds=(part.kind,))
        )
    except Outcome as outcome:
        return Traced(trace=Trace.UNPROVABLE, code=outcome.code)
    if found := _alike(narrow, part, since):
        return Traced(trace=Trace.FOUND, candidates=found)
    if not (whole.is_complete and narrow.is_complete):
        return Traced(trace=Trace.UNPROVABLE, code="list_incomplete")
    if not _keys(narrow) <= _keys(whole):
        return Traced(trace=Trace.UNPROVABLE, code="list_cut_short")
    return Traced(trace=Trace.ABSENT)


def _alike(listing: Listing, part: Part, since: datetime) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(kind=row.kind, provider_id=row.provider_id) for row in listing.rows if _is_alike(row, part, since)
    )


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
