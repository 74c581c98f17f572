"""After a restore nothing leaves that may have left, until an admin has said so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from smsbridge.bridge import answers, elsewhere, restoring
from smsbridge.bridge.janitor import PART_LIFE
from smsbridge.bridge.telling import PATIENCE
from smsbridge.core.address import Peer
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason
from smsbridge.core.gate import Policy
from smsbridge.core.line import Directory
from smsbridge.core.message import Kind, ProviderMessageId, ProviderName, SentElsewhere
from smsbridge.core.questions import Answer
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import worded
from smsbridge.store import questions as kept

from .house import ADMIN, CARRIER, FRIEND, JOHN, OWN, PEER, THIRD, inbound, rules

LONDON = Peer("+442079460123")

DOWN = Deferred(Reason.PROVIDER_DOWN, "http_refused")
LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", "The carrier does not know us.", hold=Hold.ACCOUNT)


async def hold_back(house):
    return await house.store.run(restoring.hold_back, house.desk, [CARRIER])


async def release(house, *, is_sent):
    count = 0
    while done := await house.store.run(restoring.release, house.desk, is_sent=is_sent):
        count += done
    house.senders_bell.ring()
    return count


def sent(house):
    return [part.text for part in house.provider.calls]


@pytest.fixture
async def waiting(house):
    """Two queued for one peer, one that its carrier put off for another."""
    house.provider.script(FRIEND, DOWN)
    await house.accept("one", "two")
    await house.accept("put off", to=FRIEND)
    return house


class TestHoldingBack:
    async def test_what_waited_does_not_leave_nor_does_anything_new(self, waiting):
        found = await hold_back(waiting)
        assert (found.parts, found.doubtful, found.stanzas) == (3, 0, 0)
        await waiting.accept("new", to=THIRD)
        await waiting.dispatch()
        assert sent(waiting) == []
        assert await waiting.states() == ["held", "held", "held", "queued"]

    async def test_to_do_it_twice_is_to_do_it_once(self, waiting):
        await hold_back(waiting)
        once = await waiting.rows("SELECT id, state, hold FROM outbox ORDER BY id")
        assert (await hold_back(waiting)).parts == 0
        assert await waiting.rows("SELECT id, state, hold FROM outbox ORDER BY id") == once

    async def test_a_part_that_a_fault_held_is_held_back_too_and_no_probe_takes_it(self, house, ticks):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        await house.dispatch()
        assert await house.states() == ["held"]
        await hold_back(house)
        ticks.advance(timedelta(hours=1))
        await house.dispatch()
        assert sent(house) == ["one"]

    async def test_the_admins_are_told_what_is_held_and_what_to_do(self, waiting):
        await waiting.take(inbound("shown perhaps twice"))
        await hold_back(waiting)
        ((_, to, _, body),) = [told for told in await waiting.told("notice") if told[1] == ADMIN]
        assert to == ADMIN
        assert "3 parts" in body
        assert "1 stanza is handed" in body
        assert "release --send" in body

    async def test_its_writer_is_not_told_that_it_has_not_left_nor_does_it_expire(self, waiting, ticks):
        await hold_back(waiting)
        ticks.advance(PATIENCE + PART_LIFE + timedelta(days=1))
        await waiting.janitor.tell_waiting()
        await waiting.janitor.expire()
        assert [told for told in await waiting.told() if JOHN in told[1]] == []
        assert await waiting.states() == ["held", "held", "held"]

    async def test_nor_if_its_account_is_not_configured_any_more(self, waiting):
        await hold_back(waiting)
        renamed = tuple(replace(line, provider=ProviderName("renamed")) for line in waiting.rules.directory)
        waiting.rules = replace(waiting.rules, directory=Directory(renamed))
        await waiting.janitor.expire()
        assert await waiting.states() == ["held", "held", "held"]
        assert [told for told in await waiting.told() if JOHN in told[1]] == []

    async def test_a_send_of_unknown_fate_is_found_out_as_ever(self, house, reopen):
        house.provider.script(PEER, Indeterminate("timeout"))
        await house.accept("perhaps", "after it")
        await house.dispatch()
        assert await house.states() == ["unknown", "queued"]
        assert (await hold_back(house)).doubtful == 1
        await house.reconciler.look()
        await house.dispatch()
        assert await house.states() == ["unsure", "held"]
        assert sent(house) == ["perhaps"]


class TestWhatHadLeft:
    def listed(self, house, words, pid="77"):
        return SentElsewhere(
            provider=CARRIER, kind=Kind.SMS, did=OWN, peer=PEER, provider_id=ProviderMessageId(pid), text=words,
            sent_at=house.ticks.now,
        )  # fmt: skip

    async def test_what_the_carrier_lists_as_sent_is_found_and_never_sent_again(self, waiting):
        await hold_back(waiting)
        line = waiting.rules.directory.line_of(OWN)
        waiting.ticks.advance(timedelta(minutes=1))
        one = self.listed(waiting, "one")
        assert await waiting.store.run(elsewhere.take, waiting.desk, one, line) is elsewhere.Fate.FOUND
        assert await waiting.store.run(elsewhere.take, waiting.desk, one, line) is elsewhere.Fate.KNOWN
        assert await waiting.states() == ["sent", "held", "held"]
        assert [about for *_, about in await waiting.told("receipt")] == ["id of one"]
        assert await release(waiting, is_sent=True) == 2
        await waiting.dispatch()
        assert "one" not in sent(waiting)

    @pytest.mark.parametrize("is_since", [True, False])
    async def test_what_was_sent_before_the_backup_is_another_text_for_it_waited_then(self, waiting, is_since):
        made_at = waiting.ticks.now + timedelta(hours=5)
        waiting.ticks.advance(timedelta(hours=6))
        await waiting.store.run(restoring.hold_back, waiting.desk, [CARRIER], made_at)
        at = made_at + timedelta(minutes=1) if is_since else made_at - timedelta(hours=3)
        text = replace(self.listed(waiting, "one"), sent_at=at)
        fate = await waiting.store.run(elsewhere.take, waiting.desk, text, None)
        assert (fate is elsewhere.Fate.FOUND) is is_since
        assert (await waiting.states())[0] == ("sent" if is_since else "held")

    async def test_what_was_sent_before_it_was_written_is_another_text(self, waiting):
        await hold_back(waiting)
        earlier = replace(self.listed(waiting, "one"), sent_at=waiting.ticks.now - timedelta(days=1))
        assert await waiting.store.run(elsewhere.take, waiting.desk, earlier, None) is not elsewhere.Fate.FOUND
        assert await waiting.states() == ["held", "held", "held"]


class TestQuestions:
    @pytest.fixture
    async def doubtful(self, house):
        house.provider.script(PEER, Indeterminate("timeout"))
        await house.accept("hello")
        await house.dispatch()
        await house.reconciler.look()
        await hold_back(house)
        return house

    async def test_what_was_open_is_asked_again_and_says_that_nobody_knows_what_was_answered(self, doubtful):
        first, again = [body for _, to, _, body in await doubtful.told("notice") if to == JOHN]
        assert again.startswith(first.partition(" Answer here")[0])
        assert "What you may have answered since is not known here" in again
        assert again.endswith("Answer here: resend 1, arrived 1 or discard 1.")
        listed = await doubtful.store.run(kept.open_of, JOHN, 10)
        assert ["comes from a backup" in worded(question.words, Language.ENGLISH) for question in listed] == [True]

    async def test_to_restore_twice_says_it_once(self, doubtful):
        await hold_back(doubtful)
        assert len([1 for _, to, *_ in await doubtful.told("notice") if to == JOHN]) == 2

    async def test_a_number_that_was_given_since_is_not_given_again(self, doubtful):
        await release(doubtful, is_sent=True)
        doubtful.provider.script(FRIEND, Indeterminate("timeout"))
        await doubtful.accept("another", to=FRIEND)
        await doubtful.dispatch()
        await doubtful.reconciler.look()
        assert [question.number for question in await doubtful.store.run(kept.open_of, JOHN, 10)] == [1, 102]
        said = await doubtful.store.run(answers.answer, doubtful.desk, JOHN, 2, Answer.RESEND)
        assert "no question 2" in worded(said, Language.ENGLISH)

    async def test_it_can_be_answered_as_ever(self, doubtful):
        await doubtful.store.run(answers.answer, doubtful.desk, JOHN, 1, Answer.ARRIVED)
        assert await doubtful.states() == ["sent"]


class TestReleasing:
    async def test_what_is_sent_leaves_once_and_in_order(self, waiting, ticks):
        await hold_back(waiting)
        await waiting.accept("new", to=THIRD)
        ticks.advance(timedelta(days=2))
        assert await release(waiting, is_sent=True) == 3
        await waiting.janitor.expire()
        await waiting.dispatch()
        await waiting.dispatch()
        assert [text for text in sent(waiting) if text in {"one", "two"}] == ["one", "two"]
        assert len(await waiting.rows("SELECT 1 FROM hold WHERE hold = 'restore'")) == 0

    async def test_what_is_discarded_never_leaves_and_its_writer_hears_of_it(self, waiting):
        await hold_back(waiting)
        await waiting.accept("new", to=THIRD)
        assert await release(waiting, is_sent=False) == 3
        await waiting.dispatch()
        assert sent(waiting) == ["new"]
        errors = await waiting.told("error")
        assert len(errors) == 3
        assert all("An admin has discarded it" in body for *_, body in errors)

    async def test_of_a_text_that_stop_cancels_nobody_says_that_it_was_not_sent(self, house):
        await house.accept("look", media=[f"https://upload.example.com/{n}.jpg" for n in range(4)])
        await hold_back(house)
        await house.take(inbound("STOP", peer=PEER))
        assert await house.states() == ["cancelled", "cancelled"]
        ((*_, body),) = await house.told("error")
        assert "Whether it was sent since is not known here" in body
        assert "STOP" in body
        assert "0 of 2 parts were sent for certain" in body
        assert "not sent:" not in body
        assert "Nothing of it was sent" not in body

    async def test_nor_of_one_of_several_parts_that_an_admin_discards(self, house):
        await house.accept("look", media=[f"https://upload.example.com/{n}.jpg" for n in range(4)])
        await hold_back(house)
        await release(house, is_sent=False)
        ((*_, body),) = await house.told("error")
        assert "0 of 2 parts were sent for certain" in body

    @pytest.mark.parametrize("is_known", [False, True])
    async def test_what_waited_for_its_writers_word_does_so_again(self, house, is_known):
        house.rules = rules(policy=Policy(regions=frozenset({"US", "GB"}), usual=frozenset({"US"})))
        await house.accept("hello", to=LONDON)
        await hold_back(house)
        if is_known:
            await house.store.run(answers.answer, house.desk, JOHN, 1, Answer.CONFIRM)
        assert await release(house, is_sent=True) == 1
        await house.dispatch()
        assert sent(house) == (["hello"] if is_known else [])
        await house.store.run(answers.answer, house.desk, JOHN, 1, Answer.CONFIRM)
        await house.dispatch()
        assert sent(house) == ["hello"]

    async def test_with_nothing_held_it_lifts_the_holds_and_no_others(self, house):
        house.provider.script(PEER, LOGIN)
        await house.accept("one")
        await house.dispatch()
        assert await release(house, is_sent=True) == 0
        assert [row["hold"] for row in await house.rows("SELECT hold FROM hold")] == ["account"]
        assert await house.states() == ["held"]

    async def test_each_step_is_in_the_trail(self, waiting):
        await hold_back(waiting)
        await release(waiting, is_sent=True)
        steps = await waiting.rows(
            "SELECT state, code FROM history WHERE who = 'admin' AND subject = 'part' ORDER BY id"
        )
        assert [(row["state"], row["code"]) for row in steps] == [("held", "restored")] * 3 + [
            ("queued", "released")
        ] * 3
