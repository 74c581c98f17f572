"""Ids of carriers that no database takes as they are."""

import pytest

from smsbridge.core.message import InboundMessage, Kind, ProviderMessageId, Source
from smsbridge.store import inbox
from smsbridge.store.inbox import Verdict

from .conftest import DID, PEER, VOIPMS


def message(text: str, pid: str) -> InboundMessage:
    return InboundMessage(
        provider=VOIPMS,
        source=Source.WEBHOOK,
        kind=Kind.SMS,
        did=DID,
        peer=PEER,
        provider_id=ProviderMessageId(pid),
        text=text,
    )


@pytest.mark.parametrize("pid", ["a\0b", "a\ud800b"])
async def test_an_id_that_cannot_be_stored_as_it_is_is_known_when_it_comes_again(house, pid):
    for text, verdict in (("one", Verdict.FRESH), ("two", Verdict.CONFLICTING), ("one", Verdict.REPEATED)):
        (taken,) = await house.do(inbox.take_all, [message(text, pid)])
        assert taken.verdict is verdict


async def test_two_ids_that_are_one_in_the_store_are_one_in_a_batch(house):
    taken = await house.do(inbox.take_all, [message(pid, pid) for pid in ("a\0b", "a\ufffdb")])
    assert [one.verdict for one in taken] == [Verdict.FRESH, Verdict.CONFLICTING]
