"""GSM-7 and UCS-2: the tables of 3GPP TS 23.038, the borders of segments, and what splitting must never do."""

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsbridge.core.segments import (
    DEFAULT_ALPHABET,
    EXTENSION_TABLE,
    Encoding,
    Limit,
    LimitUnit,
    count,
    encoding_of,
    graphemes,
    measure,
    split,
)

# 3GPP TS 23.038, 6.2.1, as printed: a row per low half, a column per high half of the septet; ␛ escapes
ROWS = [
    "@ Δ ␠ 0 ¡ P ¿ p",
    "£ _ ! 1 A Q a q",
    '$ Φ " 2 B R b r',
    "¥ Γ # 3 C S c s",
    "è Λ ¤ 4 D T d t",
    "é Ω % 5 E U e u",
    "ù Π & 6 F V f v",
    "ì Ψ ' 7 G W g w",
    "ò Σ ( 8 H X h x",
    "Ç Θ ) 9 I Y i y",
    "␊ Ξ * : J Z j z",
    "Ø ␛ + ; K Ä k ä",
    "ø Æ , < L Ö l ö",
    "␍ æ - = M Ñ m ñ",
    "Å ß . > N Ü n ü",
    "å É / ? O § o à",
]
SHOWN = {"␠": " ", "␊": "\n", "␍": "\r", "␛": "\x1b"}
SEPTETS = {
    column << 4 | row: SHOWN.get(cell, cell)
    for row, cells in enumerate(ROWS)
    for column, cell in enumerate(cells.split(" "))
}
# 3GPP TS 23.038, 6.2.1.1
EXTENSION = {
    0x0A: "FORM FEED",
    0x14: "CIRCUMFLEX ACCENT",
    0x28: "LEFT CURLY BRACKET",
    0x29: "RIGHT CURLY BRACKET",
    0x2F: "REVERSE SOLIDUS",
    0x3C: "LEFT SQUARE BRACKET",
    0x3D: "TILDE",
    0x3E: "RIGHT SQUARE BRACKET",
    0x40: "VERTICAL LINE",
    0x65: "EURO SIGN",
}
EXTENDED = ["\f" if name == "FORM FEED" else unicodedata.lookup(name) for name in EXTENSION.values()]

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
SYMBOLS = ["❤\ufe0f", "1\ufe0f\u20e3", "👍🏽", "🇨🇦", SCOTLAND]
JOINED = [FAMILY, "❤\ufe0f\u200d🔥", "👩🏾\u200d⚕\ufe0f", "🏳\ufe0f\u200d🌈"]
LETTERS = ["a", "é", "e\u0301", "n\u0303\u0323", "각", "\u1112\u1161\u11ab", "가\u11a8", "का", "กำ", "\u05e9\u05c1"]
CLUSTERS = [*SYMBOLS, *JOINED, *LETTERS, " ", "\n", "\r\n"]

BYTES_160 = Limit(units=160, unit=LimitUnit.UTF8_BYTES)
SEPTETS_160 = Limit(units=160, unit=LimitUnit.GSM_SEPTETS)
BOTH_160 = [BYTES_160, SEPTETS_160]


def characters(units):
    return [Limit(units=units, unit=LimitUnit.CHARACTERS)]


# alphabet and units


def test_the_default_alphabet_is_the_standards_table():
    assert len(DEFAULT_ALPHABET) == len(SEPTETS) == 128
    assert dict(enumerate(DEFAULT_ALPHABET)) == SEPTETS


def test_the_extension_table_is_the_standards_table():
    assert list(EXTENSION_TABLE) == EXTENDED


def test_of_all_code_points_only_the_two_tables_are_gsm7():
    gsm7 = {char for char in map(chr, range(0x110000)) if encoding_of(char) is Encoding.GSM7}
    assert gsm7 == (set(SEPTETS.values()) - {"\x1b"}) | set(EXTENDED)


@pytest.mark.parametrize("char", [*"`çáíóúÁêžğ’“–…\t\u00a0", "\x1b", "א", "ж", "漢", "🙂", "\ud83d"])
def test_a_character_outside_the_tables_makes_the_text_ucs2(char):
    assert encoding_of("plain " + char) is Encoding.UCS2


