"""What can be said to the bridge itself: by whom, in which words, and that it is done once and told."""

from datetime import timedelta

import pytest

from smsbridge.bridge.commands import COMMANDS, UNKNOWN_BURST, Rank
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Reason, Refused, StoreUnavailable
from smsbridge.core.questions import Answer
from smsbridge.core.words.say import Say
from tests.fakes.words import english, french

from .house import ADMIN, ANN, DOMAIN, FRIEND, JOHN, PEER, SHARED, inbound, outbound

MALLORY = "mallory@example.com"
DOUBT = Indeterminate("timeout")
FULL, CONTACT = f"{JOHN}/phone", f"{PEER}@{DOMAIN}"
TICK = ("receipt", FULL, CONTACT, "s1")


async def doubt(house, text="hello"):
    house.provider.script(PEER, DOUBT)
    await house.outbound.accept(outbound(text))
    await house.dispatch()
    await house.reconciler.look()
    await house.hand_all()


async def say(house, line, jid=JOHN):
    """What the bridge answers to a line, all of it that this JID gets."""
    before = len(await house.told())
    await house.commands.typed(jid, line)
    return [
        body for kind, to, sender, body in (await house.told())[before:] if (kind, to, sender) == ("notice", jid, "")
    ]


async def do(house, name, jid=JOHN, **values):
    return await house.commands.run(jid, name, values)


class TestWords:
    @pytest.mark.parametrize("line", ["help", " HELP ", "Help!", "\n help", "help."])
    async def test_help_is_a_list_of_what_is_understood(self, house, line):
        (said,) = await say(house, line)
        assert said.splitlines()[0] == "These I understand:"
        usages = [english(command.usage) for command in COMMANDS]
        assert [row.partition(":")[0] for row in said.splitlines()[1:]] == usages

    @pytest.mark.parametrize("line", ["renvoyer 1", "Renvoyer 1.", "resend 1"])
    async def test_a_word_of_another_language_is_understood_by_everybody(self, house, line):
        await doubt(house)
        assert await say(house, line) == ["[1] It is sent again."]

    @pytest.mark.parametrize("line", ["arrivé 1", "ARRIVE\u0301 1", "arrive 1"])
    async def test_an_accent_may_be_missing(self, house, line):
        await doubt(house)
        assert await say(house, line) == ["[1] It counts as sent."]

    async def test_who_asks_in_french_is_answered_with_the_words_that_french_has(self, house):
        await house.commands.typed(JOHN, "aide", "fr-CA")
        said = (await house.told())[-1][3]
        assert said.splitlines()[0] == "Voici ce que je comprends\u00a0:"
        assert "renvoyer N\u00a0: renvoyer le texto de la question N" in said.splitlines()
        assert said.splitlines()[-1].startswith("nom NUMÉRO [NOM]\u00a0: ")

    def test_no_word_means_two_commands(self):
        words = [{command.name, english(command.word), french(command.word)} for command in COMMANDS]
        assert len(set().union(*words)) == sum(map(len, words))

    @pytest.mark.parametrize(
        "line", ["resend 1", "  Resend   1 ", "RESEND [1]", "resend #1.", "> [1] Your text\nresend 1"]
    )
    async def test_case_blanks_and_brackets_are_forgiven(self, house, line):
        await doubt(house)
        assert await say(house, line) == ["[1] It is sent again."]

    @pytest.mark.parametrize("line", ["what?", "resend1", "7", "https://example.com/", "> resend 1", ""])
    async def test_an_unknown_word_is_answered_with_the_list_and_sent_nowhere(self, house, line):
        await doubt(house)
        (said,) = await say(house, line)
        assert said.startswith("I do not know that word. These I understand:")
        await house.dispatch()
        assert house.provider.texts == ["hello"]
        assert await house.states() == ["unsure"]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("resend", "Write resend N."),
            ("resend it", "Write resend N."),
            ("resend 1 2", "Write resend N."),
            ("resend -1", "Write resend N."),
            ("resend 1e3", "Write resend N."),
            ("resend ７", "Write resend N."),
            ("resend 99999999999999999999", "Write resend N."),
            ("resend 99", "There is no question 99."),
            ("lockdown", "Write lockdown on|off."),
            ("lockdown maybe", "Write lockdown on|off."),
            ("help me", "Write help."),
        ],
    )
    async def test_half_a_command_does_nothing_and_says_what_to_write(self, house, line, said):
        await doubt(house)
        assert await say(house, line) == [said]
        assert await house.states() == ["unsure"]

    async def test_two_machines_do_not_talk_for_ever(self, house):
        answers = [await say(house, "I am a machine") for _ in range(UNKNOWN_BURST + 5)]
        assert [len(said) for said in answers] == [1] * UNKNOWN_BURST + [0] * 5
        assert await say(house, "questions") == ["There is no open question."]

    async def test_questions_are_listed(self, house):
        assert await say(house, "questions") == ["There is no open question."]
        await doubt(house, "one")
        (said,) = await say(house, "questions")
        assert said.startswith("[1] Your text of 18:00 UTC to +15559870002 may or may not")
        assert said.endswith("(resend / arrived / discard)")


