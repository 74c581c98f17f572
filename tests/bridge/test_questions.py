"""Of what may have been sent its writer decides: what he is asked, and what each of his answers does."""

from datetime import timedelta

import pytest

from smsbridge.bridge import answers, questions
from smsbridge.core.caps import Caps, Limits, Whose
from smsbridge.core.errors import Deferred, Indeterminate, Reason, Refused, Rejected
from smsbridge.core.gate import Policy
from smsbridge.core.questions import CHOICES, Answer, QuestionKind
from smsbridge.core.words.say import Say
from smsbridge.store import questions as kept
from smsbridge.store import retention
from tests.fakes.words import because, english

from .house import ANN, DOMAIN, FRIEND, JOHN, OWN, PEER, SHARED, THIRD, inbound, lines, outbound, rules, with_line

RESEND, ARRIVED, DISCARD = Answer.RESEND, Answer.ARRIVED, Answer.DISCARD
UNSURE = QuestionKind.UNSURE
DOUBT = Indeterminate("timeout")
FULL, CONTACT = f"{JOHN}/phone", f"{PEER}@{DOMAIN}"
TICK = ("receipt", FULL, CONTACT, "s1")
THREE = "x" * 321  # three parts over a line without MMS
NOTHING = "Nothing was changed."


@pytest.fixture
def house(house):
    house.rules = with_line(OWN, can_mms=False)
    return house


async def doubt(house, *texts, to=PEER, **about):
    """Texts of which nobody knows whether they left."""
    house.provider.script(to.partition("%")[0], *[DOUBT] * len(texts))
    for n, text in enumerate(texts, start=1):
        await house.outbound.accept(outbound(text, to=to, **{"sid": f"s{n}", **about}))
        await house.dispatch()
        await house.reconciler.look()


async def answer(house, number, word, owner=JOHN):
    return english(await house.store.run(answers.answer, house.desk, owner, number, word))


async def asked(house, owner=JOHN):
    return await house.store.run(kept.open_of, owner, 10)


async def told_since(house, count):
    return (await house.told())[count:]


class TestAsking:
    async def test_the_writer_is_asked_by_the_bridge_itself(self, house):
        await doubt(house, "hello")
        (question,) = await house.told("notice")
        body = (
            "[1] Your text of 18:00 UTC to +15559870002 may or may not have been sent: the carrier gave no clear"
            " answer. Answer here: resend 1, arrived 1 or discard 1."
        )
        assert question == ("notice", JOHN, "", body)

    async def test_nothing_of_the_text_is_in_it(self, house):
        await doubt(house, "a secret")
        assert "secret" not in str(await house.rows("SELECT * FROM question"))

    async def test_of_several_parts_it_says_which_and_what_becomes_of_the_rest(self, house):
        house.provider.script(PEER, "a", DOUBT)
        await house.outbound.accept(outbound(THREE))
        await house.dispatch()
        await house.reconciler.look()
        ((*_, body),) = await house.told("notice")
        assert body.startswith("[1] Part 2 of 3 of your text of 18:00 UTC to +15559870002 may or may not")
        assert "What comes after it waits for your word" in body

    async def test_each_owner_has_numbers_of_his_own(self, house):
        await doubt(house, "one", "two")
        await doubt(house, "three", to=f"{FRIEND}%{SHARED}", owner=ANN)
        assert [row.number for row in await asked(house)] == [1, 2]
        assert [row.number for row in await asked(house, ANN)] == [1]

    async def test_a_shared_lines_other_owner_is_not_asked(self, house):
        await doubt(house, "hello", to=f"{PEER}%{SHARED}", owner=ANN)
        assert await asked(house) == ()

    async def test_what_is_asked_already_is_not_asked_again(self, house):
        await doubt(house, "hello")
        (part,) = await house.rows("SELECT id FROM outbox")
        assert await house.store.run(questions.ask, house.desk, JOHN, UNSURE, part["id"], "Again?") == 1
        assert len(await house.told("notice")) == 1

    async def test_a_late_answer_of_the_carrier_closes_it(self, house):
        house.provider.script(PEER, "a")
        house.provider.shut(PEER)
        await house.outbound.accept(outbound("hello"))
        async with house.dispatching():
            await house.called(1)
            house.ticks.advance(timedelta(minutes=4))
            await house.reconciler.look()
            assert len(await asked(house)) == 1
            house.provider.open(PEER)
        assert await asked(house) == ()
        assert (await house.told("notice"))[-1][3] == english(Say.FOUND())
        assert await answer(house, 1, RESEND) == f"[1] is settled meanwhile. {NOTHING}"
        await house.dispatch()
        assert len(house.provider.calls) == 1

    async def test_a_number_is_never_given_twice(self, house):
        await doubt(house, "one", "two")
        for number in (1, 2):
            await answer(house, number, DISCARD)
        await house.hand_all()
        house.ticks.advance(timedelta(days=400))
        await house.janitor.forget()
        assert [row["number"] for row in await house.rows("SELECT number FROM question")] == [2]
        await doubt(house, "three")
        assert [row.number for row in await asked(house)] == [3]

    async def test_an_open_question_is_kept_as_long_as_its_text(self, house):
        await doubt(house, "one", "two")
        house.ticks.advance(timedelta(days=60))
        await house.janitor.forget()
        assert len(await asked(house)) == 2


