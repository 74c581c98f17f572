"""Alice is spoken to in French and Bob in English, over one bridge."""

import pytest

from smsbridge.sim.faults import Fault, Moment
from smsbridge.sim.stage import DID, SECOND_DID, StageConfig

from .commanding import execute, run
from .cues import error_for, from_

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
NO_BREAK = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(
        owners={"alice": (DID,), "bob": (SECOND_DID,)},
        extra_yaml="languages: {alice@example.com: fr, bob@example.com: en}\n",
        account_yaml="    on_unknown: hold\n",
    )


def text_of(stanza):
    """The words of an error, and the language that they say they are in."""
    text = stanza.element.find(f".//{STANZAS}text")
    return text.get(LANG), text.text


async def test_an_error_at_once_a_question_and_the_answers_are_in_french(stage, login, peer):
    alice, bridge = await login("alice"), stage.server.component_jid
    await alice.send_text(stage.contact(DID), "to myself", stanza_id="own")
    assert text_of(await alice.next(error_for("own"))) == (
        "fr", f"Ce numéro appartient à cette passerelle{NO_BREAK}: on ne peut pas lui écrire d’ici."
    )  # fmt: skip
    stage.carrier.config.faults.arm(Fault(when=Moment.BEFORE_ACCEPT, method="sendSMS", http_status=500))
    await alice.send_text(stage.contact(peer), "hello", stanza_id="hello")
    lang, words = text_of(await alice.next(error_for("hello")))  # rendered later, from its row
    assert (lang, words.partition(".")[0]) == ("fr", "Ce texto n’a peut-être pas été envoyé")
    question = (await alice.next(from_(bridge))).body
    assert f"à {peer} est peut-être parti, peut-être pas{NO_BREAK}: " in question
    number = question.partition("]")[0].removeprefix("[")
    assert question.endswith(f"Répondez ici{NO_BREAK}: renvoyer {number}, arrivé {number} ou abandonner {number}.")
    await alice.send_text(bridge, "questions", request_receipt=False)
    assert (await alice.next(from_(bridge))).body.startswith(f"[{number}] Votre texto de ")
    form = await execute(stage, alice, "arrived", action="execute")
    assert form.findtext(".//{jabber:x:data}title") == "arrivé"
    assert form.find(".//{jabber:x:data}option").get("label").startswith(f"[{number}] Votre texto de ")
    await alice.send_text(bridge, f"arrivé {number}", request_receipt=False)
    assert (await alice.next(from_(bridge))).body == f"[{number}] Il compte comme envoyé."
    assert await run(stage, alice, "questions") == "Il n’y a pas de question en suspens."


async def test_his_neighbour_is_spoken_to_in_english_all_the_same(stage, login):
    bob = await login("bob")
    await bob.send_text(stage.contact(SECOND_DID), "to myself", stanza_id="own")
    assert text_of(await bob.next(error_for("own"))) == (
        "en", "This number belongs to this gateway and cannot be texted from it."
    )  # fmt: skip
    assert await run(stage, bob, "questions") == "There is no open question."


async def test_the_gateway_has_a_name_in_her_language(stage, login):
    alice, bob = await login("alice"), await login("bob")
    domain = stage.server.component_jid
    names = [[one.name for one in (await client.disco_info(domain)).identities] for client in (alice, bob)]
    assert names == [["Passerelle SMS"], ["SMS gateway"]]
