"""What XML and the carriers can carry: every code point, every byte, and the texts that look alike."""

import re
import unicodedata
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsbridge.core.segments import Encoding, encoding_of
from smsbridge.core.text import close_bidi, decode, fold_to_gsm7, join_surrogates, normalise_body, xml_clean

BLOCK = 0x4000


def is_xml_char(code):
    """XML 1.0, 2.2, production 2."""
    return code in {0x9, 0xA, 0xD} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF


def parsed(text):
    """What a parser reads where the text was written."""
    heard = []
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = heard.append
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    parser.Parse(f"<body>{escaped}</body>".encode(), True)
    return "".join(heard)


@pytest.mark.parametrize("first", range(0, 0x110000, BLOCK))
def test_every_code_point_is_kept_or_replaced_and_reads_back_the_same(first):
    codes = range(first, first + BLOCK)
    expected = "".join(chr(code) if is_xml_char(code) else "\ufffd" for code in codes).replace("\r", "\n")
    cleaned = xml_clean("".join(map(chr, codes)))
    assert cleaned == expected
    assert parsed(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("a\x00b", "a\ufffdb"),
        ("\x1b[31m", "\ufffd[31m"),
        ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd"),
        ("\ud83d", "\ufffd"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("\U0001ffff\ufdd0\x85\u2028", "\U0001ffff\ufdd0\x85\u2028"),
    ],
)
def test_xml_gets_only_what_it_allows(text, cleaned):
    assert xml_clean(text) == cleaned


@given(st.text(st.characters(codec=None)))
@settings(deadline=None)
def test_clean_text_stays_clean(text):
    assert xml_clean(xml_clean(text)) == xml_clean(text)
    assert parsed(xml_clean(text)) == xml_clean(text)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        ("naïve 🙂 שלום".encode(), "naïve 🙂 שלום"),
        (b"caf\xe9 \x80 \x93hi\x94", "café € “hi”"),
        (b"\xff\x81\x9d", "ÿ\ufffd\ufffd"),
        (b"\xed\xa0\xbd\xed\xb9\x82", "🙂"),
        (b"half \xed\xa0\xbd", "half \ufffd"),
        (b"cut \xf0\x9f\x99", "cut ðŸ™"),
    ],
)
def test_bytes_become_text_by_utf8_or_else_by_cp1252(raw, text):
    assert decode(raw) == text


@given(st.binary())
@settings(deadline=None)
def test_any_bytes_become_text_that_can_be_stored(raw):
    decode(raw).encode()


@given(st.text(st.characters(codec=None)).map(join_surrogates))
@settings(deadline=None)
def test_utf8_reads_back_the_same(text):
    assert decode(text.encode()) == text
    assert join_surrogates(text) == text


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("\ud83d\ude42", "🙂"),
        ("a\ud83d\ude42b\ud83d\udc4d", "a🙂b👍"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        ("\ud83dx", "\ufffdx"),
        ("\ud83d\ud83d\ude42", "\ufffd🙂"),
        ("plain 🙂", "plain 🙂"),
    ],
)
def test_surrogate_halves_are_joined_and_one_alone_is_replaced(text, joined):
    assert join_surrogates(text) == joined


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("“It’s” – well…", '"It\'s" - well...'),
        ("«\u00a0oui\u202f»", '" oui "'),
        ("one\u2014two\u2011three\u22123", "one-two-three-3"),
        ("zero\u200bwidth\u00ad\ufeff", "zerowidth"),
        ("tab\there", "tab here"),
        ("e\u0301te\u0300", "étè"),
        ("\u2126 \u212b", "Ω Å"),
    ],
)
def test_folding_keeps_typography_within_gsm7(text, folded):
    assert fold_to_gsm7(text) == folded
    assert encoding_of(folded) is Encoding.GSM7


@pytest.mark.parametrize("text", ["", "a\nb", "€ [x] ñ", "çà ž ж 漢 🙂\u200d שלום •"])
def test_folding_leaves_what_it_does_not_know(text):
    assert fold_to_gsm7(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hello", "  hello \n"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("a  \t\nb ", "a\nb"),
        ("e\u0301", "é"),
    ],
)
def test_two_copies_of_a_text_compare_equal(one, other):
    assert normalise_body(one) == normalise_body(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "a  b"), ("a\nb", "a b"), ("A", "a"), ("a\n  b", "a\nb")])
def test_two_different_texts_do_not_compare_equal(one, other):
    assert normalise_body(one) != normalise_body(other)


@given(st.text(st.sampled_from("a e\u0301\r\n\t\u00a0\u2000\u0338<") | st.characters(codec=None)))
@settings(deadline=None)
def test_a_normalised_body_is_its_own_normal_form(text):
    body = normalise_body(text)
    assert normalise_body(body) == body
    assert unicodedata.is_normalized("NFC", body)


# LRE RLE PDF LRO RLO are 202A to 202E, LRI RLI FSI PDI are 2066 to 2069
@pytest.mark.parametrize(
    ("text", "closers"),
    [
        ("plain שלום", ""),
        ("\u202eevil", "\u202c"),
        ("\u202aa\u202bb\u202dc", "\u202c\u202c\u202c"),
        ("\u202aa\u202c", ""),
        ("\u2066a\u2067b\u2068c", "\u2069\u2069\u2069"),
        ("\u2067a\u2069", ""),
        ("\u2067\u202ea", "\u202c\u2069"),
        ("\u202e\u2067a", "\u2069\u202c"),
        ("\u2067\u202e\u202aa\u2069", ""),
        ("\u202e\u2067a\u202c", "\u2069\u202c"),
        ("\u202e\u2067a\u2069", "\u202c"),
        ("\u202ea\u2069", "\u202c"),
        ("a\u202c\u2069", ""),
    ],
)
def test_open_bidi_controls_are_closed_at_the_end(text, closers):
    assert close_bidi(text) == text + closers


# the same law as rewriting: E opens an embedding, P closes it, I opens an isolate, D closes it and all inside
CONTROLS = dict(zip("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u202c\u2069", "EEEEIIIPD", strict=True))
REWRITES = [("EP", ""), ("IE*D", ""), ("IP", "I"), ("^P", ""), ("^(E*)D", r"\1")]


def open_at_the_end(text):
    depth, before = "".join(CONTROLS.get(char, "") for char in text), None
    while depth != before:
        before = depth
        for pattern, left in REWRITES:
            depth = re.sub(pattern, left, depth)
    return depth


@given(st.text(st.sampled_from(["a", *CONTROLS]), max_size=60))
@settings(deadline=None)
def test_closed_bidi_text_owes_nothing_and_stays_closed(text):
    closed = close_bidi(text)
    assert open_at_the_end(closed) == ""
    assert (closed == text) is (open_at_the_end(text) == "")
    assert close_bidi(closed) == closed