class TestResend:
    async def test_it_is_sent_once_more_and_ticked(self, house):
        await doubt(house, "hello")
        assert await answer(house, 1, RESEND) == "[1] It is sent again."
        assert await house.states() == ["queued"]
        await house.dispatch()
        assert house.provider.texts == ["hello", "hello"]
        assert await told_since(house, 2) == [TICK]
        assert await asked(house) == ()

    async def test_twice_is_once(self, house):
        await doubt(house, "hello")
        await answer(house, 1, RESEND)
        await house.dispatch()
        assert await answer(house, 1, RESEND) == f"[1] is answered: resend. {NOTHING}"
        assert await answer(house, 1, DISCARD) == f"[1] is answered: resend. {NOTHING}"
        await house.dispatch()
        assert len(house.provider.calls) == 2
        assert await house.states() == ["sent"]

    async def test_what_comes_of_it_is_told_anew(self, house):
        await doubt(house, "hello")
        await answer(house, 1, RESEND)
        house.provider.script(PEER, DOUBT)
        await house.dispatch()
        await house.reconciler.look()
        assert [(kind, body[:3]) for kind, _, _, body in await told_since(house, 2)] == [
            ("error", "Thi"),
            ("notice", "[2]"),
        ]
        await answer(house, 2, RESEND)
        house.provider.script(PEER, Rejected(Reason.INVALID_DESTINATION, "no", "No such number."))
        await house.dispatch()
        assert ("error", FULL, CONTACT, "No such number.") in await told_since(house, 4)

    async def test_what_is_told_of_another_try_is_another_stanza(self, house):
        await doubt(house, "hello")
        house.ticks.advance(timedelta(hours=1))
        await answer(house, 1, RESEND)
        house.provider.script(PEER, Deferred(Reason.PROVIDER_DOWN, "down"), DOUBT)
        await house.dispatch()
        house.ticks.advance(timedelta(minutes=6))
        await house.janitor.tell_waiting()
        await house.dispatch()
        await house.reconciler.look()
        await answer(house, 2, RESEND)
        house.provider.script(PEER, Deferred(Reason.PROVIDER_DOWN, "down"))
        await house.dispatch()
        house.ticks.advance(timedelta(minutes=6))
        await house.janitor.tell_waiting()
        rows = await house.rows("SELECT kind, stanza_id FROM delivery WHERE sender <> ''")
        assert sorted(row["kind"] for row in rows) == ["error", "error", "notice", "notice"]
        assert len({row["stanza_id"] for row in rows}) == 4

    async def test_the_parts_after_it_follow(self, house):
        house.provider.script(PEER, "a", DOUBT)
        await house.outbound.accept(outbound(THREE))
        await house.dispatch()
        await house.reconciler.look()
        assert await house.states() == ["sent", "unsure", "cancelled"]
        await answer(house, 1, RESEND)
        await house.dispatch()
        assert await house.states() == ["sent"] * 3
        assert len(house.provider.calls) == 4
        assert await told_since(house, 2) == [TICK]

    async def test_it_has_a_whole_day_again(self, house):
        await doubt(house, "hello")
        house.ticks.advance(timedelta(days=3))
        await answer(house, 1, RESEND)
        await house.janitor.expire()
        assert await house.states() == ["queued"]

    async def test_a_line_that_was_taken_away_is_not_texted_from(self, house):
        await doubt(house, "hello")
        house.rules = rules(*(line for line in lines() if line.did != OWN))
        with pytest.raises(Refused, match="not_owner"):
            await answer(house, 1, RESEND)
        assert await house.states() == ["unsure"]
        assert len(await asked(house)) == 1

    async def test_stop_that_came_meanwhile_is_honoured(self, house):
        await doubt(house, "hello")
        await house.take(inbound("STOP"))
        with pytest.raises(Refused, match="opted_out"):
            await answer(house, 1, RESEND)
        assert await house.states() == ["unsure"]

    async def test_it_counts_as_a_text_of_the_day(self, house):
        caps = {Whose.OWNER: Caps(day=1)}
        house.rules = rules(policy=Policy(limits=Limits(caps=caps)))
        await doubt(house, "hello")
        for _ in range(2):
            with pytest.raises(Refused, match="over_cap"):
                await answer(house, 1, RESEND)
        house.ticks.advance(timedelta(days=1))
        assert await answer(house, 1, RESEND) == "[1] It is sent again."

    async def test_words_that_are_not_kept_any_more_are_not_sent(self, house):
        await doubt(house, "hello")
        house.ticks.advance(retention.Spans().troubled_bodies + timedelta(days=1))
        await house.janitor.forget()
        with pytest.raises(Refused, match="expired"):
            await answer(house, 1, RESEND)
        assert await answer(house, 1, DISCARD) == "[1] It is not sent again."

    async def test_the_rest_of_it_is_kept_as_long_as_the_question_may_be_answered(self, house):
        house.rules = with_line(OWN, can_mms=False)
        await doubt(house, THREE)
        house.ticks.advance(retention.Spans().bodies + timedelta(days=1))
        await house.janitor.forget()
        await answer(house, 1, RESEND)
        await house.dispatch()
        assert "".join(house.provider.texts[1:]) == THREE


