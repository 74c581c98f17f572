"""The carrier misbehaves as it was asked to: every fault is seen on the wire, and in the ledger."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from smsbridge.sim.account import DidSettings
from smsbridge.sim.faults import CALLBACK, CONNECTION, WEBHOOK, Fault, FaultPlan, Moment, What
from tests.fakes.waiting import PATIENCE

BEFORE, AFTER = Moment.BEFORE_ACCEPT, Moment.AFTER_ACCEPT
DID = "5551230001"
PEER = "5559870002"
NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)  # noon in New York
TEXT = {"did": DID, "dst": PEER, "message": "hello"}
CALLBACK_TEMPLATE = "/cb?to={TO}&from={FROM}&message={MESSAGE}&id={ID}"


def met(carrier):
    return [(item.method, item.fault) for item in carrier.ledger.met]


class TestAnswers:
    @pytest.mark.parametrize(("moment", "count"), [(BEFORE, 0), (AFTER, 1)])
    @pytest.mark.parametrize(
        ("what", "page"),
        [(What.TRUNCATED, '{"status"'), (What.HTML, "<!DOCTYPE html>"), (What.EMPTY, "")],
    )
    async def test_something_else_comes_in_place_of_the_answer(self, start, ask_of, moment, count, what, page):
        carrier = await start(faults=FaultPlan(Fault(when=moment, method="sendSMS", what=what)))
        status, body = await ask_of(carrier).raw("sendSMS", **TEXT)
        assert status == 200
        assert body.startswith(page)
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(body)
        assert len(carrier.ledger.sent) == count
        assert met(carrier) == [("sendSMS", f"{moment} {what}")]
        assert carrier.ledger.met[0].peer == PEER

    async def test_an_answer_breaks_off(self, start, ask_of):
        carrier = await start(faults=FaultPlan(Fault(when=AFTER, what=What.CUT)))
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask_of(carrier).raw("sendSMS", **TEXT)
        assert len(carrier.ledger.sent) == 1

    @pytest.mark.parametrize("method", ["sendSMS", "sendMMS"])
    async def test_an_id_is_zero_or_empty_or_missing_or_that_of_another_text(self, start, ask_of, method):
        kind = method.removeprefix("send").lower()
        wrong = (What.ZERO_ID, What.EMPTY_ID, What.NO_ID, What.SAME_ID)
        carrier = await start(faults=FaultPlan(*(Fault(when=AFTER, method=method, what=what) for what in wrong)))
        ask = ask_of(carrier)
        answers = [await ask(method, **TEXT) for _ in wrong]
        given = carrier.ledger.sent[-2].id
        assert [answer.get(kind) for answer in answers] == [0, "", None, given]
        assert len({row.id for row in carrier.ledger.sent}) == len(wrong)

    async def test_the_first_text_has_only_its_own_id_to_repeat(self, start, ask_of):
        carrier = await start(faults=FaultPlan(Fault(when=AFTER, what=What.SAME_ID)))
        assert (await ask_of(carrier)("sendSMS", **TEXT))["sms"] == carrier.ledger.sent[0].id

    @pytest.mark.parametrize("status", ["limit_reached", "non_sufficient_funds", "invalid_credentials"])
    async def test_a_refusal_in_the_carriers_words_leaves_nothing(self, start, ask_of, status):
        carrier = await start(faults=FaultPlan(Fault(when=BEFORE, what=What.REFUSED, status=status)))
        assert await ask_of(carrier).status("sendSMS", **TEXT) == status
        assert carrier.ledger.sent == []
        assert met(carrier) == [("sendSMS", f"before_accept refused {status}")]

    async def test_what_was_dropped_is_carried_out_later_all_the_same(self, start, ask_of):
        late = Fault(when=BEFORE, method="sendSMS", drop=True, what=What.LATE, amount=0.05)
        carrier = await start(faults=FaultPlan(late))
        with pytest.raises(aiohttp.ClientError):
            await ask_of(carrier)("sendSMS", **TEXT)
        assert carrier.ledger.sent == []
        await carrier.ledger.until(lambda: len(carrier.ledger.sent) == 1)
        assert carrier.ledger.sent[0].message == "hello"

    async def test_nothing_is_carried_out_any_more_when_the_carrier_has_stopped(self, start, ask_of):
        late = Fault(when=BEFORE, method="sendSMS", http_status=502, what=What.LATE, amount=3600)
        carrier = await start(faults=FaultPlan(late))
        assert (await ask_of(carrier).raw("sendSMS", **TEXT))[0] == 502
        async with asyncio.timeout(PATIENCE):
            await carrier.stop()
        assert carrier.ledger.sent == []
        assert carrier._rest._late == set()


class TestConnections:
    async def test_one_is_closed_before_anything_is_read(self, start, ask_of):
        carrier = await start(faults=FaultPlan(Fault(when=BEFORE, method=CONNECTION, drop=True)))
        ask = ask_of(carrier)
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await ask("sendSMS", **TEXT)
        assert carrier.calls["sendSMS"] == 0
        assert met(carrier) == [("connection", "before_accept drop")]
        assert await ask.status("sendSMS", **TEXT) == "success"

    async def test_all_are_refused_while_it_is_away_and_its_ledger_is_kept(self, start, ask_of):
        carrier = await start()
        ask = ask_of(carrier)
        await ask("sendSMS", **TEXT)
        port = carrier.port
        async with carrier.away():
            await ask.http.connector.close()  # a connection that was kept would still be good
            async with aiohttp.ClientSession() as other:
                with pytest.raises(aiohttp.ClientConnectorError):
                    await other.get(carrier.api_url)
        assert carrier.port == port
        async with aiohttp.ClientSession() as other:
            ask.http = other
            await ask("sendSMS", **TEXT)
        assert len(carrier.ledger.sent) == 2

    async def test_it_may_stop_while_it_is_away(self, start):
        carrier = await start()
        async with carrier.away():
            await carrier.stop()


class TestListings:
    async def test_rows_appear_late(self, start, ask_of):
        now = [NOON]
        lag = Fault(when=BEFORE, method="getSMS", what=What.LAG, amount=60, times=None)
        carrier = await start(faults=FaultPlan(lag), clock=lambda: now[0])
        ask = ask_of(carrier)
        number = str((await ask("sendSMS", **TEXT))["sms"])
        assert await ask.status("getSMS") == await ask.status("getSMS", sms=number) == "no_sms"
        now[0] += timedelta(seconds=60)
        assert await ask.status("getSMS") == await ask.status("getSMS", sms=number) == "success"

    @pytest.mark.parametrize("rows", [0, 2])
    async def test_a_page_is_shorter_than_was_asked_for(self, start, ask_of, rows):
        short = Fault(when=BEFORE, method="getSMS", what=What.SHORT, amount=rows)
        carrier = await start(faults=FaultPlan(short))
        ask = ask_of(carrier)
        for n in range(3):
            await carrier.text_in(PEER, DID, f"text {n}")
        assert [row["message"] for row in (await ask("getSMS", limit="500")).get("sms", [])] == ["text 2", "text 1"][
            :rows
        ]
        assert len((await ask("getSMS", limit="500"))["sms"]) == 3

    async def test_its_clock_is_off(self, start, ask_of):
        off = Fault(when=BEFORE, method="getMMS", what=What.ZONE, amount=-3)
        carrier = await start(faults=FaultPlan(off), clock=lambda: NOON)
        await ask_of(carrier)("sendMMS", **TEXT)
        dates = [(await ask_of(carrier)("getMMS"))["sms"][0]["date"] for _ in range(2)]
        assert dates == ["2026-10-05 09:00:00", "2026-10-05 12:00:00"]


class TestWhichCalls:
    async def test_the_nth_call_and_so_many_after_it(self, start, ask_of):
        fault = Fault(when=BEFORE, method="sendSMS", skip=2, times=2, http_status=500)
        ask = ask_of(await start(faults=FaultPlan(fault)))
        assert await ask.status("getBalance") == "success"
        assert [(await ask.raw("sendSMS", **TEXT))[0] for _ in range(5)] == [200, 200, 500, 500, 200]

    async def test_a_share_of_the_calls_is_the_same_in_every_run_with_the_same_seed(self, start, ask_of):
        async def run(seed):
            plan = FaultPlan(Fault(when=BEFORE, share=0.3, times=None, http_status=500), seed=seed)
            ask = ask_of(await start(faults=plan))
            return [(await ask.raw("getIP"))[0] for _ in range(100)]

        first = await run(7)
        assert first == await run(7)
        assert first != await run(8)
        assert 15 <= first.count(500) <= 45

    async def test_what_a_share_leaves_out_may_meet_the_next_fault(self, start, ask_of):
        plan = FaultPlan(
            Fault(when=BEFORE, share=0.5, times=None, http_status=500),
            Fault(when=BEFORE, times=None, http_status=502),
        )
        ask = ask_of(await start(faults=plan))
        assert {(await ask.raw("getIP"))[0] for _ in range(50)} == {500, 502}

    async def test_the_star_means_neither_pushes_nor_connections(self, start, ask_of, customer):
        person = await customer()
        plan = FaultPlan(Fault(when=BEFORE, drop=True, times=None))
        carrier = await start(did=DidSettings(did=DID, webhook=person.url, webhook_enabled=True), faults=plan)
        push = await carrier.text_in(PEER, DID, "hello")
        assert (await push.answered).satisfied
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask_of(carrier)("getIP")
        assert met(carrier) == [("getIP", "before_accept drop")]
        plan.clear()
        assert await ask_of(carrier).status("getIP") == "success"

    @pytest.mark.parametrize(
        "never",
        [
            {"when": AFTER, "what": What.REFUSED, "status": "sms_failed"},
            {"when": BEFORE, "what": What.REFUSED},
            {"when": BEFORE, "status": "sms_failed"},
            {"when": BEFORE, "what": What.LATE, "amount": 1},
            {"when": BEFORE, "what": What.ZERO_ID},
            {"when": AFTER, "what": What.LAG},
            {"when": BEFORE, "what": What.COPIES, "amount": 2},
            {"when": BEFORE, "method": WEBHOOK, "what": What.HTML},
            {"when": AFTER, "method": CALLBACK, "what": What.COPIES},
            {"when": BEFORE, "method": WEBHOOK, "http_status": 500},
            {"when": BEFORE, "method": CONNECTION},
            {"when": AFTER, "method": CONNECTION, "drop": True},
            {"when": BEFORE, "method": CONNECTION, "drop": True, "what": What.HTML},
            {"when": BEFORE, "share": 0},
            {"when": BEFORE, "share": 1.1},
            {"when": BEFORE, "skip": -1},
        ],
    )
    def test_a_fault_that_could_never_happen_is_refused(self, never):
        with pytest.raises(ValueError, match=r"."):
            Fault(**never)


class TestPushes:
    @pytest.fixture
    def told(self, start, customer):
        """`carrier, person = await told(fault, …)`: a customer told by webhook, again and again until he says 200."""

        async def build(*faults, via=WEBHOOK, answers=(), **options):
            person = await customer(*answers)
            did = DidSettings(
                did=DID,
                webhook=person.url,
                webhook_enabled=via == WEBHOOK,
                sms_url_callback=person.url + CALLBACK_TEMPLATE,
                sms_url_callback_enabled=via == CALLBACK,
                sms_url_callback_retry=True,
            )
            options = {"webhook_interval": 0.01, "callback_interval": 0.01, **options}
            return await start(did=did, faults=FaultPlan(*faults), **options), person

        return build

    @pytest.mark.parametrize("via", [WEBHOOK, CALLBACK])
    async def test_one_is_lost_on_its_way_and_comes_again(self, told, via):
        carrier, person = await told(Fault(when=BEFORE, method=via, drop=True), via=via)
        push = await carrier.text_in(PEER, DID, "hello")
        await push.answered
        assert [attempt.status for attempt in push.attempts] == [None, 200]
        assert len(person.requests) == 1
        assert met(carrier) == [(via, "before_accept drop")]

    async def test_one_is_lost_for_ever_where_nothing_is_repeated(self, told):
        carrier, person = await told(Fault(when=BEFORE, method=WEBHOOK, drop=True), webhook_interval=None)
        push = await carrier.text_in(PEER, DID, "hello")
        assert not (await push.answered).satisfied
        assert person.requests == []

    @pytest.mark.parametrize("via", [WEBHOOK, CALLBACK])
    async def test_the_customers_yes_is_lost_and_he_is_told_again(self, told, via):
        carrier, person = await told(Fault(when=AFTER, method=via, drop=True), via=via)
        push = await carrier.text_in(PEER, DID, "hello")
        await push.answered
        assert [attempt.status for attempt in push.attempts] == [None, 200]
        assert person.requests[0] == person.requests[1]

    async def test_fifty_copies_come_at_once(self, start):
        here, all_here = [], asyncio.Event()

        async def wait_for_all(request):
            here.append(await request.read())
            if len(here) == 50:
                all_here.set()
            await all_here.wait()
            return web.Response(text="ok")

        async with asyncio.timeout(PATIENCE), _server(wait_for_all) as url:
            plan = FaultPlan(Fault(when=BEFORE, method=WEBHOOK, what=What.COPIES, amount=50))
            carrier = await start(did=DidSettings(did=DID, webhook=url, webhook_enabled=True), faults=plan)
            push = await carrier.text_in(PEER, DID, "hello")
            await push.answered
        assert len(push.attempts) == len(carrier.ledger.answered) == 50
        assert all(attempt.satisfied for attempt in push.attempts)
        assert len(set(here)) == 1

    async def test_so_many_come_in_one_breath_on_one_connection(self, start):
        wires = []

        async def note(request):
            wires.append((id(request.transport), await request.json()))
            return web.Response(text="ok")

        async with asyncio.timeout(PATIENCE), _server(note) as url:
            plan = FaultPlan(Fault(when=BEFORE, method=WEBHOOK, what=What.PIPELINED, amount=5))
            carrier = await start(did=DidSettings(did=DID, webhook=url, webhook_enabled=True), faults=plan)
            push = await carrier.text_in(PEER, DID, "hello")
            await push.answered
        assert [attempt.satisfied for attempt in push.attempts] == [True] * 5
        assert len({wire for wire, _ in wires}) == 1
        assert len(wires) == 5

    @pytest.mark.parametrize("via", [WEBHOOK, CALLBACK])
    async def test_one_dribbles_in_and_is_whole_in_the_end(self, told, via):
        carrier, person = await told(Fault(when=BEFORE, method=via, what=What.DRIBBLED, amount=0.2), via=via)
        began = time.monotonic()
        push = await carrier.text_in(PEER, DID, "hello 🙂")
        assert (await push.answered).satisfied
        assert time.monotonic() - began >= 0.2
        await carrier.push(push.row).answered
        assert person.requests[0] == person.requests[1]

    @pytest.mark.parametrize("via", [WEBHOOK, CALLBACK])
    async def test_one_dribbles_in_and_its_last_drop_waits_for_a_gate(self, told, via):
        gate = asyncio.Event()
        fault = Fault(when=BEFORE, method=via, what=What.DRIBBLED, amount=0.1, gate=gate)
        carrier, person = await told(fault, via=via)
        push = await carrier.text_in(PEER, DID, "slow")
        await (await carrier.text_in(PEER, DID, "quick")).answered
        assert (len(person.requests), push.attempts) == (1, [])
        gate.set()
        assert (await push.answered).satisfied
        assert len(person.requests) == 2

    @pytest.mark.parametrize("via", [WEBHOOK, CALLBACK])
    async def test_one_is_longer_and_says_the_same(self, told, via):
        carrier, person = await told(Fault(when=BEFORE, method=via, what=What.PADDED, amount=3000), via=via)
        push = await carrier.text_in(PEER, DID, "hello")
        assert (await push.answered).satisfied
        await carrier.push(push.row).answered
        (long_path, long_body), (path, body) = person.requests
        assert len(long_path) + len(long_body) - len(path) - len(body) in range(3000, 3020)
        assert long_path.startswith(path)
        if body:
            assert json.loads(long_body) == json.loads(body)

    async def test_one_has_a_chunk_without_a_length(self, told):
        carrier, person = await told(Fault(when=BEFORE, method=WEBHOOK, what=What.BAD_CHUNKS), webhook_interval=None)
        push = await carrier.text_in(PEER, DID, "hello")
        assert (await push.answered).status in {400, None}
        assert person.requests == []

    async def test_the_second_comes_before_the_first(self, told):
        gate = asyncio.Event()
        carrier, person = await told(Fault(when=BEFORE, method=WEBHOOK, gate=gate))
        first = await carrier.text_in(PEER, DID, "first")
        await (await carrier.text_in(PEER, DID, "second")).answered
        gate.set()
        await first.answered
        assert [json.loads(body)["data"]["payload"]["text"] for _, body in person.requests] == ["second", "first"]

    async def test_a_text_comes_once_more_whenever_it_is_wanted_and_with_other_words_or_another_id(self, told):
        carrier, person = await told()
        push = await carrier.text_in(PEER, DID, "hello")
        await push.answered
        for row in (push.row, replace(push.row, message="goodbye"), replace(push.row, id=7)):
            await carrier.push(row).answered
        told_ = [json.loads(body)["data"]["payload"] for _, body in person.requests]
        number = push.id
        assert [(payload["id"], payload["text"]) for payload in told_] == [
            (number, "hello"), (number, "hello"), (number, "goodbye"), (7, "hello"),
        ]  # fmt: skip
        assert len(carrier.ledger.received) == 1

    async def test_a_customer_who_hangs_up_at_once_counts_as_one_who_did_not_answer(self, start):
        async def hang_up(reader, writer):
            writer.transport.abort()

        async with asyncio.timeout(PATIENCE), await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
            url = f"http://127.0.0.1:{rude.sockets[0].getsockname()[1]}"
            plan = FaultPlan(Fault(when=BEFORE, method=WEBHOOK, what=What.DRIBBLED, amount=0.05))
            carrier = await start(did=DidSettings(did=DID, webhook=url, webhook_enabled=True), faults=plan)
            push = await carrier.text_in(PEER, DID, "hello")
            assert (await push.answered).status is None


@asynccontextmanager
async def _server(handler):
    """A web server with one handler, for as long as this lasts; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


