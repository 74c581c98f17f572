"""STOP is delivered as it is, and kept: nothing more leaves for who wrote it, until START."""

import pytest

from smsbridge.bridge import answers, wishes
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused
from smsbridge.core.questions import Answer
from smsbridge.core.state import PartEvent
from smsbridge.store import outbox
from tests.fakes.words import english

from .house import ANN, FRIEND, JOHN, OWN, PEER, SHARED, inbound, outbound, with_line

LOGIN = Deferred(Reason.ACCOUNT_FAULT, "invalid_credentials", hold=Hold.ACCOUNT)
SENTENCE = (
    f"This text was not sent: {PEER} has written STOP, which asks for no more texts from this number. You can write"
    " again when START comes from there, or when you have told the bridge that it was only talk."
)


async def refused(house, **about):
    with pytest.raises(Refused) as caught:
        await house.outbound.accept(outbound("one more", sid="one more", **about))
    assert caught.value.reason is Reason.OPTED_OUT
    return english(caught.value.words)


async def notices(house):
    return [(to, body) for _, to, sender, body in await house.told("notice") if sender == ""]


async def test_it_is_delivered_literally_kept_and_told(house):
    await house.take(inbound("Stop"))
    (text,) = await house.told("text")
    assert text[3] == "Stop"
    ((to, body),) = await notices(house)
    assert to == JOHN
    assert body == (
        f"[1] {PEER} has written STOP, which asks for no more texts from {OWN}. What you write to it is refused until"
        " START comes from there. Was it only talk, and may you go on? Answer here: confirm 1 or discard 1."
    )
    assert await refused(house) == SENTENCE
    assert await house.states() == []


async def test_start_lifts_it(house):
    await house.take(inbound("STOP"), inbound("START", pid="2"))
    await house.accept("hello")
    assert (await notices(house))[-1] == (JOHN, f"{PEER} wants texts from {OWN} again.")


async def test_start_without_stop_is_only_a_text(house):
    await house.take(inbound("START"))
    assert await notices(house) == []
    await house.accept("hello")


async def test_a_repeat_of_it_after_start_does_not_bring_it_back(house):
    await house.take(inbound("STOP"))
    await house.take(inbound("START", pid="2"))
    await house.take(inbound("STOP"))
    await house.accept("hello")
    assert len(await notices(house)) == 2


async def test_it_is_told_once_however_often_it_is_written(house):
    await house.take(inbound("STOP"))
    await house.take(inbound("END", pid="2"))
    assert len(await notices(house)) == 1
    assert await refused(house) == SENTENCE


async def test_other_numbers_and_other_people_are_not_meant(house):
    await house.take(inbound("STOP"))
    await house.accept("over another line", to=f"{PEER}%{SHARED}")
    await house.accept("to a friend", to=FRIEND)


async def test_all_who_share_the_number_are_told_and_refused(house):
    await house.take(inbound("STOP", did=SHARED))
    assert [to for to, _ in await notices(house)] == [JOHN, ANN]
    await refused(house, owner=ANN)
    await refused(house, to=f"{PEER}%{SHARED}")


async def test_what_waits_is_cancelled_and_told(house):
    house.provider.script(FRIEND, LOGIN)
    await house.accept("hello", to=FRIEND)
    await house.dispatch()
    await house.accept("first", "second", to=PEER)
    await house.take(inbound("STOP"))
    await house.take(inbound("STOP", peer=FRIEND, pid="2"))
    assert await house.states() == ["cancelled"] * 3
    errors = [row["body"] for row in await house.rows("SELECT body FROM delivery WHERE kind = 'error' ORDER BY id")]
    assert errors == [SENTENCE, SENTENCE, SENTENCE.replace(PEER, FRIEND)]


