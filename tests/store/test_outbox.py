"""Parts awaiting a carrier: one at a time, in order, each answer applied to its own attempt."""

import asyncio
from datetime import timedelta

import pytest

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold, Reason
from smsbridge.core.message import Kind, Media, PartId, ProviderMessageId, ProviderName
from smsbridge.core.state import PartEvent as V
from smsbridge.core.state import PartState as P
from smsbridge.store import claims, holds, outbox, overdue
from smsbridge.store.database import Conflict, sql

DID, OTHER_DID = Did("+15551230001"), Did("+15551230002")
PEER, OTHER_PEER = Peer("+15559870002"), Peer("+15559870003")
VOIPMS, PHONE = ProviderName("voipms"), ProviderName("phone")
ID = ProviderMessageId("9001")
PICTURE = Media(url="https://media.example.com/1.jpg", mime="image/jpeg", size=9)


async def trail(house, part_id) -> list[str]:
    rows = await house.rows("SELECT state FROM history WHERE subject_id = $1 ORDER BY id", part_id)
    return [row["state"] for row in rows]


class TestAccepting:
    async def test_a_text_is_kept_with_its_parts(self, house):
        message = await house.accept("one", "two", media=(PICTURE,))
        (part, *_) = await house.run(outbox.parts_of, message.id)
        assert await house.run(outbox.message_of, part.id) == message
        parts = await house.run(outbox.parts_of, message.id)
        assert [(part.n, part.state, part.tries, part.reason) for part in parts] == [
            (1, P.QUEUED, 0, ""),
            (2, P.QUEUED, 0, ""),
        ]
        assert await house.run(outbox.message_of, parts[1].id) == message
        assert await trail(house, message.id) == ["accepted"]
        assert await trail(house, parts[0].id) == ["queued"]
        part = await house.claim()
        assert (part.text, part.media, part.kind, part.n, part.of) == ("one", (PICTURE,), Kind.MMS, 1, 2)

    async def test_a_repeated_stanza_is_known_by_its_key(self, house):
        key = outbox.key_of("john@example.com", f"{PEER}@sms.example.com", "id-1", "hello", ())
        assert await house.run(outbox.known, key) is None
        message = await house.accept(key=key)
        assert await house.run(outbox.known, key) == message.id

    async def test_a_key_is_taken_once_or_the_text_is_not_taken(self, house):
        await house.accept(key="same")
        with pytest.raises(Conflict):
            await house.accept(key="same")
        assert await house.count("message") == await house.count("outbox") == 1

    def test_whatever_differs_makes_another_key(self):
        keys = {
            outbox.key_of("john@example.com", "a@sms.example.com", "id", "hello", ()),
            outbox.key_of("ann@example.com", "a@sms.example.com", "id", "hello", ()),
            outbox.key_of("john@example.com", "b@sms.example.com", "id", "hello", ()),
            outbox.key_of("john@example.com", "a@sms.example.com", "id2", "hello", ()),
            outbox.key_of("john@example.com", "a@sms.example.com", "id", "hello!", ()),
            outbox.key_of("john@example.com", "a@sms.example.com", "id", "hello", (PICTURE,)),
            outbox.key_of("john@example.com", "a@sms.example.com", "id", "\ud800", ()),
        }
        assert len(keys) == 7
        assert all(len(key) == 64 for key in keys)

    async def test_without_an_id_nothing_is_ever_a_repeat(self, house):
        assert outbox.key_of("john@example.com", "a@sms.example.com", "", "hello", ()) == ""
        await house.accept(key="")
        await house.accept(key="")
        assert await house.run(outbox.known, "") is None
        assert await house.count("outbox_key") == 0


