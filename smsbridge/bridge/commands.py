"""What can be said to the bridge itself: ONE table, which serves chat lines and ad-hoc commands alike.

    resend 7  (chat, to the bare domain) ─┐
                                          ├─▶ rank ─▶ act, in one transaction ─▶ words
    a form    (ad-hoc)  ──────────────────┘

A command is a row of `COMMANDS`: its word, what it does in one line, its arguments as a small form, who may use it, and
the act. An act is a transaction: all of it is committed before anything is answered, and to repeat it changes nothing
more. It returns what is said, or raises `Refused` with words and has then done nothing. Who is neither an owner nor an
admin is refused before anything is looked up, so that he learns nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from smsbridge.bridge import answers, lockdown, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.pacing import TokenBucket
from smsbridge.core.questions import CHOICES, Answer
from smsbridge.core.words.say import Phrase, Say, Words
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import questions
from smsbridge.store.database import P, T, Transaction
from smsbridge.store.questions import Question

MOST_QUESTIONS: Final = 50  # in a list
MOST_DIGITS: Final = 9
# Two machines that do not understand each other would talk for ever.
UNKNOWN_RATE, UNKNOWN_BURST = 1 / 30, 10

_log = Log("commands")


class Rank(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"


EVERYBODY: Final = frozenset(Rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the bare JID of the outer `from`, what it is here, and the language of what it said, if it told."""

    jid: str
    ranks: frozenset[Rank]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A value that an argument may have, and what a form shows for it."""

    value: str
    label: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One field of the form. `sign` stands for it in a line of help; `none` is said when there is nothing to choose.

    Without `is_number` a value must be one of the options.
    """

    name: str
    sign: str
    label: Phrase
    options: Callable[[Desk, Caller], Transaction[tuple[Option, ...]]]
    none: Words = ""
    is_number: bool = False