@pytest.mark.parametrize("char", sorted(set(SEPTETS.values()) - {"\x1b"}))
def test_a_character_of_the_default_alphabet_is_one_septet(char):
    assert measure(char, LimitUnit.GSM_SEPTETS) == 1


@pytest.mark.parametrize("char", EXTENDED)
def test_a_character_of_the_extension_table_is_two_septets(char):
    assert measure(char, LimitUnit.GSM_SEPTETS) == 2


@pytest.mark.parametrize(
    ("text", "septets", "utf16", "utf8", "length"),
    [
        ("", 0, 0, 0, 0),
        ("hello", 5, 5, 5, 5),
        ("è", 1, 1, 2, 1),
        ("€", 2, 1, 3, 1),
        ("[x]", 5, 3, 3, 3),
        ("ж", 0, 1, 2, 1),
        ("漢", 0, 1, 3, 1),
        ("🙂", 0, 2, 4, 1),
        ("\ud83d", 0, 1, 3, 1),
        (FAMILY, 0, 11, 25, 7),
    ],
)
def test_a_text_measures_as_its_carrier_counts(text, septets, utf16, utf8, length):
    assert measure(text, LimitUnit.GSM_SEPTETS) == septets
    assert measure(text, LimitUnit.UTF16_UNITS) == utf16
    assert measure(text, LimitUnit.UTF8_BYTES) == utf8
    assert measure(text, LimitUnit.CHARACTERS) == length


# segments


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM7, 0, 0),
        ("a", Encoding.GSM7, 1, 1),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("é" * 160, Encoding.GSM7, 160, 1),
        ("€" * 80, Encoding.GSM7, 160, 1),
        ("a" * 159 + "{", Encoding.GSM7, 161, 2),
        # the escape would be the last septet of the first segment: both go to the second
        ("a" * 152 + "{" + "a" * 151, Encoding.GSM7, 305, 2),
        ("a" * 152 + "{" + "a" * 152, Encoding.GSM7, 306, 3),
        ("a" * 151 + "{" + "a" * 153, Encoding.GSM7, 306, 2),
        ("{" * 152, Encoding.GSM7, 304, 2),
        ("{" * 153, Encoding.GSM7, 306, 3),
        ("ж" * 70, Encoding.UCS2, 70, 1),
        ("ж" * 71, Encoding.UCS2, 71, 2),
        ("ж" * 134, Encoding.UCS2, 134, 2),
        ("ж" * 135, Encoding.UCS2, 135, 3),
        ("ש" * 70, Encoding.UCS2, 70, 1),
        ("مرحبا " * 12, Encoding.UCS2, 72, 2),
        ("🙂" * 35, Encoding.UCS2, 70, 1),
        ("🙂" * 36, Encoding.UCS2, 72, 2),
        # a surrogate pair leaves the 67th unit unused
        ("🙂" * 66, Encoding.UCS2, 132, 2),
        ("🙂" * 67, Encoding.UCS2, 134, 3),
        ("ж" * 66 + "🙂" + "ж" * 66, Encoding.UCS2, 134, 3),
        ("ж" * 65 + "🙂" + "ж" * 67, Encoding.UCS2, 134, 2),
        # brackets are one unit each as soon as something else makes the text UCS-2
        ("{" * 69 + "ж", Encoding.UCS2, 70, 1),
        ("{" * 133 + "ж", Encoding.UCS2, 134, 2),
    ],
)
def test_a_text_is_billed_in_whole_segments(text, encoding, units, segments):
    counted = count(text)
    assert (counted.encoding, counted.units, counted.segments) == (encoding, units, segments)


