"""What carriers tell: recorded once, delivered to each owner, or to the admins if it is nobody's."""

from dataclasses import replace

import pytest

from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import AddressStyle, Receipts
from smsbridge.core.message import Kind, ReportState
from tests.fakes.words import because

from .house import (
    ADMIN,
    ANN,
    CARRIER,
    ELSEWHERE,
    FRIEND,
    JOHN,
    OTHERS,
    OWN,
    PEER,
    SHARED,
    THIRD,
    inbound,
    outbound,
    report,
    rules,
    with_line,
)

PICTURE, OTHER_PICTURE = "https://media.example.com/1.jpg", "https://media.example.com/2.jpg"
NOBODYS = "+15551239999"


async def stanza_ids(house):
    return [(row["to_jid"], row["stanza_id"]) for row in await house.rows("SELECT * FROM delivery ORDER BY id")]


async def test_a_text_is_delivered_to_the_owner_of_its_line(house):
    await house.take(inbound("hello"))
    assert await house.told() == [("text", JOHN, PEER, "hello")]


async def test_a_text_to_a_shared_line_is_delivered_to_each_owner(house):
    await house.take(inbound("hello", did=SHARED))
    assert await house.told() == [("text", JOHN, PEER, "hello"), ("text", ANN, PEER, "hello")]
    assert len(set(await stanza_ids(house))) == 2


async def test_a_repeated_callback_makes_no_second_delivery(house):
    await house.take(inbound("hello"))
    await house.take(inbound("hello"))
    await house.take(inbound("hello"), inbound("hello"))
    assert len(await house.told()) == 1
    assert house.metrics.inbound_taken.labels(CARRIER, "sms")._value.get() == 1
    assert house.metrics.inbound_repeated.labels(CARRIER)._value.get() == 3


async def test_the_stream_is_woken_after_the_commit(house):
    await house.take(inbound("hello"))
    assert house.stream_bell._event.is_set()


async def test_the_same_id_with_another_text_is_delivered_and_alarmed(house):
    await house.take(inbound("hello"))
    await house.take(inbound("something else"))
    assert [body for *_, body in await house.told()] == ["hello", "something else"]
    assert len(set(await stanza_ids(house))) == 2
    assert house.metrics.inbound_conflicted.labels(CARRIER)._value.get() == 1


async def test_each_attachment_is_a_delivery_of_its_own(house):
    await house.take(inbound("look", kind=Kind.MMS, media=(PICTURE, OTHER_PICTURE)))
    rows = await house.rows("SELECT kind, body, media_url, inbox_id FROM delivery ORDER BY id")
    assert [(row["kind"], row["body"], row["media_url"]) for row in rows] == [
        ("text", "look", ""),
        ("media", "", PICTURE),
        ("media", "", OTHER_PICTURE),
    ]
    assert len({row["inbox_id"] for row in rows}) == 1
    assert len(set(await stanza_ids(house))) == 3
    assert {row["state"] for row in await house.rows("SELECT state FROM media")} == {"published"}


async def test_an_attachment_alone_comes_without_a_text(house):
    await house.take(inbound("", kind=Kind.MMS, media=(PICTURE,)))
    assert [kind for kind, *_ in await house.told()] == ["media"]


async def test_attachments_of_a_shared_line_go_to_each_owner(house):
    await house.take(inbound("look", did=SHARED, kind=Kind.MMS, media=(PICTURE,)))
    assert [(kind, to) for kind, to, *_ in await house.told()] == [
        ("text", JOHN),
        ("media", JOHN),
        ("text", ANN),
        ("media", ANN),
    ]


async def test_an_attachment_that_a_second_callback_adds_is_delivered_alone(house):
    await house.take(inbound("look", kind=Kind.MMS))
    await house.take(inbound("look", kind=Kind.MMS, media=(PICTURE,)))
    await house.take(inbound("look", kind=Kind.MMS, media=(PICTURE, OTHER_PICTURE)))
    await house.take(inbound("look", kind=Kind.MMS, media=(PICTURE, OTHER_PICTURE)))
    assert [kind for kind, *_ in await house.told()] == ["text", "media", "media"]