class TestClaiming:
    async def test_there_is_nothing_to_claim_at_first(self, house):
        assert await house.claim() is None

    async def test_a_claim_is_committed_with_its_attempt_and_fingerprint(self, house):
        await house.accept("hello")
        part = await house.claim()
        (row,) = await house.rows("SELECT * FROM outbox")
        assert (row["state"], row["attempt"], row["tries"], row["claimed_by"]) == ("sending", 1, 1, "bridge/now")
        assert part.attempt == 1
        assert len(row["fingerprint"]) == 64
        assert row["lease_until"] - row["claimed_at"] == 180_000
        assert await trail(house, part.id) == ["queued", "sending"]

    async def test_a_conversation_has_one_part_in_flight_and_keeps_its_order(self, house):
        await house.accept("1", "2")
        await house.accept("3")
        for text in ("1", "2", "3"):
            part = await house.claim()
            assert part.text == text
            assert await house.claim() is None
            assert await house.move(part, V.ACCEPT, attempt=1) is P.SENT
        assert await house.claim() is None

    async def test_other_conversations_go_on(self, house):
        for did in (DID, OTHER_DID):
            for peer in (PEER, OTHER_PEER):
                await house.accept(peer=peer, did=did)
                await house.accept(peer=peer, did=did)
        claimed = [await house.claim() for _ in range(5)]
        assert {(part.did, part.peer) for part in claimed[:4]} == {
            (did, peer) for did in (DID, OTHER_DID) for peer in (PEER, OTHER_PEER)
        }
        assert claimed[4] is None

    async def test_each_provider_claims_its_own(self, house):
        await house.accept("hers", provider=PHONE)
        assert await house.claim() is None
        assert (await house.claim(provider=PHONE)).text == "hers"

    async def test_claims_at_once_never_take_the_same_part(self, house):
        for number in range(5):
            await house.accept(peer=Peer(f"+1555987010{number}"))
        parts = await asyncio.gather(*(house.claim() for _ in range(20)))
        taken = [part.id for part in parts if part]
        assert len(taken) == len(set(taken)) == 5

    async def test_a_deferred_part_keeps_its_place(self, house):
        await house.accept("1", "2")
        part = await house.claim()
        due_at = house.now + timedelta(seconds=30)
        assert await house.move(part, V.DEFER, attempt=1, due_at=due_at, reason=Reason.PROVIDER_DOWN) is P.QUEUED
        assert await house.claim() is None
        house.clock.move(seconds=30)
        again = await house.claim()
        assert (again.text, again.attempt) == ("1", 2)

    async def test_an_unknown_part_blocks_its_conversation_and_an_unsure_one_does_not(self, house):
        await house.accept("1")
        await house.accept("2")
        part = await house.claim()
        assert await house.move(part, V.LOSE_TRACK, attempt=1) is P.UNKNOWN
        assert await house.claim() is None
        assert await house.move(part, V.GIVE_UP) is P.UNSURE
        assert (await house.claim()).text == "2"

    async def test_a_part_sent_again_by_its_writers_word_waits_for_the_one_in_flight(self, house):
        await house.accept("1")
        await house.accept("2")
        first = await house.claim()
        await house.move(first, V.LOSE_TRACK)
        await house.move(first, V.GIVE_UP)
        second = await house.claim()
        assert await house.move(first, V.RESEND) is P.QUEUED
        assert await house.claim() is None
        await house.move(second, V.ACCEPT, attempt=1)
        assert (await house.claim()).id == first.id

    @pytest.mark.parametrize("state", ["sending", "unknown"])
    async def test_the_index_is_the_backstop_against_two_in_flight(self, house, state):
        def force(part_id, forced):
            yield sql("UPDATE outbox SET state = $2 WHERE id = $1", part_id, forced)

        await house.accept("1", "2")
        part = await house.claim()
        second = (await house.run(outbox.parts_of, part.message_id))[1]
        with pytest.raises(Conflict):
            await house.run(force, second.id, state)
        await house.run(force, second.id, "unsure")

    async def test_equal_texts_have_equal_fingerprints_and_others_do_not(self, house):
        for number, (text, media) in enumerate(
            [("hi", ()), ("hi\r\n", ()), ("hi", (PICTURE,)), ("ho", ()), ("", ()), ("", (PICTURE,))]
        ):
            await house.accept(text, media=media, peer=PEER)
            await house.move(await house.claim(), V.ACCEPT, provider_id=ProviderMessageId(str(number)))
        rows = await house.rows("SELECT fingerprint FROM outbox ORDER BY id")
        prints = [row["fingerprint"] for row in rows]
        assert prints[0] == prints[1]
        assert len(set(prints)) == 5