class TestArrived:
    async def test_it_counts_as_sent_and_is_ticked(self, house):
        await doubt(house, "hello")
        assert await answer(house, 1, ARRIVED) == "[1] It counts as sent."
        assert await house.states() == ["sent"]
        assert await told_since(house, 2) == [TICK]
        await house.dispatch()
        assert len(house.provider.calls) == 1

    async def test_the_parts_after_it_follow(self, house):
        await doubt(house, THREE)
        assert await answer(house, 1, ARRIVED) == "[1] It counts as sent; the rest of it follows."
        await house.dispatch()
        assert await house.states() == ["sent"] * 3
        assert len(house.provider.calls) == 3
        assert await told_since(house, 2) == [TICK]

    async def test_without_the_words_of_the_rest_it_says_what_was_cancelled(self, house):
        await doubt(house, THREE)
        house.ticks.advance(retention.Spans().troubled_bodies + timedelta(days=1))
        await house.janitor.forget()
        assert await answer(house, 1, ARRIVED) == "[1] It counts as sent."
        assert (await house.told("error"))[1][3].startswith(f"Part 2 of 3: {because('cancelled')} 1 of 3 parts")


class TestDiscard:
    async def test_it_is_not_sent_and_its_writer_sees_that(self, house):
        await doubt(house, "hello")
        assert await answer(house, 1, DISCARD) == "[1] It is not sent again."
        assert await house.states() == ["cancelled"]
        assert await told_since(house, 2) == [("error", FULL, CONTACT, english(Say.YOU_DISCARDED()))]
        await house.dispatch()
        assert len(house.provider.calls) == 1

    async def test_what_came_after_it_stays_cancelled(self, house):
        await doubt(house, THREE)
        await answer(house, 1, DISCARD)
        assert await house.states() == ["cancelled"] * 3


class TestOthers:
    @pytest.mark.parametrize("owner", [ANN, "mallory@example.com"])
    async def test_a_question_of_somebody_else_is_as_if_there_were_none(self, house, owner):
        await doubt(house, "hello")
        assert await answer(house, 1, RESEND, owner) == "There is no question 1."
        assert await answer(house, 2, RESEND, owner) == "There is no question 2."
        assert await house.states() == ["unsure"]

    async def test_a_word_that_is_no_answer_to_it_changes_nothing(self, house):
        await doubt(house, "hello")
        assert await answer(house, 1, Answer.CONFIRM) == ("[1] can be answered with resend 1, arrived 1 or discard 1.")
        assert len(await asked(house)) == 1

    def test_every_answer_that_is_offered_to_a_doubt_does_something(self):
        assert {word for kind, word in answers.EFFECTS if kind is UNSURE} == set(CHOICES[UNSURE])


@pytest.mark.parametrize("word", [RESEND, ARRIVED, DISCARD])
async def test_a_kill_at_any_statement_leaves_all_of_an_answer_or_nothing(house, reopen, word):
    """Whoever repeats it after a kill finds it done, or does it now: once."""
    for n, peer in enumerate([PEER, FRIEND, THIRD] * 9, start=1):
        await doubt(house, f"text {n}", to=peer, sid=f"s{n}")
        house.store.break_at(n)
        try:
            await answer(house, n, word)
        except Exception:  # noqa: BLE001 - the store's
            (part,) = await house.rows("SELECT state FROM outbox ORDER BY id DESC LIMIT 1")
            assert part["state"] == "unsure"
            assert [row.number for row in await asked(house)] == [n]
            await answer(house, n, word)
        assert f"answered: {word}" in await answer(house, n, word)
        await house.dispatch()
    sent = [text for text in house.provider.texts if text.startswith("text")]
    assert len(sent) == 27 * (2 if word is RESEND else 1)
    assert set(await house.states()) == {"cancelled" if word is DISCARD else "sent"}