async def test_a_callback_without_kind_and_its_repeat_with_media_are_one_message(house):
    await house.take(inbound("look", kind=Kind.UNTOLD))
    await house.take(inbound("look", kind=Kind.MMS, media=(PICTURE,)))
    assert [kind for kind, *_ in await house.told()] == ["text", "media"]


async def test_an_empty_text_is_delivered_in_words(house):
    await house.take(inbound(""))
    assert await house.told() == [("text", JOHN, PEER, "(an empty text)")]


async def test_what_cannot_be_encoded_does_not_stop_a_text(house):
    await house.take(inbound("half \ud83d only", peer="my bank", label="My \ude00 Bank"))
    (row,) = await house.rows("SELECT body, label FROM delivery")
    assert (row["body"], row["label"]) == ("half \ufffd only", "My \ufffd Bank")


async def test_a_sender_with_a_name_keeps_its_spelling_as_a_label(house):
    await house.take(inbound("code 1234", peer="my bank", label="My Bank"))
    await house.take(inbound("hello", pid="2", label="+1 555 987 0002"))
    rows = await house.rows("SELECT sender, label FROM delivery ORDER BY id")
    assert [(row["sender"], row["label"]) for row in rows] == [("my\\20bank", "My Bank"), (PEER, "")]


async def test_the_carriers_time_travels_with_the_text(house, ticks):
    await house.take(inbound("hello", sent_at=ticks.now))
    (delivery,) = await house.claim(1)
    assert delivery.stamp == ticks.now


class TestUnrouted:
    async def test_a_text_to_a_number_of_nobody_is_kept_and_told_to_the_admins_once(self, house):
        for _ in range(2):
            await house.take(inbound("hello?", did=NOBODYS))
        ((kind, to, sender, body),) = await house.told()
        assert (kind, to, sender) == ("notice", ADMIN, "")
        assert "hello?" in body
        assert NOBODYS in body
        assert [row["text"] for row in await house.rows("SELECT text FROM inbox")] == ["hello?"]
        assert house.metrics.inbound_unrouted.labels(CARRIER)._value.get() == 1

    async def test_every_admin_is_told(self, house):
        house.rules = replace(house.rules, admins=(ADMIN, JOHN))
        await house.take(inbound("hello?", did=NOBODYS))
        assert [to for _, to, *_ in await house.told()] == [ADMIN, JOHN]
        assert len(set(await stanza_ids(house))) == 2

    async def test_a_line_over_another_provider_is_not_this_ones(self, house):
        await house.take(inbound("hello?", did=OTHERS))
        ((kind, to, _, body),) = await house.told()
        assert (kind, to) == ("notice", ADMIN)
        assert CARRIER in body

    async def test_the_right_provider_of_that_line_is_heard(self, house):
        await house.inbound.take(ELSEWHERE, [inbound("hello", did=OTHERS)])
        assert await house.told("text") == [("text", JOHN, PEER, "hello")]

    async def test_a_line_without_owners_is_nobodys(self, house):
        house.rules = with_line(OWN, owners=())
        await house.take(inbound("hello?"))
        assert [to for _, to, *_ in await house.told()] == [ADMIN]

    async def test_attachments_are_told_by_their_address_even_if_they_come_later(self, house):
        await house.take(inbound("look", did=NOBODYS, kind=Kind.MMS))
        await house.take(inbound("look", did=NOBODYS, kind=Kind.MMS, media=(PICTURE,)))
        await house.take(inbound("look", did=NOBODYS, kind=Kind.MMS, media=(PICTURE,)))
        first, second = [body for *_, body in await house.told()]
        assert PICTURE not in first
        assert PICTURE in second
        assert len(set(await stanza_ids(house))) == 2
        assert {row["state"] for row in await house.rows("SELECT state FROM media")} == {"published"}