class TestAnswers:
    @pytest.mark.parametrize(
        ("word", "states"), [("resend", ["queued"]), ("arrived", ["sent"]), ("discard", ["cancelled"])]
    )
    async def test_a_question_is_answered_by_a_line(self, house, word, states):
        await doubt(house)
        assert (await say(house, f"{word} 1"))[0].startswith("[1] It ")
        assert await house.states() == states

    async def test_a_form_offers_the_open_questions_that_it_answers(self, house):
        await doubt(house)
        (field,) = await house.commands.form(JOHN, "resend")
        assert [option.value for option in field.options] == ["1"]
        assert english(field.options[0].label).startswith("[1] Your text of 18:00 UTC to +15559870002")
        (field,) = await house.commands.form(JOHN, "confirm")
        assert field.options == ()
        said = await do(house, "resend", number="1")
        assert (english(said.words), said.is_done) == ("[1] It is sent again.", True)
        (field,) = await house.commands.form(JOHN, "resend")
        assert field.options == ()

    async def test_what_the_gate_refuses_is_said_and_changes_nothing(self, house):
        await doubt(house)
        await house.take(inbound("STOP"))
        (said,) = await say(house, "resend 1")
        assert said.startswith(f"This text was not sent: {PEER} has written STOP")
        refused = await do(house, "resend", number="1")
        assert (english(refused.words), refused.is_done) == (said, False)
        assert await house.states() == ["unsure"]

    async def test_senders_and_stream_are_woken(self, house):
        await doubt(house)
        house.senders_bell._bell._event.clear()
        house.stream_bell._event.clear()
        await do(house, "resend", number="1")
        assert house.senders_bell._bell._event.is_set()
        assert house.stream_bell._event.is_set()

    async def test_a_kill_after_the_commit_loses_neither_the_effect_nor_the_answer(self, house, reopen):
        await doubt(house)
        house.store.lose_answers(1)
        with pytest.raises(StoreUnavailable):
            await house.commands.typed(JOHN, "resend 1")
        await house.kill()
        heir = await reopen()
        await heir.dispatch()
        assert heir.provider.texts == ["hello"]
        assert [body for *_, body in (await heir.told())[2:]] == ["[1] It is sent again.", "s1"]
        assert await say(heir, "resend 1") == ["[1] is answered: resend. Nothing was changed."]

    async def test_a_kill_before_the_commit_leaves_the_question_open(self, house, reopen):
        await doubt(house)
        count = len(await house.told())
        for statement in range(1, 12):
            house.store.break_at(statement)
            with pytest.raises(StoreUnavailable):
                await house.commands.typed(JOHN, "resend 1")
            assert await house.states() == ["unsure"]
            assert len(await house.told()) == count
        await house.kill()
        heir = await reopen()
        assert await say(heir, "resend 1") == ["[1] It is sent again."]


