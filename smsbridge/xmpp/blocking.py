"""Has an owner blocked a number at his server (XEP-0191)? A server does not say so: it answers as if nobody were there.

    a text came back (service-unavailable) ─▶ ping from the number, and from the gateway, to the account and its clients
                                              one of them answers the gateway and not the number ─▶ blocked

Measured: Prosody refuses whatever comes from a blocked number, ejabberd what is for a client that is there: on ejabberd
nothing shows while the owner is away. What was found out before counts then, until he lets the number see him again.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from smsbridge.xmpp import jids
from smsbridge.xmpp.asking import Asking, condition_of
from smsbridge.xmpp.clients import PING
from smsbridge.xmpp.errors import Envelope

REFUSED: Final = "service-unavailable"  # XEP-0191, 7
SECONDS: Final = 3.0
MOST_CLIENTS: Final = 3
MOST_REMEMBERED: Final = 10_000


class Blocking:
    """What was found out in this life."""

    def __init__(self, asking: Asking, clients_of: Callable[[str], Iterable[str]]) -> None:
        """`clients_of` a bare JID: those that are there, by their full JIDs."""
        self._asking = asking
        self._clients_of = clients_of
        self._blocked: set[tuple[str, str]] = set()

    async def is_blocked(self, owner: str, number: str) -> bool:
        """Whether this is certain (bare JIDs)."""
        pair = (owner, number)
        if pair in self._blocked:
            return True
        for target in (owner, *sorted(self._clients_of(owner))[:MOST_CLIENTS]):
            if await self._answers(target, number) == REFUSED and await self._answers(target, None) == "":
                if len(self._blocked) < MOST_REMEMBERED:
                    self._blocked.add(pair)
                return True
        return False

    def hears(self, presence: Envelope) -> None:
        """An owner who lets a number see him has not blocked it any more."""
        if self._blocked and not presence.type:
            with contextlib.suppress(ValueError):
                self._blocked.discard((jids.bare(presence.sender), jids.bare(presence.addressed)))

    async def _answers(self, target: str, sender: str | None) -> str | None:
        """The condition of an answer to a ping, "" if there is none in it; None for silence."""
        answer = await self._asking.ask(target, PING, SECONDS, sender=sender)
        return None if answer is None else condition_of(answer)