@given(st.text(st.sampled_from("ab{€ж🙂"), max_size=700))
@settings(deadline=None)
def test_a_segment_leaves_at_most_one_unit_unused(text):
    counted = count(text)
    alone, joined = (160, 153) if counted.encoding is Encoding.GSM7 else (70, 67)
    if counted.units <= alone:
        assert counted.segments == (1 if text else 0)
    else:
        assert -(-counted.units // joined) <= counted.segments <= -(-counted.units // (joined - 1))


# clusters


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_a_reader_sees_as_one_character_is_one_cluster(cluster):
    assert graphemes(cluster) == [cluster]
    assert graphemes(f"x{cluster}y{cluster}z") == ["x", cluster, "y", cluster, "z"]


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("", []),
        ("ab", ["a", "b"]),
        ("a\r\nb", ["a", "\r\n", "b"]),
        ("a\n\r", ["a", "\n", "\r"]),
        ("é\r\n", ["é", "\r\n"]),
        ("\n\u0301", ["\n", "\u0301"]),
        ("🇨🇦🇫🇷", ["🇨🇦", "🇫🇷"]),
        ("🇨🇦🇫", ["🇨🇦", "🇫"]),
        ("🙂🙂", ["🙂", "🙂"]),
        ("a\u200d🙂", ["a\u200d", "🙂"]),
        ("🙂\u200da", ["🙂\u200d", "a"]),
        ("각각", ["각", "각"]),
        ("\u1100\u1100", ["\u1100\u1100"]),
        ("\u11a8\u11a8가", ["\u11a8\u11a8", "가"]),
        ("\ud83d\u0301", ["\ud83d", "\u0301"]),
        ("é\u200e\u0301", ["é", "\u200e", "\u0301"]),
        ("é\u2028x", ["é", "\u2028", "x"]),
    ],
)
def test_clusters_end_where_the_annex_says(text, clusters):
    assert graphemes(text) == clusters


@given(st.lists(st.sampled_from(CLUSTERS) | st.characters(codec=None), max_size=60).map("".join))
@settings(deadline=None)
def test_clusters_are_the_whole_text_and_no_mark_stands_apart_from_its_letter(text):
    clusters = graphemes(text)
    assert "".join(clusters) == text
    for before, after in pairwise(clusters):
        if unicodedata.category(after[0]) in {"Mn", "Me", "Mc"} or after[0] == "\u200d":
            assert unicodedata.category(before[-1]) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
            assert before[-1] != "\u200d"


# splitting


def test_an_empty_text_has_no_pieces():
    assert split("", BOTH_160) == []


def test_without_limits_a_text_is_one_piece():
    assert split("a" * 1000, []) == ["a" * 1000]


def test_a_text_that_fits_stays_as_it_is():
    for text in ("  hi \n", "a" * 160, "€" * 53, "[" * 80, "é" * 80, "\n" * 160):
        assert split(text, BOTH_160) == [text]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("a" * 161, [160, 1]),
        ("é" * 81, [80, 1]),
        ("€" * 54, [53, 1]),
        ("{" * 81, [80, 1]),
        ("a" * 159 + "{", [159, 1]),
        ("a" * 159 + "é", [159, 1]),
        ("ж" * 161, [80, 80, 1]),
        ("🙂" * 41, [40, 1]),
        ("a" * 157 + "🙂", [157, 1]),
    ],
)
def test_several_limits_hold_at_once(text, lengths):
    assert [len(piece) for piece in split(text, BOTH_160)] == lengths


@pytest.mark.parametrize(
    ("unit", "units", "text", "lengths"),
    [
        (LimitUnit.GSM_SEPTETS, 160, "a" * 161, [160, 1]),
        (LimitUnit.GSM_SEPTETS, 153, "a" * 306, [153, 153]),
        (LimitUnit.GSM_SEPTETS, 153, "a" * 152 + "{" + "a" * 151, [152, 152]),
        (LimitUnit.UTF16_UNITS, 70, "ж" * 71, [70, 1]),
        (LimitUnit.UTF16_UNITS, 67, "ж" * 134, [67, 67]),
        (LimitUnit.UTF16_UNITS, 67, "ж" * 66 + "🙂" + "ж" * 65, [66, 66]),
    ],
)
def test_a_split_at_a_segments_size_keeps_pairs_whole(unit, units, text, lengths):
    assert [len(piece) for piece in split(text, [Limit(units=units, unit=unit)])] == lengths


def test_septets_do_not_limit_a_text_that_is_not_gsm7():
    assert split("ж" * 500, [SEPTETS_160]) == ["ж" * 500]


@pytest.mark.parametrize("cluster", [*SYMBOLS, *JOINED, *LETTERS])
def test_a_cluster_at_the_border_moves_whole_to_the_next_piece(cluster):
    for letters in range(161 - len(cluster.encode()), 161):
        assert split("a" * letters + cluster, BOTH_160) == ["a" * letters, cluster]


