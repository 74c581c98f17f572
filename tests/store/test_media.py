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


async def test_bytes_that_came_with_a_text_are_there_until_the_last_step(house):
    large = bytes(range(256)) * 3000
    message = MMS._replace(media=(Media(url="", content=large), Media(url="", content=b"")))
    (first, second) = (media_id for media_id, _ in (await house.do(inbox.take, message)).media)
    assert await house.run(media.content_of, first) == large
    assert await house.run(media.content_of, second) == b""
    assert {row["n"] for row in await house.rows("SELECT n FROM media_piece")} == {0, 1, 2, 3}
    (repeated, *_) = (await house.do(inbox.take, message)).media or (None,)
    assert repeated is None
    assert await house.do(media.publish, first, "https://share.example.com/1.jpg")
    assert await house.do(media.give_up, second, "kind")
    assert await house.run(media.content_of, first) is None
    assert await house.count("media_piece") == 0
