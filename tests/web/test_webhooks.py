"""A carrier's callback, over real HTTP: what it reads, when it reads it, and what is taken."""

import asyncio
import json
from ipaddress import ip_network

import aiohttp
import pytest
from structlog.testing import capture_logs

from smsbridge.core.errors import NoRoom, StoreUnavailable
from smsbridge.core.message import ProviderName
from smsbridge.log import Event as Logged
from smsbridge.providers.contract import Answer, Capabilities
from smsbridge.providers.voipms import KIND
from smsbridge.web.webhooks import parse_query
from tests.fakes.waiting import PATIENCE, until

from .station import KEY, NOW, Carrier, Start, request, text


async def test_a_callback_is_answered_in_the_carriers_words_once_it_is_taken(start: Start):
    station = await start()
    reply = await station.ask(request())
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.headers == {"content-type": "text/plain", "content-length": "2"}
    assert station.take.taken == [(ProviderName("fake"), (text(ProviderName("fake"), "hello"),))]
    assert station.counted("fake", 200) == 1


async def test_nothing_is_answered_before_take_has_returned(start: Start):
    station = await start()
    station.take.is_open.clear()
    wire = await station.connect()
    wire.send(request())
    async with asyncio.timeout(PATIENCE):
        await station.take.is_called.wait()
    early = asyncio.create_task(wire.reply())
    await asyncio.wait([early], timeout=0.1)
    assert not early.done()
    station.take.is_open.set()
    assert (await early).body == b"ok"


async def test_a_store_that_cannot_commit_is_answered_503_and_come_again(start: Start):
    station = await start()
    station.take.error = StoreUnavailable("disk full of kingfishers")
    with capture_logs() as logs:
        reply = await station.ask(request())
    assert (reply.status, reply.body) == (503, b"")
    assert reply.headers["retry-after"].isdecimal()
    assert [(entry["event"], entry["why"]) for entry in logs] == [(Logged.CALLBACK_FAILED, "store_unavailable")]
    assert "kingfisher" not in str(logs)


async def test_a_bridge_without_room_says_503_to_each_and_a_few_lines_to_the_journal(start: Start):
    station = await start()
    station.take.error = NoRoom("too little of the disk is free")
    with capture_logs() as logs:
        replies = [await station.ask(request()) for _ in range(20)]
    assert {(reply.status, reply.headers["retry-after"]) for reply in replies} == {(503, "30")}
    assert 0 < len(logs) < 5
    assert {entry["why"] for entry in logs} == {"no_room"}


async def test_a_bug_is_answered_500_without_a_word_and_its_text_is_not_logged(start: Start):
    station = await start()
    station.take.error = ValueError("the text was hello")
    with capture_logs() as logs:
        reply = await station.ask(request())
    assert (reply.status, reply.body) == (500, b"")
    assert [(entry["event"], entry["error"], entry["status"]) for entry in logs] == [
        (Logged.CALLBACK_FAILED, "ValueError", 500)
    ]
    assert "hello" not in str(logs)
    assert station.counted("fake", 500) == 1


async def test_a_wrong_key_is_answered_403_and_logged_without_the_key_or_the_host(start: Start):
    station = await start()
    with capture_logs() as logs:
        reply = await station.ask(request("/hook?key=magpie-key"))
    assert (reply.status, reply.body) == (403, b"")
    assert station.take.taken == []
    assert logs == [
        {
            "event": Logged.CALLBACK_REFUSED,
            "log_level": "warning",
            "provider": "fake",
            "path": "/hook",
            "status": 403,
            "source": "127.0.0.0/24",
            "room": "web",
        }
    ]


async def test_a_callback_that_is_not_understood_is_answered_400(start: Start):
    station = await start()
    with capture_logs() as logs:
        reply = await station.ask(request(body=b"nonsense"))
    assert (reply.status, reply.body) == (400, b"")
    assert logs[0]["why"] == "no text"
    assert station.counted("fake", 400) == 1


async def test_a_callback_without_events_is_answered_and_nothing_is_taken(start: Start):
    station = await start()
    assert (await station.ask(request(body=b"silence"))).body == b"ok"
    assert not station.take.is_called.is_set()


async def test_the_provider_owns_status_type_and_body(start: Start):
    station = await start(Carrier(answer_with=Answer(status=202, content_type="application/json", body=b"{}")))
    reply = await station.ask(request())
    assert (reply.status, reply.headers["content-type"], reply.body) == (202, "application/json", b"{}")