class TestMoving:
    @pytest.fixture
    async def part(self, house):
        await house.accept("hello")
        return await house.claim()

    async def state(self, house, part) -> P:
        return P((await house.rows("SELECT state FROM outbox WHERE id = $1", part.id))[0]["state"])

    async def test_what_became_of_it_is_kept(self, house, part):
        moved = await house.move(
            part, V.REJECT, attempt=1, reason=Reason.CARRIER_REFUSED, code="invalid_dst", words="No such number."
        )
        assert moved is P.FAILED
        (status,) = await house.run(outbox.parts_of, part.message_id)
        assert (status.reason, status.code, status.words) == ("carrier_refused", "invalid_dst", "No such number.")
        (row,) = await house.rows("SELECT * FROM history WHERE state = 'failed'")
        assert (row["who"], row["attempt"], row["reason"], row["code"]) == ("test", 1, "carrier_refused", "invalid_dst")

    async def test_nothing_moves_a_part_that_is_not_there(self, house):
        assert await house.move(PartId("00000000-0000-7000-8000-000000000000"), V.ACCEPT, attempt=1) is None
        assert await house.count("history") == 0

    async def test_an_answer_to_another_attempt_moves_nothing_and_is_kept_in_the_trail(self, house, part):
        await house.move(part, V.DEFER, attempt=1)
        again = await house.claim()
        assert await house.move(part, V.ACCEPT, attempt=1, provider_id=ID) is None
        assert await self.state(house, part) is P.SENDING
        (late,) = await house.rows("SELECT * FROM history WHERE state = 'late'")
        assert (late["subject_id"], late["attempt"], late["provider_id"], late["code"]) == (part.id, 1, ID, "accept")
        assert await house.move(again, V.ACCEPT, attempt=2) is P.SENT

    async def test_a_repeated_answer_moves_nothing(self, house, part):
        assert await house.move(part, V.ACCEPT, attempt=1, provider_id=ID) is P.SENT
        assert await house.move(part, V.ACCEPT, attempt=1, provider_id=ID) is None
        assert await house.move(part, V.REJECT, attempt=1) is None
        assert await self.state(house, part) is P.SENT

    async def test_what_has_no_meaning_and_names_no_attempt_leaves_no_trace(self, house, part):
        before = await house.count("history")
        assert await house.move(part, V.RELEASE) is None
        assert await house.count("history") == before

    @pytest.mark.parametrize(
        ("before", "event", "after"),
        [
            ([V.LOSE_TRACK], V.ACCEPT, P.SENT),
            ([V.LOSE_TRACK], V.REJECT, P.FAILED),
            ([V.LOSE_TRACK], V.DEFER, P.QUEUED),
            ([V.LOSE_TRACK, V.PROVE_ABSENT], V.ACCEPT, P.SENT),
            ([V.LOSE_TRACK, V.PROVE_ABSENT, V.HOLD], V.ACCEPT, P.SENT),
            ([V.LOSE_TRACK, V.GIVE_UP], V.ACCEPT, P.SENT),
            ([V.LOSE_TRACK, V.GIVE_UP], V.REJECT, P.FAILED),
        ],
    )
    async def test_a_late_answer_is_applied_as_evidence(self, house, part, before, event, after):
        for step in before:
            assert await house.move(part, step) is not None
        assert await house.move(part, event, attempt=1, provider_id=ID) is after
        assert await house.claim() is None or after is P.QUEUED

    async def test_a_try_that_does_not_count_is_taken_back(self, house, part):
        await house.move(part, V.DEFER, attempt=1, counts=False)
        assert (await house.run(outbox.parts_of, part.message_id))[0].tries == 0
        again = await house.claim()
        await house.move(again, V.DEFER, attempt=2)
        assert (await house.run(outbox.parts_of, part.message_id))[0].tries == 1

    async def test_a_carriers_id_finds_its_part(self, house, part):
        assert await house.run(outbox.part_with, VOIPMS, Kind.SMS, ID) is None
        await house.move(part, V.ACCEPT, attempt=1, provider_id=ID)
        assert await house.run(outbox.part_with, VOIPMS, Kind.SMS, ID) == part.id
        assert await house.run(outbox.part_with, VOIPMS, Kind.MMS, ID) is None
        assert await house.run(outbox.part_with, PHONE, Kind.SMS, ID) is None
        assert await house.move(part, V.CONFIRM) is P.DELIVERED
        assert await house.run(outbox.part_with, VOIPMS, Kind.SMS, ID) == part.id

    async def test_a_carrier_that_repeats_its_ids_hinders_nobody(self, house, part):
        await house.move(part, V.ACCEPT, attempt=1, provider_id=ID)
        await house.accept("again")
        second = await house.claim()
        assert await house.move(second, V.ACCEPT, attempt=1, provider_id=ID) is P.SENT
        assert await house.run(outbox.part_with, VOIPMS, Kind.SMS, ID) == part.id
        (step,) = await house.rows("SELECT * FROM history WHERE subject_id = $1 AND state = 'sent'", second.id)
        assert step["provider_id"] == ID

    async def test_what_the_sender_was_told_is_remembered(self, house, part):
        assert await house.run(outbox.set_told, part.message_id, "receipt")
        assert not await house.run(outbox.set_told, part.message_id, "receipt")
        assert await house.run(outbox.set_told, part.message_id, "error")
        assert (await house.run(outbox.message_of, part.id)).told == "error"


