"""STOP and START are told from all that people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import InboundMessage, Kind, Media, ProviderName, Source
from smsbridge.core.wishes import Wish, wish_of

TEXT = InboundMessage(
    provider=ProviderName("voipms"),
    source=Source.WEBHOOK,
    kind=Kind.SMS,
    did=Did("+15551230001"),
    peer=Peer("+15559870002"),
    provider_id=None,
    text="",
)


def wish(words):
    return wish_of(TEXT._replace(text=words))


@pytest.mark.parametrize(
    "words",
    [
        "STOP", "stop", "Stop.", " STOP \n", "STOP!", "StopAll", "stop all", "UNSUBSCRIBE", "Cancel", "END", "quit",
        "ARRET", "arrêt",
    ],
)  # fmt: skip
def test_words_that_ask_for_no_more(words):
    assert wish(words) is Wish.STOP


@pytest.mark.parametrize("words", ["START", "start", "Unstop", "START."])
def test_words_that_ask_for_more(words):
    assert wish(words) is Wish.START


@pytest.mark.parametrize(
    "words",
    [
        "",
        ".",
        "stop it",
        "Stop, you're killing me",
        "the end",
        "don't stop",
        "STOP?",
        "S T O P",
        "yes",
        "no",
        "bus stop",
    ],
)
def test_what_people_write_otherwise_is_no_wish(words):
    assert wish(words) is None


@given(st.text(min_size=17))
def test_what_is_long_is_none(words):
    assert wish(words) is None


def test_neither_is_what_is_said_to_a_group_or_beside_a_picture():
    assert wish_of(TEXT._replace(text="STOP", others=(Peer("+15559870003"),))) is None
    assert wish_of(TEXT._replace(text="STOP", media=(Media(url="https://media.example.com/1.jpg"),))) is None
