"""Attachments are settled once."""

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import InboundMessage, Kind, Media, MediaId, ProviderMessageId, ProviderName, Source
from smsbridge.store import history, inbox, media

MMS = InboundMessage(
    provider=ProviderName("voipms"),
    source=Source.WEBHOOK,
    kind=Kind.MMS,
    did=Did("+15551230001"),
    peer=Peer("+15559870002"),
    provider_id=ProviderMessageId("1"),
    text="",
    media=(Media(url="https://media.example.com/1.jpg"),),
)


async def test_an_attachment_is_published_once(house):
    ((media_id, item),) = (await house.do(inbox.take, MMS)).media
    assert await house.do(media.publish, media_id, item.url)
    assert not await house.do(media.publish, media_id, "https://media.example.com/other.jpg")
    (row,) = await house.rows("SELECT state, published_url FROM media")
    assert row == {"state": "published", "published_url": item.url}
    (step,) = await house.run(history.of_subject, media_id)
    assert (step.subject, step.state) == ("media", "published")


async def test_what_is_not_there_is_not_published(house):
    assert not await house.do(media.publish, MediaId("none"), "https://media.example.com/1.jpg")
    assert await house.count("history") == 0