def test_a_piece_ends_at_a_space_in_its_last_third():
    assert split("aaaaaaa bbbbbbbb", characters(10)) == ["aaaaaaa", "bbbbbbbb"]
    assert split("aaaaaaaaaa bbb", characters(10)) == ["aaaaaaaaaa", "bbb"]


def test_a_space_further_ahead_is_not_worth_a_short_piece():
    assert split("aaa bbbbbbbbb", characters(10)) == ["aaa bbbbbb", "bbb"]


def test_a_line_break_in_the_last_half_is_preferred_to_a_later_space():
    assert split("aaaaaa\nb ccc", characters(10)) == ["aaaaaa", "b ccc"]
    assert split("aaaaaa\r\nb ccc", characters(10)) == ["aaaaaa", "b ccc"]
    assert split("aa\nbbbbb ccc", characters(10)) == ["aa\nbbbbb", "ccc"]


def test_the_whole_run_of_whitespace_at_a_break_is_dropped():
    assert split("aaaaaaa \n\n  \t bbbbbbbb", characters(10)) == ["aaaaaaa", "bbbbbbbb"]
    assert split("aaaaaaaaaa" + " " * 50 + "b", characters(10)) == ["aaaaaaaaaa", "b"]
    assert split("aaaaaaaaaa   ", characters(10)) == ["aaaaaaaaaa"]


def test_whitespace_elsewhere_stays():
    assert split(" a\n\nb  cc ddddd  e", characters(10)) == [" a\n\nb  cc", "ddddd  e"]


def test_a_no_break_space_is_no_place_to_break():
    assert split("aaaa bb\u00a0ccc", characters(9)) == ["aaaa bb\u00a0c", "cc"]


def test_no_piece_is_blank():
    assert split(" " * 15 + "abc", characters(10)) == ["abc"]
    assert split(" " * 400, characters(10)) == []


def test_text_from_right_to_left_splits_in_logical_order_at_spaces():
    text = " ".join(["שלום"] * 30)
    pieces = split(text, BOTH_160)
    assert " ".join(pieces) == text
    assert [len(piece) for piece in pieces] == [84, 64]


def test_marks_without_end_are_cut_between_code_points():
    zalgo = "a" + "\u0301" * 200
    pieces = split("hi " + zalgo, BOTH_160)
    assert "".join(pieces) == "hi " + zalgo
    assert all(BYTES_160.holds(piece) for piece in pieces)


@pytest.mark.parametrize("unit", LimitUnit)
def test_a_limit_below_the_widest_code_point_is_refused(unit):
    with pytest.raises(ValueError, match="cannot hold every character"):
        Limit(units=0, unit=unit)


ANY_TEXT = st.lists(
    st.sampled_from([*CLUSTERS, "   ", "word", "{}", "€", "\u00a0", "\u0301"]) | st.characters(codec=None),
    max_size=150,
).map("".join)
LIMITS = st.lists(
    st.builds(Limit, units=st.integers(min_value=4, max_value=60), unit=st.sampled_from(LimitUnit)), max_size=3
)


def is_breakable_blank(text):
    return not text or (text.isspace() and not set(text) & set("\u00a0\u2007\u202f"))


@given(ANY_TEXT, LIMITS)
@settings(deadline=None, max_examples=300)
def test_every_piece_keeps_every_limit_and_nothing_but_blanks_at_breaks_is_lost(text, limits):
    pieces = split(text, limits)
    borders = set()
    at = 0
    for piece in pieces:
        assert piece
        assert all(measure(piece, limit.unit) <= limit.units for limit in limits)
        found = text.index(piece, at)
        assert is_breakable_blank(text[at:found])
        borders |= {found, found + len(piece)}
        at = found + len(piece)
    assert is_breakable_blank(text[at:])

    start = 0
    for cluster in graphemes(text):
        end = start + len(cluster)
        if any(start < border < end for border in borders):
            assert any(measure(cluster, limit.unit) > limit.units for limit in limits)
        start = end


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "word ", "é\u0301 ", "\u0301", "\u1100", "🇨", "👨\u200d", "❤\ufe0f", FAMILY, "{ж"]
)
def test_64_kib_of_anything_do_not_take_for_ever(unit):
    text = unit * (65536 // len(unit))
    began = time.process_time()
    split(text, BOTH_160)
    count(text)
    assert time.process_time() - began < 10  # a tenth of a second, or minutes if each character is looked at from each
