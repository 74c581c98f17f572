"""Stanzas to JIDs: in order, with bytes that never change, and only as far as they were proved to be."""

from datetime import timedelta

import pytest

from smsbridge.core.message import DeliveryId, DeliveryKind, InboxId, MessageId
from smsbridge.core.state import DeliveryState
from smsbridge.store import deliveries, history
from smsbridge.store.deliveries import Draft

DOMAIN = "sms.example.com"
DRAFT = Draft(
    domain=DOMAIN,
    kind=DeliveryKind.TEXT,
    to_jid="john@example.com",
    sender="+15559870002",
    stanza_id="stanza-1",
    body="hello",
)
NOBODY = DeliveryId("00000000-0000-7000-8000-000000000000")


@pytest.fixture
def add(house):
    async def adding(**changes: object) -> DeliveryId:
        return await house.do(deliveries.add, DRAFT._replace(**changes))

    return adding


@pytest.fixture
def handing(house, add):
    async def to_handing(**changes: object) -> DeliveryId:
        delivery_id = await add(**changes)
        await house.do(deliveries.fix, [(delivery_id, b"<message/>")])
        return delivery_id

    return to_handing


async def state(house, delivery_id: DeliveryId) -> DeliveryState:
    return DeliveryState((await house.rows("SELECT state FROM delivery WHERE id = $1", delivery_id))[0]["state"])


async def trail(house, delivery_id: DeliveryId) -> list[tuple[str, int]]:
    return [(step.state, step.attempt) for step in await house.run(history.of_subject, delivery_id)]


