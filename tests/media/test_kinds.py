"""What a file is, by its first bytes."""

import pytest

from smsbridge.media.kinds import UNKNOWN, ending_of, is_harmless, kind_of
from smsbridge.sim.pictures import tiny_jpeg, tiny_png


def box(brand):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mp42"


@pytest.mark.parametrize(
    ("data", "kind", "ending"),
    [
        (tiny_jpeg(), "image/jpeg", "jpg"),
        (tiny_png(), "image/png", "png"),
        (b"GIF89a\1\0", "image/gif", "gif"),
        (b"RIFF\1\0\0\0WEBPVP8 ", "image/webp", "webp"),
        (b"BM\x9a\1\0\0\0\0\0\0\x36\0", "image/bmp", "bmp"),
        (b"II*\0\x08\0\0\0", "image/tiff", "tiff"),
        (b"MM\0*\0\0\0\x08", "image/tiff", "tiff"),
        (b"BMI is body mass index", "text/plain", "txt"),
        (b"RIFF\1\0\0\0WAVEfmt ", "audio/wav", "wav"),
        (box(b"heic"), "image/heic", "heic"),
        (box(b"mif1"), "image/heic", "heic"),
        (box(b"avif"), "image/avif", "avif"),
        (box(b"isom"), "video/mp4", "mp4"),
        (box(b"3gp4"), "video/3gpp", "3gp"),
        (box(b"3gp5"), "video/3gpp", "3gp"),
        (box(b"3g2a"), "video/3gpp2", "3g2"),
        (box(b"M4A "), "audio/mp4", "m4a"),
        (box(b"qt  "), "video/quicktime", "mov"),
        (b"#!AMR\n\x3c", "audio/amr", "amr"),
        (b"#!AMR-WB\n\x3c", "audio/amr-wb", "awb"),
        (b"#!AMR_MC1.0\n\0\0\0\2", "audio/amr", "amr"),
        (b"#!AMR-WB_MC1.0\n\0\0\0\2", "audio/amr-wb", "awb"),
        (box(b"3gr6"), "video/3gpp", "3gp"),
        (box(b"3gs7"), "video/3gpp", "3gp"),
        (b"ID3\3\0", "audio/mpeg", "mp3"),
        (b"\xff\xfb\x90\0", "audio/mpeg", "mp3"),
        (b"OggS\0", "audio/ogg", "ogg"),
        (b"MThd\0\0", "audio/midi", "mid"),
        (b"\x1aE\xdf\xa3", "video/webm", "webm"),
        (b"%PDF-1.7", "application/pdf", "pdf"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "text/vcard", "vcf"),
        ("\ufeffbegin:vcard\n".encode(), "text/vcard", "vcf"),
        ("une élève".encode(), "text/plain", "txt"),
        (("é" * 4000 + "\n").encode(), "text/plain", "txt"),
    ],
)
def test_a_file_is_known_by_its_beginning(data, kind, ending):
    assert kind_of(data) == kind
    assert ending_of(kind) == ending


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"\xff", b"\xff\xf1\x50\x80", b"RIFF\1\0\0\0AVI ", b"\x7fELF", b"MZ\x90\0", b"PK\3\4",
     b"<!doctype html>", b"A\x7fB",
     b" \n<svg>", b"a\0b", b"caf\xe9 au lait"],
)  # fmt: skip
def test_what_nobody_would_send_is_of_no_kind(data):
    assert kind_of(data) == UNKNOWN


@pytest.mark.parametrize("kind", ["image/jpeg", "image/heic", "audio/amr", "audio/amr-wb", "video/3gpp", "video/mp4"])
def test_pictures_sounds_and_films_are_shown_in_place(kind):
    assert is_harmless(kind)


@pytest.mark.parametrize(
    "kind",
    ["image/svg+xml", "text/html", "text/plain", "text/vcard", "application/pdf", "application/xml", "", "image/"],
)
def test_what_can_act_or_is_not_known_is_not(kind):
    assert not is_harmless(kind)
