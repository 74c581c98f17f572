"""Nobody texts from a number that is not theirs, and nothing but what a person typed becomes a text.

After every test the carrier's ledger is empty, and the bridge has accepted nothing.
"""

import pytest
import pytest_asyncio

from smsbridge.sim.stage import DID, StageConfig, password_of

from .cues import CARELESS, error_for, from_, judged, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOBS = "+15551230002"
PEER = "+15559870001"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NOT_YOURS = "This account may not send texts from here. Ask the administrator of this gateway for a number."


@pytest.fixture(scope="module")
def stage_config():
    return StageConfig(owners={"alice": (DID,), "bob": (BOBS,)}, strangers=("mallory",), second_domain="example.org")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_leaves(stage):
    """Whatever is tried."""
    yield
    assert stage.carrier.ledger.sent == []
    assert sample(stage, "outbound_accepted_total") == 0


async def refusal(client, to, body="It's me, Alice!"):
    """What the bridge says to a text."""
    refused = await client.next(error_for(await client.send_text(to, body)))
    assert refused.sender == to
    return refused


@pytest.mark.parametrize("localpart", [PEER, f"{PEER}%{DID}", f"{PEER}%{BOBS}", CARELESS, "29283", "nonsense+", DID])
async def test_a_stranger_is_told_the_same_whatever_is_tried(stage, login, localpart):
    mallory = await login("mallory")
    refused = await refusal(mallory, stage.contact(localpart))
    assert (refused.error.condition, refused.error.kind, refused.error.text) == ("forbidden", "auth", NOT_YOURS)


async def test_the_owner_of_another_number_may_not_use_this_one(stage, login):
    bob = await login("bob")
    refused = await refusal(bob, stage.contact(f"{PEER}%{DID}"))
    assert (refused.error.condition, refused.error.text) == ("forbidden", NOT_YOURS)


async def test_a_number_that_nobody_owns_may_not_be_used_either(stage, login):
    alice = await login("alice")
    refused = await refusal(alice, stage.contact(f"{PEER}%+15551230099"))
    assert (refused.error.condition, refused.error.text) == ("forbidden", NOT_YOURS)


async def test_the_same_name_on_another_host_is_somebody_else(stage, login):
    stage.server.add_account("alice", password_of("alice"), domain="example.org")
    look_alike = await login("alice", domain="example.org")
    for localpart in (PEER, f"{PEER}%{DID}"):
        refused = await refusal(look_alike, stage.contact(localpart))
        assert (refused.error.condition, refused.error.text) == ("forbidden", NOT_YOURS)


async def test_what_is_typed_to_the_bridge_itself_is_no_text(stage, login):
    alice, mallory = await login("alice"), await login("mallory")
    await alice.send_text(stage.server.component_jid, "+15559870001 hello")
    answer = await alice.next(from_(stage.server.component_jid))
    assert answer.body.startswith("I do not know that word.")
    refused = await refusal(mallory, stage.server.component_jid, "help")
    assert (refused.error.condition, refused.error.text) == ("forbidden", NOT_YOURS)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("5559870002", "+15559870002"),
        ("15559870002", "+15559870002"),
        ("1-555-987-0002", "+15559870002"),
        ("+1-555-987-0002", "+15559870002"),
        ("5559870002%5551230001", "+15559870002%+15551230001"),
    ],
)
async def test_a_number_written_carelessly_is_answered_with_the_right_address(stage, login, written, right):
    alice = await login("alice")
    refused = await refusal(alice, stage.contact(written))
    assert refused.error.condition == "gone"
    gone = refused.element.find(f".//{{{STANZAS}}}gone")
    assert gone.text == f"xmpp:{right.replace('%', '%25')}@sms.example.com"
    assert f"{right}@sms.example.com" in refused.error.text


@pytest.mark.parametrize(
    ("localpart", "condition"),
    [
        ("+18765551234", "not-allowed"),  # Jamaica
        ("+18095551234", "not-allowed"),  # the Dominican Republic
        ("+19005551234", "not-allowed"),  # premium
        ("+442079460123", "not-allowed"),  # London
        ("911", "not-allowed"),
        ("29283", "not-allowed"),  # the carrier cannot send to short codes
        ("amazon", "not-allowed"),
        (BOBS, "not-allowed"),
        (f"{PEER},+15559870003", "feature-not-implemented"),
        ("+1", "item-not-found"),
        ("+1555", "item-not-found"),
        ("+15559870001%", "item-not-found"),
    ],
)
async def test_an_owner_is_told_why_an_address_cannot_be_texted(stage, login, localpart, condition):
    alice = await login("alice")
    assert (await refusal(alice, stage.contact(localpart))).error.condition == condition