@pytest.mark.parametrize("target", ["/", "/hook/", "/hookey", "/metrics", "/healthz", "/readyz", "/%2e%2e/hook"])
async def test_any_other_path_is_answered_404_without_a_word_or_a_product_name(start: Start, target: str):
    station = await start()
    with capture_logs() as logs:
        reply = await station.ask(request(f"{target}?key={KEY}"))
    assert (reply.status, reply.body) == (404, b"")
    assert not {"server", "date"} & set(reply.headers)
    assert logs == []
    assert station.counted("unknown", 404) == 1


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_any_other_method_is_answered_405(start: Start, method: str):
    station = await start()
    reply = await station.ask(request(body=b"", method=method))
    assert (reply.status, reply.body, reply.headers["allow"]) == (405, b"", "GET, POST")
    assert station.take.taken == []


async def test_a_body_over_the_bound_is_refused_before_it_is_read(start: Start):
    station = await start()
    wire = await station.connect()
    wire.send(request(body=b"", length=1001))
    assert (await wire.reply()).status == 413


async def test_a_chunked_body_is_counted(start: Start):
    station = await start()
    wire = await station.connect()
    head = f"POST /hook?key={KEY} HTTP/1.1\r\nHost: sms.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head.encode() + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n")
    assert (await wire.reply()).status == 413
    assert station.take.taken == []


async def test_a_chunked_body_within_the_bound_is_taken(start: Start):
    station = await start()
    head = f"POST /hook?key={KEY} HTTP/1.1\r\nHost: sms.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await station.ask(head.encode() + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")).body == b"ok"
    assert station.take.texts == ["hello"]


async def test_a_broken_chunk_is_answered_400(start: Start):
    station = await start()
    head = f"POST /hook?key={KEY} HTTP/1.1\r\nHost: sms.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await station.ask(head.encode() + b"2\r\nhe\r\nzz\r\n")).status == 400
    assert station.take.taken == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zip-bomb"])
async def test_an_encoded_body_is_refused(start: Start, encoding: str):
    station = await start()
    assert (await station.ask(request(headers=[f"Content-Encoding: {encoding}"]))).status == 415


async def test_the_secret_is_asked_before_the_body_is_read(start: Start):
    station = await start()
    wire = await station.connect()
    wire.send(request("/hook?key=magpie-key", b"", length=500))
    assert (await wire.reply()).status == 403


async def test_a_body_that_does_not_come_is_answered_408_and_the_connection_closed(start: Start):
    station = await start(body_seconds=0.2)
    wire = await station.connect()
    wire.send(request(body=b"hel", length=500))
    assert (await wire.reply()).status == 408
    assert await wire.end() == b""
    assert station.take.taken == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_not_our_bug(start: Start):
    station = await start()
    with capture_logs() as logs:
        wire = await station.connect()
        wire.send(request(body=b"hel", length=500))
        await wire.close()
        await station.web.stop()
    assert station.take.taken == []
    assert Logged.CALLBACK_FAILED not in [entry["event"] for entry in logs]


async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_continue(start: Start):
    station = await start()
    wire = await station.connect()
    wire.send(request(body=b"", length=5, headers=["Expect: 100-continue"]))
    assert (await wire.reply()).status == 100
    wire.send(b"hello")
    assert (await wire.reply()).body == b"ok"
    assert station.take.texts == ["hello"]


async def test_a_provider_reads_the_request_as_it_was_sent(start: Start):
    carrier = Carrier()
    station = await start(carrier)
    target = f"/hook?key={KEY}&to=1&to=2&message=a%20b+c%2B&empty=&caf%C3%A9"
    await station.ask(request(target, b"", method="GET", headers=["X-Sign: one", "X-Sign: two"]))
    (callback,) = carrier.parsed
    assert (callback.method, callback.path, callback.body) == ("GET", "/hook", b"")
    assert callback.query == (
        ("key", KEY), ("to", "1"), ("to", "2"), ("message", "a b c+"), ("empty", ""), ("café", "")
    )  # fmt: skip
    assert callback.headers["x-sign"] == callback.headers["X-Sign"] == "one"
    assert callback.received_at == NOW


async def test_accounts_that_share_a_path_each_get_their_own_callbacks(start: Start):
    first = Carrier(name=ProviderName("first"), key="key-one")
    second = Carrier(name=ProviderName("second"), key="key-two")
    station = await start(first, second)
    await station.ask(request("/hook?key=key-two"))
    await station.ask(request("/hook?key=key-one"))
    assert [provider for provider, _ in station.take.taken] == ["second", "first"]
    assert len(first.asked) == len(second.asked) == 2  # all are asked, always
    assert (await station.ask(request("/hook?key=key-three"))).status == 403
    assert station.counted("unknown", 403) == 1


async def test_an_account_whose_secret_is_in_the_body_is_found_by_it(start: Start):
    first = Carrier(name=ProviderName("first"), key="key-one", signs_body=True)
    second = Carrier(name=ProviderName("second"), key="key-two", signs_body=True)
    station = await start(first, second)
    assert (await station.ask(request("/hook", b"key-two says hello"))).status == 200
    assert [provider for provider, _ in station.take.taken] == ["second"]
    assert (await station.ask(request("/hook", b"key-three says hello"))).status == 403