class TestWho:
    @pytest.mark.parametrize("line", ["help", "resend 1", "resend 2", "lockdown on", "what?"])
    async def test_a_stranger_hears_the_same_of_everything(self, house, line):
        await doubt(house)
        before = await house.told()
        with pytest.raises(Refused, match="not_owner"):
            await house.commands.typed(MALLORY, line)
        for name in (line.split()[0], "nothing"):
            with pytest.raises(Refused, match="not_owner"):
                await house.commands.form(MALLORY, name)
            with pytest.raises(Refused, match="not_owner"):
                await house.commands.run(MALLORY, name, {"number": "1", "switch": "on"})
        assert house.commands.offered(MALLORY) == ()
        assert await house.told() == before
        assert await house.states() == ["unsure"]

    @pytest.mark.parametrize("other", [ANN, ADMIN])
    async def test_nobody_answers_for_another(self, house, other):
        await doubt(house)
        for word in Answer:
            assert await say(house, f"{word} 1", other) == ["There is no question 1."]
        assert await house.states() == ["unsure"]

    async def test_an_admin_needs_no_number_of_his_own(self, house):
        assert await say(house, "questions", ADMIN) == ["There is no open question."]
        assert house.commands.offered(ADMIN) == tuple(each for each in COMMANDS if Rank.ADMIN in each.ranks)

    async def test_a_command_that_is_not_there_is_not_found(self, house):
        with pytest.raises(Refused, match="bad_address"):
            await house.commands.form(JOHN, "nothing")

    def test_every_command_is_somebodys(self):
        assert all(command.ranks and command.ranks <= set(Rank) for command in COMMANDS)
        assert len({command.name for command in COMMANDS}) == len(COMMANDS)


@pytest.mark.parametrize(
    "line", ["help", "questions", "resend 1", "arrived 1", "discard 1", "confirm 1", "lockdown on"]
)
class TestNumbers:
    async def test_what_is_typed_to_a_number_leaves_as_a_text(self, house, line):
        await doubt(house)
        await house.outbound.accept(outbound(line, sid="s2"))
        await house.dispatch()
        assert house.provider.texts == ["hello", line]
        assert await house.states() == ["unsure", "sent"]

    async def test_what_comes_from_a_phone_is_delivered_to_the_letter(self, house, line):
        await doubt(house)
        await house.take(inbound(line))
        assert (await house.told("text"))[0][3] == line
        assert await house.states() == ["unsure"]


