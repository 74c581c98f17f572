"""Numbers and the JIDs that stand for them, against the localparts that XMPP itself leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slixmpp import JID

from smsbridge.core.address import (
    ANONYMOUS,
    MAX_ALPHANUMERIC,
    Address,
    Did,
    Peer,
    PeerKind,
    escape_node,
    kind_of,
    mask,
    normalise_did,
    normalise_peer,
    parse_did,
    parse_localpart,
    to_localpart,
    unescape_node,
)
from smsbridge.core.errors import Reason, Refused

PEER, OTHER, DID = Peer("+15559870002"), Peer("+15550000001"), Did("+15551230001")

e164 = st.one_of(
    st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"\+[2-9][0-9]{6,14}", fullmatch=True),
).map(Peer)
shortcodes = st.from_regex(r"[0-9]{3,8}", fullmatch=True).map(Peer)
number_like = st.text("+0123456789 ().-%,;_５０＋（２\u00ad\u200d٠", max_size=30)
senders = st.one_of(st.text(max_size=80), number_like, st.text(st.characters(min_codepoint=0x80), max_size=10)).map(
    normalise_peer
)
groups = st.sets(e164, min_size=2, max_size=5).map(lambda peers: tuple(sorted(peers)))
addresses = st.builds(
    lambda peers, did: Address(peers=peers, did=did),
    st.one_of(st.one_of(senders, e164, shortcodes).map(lambda peer: (peer,)), groups),
    st.one_of(st.none(), e164.map(Did)),
)


def refused(localpart: str) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_localpart(localpart)
    return caught.value


def judged(localpart: str) -> Address | Refused:
    try:
        return parse_localpart(localpart)
    except Refused as error:
        return error


class TestForms:
    @pytest.mark.parametrize(
        ("localpart", "address"),
        [
            ("+15559870002", Address(peers=(PEER,))),
            ("+15559870002%+15551230001", Address(peers=(PEER,), did=DID)),
            ("+4915112345678", Address(peers=(Peer("+4915112345678"),))),
            ("29283", Address(peers=(Peer("29283"),))),
            ("29283%+15551230001", Address(peers=(Peer("29283"),), did=DID)),
            ("amazon", Address(peers=(Peer("amazon"),))),
            ("amazon\\20pay%+15551230001", Address(peers=(Peer("amazon pay"),), did=DID)),
            ("1800flowers", Address(peers=(Peer("1800flowers"),))),
            ("+15550000001,+15559870002", Address(peers=(OTHER, PEER))),
            ("+15550000001,+15559870002%+15551230001", Address(peers=(OTHER, PEER), did=DID)),
        ],
    )
    def test_every_form_is_read_and_written(self, localpart, address):
        assert parse_localpart(localpart) == address
        assert to_localpart(address) == localpart

    def test_cheograms_shortcode_is_read_and_written_plainly(self):
        spelled = "29283;phone-context=ca-us.phone-context.example.com"
        assert parse_localpart(spelled) == Address(peers=(Peer("29283"),))
        assert parse_localpart(f"{spelled}%+15551230001") == Address(peers=(Peer("29283"),), did=DID)

    def test_only_a_shortcode_has_a_phone_context(self):
        for name in ("amazon", "+15559870002", "29283,+15559870002"):
            assert refused(f"{name};phone-context=example.com").reason is Reason.BAD_ADDRESS

    def test_a_group_in_any_order_is_the_same_group(self):
        assert parse_localpart("+15559870002,+15550000001") == parse_localpart("+15550000001,+15559870002")
        assert parse_localpart("+15559870002,+15550000001").is_group
        assert not parse_localpart("+15559870002,+15559870002").is_group

    @pytest.mark.parametrize("code", ["123", "911", "29283", "12345678"])
    def test_a_shortcode_never_goes_through_e164(self, code):
        assert normalise_peer(code) == code
        assert kind_of(normalise_peer(code)) is PeerKind.SHORTCODE
        assert parse_localpart(code).peers == (code,)


class TestCarelessNumbers:
    @pytest.mark.parametrize(
        ("typed", "instead"),
        [
            ("5559870002", "+15559870002"),
            ("15559870002", "+15559870002"),
            ("1-555-987-0002", "+15559870002"),
            ("555.987.0002", "+15559870002"),
            ("(555)\\20987-0002", "+15559870002"),
            ("+1\\20555\\20987\\200002", "+15559870002"),
            ("+49-151-12345678", "+4915112345678"),
            ("+44(0)20-7946-0123", "+442079460123"),
            ("+55-5987-0002", "+5559870002"),  # Brazil, and not ten digits of North America
            ("5559870002%+15551230001", "+15559870002%+15551230001"),
            ("+15559870002%5551230001", "+15559870002%+15551230001"),
            ("29283%15551230001", "29283%+15551230001"),
            ("5559870002,+15550000001", "+15550000001,+15559870002"),
        ],
    )
    def test_a_number_typed_carelessly_is_answered_with_the_right_one(self, typed, instead):
        error = refused(typed)
        assert error.reason is Reason.MOVED_ADDRESS
        assert error.instead == instead
        assert to_localpart(parse_localpart(instead)) == instead


class TestJunk:
    @pytest.mark.parametrize(
        "localpart",
        [
            "", "%", ",", "+", "%+15551230001", "+15559870002%", "+15559870002%x", "+15559870002%+15551230001%",
            "+15559870002,", "+15559870002,29283", "+15559870002,amazon", "+155598700021234567", "+0123456789",
            "+11234567890", "123456789", "12", "Amazon", "amazon pay", "amazon\\5c", "\\20amazon", "_", "..", "Ⅷ", "😀",
            "+1 555", "５５５９８７０００２", "\ud800", "a;b", "+15559870002;x",
        ],
    )  # fmt: skip
    def test_what_is_no_address_is_refused(self, localpart):
        assert refused(localpart).reason is Reason.BAD_ADDRESS

    @given(st.one_of(st.text(), number_like, st.text("+15559870002%,;\\20a", max_size=40), st.text(st.characters())))
    def test_whatever_a_stranger_types_is_an_address_or_refused(self, text):
        verdict = judged(text)
        if isinstance(verdict, Refused):
            assert verdict.reason is (Reason.MOVED_ADDRESS if verdict.instead else Reason.BAD_ADDRESS)
            verdict = parse_localpart(verdict.instead) if verdict.instead else Address(peers=(PEER,))
        assert parse_localpart(to_localpart(verdict)) == verdict


class TestRoundTrips:
    @given(addresses)
    def test_an_address_is_read_back_from_its_localpart(self, address):
        assert parse_localpart(to_localpart(address)) == address

    @given(addresses)
    def test_xmpp_leaves_a_localpart_as_it_is(self, address):
        localpart = to_localpart(address)
        assert JID(f"{localpart}@sms.example.com").local == localpart

    @pytest.mark.parametrize(
        "raw",
        [
            "Amazon", "STRASSE ß", "ΣΑΣ", "ＡＭＡＺＯＮ", "😀", "Bank😀", "👩\u200d👩\u200d👧", "٠١٢٣", "بنك", "בנק 24",
            "a\u05d0", "Ж\u0301", "नमस्ते", "ไทย", "한국", "\u1112\u1161\u11ab", "ﬁne", "ŉ", "İstanbul", "ǅ", "ͅ", "ᏸ",
            "ꭰ", "ȡ", "\u2028", "a\ud800b", "john@example.com", "a/b:c<d>'e'\"&", "100%", "a,b;c\\20d", "  x  ", "½",
            "①", "\u00adamazon", "x" * 70, "5 " * 40, "-" * 63 + "5559870002", "(５５５) 987-0002\u200d", "tel:+1",
            "\x00",
        ],
    )  # fmt: skip
    def test_awkward_senders_survive_xmpp(self, raw):
        for did in (None, DID):
            address = Address(peers=(normalise_peer(raw),), did=did)
            localpart = to_localpart(address)
            assert JID(f"{localpart}@sms.example.com").local == localpart
            assert parse_localpart(localpart) == address

    def test_every_character_of_the_basic_plane_survives_xmpp(self):
        for code in range(0x10000):
            localpart = to_localpart(Address(peers=(normalise_peer(f"a{chr(code)}z"),)))
            assert JID(f"{localpart}@sms.example.com").local == localpart, hex(code)

    @given(st.text())
    def test_to_escape_and_unescape_is_to_do_nothing(self, text):
        assert unescape_node(escape_node(text)) == text.strip(" ")

    @given(st.text("\\20 2fF5cC@/", max_size=12))
    def test_escapes_of_escapes_come_back_as_well(self, text):
        assert unescape_node(escape_node(text)) == text.strip(" ")

    @pytest.mark.parametrize(
        ("plain", "escaped"),
        [
            ("space cadet", "space\\20cadet"),
            ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
            ("at&t guy", "at\\26t\\20guy"),
            ("d'artagnan", "d\\27artagnan"),
            ("/.fanboy", "\\2f.fanboy"),
            ("::foo::", "\\3a\\3afoo\\3a\\3a"),
            ("<foo>", "\\3cfoo\\3e"),
            ("user@host", "user\\40host"),
            ("c:\\net", "c\\3a\\net"),
            ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
            ("c:\\5commas", "c\\3a\\5c5commas"),
        ],
    )  # fmt: skip
    def test_the_examples_of_xep_0106_hold(self, plain, escaped):
        assert escape_node(plain) == escaped
        assert unescape_node(escaped) == plain


class TestPeers:
    @pytest.mark.parametrize(
        ("raw", "peer"),
        [
            ("5559870002", "+15559870002"),
            ("15559870002", "+15559870002"),
            (" (555) 987-0002 ", "+15559870002"),
            ("５５５９８７０００２", "+15559870002"),
            ("+4915112345678", "+4915112345678"),
            ("+55 5987 0002", "+5559870002"),
            ("+44 (0) 20 7946 0123", "+442079460123"),
            ("+39 (0)6 1234 5678", "+390612345678"),  # Italy's 0 is dialled from everywhere
            ("+999 (0)6 1234567", "+999061234567"),
            ("29283", "29283"),
            ("Amazon", "amazon"),
            ("Amazon Pay", "amazon pay"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("Банк", "банк"),
            ("1800FLOWERS", "1800flowers"),
            ("123456789", "_123456789"),
            ("12", "_12"),
            ("+11234567890", "_11234567890"),
            ("555\u00ad9870002", "_555_9870002"),
            ("(555) 987-0002" + " " * 60 + "x", "_(555) 987-0002"),
            ("A+B%C", "a_b_c"),
            ("", ANONYMOUS),
            (" \t\u3000", ANONYMOUS),
        ],
    )
    def test_senders_as_carriers_write_them(self, raw, peer):
        assert normalise_peer(raw) == peer

    def test_names_of_which_nothing_can_be_shown_stay_apart(self):
        names = {normalise_peer(raw) for raw in ("بنك", "סוף", "😀", "😁", "%%%")}
        assert len(names) == 5
        assert all(name.startswith("sender-") for name in names)
        assert ANONYMOUS not in names

    @given(st.text(st.characters(), max_size=200))
    def test_whatever_it_is_it_becomes_a_peer_and_stays_that(self, raw):
        peer = normalise_peer(raw)
        assert 0 < len(peer) <= max(MAX_ALPHANUMERIC, 16)
        assert normalise_peer(peer) == peer

    @given(number_like)
    def test_a_name_never_reads_as_a_number(self, raw):
        peer = normalise_peer(raw)
        if kind_of(peer) is PeerKind.ALPHANUMERIC:
            assert parse_localpart(to_localpart(Address(peers=(peer,)))).peers == (peer,)

    @given(e164)
    def test_e164_is_left_as_it_is(self, number):
        assert normalise_peer(number) == number
        assert parse_did(number) == number
        assert normalise_did(f" {number} ") == number


class TestDids:
    @pytest.mark.parametrize("raw", ["5551230001", "15551230001", "+15551230001", "555-123-0001"])
    def test_a_carriers_spelling_becomes_e164(self, raw):
        assert normalise_did(raw) == DID

    @pytest.mark.parametrize("raw", ["", "29283", "amazon", "+1555", "+11234567890", "+1555123000x", "1" * 20])
    def test_what_is_no_number_is_no_did(self, raw):
        with pytest.raises(ValueError, match=r"E\.164"):
            normalise_did(raw)

    @pytest.mark.parametrize("text", ["5551230001", "1-555-123-0001", "+1 555 123 0001", "29283", "+11234567890"])
    def test_the_configuration_must_spell_it_exactly(self, text):
        with pytest.raises(ValueError, match=r"E\.164"):
            parse_did(text)

    def test_a_mask_leaves_two_digits(self):
        assert mask("+15551230001") == "…01"
        assert mask("29283") == "…83"
        assert mask("911") == mask("1234") == "…"