async def test_too_many_wrong_keys_are_answered_429_and_a_right_one_is_still_taken(start: Start):
    station = await start(failures_a_minute=3)
    answers = [await station.ask(request("/hook?key=magpie-key")) for _ in range(6)]
    assert [answer.status for answer in answers] == [403, 403, 403, 429, 429, 429]
    assert answers[-1].headers["retry-after"] == "60"
    assert (await station.ask(request())).body == b"ok"
    assert (await station.ask(request("/hook?key=magpie-key"), source="127.0.0.2")).status == 403
    station.ticks.seconds += 60
    assert (await station.ask(request("/hook?key=magpie-key"))).status == 403


async def test_unknown_paths_count_as_wrong_keys_do(start: Start):
    station = await start(failures_a_minute=3)
    wrong = [request("/"), request("/wp-login.php"), request("/hook?key=magpie-key"), request("/")]
    assert [(await station.ask(raw)).status for raw in wrong] == [404, 404, 403, 429]
    assert (await station.ask(request())).body == b"ok"
    assert (await station.ask(request(length=5000))).status == 413  # whose fault it is tells the same as ever


async def test_a_flood_of_wrong_keys_is_a_few_lines_and_a_count(start: Start):
    station = await start(failures_a_minute=10)
    with capture_logs() as logs:
        for n in range(100):
            await station.ask(request("/hook?key=magpie-key"), source=f"127.0.1.{n % 40 + 1}")
        await station.web.stop()
    assert len(logs) == 31
    last = logs.pop()
    assert (last["event"], last["count"], last["statuses"]) == (Logged.CALLBACKS_REFUSED, 70, {"403": 70})
    assert {entry["event"] for entry in logs} == {Logged.CALLBACK_REFUSED}


@pytest.mark.parametrize(
    "raw", [request("/hook?key=magpie-key"), request("/"), request(method="PUT"), request(length=5000)]
)
async def test_behind_a_refused_request_nothing_more_is_read(start: Start, raw: bytes):
    station = await start()
    wire = await station.connect()
    wire.send(raw + request())
    came = await wire.end()
    assert came.count(b"HTTP/1.") == 1
    assert b"\r\nConnection: close\r\n" in came
    assert station.take.taken == []


async def test_a_carrier_that_calls_too_often_is_told_to_come_again(start: Start):
    station = await start(callbacks_a_minute=3)
    station.ticks.seconds += 20
    replies = [await station.ask(request(), source="127.0.0.2") for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 503, 503]
    assert 30 <= int(replies[-1].headers["retry-after"]) <= 60
    assert len(station.take.texts) == 3
    assert (await station.ask(request(), source="127.0.0.3")).body == b"ok"
    station.ticks.seconds += int(replies[-1].headers["retry-after"])
    assert (await station.ask(request(), source="127.0.0.2")).body == b"ok"


async def test_an_account_that_is_called_too_often_leaves_the_others_of_its_carrier_alone(start: Start):
    busy, quiet = Carrier(name=ProviderName("busy")), Carrier(name=ProviderName("quiet"), key="key-two")
    station = await start(busy, quiet, callbacks_a_minute=2)
    assert [(await station.ask(request(), source="127.0.0.2")).status for _ in range(3)] == [200, 200, 503]
    assert (await station.ask(request("/hook?key=key-two"), source="127.0.0.2")).body == b"ok"


async def test_a_store_that_says_nothing_is_not_waited_for_longer_than_a_carrier_waits(start: Start):
    station = await start(take_seconds=0.1)
    station.take.is_open.clear()
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE):
            reply = await station.ask(request())
    assert (reply.status, reply.headers["retry-after"]) == (503, "30")
    assert [(entry["event"], entry["why"]) for entry in logs] == [(Logged.CALLBACK_FAILED, "store_unavailable")]
    assert station.take.texts == []


async def test_somebody_elses_cancelling_is_no_time_out(start: Start):
    station = await start()
    station.take.is_open.clear()
    task = asyncio.create_task(
        station.web._webhooks._commit(ProviderName("fake"), (text(ProviderName("fake"), "hello"),))
    )
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_proxy_that_does_not_tell_for_whom_it_asks_is_not_held_to_the_rate_of_one(start: Start):
    station = await start(callbacks_a_minute=1)
    assert {(await station.ask(request())).body for _ in range(4)} == {b"ok"}
    named = request(headers=["X-Forwarded-For: 203.0.113.5"])
    assert [(await station.ask(named)).status for _ in range(2)] == [200, 503]