class TestLooking:
    @pytest.mark.parametrize("other", ["sms.example.com/before", "sms.example.net/1", "sms/1", "x"])
    async def test_whoever_else_has_claimed_it_is_dead_whatever_the_clock_says(self, house, other):
        await house.accept()
        house.holder = other
        part = await house.claim()
        house.clock.move(days=-1)
        assert [found.id for found in await house.run(overdue.abandoned, house.now, "sms.example.com/now")] == [part.id]

    async def test_a_claim_of_our_own_is_abandoned_when_its_lease_ran_out(self, house):
        await house.accept()
        house.holder = "sms.example.com/now"
        part = await house.claim()
        house.clock.move(minutes=3)
        assert await house.run(overdue.abandoned, house.now, "sms.example.com/now") == ()
        house.clock.move(milliseconds=1)
        (found,) = await house.run(overdue.abandoned, house.now, "sms.example.com/now")
        assert (found.id, found.attempt) == (part.id, 1)

    async def test_what_is_settled_is_not_abandoned(self, house):
        await house.accept()
        house.holder = "sms.example.com/before"
        await house.move(await house.claim(), V.LOSE_TRACK)
        assert await house.run(overdue.abandoned, house.now, "sms.example.com/now") == ()

    async def test_what_waits_too_long_is_expired_and_nothing_else(self, house):
        await house.accept("held")
        await house.move(await house.claim(), V.HOLD, hold=Hold.QUOTA)
        await house.accept("sending", peer=OTHER_PEER)
        assert (await house.claim()).text == "sending"
        await house.accept("queued")
        house.clock.move(hours=24)
        await house.accept("young")
        assert await house.run(overdue.expired, house.now - timedelta(hours=24), 9) == ()
        house.clock.move(milliseconds=1)
        found = await house.run(overdue.expired, house.now - timedelta(hours=24), 9)
        assert [part.text for part in found] == ["held", "queued"]
        assert len(await house.run(overdue.expired, house.now - timedelta(hours=24), 1)) == 1

    async def test_the_next_due_part_is_known(self, house):
        assert await house.run(claims.next_due, house.now, VOIPMS) is None
        await house.accept()
        assert await house.run(claims.next_due, house.now, VOIPMS) is None  # due already: a claim finds it
        later, latest = house.now + timedelta(seconds=30), house.now + timedelta(seconds=60)
        await house.move(await house.claim(), V.DEFER, due_at=latest)
        await house.accept(peer=OTHER_PEER)
        await house.move(await house.claim(), V.DEFER, due_at=later)
        assert await house.run(claims.next_due, house.now, VOIPMS) == later
        assert await house.run(claims.next_due, later, VOIPMS) == latest
        assert await house.run(claims.next_due, house.now, PHONE) is None

    async def test_a_part_on_hold_is_due_when_it_is_probed(self, house):
        await house.accept()
        await house.hold(Hold.QUOTA, probe_after=60)
        await house.hold(Hold.LINE, did=DID, probe_after=90)
        assert await house.run(claims.next_due, house.now, VOIPMS) == house.now + timedelta(seconds=90)
        await house.accept(did=OTHER_DID)
        assert await house.run(claims.next_due, house.now, VOIPMS) == house.now + timedelta(seconds=60)