async def test_of_very_many_that_wait_none_leaves_though_not_all_end_in_one_commit(house, monkeypatch):
    monkeypatch.setattr(wishes, "AT_ONCE", 2)
    await house.accept(*(f"text {n}" for n in range(5)), to=PEER)
    await house.take(inbound("STOP"))
    assert await house.states() == ["cancelled"] * 2 + ["queued"] * 3
    await house.dispatch()
    assert house.provider.calls == []
    assert await house.states() == ["cancelled"] * 2 + ["failed"] * 3
    errors = [row["body"] for row in await house.rows("SELECT body FROM delivery WHERE kind = 'error' ORDER BY id")]
    assert errors == [SENTENCE] * 5


async def test_a_try_that_is_on_its_way_when_it_comes_is_the_last(house, ticks):
    house.provider.script(PEER, Indeterminate("timeout"))
    await house.accept("hello")
    await house.dispatch()
    await house.take(inbound("STOP"))
    (part,) = await house.rows("SELECT id FROM outbox")

    def prove_absent():
        yield from outbox.move(house.ids, ticks.now, "test", part["id"], PartEvent.PROVE_ABSENT)

    await house.store.run(prove_absent)
    await house.dispatch()
    assert await house.states() == ["failed"]
    assert len(house.provider.calls) == 1
    (error,) = await house.told("error")
    assert error[3] == SENTENCE


async def test_a_line_may_be_deaf_to_it(house):
    house.rules = with_line(OWN, honours_stop=False)
    await house.take(inbound("STOP"))
    assert await notices(house) == []
    await house.accept("hello")


async def test_a_line_that_becomes_deaf_to_it_sends_again(house):
    await house.take(inbound("STOP"))
    house.rules = with_line(OWN, honours_stop=False)
    await house.accept("hello")


async def test_it_is_in_the_trail_and_outlives_a_kill(house, reopen):
    await house.take(inbound("STOP"))
    await house.kill()
    house = await reopen()
    await refused(house)
    (step,) = await house.rows("SELECT state FROM history WHERE subject = 'wish'")
    assert step["state"] == "stop"


class TestOnlyTalk:
    """A friend's Stop must not cut the line for ever."""

    async def says(self, house, word, number=1, owner=JOHN):
        return english(await house.store.run(answers.answer, house.desk, owner, number, word))

    async def test_an_owner_may_say_so_and_writes_on(self, house):
        await house.take(inbound("Stop"))
        assert await self.says(house, Answer.CONFIRM) == f"[1] You can write to {PEER} again."
        await house.accept("haha")
        await house.take(inbound("STOP", pid="2"))
        await refused(house)

    async def test_for_all_who_share_the_number_and_nobody_else_is_asked_any_more(self, house):
        await house.take(inbound("Stop", did=SHARED))
        await self.says(house, Answer.CONFIRM, owner=ANN)
        await house.accept("haha", to=f"{PEER}%{SHARED}")
        assert "settled meanwhile" in await self.says(house, Answer.DISCARD)

    async def test_who_has_lost_the_number_has_no_say_in_it(self, house):
        await house.take(inbound("STOP"))
        house.rules = with_line(OWN, owners=(ANN,))
        with pytest.raises(Refused) as caught:
            await self.says(house, Answer.CONFIRM)
        assert english(caught.value.words) == f"{OWN} is not your number any more."
        await refused(house, owner=ANN, to=f"{PEER}%{OWN}")

    async def test_who_says_that_it_was_meant_is_asked_again_when_he_writes(self, house):
        await house.take(inbound("STOP"))
        said = await self.says(house, Answer.DISCARD)
        assert said == f"[1] Nothing more is sent to {PEER} until START comes from there."
        assert await refused(house) == SENTENCE
        assert await refused(house) == SENTENCE
        assert [body[:3] for _, body in await notices(house)] == ["[1]", "[2]"]
        await self.says(house, Answer.CONFIRM, 2)
        await house.accept("hello")

    async def test_start_settles_the_question(self, house):
        await house.take(inbound("STOP"))
        await house.take(inbound("START", pid="2"))
        assert "settled meanwhile" in await self.says(house, Answer.CONFIRM)