async def test_behind_our_proxy_the_source_is_the_address_that_the_proxy_saw(start: Start):
    station = await start(failures_a_minute=1, proxies=(ip_network("127.0.0.1"), ip_network("10.0.0.0/8")))

    async def status_from(*headers: str, source: str = "127.0.0.1") -> int:
        return (await station.ask(request("/hook?key=magpie-key", headers=headers), source=source)).status

    assert await status_from("X-Forwarded-For: 198.51.100.7, 203.0.113.5") == 403
    assert await status_from("X-Forwarded-For: 198.51.100.8", "X-Forwarded-For: 203.0.113.5") == 429
    assert await status_from("X-Forwarded-For: 198.51.100.9,203.0.113.5 , 10.0.0.7,10.1.2.3") == 429
    assert await status_from("X-Forwarded-For: 203.0.113.6") == 403
    assert await status_from("X-Forwarded-For: kingfisher") == 403
    assert await status_from("X-Forwarded-For: 203.0.113.9, kingfisher") == 429  # the proxy itself, again
    assert await status_from("X-Forwarded-For: 203.0.113.7", source="127.0.0.9") == 403
    assert await status_from("X-Forwarded-For: 203.0.113.8", source="127.0.0.9") == 429  # no proxy of ours


async def test_long_bodies_share_a_bound_and_short_ones_are_taken_all_the_same(start: Start):
    able = Capabilities(sms=(), callback_bytes=200_000)
    station = await start(Carrier(capabilities=able), large_bytes=150_000)
    first = await station.connect()
    first.send(request(body=b"x" * 100_000, length=100_001))
    await until(lambda: station.web._webhooks._large == 100_000)
    reply = await station.ask(request(body=b"x" * 100_000))
    assert (reply.status, reply.headers["retry-after"]) == (503, "30")
    assert (await station.ask(request(body=b"x" * 60_000))).body == b"ok"
    first.send(b"x")
    assert (await first.reply()).body == b"ok"
    assert (await station.ask(request(body=b"x" * 100_000))).body == b"ok"
    assert station.web._webhooks._large == 0


async def test_a_long_body_counts_until_what_it_told_is_committed(start: Start):
    able = Capabilities(sms=(), callback_bytes=200_000)
    station = await start(Carrier(capabilities=able), large_bytes=150_000)
    station.take.is_open.clear()
    first = await station.connect()
    first.send(request(body=b"x" * 100_000))
    await station.take.is_called.wait()
    assert (await station.ask(request(body=b"x" * 100_000))).status == 503
    station.take.is_open.set()
    assert (await first.reply()).body == b"ok"
    assert (await station.ask(request(body=b"x" * 100_000))).body == b"ok"
    station.take.error = StoreUnavailable("the test says so")
    assert (await station.ask(request(body=b"x" * 100_000))).status == 503
    assert station.web._webhooks._large == 0


async def test_two_accounts_at_voip_ms_share_the_url_of_mod_voipms(start: Start):
    async with aiohttp.ClientSession() as session:
        accounts = [
            KIND.build(
                ProviderName(name),
                KIND.settings(username="john@example.com", password="kingfisher", query_keys=[f"{name}-{'k' * 32}"]),
                session,
            )
            for name in ("voipms", "second")
        ]
        station = await start(*accounts)
        payload = {
            "id": 110997001,
            "type": "SMS",
            "from": {"phone_number": "5559870002"},
            "to": [{"phone_number": "5551230001"}],
            "text": "hello",
        }
        body = json.dumps({"data": {"event_type": "message.received", "payload": payload}}).encode()
        target = f"/voipms?key=second-{'k' * 32}"
        assert (await station.ask(request(target, body))).body == b"ok"
        classic = f"/voipms?key=voipms-{'k' * 32}&to=5551230001&from=5559870002&message=caf%E9&id=7&date=&media="
        assert (await station.ask(request(classic, b"", method="GET"))).body == b"ok"
        assert (await station.ask(request(target, b"no json"))).status == 400
        assert (await station.ask(request("/voipms?key=", body))).status == 403
    assert [provider for provider, _ in station.take.taken] == ["second", "voipms"]
    assert station.take.texts == ["hello", "café"]


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", ()),
        ("a=1&&b=2", (("a", "1"), ("b", "2"))),
        ("a", (("a", ""),)),
        ("a=b=c", (("a", "b=c"),)),
        ("m=%F0%9F%99%82", (("m", "🙂"),)),
        ("m=caf%E9", (("m", "café"),)),
        ("m=caf\udce9", (("m", "café"),)),
        ("m=100%", (("m", "100%"),)),
        ("m=%ED%A0%BD%ED%B9%82", (("m", "🙂"),)),
    ],
)
def test_a_query_is_read_as_carriers_write_it(raw: str, pairs: tuple[tuple[str, str], ...]):
    assert parse_query(raw) == pairs
