"""A file is given out to whoever has its link, as a file and nothing that acts, and to nobody else."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from smsbridge.bridge.shelves import Found
from smsbridge.core.errors import StoreUnavailable
from smsbridge.web import media
from tests.fakes.waiting import PATIENCE, until

from .station import request

TOKEN = "kingfisher_kingfisher-kingfisher"
OVER = TOKEN[::-1]
LINK = f"/media/{TOKEN}/image.jpg"
DATA = bytes(range(256)) * 40
GUARDS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private",
    "referrer-policy": "no-referrer",
}


class Rack:
    """Files by token, and who was asked for."""

    def __init__(self, path):
        self.path = path
        self.path.write_bytes(DATA)
        self.files = {TOKEN: Found(path=path, name="image.jpg", kind="image/jpeg")}
        self.asked = []
        self.error = None

    async def find(self, token):
        self.asked.append(token)
        if self.error is not None:
            raise self.error
        return self.files.get(token)

    def put(self, name, kind):
        self.files[TOKEN] = Found(path=self.path, name=name, kind=kind)
        return f"/media/{TOKEN}/{name}"


@pytest.fixture
def rack(tmp_path):
    return Rack(tmp_path / "file")


def get(target=LINK, *headers, method="GET", body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: sms.example.com", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def asked(station, status):
    name, labels = "smsbridge_files_asked_total", {"status": str(status)}
    return station.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_whoever_has_the_link_gets_the_file_and_its_guards(start, rack):
    station = await start(find=rack.find)
    reply = await station.ask(get())
    assert (reply.status, reply.body) == (200, DATA)
    assert GUARDS.items() <= reply.headers.items()
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["content-disposition"] == 'inline; filename="image.jpg"'
    assert not {"server", "date", "set-cookie"} & reply.headers.keys()
    assert asked(station, 200) == 1


async def test_many_files_come_one_after_the_other_on_one_connection(start, rack, capsys):
    station = await start(find=rack.find)
    wire = await station.connect()
    for wanted in (DATA, DATA[5:9], DATA):
        wire.send(get(LINK, *(["Range: bytes=5-8"] if wanted is not DATA else [])))
        assert (await wire.reply()).body == wanted
    etag = (await station.ask(get())).headers["etag"]
    wire.send(get(LINK, f"If-None-Match: {etag}"))
    assert (await wire.reply()).status == 304
    wire.send(get())
    assert (await wire.reply()).body == DATA
    await station.web.stop()
    assert "failed" not in capsys.readouterr().err


async def test_what_the_file_is_can_be_asked_without_it(start, rack):
    station = await start(find=rack.find)
    wire = await station.connect()
    wire.send(get(method="HEAD") + get("/media/x/y", "Connection: close"))
    came = await wire.end()
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: %d\r\n" % len(DATA) in came
    assert DATA[:100] not in came
    assert came.count(b"HTTP/1.1 404") == 1


@pytest.mark.parametrize(
    ("asked_for", "status", "part"),
    [("bytes=0-99", 206, DATA[:100]), ("bytes=10000-", 206, DATA[10000:]), ("bytes=-5", 206, DATA[-5:])],
)
async def test_a_part_of_it_can_be_had(start, rack, asked_for, status, part):
    station = await start(find=rack.find)
    reply = await station.ask(get(LINK, f"Range: {asked_for}"))
    assert (reply.status, reply.body) == (status, part)
    assert GUARDS.items() <= reply.headers.items()
    reply = await station.ask(get(LINK, f"Range: bytes={len(DATA)}-"))
    assert reply.status == 416


@pytest.mark.parametrize(
    ("name", "kind", "place", "told"),
    [
        ("audio.amr", "audio/amr", "inline", "audio/amr"),
        ("video.3gp", "video/3gpp", "inline", "video/3gpp"),
        ("application.pdf", "application/pdf", "attachment", "application/pdf"),
        ("text.vcf", "text/vcard", "attachment", "text/vcard; charset=utf-8"),
        ("text.txt", "text/plain", "attachment", "text/plain; charset=utf-8"),
        ("image.svg", "image/svg+xml", "attachment", "image/svg+xml"),
        ("text.html", "text/html", "attachment", "text/html; charset=utf-8"),
    ],
)
async def test_only_what_cannot_act_is_shown_in_place(start, rack, name, kind, place, told):
    station = await start(find=rack.find)
    reply = await station.ask(get(rack.put(name, kind)))
    assert reply.headers["content-disposition"] == f'{place}; filename="{name}"'
    assert reply.headers["content-type"] == told


async def test_what_never_was_what_is_over_and_what_is_thrown_away_look_alike(start, rack):
    station = await start(find=rack.find)
    answers = [
        await station.ask(get(target))
        for target in (
            f"/media/{OVER}/image.jpg",
            f"/media/{TOKEN}/other.jpg",
            f"/media/{TOKEN}/../{TOKEN}/image.jpg",
            f"/media/{TOKEN}/",
            f"/media/{TOKEN}",
            f"/media/{TOKEN}/image.jpg/",
            f"/media/{TOKEN}/..%2f..%2fbridge.db",
            f"/media/{TOKEN}%00/image.jpg",
            f"/media/{'A' * 4000}/image.jpg",
            "/media/",
        )
    ]
    rack.path.unlink()
    answers.append(await station.ask(get()))
    assert {(one.status, one.body, *one.headers.items()) for one in answers} == {
        (404, b"", *answers[0].headers.items())
    }
    assert set(rack.asked) == {OVER, TOKEN}  # what cannot be a token is no question
    assert "location" not in answers[0].headers


async def test_nothing_but_reading_is_done_here(start, rack):
    station = await start(find=rack.find)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        assert (await station.ask(get(method=method))).status == 405
    assert (await station.ask(get(body=b"x"))).status == 400
    assert rack.asked == []


async def test_who_guesses_is_soon_not_even_looked_up_and_others_are(start, rack):
    station = await start(find=rack.find, failures_a_minute=3)
    guesses = [await station.ask(get(f"/media/{OVER}/image.jpg"), source="127.0.0.5") for _ in range(5)]
    assert [one.status for one in guesses] == [404, 404, 404, 429, 429]
    assert guesses[-1].headers["retry-after"] == "60"
    assert len(rack.asked) == 3
    assert (await station.ask(get(), source="127.0.0.6")).status == 200
    assert (await station.ask(request(), source="127.0.0.5")).status == 200  # nor is a carrier there shut out
    station.ticks.seconds += 61
    assert (await station.ask(get(), source="127.0.0.5")).status == 200


async def test_a_source_fetches_so_many_files_a_minute(start, rack):
    station = await start(find=rack.find, files_a_minute=3)
    assert [(await station.ask(get(), source="127.0.0.5")).status for _ in range(4)] == [200, 200, 200, 429]
    assert (await station.ask(get(), source="127.0.0.6")).status == 200
    assert (await station.ask(get())).status == 200  # our own proxy, which tells of nobody: no source


async def test_a_store_that_does_not_answer_means_to_come_again(start, rack):
    station = await start(find=rack.find)
    rack.error = StoreUnavailable("the test says so")
    reply = await station.ask(get())
    assert (reply.status, reply.headers["retry-after"], reply.body) == (503, "30", b"")


async def test_neither_token_nor_path_is_in_the_log_whatever_goes_wrong(start, rack, caplog, capsys):
    station = await start(find=rack.find)
    await station.ask(get())
    rack.error = RuntimeError(f"about {TOKEN}")
    assert (await station.ask(get())).status == 500
    await station.ask(get(f"/media/{TOKEN}/no.jpg"))
    wire = await station.connect()
    wire.send(get(LINK, "bad header\0"))
    await wire.end()
    told = capsys.readouterr()
    lines = caplog.text + told.out + told.err + station.metrics.render().decode()
    assert "kingfisher" not in lines
    assert str(rack.path) not in lines
    assert "files_asked" in lines


async def test_a_large_file_is_written_without_being_read_into_memory(start, rack):
    size = 64 * 1024 * 1024
    os.truncate(rack.path, size)
    station = await start(find=rack.find)
    wire = await station.connect()
    wire.send(get(LINK, "Connection: close"))
    before = _resident()
    received = 0
    async with asyncio.timeout(PATIENCE):
        while piece := await wire.reader.read(1 << 20):
            received += len(piece)
            assert _resident() - before < size / 2
    assert received > size


def _resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_who_reads_too_slowly_is_left_and_his_place_is_free(start, rack, monkeypatch):
    monkeypatch.setattr(media, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(media, "SLOWEST", 10**12)
    os.truncate(rack.path, 64 * 1024 * 1024)
    station = await start(find=rack.find)
    wire = await station.connect()
    wire.send(get())
    await until(lambda: len(station.web._public.places) == 0)
    wire.writer.transport.abort()


async def test_readers_of_files_make_room_for_a_carrier(start, rack):
    os.truncate(rack.path, 64 * 1024 * 1024)
    station = await start(find=rack.find, connections=16)
    for n in range(16):
        (await station.connect(f"127.0.1.{n + 1}")).send(get())
    await until(lambda: len(rack.asked) == 16)
    assert (await station.ask(request(), source="127.0.0.5")).status == 200
    assert station.ended("displaced") >= 1


async def test_metrics_name_no_file(start, rack):
    station = await start(find=rack.find)
    await station.ask(get())
    page = (await station.page("/metrics")).body.decode()
    assert TOKEN not in json.dumps(page)
    assert 'smsbridge_files_asked_total{status="200"} 1.0' in page
