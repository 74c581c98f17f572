"""The corpus of spoofs through the handlers: what reaches the bridge is its own writer's, and nothing else does."""

import pytest

from tests.fakes.spoofs import SPOOFS, End, Spoof

from .test_handlers import FULL, NUMBER, Fed, condition_of, fed

__all__ = ["fed"]  # a fixture


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda spoof: spoof.name)
async def test_a_stanza_has_the_authority_of_its_outer_sender_and_no_other(fed: Fed, spoof: Spoof) -> None:
    fed.stream.data_received(spoof.stanza(to=NUMBER, stanza_id="m1", sender=FULL).encode())
    await fed.drain()
    texts = [message.text or message.media[0].url for message in fed.bridge.accepted]
    assert texts == list(spoof.leaves)
    assert {(message.owner, message.sender, message.addressed) for message in fed.bridge.accepted} <= {
        ("ann@example.com", FULL, NUMBER)
    }
    assert [condition_of(xml) for xml in fed.sent] == ([] if spoof.end is End.IGNORED else [spoof.end])
    assert all(b"stolen" not in xml and b"own words" not in xml for xml in fed.sent)
    assert fed.bridge.ran == []


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda spoof: spoof.name)
async def test_none_of_them_is_a_command(fed: Fed, spoof: Spoof) -> None:
    """Words to the bridge itself are commands: whoever else's words are inside must not run one."""
    fed.stream.data_received(spoof.stanza(to="sms.example.com", stanza_id="m1", sender=FULL).encode())
    await fed.drain()
    assert {(jid, line) for jid, line, _ in fed.bridge.ran} <= {
        ("ann@example.com", words) for words in ("own words", "")
    }
    assert fed.bridge.accepted == []