class TestAddresses:
    async def test_the_first_text_binds_the_conversation_and_another_line_shows_its_number(self, house):
        await house.take(inbound("one", did=SHARED, pid="1"))
        await house.take(inbound("two", did=OWN, pid="2"))
        await house.take(inbound("three", did=SHARED, pid="3"))
        seen = [(body, sender) for _, to, sender, body in await house.told() if to == JOHN]
        assert seen == [("one", PEER), ("two", f"{PEER}%{OWN}"), ("three", PEER)]

    async def test_each_owner_and_peer_has_a_binding_of_its_own(self, house):
        await house.take(inbound("one", did=OWN, pid="1"))
        await house.take(inbound("two", did=SHARED, pid="2"))
        await house.take(inbound("three", did=SHARED, peer=FRIEND, pid="3"))
        seen = [(to, sender, body) for _, to, sender, body in await house.told()]
        assert seen == [
            (JOHN, PEER, "one"),
            (JOHN, f"{PEER}%{SHARED}", "two"),
            (ANN, PEER, "two"),
            (JOHN, FRIEND, "three"),
            (ANN, FRIEND, "three"),
        ]

    async def test_with_did_every_text_shows_its_line(self, house):
        house.rules = rules(address_style=AddressStyle.WITH_DID)
        await house.take(inbound("one"))
        await house.take(inbound("your code", peer="29283", pid="2"))
        await house.take(inbound("your code", peer="my bank", pid="3"))
        assert [sender for _, _, sender, _ in await house.told()] == [
            f"{PEER}%{OWN}",
            f"29283%{OWN}",
            f"my\\20bank%{OWN}",
        ]

    async def test_what_an_owner_writes_first_binds_as_well(self, house):
        await house.outbound.accept(outbound("hello"))
        await house.take(inbound("over the other line", did=SHARED))
        assert await house.told("text") == [
            ("text", JOHN, f"{PEER}%{SHARED}", "over the other line"),
            ("text", ANN, PEER, "over the other line"),
        ]


class TestGroupCopies:
    async def test_copies_for_strangers_are_left_out_if_one_is_ours(self, house):
        copies = [inbound("all of you", did=did, pid="g1", kind=Kind.MMS) for did in (NOBODYS, OWN, "+15559990000")]
        await house.take(*copies)
        assert await house.told() == [("text", JOHN, PEER, "all of you")]
        assert len(await house.rows("SELECT id FROM inbox")) == 1

    async def test_a_copy_for_our_line_at_another_provider_is_left_to_that_one(self, house):
        await house.take(inbound("all of you", did=OWN, pid="g1"), inbound("all of you", did=OTHERS, pid="g1"))
        assert await house.told() == [("text", JOHN, PEER, "all of you")]

    async def test_two_lines_of_ours_each_get_their_copy(self, house):
        await house.take(inbound("both", did=OWN, pid="g1"), inbound("both", did=SHARED, pid="g1"))
        assert [(to, sender) for _, to, sender, _ in await house.told()] == [
            (JOHN, PEER),
            (JOHN, f"{PEER}%{SHARED}"),
            (ANN, PEER),
        ]

    async def test_copies_without_an_id_are_known_by_sender_and_text(self, house):
        await house.take(inbound("all of you", did=NOBODYS, pid=""), inbound("all of you", did=OWN, pid=""))
        assert await house.told() == [("text", JOHN, PEER, "all of you")]

    @pytest.mark.parametrize(
        "other",
        [
            {"pid": "", "peer": THIRD},
            {"pid": "", "text": "another text"},
            {"pid": "7", "kind": Kind.MMS},
        ],
    )
    async def test_another_text_to_a_stranger_is_never_taken_for_a_copy(self, house, other):
        ours = inbound(pid=other["pid"])
        await house.take(ours, inbound(**{"text": ours.text, **other, "did": NOBODYS}))
        assert sorted(kind for kind, *_ in await house.told()) == ["notice", "text"]

    async def test_a_group_of_strangers_alone_is_kept(self, house):
        await house.take(inbound("hello?", did=NOBODYS), inbound("hello?", did="+15559990000"))
        assert len(await house.rows("SELECT id FROM inbox")) == 2