class TestWaiting:
    async def test_only_what_is_older_if_another_is_named(self, house, add):
        first, second = await add(), await add(stanza_id="stanza-2")
        await add(stanza_id="stanza-3")
        assert [row.id for row in await house.run(deliveries.pending, DOMAIN, 10, (), second)] == [first]

    async def test_a_delivery_comes_out_as_it_was_put_in(self, house, add):
        delivery_id = await add(
            kind=DeliveryKind.ERROR, about="a", reason="quota", stamp=house.now, label="Bank", media_url="https://x/1",
            message_id=MessageId("m"), inbox_id=InboxId("i"),
        )  # fmt: skip
        (found,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (found.id, found.kind, found.body, found.about) == (delivery_id, DeliveryKind.ERROR, "hello", "a")
        assert (found.reason, found.stamp, found.label, found.media_url) == ("quota", house.now, "Bank", "https://x/1")
        assert (found.xml, found.attempt, found.created_at) == (None, 0, house.now)
        assert await trail(house, delivery_id) == []  # the row itself tells of its birth

    async def test_they_come_in_the_order_in_which_they_were_written(self, house, add):
        written = []
        for minutes in (0, -5, 3, -60):
            house.clock.move(minutes=minutes)
            written.append(await add())
        assert [found.id for found in await house.run(deliveries.pending, DOMAIN, 10)] == written
        assert [found.id for found in await house.run(deliveries.pending, DOMAIN, 2)] == written[:2]

    async def test_each_domain_has_its_own(self, house, add):
        await add()
        assert await house.run(deliveries.pending, "other.example.com", 10) == ()

    async def test_without_a_stamp_there_is_none(self, house, add):
        await add()
        assert (await house.run(deliveries.pending, DOMAIN, 1))[0].stamp is None


class TestHanding:
    async def test_the_first_bytes_are_kept_for_good(self, house, add):
        delivery_id = await add()
        await house.do(deliveries.fix, [(delivery_id, "<message>é</message>".encode())])
        assert await house.do(deliveries.put_back, DOMAIN, ()) == 1
        await house.do(deliveries.fix, [(delivery_id, b"<message>other</message>")])
        await house.do(deliveries.put_back, DOMAIN, ())
        (found,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (found.xml, found.attempt) == ("<message>é</message>".encode(), 2)
        steps = [("waiting", 1), ("handing", 2), ("waiting", 2)]
        assert await trail(house, delivery_id) == steps

    async def test_what_is_handed_is_done(self, house, handing):
        first, second = await handing(), await handing(kind=DeliveryKind.RECEIPT)
        assert await house.do(deliveries.hand, [first, second]) == (DeliveryKind.TEXT, DeliveryKind.RECEIPT)
        assert await house.run(deliveries.pending, DOMAIN, 10) == ()
        assert await house.do(deliveries.hand, [first, second]) == ()
        assert await trail(house, first) == []  # an ordinary life is told by the row
        assert (await house.rows("SELECT handed_at FROM delivery"))[0]["handed_at"] is not None

    async def test_what_is_handed_at_the_second_attempt_has_a_trail(self, house, handing):
        delivery_id = await handing()
        await house.do(deliveries.put_back, DOMAIN, ())
        await house.do(deliveries.fix, [(delivery_id, b"<message/>")])
        await house.do(deliveries.hand, [delivery_id])
        assert await trail(house, delivery_id) == [("waiting", 1), ("handing", 2), ("handed", 2)]

    async def test_one_that_is_born_with_its_bytes_is_on_its_way(self, house):
        named = [DRAFT._replace(id=house.ids.new(), stanza_id=f"s{n}") for n in range(3)]
        await house.do(deliveries.add_all, named, [b"<one/>", b"<two/>"])
        rows = await house.rows("SELECT id, state, attempt, xml, body FROM delivery ORDER BY id")
        assert [row["id"] for row in rows] == [draft.id for draft in named]
        assert [(row["state"], row["attempt"], row["xml"]) for row in rows] == [
            ("handing", 1, "<one/>"),
            ("handing", 1, "<two/>"),
            ("waiting", 0, None),
        ]
        assert [row["body"] for row in rows] == ["", "", DRAFT.body]
        assert await house.run(deliveries.is_any_waiting, DOMAIN)
        assert not await house.run(deliveries.is_any_waiting, "other.example.com")

    async def test_only_what_was_on_its_way_can_be_handed(self, house, add, handing):
        waiting, quarantined, bounced = await add(), await handing(), await handing(stanza_id="s2")
        await house.do(deliveries.quarantine, quarantined, "poison")
        await house.do(deliveries.bounce, "s2", "john@example.com", "item-not-found")
        assert await house.do(deliveries.hand, [waiting, quarantined, bounced, NOBODY]) == ()
        assert [await state(house, one) for one in (waiting, quarantined, bounced)] == [
            "waiting",
            "quarantined",
            "bounced",
        ]

    async def test_what_ended_is_not_fixed_again(self, house, handing):
        delivery_id = await handing()
        await house.do(deliveries.hand, [delivery_id])
        await house.do(deliveries.fix, [(delivery_id, b"<other/>"), (NOBODY, b"<other/>")])
        (row,) = await house.rows("SELECT * FROM delivery")
        assert (row["state"], row["xml"], row["attempt"]) == ("handed", "<message/>", 1)

    async def test_what_cannot_be_handed_is_set_aside_and_kept(self, house, add, handing):
        waiting, on_its_way = await add(), await handing()
        assert await house.do(deliveries.quarantine, waiting, "cannot be rendered")
        assert await house.do(deliveries.quarantine, on_its_way, "closes the stream")
        assert not await house.do(deliveries.quarantine, on_its_way, "again")
        assert await house.run(deliveries.pending, DOMAIN, 10) == ()
        assert await house.count("delivery") == 2
        steps = await house.run(history.of_subject, on_its_way)
        assert (steps[-1].state, steps[-1].code) == ("quarantined", "closes the stream")

    async def test_what_was_handed_is_not_set_aside(self, house, handing):
        delivery_id = await handing()
        await house.do(deliveries.hand, [delivery_id])
        assert not await house.do(deliveries.quarantine, delivery_id, "late")


class TestBouncing:
    @pytest.mark.parametrize("to_jid", ["john@example.com", "john@example.com/phone", "john@example.com/a/b%_"])
    @pytest.mark.parametrize("was_handed", [True, False])
    async def test_its_recipient_returns_it(self, house, handing, to_jid, was_handed):
        delivery_id = await handing(to_jid=to_jid)
        if was_handed:
            await house.do(deliveries.hand, [delivery_id])
        kind = await house.do(deliveries.bounce, "stanza-1", "john@example.com", "service-unavailable")
        assert kind is DeliveryKind.TEXT
        assert await state(house, delivery_id) == "bounced"
        steps = await house.run(history.of_subject, delivery_id)
        assert (steps[-1].state, steps[-1].code) == ("bounced", "service-unavailable")
        assert await house.do(deliveries.bounce, "stanza-1", "john@example.com", "again") is None

    @pytest.mark.parametrize(
        ("to_jid", "bare"),
        [
            ("john@example.com", "eve@example.com"),
            ("john@example.com/phone", "example.com"),
            ("john@example.com/phone", "john@example.co"),
            ("john@example.com/phone", "%"),
            ("john@example.com/phone", "%@example.com"),
            ("john@example.com/phone", "j_hn@example.com"),
            ("j!hn@example.com/phone", "j!!hn@example.com"),
            ("john@example.com/phone", ""),
            ("john@example.com.evil.example/phone", "john@example.com"),
            ("%@example.com/x", "a%@example.com"),
        ],
    )
    async def test_nobody_else_does(self, house, handing, to_jid, bare):
        delivery_id = await handing(to_jid=to_jid)
        assert await house.do(deliveries.bounce, "stanza-1", bare, "gone") is None
        assert await state(house, delivery_id) == "handing"

    @pytest.mark.parametrize("bare", ["100%@example.com", "a_b@example.com", "wow!@example.com", "!%_!@example.com"])
    async def test_odd_names_are_taken_literally(self, house, handing, bare):
        await handing(to_jid=f"{bare}/phone")
        assert await house.do(deliveries.bounce, "stanza-1", bare, "gone") is DeliveryKind.TEXT

    async def test_only_the_recipient_of_this_stanza_counts(self, house, handing):
        johns, anns = await handing(), await handing(to_jid="ann@example.com", stanza_id="stanza-2")
        assert await house.do(deliveries.bounce, "stanza-2", "john@example.com", "gone") is None
        assert await house.do(deliveries.bounce, "stanza-2", "ann@example.com", "gone") is DeliveryKind.TEXT
        assert [await state(house, one) for one in (johns, anns)] == ["handing", "bounced"]

    async def test_what_did_not_leave_cannot_come_back(self, house, add):
        delivery_id = await add()
        assert await house.do(deliveries.bounce, "stanza-1", "john@example.com", "gone") is None
        assert await state(house, delivery_id) == "waiting"

    async def test_an_error_about_an_error_is_ignored(self, house, handing):
        await handing(kind=DeliveryKind.ERROR)
        assert await house.do(deliveries.bounce, "stanza-1", "john@example.com", "gone") is None


class TestTellingAgain:
    async def test_answers_that_were_handed_go_out_once_more_as_they_were(self, house, handing):
        message = MessageId("m1")
        receipt = await handing(kind=DeliveryKind.RECEIPT, message_id=message)
        error = await handing(kind=DeliveryKind.ERROR, message_id=message)
        notice = await handing(kind=DeliveryKind.NOTICE, message_id=message)
        other = await handing(kind=DeliveryKind.RECEIPT, message_id=MessageId("m2"))
        await house.do(deliveries.hand, [receipt, error, notice, other])
        await house.do(deliveries.tell_again, message, "john@example.com")
        found = await house.run(deliveries.pending, DOMAIN, 10)
        assert [(one.id, one.xml) for one in found] == [(receipt, b"<message/>"), (error, b"<message/>")]

    async def test_a_client_that_came_back_under_another_name_gets_the_answer_there(self, house, handing):
        receipt = await handing(kind=DeliveryKind.RECEIPT, message_id=MessageId("m1"))
        await house.do(deliveries.hand, [receipt])
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com/new")
        (again,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (again.id, again.to_jid, again.xml) == (receipt, "john@example.com/new", None)

    async def test_an_answer_that_still_waits_goes_once_and_to_where_the_client_is_now(self, house, add):
        receipt = await add(kind=DeliveryKind.RECEIPT, message_id=MessageId("m1"))
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com/new")
        (only,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (only.id, only.to_jid) == (receipt, "john@example.com/new")

    async def test_beside_an_answer_that_is_on_its_way_goes_another(self, house, handing):
        """It may have been written to where the client no longer is; or the client has it and asks again."""
        first = await handing(kind=DeliveryKind.RECEIPT, message_id=MessageId("m1"), about="s1")
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com/new")
        assert await state(house, first) is DeliveryState.HANDING
        (again,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (again.stanza_id, again.to_jid, again.about, again.xml) == (
            "stanza-1", "john@example.com/new", "s1", None,
        )  # fmt: skip

    async def test_beside_one_that_came_back_goes_another_though_its_fence_is_not_answered(self, house, handing):
        first = await handing(kind=DeliveryKind.RECEIPT, message_id=MessageId("m1"))
        await house.do(deliveries.bounce, "stanza-1", "john@example.com", "gone")
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com")
        (again,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert again.id != first
        await house.do(deliveries.hand, [first])
        assert await state(house, first) is DeliveryState.BOUNCED
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com")
        assert [row.id for row in await house.run(deliveries.pending, DOMAIN, 10)] == [again.id]

    async def test_repeats_do_not_multiply_the_answers(self, house, handing):
        first = await handing(kind=DeliveryKind.RECEIPT, message_id=MessageId("m1"))
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com")
        (again,) = await house.run(deliveries.pending, DOMAIN, 10)
        await house.do(deliveries.fix, [(again.id, b"<message/>")])
        await house.do(deliveries.hand, [first, again.id])
        await house.do(deliveries.tell_again, MessageId("m1"), "john@example.com")
        assert [row.id for row in await house.run(deliveries.pending, DOMAIN, 10)] == [again.id]


class TestNewestId:
    async def test_an_empty_store_has_none(self, house):
        assert await house.run(deliveries.newest_id) == ""

    @pytest.mark.parametrize("forgotten", [False, True])
    async def test_fresh_ids_sort_after_all_that_is_stored(self, house, add, forgotten):
        from smsbridge.store.database import sql

        await house.accept()
        delivery_id = await add()

        def forget():
            yield sql("DELETE FROM history")

        if forgotten:
            await house.run(forget)
        newest = await house.run(deliveries.newest_id)
        assert newest >= delivery_id
        assert newest > (await house.rows("SELECT max(id) AS id FROM outbox"))[0]["id"]


class TestProof:
    """What the server handled, until it would outlive the server."""

    @pytest.fixture
    def handed(self, house, handing):
        async def to_handed(**changes: object) -> DeliveryId:
            delivery_id = await handing(**changes)
            await house.do(deliveries.hand, [delivery_id])
            return delivery_id

        return to_handed

    async def test_a_server_that_died_gets_it_again_with_the_same_bytes(self, house, handed):
        delivery_id = await handed()
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4) == 1
        (found,) = await house.run(deliveries.pending, DOMAIN, 10)
        assert (found.id, found.xml, found.attempt) == (delivery_id, b"<message/>", 1)
        assert (await trail(house, delivery_id))[-1] == ("waiting", 1)

    async def test_what_was_handed_to_the_server_that_lives_now_is_not_doubted(self, house, handed):
        started = house.now
        house.clock.move(milliseconds=1)
        delivery_id = await handed()
        assert await house.do(deliveries.doubt, DOMAIN, started, 2000, 4) == 0
        assert await state(house, delivery_id) is DeliveryState.HANDED

    async def test_what_is_proved_is_not_doubted(self, house, handed):
        proved, unproved = await handed(), await handed(stanza_id="stanza-2")
        await house.run(deliveries.prove, house.now, [proved])
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4) == 1
        assert await state(house, proved) is DeliveryState.HANDED
        assert await state(house, unproved) is DeliveryState.WAITING

    async def test_what_was_handed_long_enough_ago_is_proved(self, house, handed):
        old = await handed()
        house.clock.move(seconds=1)
        young = await handed(stanza_id="stanza-2")
        await house.run(deliveries.prove_before, house.now, DOMAIN, house.now)
        await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4)
        assert await state(house, old) is DeliveryState.HANDED
        assert await state(house, young) is DeliveryState.WAITING

    async def test_another_domain_has_a_server_of_its_own(self, house, handed):
        delivery_id = await handed(domain="sms.example.net")
        await house.run(deliveries.prove_before, house.now, DOMAIN, house.clock.move(seconds=1))
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4) == 0
        assert await house.do(deliveries.doubt, "sms.example.net", house.now, 2000, 4) == 1
        assert await state(house, delivery_id) is DeliveryState.WAITING

    async def test_the_proof_is_for_one_handing_only(self, house, handed):
        delivery_id = await handed(kind=DeliveryKind.RECEIPT, message_id=MessageId("m"))
        await house.run(deliveries.prove, house.now, [delivery_id])
        await house.do(deliveries.tell_again, MessageId("m"), "john@example.com")
        await house.do(deliveries.fix, [(delivery_id, b"<message/>")])
        await house.do(deliveries.hand, [delivery_id])
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4) == 1

    async def test_what_was_handed_before_the_clock_was_set_back_is_doubted(self, house, handed):
        delivery_id = await handed()
        house.clock.move(hours=-1)
        assert await house.do(deliveries.doubt, DOMAIN, house.now - timedelta(minutes=1), 10, 4) == 1
        assert await state(house, delivery_id) is DeliveryState.WAITING

    async def test_no_more_is_doubted_at_once_than_is_asked_for(self, house, handed):
        made = [await handed(stanza_id=f"stanza-{n}") for n in range(5)]
        assert [await house.do(deliveries.doubt, DOMAIN, house.now, 3, 4) for _ in range(3)] == [3, 2, 0]
        assert [row.id for row in await house.run(deliveries.pending, DOMAIN, 10)] == made

    async def test_a_text_is_not_shown_for_ever_to_a_server_that_seems_to_die_for_ever(self, house, handed):
        delivery_id = await handed()
        for _ in range(4):
            assert await house.do(deliveries.doubt, DOMAIN, house.now, 10, 4) == 1
            await house.do(deliveries.fix, [(delivery_id, b"<message/>")])
            await house.do(deliveries.hand, [delivery_id])
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 10, 4) == 0
        assert await state(house, delivery_id) is DeliveryState.HANDED

    async def test_however_many_there_are(self, house):
        await house.do(deliveries.add_all, [DRAFT._replace(stanza_id=f"stanza-{n}") for n in range(2500)])
        waiting = [row.id for row in await house.run(deliveries.pending, DOMAIN, 2500)]
        for start in range(0, 2500, 50):
            some = waiting[start : start + 50]
            await house.do(deliveries.fix, [(row, b"<message/>") for row in some])
            await house.do(deliveries.hand, some)
        await house.run(deliveries.prove, house.now, waiting[:1200])
        assert await house.do(deliveries.doubt, DOMAIN, house.now, 2000, 4) == 1300
        assert len(await house.rows("SELECT id FROM history WHERE code = 'server_died'")) == 1300