class TestUnderHold:
    async def test_a_whole_account_waits_and_other_accounts_do_not(self, house):
        await house.accept("1")
        await house.accept("2", did=OTHER_DID)
        await house.accept("3", provider=PHONE, peer=OTHER_PEER)
        await house.hold(Hold.ACCOUNT)
        assert await house.claim() is None
        assert await house.claim(is_probe=True) is None  # not yet
        assert (await house.claim(provider=PHONE)).text == "3"

    async def test_one_line_waits_and_the_others_do_not(self, house):
        await house.accept("1")
        await house.accept("2", did=OTHER_DID)
        await house.hold(Hold.LINE, did=DID)
        assert (await house.claim()).text == "2"
        assert await house.claim() is None

    async def test_beside_a_line_on_hold_the_oldest_of_the_other_lines_goes_first(self, house):
        lines = [Did(f"+1555123000{n}") for n in (9, 7, 8)]
        for did in (DID, *lines):
            await house.accept(did, did=did)
            house.clock.move(seconds=1)
        await house.hold(Hold.LINE, did=DID)
        assert [(await house.claim()).text for _ in lines] == lines
        assert await house.claim() is None

    async def test_of_the_lines_on_hold_the_one_whose_time_has_come_is_probed(self, house):
        for did, probe_after in ((DID, 60), (OTHER_DID, 30)):
            await house.accept(did, did=did)
            await house.hold(Hold.LINE, did=did, probe_after=probe_after)
        house.clock.move(seconds=30)
        assert (await house.claim(is_probe=True)).text == OTHER_DID
        assert await house.claim(is_probe=True) is None

    async def test_one_probe_finds_out_whether_the_fault_is_gone(self, house):
        await house.accept("1")
        await house.accept("2", peer=OTHER_PEER)
        await house.hold(Hold.ACCOUNT, probe_after=60)
        house.clock.move(seconds=60)
        probe = await house.claim(is_probe=True)
        assert probe.text == "1"
        assert await house.claim(is_probe=True) is None
        assert await house.claim() is None
        assert await house.run(claims.next_due, house.now, VOIPMS) == house.now + house.lease
        # its claimant died: after the lease another part is tried
        await house.move(probe, V.LOSE_TRACK)
        house.clock.move(minutes=3)
        assert (await house.claim(is_probe=True)).text == "2"

    async def test_without_a_hold_nothing_is_probed(self, house):
        await house.accept()
        assert await house.claim(is_probe=True) is None

    async def test_a_held_part_is_probed_before_younger_ones(self, house):
        await house.accept("1", "2")
        part = await house.claim()
        assert await house.move(part, V.HOLD, attempt=1, hold=Hold.QUOTA, counts=False) is P.HELD
        await house.hold(Hold.QUOTA, probe_after=60)
        house.clock.move(seconds=60)
        again = await house.claim(is_probe=True)
        assert (again.id, again.attempt) == (part.id, 2)
        (row,) = await house.rows("SELECT * FROM outbox WHERE id = $1", part.id)
        assert (row["state"], row["hold"], row["tries"]) == ("sending", "", 1)

    async def test_a_line_is_not_probed_while_its_account_is_not_due(self, house):
        await house.accept()
        await house.hold(Hold.LINE, did=DID, probe_after=10)
        await house.hold(Hold.ACCOUNT, probe_after=100)
        house.clock.move(seconds=10)
        assert await house.claim(is_probe=True) is None
        house.clock.move(seconds=90)
        assert await house.claim(is_probe=True) is not None

    async def test_when_the_hold_is_lifted_everything_goes_on(self, house):
        await house.accept("1")
        part = await house.claim()
        await house.move(part, V.HOLD, hold=Hold.ACCOUNT)
        await house.hold(Hold.ACCOUNT)
        assert await house.claim() is None
        assert await house.do(holds.lift, VOIPMS, OTHER_DID) == (Hold.ACCOUNT,)
        assert (await house.claim()).id == part.id


