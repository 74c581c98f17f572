"""A file is left on the server's upload service, or it is said why not."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from smsbridge.clock import system_clock
from smsbridge.media.fetch import Fault, File, NotMoved, open_courier, origin_of
from smsbridge.sim.pictures import tiny_jpeg
from smsbridge.xmpp import upload
from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.upload import SOON, UPLOAD, UploadService
from tests.fakes.waiting import PATIENCE

FILE = File("image/jpeg", tiny_jpeg())
GET = "https://share.example.com/1/image.jpg"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


class Server:
    """Answers what it is asked, at once."""

    def __init__(self, slot, *, offers=True):
        self.asking = Asking(jid="sms.example.com", prefix="ask-5ecret-", write=self.answer)
        self.slot, self.offers, self.asked = slot, offers, []

    def answer(self, xml):
        question = ET.XML(xml)
        to, what = question.get("to"), question[0].tag[1:].partition("}")[0]
        self.asked.append((to, what))
        inner, kind = self.say(to, what)
        told = f'id="{question.get("id")}" type="{kind}" from="{to}" to="sms.example.com"'
        self.asking.take(ET.XML(f'<iq xmlns="jabber:component:accept" {told}>{inner}</iq>'))

    def say(self, to, what):
        if what == ITEMS:
            items = "".join(f'<item jid="{jid}"/>' for jid in ("sms.example.com", "share.example.com"))
            return f'<query xmlns="{ITEMS}">{items}</query>', "result"
        if what == INFO:
            feature = f'<feature var="{UPLOAD}"/>' if to == "share.example.com" and self.offers else ""
            return f'<query xmlns="{INFO}">{feature}</query>', "result"
        return self.slot, "error" if "<error" in self.slot else "result"


def slot(put, get=GET, headers=""):
    return f'<slot xmlns="{UPLOAD}"><put url="{put}">{headers}</put><get url="{get}"/></slot>'


def error(condition, beside=""):
    return f'<error type="cancel"><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>{beside}</error>'


async def leave(server, near=(), *, is_up=True):
    async with open_courier(near) as courier:
        service = UploadService(
            asking=server.asking,
            is_up=lambda: is_up,
            jid="sms.example.com",
            server="example.com",
            courier=courier,
            clock=system_clock(),
        )
        return await service.leave(FILE, "image.jpg")


async def test_a_file_is_put_where_the_slot_says_and_has_the_slots_link():
    seen = []

    async def take(request):
        seen.append((await request.read(), request.headers["Content-Type"], request.headers["Authorization"]))
        return web.Response(status=201)

    app = web.Application()
    app.router.add_put("/1", take)
    async with TestServer(app) as http:
        url = str(http.make_url("/1"))
        headers = '<header name="Authorization">Basic Zm9v</header>'
        assert await leave(Server(slot(url, headers=headers)), [origin_of(url)]) == GET
    assert seen == [(FILE.data, "image/jpeg", "Basic Zm9v")]


async def test_we_ask_nobody_who_is_ourselves():
    server = Server(error("forbidden"))
    await leave(server)
    assert [to for to, what in server.asked if what == INFO] == ["example.com", "share.example.com"]


async def test_those_who_do_not_answer_are_waited_for_together(monkeypatch):
    class Quiet(Server):
        def say(self, to, what):
            if what == ITEMS:
                items = "".join(f'<item jid="away{n}.example.com"/>' for n in range(40))
                return f'<query xmlns="{ITEMS}">{items}<item jid="share.example.com"/></query>', "result"
            return super().say(to, what)

        def answer(self, xml):
            if "away" not in str(ET.XML(xml).get("to")):
                super().answer(xml)

    monkeypatch.setattr(upload, "ANSWER_SECONDS", 0.1)
    server = Quiet(error("forbidden"))
    async with asyncio.timeout(PATIENCE):
        assert await leave(server) is None
    assert ("share.example.com", UPLOAD) in server.asked


@pytest.mark.parametrize(
    "server",
    [
        Server("", offers=False),
        Server(error("forbidden")),
        Server(error("not-allowed")),
        Server(slot("https://127.0.0.1/1")),
        Server(slot("http://share.example.com/1")),
    ],
)
async def test_a_service_that_is_not_for_us_is_none(server):
    assert await leave(server) is None


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (error("not-acceptable", f'<file-too-large xmlns="{UPLOAD}"/>'), Fault.LARGE),
        (error("resource-constraint"), Fault.REFUSED),
        ("", Fault.REFUSED),
        (slot("file:///etc/passwd"), Fault.REFUSED),
        (slot("https://share.example.com/1", get="javascript:x"), Fault.REFUSED),
    ],
)
async def test_a_slot_that_is_not_given_is_told_as_what_it_is(answer, fault):
    with pytest.raises(NotMoved) as caught:
        await leave(Server(answer))
    assert caught.value.fault is fault


async def test_while_the_stream_is_down_it_is_tried_later():
    with pytest.raises(NotMoved) as caught:
        await leave(Server(""), is_up=False)
    assert not caught.value.fault.is_final


@asynccontextmanager
async def asking(server, *, is_up=True, clock=None):
    async with open_courier() as courier:
        yield UploadService(
            asking=server.asking,
            is_up=lambda: is_up,
            jid="sms.example.com",
            server="example.com",
            courier=courier,
            clock=clock or system_clock(),
        )


def slots_of(server):
    return [to for to, what in server.asked if what == UPLOAD]


async def test_the_place_that_a_slot_names_is_one_of_uploads_and_no_other_is():
    server = Server(slot("https://put.example.com/1", get="https://share.example.com:5281/1/a"))
    async with asking(server) as service:
        assert service.known() == frozenset()
        assert await service.serves("https://share.example.com:5281")
        for other in ("https://share.example.com", "https://put.example.com", "https://example.com"):
            assert not await service.serves(other)
        assert service.known() == {"https://share.example.com:5281"}
    assert len(slots_of(server)) == 1


@pytest.mark.parametrize("server", [Server("", offers=False), Server(error("forbidden"))])
async def test_without_a_service_for_us_no_place_is_one_of_uploads_and_it_is_not_asked_for_at_once_again(server):
    async with asking(server) as service:
        for _ in range(2):
            assert not await service.serves("https://share.example.com")
    assert len(slots_of(server)) <= 1


async def test_a_service_that_starts_after_its_server_is_found_within_a_minute():
    server, now = Server(slot("https://share.example.com/1"), offers=False), 0.0
    async with asking(server, clock=replace(system_clock(), monotonic=lambda: now)) as service:
        await service.learn()
        assert not await service.serves("https://share.example.com")
        assert await service.leave(FILE, "image.jpg") is None
        server.offers, asked = True, len(server.asked)
        assert not await service.serves("https://share.example.com")
        assert len(server.asked) == asked
        now = SOON + 1
        await service.learn()  # nobody waits for it
        assert len(server.asked) == asked
        assert await service.serves("https://share.example.com")


async def test_while_the_stream_is_down_nobody_can_say_which_places_are():
    async with asking(Server(""), is_up=False) as service:
        with pytest.raises(NotMoved) as caught:
            await service.serves("https://share.example.com")
    assert not caught.value.fault.is_lasting


async def test_one_place_is_found_out_beforehand_and_then_not_again():
    server = Server(slot("https://share.example.com/1"))
    async with asking(server) as service:
        for _ in range(2):
            await service.learn()
        assert service.known() == {"https://share.example.com"}
    assert len(slots_of(server)) == 1


async def test_a_service_that_gives_no_slot_just_now_makes_links_of_files():
    async with asking(Server(error("resource-constraint"))) as service:
        assert not await service.serves("https://share.example.com")
