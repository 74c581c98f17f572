"""Alice talks to the bridge itself, by a line of chat and by ad-hoc commands; to numbers she only ever writes texts."""

from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from smsbridge.bridge.commands import COMMANDS
from smsbridge.sim.client import Refused
from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.ledger import Direction
from smsbridge.sim.stage import DID, StageConfig

from .commanding import NODE, execute, run
from .cues import error_for, from_, receipt_for, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

ITEMS = "{http://jabber.org/protocol/disco#items}"
WORDS = [
    "help", "questions", "resend 1", "arrived 1", "discard 1", "confirm 1", "lockdown on", "lockdown off"
]  # fmt: skip


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID,), "bob": ("+15551230002",)},
        strangers=("mallory", "carol"),
        extra_yaml="admins: [carol@example.com]\n",
        account_yaml="    on_unknown: hold\n",
    )


@pytest_asyncio.fixture(loop_scope="module")
async def alice(login):
    return await login("alice")


@pytest.fixture
def number(stage, alice, peer):
    """`await number("hello")`: a text that may have been sent, and the number of the question about it."""

    async def asked(text):
        stage.carrier.config.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendSMS", http_status=500))
        await alice.send_text(stage.contact(peer), text, stanza_id=f"id of {text} to {peer}")
        await alice.next(error_for(f"id of {text} to {peer}"))
        question = await alice.next(from_(stage.server.component_jid))
        assert f"to {peer} may or may not have been sent" in question.body
        return question.body.partition("]")[0].removeprefix("[")

    yield asked
    stage.carrier.config.faults.clear()


def left_for(stage, peer):
    """The words that the carrier took for the peer."""
    return [row.message for row in stage.carrier.handset(peer) if row.direction is Direction.SENT]


async def say(stage, client, line):
    """The bridge's answer to a line of chat; what it told meanwhile of others (`… by alice@…`) is no answer."""
    await client.send_text(stage.server.component_jid, line, request_receipt=False)
    is_from_the_bridge = from_(stage.server.component_jid)
    return (await client.next(lambda stanza: is_from_the_bridge(stanza) and "locked by " not in stanza.body)).body


async def settled(alice, stage, peer, text):
    return await alice.next(receipt_for(f"id of {text} to {peer}"))


async def test_she_finds_the_commands_where_clients_look(stage, alice):
    domain = stage.server.component_jid
    assert NODE in (await alice.disco_info(domain)).features
    query = ET.Element(f"{ITEMS}query", {"node": NODE})
    answer = await alice.request("get", domain, query)
    assert [item.get("node") for item in answer.iter(f"{ITEMS}item")] == [command.name for command in COMMANDS]
    assert (await alice.disco_info(domain, "resend")).identities != ()


async def test_help_lists_what_can_be_said(stage, alice):
    typed = await say(stage, alice, "  HELP ")
    assert typed == await run(stage, alice, "help")
    assert "resend N" in typed


async def test_a_line_to_the_bridge_has_its_tick(stage, alice):
    stanza_id = await alice.send_text(stage.server.component_jid, "help")
    assert (await alice.next(receipt_for(stanza_id))).sender == stage.server.component_jid
    assert "resend N" in (await alice.next(from_(stage.server.component_jid))).body


async def test_what_is_no_command_is_answered_with_the_list_and_goes_nowhere(stage, alice):
    accepted = sample(stage, "outbound_accepted_total")
    assert "I do not know that word" in await say(stage, alice, "Is anybody there?")
    assert sample(stage, "outbound_accepted_total") == accepted