class TestControl:
    @pytest.fixture
    async def control(self, start, http, customer):
        """`status, answer = await control("POST", "fault", …)`."""
        self.person = await customer()
        did = DidSettings(did=DID, webhook=self.person.url, webhook_enabled=True)
        self.carrier = await start(did=did, faults=FaultPlan(seed=42))

        async def ask(verb, name, **asked):
            async with http.request(verb, f"{self.carrier.url}/control/{name}", json=asked) as response:
                return response.status, await response.json()

        return ask

    async def test_a_fault_is_armed_from_outside_and_the_ledger_tells_of_it_and_of_the_seed(self, control, ask_of):
        fault = {"when": "after_accept", "method": "sendSMS", "what": "truncated", "skip": 1, "times": None}
        assert await control("POST", "fault", **fault) == (200, {})
        ask = ask_of(self.carrier)
        await ask("sendSMS", **TEXT)
        assert not (await ask.raw("sendSMS", **TEXT))[1].endswith("}")
        assert not (await ask.raw("sendSMS", **TEXT))[1].endswith("}")
        _, ledger = await control("GET", "ledger")
        assert ledger["seed"] == 42
        assert [(item["method"], item["fault"], item["peer"]) for item in ledger["met"]] == [
            ("sendSMS", "after_accept truncated", PEER)
        ] * 2
        assert await control("DELETE", "fault") == (200, {})
        assert await ask.status("sendSMS", **TEXT) == "success"

    @pytest.mark.parametrize(
        "senseless",
        [
            {},
            {"when": "never"},
            {"when": "after_accept", "what": "lag"},
            {"when": "after_accept", "what": "magic"},
            {"when": "after_accept", "droop": True},
        ],
    )
    async def test_a_fault_that_makes_no_sense_is_turned_down(self, control, senseless):
        status, answer = await control("POST", "fault", **senseless)
        assert (status, "error" in answer) == (400, True)

    async def test_a_text_is_told_once_more_from_outside(self, control):
        push = await self.carrier.text_in(PEER, DID, "hello")
        await push.answered
        told = {"kind": "sms", "id": push.id}
        assert await control("POST", "again", **told, text="goodbye") == (200, told)
        assert await control("POST", "again", **told, new_id=7) == (200, {"kind": "sms", "id": 7})
        await self.carrier.ledger.until(lambda: len(self.carrier.ledger.answered) == 3)
        payloads = [json.loads(body)["data"]["payload"] for _, body in self.person.requests]
        assert sorted((payload["id"], payload["text"]) for payload in payloads[1:]) == [
            (7, "hello"), (push.id, "goodbye"),
        ]  # fmt: skip
        assert (await control("POST", "again", kind="sms", id=12))[0] == 400

    async def test_it_goes_away_for_a_while_and_comes_back(self, control):
        assert await control("POST", "away", seconds=3) == (200, {})
        async with asyncio.timeout(PATIENCE):
            while not await self._is_refused():
                pass
            while await self._is_refused():
                pass

    async def _is_refused(self):
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection("127.0.0.1", self.carrier.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        with suppress(ConnectionError):  # it went away in this moment
            await writer.wait_closed()
        return False


async def test_the_journal_tells_which_fault_a_call_met(tmp_path, start, ask_of):
    journal = tmp_path / "ledger.jsonl"
    carrier = await start(faults=FaultPlan(Fault(when=AFTER, drop=True)), journal=journal)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask_of(carrier)("sendSMS", **TEXT)
    sent, fault = (json.loads(line) for line in journal.read_text().splitlines())
    assert (sent["event"], fault["event"]) == ("sent", "met")
    assert (fault["method"], fault["fault"], fault["peer"]) == ("sendSMS", "after_accept drop", PEER)