Act = Callable[[Desk, Caller, Sequence[str]], Transaction[Words]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table. The act gets a value for each argument, in their order."""

    name: str
    does: Phrase
    act: Act
    arguments: tuple[Argument, ...] = ()
    ranks: frozenset[Rank] = EVERYBODY

    @property
    def usage(self) -> str:
        return " ".join((self.name, *(argument.sign for argument in self.arguments)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """An argument with the options that this caller has."""

    argument: Argument
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """The words for the caller. Not `is_done`: it was refused, and nothing has changed."""

    words: Words
    is_done: bool = True


class Commands:
    """The table at work. Whatever is asked by a stranger raises `Refused`; all may raise `StoreUnavailable`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._unknown: dict[str, TokenBucket] = {}  # of owners and admins, so there are few

    def offered(self, jid: str) -> tuple[Command, ...]:
        """The commands that this bare JID may use; none for a stranger."""
        return _offered(self._caller(jid))

    async def form(self, jid: str, name: str) -> tuple[Field, ...]:
        """What a command has to be told."""
        caller = self._caller(jid)
        return await self._desk.database.run(self._fields, caller, _named(caller, name))

    async def run(self, jid: str, name: str, values: Mapping[str, str]) -> Said:
        """Do it, with a value for each argument. What it did is committed when this returns."""
        caller = self._caller(jid)
        command = _named(caller, name)
        given = [values.get(argument.name, "") for argument in command.arguments]
        try:
            return Said(await self._commit(command, self._act, caller, command, given))
        except Refused as refused:
            return Said(refused.words or refused.reason.words, is_done=False)

    async def typed(self, jid: str, line: str, asked: str = "") -> None:
        """Do what a line of chat says, and answer in the same commit; `asked` is the line's own language."""
        caller = self._caller(jid, asked)
        if not caller.ranks:
            raise Refused(Reason.NOT_OWNER)
        name, *given = _words(line) or [""]
        command = next((each for each in _offered(caller) if each.name == name), None)
        if command is None and self._is_babble(jid):
            return
        try:
            await self._commit(command, self._type, caller, command, given)
        except Refused as refused:
            await self._commit(command, self._say, caller, refused.words or refused.reason.words)

    def _caller(self, jid: str, asked: str = "") -> Caller:
        rules = self._desk.rules()
        ranks = {Rank.ADMIN: jid in rules.admins, Rank.OWNER: bool(rules.directory.lines_of(jid))}
        return Caller(jid=jid, ranks=frozenset(rank for rank, holds in ranks.items() if holds), asked=asked)

    def _is_babble(self, jid: str) -> bool:
        bucket = self._unknown.setdefault(jid, TokenBucket(rate=UNKNOWN_RATE, burst=UNKNOWN_BURST))
        return bucket.take(self._desk.clock.monotonic()) > 0

    async def _commit(
        self, command: Command | None, work: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        failpoint("commands.taking", StoreUnavailable)
        result = await self._desk.database.run(work, *args, **kwargs)
        failpoint("commands.committed", StoreUnavailable)
        _log.info(Event.COMMAND_RUN, command=command.name if command else "unknown")
        self._desk.wake_stream()
        self._desk.wake_senders()
        return result

    def _fields(self, caller: Caller, command: Command) -> Transaction[tuple[Field, ...]]:
        fields = []
        for argument in command.arguments:
            options = yield from argument.options(self._desk, caller)
            fields.append(Field(argument=argument, options=options))
        return tuple(fields)

    def _type(self, caller: Caller, command: Command | None, given: Sequence[str]) -> Transaction[None]:
        if command is None:
            words: Words = Say.UNKNOWN_WORD(commands=_list(caller))
        else:
            words = yield from self._act(caller, command, given)
        yield from self._say(caller, words)

    def _act(self, caller: Caller, command: Command, given: Sequence[str]) -> Transaction[Words]:
        if len(given) != len(command.arguments):
            raise Refused(Reason.BAD_ADDRESS, Say.WRITE(usage=command.usage))
        for field, value in zip((yield from self._fields(caller, command)), given, strict=True):
            is_good = _is_number(value) if field.argument.is_number else value in {o.value for o in field.options}
            if not is_good:
                raise Refused(Reason.BAD_ADDRESS, Say.WRITE(usage=command.usage))
        return (yield from command.act(self._desk, caller, given))

    def _say(self, caller: Caller, words: Words) -> Transaction[None]:
        yield from telling.say(self._desk, [caller.jid], words, "command", self._desk.ids.new(), asked=caller.asked)


def _offered(caller: Caller) -> tuple[Command, ...]:
    return tuple(command for command in COMMANDS if command.ranks & caller.ranks)


def _named(caller: Caller, name: str) -> Command:
    if not caller.ranks:
        raise Refused(Reason.NOT_OWNER)
    for command in _offered(caller):
        if command.name == name:
            return command
    raise Refused(Reason.BAD_ADDRESS, Say.NO_SUCH_COMMAND())


def _words(line: str) -> list[str]:
    """What was typed, without what it quotes; forgiving of case, blanks and the brackets of `[7]`."""
    said = " ".join(part for part in line.splitlines() if not part.startswith(">"))
    return [word for word in (word.strip("[]#.!,'\"") for word in said.casefold().split()) if word]


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS


def _list(caller: Caller) -> Phrase:
    lines = (Say.COMMAND(usage=command.usage, does=command.does) for command in _offered(caller))
    return Say.COMMANDS_ARE(commands=tuple(lines))


def _help(_desk: Desk, caller: Caller, _given: Sequence[str]) -> Transaction[Words]:
    return _list(caller)
    yield  # a transaction without a statement


def _questions(_desk: Desk, caller: Caller, _given: Sequence[str]) -> Transaction[Words]:
    found = yield from questions.open_of(caller.jid, MOST_QUESTIONS)
    lines = [
        Say.OPEN_QUESTION(question=_labelled(question), choices=tuple(CHOICES[question.kind])) for question in found
    ]
    return Say.OPEN_QUESTIONS(questions=tuple(lines)) if lines else Say.NO_OPEN_QUESTION()


def _answer(word: Answer, desk: Desk, caller: Caller, given: Sequence[str]) -> Transaction[Words]:
    return (yield from answers.answer(desk, caller.jid, int(given[0]), word))


def _open_for(word: Answer, _desk: Desk, caller: Caller) -> Transaction[tuple[Option, ...]]:
    found = yield from questions.open_of(caller.jid, MOST_QUESTIONS)
    return tuple(_option(question) for question in found if word in CHOICES[question.kind])


def _option(question: Question) -> Option:
    return Option(str(question.number), _labelled(question))


def _labelled(question: Question) -> Phrase:
    return Say.NUMBERED(number=question.number, words=question.words or Say.WORDS_NOT_KEPT(at=question.asked_at))


def _lockdown(desk: Desk, caller: Caller, given: Sequence[str]) -> Transaction[Words]:
    is_admin = Rank.ADMIN in caller.ranks
    return (yield from lockdown.switch(desk, caller.jid, is_admin=is_admin, is_on=given[0] == "on"))


def _on_or_off(_desk: Desk, _caller: Caller) -> Transaction[tuple[Option, ...]]:
    return (Option("on", Say.LOCKDOWN_ON()), Option("off", Say.LOCKDOWN_OFF()))
    yield  # a transaction without a statement


def _answering(word: Answer, does: Phrase) -> Command:
    number = Argument(
        name="number",
        sign="N",
        label=Say.LABEL_QUESTION(),
        options=partial(_open_for, word),
        none=Say.NOTHING_TO_ANSWER(),
        is_number=True,
    )
    return Command(name=word, does=does, act=partial(_answer, word), arguments=(number,))


COMMANDS: Final = (
    Command(name="help", does=Say.DOES_HELP(), act=_help),
    Command(name="questions", does=Say.DOES_QUESTIONS(), act=_questions),
    _answering(Answer.RESEND, Say.DOES_RESEND()),
    _answering(Answer.ARRIVED, Say.DOES_ARRIVED()),
    _answering(Answer.DISCARD, Say.DOES_DISCARD()),
    _answering(Answer.CONFIRM, Say.DOES_CONFIRM()),
    Command(
        name="lockdown",
        does=Say.DOES_LOCKDOWN(),
        act=_lockdown,
        arguments=(Argument(name="switch", sign="on|off", label=Say.LABEL_LOCKDOWN(), options=_on_or_off),),
    ),
)
