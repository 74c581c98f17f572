"""One question to a server or a client, as bytes, and its answer or None.

slixmpp's own way of waiting for an answer adds a handler that is tried on every stanza that comes in, and keeps its
futures when the stream is lost. Here an answer is known by its id, in the one filter that all that comes in passes.

An id is a secret prefix and a random word of its own: a client learns the ids of what it is asked, and must not be
able to answer for somebody else. So an answer counts only if it comes from whom the question went to.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from smsbridge.xmpp.wire import STANZA_ERRORS

MOST_DIGITS: Final = 10  # of an age in seconds; three centuries
UPTIME_QUERY: Final = '<query xmlns="jabber:iq:last"/>'  # XEP-0012, 4


@dataclass(frozen=True, slots=True)
class _Question:
    to: str
    answer: asyncio.Future[ET.Element | None]


class Asking:
    """Questions of one component. `write` puts a whole stanza on the stream, or drops it while that is down."""

    def __init__(self, *, jid: str, prefix: str, write: Callable[[bytes], None]) -> None:
        """`prefix` is secret, new in each process, and nobody else's."""
        self._jid = jid
        self._prefix = prefix
        self._write = write
        self._open: dict[str, _Question] = {}

    async def ask(
        self,
        to: str,
        payload: str,
        seconds: float,
        *,
        sender: str | None = None,
        kind: Literal["get", "set"] = "get",
    ) -> ET.Element | None:
        """The answering `<iq/>`, a result or an error (or what we asked ourselves, see `take`); None if none
        comes in time or the stream is lost.

        `payload` is well-formed XML with a namespace of its own, `sender` a JID of our domain (the domain itself).
        """
        question_id = f"{self._prefix}{secrets.token_hex(12)}"
        question = _Question(to, asyncio.get_running_loop().create_future())
        self._open[question_id] = question
        try:
            self._write(
                f'<iq type="{kind}" id="{question_id}" from={quoteattr(sender or self._jid)} to={quoteattr(to)}>'
                f"{payload}</iq>".encode()
            )
            async with asyncio.timeout(seconds):
                return await question.answer
        except TimeoutError:
            return None
        finally:
            del self._open[question_id]

    def take(self, stanza: ET.Element) -> bool:
        """Whether this is an answer to a question of ours, perhaps of one that nobody waits for any more.

        What we asked ourselves, and nobody answered in our stead, comes back as it was: it is its own answer.
        """
        question_id = stanza.get("id", "")
        if not question_id.startswith(self._prefix) or not stanza.tag.endswith("}iq"):
            return False
        question = self._open.get(question_id)
        is_own = question is not None and question.to == self._jid
        if stanza.get("type") not in ("result", "error") and not is_own:
            return False
        if question is not None and question.to == stanza.get("from") and not question.answer.done():
            question.answer.set_result(stanza)
        return True

    def lost(self) -> None:
        """The stream is gone: no answer will come."""
        for question in self._open.values():
            if not question.answer.done():
                question.answer.set_result(None)


def condition_of(answer: ET.Element) -> str:
    """The condition of an error (RFC 6120, 8.3.3), "undefined-condition" if it names none; "" for a result."""
    if answer.get("type") != "error":
        return ""
    for error in answer:
        for child in error if error.tag.endswith("}error") else ():
            namespace, _, name = child.tag[1:].partition("}")
            if namespace == STANZA_ERRORS and name != "text":
                return str(name)
    return "undefined-condition"


async def uptime(asking: Asking, server: str, seconds: float = 3.0) -> float | None:
    """For how many seconds the server has been up (XEP-0012); None if it does not tell."""
    answer = await asking.ask(server, UPTIME_QUERY, seconds)
    return None if answer is None else uptime_in(answer)


def uptime_in(answer: ET.Element) -> float | None:
    """The seconds in an answer to `UPTIME_QUERY`."""
    query = None if condition_of(answer) else answer.find("{jabber:iq:last}query")
    told = "" if query is None else query.get("seconds", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) <= MOST_DIGITS else None
