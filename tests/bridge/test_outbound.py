"""What owners write: taken with all its parts, or refused without a trace."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge import answers
from smsbridge.bridge.planning import MAX_PARTS, enclose, plan
from smsbridge.core.caps import Caps, Limits, Whose
from smsbridge.core.errors import Indeterminate, Reason, Refused, Rejected, StoreUnavailable
from smsbridge.core.gate import Policy
from smsbridge.core.line import Line, Receipts
from smsbridge.core.message import Kind, Media
from smsbridge.core.questions import Answer
from smsbridge.core.segments import Limit, LimitUnit
from smsbridge.core.words.say import Say
from smsbridge.providers.contract import Capabilities
from tests.fakes.words import english

from .house import ANN, CARRIER, DOMAIN, FRIEND, JOHN, OTHERS, OWN, PEER, SHARED, inbound, outbound, rules, with_line

TEXTER = Capabilities(sms=(Limit(units=160, unit=LimitUnit.UTF8_BYTES),))
LINE = Line(did=OWN, provider=CARRIER, owners=(JOHN,))


def pictures(count):
    return tuple(f"https://upload.example.com/{n}.jpg" for n in range(1, count + 1))


def media(count):
    return tuple(Media(url=url) for url in pictures(count))


async def parts(house):
    return await house.rows("SELECT * FROM outbox ORDER BY id")


async def test_an_accepted_text_is_a_message_with_a_part_that_is_due(house, ticks):
    await house.outbound.accept(outbound("hello"))
    (part,) = await parts(house)
    assert (part["did"], part["peer"], part["kind"], part["text"]) == (OWN, PEER, "sms", "hello")
    assert (part["state"], part["n"], part["of_n"], part["attempt"], part["tries"]) == ("queued", 1, 1, 0, 0)
    (message,) = await house.rows("SELECT * FROM message")
    assert (message["owner"], message["sender"], message["addressed"]) == (JOHN, f"{JOHN}/phone", f"{PEER}@{DOMAIN}")
    assert (message["stanza_id"], message["wants_receipt"], message["told"]) == ("s1", 1, "")
    assert house.metrics.outbound_accepted._value.get() == 1
    assert house.senders_bell._bell._event.is_set()
    assert await house.told() == []


async def test_the_resource_that_was_written_to_does_not_change_the_number(house):
    message = outbound("hello", to=f"{PEER}%{SHARED}")
    await house.outbound.accept(replace(message, addressed=f"{message.addressed}/it@home"))
    (part,) = await parts(house)
    assert (part["did"], part["peer"]) == (SHARED, PEER)


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (outbound(owner="stranger@example.com"), Reason.NOT_OWNER),
            (outbound(to="not\\20a:number", owner="stranger@example.com"), Reason.NOT_OWNER),
            (outbound(to=f"{PEER}%{OWN}", owner=ANN), Reason.NOT_OWNER),
            (outbound(to="+1"), Reason.BAD_ADDRESS),
            (outbound(to="5559870002"), Reason.MOVED_ADDRESS),
            (outbound(to="amazon"), Reason.NOT_ANSWERABLE),
            (outbound(to="29283"), Reason.NOT_ANSWERABLE),
            (outbound(to="911"), Reason.DESTINATION_REFUSED),
            (outbound(to="+447700900123"), Reason.DESTINATION_REFUSED),
            (outbound(to=f"{PEER},{FRIEND}"), Reason.GROUP_UNSUPPORTED),
            (outbound(to=SHARED), Reason.OWN_NUMBER),
            (outbound(""), Reason.EMPTY),
            (outbound(" \n "), Reason.EMPTY),
            (outbound("x" * 2000 * (MAX_PARTS + 1)), Reason.TOO_LONG),
        ],
    )
    async def test_what_is_refused_leaves_no_row(self, house, message, reason):
        with pytest.raises(Refused) as refused:
            await house.outbound.accept(message)
        assert refused.value.reason is reason
        assert await house.is_empty()
        assert house.metrics.outbound_accepted._value.get() == 0

    async def test_the_bare_domain_takes_no_texts(self, house):
        with pytest.raises(Refused) as refused:
            await house.outbound.accept(replace(outbound(), addressed=DOMAIN))
        assert refused.value.reason is Reason.BAD_ADDRESS
        assert await house.is_empty()

    async def test_a_picture_over_a_line_without_mms_goes_as_its_link_and_its_writer_knows(self, house):
        house.rules = with_line(OWN, can_mms=False)
        await house.outbound.accept(outbound("look", media=pictures(1)))
        (row,) = await parts(house)
        assert (row["kind"], row["text"], row["media"]) == ("sms", f"look\n{pictures(1)[0]}", "[]")
        assert [(kind, to, words) for kind, to, _, words in await house.told("notice")] == [
            ("notice", JOHN, english(Say.GOES_AS_LINK()))
        ]

    async def test_a_file_whose_address_is_no_link_leaves_no_row(self, house):
        for url in ("file:///etc/passwd", "javascript:x", "cid:1"):
            with pytest.raises(Refused) as refused:
                await house.outbound.accept(outbound("look", media=(url,)))
            assert refused.value.reason is Reason.MEDIA_REFUSED
        assert await house.is_empty()

    async def test_a_refused_text_may_be_sent_again_when_it_is_allowed(self, house):
        house.rules = with_line(OWN, owners=(ANN,))
        with pytest.raises(Refused):
            await house.outbound.accept(outbound("look", to=f"{PEER}%{OWN}", media=pictures(1)))
        house.rules = rules()
        await house.outbound.accept(outbound("look", media=pictures(1)))
        assert len(await parts(house)) == 1


class TestRepeats:
    async def test_a_repeated_stanza_is_the_same_text(self, house):
        await house.outbound.accept(outbound("hello"))
        await house.outbound.accept(outbound("hello"))
        assert len(await parts(house)) == 1
        assert house.metrics.outbound_accepted._value.get() == 1
        assert house.metrics.outbound_repeated._value.get() == 1

    async def test_it_may_come_from_another_resource(self, house):
        await house.outbound.accept(outbound("hello"))
        await house.outbound.accept(outbound("hello", resource="desk"))
        assert len(await parts(house)) == 1

    async def test_two_copies_at_once_are_one_text(self, house):
        await asyncio.gather(*(house.outbound.accept(outbound("hello")) for _ in range(10)))
        assert len(await parts(house)) == 1

    async def test_its_receipt_is_told_again_as_it_was(self, house):
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        (first,) = await house.hand_all()
        await house.outbound.accept(outbound("hello"))
        assert house.stream_bell._event.is_set()
        (again,) = await house.hand_all()
        assert (again.stanza_id, again.xml, again.about) == (first.stanza_id, first.stanza_id.encode(), "s1")
        assert len(house.provider.calls) == 1

    async def test_a_text_that_failed_whole_may_be_sent_again_under_the_same_id(self, house):
        house.provider.script(PEER, Rejected(Reason.INVALID_DESTINATION, "invalid_dst"))
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        (first,) = await house.hand_all()
        assert first.reason == "invalid_destination"
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        (again,) = await house.hand_all()
        assert again.kind == "receipt"
        assert len(house.provider.calls) == 2
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        assert len(house.provider.calls) == 2

    async def test_a_text_of_unknown_fate_is_not_sent_again_by_a_repeat_of_its_stanza(self, house):
        house.provider.script(PEER, Indeterminate("timeout"))
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.reconciler.look()
        doubt, _ = await house.hand_all()
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        (again,) = (row for row in await house.hand_all() if row.kind == "error")
        assert (again.stanza_id, again.reason) == (doubt.stanza_id, "unsure")
        assert len(house.provider.calls) == 1

    async def test_a_tick_that_came_back_is_told_again(self, house):
        """The client was gone, and its server returned what nobody was there for; now it is back and asks."""
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        (tick,) = await house.hand_all()
        assert await house.handover.bounce(tick.stanza_id, JOHN, "service-unavailable")
        await house.outbound.accept(outbound("hello", resource="desk"))
        (again,) = await house.hand_all()
        assert (again.kind, again.to_jid, again.about) == ("receipt", f"{JOHN}/desk", "s1")
        assert len(house.provider.calls) == 1

    async def test_a_doubt_that_is_over_is_not_told_again(self, house):
        """Clients take an error for the end: its writer would send once more what has arrived."""
        house.provider.script(PEER, Indeterminate("timeout"))
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.reconciler.look()
        await house.hand_all()
        await house.store.run(answers.answer, house.desk, JOHN, 1, Answer.ARRIVED)
        await house.hand_all()
        await house.outbound.accept(outbound("hello"))
        assert [row.kind for row in await house.hand_all()] == ["receipt"]

    @pytest.mark.parametrize("receipts", Receipts)
    async def test_nor_is_it_while_another_try_has_not_come_to_anything(self, house, receipts):
        house.rules = with_line(OWN, receipts=receipts)
        house.provider.script(PEER, Indeterminate("timeout"), "p1")
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.reconciler.look()
        await house.hand_all()
        await house.store.run(answers.answer, house.desk, JOHN, 1, Answer.RESEND)
        await house.hand_all()
        await house.outbound.accept(outbound("hello"))
        assert await house.hand_all() == []
        await house.dispatch()
        await house.hand_all()
        await house.outbound.accept(outbound("hello"))
        told = [row.kind for row in await house.hand_all()]
        assert told == (["receipt"] if receipts is Receipts.ACCEPTED else [])

    async def test_a_repeat_after_the_line_was_lost_is_still_answered_as_the_first(self, house):
        await house.outbound.accept(outbound("hello"))
        house.rules = with_line(OWN, owners=(ANN,))
        await house.outbound.accept(outbound("hello"))
        assert len(await parts(house)) == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"text": "another text"},
            {"sid": "s2"},
            {"to": f"{PEER}%{OWN}"},
            {"media": pictures(1)},
        ],
    )
    async def test_whatever_differs_makes_a_text_of_its_own(self, house, other):
        await house.outbound.accept(outbound())
        await house.outbound.accept(outbound(**other))
        assert len(await parts(house)) == 2

    async def test_a_stanza_without_id_is_never_taken_for_a_repeat(self, house):
        await house.outbound.accept(outbound("ok", sid=""))
        await house.outbound.accept(outbound("ok", sid=""))
        assert len(await parts(house)) == 2

    async def test_another_owner_may_use_the_same_id(self, house):
        await house.outbound.accept(outbound("ok", to=f"{PEER}%{SHARED}"))
        await house.outbound.accept(outbound("ok", to=f"{PEER}%{SHARED}", owner=ANN))
        assert len(await parts(house)) == 2


class TestPlan:
    """Into what a message is cut: (kind, length of the text, number of media)."""

    def shape(self, text, count=0, line=LINE, capabilities=None):
        pieces = plan(text, media(count), line, capabilities or self.capabilities)
        return [(kind, len(piece), len(attached)) for kind, piece, attached in pieces]

    @pytest.fixture(autouse=True)
    def _capabilities(self, house):
        self.capabilities = house.provider.capabilities

    def test_what_fits_is_one_sms(self):
        assert self.shape("x" * 160) == [(Kind.SMS, 160, 0)]

    def test_what_does_not_fit_is_one_mms_without_media(self):
        assert self.shape("x" * 161) == [(Kind.MMS, 161, 0)]

    def test_a_line_without_mms_sends_sms_parts(self):
        line = Line(did=OWN, provider=CARRIER, owners=(JOHN,), can_mms=False)
        assert self.shape("x" * 321, line=line) == [(Kind.SMS, 160, 0), (Kind.SMS, 160, 0), (Kind.SMS, 1, 0)]

    def test_a_carrier_without_mms_gets_sms_parts(self):
        assert self.shape("x" * 161, capabilities=TEXTER) == [(Kind.SMS, 160, 0), (Kind.SMS, 1, 0)]

    def test_a_very_long_text_is_several_mms(self):
        assert self.shape("x" * 2001) == [(Kind.MMS, 2000, 0), (Kind.MMS, 1, 0)]

    def test_four_files_may_be_two_mms_and_are_in_neither_before_they_are_there(self):
        assert self.shape("look", 4) == [(Kind.MMS, 4, 0), (Kind.MMS, 0, 0)]

    def test_there_is_room_for_a_file_that_turns_out_to_go_as_its_link(self):
        assert self.shape("x" * 1990, 1) == [(Kind.MMS, 1990, 0), (Kind.MMS, 0, 0)]

    def enclosed(self, text, count=0, links=()):
        pieces = enclose(text, media(count), links, self.capabilities)
        return [(kind, len(piece), len(attached)) for kind, piece, attached in pieces]

    def test_four_files_are_two_mms_and_the_text_goes_with_the_first(self):
        assert self.enclosed("look", 4) == [(Kind.MMS, 4, 3), (Kind.MMS, 0, 1)]

    def test_files_need_no_text(self):
        assert self.enclosed("", 1) == [(Kind.MMS, 0, 1)]

    def test_more_text_than_files_goes_on_without_them(self):
        assert self.enclosed("x" * 2001, 1) == [(Kind.MMS, 2000, 1), (Kind.MMS, 1, 0)]

    def test_the_order_of_files_is_kept(self):
        pieces = enclose("", media(4), (), self.capabilities)
        assert [item.url for _, _, group in pieces for item in group] == list(pictures(4))

    def test_links_stand_below_the_text_of_the_first_mms(self):
        ((_, text, attached),) = enclose("look", media(2), pictures(1), self.capabilities)
        assert (text, attached) == (f"look\n{pictures(1)[0]}", media(2))

    def test_links_alone_are_one_text(self):
        assert enclose("look", (), pictures(1), self.capabilities) == [(Kind.SMS, f"look\n{pictures(1)[0]}", ())]
        ((kind, _, _),) = enclose("look", (), pictures(6), self.capabilities)
        assert kind is Kind.MMS

    @pytest.mark.parametrize("text", ["see {} please", "({})", "this: {}."])
    def test_a_link_that_stands_in_the_words_is_not_said_again(self, text):
        text = text.format(pictures(1)[0])
        assert enclose(text, (), pictures(1), self.capabilities) == [(Kind.SMS, text, ())]
        assert enclose(text, media(1), pictures(1), self.capabilities) == [(Kind.MMS, text, media(1))]
        assert enclose(f"x{text}", (), pictures(2)[1:], self.capabilities)[-1][1].endswith(pictures(2)[1])

    @pytest.mark.parametrize("length", [0, 1, 1900, 1980, 2000, 2001, 3990])
    @pytest.mark.parametrize("count", [1, 3, 4, 7])
    def test_there_is_room_for_whatever_becomes_of_the_files(self, length, count):
        text = "word " * (length // 5) + "x" * (length % 5)
        room = len(plan(text, media(count), LINE, self.capabilities))
        for kept in range(count + 1):
            pieces = enclose(text, media(count)[:kept], pictures(count)[kept:], self.capabilities)
            assert len(pieces) <= room
            words = " ".join(piece for _, piece, _ in pieces).split()
            assert words == [*text.split(), *pictures(count)[kept:]]

    def test_as_many_parts_as_are_allowed_are_taken(self):
        assert len(self.shape("x" * 2000 * MAX_PARTS)) == MAX_PARTS

    def test_one_more_is_refused_in_words_that_count(self):
        with pytest.raises(Refused) as refused:
            self.shape("x" * 2000 * MAX_PARTS + "x")
        assert refused.value.reason is Reason.TOO_LONG
        assert f"{MAX_PARTS + 1} messages" in english(refused.value.words)

    def test_a_carrier_of_texts_alone_gets_links(self):
        link = pictures(1)[0]
        assert plan("look", media(1), LINE, TEXTER) == [(Kind.SMS, f"look\n{link}", ())]
        assert plan("", media(1), LINE, TEXTER) == [(Kind.SMS, link, ())]

    def test_a_link_is_not_cut_though_the_words_are(self):
        pieces = plan("x" * 170, media(2), LINE, TEXTER)
        assert [piece for _, piece, _ in pieces] == ["x" * 160, "x" * 10, *pictures(2)]


async def test_a_message_of_several_parts_is_stored_in_order(house):
    await house.outbound.accept(outbound("look", media=pictures(4)))
    assert [(row["n"], row["of_n"], row["kind"], row["text"]) for row in await parts(house)] == [
        (1, 2, "mms", "look"),
        (2, 2, "mms", ""),
    ]


class TestBinding:
    async def line_of(self, house, **about):
        await house.outbound.accept(outbound(**about))
        return (await parts(house))[-1]["did"]

    async def test_a_new_conversation_takes_the_owners_first_line(self, house):
        assert await self.line_of(house) == OWN
        assert await self.line_of(house, owner=ANN) == SHARED

    async def test_a_bound_conversation_goes_over_its_line(self, house):
        await house.take(inbound("hello", did=SHARED))
        assert await self.line_of(house) == SHARED

    async def test_a_named_line_is_taken_and_the_binding_stays(self, house):
        await house.take(inbound("hello", did=SHARED))
        assert await self.line_of(house, to=f"{PEER}%{OWN}") == OWN
        assert await self.line_of(house, sid="s2") == SHARED

    async def test_a_conversation_whose_line_was_lost_is_bound_anew(self, house):
        await house.take(inbound("hello", did=SHARED))
        house.rules = with_line(SHARED, owners=(ANN,))
        assert await self.line_of(house) == OWN
        house.rules = rules()
        assert await self.line_of(house, sid="s2") == OWN

    async def test_each_peer_is_bound_by_itself(self, house):
        await house.take(inbound("hello", did=SHARED))
        assert await self.line_of(house, to=FRIEND) == OWN

    async def test_a_line_at_another_provider_is_sent_from_there(self, house):
        house.outbound._capabilities = lambda: {"elsewhere": TEXTER}
        assert await self.line_of(house, to=f"{PEER}%{OTHERS}") == OTHERS
        assert (await parts(house))[-1]["provider"] == "elsewhere"


class TestFaultsOfTheStore:
    async def test_a_store_that_cannot_is_told_to_the_sender(self, house):
        house.store.refuse(1)
        with pytest.raises(StoreUnavailable):
            await house.outbound.accept(outbound())
        assert await house.is_empty()
        assert house.metrics.outbound_accepted._value.get() == 0

    async def test_nothing_is_half_written_whatever_statement_fails(self, house):
        failures = 0
        for statement in range(1, 100):
            house.store.break_at(statement)
            try:
                await house.outbound.accept(outbound("look", media=pictures(4)))
            except StoreUnavailable:
                failures += 1
                assert await house.is_empty()
            else:
                break
        assert failures > 8
        assert len(await parts(house)) == 2

    async def test_a_commit_that_seemed_to_fail_is_found_by_the_repeat(self, house):
        house.store.lose_answers(1)
        with pytest.raises(StoreUnavailable):
            await house.outbound.accept(outbound())
        await house.outbound.accept(outbound())
        assert len(await parts(house)) == 1


class TestGivenAgainByTheServer:
    """The XMPP server keeps a stanza until it knows that we have it."""

    async def test_a_stanza_without_an_id_is_one_text_all_the_same(self, house):
        message = replace(outbound("hello"), stanza_id="", kept_as="h1")
        await house.outbound.accept(message)
        await house.outbound.accept(message)
        assert len(await parts(house)) == 1
        await house.outbound.accept(replace(message, kept_as="h2"))
        assert len(await parts(house)) == 2

    async def test_what_has_failed_is_not_tried_again_and_not_told_again(self, house):
        house.provider.script(PEER, Rejected(Reason.INVALID_DESTINATION, "invalid_dst"))
        message = replace(outbound("hello"), kept_as="h1")
        await house.outbound.accept(message)
        await house.dispatch()
        assert len(await house.hand_all()) == 1
        await house.outbound.accept(message)
        await house.dispatch()
        assert len(house.provider.calls) == 1
        assert await house.hand_all() == []

    async def test_what_its_writer_sends_again_is_kept_under_another_id_and_is_one_text(self, house):
        await house.outbound.accept(replace(outbound("hello"), kept_as="h1"))
        for _ in range(2):
            await house.outbound.accept(replace(outbound("hello"), kept_as="h2"))
        assert len(await parts(house)) == 1

    async def test_the_same_id_of_another_owner_is_another_stanza(self, house):
        await house.outbound.accept(replace(outbound("hello", to=f"{PEER}%{SHARED}"), kept_as="h1"))
        await house.outbound.accept(replace(outbound("hello", to=f"{PEER}%{SHARED}", owner=ANN), kept_as="h1"))
        assert len(await parts(house)) == 2

    async def test_what_was_refused_is_refused_in_the_same_words_when_it_would_be_taken_now(self, house):
        house.rules = rules(policy=Policy(limits=Limits(caps={Whose.OWNER: Caps(minute=1)})))
        await house.accept("one")
        message = replace(outbound("two", sid="2"), kept_as="h2")
        words = await self.refused(house, message, Reason.OVER_CAP)
        house.rules = rules()
        assert await self.refused(house, message, Reason.OVER_CAP) == words
        assert len(await parts(house)) == 1
        await house.outbound.accept(replace(message, kept_as="h3"))  # written again: a wish of its own
        assert len(await parts(house)) == 2

    async def test_the_right_address_is_told_again(self, house):
        message = replace(outbound(to="5559870002"), kept_as="h1")
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await house.outbound.accept(message)
            assert (refused.value.reason, refused.value.instead) == (Reason.MOVED_ADDRESS, "+15559870002")

    async def test_the_refusal_that_opens_the_breaker_is_remembered_as_well(self, house, ticks):
        house.rules = rules(policy=Policy(has_breaker=True))
        await house.accept(*(f"line {n}" for n in range(10)))
        message = replace(outbound("line 10", sid="10"), kept_as="h1")
        words = await self.refused(house, message, Reason.LOOP)
        ticks.advance(timedelta(minutes=11))
        assert await self.refused(house, message, Reason.LOOP) == words
        assert len(await parts(house)) == 10

    async def test_a_refusal_that_cannot_be_kept_is_not_told_as_one(self, house):
        house.store.refuse(1, of="remember_refusal")
        with pytest.raises(StoreUnavailable):
            await house.outbound.accept(replace(outbound(owner="stranger@example.com"), kept_as="h1"))

    async def refused(self, house, message, reason):
        with pytest.raises(Refused) as caught:
            await house.outbound.accept(message)
        assert caught.value.reason is reason
        return english(caught.value.words)