class TestBesideAnotherNode:
    """A transaction does no I/O, so what another node does in its middle is played by hand."""

    async def play(self, house, transaction, spoilt: str) -> tuple[object, list[str]]:
        """Run it for real, but let the statement that begins with `spoilt` change nothing."""
        said = []

        def between():
            rows = None
            while True:
                try:
                    statement = transaction.send(rows)
                except StopIteration as end:
                    return end.value
                said.append(statement.text.partition(" ")[0])
                rows = [] if statement.text.startswith(spoilt) else (yield statement)

        return await house.run(between), said

    async def test_a_part_that_another_took_first_is_not_ours(self, house):
        await house.accept()
        claim = claims.claim(house.ids, house.now, VOIPMS, "b/1", house.lease)
        assert await self.play(house, claim, "UPDATE outbox") == (None, ["SELECT", "SELECT", "UPDATE"])

    async def test_a_part_that_another_moved_first_is_not_moved_again(self, house):
        await house.accept()
        part = await house.claim()
        move = outbox.move(house.ids, house.now, "test", part.id, V.ACCEPT, attempt=1)
        assert await self.play(house, move, "UPDATE outbox") == (None, ["SELECT", "UPDATE"])


class TestPatience:
    async def untold(self, house) -> list[str]:
        parts = await house.run(overdue.waiting_untold, house.now - timedelta(minutes=5), 10)
        return [part.text for part in parts]

    async def test_after_a_while_what_still_waits_is_found_by_the_part_it_waits_for(self, house):
        await house.accept("sent", peer=OTHER_PEER)
        await house.move(await house.claim(), V.ACCEPT)
        await house.accept("one", "two")
        await house.accept("told already", told="waiting", peer=OTHER_PEER)
        house.clock.move(minutes=5)
        assert await self.untold(house) == []
        house.clock.move(milliseconds=1)
        assert await self.untold(house) == ["one"]
        await house.move(await house.claim(), V.ACCEPT)
        assert await self.untold(house) == ["two"]

    async def test_what_is_under_way_waits_for_nothing(self, house):
        await house.accept("one", "two")
        await house.claim()
        house.clock.move(minutes=6)
        assert await self.untold(house) == []


class TestAClockThatIsSetBack:
    USUAL, THROTTLED = timedelta(minutes=20), timedelta(days=1)

    async def pull_in(self, house) -> int:
        return await house.run(overdue.pull_in, house.now, self.USUAL, self.THROTTLED)

    async def test_what_comes_from_the_future_is_due_and_waits_since_now(self, house):
        await house.accept("1", "2")
        house.clock.move(hours=-1)
        assert await house.claim() is None
        assert await self.pull_in(house) == 2
        assert await self.pull_in(house) == 0
        part = await house.claim()
        assert part.text == "1"
        await house.move(part, V.DEFER)
        house.clock.move(hours=25)
        found = await house.run(overdue.expired, house.now - timedelta(hours=24), 9)
        assert [part.text for part in found] == ["1", "2"]

    @pytest.mark.parametrize(
        ("wait", "reason", "is_pulled"),
        [
            (timedelta(minutes=20), Reason.PROVIDER_DOWN, False),
            (timedelta(minutes=21), Reason.PROVIDER_DOWN, True),
            (timedelta(hours=24), Reason.THROTTLED, False),
            (timedelta(hours=25), Reason.THROTTLED, True),
        ],
    )
    async def test_no_wait_is_longer_than_waits_are(self, house, wait, reason, is_pulled):
        await house.accept("1")
        await house.move(await house.claim(), V.DEFER, due_at=house.now + wait, reason=reason)
        assert await self.pull_in(house) == is_pulled
        assert (await house.claim() is not None) == is_pulled

    async def test_a_wait_that_a_carrier_asked_for_is_kept_by_what_comes_from_the_future(self, house):
        await house.accept("1")
        due_at = house.now + timedelta(hours=5)
        await house.move(await house.claim(), V.DEFER, due_at=due_at, reason=Reason.THROTTLED)
        house.clock.move(hours=-1)
        assert await self.pull_in(house) == 1
        assert await self.pull_in(house) == 0
        assert await house.run(claims.next_due, house.now, VOIPMS) == due_at

    async def test_a_probe_comes_no_later_than_any_and_an_operators_word_stays(self, house):
        await house.accept()
        await house.hold(Hold.QUOTA, probe_after=86_401)
        await house.hold(Hold.PAUSE, did=OTHER_DID)
        await self.pull_in(house)
        assert await house.claim(is_probe=True) is not None
        (row,) = await house.rows("SELECT * FROM hold WHERE did = $1", OTHER_DID)
        assert row["probe_at"] > to_ms(house.now + timedelta(days=9999))
