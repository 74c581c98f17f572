"""How the carrier tells its customer about a text."""

import asyncio
import json
from datetime import UTC, datetime

from smsbridge.sim.account import DidSettings
from smsbridge.sim.pictures import JPEG
from smsbridge.sim.push import Attempt, Push, Via
from tests.fakes.waiting import PATIENCE

DID = "5551230001"
PEER = "5559870002"
NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)  # noon in New York
CALLBACK = "/cb?to={TO}&from={FROM}&message={MESSAGE}&id={ID}&date={TIMESTAMP}&media={MEDIA}"


async def end_of(push: Push) -> Attempt | None:
    async with asyncio.timeout(PATIENCE):
        return await push.answered


async def test_the_webhook_is_posted_once_in_the_shape_seen_in_life(start, customer):
    person = await customer((503, "later"))
    did = DidSettings(did=DID, webhook=f"{person.url}/hook?key=secret&from={{FROM}}", webhook_enabled=True)
    carrier = await start(did=did, clock=lambda: NOON)
    push = await carrier.text_in(PEER, DID, "Hello 🙂")
    attempt = await end_of(push)
    assert attempt is not None
    assert (attempt.via, attempt.status, attempt.body) == (Via.WEBHOOK, 503, "later")
    assert not attempt.satisfied
    ((path, body),) = person.requests
    assert "FROM" in path  # variables are not filled in here
    assert b"\\ud83d\\ude42" in body
    assert json.loads(body) == {
        "data": {
            "id": 110_997_001,
            "event_type": "message.received",
            "record_type": "event",
            "payload": {
                "id": 110_997_001,
                "record_type": "message",
                "type": "SMS",
                "from": {"phone_number": PEER},
                "to": [{"phone_number": DID, "status": "webhook_delivered"}],
                "text": "Hello 🙂",
                "media": [],
                "received_at": "2026-10-05T16:00:00.000000+00:00",
            },
        }
    }


async def test_the_webhook_of_a_picture_names_where_it_is(start, customer):
    person = await customer()
    carrier = await start(did=DidSettings(did=DID, webhook=person.url, webhook_enabled=True))
    push = await carrier.text_in(PEER, DID, "", [JPEG])
    await end_of(push)
    payload = json.loads(person.requests[0][1])["data"]["payload"]
    assert (payload["id"], payload["type"]) == (10_240_001, "MMS")
    assert payload["media"] == [{"url": push.row.media[0].url}]


async def test_the_webhook_is_repeated_until_200_where_asked(start, customer):
    person = await customer((500, ""), (204, ""), (200, "ok"))
    did = DidSettings(did=DID, webhook=person.url, webhook_enabled=True)
    carrier = await start(did=did, webhook_interval=0.01)
    push = await carrier.text_in(PEER, DID, "hello")
    await end_of(push)
    assert [attempt.status for attempt in push.attempts] == [500, 204, 200]
    assert [item.satisfied for item in carrier.ledger.answered] == [False, False, True]


async def test_the_callback_is_repeated_until_the_body_is_exactly_ok(start, customer):
    answers = [(500, "ok"), (200, "OK"), (200, "ok\n"), (200, "ok")]
    person = await customer(*answers)
    did = DidSettings(
        did=DID,
        sms_url_callback=person.url + CALLBACK,
        sms_url_callback_enabled=True,
        sms_url_callback_retry=True,
    )
    carrier = await start(did=did, callback_interval=0.01, clock=lambda: NOON)
    push = await carrier.text_in(PEER, DID, "a&b {ID} é")
    attempt = await end_of(push)
    assert attempt is not None
    assert attempt.satisfied
    assert (push.status, push.body, len(push.attempts)) == (200, "ok", 4)
    query = "message=a%26b%20%7BID%7D%20%C3%A9&id=110997001&date=2026-10-05%2012%3A00%3A00&media="
    assert {path for path, _ in person.requests} == {f"/cb?to={DID}&from={PEER}&{query}"}


async def test_the_callback_comes_once_without_the_retry_flag(start, customer):
    person = await customer((200, "no"))
    did = DidSettings(did=DID, sms_url_callback=person.url + CALLBACK, sms_url_callback_enabled=True)
    carrier = await start(did=did, unfilled=frozenset({"TIMESTAMP"}))
    push = await carrier.text_in(PEER, DID, "look", [JPEG])
    await end_of(push)
    ((path, _),) = person.requests
    assert path.endswith("%2Fmedia.jpeg%2C%2C")
    assert "{TIMESTAMP}" in path


async def test_both_channels_may_be_on_and_neither_is_no_error(start, customer):
    person = await customer()
    did = DidSettings(
        did=DID,
        webhook=person.url,
        webhook_enabled=True,
        sms_url_callback=person.url,
        sms_url_callback_enabled=True,
    )
    carrier = await start(dids=(did, DidSettings(did="5551230002")))
    both = await carrier.text_in(PEER, DID, "hello")
    await end_of(both)
    assert {attempt.via for attempt in both.attempts} == {Via.WEBHOOK, Via.CALLBACK}
    assert await end_of(await carrier.text_in(PEER, "5551230002", "hello")) is None


async def test_a_customer_who_is_away_counts_as_an_attempt(start, customer):
    person = await customer()
    carrier = await start(did=DidSettings(did=DID, webhook=person.url, webhook_enabled=True))
    await person.runner.cleanup()
    attempt = await end_of(await carrier.text_in(PEER, DID, "hello"))
    assert attempt == Attempt(via=Via.WEBHOOK, status=None)
    assert not carrier.ledger.answered[0].satisfied


async def test_a_customer_who_never_answers_counts_as_an_attempt(start):
    gone = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with asyncio.timeout(PATIENCE), await asyncio.start_server(keep_silent, "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        did = DidSettings(did=DID, webhook=url, webhook_enabled=True)
        carrier = await start(did=did, push_seconds=0.05)
        attempt = await end_of(await carrier.text_in(PEER, DID, "hello"))
        await gone.wait()
    assert attempt == Attempt(via=Via.WEBHOOK, status=None)


async def test_the_stop_ends_a_push_that_would_be_repeated(start, customer):
    person = await customer((200, "no"))
    did = DidSettings(did=DID, sms_url_callback=person.url, sms_url_callback_enabled=True, sms_url_callback_retry=True)
    carrier = await start(did=did)
    push = await carrier.text_in(PEER, DID, "hello")
    await carrier.ledger.until(lambda: len(carrier.ledger.answered) == 1)
    await carrier.stop()
    assert push.answered.cancelled()