class TestReports:
    async def sent(self, house, did=OWN):
        house.rules = with_line(did, receipts=Receipts.DELIVERED)
        await house.accept("hello")
        await house.dispatch()

    async def test_a_good_report_confirms_the_part(self, house):
        await self.sent(house)
        await house.take(report("pid-1"))
        assert await house.states() == ["delivered"]
        assert await house.told() == [("receipt", f"{JOHN}/phone", f"{PEER}@sms.example.com", "id of hello")]

    async def test_a_bad_report_fails_the_part(self, house):
        await self.sent(house)
        await house.take(report("pid-1", ReportState.FAILED, code="4470"))
        assert await house.states() == ["failed"]
        ((kind, *_, body),) = await house.told()
        assert (kind, body) == ("error", because("carrier_refused"))
        (row,) = await house.rows("SELECT code FROM outbox")
        assert row["code"] == "4470"

    async def test_a_repeated_report_tells_nothing_new(self, house):
        await self.sent(house)
        await house.take(report("pid-1"), report("pid-1"))
        await house.take(report("pid-1", ReportState.FAILED))
        assert await house.states() == ["delivered"]
        assert len(await house.told()) == 1

    @pytest.mark.parametrize("stray", [report("unknown"), report("pid-1", kind=Kind.MMS)])
    async def test_a_report_of_no_part_of_ours_changes_nothing(self, house, stray):
        await self.sent(house)
        await house.take(stray)
        assert await house.states() == ["sent"]

    async def test_a_report_and_a_text_may_come_together(self, house):
        await self.sent(house)
        await house.take(report("pid-1"), inbound("hello back"))
        assert sorted(kind for kind, *_ in await house.told()) == ["receipt", "text"]


class TestFaultsOfTheStore:
    async def test_a_store_that_cannot_is_told_to_the_carrier(self, house):
        house.store.refuse(1)
        with pytest.raises(StoreUnavailable):
            await house.take(inbound())
        assert await house.is_empty()

    async def test_nothing_is_half_written_whatever_statement_fails(self, house):
        events = (inbound("look", did=SHARED, kind=Kind.MMS, media=(PICTURE,)), inbound("hello?", did=NOBODYS, pid="2"))
        failures = 0
        for statement in range(1, 200):
            house.store.break_at(statement)
            try:
                await house.take(*events)
            except StoreUnavailable:
                failures += 1
                assert await house.is_empty()
            else:
                break
        assert failures > 12
        assert sorted(kind for kind, *_ in await house.told()) == ["media", "media", "notice", "text", "text"]

    async def test_a_commit_that_seemed_to_fail_makes_no_second_delivery(self, house):
        house.store.lose_answers(1)
        with pytest.raises(StoreUnavailable):
            await house.take(inbound())
        await house.take(inbound())
        assert len(await house.told()) == 1


async def test_a_wiped_database_speaks_with_the_same_stanza_ids(house, reopen, ticks):
    events = (
        inbound("look", did=SHARED, kind=Kind.MMS, media=(PICTURE, OTHER_PICTURE)),
        inbound("no id", pid="", sent_at=ticks.now),
        inbound("hello?", did=NOBODYS, pid="3"),
    )
    await house.take(*events)
    spoken = await stanza_ids(house)
    wiped = await reopen(is_wiped=True)
    assert await stanza_ids(wiped) == []
    await wiped.take(*reversed(events))
    assert sorted(await stanza_ids(wiped)) == sorted(spoken)
    assert len(set(spoken)) == 8