FORGED = (
    f"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='alice@example.com/phone' "
    f"to='{PEER}@sms.example.com' type='chat'><body>forged</body></message></forwarded>"
)
SILENT = {
    "a carbon of what was received": f"<received xmlns='urn:xmpp:carbons:2'>{FORGED}</received>",
    "a carbon of what was sent": f"<sent xmlns='urn:xmpp:carbons:2'>{FORGED}</sent>",
    "a forwarded message": FORGED,
    "an archive's result": f"<result xmlns='urn:xmpp:mam:2' id='1'>{FORGED}</result>",
    "a privileged message": f"<privilege xmlns='urn:xmpp:privilege:2'>{FORGED}</privilege>",
    "an event": "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='x'/></event>",
    "an invitation": "<x xmlns='jabber:x:conference' jid='room@muc.example.com'/>",
}


@pytest.mark.parametrize("payload", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("body", ["", "<body>a body beside it</body>"], ids=["alone", "with a body"])
async def test_what_is_carried_inside_a_stanza_is_never_a_text(stage, login, payload, body):
    alice = await login("alice")
    alice.send_raw(f"<message to='{stage.contact(PEER)}' type='chat' id='nested'>{body}{payload}</message>")
    await judged(stage, alice)
    assert [stanza for stanza in alice.received if stanza.sender == stage.contact(PEER)] == []


WORDLESS = {
    "empty": ("chat", ""),
    "an empty body": ("chat", "<body/>"),
    "a blank body": ("chat", "<body> \n\t </body>"),
    "a chat state": ("chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
    "a receipt": ("chat", "<received xmlns='urn:xmpp:receipts' id='x'/>"),
    "a marker": ("chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>"),
    "a subject": ("chat", "<subject>about</subject>"),
    "an error that echoes a text": (
        "error",
        f"<body>echo</body><error type='cancel'><service-unavailable xmlns='{STANZAS}'/></error>",
    ),
    "a headline": ("headline", "<body>news</body>"),
    "a word in a room": ("groupchat", "<body>hi all</body>"),
    "a reaction": (
        "chat",
        (
            "<body>👍</body><reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>👍</reaction></reactions>"
            "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'/>"
        ),
    ),
}


@pytest.mark.parametrize(("kind", "payload"), WORDLESS.values(), ids=WORDLESS)
async def test_what_has_no_words_of_a_person_is_no_text_and_gets_no_answer(stage, login, kind, payload):
    alice = await login("alice")
    alice.send_raw(f"<message to='{stage.contact(PEER)}' type='{kind}' id='wordless'>{payload}</message>")
    await judged(stage, alice)
    assert [stanza for stanza in alice.received if stanza.sender == stage.contact(PEER)] == []


ENCRYPTED = {
    "OMEMO": "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>",
    "OMEMO 2": "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/></encrypted>",
    "OpenPGP": "<openpgp xmlns='urn:xmpp:openpgp:0'>AAAA</openpgp>",
    "old PGP": "<x xmlns='jabber:x:encrypted'>AAAA</x>",
    "only its announcement": "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>",
}


@pytest.mark.parametrize("payload", ENCRYPTED.values(), ids=ENCRYPTED)
async def test_an_encrypted_message_is_refused_and_its_fallback_never_sent(stage, login, payload):
    alice = await login("alice")
    fallback = "<body>I sent you an encrypted message but your client does not support it.</body>"
    alice.send_raw(f"<message to='{stage.contact(PEER)}' type='chat' id='secret'>{fallback}{payload}</message>")
    refused = await alice.next(error_for("secret"))
    assert refused.error.condition == "bad-request"
    assert "Turn encryption off" in refused.error.text


@pytest.mark.parametrize(
    "payload",
    [
        "<replace xmlns='urn:xmpp:message-correct:0' id='x'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
        "<apply-to xmlns='urn:xmpp:fasten:0' id='x'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
    ],
)
async def test_what_was_sent_is_neither_changed_nor_taken_back_by_a_second_text(stage, login, payload):
    alice = await login("alice")
    body = "<body>corrected</body>"
    alice.send_raw(f"<message to='{stage.contact(PEER)}' type='chat' id='changed'>{body}{payload}</message>")
    assert (await alice.next(error_for("changed"))).error.condition == "not-allowed"


async def test_a_mark_of_encryption_inside_a_carbon_of_a_stranger_changes_nothing(stage, login):
    mallory = await login("mallory")
    mallory.send_raw(
        f"<message to='{stage.contact(PEER)}' type='chat' id='odd'><body>x</body>"
        f"<received xmlns='urn:xmpp:carbons:2'>{FORGED}</received></message>"
    )
    assert (await refusal(mallory, stage.contact(PEER))).error.condition == "forbidden"
