"""What VoIP.ms lists of the whole account, as events.

The address of a picture is often missing in getMMS though there is one: getMediaMMS has it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from smsbridge.core.address import Did
from smsbridge.core.message import InboundMessage, Media, ProviderName, SentElsewhere, Source
from smsbridge.providers.contract import Listed
from smsbridge.providers.voipms import loose
from smsbridge.providers.voipms.api import Api
from smsbridge.providers.voipms.listing import Direction, Query, Row, eastern_day, list_texts
from smsbridge.providers.voipms.reports import reports_in
from smsbridge.providers.voipms.statuses import outcome_of

_NOTHING: Final = frozenset({"no_sms", "no_mms"})


async def poll(api: Api, provider: ProviderName, since: datetime, until: datetime, dids: Collection[Did]) -> Listed:
    """All texts of the account between two instants and around them, by time."""
    query = Query(first=eastern_day(since), last=eastern_day(until + timedelta(days=1)))
    listing = await list_texts(api, query, dids)
    return Listed(
        events=tuple(_event(provider, row) for row in listing.rows),
        reports=reports_in(provider, listing.rows),
        is_complete=listing.is_complete,
    )


async def media_of(api: Api, message: InboundMessage) -> tuple[Media, ...]:
    """The pictures of an MMS, wherever the list hides them: as a list, or by their numbers."""
    answer = await api.ask("getMediaMMS", id=str(message.provider_id), media_as_array="1")
    if answer.get("status") in _NOTHING:
        return ()
    if answer.get("status") != "success":
        raise outcome_of(answer.get("status"), 1)
    media = answer.get("media")
    urls = loose.each(list(media.values()) if isinstance(media, dict) else media, "url")
    return tuple(Media(url=url) for url in dict.fromkeys(map(loose.absolute, urls)))


def _event(provider: ProviderName, row: Row) -> InboundMessage | SentElsewhere:
    media = tuple(Media(url=url) for url in row.media)
    if row.direction is Direction.OUT:
        return SentElsewhere(
            provider=provider,
            kind=row.kind,
            did=row.did,
            peer=row.peer,
            provider_id=row.provider_id,
            text=row.text,
            media=media,
            sent_at=row.at,
        )
    return InboundMessage(
        provider=provider,
        source=Source.POLL,
        kind=row.kind,
        did=row.did,
        peer=row.peer,
        provider_id=row.provider_id,
        text=row.text,
        media=media,
        sent_at=row.at,
        label=row.label,
    )
