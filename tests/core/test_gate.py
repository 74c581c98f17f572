"""The send gate: whom it lets through, and how little it tells the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Reason, Refused
from smsbridge.core.gate import OTHER_NANP, SERVICE_CODES, Admission, Policy, judge, region_of
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import ProviderName
from tests.fakes.words import english

JOHN, ANN, EVE = "john@example.com", "ann@example.com", "eve@example.org"
ONE, TWO, SHORT = Did("+15551230001"), Did("+15551230002"), Did("+15551230003")
PEER = "+15559870002"


def line(did: Did, *owners: str, can_text_shortcodes: bool = False) -> Line:
    return Line(
        did=did, provider=ProviderName("voipms"), owners=owners, can_text_shortcodes=can_text_shortcodes
    )  # fmt: skip


DIRECTORY = Directory([line(ONE, JOHN, ANN), line(TWO, ANN), line(SHORT, ANN, can_text_shortcodes=True)])


def ask(owner: str, localpart: str, bound: Did | None = None, regions: frozenset[str] | None = None) -> Admission:
    policy = Policy() if regions is None else Policy(regions=regions)
    return judge(owner=owner, localpart=localpart, bound=bound, directory=DIRECTORY, policy=policy)


def refusal(owner: str, localpart: str, regions: frozenset[str] | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(owner, localpart, regions=regions)
    return caught.value


class TestOwnership:
    @pytest.mark.parametrize(
        "localpart",
        [
            PEER, f"{PEER}%{ONE}", f"{PEER}%+15551239999", ONE, "+19005550100", "+442071234567", "911", "29283",
            "amazon", "5559870002", "", "%", "no such thing", "+15559870002,+15559870003", "+9991234567",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "stranger",
        [
            EVE, "", "john@example.com.", "john@example.com.example.org", "john\\40example.com@example.org",
            "jоhn@example.com", "John@example.com", "example.com", "john@example.com/phone",
        ],
    )  # fmt: skip
    def test_a_stranger_gets_the_same_answer_whatever_he_asks(self, stranger, localpart):
        error = refusal(stranger, localpart)
        assert (error.reason, error.words, error.instead) == (Reason.NOT_OWNER, "", "")

    @given(st.text())
    def test_a_stranger_gets_that_answer_to_anything(self, localpart):
        error = refusal(EVE, localpart)
        assert (error.reason, error.words, error.instead) == (Reason.NOT_OWNER, "", "")

    def test_another_owners_number_and_one_that_nobody_has_look_the_same(self):
        theirs, nobodys = refusal(JOHN, f"{PEER}%{TWO}"), refusal(JOHN, f"{PEER}%+15551239999")
        assert theirs.reason is nobodys.reason is Reason.NOT_OWNER
        assert (theirs.words, theirs.instead) == (nobodys.words, nobodys.instead) == ("", "")

    def test_ownership_of_the_line_is_judged_before_the_destination(self):
        for destination in ("amazon", "911", "+442071234567", "+15550000001,+15550000002"):
            assert refusal(JOHN, f"{destination}%{TWO}").reason is Reason.NOT_OWNER

    @given(st.text())
    def test_an_owner_is_let_through_or_refused_with_a_reason(self, localpart):
        try:
            admission = ask(JOHN, localpart)
        except Refused:
            return
        assert JOHN in admission.line.owners


class TestLine:
    def test_a_new_conversation_takes_the_owners_first_line(self):
        assert ask(JOHN, PEER) == Admission(line=DIRECTORY.lines_of(JOHN)[0], peer=Peer(PEER))
        assert ask(ANN, PEER).line.did == ONE

    def test_a_conversation_keeps_the_line_it_is_bound_to(self):
        assert ask(ANN, PEER, bound=TWO).line.did == TWO

    def test_a_named_line_wins_over_the_bound_one(self):
        assert ask(ANN, f"{PEER}%{TWO}", bound=ONE).line.did == TWO

    def test_a_conversation_bound_to_a_lost_line_falls_back_to_the_first(self):
        assert ask(JOHN, PEER, bound=TWO).line.did == ONE
        assert ask(JOHN, PEER, bound=Did("+15551239999")).line.did == ONE


class TestDestination:
    @pytest.mark.parametrize("peer", ["+12125550100", "+14165550100", "+18005550100", PEER])
    def test_the_united_states_and_canada_are_open(self, peer):
        assert ask(JOHN, peer).peer == peer

    @pytest.mark.parametrize("area", sorted(OTHER_NANP))
    def test_the_rest_of_plus_one_is_closed_by_default(self, area):
        assert refusal(JOHN, f"+1{area}5550100").reason is Reason.DESTINATION_REFUSED

    def test_an_island_is_opened_by_its_own_name(self):
        assert ask(JOHN, "+18765550100", regions=frozenset({"US", "JM"})).peer == "+18765550100"
        assert refusal(JOHN, "+18765550100", regions=frozenset({"US", "DO"})).reason is Reason.DESTINATION_REFUSED

    def test_premium_numbers_are_no_part_of_the_united_states(self):
        assert region_of(Peer("+19005550100")) == "premium"
        assert refusal(JOHN, "+19005550100").reason is Reason.DESTINATION_REFUSED

    @pytest.mark.parametrize(
        ("peer", "region"),
        [
            ("+442071838750", "GB"), ("+4930901820", "DE"), ("+441481256789", "GG"), ("+5511961234567", "BR"),
            ("+447911000000000", "GB"), ("+80012345678", "001"), ("+9991234567", ""), ("+2101234567", ""),
        ],
    )  # fmt: skip
    def test_other_countries_are_closed_until_they_are_named(self, peer, region):
        assert region_of(Peer(peer)) == region
        assert refusal(JOHN, peer).reason is Reason.DESTINATION_REFUSED
        if region:
            assert ask(JOHN, peer, regions=frozenset({region})).peer == peer

    @given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
    def test_every_number_has_a_region_or_none(self, number):
        assert isinstance(region_of(Peer(number)), str)

    @pytest.mark.parametrize("code", sorted(SERVICE_CODES))
    @pytest.mark.parametrize("did", [ONE, SHORT])
    def test_emergency_and_service_codes_are_closed_on_every_line(self, code, did):
        error = refusal(ANN, f"{code}%{did}")
        assert error.reason is Reason.DESTINATION_REFUSED
        assert "mergency" in english(error.words)

    def test_shortcodes_are_open_only_where_the_carrier_can(self):
        assert ask(ANN, f"29283%{SHORT}").peer == "29283"
        error = refusal(ANN, f"29283%{ONE}")
        assert error.reason is Reason.NOT_ANSWERABLE
        assert error.words

    def test_a_name_cannot_be_answered(self):
        assert refusal(JOHN, "amazon").reason is Reason.NOT_ANSWERABLE

    def test_a_group_is_not_taken(self):
        assert refusal(JOHN, "+15550000001,+15550000002").reason is Reason.GROUP_UNSUPPORTED

    @pytest.mark.parametrize("did", [ONE, TWO])
    def test_our_own_numbers_are_not_texted(self, did):
        assert refusal(JOHN, did).reason is Reason.OWN_NUMBER

    def test_a_careless_number_is_answered_with_the_right_one(self):
        error = refusal(JOHN, "555-987-0002")
        assert (error.reason, error.instead) == (Reason.MOVED_ADDRESS, PEER)

    def test_nonsense_is_no_address(self):
        assert refusal(JOHN, "no such thing").reason is Reason.BAD_ADDRESS