class TestLockdown:
    async def test_nothing_of_an_owners_numbers_leaves(self, house):
        (said,) = await say(house, "lockdown on")
        assert said.startswith("+15551230001, +15551230002, +15551230003: locked. Nothing leaves from now on")
        await house.accept("one")
        await house.accept("two", to=f"{FRIEND}%{SHARED}", owner=ANN)
        await house.dispatch()
        assert house.provider.calls == []
        assert await house.states() == ["queued", "queued"]

    async def test_the_writers_are_told_at_once(self, house):
        await say(house, "lockdown on")
        await house.accept("one")
        (told,) = (await house.told())[-1:]
        assert told[:3] == ("notice", JOHN, CONTACT)
        assert told[3].startswith(f"Your text has not left yet: {english(Say.LOCKED_BY_OWNER())}")

    async def test_off_lets_go_what_waited_in_order(self, house):
        await say(house, "lockdown on")
        await house.accept("one", "two")
        await house.dispatch()
        assert (await say(house, "lockdown off"))[0].endswith("unlocked. What waited goes out.")
        await house.dispatch()
        assert house.provider.texts == ["one", "two"]
        assert len(await house.told("receipt")) == 2

    async def test_it_survives_a_restart(self, house, reopen):
        await say(house, "lockdown on", ADMIN)
        await house.accept("one")
        await house.kill()
        heir = await reopen()
        await heir.dispatch()
        assert heir.provider.calls == []
        await say(heir, "lockdown off", ADMIN)
        await heir.dispatch()
        assert heir.provider.texts == ["one"]

    async def test_what_comes_in_is_delivered(self, house):
        await say(house, "lockdown on", ADMIN)
        await house.take(inbound("hello"))
        assert (await house.told("text"))[0][3] == "hello"

    async def test_an_admin_locks_everybody_and_alone_unlocks_that(self, house):
        assert await say(house, "lockdown on", ADMIN) == [
            "All numbers: locked. Nothing leaves from now on; what is written waits. What comes in is delivered."
        ]
        assert (await say(house, "lockdown off", JOHN))[0].endswith(
            "unlocked already. Nothing leaves yet: an administrator has locked all numbers."
        )
        await house.accept("one")
        assert english(Say.LOCKED_BY_ADMIN()) in (await house.told())[-1][3]
        await house.dispatch()
        assert house.provider.calls == []

    async def test_an_admin_unlocks_what_owners_locked(self, house):
        await say(house, "lockdown on", ANN)
        await house.accept("one", to=f"{PEER}%{SHARED}")
        await say(house, "lockdown off", ADMIN)
        await house.dispatch()
        assert house.provider.texts == ["one"]

    async def test_an_owner_locks_no_number_that_is_not_his(self, house):
        await say(house, "lockdown on", ANN)
        await house.accept("one")
        await house.dispatch()
        assert house.provider.texts == ["one"]

    async def test_those_whom_it_concerns_are_told_once(self, house):
        for _ in range(2):
            await say(house, "lockdown on", ANN)
        about = [(to, body) for kind, to, _, body in await house.told() if to != ANN]
        assert about == [
            (ADMIN, f"{SHARED}: locked by {ANN}. {about[0][1].partition('. ')[2]}"),
            (JOHN, about[0][1]),
        ]

    async def test_twice_is_once(self, house):
        await say(house, "lockdown on", ANN)
        assert (await say(house, "lockdown on", ANN))[0].startswith(f"{SHARED}: locked already.")
        await say(house, "lockdown off", ANN)
        assert (await say(house, "lockdown off", ANN))[0].startswith(f"{SHARED}: unlocked already.")

    async def test_a_fault_of_the_account_is_kept_beside_it(self, house):
        house.provider.script(PEER, Deferred(Reason.FUNDS, "no_funds", hold=Hold.ACCOUNT))
        await house.accept("one")
        async with house.dispatching():
            await house.quiet()
            await say(house, "lockdown on", ADMIN)
            await house.later(minutes=30)
            assert len(house.provider.calls) == 1
            assert await house.states() == ["held"]
            await say(house, "lockdown off", ADMIN)
            await house.later(seconds=1)
            assert await house.states() == ["sent"]
        assert await house.rows("SELECT * FROM hold") == []

    async def test_what_is_in_flight_is_finished(self, house):
        house.provider.shut(PEER)
        await house.accept("one")
        async with house.dispatching():
            await house.called(1)
            await say(house, "lockdown on", ADMIN)
            house.provider.open(PEER)
        assert await house.states() == ["sent"]
        assert len(await house.rows("SELECT * FROM hold")) == 1

    async def test_what_waits_behind_it_is_no_sign_of_a_bridge_that_hangs(self, house):
        await say(house, "lockdown on", ADMIN)
        await house.accept("one")
        assert (await house.progress.backlog()).oldest_part is None

    async def test_after_a_day_it_is_given_back_with_the_reason(self, house):
        await say(house, "lockdown on", ADMIN)
        await house.accept("one")
        house.ticks.advance(timedelta(hours=25))
        await house.janitor.expire()
        assert english(Say.LOCKED_BY_ADMIN()) in (await house.told("error"))[0][3]

    async def test_a_text_sent_again_waits_as_well(self, house):
        await doubt(house)
        await say(house, "lockdown on")
        await say(house, "resend 1")
        await house.dispatch()
        assert house.provider.texts == ["hello"]
        await say(house, "lockdown off")
        await house.dispatch()
        assert house.provider.texts == ["hello", "hello"]
        assert await house.told("receipt") == [TICK]