@pytest.mark.parametrize("way", ["chat", "ad-hoc"])
class TestQuestions:
    async def answer(self, stage, alice, way, word, number):
        if way == "chat":
            return await say(stage, alice, f"{word} {number}")
        return await run(stage, alice, word, number=number)

    async def test_sent_again_it_leaves_and_is_ticked(self, stage, alice, peer, number, way):
        asked = await number("again")
        assert await self.answer(stage, alice, way, "resend", asked) == f"[{asked}] It is sent again."
        await settled(alice, stage, peer, "again")
        assert left_for(stage, peer) == ["again"]
        assert "is answered: resend" in await say(stage, alice, f"resend {asked}")

    async def test_arrived_it_is_ticked_and_does_not_leave(self, stage, alice, peer, number, way):
        asked = await number("arrived")
        assert await self.answer(stage, alice, way, "arrived", asked) == f"[{asked}] It counts as sent."
        await settled(alice, stage, peer, "arrived")
        assert left_for(stage, peer) == []

    async def test_discarded_it_failed(self, stage, alice, peer, number, way):
        asked = await number("discarded")
        assert await self.answer(stage, alice, way, "discard", asked) == f"[{asked}] It is not sent again."
        failed = await alice.next(error_for(f"id of discarded to {peer}"))
        assert "You discarded this text" in failed.error.text
        assert left_for(stage, peer) == []

    async def test_open_ones_are_listed(self, stage, alice, number, way):
        asked = await number("listed")
        listed = await say(stage, alice, "questions") if way == "chat" else await run(stage, alice, "questions")
        assert f"[{asked}] Your text of " in listed
        await say(stage, alice, f"discard {asked}")
        assert await run(stage, alice, "questions") == "There is no open question."

    async def test_confirm_is_no_answer_to_a_doubt(self, stage, alice, number, way):
        asked = await number("doubtful")
        if way == "chat":
            assert "can be answered with resend" in await say(stage, alice, f"confirm {asked}")
        else:
            assert "no open question" in await run(stage, alice, "confirm")
        await say(stage, alice, f"discard {asked}")


@pytest.mark.parametrize("way", ["chat", "ad-hoc"])
@pytest.mark.parametrize("who", ["alice", "carol"])
async def test_a_lockdown_keeps_everything_in_until_it_is_over(stage, login, alice, telephone, way, who):
    peer, locker = telephone(), alice if who == "alice" else await login(who)

    async def switch(value):
        if way == "chat":
            return await say(stage, locker, f"lockdown {value}")
        return await run(stage, locker, "lockdown", switch=value)

    assert "Nothing leaves from now on" in await switch("on")
    try:
        text = await alice.send_text(stage.contact(peer), "locked in")
        waits = await alice.next(from_(stage.contact(peer)))
        assert waits.body.startswith("Your text has not left yet")
        await stage.carrier.text_in(peer, DID, "still delivered")
        await alice.next(lambda stanza: stanza.body == "still delivered")
        assert left_for(stage, peer) == []
    finally:
        told = await switch("off")
    assert "What waited goes out" in told
    await alice.next(receipt_for(text))
    assert left_for(stage, peer) == ["locked in"]


async def test_command_words_to_a_number_leave_as_texts_and_from_it_are_shown_as_they_are(stage, alice, peer, number):
    asked = await number("the question")
    texts = [word.replace("1", asked) for word in WORDS]
    for text in texts:
        await alice.next(receipt_for(await alice.send_text(stage.contact(peer), text)))
        await stage.carrier.text_in(peer, DID, text)
        assert (await alice.next(from_(stage.contact(peer)))).body == text
    assert left_for(stage, peer) == texts
    assert f"[{asked}]" in await say(stage, alice, "questions")
    await say(stage, alice, f"discard {asked}")


@pytest.mark.parametrize("name", [command.name for command in COMMANDS] + ["nothing"])
async def test_a_stranger_hears_the_same_of_all(stage, login, alice, number, name):
    asked, mallory = await number("not hers"), await login("mallory")
    told = set()
    for number_ in (asked, "999"):
        with pytest.raises(Refused) as refused:
            await execute(stage, mallory, name, {"number": number_, "switch": "on"}, action="execute")
        told.add((refused.value.error.condition, refused.value.error.text))
        text = await mallory.send_text(stage.server.component_jid, f"{name} {number_}")
        error = (await mallory.next(error_for(text))).error
        told.add((error.condition, error.text))
    assert len(told) == 1
    assert told.pop()[0] == "forbidden"
    assert "There is no question" in await say(stage, await login("bob"), f"discard {asked}")
    assert await say(stage, alice, f"discard {asked}") == f"[{asked}] It is not sent again."
